"""The one place that imports faiss, after torch: in the other order each keeps its own number of threads."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any


class MissingLibrary(ImportError):
    """A library of an extra that is not installed; says which one, and what works without it."""


def has_faiss() -> bool:
    """Whether faiss is installed; does not import it."""
    return find_spec("faiss") is not None


def faiss_library(owner: str) -> Any:
    """The module `faiss`.

    Raises
    ------
    MissingLibrary : it is not installed.
    """
    if not has_faiss():
        raise MissingLibrary(
            f"{owner} needs faiss: pip install 'cbirlab[scale]'. Without it there are index 'exact' and 'hamming', and "
            "all compressions but 'pq' and 'opq'."
        )
    import torch  # noqa: F401
    import faiss  # isort: skip

    return faiss
