"""The one place that imports faiss, after torch: in the other order each keeps its own number of threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def one_thread(owner: str) -> Iterator[None]:
    """Let faiss use one thread, and as many as before afterwards.

    What is learned is the same each time then; and on a busy machine its threads, which wait for each other without
    rest, turn a second into a minute.
    """
    faiss = faiss_library(owner)
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
