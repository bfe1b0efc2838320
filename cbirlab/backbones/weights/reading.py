"""Reading: the tensors of a file by name, whatever wraps them, without running any code in the file.

The first bytes of a file decide what it is, not its name. Torch's reader of weights reads pickles, and creates no
objects of arbitrary classes; the settings that trainers save with the weights (a ``Namespace``, a NumPy number) become
empty stand-ins.
"""

from __future__ import annotations

import mmap
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

DEEPEST = 8
"""How many mappings within each other the reader enters."""
SAVE = "safetensors.torch.save_file(network.state_dict(), 'weights.safetensors')"

# First bytes of files that people get instead of weights, and what to do about them.
_OTHERS = (
    (b"version https://git-lfs", "it is a pointer of Git LFS, not the file itself; get that with `git lfs pull`"),
    (b"<", "it is a web page, not the file itself; download it again, and check what the address returns"),
    (b"\x1f\x8b", "it is packed by gzip; unpack it first"),
    (b"7z\xbc\xaf", "it is packed by 7-Zip; unpack it first"),
    (b"\x89HDF", "it is an HDF5 file, as Keras writes; weights must be saved by torch or as safetensors"),
    (b"\x93NUMPY", "it is a NumPy array without names; weights must be saved by torch or as safetensors"),
    (b"GGUF", "it is a GGUF file; weights must be saved by torch or as safetensors"),
)
_TAR = (257, b"ustar")

_SETTINGS = (
    "argparse.Namespace",
    "types.SimpleNamespace",
    *(f"pathlib.{kind}" for kind in ("Path", "PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")),
    *(f"pathlib._local.{kind}" for kind in ("Path", "PosixPath", "WindowsPath")),
    *(f"datetime.{kind}" for kind in ("datetime", "date", "time", "timedelta", "timezone")),
    *(f"builtins.{kind}" for kind in ("list", "dict", "set", "tuple", "int", "float", "str", "bool", "slice")),
    *("uuid.UUID", "decimal.Decimal", "fractions.Fraction", "typing.Any"),
    *(f"{core}.multiarray.{made}" for core in ("numpy.core", "numpy._core") for made in ("scalar", "_reconstruct")),
    *("numpy.dtype", "numpy.ndarray", "numpy._core.numeric._frombuffer", "numpy.core.numeric._frombuffer"),
    *(f"numpy.dtypes.{kind}DType" for kind in ("Bool", "Str", "Bytes", "Object", "Float16", "Float32", "Float64")),
    *(f"numpy.dtypes.{sign}Int{bits}DType" for sign in ("", "U") for bits in (8, 16, 32, 64)),
    *(f"numpy.{kind}" for kind in ("bool_", "str_", "float16", "float32", "float64", "int32", "int64")),
    *(f"omegaconf.{made}" for made in ("dictconfig.DictConfig", "listconfig.ListConfig")),
    *(f"omegaconf.base.{made}" for made in ("ContainerMetadata", "Metadata")),
    *(f"omegaconf.nodes.{kind}Node" for kind in ("Any", "Integer", "Float", "Boolean", "String", "Path", "Enum")),
)


class WeightsError(RuntimeError):
    """Weights that cannot be obtained, cannot be read, or do not fit; the message says what to do."""


