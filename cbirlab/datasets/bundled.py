"""Where the bundled data lies: inside the installed package, or beside it in a checkout."""

from __future__ import annotations

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
