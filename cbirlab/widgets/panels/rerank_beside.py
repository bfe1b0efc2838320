"""RerankBeside: the answer before re-ranking and after it, which images were asked, and who wins and loses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import numpy as np

from cbirlab.fusion import versus
from cbirlab.study.explain.rerank_lens import Reranked, rerank_one
from cbirlab.widgets.panels.base_panel import in_columns, side_by_side
from cbirlab.widgets.panels.look_panel import LookPanel
from cbirlab.widgets.panels.setting_side import gone, moved
from cbirlab.widgets.parts import views
from cbirlab.widgets.parts.bars import Bars
from cbirlab.widgets.parts.chain_control import ChainControl
from cbirlab.widgets.parts.drawing import stack_pictures
from cbirlab.widgets.parts.gallery import Gallery
from cbirlab.widgets.parts.results import Results, count_right, kinds_of_query
from cbirlab.widgets.parts.snapshot import picture_sheet
from cbirlab.widgets.parts.state import Setting

if TYPE_CHECKING:
    import pandas as pd

    from cbirlab.live import Session
    from cbirlab.pipeline import Run

SHOWN, TILE, COLUMN = 16, 88, 280
FIELD = "rerank"


class RerankBeside(LookPanel):
    """Two galleries, before and after re-ranking, and a bar for each query: what it won or lost.

    In the first gallery, images that were added to the query have a plus and how much they counted, and those that were
    compared with it the number of matches that agree; in the second, images say how far they have moved. A loss has its
    cause in the first row: wrong images with a plus.

    Parameters
    ----------
    session, given : as in `LookPanel`; images have one vector each.
    rerank : the chain to start with.

    Attributes
    ----------
    rerank : the controls of the chain.
    found : what is shown of the present query; None before the first drawing.
    bars : a bar per query, the largest win first; empty without ground truth.
    """

    def __init__(self, session: Session, *, rerank: str = "decay", **given: Any) -> None:
        self.bars, self.summary, self.said = Bars(), widgets.HTML(), widgets.HTML()
        self.found: Reranked | None = None
        self.frame: pd.DataFrame | None = None
        self._start = rerank
        super().__init__(session, **given)

    def _arranged(self) -> list[Any]:
        self.rerank = ChainControl(FIELD, self._start, self.guard)
        self.moved = (self.rerank,)
        self.heads = [widgets.HTML(views.side_heading(name, "", {})) for name in ("before", "after")]
        self.galleries = [Gallery(self.thumbnails, on_error=self.show_error, side=TILE) for _ in self.heads]
        both = in_columns(zip(self.heads, self.galleries, strict=True), COLUMN)
        side = [self.rerank, *self.controls, self.said, self.note]
        return [side_by_side(side, [both, self.summary, self.bars])]

    def _connect(self) -> None:
        super()._connect()
        for gallery in self.galleries:
            self.guard.observe(gallery, "clicks", lambda gallery=gallery: self.pick(gallery.picked))
        self.guard.observe(self.bars, "clicks", self._bar_chosen)

    def _bar_chosen(self) -> None:
        """Make the query of a bar the query."""
        if self.frame is not None and 0 <= self.bars.chosen < len(self.frame):
            self.pick(len(self.session.dataset.images) + int(self.frame["query"].iloc[self.bars.chosen]))

    def _reranked(self, chain: str) -> Setting:
        """The setting with this chain in place of its own."""
        return self.state.setting.with_stage(FIELD, chain)

    def _settings(self) -> Sequence[Setting]:
        return [self._reranked("none"), self._reranked(self.rerank.value)]

    def _draw(self) -> None:
        self.strip.current = self.item
        self.found = rerank_one(self.session, self._reranked(self.rerank.value), self.item)
        before, after = (self._results(ranking) for ranking in (self.found.first, self.found.ranking))
        own = self.question.own_rows(self.session.dataset)
        went = gone(before, after, self.found.ranking, own)
        before.show_in(self.galleries[0], notes=_badges(self.found, before, went))
        after.show_in(self.galleries[1], notes=moved(after, before, self.found.first, own))
        self.heads[1].value = views.side_heading("after", str(self.rerank.value), {})
        words = self._words()
        self.said.value = views.note(words) if words else ""

    def _results(self, ranking: Any) -> Results:
        return self.question.results(self.session.dataset, ranking, shown=SHOWN)

    def _words(self) -> str:
        """What was asked, and how much of it was right."""
        added = self.found.added if self.found else {}
        if not added:
            return ""
        kinds = self.question.kinds(self.session.dataset, list(added))
        known = f", {count_right(kinds)} of them right" if any(kinds) else ""
        images = "1 image was" if len(added) == 1 else f"{len(added)} images were"
        return f"{images} added to the query{known}."

    def _draw_rest(self) -> None:
        runs = [self.session.rank(*setting) for setting in self._settings()]
        if any(run.evaluation is None for run in runs):
            self.summary.value = views.note("There is no ground truth, so nobody wins or loses.")
            return
        self.frame = versus(runs[1], runs[0])
        about, places, right = self.frame.attrs, list(self.frame["query"]), right_among_added(runs[1])
        query = self.item - len(self.session.dataset.images)
        labels = bar_words(self.frame, right)
        title = f"{about['title']}, after less before, a bar per query: click one, or use the arrow keys"
        chosen = places.index(query) if query in places else 0
        self.bars.show(self.frame["difference"].tolist(), labels, title=title, chosen=chosen)
        self.summary.value = views.note(
            f"Better on {about['a_wins']}, worse on {about['b_wins']} of {about['queries']} queries; "
            f"{views.mean_difference(self.frame)}. {_by_precision(self.frame, right)}"
        )

    def _sheet(self) -> Any:
        if self.found is None:
            return None
        sheets = [
            picture_sheet(gallery.marked(), title=f"{name}: {gallery.title}")
            for name, gallery in zip(("before", f"after {self.rerank.value}"), self.galleries, strict=True)
        ]
        return stack_pictures(sheets)


def right_among_added(run: Run) -> Mapping[int, tuple[int, int]]:
    """For each query to which a run added images: how many of them are right answers, and how many they are."""
    if run.reranked is None or "neighbours" not in run.reranked.evidence:
        return {}
    evidence, found = run.reranked.evidence, {}
    for query, (images, weights) in enumerate(zip(evidence["neighbours"], evidence["weights"], strict=True)):
        added = images[weights != 0].tolist()
        found[query] = count_right(kinds_of_query(run.dataset, query, added)), len(added)
    return found


def bar_words(frame: pd.DataFrame, right: Mapping[int, tuple[int, int]]) -> list[str]:
    """A sentence for each query of a table of `versus`."""
    value, words = frame.attrs.get("value", "ap"), []
    for row in frame.to_dict("records"):
        added = "; {} of {} added images right".format(*right[row["query"]]) if row["query"] in right else ""
        words.append(
            f"Query {row['query']}: {row[f'{value}_b']:.3f} before, {row[f'{value}_a']:.3f} after, difference "
            f"{row['difference']:+.3f}{added}"
        )
    return words


def _by_precision(frame: pd.DataFrame, right: Mapping[int, tuple[int, int]]) -> str:
    """The mean difference of queries whose added images are all right, some of them, none."""
    counts = np.array([right.get(query, (0, 0)) for query in frame["query"]]).reshape(-1, 2)
    added, every, none = counts[:, 1] > 0, counts[:, 0] == counts[:, 1], counts[:, 0] == 0
    groups = {
        "all added images are right": added & every,
        "some are": added & ~every & ~none,
        "none is": added & none,
    }
    said = [
        f"{words} ({mask.sum()} of {len(mask)}): {frame['difference'][mask].mean():+.3f}"
        for words, mask in groups.items()
        if mask.any()
    ]
    return f"Mean difference of queries where {'; '.join(said)}." if said else ""


def _badges(found: Reranked, results: Results, otherwise: Sequence[str]) -> list[str]:
    """For every result before re-ranking: how much it counted, how many matches agree, or where it went."""
    notes = []
    for row, note in zip(results.rows, otherwise, strict=True):
        badge = [f"＋{found.added[row]:.2f}"] if row in found.added else []
        badge += [f"{found.inliers[row]} agree"] if row in found.inliers else []
        notes.append(" ".join([*badge, *([note] if note else [])]))
    return notes
