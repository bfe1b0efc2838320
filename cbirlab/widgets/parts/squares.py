"""Squares: codes of pictures bit by bit, the query's first; a click or the arrow keys choose a bit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from traitlets import Bytes, Float, Int, List, Unicode

from cbirlab.widgets.parts.gallery import Pictures, page_text


class Squares(Pictures):
    """A row per picture and a square per bit: filled for 1, hollow for 0, crossed where it differs from the first row.

    Attributes
    ----------
    chosen : the bit chosen last, or -1; `clicks` counts the choices.
    strength : of each bit of the first row, from 0 (pale) to 1.
    labels : a sentence for each bit, read out and shown below; `hint` stands there while none is chosen.
    """

    _esm = page_text("thumbnails.js", "squares.js")
    _css = page_text("squares.css")

    title = Unicode().tag(sync=True)
    hint = Unicode().tag(sync=True)
    ids = List(Int()).tag(sync=True)
    captions = List(Unicode()).tag(sync=True)
    bits = Bytes().tag(sync=True)
    columns = Int(0).tag(sync=True)
    strength = List(Float()).tag(sync=True)
    labels = List(Unicode()).tag(sync=True)
    chosen = Int(-1).tag(sync=True)
    serial = Int(0).tag(sync=True)

    def show(
        self,
        ids: Sequence[int],
        bits: np.ndarray,
        *,
        strength: Sequence[float],
        captions: Sequence[str],
        labels: Sequence[str],
        chosen: int,
        title: str,
    ) -> None:
        """Show the bits (rows, K) of these pictures."""
        ids = [int(item) for item in ids]
        self.ship([item for item in ids if item not in self.thumbnails.shipped])
        values: dict[str, Any] = {"captions": list(captions), "labels": list(labels), "title": title, "chosen": chosen}
        with self.hold_sync():
            self.ids, self.columns = ids, bits.shape[1]
            self.bits, self.strength = bits.astype(np.uint8).tobytes(), [float(one) for one in strength]
            for name, value in values.items():
                setattr(self, name, value)
            self.serial += 1
