"""MatchView: which places of two pictures make their score."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from cbirlab.study.explain import Match, words
from cbirlab.study.explain.paint import OPACITY, beside, paint_map, with_numbers
from cbirlab.widgets.panels.base_panel import side_by_side
from cbirlab.widgets.panels.look_panel import LookPanel, opacity_slider, whole_slider
from cbirlab.widgets.parts import views
from cbirlab.widgets.parts.controls import DESCRIPTION, LAYOUT
from cbirlab.widgets.parts.drawing import titled_sheet
from cbirlab.widgets.parts.gallery import Gallery
from cbirlab.widgets.parts.results import Results
from cbirlab.widgets.parts.snapshot import picture_html
from cbirlab.widgets.parts.state import usual_start
from cbirlab.widgets.parts.tooltips import titled

if TYPE_CHECKING:
    from PIL import Image

    from cbirlab.live import Session

SHOWN = 8
SIDE = 400
SHARING = "Whether each place is compared with the average image, which whitening takes off, or with nothing"
NUMBERED, MOST_NUMBERED = 5, 9


class MatchView(LookPanel):
    """A query and one of its results side by side, each overlaid with what its places add to their score.

    Parameters
    ----------
    session, given : as in `LookPanel`.
    shown : results to choose from.

    Attributes
    ----------
    other : database row of the second picture; None for the first result.
    share_mean : tick box; whether each place is compared with the average image that whitening subtracts.
    match : the `Match` that is shown.
    """

    def __init__(self, session: Session, *, shown: int = SHOWN, **given: Any) -> None:
        self.shown = shown
        self.opacity = opacity_slider(OPACITY)
        self.numbers = whole_slider("numbered", 0, MOST_NUMBERED, NUMBERED)
        self.share_mean = widgets.Checkbox(
            value=True, indent=True, style=DESCRIPTION, layout=LAYOUT, **titled("share the mean out", SHARING)
        )
        self.facts = widgets.HTML()
        self.left, self.right = (widgets.HTML(layout={"flex": "1 1 200px", "min_width": "0"}) for _ in range(2))
        self.results = Results("", (), (), ())
        self.other: int | None = None
        self.match: Match | None = None
        self._seen: int | None = None
        self.moved = self.opacity, self.numbers, self.share_mean
        super().__init__(session, **given)

    @staticmethod
    def _usual(session: Session) -> dict[str, Any]:
        """Start with a setting whose division is exact and shows most."""
        usual = usual_start(session, "pca")
        return usual | ({"aggregation": "spoc"} if "spoc" in session.methods else {})

    def _arranged(self) -> list[Any]:
        self.gallery = Gallery(self.thumbnails, on_error=self.show_error, arrangement="strip", side=110)
        side = [*self.controls, self.share_mean, self.numbers, self.opacity, self.facts, self.note]
        both = widgets.HBox([self.left, self.right], layout={"flex_flow": "row wrap"})
        return [side_by_side(side, [self.gallery, both])]

    def _connect(self) -> None:
        super()._connect()
        self.guard.observe(self.gallery, "clicks", lambda: self.choose(self.gallery.picked))

    def choose(self, row: int) -> None:
        """Show the match with another database image."""
        self.other = row
        self.ask()

    def _draw(self) -> None:
        setting, item = self.state.setting, self.item
        if item != self._seen:
            self.other, self._seen = None, item
        dataset, question = self.session.dataset, self.question
        self.results = question.results(dataset, question.rank(self.session, setting), shown=self.shown)
        if not self.results.rows:
            if len(dataset.images) > 1:
                raise ValueError("MatchView: this picture has no descriptor, so it finds nothing; choose another one.")
            raise ValueError(f"MatchView: {dataset.name} holds no other image to compare this one with; add one.")
        other = self._partner
        self.results.show_in(self.gallery)  # before the pictures, because the text would push them down later
        self.gallery.current = other
        if setting.stages:
            raise ValueError(
                "MatchView: a stage after whitening changes the score, which cannot be divided among places then; set "
                f"{', '.join(name for name, _ in setting.stages)} to none."
            )
        self.match = self.looker.match(item, other, *setting[:4], share_mean=self.share_mean.value)
        pictures, names = self._painted(self.match), (question.words, f"Database image {other}")
        for html, image, name, heat in zip(
            (self.left, self.right), pictures, names, (self.match.heat_a, self.match.heat_b), strict=True
        ):
            html.value = picture_html(image, f"{name}: of what speaks for the match, {words(heat)}", name)
        self.strip.current = item
        self.facts.value = match_table(self.match)

    @property
    def _partner(self) -> int:
        return self.other if self.other is not None else self.results.rows[0]

    def _painted(self, match: Match) -> list[Image.Image]:
        pairs = match.pairs(self.numbers.value)
        sides = [(self.item, match.heat_a, [one.a for one in pairs])]
        sides += [(self._partner, match.heat_b, [one.b for one in pairs])]
        found = []
        for item, heat, places in sides:
            image = paint_map(self.looker.picture(item), heat, opacity=self.opacity.value, signed=True, side=SIDE)
            found.append(with_numbers(image, places, (heat.shape[0], heat.shape[1])))
        return found

    def _sheet(self) -> Image.Image | None:
        if self.match is None:
            return None
        title = f"{self.question.words} and Database image {self._partner}: {score_words(self.match)}"
        note = f"{self.state.setting.words}. {method_words(self.match)}"
        return titled_sheet(beside(self._painted(self.match)), title, note)


def score_words(match: Match) -> str:
    """The score as a sum."""
    return f"score {match.score:.3f} = places {match.heat_a.sum():+.3f}, mean {match.mean_a:+.3f}"


def method_words(match: Match) -> str:
    """Say how far the division can be trusted."""
    if match.exact:
        return "Exact: this pooling is a weighted sum, and these are its summands."
    return (
        "Approximate: this pooling is no sum. Each channel is given to the places that decide it; the parts add up to "
        "the score, but another division would too."
    )


def match_table(match: Match) -> str:
    """Score, parts and what they mean, as HTML."""
    rows = [
        ("what all places add", match.heat_a.sum(), match.heat_b.sum()),
        ("of it, what speaks for it", match.heat_a.clip(min=0).sum(), match.heat_b.clip(min=0).sum()),
        ("of it, what speaks against it", match.heat_a.clip(max=0).sum(), match.heat_b.clip(max=0).sum()),
        ("what the whitening's mean adds", match.mean_a, match.mean_b),
        ("score", match.score, match.score),
    ]
    body = "".join(
        f"<tr><td>{escape(name)}</td>" + "".join(f"<td>{value:+.3f}</td>" for value in values) + "</tr>"
        for name, *values in rows
    )
    table = f"<table class='cbirlab-comparison'><tr><th></th><th>left</th><th>right</th></tr>{body}</table>"
    meaning = (
        "Bright places speak for the match, dark blue ones against it, each picture on its own scale. Equal numbers "
        "mark the strongest places on the left and the best partner of each on the right."
    )
    return table + views.note(f"{method_words(match)} {meaning}")
