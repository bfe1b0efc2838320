"""Random generators that depend on a key alone, so any image can be made again by itself."""

from __future__ import annotations

import zlib

import numpy as np


def rng(*key: int | str) -> np.random.Generator:
    """Return the generator of a key, e.g. ``rng("benchmark", "landmark", 7)``.

    The same key gives the same numbers in any order of calls, in any process, on any machine.

    Raises
    ------
    TypeError
        If a part of the key is not a plain int or str (numpy scalars print differently between numpy versions).
    """
    for part in key:
        if type(part) not in (int, str):
            raise TypeError(f"rng: every part of the key must be a plain int or str, got {part!r}; convert it first.")
    return np.random.default_rng([zlib.crc32(repr(part).encode()) for part in key])
