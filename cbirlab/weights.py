"""Weights: where a network's numbers come from, and which of its taps they serve.

Nothing here unpickles code: ``.pth`` files are read with ``weights_only=True``, the rest is safetensors.
"""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from cbirlab.datasets.bundled import data_folder

if TYPE_CHECKING:
    from torch import Tensor, nn

FOLDER_VARIABLE = "CBIRLAB_WEIGHTS"
_SUFFIXES = (".pth", ".pt", ".safetensors")


class WeightsError(RuntimeError):
    """Weights that cannot be had, cannot be read, or do not fit; its message says what to do."""


@dataclass(frozen=True)
class Published:
    """One set of weights that torchvision publishes for a network."""

    label: str
    url: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def file_name(self) -> str:
        """Name of the file, as in torch's hub cache."""
        return Path(urlparse(self.url).path).name


@dataclass(frozen=True)
class Found:
    """A weights file on this machine, what tables call it, and what was published as it (None: the user's own)."""

    path: Path
    label: str
    published: Published | None = None


def published(name: str) -> dict[str, Published]:
    """Weights that torchvision publishes for the network `name`, by label; empty for a network it does not know."""
    from torchvision.models import get_model_weights, list_models

    if name not in list_models():
        return {}
    sets = {}
    for member in get_model_weights(name):
        transform = member.transforms()
        sets[member.name] = Published(member.name, member.url, tuple(transform.mean), tuple(transform.std))
    return sets


def find(name: str, weights: str | Path | None, *, default: str = "", bundled: str = "") -> Found:
    """The file that holds `weights` for the network `name`; downloads it if it is torchvision's and nowhere here.

    Order: a path as given; bundled; the folder in ``CBIRLAB_WEIGHTS``; torch's hub cache; download with hash check.

    Parameters
    ----------
    weights : None for the default ones, a label that torchvision publishes, or the path of a file.
    default : label that None stands for.
    bundled : path of the bundled file below the data folder, for a network that has one.

    Raises
    ------
    WeightsError : no such file or label, several files that could be meant, no network, or a damaged file.
    """
    if weights is None and bundled:
        return _bundled(name, bundled)
    sets = published(name)
    label = default if weights is None else str(weights)
    if label in sets:
        return _published(name, sets[label], own=weights is None)
    if weights is None:
        return _in_own_folder(name, None) or _raise(
            f"{name} has no weights of its own: pass weights='random' or the path of a file."
        )
    path = Path(weights).expanduser()
    if path.is_file():
        return Found(path, path.name)
    options = ["random", *sets]
    near = get_close_matches(label, options, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise WeightsError(f"{name}: weights must be {', '.join(options)} or an existing file, got {label!r}.{hint}")


def at_hand(name: str, *, default: str = "", bundled: str = "") -> bool:
    """Whether `find` has the default weights of the network `name` without a download; no file is opened."""
    if bundled:
        return (data_folder() / bundled).is_file()
    folder = os.environ.get(FOLDER_VARIABLE)
    own = [path.name for path in Path(folder).rglob("*") if path.suffix in _SUFFIXES] if folder else []
    if any(re.match(rf"{re.escape(name)}(?![0-9a-z])", file) for file in own):
        return True
    cached = [path.name for path in _hub_folder().glob("*")]
    if not own and not cached:  # torchvision takes seconds to import
        return False
    wanted = published(name).get(default)
    return wanted is not None and wanted.file_name in [*own, *cached]


def read(path: Path) -> dict[str, Tensor]:
    """The tensors in a ``.safetensors`` or ``.pth`` file, by name; wrapping (``state_dict``, ``module.``) is taken off.

    Raises
    ------
    WeightsError : damaged, or something else than named tensors.
    """
    import torch

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling damaged bytes raises nearly anything
        raise WeightsError(f"{path}: cannot be read as weights ({type(error).__name__}: {error}).") from error
    for key in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not state or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise WeightsError(f"{path}: weights must be a mapping from names to tensors, got {type(state).__name__}.")
    if all(key.startswith("module.") for key in state):
        state = {key.removeprefix("module."): value for key, value in state.items()}
    return dict(state)


def fill(module: nn.Module, state: Mapping[str, Tensor], owner: str) -> set[str]:
    """Copy the tensors into `module`; return the names of those of its tensors that are still missing.

    Tensors that the network has no place for are left out, with a warning.

    Raises
    ------
    WeightsError : none has a place in the network, or one has another shape: the file belongs to another network.
    """
    own = module.state_dict()
    fitting = {key: value for key, value in state.items() if key in own}
    if not fitting:
        raise WeightsError(
            f"{owner}: the file belongs to another network, it has no tensor of this one "
            f"(its first is {next(iter(state))!r}, the network's {next(iter(own))!r})."
        )
    for key, value in fitting.items():
        if value.shape != own[key].shape:
            raise WeightsError(
                f"{owner}: the file belongs to another network, {key} must have shape "
                f"{tuple(own[key].shape)}, got {tuple(value.shape)}."
            )
    left_over = sorted(set(state) - set(fitting))
    if left_over:
        shown = ", ".join(left_over[:3]) + (", ..." if len(left_over) > 3 else "")
        warnings.warn(f"{owner}: the network has no place for {len(left_over)} tensors: {shown}.", stacklevel=4)
    module.load_state_dict(fitting, strict=False)
    return {key for key in own if key not in fitting and not key.endswith("num_batches_tracked")}


def needed(module: nn.Module, path: str) -> set[str]:
    """Names of the tensors that the output at `path` depends on, for a network defined in the order it runs."""
    names: set[str] = set()
    reached = False
    for name, part in module.named_modules():
        inside = name == path or name.startswith(f"{path}.")
        if reached and not inside:
            break
        reached = reached or inside
        own = [*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)]
        names.update(f"{name}.{key}" if name else key for key, _ in own)
    if not reached:
        raise ValueError(f"A tap's path must name a part of {type(module).__name__}, got {path!r}.")
    return {name for name in names if not name.endswith("num_batches_tracked")}


