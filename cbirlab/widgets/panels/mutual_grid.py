"""MutualGrid: who lists whom around a query, whom the 2/3 rule brings in, and how neighbourhoods overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from cbirlab.study.explain.mutual import Mutual, Overlap, mutual_neighbours
from cbirlab.study.explain.rerank_lens import rerank_one
from cbirlab.widgets.panels.base_panel import side_by_side
from cbirlab.widgets.panels.look_panel import LookPanel, whole_slider
from cbirlab.widgets.panels.rerank_beside import FIELD
from cbirlab.widgets.parts import pair_charts, views
from cbirlab.widgets.parts.drawing import Drawing, stack_pictures
from cbirlab.widgets.parts.gallery import Gallery
from cbirlab.widgets.parts.results import count_right
from cbirlab.widgets.parts.snapshot import picture_sheet

if TYPE_CHECKING:
    from cbirlab.live import Session

MOST_K1, MOST_K2 = 25, 10
ABOUT = (
    "The neighbourhood of the query is whom it lists and who lists it back. It takes up the smaller neighbourhood (of "
    "half k1) of each of these that has more than 2/3 of it inside already. Images are alike if the weights of their "
    "neighbourhoods overlap."
)


class MutualGrid(LookPanel):
    """k-reciprocal encoding under the loupe: a grid of lists, and the Jaccard distance of one image from the query.

    Parameters
    ----------
    session, given : as in `LookPanel`; images have one vector each.
    k1, k2 : what the sliders start with, see `k_reciprocal`.

    Attributes
    ----------
    k1, k2 : the sliders.
    images : those of the grid, numbered alike; a click chooses one.
    image : row of the chosen one; None for the first.
    seen, shared : the `Mutual` that is drawn, and the `Overlap` of the chosen image.
    """

    def __init__(self, session: Session, *, k1: int = 10, k2: int = 3, **given: Any) -> None:
        self.k1, self.k2 = whole_slider("k1", 2, MOST_K1, k1), whole_slider("k2", 1, MOST_K2, k2)
        self.moved = self.k1, self.k2
        self.bars, self.said = widgets.HTML(), widgets.HTML()
        self.image: int | None = None
        self.seen: Mutual | None = None
        self.shared: Overlap | None = None
        self._asked = -1  # the query to which `image` belongs
        super().__init__(session, **given)

    def _arranged(self) -> list[Any]:
        self.images = Gallery(self.thumbnails, on_error=self.show_error, arrangement="strip", side=92)
        side = [*self.moved, *self.controls, self.said, widgets.HTML(views.note(ABOUT)), self.note]
        return [side_by_side(side, [self.images, self.bars, self.chart])]

    def _connect(self) -> None:
        super()._connect()
        self.guard.observe(self.images, "clicks", lambda: self.choose(self.images.picked))

    def choose(self, image: int) -> None:
        """Show how another image of the grid overlaps with the query."""
        self.image = image
        self.ask()

    def _draw(self) -> None:
        self.strip.current = self.item
        k1, k2 = self.k1.value, self.k2.value
        setting = self.state.setting.with_stage(FIELD, f"k_reciprocal(k1={k1}, k2={k2})")
        self.seen = seen = mutual_neighbours(rerank_one(self.session, setting, self.item).before, k1, k2)
        rows = seen.images.tolist()
        if not rows:
            raise ValueError("MutualGrid: there is no other image with a descriptor to compare this picture with.")
        kept = self._asked == self.item and self.image in rows
        chosen: int = rows[rows.index(self.image)] if kept else rows[0]
        self.image, self._asked = chosen, self.item
        self.shared = seen.overlap(chosen)
        self._kinds = self.question.kinds(self.session.dataset, rows)
        captions = [f"{number} · J {value:.2f}" for number, value in enumerate(seen.jaccard, start=1)]
        inside = zip(seen.core[1:], seen.grown[1:], strict=True)
        notes = ["⇄" if core else "＋" if grown else "" for core, grown in inside]
        title = f"{self.question.words}: its {seen.near} nearest. ⇄ lists it back, ＋ is brought in. Choose one"
        self.images.show(rows, captions=captions, kinds=self._kinds, notes=notes, title=title)
        self.images.current = chosen
        for html, (drawing, alt) in zip((self.chart, self.bars), self._charts(), strict=True):
            html.value = drawing.svg(alt)
        self.said.value = views.note(self._words(seen))

    def _charts(self) -> list[tuple[Drawing, str]]:
        """Grid and bars, and the words that describe them."""
        if self.seen is None or self.shared is None or self.image is None:
            return []
        numbers = {row: str(number) for number, row in enumerate(self.seen.images.tolist(), start=1)}
        chosen = numbers[self.image]
        title = f"Who lists whom among the {self.k1.value} nearest"
        jaccard = f"Image {chosen}: Jaccard distance {self.shared.jaccard:.3f} from the query"
        return [
            (pair_charts.grid_chart(self.seen, self._kinds, int(chosen), title), f"{title}. {self._words(self.seen)}"),
            (pair_charts.overlap_chart(self.shared, numbers, f"image {chosen}"), jaccard),
        ]

    def _words(self, seen: Mutual) -> str:
        def right(inside: Any) -> str:
            among = count_right(kind for kind, counts in zip(self._kinds, inside, strict=True) if counts)
            return f" ({among} right)" if any(self._kinds) else ""

        core, new = seen.core[1:], seen.grown[1:] & ~seen.core[1:]
        return (
            f"Of the {seen.near} nearest{right(seen.core[1:] | True)}, {int(core.sum())} list the query back"
            f"{right(core)}. The 2/3 rule brings in {int(new.sum())}{right(new) if new.any() else ''}."
        )

    def _sheet(self) -> Any:
        charts = [drawing.image() for drawing, _ in self._charts()[::-1]]
        if not charts:
            return None
        return stack_pictures([picture_sheet(self.images.marked(), title=self.images.title), *charts])
