"""Features: what goes out, descriptors of a dataset's images and queries with their names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from cbirlab.datasets import Dataset


@dataclass(frozen=True, eq=False)
class Features:
    """Descriptors and what they belong to.

    Attributes
    ----------
    images : float32 (N, D), row i is ``dataset.images[i]``.
    queries : float32 (Q, D), row q is ``dataset.queries[q]``; None if there are none.
    recipe : that gave them, in JSON; "" if it is not known.
    """

    dataset: Dataset
    images: np.ndarray
    queries: np.ndarray | None
    recipe: str = ""

    @cached_property
    def root(self) -> str:
        """The folder that all pictures lie in, which stays at home."""
        folders = {os.path.abspath(path.parent) for path in (*self.dataset.images, *self._asked)}
        return os.path.commonpath(folders)

    @property
    def _asked(self) -> list[Path]:
        return [query.path for query in self.dataset.queries] if self.queries is not None else []

    @property
    def image_names(self) -> list[str]:
        """The path of each image below `root`, with slashes."""
        return self._named(self.dataset.images)

    @property
    def query_names(self) -> list[str]:
        """The path of each query below `root`."""
        return self._named(self._asked)

    def _named(self, paths: Sequence[Path]) -> list[str]:
        return [Path(os.path.relpath(os.path.abspath(path), self.root)).as_posix() for path in paths]

    def texts(self) -> dict[str, list[str]]:
        """The names as text for formats that hold no other bytes.

        Raises
        ------
        ValueError : a name that is not UTF-8.
        """
        found = {"image_names": self.image_names, "query_names": self.query_names}
        for names in found.values():
            wrong = next((name for name in names if any(0xD800 <= ord(sign) <= 0xDFFF for sign in name)), None)
            if wrong is not None:
                shown = os.fsencode(wrong)
                raise ValueError(f"export_features: names must be UTF-8 in this format, got {shown!r}; export to .npz.")
        return found
