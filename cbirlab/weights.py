"""Weights: where a network's numbers come from, and which of its taps they serve.

Nothing here unpickles code: ``.pth`` files are read with ``weights_only=True``, the rest is safetensors.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from cbirlab import downloads
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
        return _published(name, sets, label, own=weights is None)
    if weights is None:
        return own_file(name) or _raise(
            f"{name} has no weights of its own: pass weights='random' or the path of a file."
        )
    path = Path(weights).expanduser()
    if path.is_file():  # preprocessing travels with the weights: a published file is known by its name
        release = next((one for one in sets.values() if one.file_name == path.name), None)
        return Found(path, path.name) if release is None else _checked(path, release)
    options = ["random", *sets]
    near = get_close_matches(label, options, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise WeightsError(f"{name}: weights must be {', '.join(options)} or an existing file, got {label!r}.{hint}")


def own_file(name: str, published: Collection[str] = ()) -> Found | None:
    """The file in the user's folder (``CBIRLAB_WEIGHTS``) whose name begins with that of the network.

    Of a network of a family, "timm:resnet50d", it begins with "timm_resnet50d". Files with `published` names do not
    count: they are asked for by label.

    Raises
    ------
    WeightsError : the folder does not exist, or holds several such files.
    """
    pattern = rf"{re.escape(re.sub('[:/]', '_', name))}(?![0-9a-z])"
    mine = [path for path in own_files() if re.match(pattern, path.name) and path.name not in published]
    if len(mine) > 1:
        listed = ", ".join(str(path) for path in mine)
        raise WeightsError(
            f"{name}: several files in {FOLDER_VARIABLE} could be meant ({listed}); pass the path of one."
        )
    return Found(mine[0], mine[0].name) if mine else None


def own_files() -> list[Path]:
    """All weights files in the user's folder and below; none where the variable is not set.

    Raises
    ------
    WeightsError : the folder does not exist.
    """
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return []
    if not Path(folder).is_dir():
        raise WeightsError(f"{FOLDER_VARIABLE} must name a folder with weights, got {folder!r}.")
    return sorted(path for path in Path(folder).rglob("*") if path.suffix in _SUFFIXES and path.is_file())


def hub_folder() -> Path:
    """Where torch keeps what it downloaded; told without loading torch where nobody has."""
    torch = sys.modules.get("torch")
    if torch is not None:
        return Path(torch.hub.get_dir()) / "checkpoints"
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser() / "hub" / "checkpoints"


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
    except UnpicklingError as error:  # torch's words go on for a page, and advise to run what is in the file
        raise WeightsError(f"{path}: cannot be read as weights: damaged, or more than tensors.") from error
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

    Tensors that the network has no place for are left out, with a warning; those without a single number are missing
    (torchvision publishes features of VGG-16 with such a classifier).

    Raises
    ------
    WeightsError : none has a place in the network, or one has another shape: the file belongs to another network.
    """
    own = module.state_dict()
    fitting = {key: value for key, value in state.items() if key in own and not _empty(value)}
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
    left_over = sorted(set(state) - set(own))
    if left_over:
        shown = ", ".join(left_over[:3]) + (", ..." if len(left_over) > 3 else "")
        warnings.warn(f"{owner}: the network has no place for {len(left_over)} tensors: {shown}.", stacklevel=4)
    module.load_state_dict(fitting, strict=False)
    return {key for key in own if key not in fitting and not key.endswith("num_batches_tracked")}


def _empty(value: Tensor) -> bool:
    return value.is_floating_point() and value.numel() > 0 and bool(value.isnan().all())


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


def _published(name: str, sets: Mapping[str, Published], label: str, *, own: bool) -> Found:
    """torchvision's own file first, then, if `own`, the one in the user's folder that is named after the network."""
    wanted = sets[label]
    exact = [path for path in own_files() if path.name == wanted.file_name]
    if exact:
        return _checked(exact[0], wanted)
    mine = own_file(name, [one.file_name for one in sets.values()]) if own else None
    if mine is not None:
        return mine
    cached = hub_folder() / wanted.file_name
    if not cached.is_file():
        _download(name, wanted, cached)
    return _checked(cached, wanted)


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


def _download(name: str, wanted: Published, target: Path) -> None:
    import torch

    downloads.check(f"{name}: {wanted.file_name}", WeightsError)
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
