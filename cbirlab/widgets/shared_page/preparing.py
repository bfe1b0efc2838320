"""Preparing: every setting of a plan ranked for all questions, judged and mapped, by the session that panels ask."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.base.notices import notify
from cbirlab.base.progress import bar
from cbirlab.evaluation.metrics import POOLED
from cbirlab.index import Ranking
from cbirlab.pipeline import table_row
from cbirlab.projection import honesty, project
from cbirlab.widgets.panels.sessions import key_of
from cbirlab.widgets.parts import views
from cbirlab.widgets.parts.map_worth import honest_line
from cbirlab.widgets.parts.question import Question
from cbirlab.widgets.parts.results import Results
from cbirlab.widgets.shared_page.packing import narrow, on_grid, thousandths

if TYPE_CHECKING:
    from cbirlab.live import Session
    from cbirlab.pipeline import Run
    from cbirlab.widgets.parts.state import Setting


@dataclass(eq=False)
class Prepared:
    """What a page shows of S settings for Q questions.

    Attributes
    ----------
    questions : the queries, or the images of a dataset without queries.
    rows : (Q, S, K) database rows, best first; what follows the last answer is 0.
    counts : (Q, S) answers in each list, at most K.
    scores : (Q, S, K) thousandths.
    legends : of each question, the marks that its answers can have.
    impossible : setting to the reason why it cannot be; the following have no entry for it.
    heads, tables : setting to HTML: what the gallery shows, and its mAP with intervals.
    table_rows : setting to its row of `compare`.
    ap : level to (S, Q) average precision, NaN where a query has no right answer; empty without ground truth.
    groups : (Q,) of the queries, for the paired test; None where there is none.
    maps : (M, N, 2) places on a grid.
    map_of : method of projection to the map of each setting.
    honest : how far to trust each map.
    """

    questions: list[Question]
    rows: np.ndarray
    counts: np.ndarray
    scores: np.ndarray
    legends: list[Sequence[str]]
    impossible: dict[int, str] = field(default_factory=dict)
    heads: dict[int, str] = field(default_factory=dict)
    tables: dict[int, str] = field(default_factory=dict)
    table_rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    ap: dict[str, np.ndarray] = field(default_factory=dict)
    groups: np.ndarray | None = None
    maps: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 2), np.uint16))
    map_of: dict[str, list[int]] = field(default_factory=dict)
    honest: list[str] = field(default_factory=list)


def questions_of(session: Session) -> list[Question]:
    """The queries of a dataset, or each of its images if it has none."""
    dataset = session.dataset
    if dataset.queries:
        return [Question(query=number) for number in range(len(dataset.queries))]
    return [Question(image=row) for row in range(len(dataset.images))]


def prepare(session: Session, settings: Sequence[Setting], shown: int, *, progress: bool = True) -> Prepared:
    """Rank and judge all settings for all questions, and keep the first `shown` results of each list.

    Raises
    ------
    ValueError : no setting is possible.
    """
    questions, dataset = questions_of(session), session.dataset
    shown = min(shown, len(dataset.images))
    shape = len(questions), len(settings), shown
    rows, scores = np.zeros(shape, np.int64), np.zeros(shape)
    made = Prepared(questions, rows, np.zeros(shape[:2], np.uint16), scores, [()] * len(questions))
    said: list[str] = []
    for place, setting in enumerate(bar(settings, desc="ranking", unit="setting", show=progress)):
        try:
            with warnings.catch_warnings(record=True) as told:
                run = session.rank(*setting)
        except ValueError as error:  # such as more bits of a code than the descriptors have dimensions
            made.impossible[place] = str(error)
            continue
        said += [str(one.message) for one in told]
        for number, results in enumerate(_answers(session, setting, run, questions, shown)):
            count = len(results.rows)
            rows[number, place, :count], scores[number, place, :count] = results.rows, results.scores
            made.counts[number, place], made.legends[number] = count, results.legend
        _judge(made, session, place, setting, run)
    _tell_impossible(made, len(settings))
    _tell_alike(said)
    made.rows, made.scores = narrow(rows), thousandths(scores)
    return made


def _tell_impossible(made: Prepared, count: int) -> None:
    if not made.impossible:
        return
    first = next(iter(made.impossible.values()))
    if len(made.impossible) == count:
        raise ValueError(f"save_page: none of the {count} settings is possible; the first says: {first}")
    said = f"save_page: {len(made.impossible)} of {count} settings are impossible; the page says why, as: {first}"
    notify(said)


def _tell_alike(said: Sequence[str]) -> None:
    """Warn once of what was said of many settings in other numbers."""
    alike: dict[str, list[str]] = {}
    for text in said:
        alike.setdefault(re.sub(r"[\d.]+|map_\w+", "", text), []).append(text)
    for first, *more in alike.values():
        notify(first + (f" (And so for {len(more)} more settings.)" if more else ""))


def _answers(session: Session, setting: Setting, run: Run, questions: Sequence[Question], shown: int) -> list[Results]:
    """What a gallery shows of each question, from the rankings of the run or, for images, one by one."""
    if not session.dataset.queries:
        rankings = [question.rank(session, setting) for question in questions]
    else:
        first = run.ranking.top(shown + 1)  # one more, since the query's own picture may be left out
        rankings = [Ranking(first.images[[row]], first.scores[[row]]) for row in range(len(first))]
    found = zip(questions, rankings, strict=True)
    return [question.results(session.dataset, ranking, shown=shown) for question, ranking in found]


def _judge(made: Prepared, session: Session, place: int, setting: Setting, run: Run) -> None:
    """Keep what is said about a setting as a whole, in the words of the panels."""
    made.heads[place] = views.side_heading("A", setting.title(key_of(session)), run.metrics)
    made.tables[place] = views.metrics_table(run.metrics)
    made.table_rows[place] = table_row(run)
    if run.evaluation is not None:
        pooled = run.evaluation.protocol.main == POOLED  # of all queries together, so that no mean can be tested
        made.groups = None if pooled else run.evaluation.groups
        for level, ap in run.evaluation.per_query.items():
            shape = made.rows.shape[1], len(ap)
            made.ap.setdefault(level, np.full(shape, np.nan, np.float32))[place] = ap


def draw_maps(
    made: Prepared, session: Session, settings: Sequence[Setting], methods: Sequence[str], *, progress: bool = True
) -> None:
    """Project the descriptors of every setting, those that several settings share once."""
    places: dict[tuple[str, str], int] = {}
    drawn: list[np.ndarray] = []
    for method in methods:
        made.map_of[method] = []
        for place, setting in enumerate(bar(settings, desc="drawing maps", unit="map", show=progress)):
            if place in made.impossible:
                made.map_of[method].append(0)  # never asked for
                continue
            vectors, key = session.vectors(*setting)
            if (method, key) not in places:
                places[method, key] = len(drawn)
                found = project(vectors, method, store=session.store, key=key)
                drawn.append(on_grid(found.points))
                made.honest.append(honest_line(found, honesty(vectors, found.points)))
            made.map_of[method].append(places[method, key])
    if drawn:
        made.maps = np.stack(drawn)


def marks_of(session: Session, question: Question) -> tuple[dict[str, list[int]], str]:
    """The database rows of every mark in the answer to a question, and the mark of all the others."""
    every = range(len(session.dataset.images))
    marked: dict[str, list[int]] = {}
    for row, kind in zip(every, question.kinds(session.dataset, every), strict=True):
        marked.setdefault(kind, []).append(row)
    others = "wrong" if "wrong" in marked else ""
    return {kind: rows for kind, rows in marked.items() if kind not in ("", "wrong")}, others