def digest(module: nn.Module, missing: set[str] = frozenset()) -> str:  # pyright: ignore[reportArgumentType]
    """sha256 of the network's tensors with their names and types, leaving out the `missing` ones."""
    total = hashlib.sha256()
    for key, value in sorted(module.state_dict().items()):
        if key not in missing and not key.endswith("num_batches_tracked"):
            total.update(f"{key} {value.dtype} {tuple(value.shape)};".encode())
            total.update(value.detach().cpu().contiguous().numpy().data)
    return total.hexdigest()


def _bundled(name: str, bundled: str) -> Found:
    path = data_folder() / bundled
    if not path.is_file():
        raise WeightsError(
            f"{name}: the bundled weights {path} are missing; "
            f"make them with {path.parent / 'train.py'}, or pass weights='random' or the path of a file."
        )
    return Found(path, "")


def _published(name: str, wanted: Published, *, own: bool) -> Found:
    found = _in_own_folder(name, wanted, any_file=own)
    if found is not None:
        return found
    cached = _hub_folder() / wanted.file_name
    if not cached.is_file():
        _download(name, wanted, cached)
    return _checked(cached, wanted)


def _in_own_folder(name: str, wanted: Published | None, *, any_file: bool = True) -> Found | None:
    """A file in the user's folder: torchvision's own name first, else the one whose name begins with the network's."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return None
    if not Path(folder).is_dir():
        raise WeightsError(f"{FOLDER_VARIABLE} must name a folder with weights, got {folder!r}.")
    files = sorted(path for path in Path(folder).rglob("*") if path.suffix in _SUFFIXES and path.is_file())
    if wanted is not None:
        exact = [path for path in files if path.name == wanted.file_name]
        if exact:
            return _checked(exact[0], wanted)
    mine = [path for path in files if re.match(rf"{re.escape(name)}(?![0-9a-z])", path.name)]
    if not any_file or not mine:
        return None
    if len(mine) > 1:
        listed = ", ".join(str(path) for path in mine)
        raise WeightsError(
            f"{name}: several files in {FOLDER_VARIABLE} could be meant ({listed}); pass the path of one."
        )
    return Found(mine[0], mine[0].name)


def _checked(path: Path, wanted: Published) -> Found:
    """torchvision writes the first digits of the sha256 into the name; a download cut short does not match them."""
    match = re.search(r"-([0-9a-f]{8,})\.pth$", wanted.file_name)
    if match:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if not found.startswith(match[1]):
            raise WeightsError(
                f"{path}: the file is damaged, its sha256 must begin with {match[1]} and begins with {found[:8]}; "
                f"delete it and get it again from {wanted.url}."
            )
    return Found(path, wanted.label, wanted)


def _hub_folder() -> Path:
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints"


def _download(name: str, wanted: Published, target: Path) -> None:
    import torch

    match = re.search(r"-([0-9a-f]{8,})\.pth$", wanted.file_name)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(wanted.url, str(target), match[1] if match else None, progress=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: the hash does not match
        raise WeightsError(
            f"{name}: {wanted.file_name} is not on this machine and could not be downloaded ({error}); get it from "
            f"{wanted.url} and put it into the folder that {FOLDER_VARIABLE} names, or into {target.parent}."
        ) from error


def _raise(message: str) -> Found:
    raise WeightsError(message)


def label_of(found: Found, digest: str, names: Sequence[str] = ()) -> str:
    """What tables call these weights: the published label, or the file's name with the first digits of its digest."""
    return found.label if found.published is not None else f"{found.label or found.path.name}@{digest[:8]}"