class _Setting:
    """Stands for something that is not a tensor: accepts whatever it is built from and keeps none of it."""

    def __new__(cls, *given: object, **named: object) -> _Setting:
        return super().__new__(cls)

    def __init__(self, *given: object, **named: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def _mapping(*given: object) -> dict:
    """Stands for a mapping with a default: its entries follow."""
    return {}


def _sequence(*given: object) -> list:
    """Stands for a queue: its entries follow."""
    return []


def read(path: Path) -> dict[str, Tensor]:
    """The tensors in a file that torch or safetensors wrote, by name.

    Those in mappings within the outermost one have names with a dot, ``state_dict.conv1.weight``.

    Raises
    ------
    WeightsError : the file is damaged, of another kind, or holds no named tensors.
    """
    import torch

    try:
        kind = _kind(path)
        state: Any = _tensors(path) if kind == "safetensors" else _unpickled(path, kind)
        if not isinstance(state, Mapping):
            raise WeightsError(f"{path}: weights must be a mapping from names to tensors, got {type(state).__name__}.")
        found = dict(_flat(state, "", 0, set()))
    except WeightsError:
        raise
    except Exception as error:  # damaged bytes raise nearly anything
        said = next(iter(str(error).splitlines()), "").rstrip(".")
        raise WeightsError(f"{path}: cannot be read as weights: damaged ({type(error).__name__}: {said}).") from error
    if not found:
        keys = ", ".join(repr(key) for key in list(state)[:3]) or "nothing"
        raise WeightsError(f"{path}: weights must be a mapping from names to tensors, got {keys} without a tensor.")
    for name, value in found.items():
        if value.layout != torch.strided or value.is_quantized or value.is_meta or value.is_complex():
            raise WeightsError(
                f"{path}: {name} must be a plain tensor of real numbers, got {value.dtype} in {value.layout} layout on "
                f"{value.device}; where it was trained, save it like this: {SAVE}."
            )
    return found


def _kind(path: Path) -> str:
    """ "safetensors", "zip" or "pickle", by the contents of the file.

    Raises
    ------
    WeightsError : it is neither.
    """
    if path.is_dir():
        inside = sorted(one.name for one in path.iterdir() if one.is_file())[:3]
        raise WeightsError(f"{path}: weights must be a file, got a folder; pass one in it ({', '.join(inside)}).")
    with path.open("rb") as file:
        start = file.read(512)
    if not start:
        raise WeightsError(f"{path}: cannot be read as weights: damaged, the file is empty.")
    for begin, cause in _OTHERS:
        if start.lstrip().startswith(begin):
            raise WeightsError(f"{path}: cannot be read as weights: {cause}.")
    if start[_TAR[0] :].startswith(_TAR[1]):
        raise WeightsError(f"{path}: cannot be read as weights: it is a tar archive; unpack it first.")
    if start[8:9] == b"{" and start[:2] != b"PK":
        return "safetensors"
    if start[:4] != b"PK\x03\x04":
        return "pickle"
    _check_archive(path)
    return "zip"


def _check_archive(path: Path) -> None:
    """Refuse compressed archives: torch writes uncompressed ones, and a compressed one could unfold to any size."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except zipfile.BadZipFile as error:
        raise WeightsError(
            f"{path}: cannot be read as weights: damaged, its end is missing; get it again, or save it again."
        ) from error
    names = [entry.filename for entry in entries]
    if any(name.endswith("/constants.pkl") for name in names):
        raise WeightsError(
            f"{path}: cannot be read as weights: it is a TorchScript archive, a program; where it was made, save its "
            f"tensors alone: {SAVE}."
        )
    if not any(name.endswith("/data.pkl") for name in names):
        raise WeightsError(
            f"{path}: cannot be read as weights: it is a zip archive that torch did not write; unpack it first."
        )
    packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
    if packed or sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise WeightsError(
            f"{path}: cannot be read as weights: a file in the archive is compressed, which torch never does."
        )


def _tensors(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(path)


def _unpickled(path: Path, kind: str) -> Any:
    """The contents that torch saved, with stand-ins for settings.

    Raises
    ------
    WeightsError : it asks for more than tensors and settings.
    """
    import torch

    _check_room(path)
    stand_ins: list[Any] = [(_Setting, name) for name in _SETTINGS]
    stand_ins += [(_mapping, "collections.defaultdict"), (_sequence, "collections.deque")]
    try:
        with path.open("rb") as file, torch.serialization.safe_globals(stand_ins):
            return torch.load(file, map_location="cpu", weights_only=True)  # given a name, it would trust its ending
    except UnpicklingError as error:  # torch's message goes on for a page, and advises running what is in the file
        asked = re.search(r"GLOBAL ([\w.]+)|load (?:module|global) ([\w.]+)|module whose .* is ([\w.]+)", str(error))
        if asked is None:
            raise WeightsError(f"{path}: cannot be read as weights: damaged, or not written by torch.") from error
        name = next(filter(None, asked.groups()))
        raise WeightsError(
            f"{path}: cannot be read as weights: it holds more than tensors and asks for {name}, which is code; where "
            f"it was trained, save the tensors alone: {SAVE}."
        ) from error


def _check_room(path: Path) -> None:
    """Guard the one kind of object that torch's reader of weights makes as large as a mere number says."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find(b"\nbytearray\n") >= 0:
            raise WeightsError(
                f"{path}: cannot be read as weights: it asks for a bytearray, of any size; where it was trained, "
                f"save the tensors alone: {SAVE}."
            )


def _flat(state: Mapping[Any, Any], before: str, depth: int, seen: set[int]) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors; each mapping once, however often the file refers to it."""
    import torch

    seen.add(id(state))
    for key, value in state.items():
        name = f"{before}{key}"
        if isinstance(value, torch.Tensor):
            yield name, value.detach()
        elif isinstance(value, Mapping) and id(value) not in seen and depth < DEEPEST:
            yield from _flat(value, f"{name}.", depth + 1, seen)
