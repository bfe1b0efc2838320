"""HammingBall: the bits of a query beside those of its first results, the rings around it, and what one bit does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import numpy as np

from cbirlab.compression.quality import BitUse, bit_use
from cbirlab.study.explain.bits import CodedQuery, Ring, coded_query
from cbirlab.widgets.panels.base_panel import side_by_side
from cbirlab.widgets.panels.code_panel import CodePanel, names_of
from cbirlab.widgets.parts import code_charts, views
from cbirlab.widgets.parts.bars import Bars
from cbirlab.widgets.parts.drawing import stack_pictures
from cbirlab.widgets.parts.gallery import Gallery
from cbirlab.widgets.parts.result_marks import MARKS
from cbirlab.widgets.parts.results import kinds_of_images, kinds_of_query
from cbirlab.widgets.parts.snapshot import picture_sheet
from cbirlab.widgets.parts.squares import Squares

if TYPE_CHECKING:
    from cbirlab.live import Session
    from cbirlab.study.explain.code_lens import Coded

FIRST, SHOWN = 8, 24
HINT = "Click a square, or move along with the arrow keys: what if the query had this bit the other way round?"


class HammingBall(CodePanel):
    """A binary code under the loupe: squares of bits, rings of equal distance with their ties, and the use of each bit.

    Parameters
    ----------
    session, given : as in `CodePanel`; the code is a binary one.

    Attributes
    ----------
    squares, rings : choose a bit, and a distance; the gallery shows what was chosen last.
    gallery : the images of a ring, or the first images after a bit of the query was flipped.
    seen, found, use : the `CodedQuery`, its rings, and the `BitUse` of the database.
    """

    hidden = ("distance",)  # rings are of equal bits

    @staticmethod
    def offered() -> Sequence[str]:
        """Those that keep bits."""
        return names_of(binary=True)

    def __init__(self, session: Session, **given: Any) -> None:
        self.rings, self.chart = Bars(grounded=True), widgets.HTML()
        self.seen: CodedQuery | None = None
        self.found: list[Ring] = []
        self.use: BitUse | None = None
        self._bit: int | None = None
        self._used: tuple[Any, BitUse] | None = None
        super().__init__(session, **given)

    def _arranged(self) -> list[Any]:
        self.squares = Squares(self.thumbnails, on_error=self.show_error, hint=HINT)
        self.gallery = Gallery(self.thumbnails, on_error=self.show_error)
        self.bits = widgets.HTML()
        return [side_by_side(self._side(), [self.squares, self.rings, self.gallery, self.bits])]

    def _connect(self) -> None:
        super()._connect()
        self.guard.observe(self.squares, "clicks", lambda: self.choose_bit(self.squares.chosen))
        self.guard.observe(self.rings, "clicks", lambda: self.choose_ring(self.rings.chosen))

    def choose_bit(self, bit: int) -> None:
        """Show what happens if this bit of the query is flipped."""
        if self.seen is not None and 0 <= bit < len(self.seen.bits):
            self._bit = self.squares.chosen = bit
            self.guard.run(self._show_choice)

    def choose_ring(self, distance: int) -> None:
        """Show the images at a distance."""
        if self.seen is not None:
            self._bit, self.squares.chosen, self.rings.chosen = None, -1, distance
            self.guard.run(self._show_choice)

    def _show(self, coded: Coded) -> None:
        own = self.question.own_row(self.session.dataset)
        before = self.seen
        code: Any = coded.code
        self.seen = coded_query(code, coded.codes, self._row(coded), empty=coded.empty, own=own)
        self.found = self.seen.rings()
        if self._used is None or self._used[0] is not code:
            self._used = code, bit_use(coded.codes, code.bits_)
        self.use = self._used[1]
        if before is None or len(before.bits) != len(self.seen.bits) or self._bit is None:
            self._bit = None
        self._show_squares(self.seen, self.use)
        counts = self._counts()
        nearest = self.found[0].distance if self.found else 0
        title = f"Images at each Hamming distance, 0 to {len(counts) - 1}: click a bar, or use the arrow keys"
        self.rings.show(counts, self._ring_words(counts), title=title, chosen=nearest)
        self.said.value = views.note(self._ties_in_words())
        self._show_choice()

    def _show_squares(self, seen: CodedQuery, use: BitUse) -> None:
        first = seen.order[:FIRST]
        bits = np.concatenate([seen.bits[None], seen.bits_of(first)])
        self._bits_shown = bits
        differing = (bits[1:] != bits[:1]).sum(axis=1)
        self._captions = ["query", *(f"{place} · {many} bits" for place, many in enumerate(differing, start=1))]
        title = f"{self.compression}: {bits.shape[1]} bits, {-(-bits.shape[1] // 8)} bytes; {self.question.words} first"
        labels = bit_words(bits, use, seen.strength)
        looks = {"captions": self._captions, "labels": labels, "title": title}
        chosen = -1 if self._bit is None else self._bit
        self.squares.show([self.item, *first], bits, strength=seen.strength.tolist(), chosen=chosen, **looks)

    def _counts(self) -> list[int]:
        """Images at each distance, from 0 on."""
        counts = [0] * (self.found[-1].distance + 1 if self.found else 1)
        for ring in self.found:
            counts[ring.distance] = len(ring.rows)
        return counts

    def _ring_words(self, counts: Sequence[int]) -> list[str]:
        rings = {ring.distance: ring for ring in self.found}
        return [ring_words(rings[at]) if at in rings else f"Distance {at}: no image" for at in range(len(counts))]

    def _ties_in_words(self) -> str:
        if not self.found:
            return "No image has a descriptor."
        images = sum(len(ring.rows) for ring in self.found)
        shared = sum(len(ring.rows) for ring in self.found if len(ring.rows) > 1)
        tenth = next((ring for ring in self.found if ring.last >= 10), self.found[-1])
        said = f"{images} images stand at {len(self.found)} distances; {shared} of them share theirs. "
        if len(tenth.rows) == 1:
            return said + f"The one at place {tenth.first} has no equal."
        return said + f"The tenth place is one of {len(tenth.rows)} that are equal ({tenth.first} to {tenth.last})."

    def _show_choice(self) -> None:
        if self.seen is None or self.use is None:
            return
        chosen = -1 if self._bit is None else self._bit
        drawn = code_charts.use_chart(self.use, chosen)
        self.bits.value = drawn.svg(f"Balance and correlation of {len(self.use.balance)} bits")
        if self._bit is not None:
            self._show_flipped(self.seen, self._bit)
            return
        ring = next((one for one in self.found if one.distance == self.rings.chosen), None)
        rows = [] if ring is None else ring.rows[:SHOWN].tolist()
        title = f"Distance {self.rings.chosen}: no image" if ring is None else ring_words(ring)
        more = f"; the first {SHOWN} by number" if ring is not None and len(ring.rows) > SHOWN else ""
        self._show_rows(rows, title + more, [f"{self.rings.chosen} bits"] * len(rows), [])

    def _show_flipped(self, seen: CodedQuery, bit: int) -> None:
        other = seen.flipped(bit)
        was = {row: place for place, row in enumerate(seen.order.tolist(), start=1)}
        rows = other.order[:SHOWN].tolist()
        moves = [was[row] - place for place, row in enumerate(rows, start=1)]
        notes = ["=" if not move else f"▲ {move}" if move > 0 else f"▼ {-move}" for move in moves]
        nearer = int((other.distances < seen.distances).sum())
        new = len({*rows[:10]} - {*seen.order[:10].tolist()})
        title = (
            f"Bit {bit} of the query flipped: {nearer} images come one bit nearer, {len(was) - nearer} move one away; "
            f"{new} of the first {min(10, len(rows))} {'is' if new == 1 else 'are'} new"
        )
        captions = [f"{place}  ·  was {was[row]}" for place, row in enumerate(rows, start=1)]
        self._show_rows(rows, title, captions, notes)

    def _show_rows(self, rows: list[int], title: str, captions: list[str], notes: list[str]) -> None:
        dataset = self.session.dataset
        of_query = self.item >= len(dataset.images)
        kinds = (
            kinds_of_query(dataset, self.state.query, rows) if of_query else kinds_of_images(dataset, [self.item], rows)
        )
        legend = [name for name in MARKS if name in {*kinds}]
        looks = {"captions": captions, "kinds": kinds, "notes": notes, "title": title, "legend": legend}
        self.gallery.show(rows, ahead=False, **looks)  # any image may be in a ring: the page asks for those it lacks

    def _still(self, coded: Coded) -> Any:
        bit = -1 if self._bit is None else self._bit
        squares = code_charts.squares_chart(self._bits_shown, self._captions, bit, self.squares.title)
        title = f"Images at each Hamming distance from {self.question.words[0].lower()}{self.question.words[1:]}"
        rings = code_charts.rings_chart(self._counts(), self.rings.chosen, title)
        return stack_pictures(
            [squares.image(), rings.image(), picture_sheet(self.gallery.marked(), title=self.gallery.title)]
        )


def ring_words(ring: Ring) -> str:
    """A ring in a sentence."""
    if len(ring.rows) == 1:
        return f"Distance {ring.distance}: 1 image, at place {ring.first}"
    return f"Distance {ring.distance}: {len(ring.rows)} images share places {ring.first} to {ring.last}"


def bit_words(bits: np.ndarray, use: BitUse, strength: np.ndarray) -> list[str]:
    """A sentence for each bit: how the database uses it, and how sure the query's is."""
    differing = (bits[1:] != bits[:1]).sum(axis=0)
    return [
        f"Bit {bit}: 1 in {(1 + use.balance[bit]) / 2:.0%} of the images, mean |correlation| {use.correlation[bit]:.2f}"
        f"; the query has {int(bits[0, bit])}, its output {strength[bit]:.0%} of the largest; {differing[bit]} of the "
        f"{len(bits) - 1} results differ"
        for bit in range(bits.shape[1])
    ]
