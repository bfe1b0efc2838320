"""Packing: arrays for a page, compressed and as text, each with what the page needs to read it."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

ALIGNED = 8  # typed arrays of a page begin at multiples of their items' size
KINDS = {"u1": "Uint8Array", "u2": "Uint16Array", "i2": "Int16Array", "u4": "Uint32Array", "i4": "Int32Array"}
KINDS |= {"f4": "Float32Array"}
TEXT_PER_BYTE = 4 / 3
"""Of base64."""


def pack(arrays: Mapping[str, np.ndarray]) -> tuple[dict[str, Any], str]:
    """Arrays one after the other, deflated, as base64; and the type, shape and first byte of each by its name.

    Raises
    ------
    ValueError : an array of a type that a page has no array for.
    """
    parts, layout, at = [], {}, 0
    for name, array in arrays.items():
        kind = array.dtype.str[1:]
        if kind not in KINDS:
            raise ValueError(f"pack: {name} must be of one of the types {', '.join(KINDS)}, got {array.dtype}.")
        data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        data += bytes(-len(data) % ALIGNED)
        layout[name] = {"type": KINDS[kind], "at": at, "length": array.size, "shape": list(array.shape)}
        parts.append(data)
        at += len(data)
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)  # "deflate-raw" of the page
    packed = squeezer.compress(b"".join(parts)) + squeezer.flush()
    return layout, base64.b64encode(packed).decode("ascii")


def join(files: Sequence[bytes]) -> tuple[np.ndarray, str]:
    """Files one after the other as base64, and where each begins (n + 1,); they are compressed already."""
    ends = np.cumsum([0, *map(len, files)]).astype(np.uint32)
    return ends, base64.b64encode(b"".join(files)).decode("ascii")


def narrow(values: np.ndarray) -> np.ndarray:
    """Whole numbers >= 0 as the smallest type that holds them."""
    largest = int(values.max(initial=0))
    return values.astype(np.uint16 if largest < 2**16 else np.uint32)


def thousandths(scores: np.ndarray) -> np.ndarray:
    """Scores in thousandths, as captions show them; int16 where that holds them, else int32 and no farther than it."""
    whole = np.rint(np.asarray(scores, np.float64) * 1000).clip(-(2**31) + 1, 2**31 - 1)
    fits = not whole.size or np.abs(whole).max() < 2**15
    return whole.astype(np.int16 if fits else np.int32)


def on_grid(points: np.ndarray) -> np.ndarray:
    """The places of a map (N, 2) on a grid of 65,536 by 65,536 with one scale for both axes, from its lower left."""
    low = points.min(axis=0, initial=np.inf) if len(points) else np.zeros(2)
    span = float(np.ptp(points, axis=0).max(initial=0)) if len(points) else 0.0
    return np.rint((points - low) * ((2**16 - 1) / span if span > 0 else 0.0)).astype(np.uint16)
