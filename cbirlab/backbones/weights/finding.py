"""Finding: the file that holds a network's weights, on this machine or downloaded."""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

from cbirlab.backbones import trained
from cbirlab.backbones.weights.reading import WeightsError
from cbirlab.base import downloads
from cbirlab.base.text import did_you_mean
from cbirlab.datasets.bundled import bundled_file, how_to_get

FOLDER_VARIABLE = "CBIRLAB_WEIGHTS"
SUFFIXES = (".pth", ".pt", ".safetensors", ".bin", ".ckpt", ".tar")
_UNREAD = (".caffemodel", ".gguf", ".gz", ".h5", ".hdf5", ".keras", ".npz", ".onnx", ".pb", ".pkl", ".tgz", ".zip")


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

    @property
    def sha256_begins(self) -> str:
        """The first digits of its sha256, which torchvision writes into the name; "" if it does not."""
        match = re.search(r"-([0-9a-f]{8,})\.pth$", self.file_name)
        return match[1] if match else ""


@dataclass(frozen=True)
class Found:
    """A weights file on this machine, its name in tables, and the published set that it is (None: the user's own file).

    `part` is the prefix of the wanted tensors' names in the file, if the user gave one.
    """

    path: Path
    label: str
    published: Published | None = None
    part: str = ""


def published_weights(name: str) -> dict[str, Published]:
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
    """The file that holds `weights` for the network `name`; downloads torchvision's if it is not on this machine.

    Order: bundled; trained here; a path as given; the folder in ``CBIRLAB_WEIGHTS``; torch's hub cache; a download,
    with its hash checked.

    Parameters
    ----------
    weights : None for the default ones, a label that torchvision publishes, or the path of a file, followed if
        necessary by a colon and the name of one of several networks in it, "run.ckpt:ema".
    default : label that None stands for.
    bundled : the bundled file, see `cbirlab.datasets.bundled.bundled_file`, for a network that has one.

    Raises
    ------
    WeightsError : no such file or label, several files that could be meant, no network, or a damaged file.
    """
    if weights is None and bundled:
        return _bundled(name, bundled)
    sets = published_weights(name)
    label = default if weights is None else str(weights)
    if label in sets:
        return _published(name, sets, label, own=weights is None)
    if weights is None:
        if (own := own_file(name)) is None:
            raise WeightsError(f"{name} has no weights of its own: pass weights='random' or the path of a file.")
        return own
    if own_training := trained.file_of(name, label):
        return _trained(own_training)
    path, part = file_and_part(weights)
    if path.is_file():  # preprocessing travels with the weights: a published file is recognised by its name
        release = next((one for one in sets.values() if one.file_name == path.name), None)
        own_label = f"{path.name}:{part}" if part else path.name
        return Found(path, own_label, part=part) if release is None or part else _checked(path, release)
    if path.is_dir():
        files = sorted(str(one) for one in path.iterdir() if _suffix(one) in SUFFIXES)
        raise WeightsError(
            f"{name}: weights must be a file, got the folder {path}; "
            + (f"pass one in it: {', '.join(files[:3])}." if files else "it holds no file of weights.")
        )
    options = ["random", *sets, *trained.aliases(name)]
    hint = did_you_mean(label, options)
    raise WeightsError(f"{name}: weights must be {', '.join(options)} or an existing file, got {label!r}.{hint}")


def _trained(path: Path) -> Found:
    """Weights that were trained here; what pictures they need stands in their header."""
    known = trained.record_of(path)
    try:
        mean, std = (tuple(map(float, known[name])) for name in ("mean", "std"))
    except (KeyError, TypeError, ValueError):
        raise WeightsError(f"{path}: the header must say how it was trained; train it again.") from None
    return Found(path, path.stem, Published(path.stem, "", mean, std))


