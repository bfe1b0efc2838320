"""Views of a training: the map that moves, pairs with one label, and a query's results before and after."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
from PIL import Image, ImageOps

from cbirlab.base.text import printable
from cbirlab.widgets.panels.base_panel import in_columns
from cbirlab.widgets.panels.live_training import ENDED, LiveTraining, Pair
from cbirlab.widgets.panels.setting_side import gone, moved
from cbirlab.widgets.parts import views
from cbirlab.widgets.parts.drawing import Drawing
from cbirlab.widgets.parts.gallery import Gallery, Thumbnails
from cbirlab.widgets.parts.question import Question
from cbirlab.widgets.parts.results import count_right, results_of_image, results_of_query
from cbirlab.widgets.parts.snapshot import jpeg_bytes, picture_sheet
from cbirlab.widgets.parts.training_charts import Plane, empty_map

if TYPE_CHECKING:
    from cbirlab.datasets import Dataset

SIDE, TILE, PAIR_TILE, COLUMN = 120, 88, 150, 320
SHAPE, PAIR = (SIDE, 3 * SIDE // 4), (2 * SIDE + 4, 3 * SIDE // 4)
STYLE = f"<style>.cbirlab-pairs .cbirlab-tile img {{ aspect-ratio: {PAIR[0]} / {PAIR[1]} }}</style>"


class MovingMap(widgets.HTML):
    """A dataset on the two axes of the start, by instance, drawn anew at each look.

    Attributes
    ----------
    drawing : what is shown.
    """

    def __init__(self, dataset: Dataset) -> None:
        instances = [*(dataset.instances or [""] * len(dataset.images)), *[""] * len(dataset.queries)]
        self._groups, self._name = [printable(one) for one in instances], printable(dataset.name)
        self._plane: tuple[LiveTraining, Plane] | None = None
        self._shown: Any = None
        super().__init__()
        self._draw(empty_map(), "A map that is still empty")

    def _draw(self, drawing: Drawing, words: str) -> None:
        self.drawing = drawing
        self.value = drawing.svg(words)

    def show(self, live: LiveTraining | None) -> None:
        """The dataset at the last look; once the training has ended, at the step that is kept."""
        if live is None or not live.looks:
            return
        ended = live.phase == ENDED and live.best is not None
        look = live.best if ended and live.best else live.looks[-1]
        known = (live, look.step, ended)
        if known == self._shown:
            return
        self._shown = known
        if self._plane is None or self._plane[0] is not live:
            self._plane = live, Plane(live.looks[0].rows, self._groups)
        when = f"after step {look.step}" + (", which is kept" if ended else "") if look.step else "at the start"
        self._draw(self._plane[1].chart(look.rows, f"{self._name} {when}"), f"The pictures of {self._name} {when}")


class PairThumbnails(Thumbnails):
    """Thumbnails of two pictures beside each other, by the number of the pair."""

    def __init__(self) -> None:
        super().__init__([], side=SIDE)
        self.pairs: list[tuple[Path, Path]] = []

    def number(self, one: Path, other: Path) -> int:
        """The number of a pair, which it keeps."""
        if (one, other) not in self.pairs:
            self.pairs.append((one, other))
        return self.pairs.index((one, other))

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, item: int) -> bytes:
        both = Thumbnails(self.pairs[item], side=SIDE)
        sheet = Image.new("RGB", PAIR, "#888888")
        for place in (0, 1):
            picture = ImageOps.fit(Image.open(io.BytesIO(both[place])).convert("RGB"), SHAPE)
            sheet.paste(picture, (place * (PAIR[0] - SHAPE[0]), 0))
        return jpeg_bytes(sheet)


class MinedPairs(widgets.VBox):
    """Pairs of pictures with one label, framed by whether they truly match.

    Parameters
    ----------
    most : pairs that are shown.
    """

    def __init__(self, most: int, on_error: Callable[[Exception], None]) -> None:
        self.most, self.thumbnails = most, PairThumbnails()
        self.gallery = Gallery(self.thumbnails, on_error=on_error, side=PAIR_TILE).add_class("cbirlab-pairs")
        self._shown: Any = None
        super().__init__([widgets.HTML(STYLE, layout={"display": "none"}), self.gallery])

    def show(self, live: LiveTraining | None) -> None:
        """The pairs of a training."""
        known = (live, len(live.pairs)) if live else None
        if known == self._shown:
            return
        self._shown = known
        pairs = live.pairs if live else []
        self.layout.display = None if pairs else "none"
        if not live or not live.work:
            return
        paths = live.work.learning.paths
        some = spread(pairs, self.most)
        self.gallery.show(
            [self.thumbnails.number(paths[pair.one], paths[pair.other]) for _, pair in some],
            captions=[f"pair {place}  ·  {pair.cosine:.3f}" for place, pair in some],
            kinds=[pair.true for _, pair in some],
            legend=[kind for kind in ("positive", "wrong") if any(pair.true == kind for pair in pairs)],
            title=_pair_title(pairs, live),
        )


def spread(pairs: Sequence[Pair], most: int) -> list[tuple[int, Pair]]:
    """Some pairs with their places from 1: half of them the first ones, the rest evenly from the others."""
    if len(pairs) <= most:
        return [*enumerate(pairs, start=1)]
    near = (most + 1) // 2
    step = (len(pairs) - near) / (most - near) if most > near else 1
    places = [*range(near), *(round(near + (number + 1) * step) - 1 for number in range(most - near))]
    return [(place + 1, pairs[place]) for place in places]


def _pair_title(pairs: Sequence[Pair], live: LiveTraining) -> str:
    kinds = [pair.true for pair in pairs]
    right = f", {count_right(kinds)} right, {kinds.count('wrong')} wrong" if any(kinds) else ""
    return f"Called the same by {live.training.labels}: {len(pairs)} pairs{right}; the most similar first"


class BeforeAfter(widgets.VBox):
    """The first results of one picture with the weights of the start, and with the best so far.

    Parameters
    ----------
    shown : results in each.
    """

    def __init__(
        self, dataset: Dataset, thumbnails: Thumbnails, shown: int, on_error: Callable[[Exception], None]
    ) -> None:
        self.dataset, self.shown = dataset, shown
        self.heads = [widgets.HTML() for _ in range(2)]
        self.galleries = [Gallery(thumbnails, on_error=on_error, side=TILE) for _ in range(2)]
        self._drawn: Any = None
        super().__init__([in_columns(zip(self.heads, self.galleries, strict=True), COLUMN)])
        self.layout.display = "none"

    def show(self, live: LiveTraining | None, item: int) -> None:
        """The results of a picture, by the id of its thumbnail."""
        if live is None or not live.looks or live.best is None or live.watched is None:
            return
        known = (live, live.best.step, item, live.phase == ENDED)
        if known == self._drawn:
            return
        self._drawn = known
        self.layout.display = None
        count = len(self.dataset.images)
        question = Question(query=max(0, item - count), image=item if item < count else None)
        both = [live.watched.ranking(look.rows, item) for look in (live.looks[0], live.best)]
        if question.image is None:
            found = [results_of_query(self.dataset, one, question.query, shown=self.shown) for one in both]
        else:
            found = [results_of_image(self.dataset, one, question.image, shown=self.shown) for one in both]
        own = question.own_rows(self.dataset)
        found[0].show_in(self.galleries[0], notes=gone(found[0], found[1], both[1], own))
        found[1].show_in(self.galleries[1], notes=moved(found[1], found[0], both[0], own))
        step = f"step {live.best.step}" if live.best.step else "the start"
        after = f"the step that is kept: {step}" if live.phase == ENDED else f"the best so far: {step}"
        for head, name, words in zip(self.heads, ("before", "after"), ("the start", after), strict=True):
            head.value = views.side_heading(name, words, {})

    def sheets(self) -> list[Image.Image]:
        """Both as still pictures, if they are there."""
        if self._drawn is None:
            return []
        return [picture_sheet(one.marked(), title=one.title) for one in self.galleries]
