"""A side of the workbench: one setting, its controls, its gallery; and what differs between two sides."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import numpy as np

from cbirlab.evaluation import Evaluation, PairedTest, paired
from cbirlab.index import Ranking
from cbirlab.widgets.panels.sessions import Sessions, backbone_options, key_of
from cbirlab.widgets.panels.system_menu import SystemMenu
from cbirlab.widgets.parts import views
from cbirlab.widgets.parts.controls import RetrievalControls
from cbirlab.widgets.parts.folded_menu import FoldedMenu
from cbirlab.widgets.parts.gallery import ASKS, AUTO_SIDE, Gallery, Thumbnails
from cbirlab.widgets.parts.question import Question
from cbirlab.widgets.parts.results import Results
from cbirlab.widgets.parts.search_controls import SearchControls
from cbirlab.widgets.parts.state import RetrievalState, Setting, possible_tap

if TYPE_CHECKING:
    from cbirlab.live import Session
    from cbirlab.pipeline import Run


class Side:
    """One setting and what it finds.

    Parameters
    ----------
    name : "A" or "B".
    sessions : the sessions of all backbones on offer.
    thumbnails : shared by all galleries of the panel.
    state : the state to start with.
    session : its backbone is the one to start with; by default that of the first session.
    on_error : called with an exception that a callback raises.

    Attributes
    ----------
    session : the session of the backbone that is shown now.
    backbone : the menu; a value other than the session's backbone is one that the user wishes for.
    state, controls, search : the setting.
    systems : the menu of systems that sets it.
    ranking, results : found last; `results` is None before that.
    """

    def __init__(
        self,
        name: str,
        sessions: Sessions,
        thumbnails: Thumbnails,
        state: RetrievalState,
        *,
        session: Session | None = None,
        on_error: Callable[[Exception], None] | None = None,
    ) -> None:
        self.name, self.sessions, self.state = name, sessions, state
        self.session = session or sessions.first
        networks = backbone_options(sessions.names)
        self.backbone = FoldedMenu("backbone", "networks", key_of(self.session), *networks, on_error)
        self.controls = RetrievalControls(
            state,
            taps=self.session.taps,
            aggregations=self.session.methods,
            dimensions=lambda tap, aggregation: self.session.dimensions(tap, aggregation),
            on_error=on_error,
        )
        self.search = SearchControls(state, on_error=on_error)
        self.systems = SystemMenu(state, lambda: self.session, on_error)
        self.panel = widgets.VBox([self.backbone, self.systems, *self.controls.widgets, self.search]).add_class(
            f"cbirlab-side-{name.lower()}"
        )
        self.heading = widgets.HTML()
        self.gallery = Gallery(thumbnails, on_error=on_error, side=AUTO_SIDE, asks=ASKS)
        self.column = widgets.VBox(
            [self.heading, self.gallery], layout={"flex": "1 1 0", "min_width": "0", "overflow": "visible"}
        )
        self.ranking: Ranking | None = None
        self.results: Results | None = None
        self._good: dict[str, Any] = {}

    @property
    def setting(self) -> Setting:
        """The arguments of `Session.rank`."""
        return self.state.setting

    @property
    def title(self) -> str:
        """Backbone and setting in words."""
        return self.setting.title(self.backbone.value)

    @property
    def wish(self) -> str:
        """What has to be computed for this side, in words."""
        return self.title if len(self.sessions.names) > 1 else self.setting.slow

    @property
    def key(self) -> tuple[str, Setting]:
        """A key of what has to be computed for this side."""
        return self.backbone.value, self.setting

    def ready(self) -> bool:
        """Whether this side can be ranked at once."""
        return self.backbone.value == key_of(self.session) and self.session.ready(*self.setting)

    def adopt(self) -> bool:
        """Take over the session of the chosen backbone if it is open; return whether it is."""
        wanted = self.sessions.get(self.backbone.value)
        if wanted is None:
            return False
        if wanted is not self.session:
            self._take(wanted, self.state.tap)
        return True

    def make_ready(self) -> None:
        """Compute all that the setting of this side needs; slow, meant for a thread."""
        session = self.sessions.open(self.backbone.value)
        if session is self.session:  # a new session chooses its tap when it is taken over
            session.make_ready(*self.setting)

    def find(self, question: Question, *, shown: int, only: Collection[int]) -> None:
        """Rank the database for a question."""
        self.ranking = question.rank(self.session, self.setting)
        self.results = question.results(self.session.dataset, self.ranking, shown=shown, only=only)
        self._good = {"backbone": key_of(self.session), "state": self.state.to_json()}

    def run(self) -> Run:
        """Rank and judge all queries of the protocol."""
        return self.session.rank(*self.setting)

    def go_back(self) -> None:
        """Return to the setting that was shown last."""
        if self._good:
            self.take_over(self._good)

    def to_json(self) -> dict[str, Any]:
        """Backbone and setting as plain data."""
        session = self.session
        return {"backbone": key_of(session), "weights": session.common.weights, "state": self.state.to_json()}

    def take_over(self, saved: Mapping[str, Any]) -> None:
        """Take over what `to_json` kept; the backbone's session must be open.

        Raises
        ------
        ValueError : it is not open, or lacks the tap; or the pooling is not on offer here.
        """
        session = self.sessions.get(self.sessions.offer(saved["backbone"], saved.get("weights")))
        if session is None:
            raise ValueError(f"backbone {saved['backbone']!r} is not open; open are those that were chosen before.")
        self.controls.check(saved["state"], session.taps)
        self.backbone.value = key_of(session)
        if session is not self.session:
            self._take(session, saved["state"]["tap"])
        self.state.from_json(saved["state"])

    def _take(self, session: Session, tap: str) -> None:
        """Switch to another backbone: to the same tap if it has it, else to one where the pooling is possible."""
        self.session = session
        self.controls.offer_taps(session.taps, possible_tap(session, self.setting.aggregation, tap))

    def show(self, changes: Sequence[str] = ()) -> None:
        """Draw the gallery, with a note on each picture about what it is compared with."""
        if self.results is not None:
            self.results.show_in(self.gallery, notes=changes)

    def head(self, run: Run | None, *, compared: bool) -> None:
        """Say above the gallery what it shows; a single gallery needs no heading and has room for larger pictures."""
        self.heading.value = views.side_heading(self.name, self.title, run.metrics if run else {}) if compared else ""


def make_ready(sides: Sequence[Side]) -> None:
    """Compute what these sides need; slow, meant for a thread."""
    for side in sides:
        side.make_ready()


def pinnable(sides: Sequence[Side]) -> list[tuple[Mapping[str, Any], Evaluation | None]]:
    """The row of a table and the evaluation of each side.

    Raises
    ------
    ValueError : a side is still being computed.
    """
    for side in sides:
        if not side.ready():
            raise ValueError(f"{side.title} is still being computed; pin it when its gallery is there.")
    runs = [(side, side.run()) for side in sides]
    return [(side.session.table_row(run), run.evaluation) for side, run in runs]


def gone(results: Results, other: Results, ranking: Ranking, own: Sequence[int]) -> list[str]:
    """For every result of A, say where it went if B does not show it."""
    places = _places(ranking, own, results.rows)
    return ["" if row in {*other.rows} else f"gone ({_said(places[row], ranking)})" for row in results.rows]


def moved(results: Results, other: Results, ranking: Ranking, own: Sequence[int]) -> list[str]:
    """For every result of B, how many places it has moved up or down from A, or that A does not show it."""
    before = _places(ranking, own, results.rows)
    notes = []
    for row, place in zip(results.rows, results.places, strict=True):
        if row not in {*other.rows}:
            notes.append(f"new ({_said(before[row], ranking)})")
        elif before[row] == place:
            notes.append("=")
        else:
            notes.append(f"▲ {before[row] - place}" if before[row] > place else f"▼ {place - before[row]}")
    return notes


def _places(ranking: Ranking, own: Sequence[int], rows: Sequence[int]) -> dict[int, int]:
    """The place from 1 of each of `rows` in a ranking of one query, without the query's own rows.

    A row that a cut list does not hold gets the place after its last one.
    """
    images = ranking.images[0]
    found = np.flatnonzero(np.isin(images, list(rows)))
    before = np.cumsum(~np.isin(images, own))
    behind = dict.fromkeys(rows, len(images) + 1)
    return behind | {int(images[place]): int(before[place]) for place in found}


def _said(place: int, ranking: Ranking) -> str:
    """A place in words; beyond the end of a cut list nobody knows it."""
    listed = ranking.images.shape[1]
    return str(place) if place <= listed else f"after {listed}"


def difference(a: Run, b: Run) -> tuple[dict[str, PairedTest], dict[str, tuple[int, int]]]:
    """Level to the mean of B - A over all queries with its paired test, and level to the queries that A and B win."""
    if a.evaluation is None or b.evaluation is None:
        return {}, {}
    pairs = {level: (ap, b.evaluation.per_query[level]) for level, ap in a.evaluation.per_query.items()}
    tests = {level: paired(b.evaluation, a.evaluation, level) for level in pairs}
    return tests, {level: (int((x > y).sum()), int((y > x).sum())) for level, (x, y) in pairs.items()}