def file_and_part(weights: str | Path | None) -> tuple[Path, str]:
    """The path, and the text that follows a colon after the path of an existing file.

    >>> file_and_part("nowhere.pth")
    (PosixPath('nowhere.pth'), '')
    """
    path = Path(weights or "").expanduser()
    before, colon, part = str(weights).rpartition(":")
    if colon and not path.exists() and Path(before).expanduser().is_file():
        return Path(before).expanduser(), part.strip(".")
    return path, ""


def own_file(name: str, published: Collection[str] = ()) -> Found | None:
    """The file in the user's folder (``CBIRLAB_WEIGHTS``) whose name begins with that of the network.

    For a network of a family, "timm:resnet50d", it begins with "timm_resnet50d". Files with `published` names do not
    count: users ask for them by label.

    Raises
    ------
    WeightsError : the folder does not exist, or holds several such files.

    Warns
    -----
    UserWarning : there are files of such a name in formats that are not read.
    """
    pattern = rf"{re.escape(re.sub('[:/]', '_', name))}(?![0-9a-z])"
    unread = [path for path in _files(_UNREAD) if re.match(pattern, path.name)]
    if unread:
        warnings.warn(
            f"{FOLDER_VARIABLE}: {', '.join(path.name for path in unread)} cannot be weights of {name}: those end in "
            f"{', '.join(SUFFIXES)}.",
            stacklevel=3,
        )
    mine = [path for path in own_files() if re.match(pattern, path.name) and path.name not in published]
    if len(mine) > 1:
        listed = ", ".join(str(path) for path in mine)
        raise WeightsError(f"{name}: several files in {FOLDER_VARIABLE} match ({listed}); pass the path of one.")
    return Found(mine[0], mine[0].name) if mine else None


def own_files() -> list[Path]:
    """All weights files in the user's folder and below; none if the variable is not set.

    Raises
    ------
    WeightsError : the folder does not exist.
    """
    return _files(SUFFIXES)


def _files(suffixes: Sequence[str]) -> list[Path]:
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return []
    if not Path(folder).is_dir():
        raise WeightsError(f"{FOLDER_VARIABLE} must name a folder with weights, got {folder!r}.")
    return sorted(path for path in Path(folder).rglob("*") if _suffix(path) in suffixes and path.is_file())


def _suffix(path: Path) -> str:
    return path.suffix.lower()


def hub_folder() -> Path:
    """Where torch keeps its downloads; found without loading torch, unless it is loaded already."""
    torch = sys.modules.get("torch")
    if torch is not None:
        return Path(torch.hub.get_dir()) / "checkpoints"
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser() / "hub" / "checkpoints"


def _bundled(name: str, bundled: str) -> Found:
    path = bundled_file(bundled)
    if not path.is_file():
        raise WeightsError(
            f"{name}: the bundled weights {path} are missing; {how_to_get(bundled)}, or pass weights='random' or the "
            "path of a file."
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
        _download(name, wanted, cached.parent)
    return _checked(cached, wanted)


def _checked(path: Path, wanted: Published) -> Found:
    """A published file, unless it is damaged: a file that was cut short does not have the hash in its name."""
    found = downloads.digest_of(path, "sha256")
    if not found.startswith(wanted.sha256_begins):
        raise WeightsError(
            f"{path}: the file is damaged, its sha256 must begin with {wanted.sha256_begins} and begins with "
            f"{found[:8]}; delete it and get it again from {wanted.url}."
        )
    return Found(path, wanted.label, wanted)


def _download(name: str, wanted: Published, folder: Path) -> None:
    downloads.check(f"{name}: {wanted.file_name}", WeightsError)
    digits = wanted.sha256_begins
    source = downloads.Source(wanted.file_name, (wanted.url,), digest=f"sha256:{digits}" if digits else "")
    try:
        downloads.fetch(source, folder)
    except OSError as error:
        raise WeightsError(
            f"{name}: {wanted.file_name} is not on this machine and could not be downloaded "
            f"({error.__cause__ or error}); get it from {wanted.url} and put it into the folder that "
            f"{FOLDER_VARIABLE} names, or into {folder}."
        ) from error
