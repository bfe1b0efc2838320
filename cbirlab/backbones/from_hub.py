"""torch.hub: networks of repositories, "hub:facebookresearch/dinov2:dinov2_vits14", or of a folder with a hubconf.py.

Their code is not ours and runs on this machine, so none of it is downloaded or run before someone calls `trust_hub`.
Images are assumed to be normalised like ImageNet's, which is true for DINO and DINOv2.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cbirlab.backbones.catalogue import Source
from cbirlab.backbones.modules import add_traced
from cbirlab.backbones.tracing import trace
from cbirlab.backbones.weights import WeightsError, hub_folder
from cbirlab.base import downloads
from cbirlab.base.registry import UnknownName

if TYPE_CHECKING:
    from torch import nn

TRUST_VARIABLE = "CBIRLAB_TRUST_HUB"
_TRUSTED: set[str] = set()
PREFIX = "hub:"
_NAME = re.compile(r"hub:(?P<repository>[\w.-]+/[\w.-]+(?::[\w./-]+)?|[~./].*):(?P<entry>\w+)")


class Address(NamedTuple):
    """Where a network of torch.hub is: "owner/name", "owner/name:branch" or a folder, and its name there."""

    repository: str
    entry: str

    @property
    def local(self) -> bool:
        """Whether it is a folder."""
        return self.repository.startswith(("/", ".", "~"))

    @property
    def shown(self) -> str:
        """The repository as lists show it: for a folder, its name alone."""
        return Path(self.repository).name if self.local else self.repository


def register(name: str) -> None:
    """Register "hub:REPOSITORY:ENTRY": build the network without its weights and run it on noise.

    Raises
    ------
    ValueError : another form of name; or the network takes images of none of the usual sizes.
    Untrusted : nobody has allowed code of that repository to run.
    UnknownName : the repository has no such entry.
    WeightsError : the repository cannot be reached, or its code does not run.
    """
    address = _address(name)
    check_trusted(address.repository, name)
    try:
        module, untrained = _built(name, address, pretrained=False), True
    except _OneForm:
        module, untrained = _built(name, address), False
    parameters = sum(part.numel() for part in module.parameters())
    options = {"pretrained": True} if untrained else {}
    add_traced(
        name,
        lambda: _built(name, address, **dict.fromkeys(options, False)),
        trace(module),
        title=f"{address.entry} ({address.shown})",
        reference=f"torch.hub: {address.shown}",
        licence="that of its repository",
        parameters=parameters,
        source=Source(
            lambda: _built(name, address, **options),
            address.entry,
            here=lambda: any(path.name.startswith(address.entry) for path in hub_folder().glob("*")),
            takes=f"perhaps a download of about {4 * parameters / 2**20:.0f} MB",
            untrained=untrained,
        ),
    )


class _OneForm(Exception):
    """An entry without the option `pretrained`: it gives the network in only one form, with or without weights."""


def _address(name: str) -> Address:
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"backbone: expected a form like 'hub:owner/repository:entry', got {name!r}.")
    return Address(match["repository"], match["entry"])


def _built(name: str, address: Address, **options: Any) -> nn.Module:
    """The network that the repository's `hubconf.py` gives; this runs its code."""
    import torch

    if not address.local and not _fetched(address.repository):
        downloads.check(f"{name}: the code of its repository", WeightsError)
    place = str(Path(address.repository).expanduser()) if address.local else address.repository
    options |= {"source": "local" if address.local else "github", "trust_repo": True, "verbose": False}
    try:
        found = torch.hub.load(place, address.entry, **options)
    except Exception as error:  # other people's code may raise anything
        raise _explained(error, name, address, options) from error
    if not isinstance(found, torch.nn.Module):
        raise WeightsError(f"{name}: its entry must give a torch.nn.Module, got {type(found).__name__}.")
    return found


def _fetched(repository: str) -> bool:
    """Whether torch's cache has the code of "owner/name" or "owner/name:branch"."""
    name, _, branch = repository.partition(":")
    owned = f"{name}_{branch}".replace("/", "_")
    return any(path.name.startswith(owned) for path in hub_folder().parent.glob("*") if path.is_dir())


def _explained(error: Exception, name: str, address: Address, options: Mapping[str, Any]) -> Exception:
    if isinstance(error, TypeError) and "pretrained" in options and "pretrained" in str(error):
        return _OneForm()
    if isinstance(error, RuntimeError) and "Cannot find callable" in str(error):
        return UnknownName(f"Unknown backbone {name!r}: {address.repository} has no entry {address.entry!r}.")
    need = "its folder needs a hubconf.py" if address.local else "it needs a network, or torch's hub cache"
    return WeightsError(f"{name}: it could not be loaded ({type(error).__name__}: {error}); {need}.")


class Untrusted(ValueError):
    """Other people's code that nobody has allowed to run; the message says how to allow it."""


def trust_hub(repository: str) -> None:
    """Let code of a repository of torch.hub run in this process.

    Parameters
    ----------
    repository : "owner/name", "owner/name:branch" for that branch alone, or a folder.

    Notes
    -----
    The code may do whatever you may do: read it first. For new processes and the command line, list it in the
    environment variable ``CBIRLAB_TRUST_HUB``, separated by commas.
    """
    if not repository.strip():
        raise ValueError(f"trust_hub: repository must be 'owner/name' or a folder, got {repository!r}.")
    _TRUSTED.add(repository.strip())


def check_trusted(repository: str, owner: str) -> None:
    """Refuse a repository that is not trusted.

    Raises
    ------
    Untrusted : the repository is not trusted.
    """
    listed = {part.strip() for part in os.environ.get(TRUST_VARIABLE, "").split(",")}
    if not {repository, repository.partition(":")[0]} & (_TRUSTED | listed):
        raise Untrusted(
            f"{owner}: it runs Python code of {repository} on this machine, which may do whatever you may do. Read it; "
            f"if you trust it call cbirlab.backbones.trust_hub({repository!r}), or set {TRUST_VARIABLE}={repository}."
        )
