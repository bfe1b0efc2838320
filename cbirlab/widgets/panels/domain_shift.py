"""DomainShift: two kinds of pictures on one map, tap by tap, and how far apart they lie."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import numpy as np

from cbirlab.adaptation.shift import domain_rows
from cbirlab.base.recent import Recent
from cbirlab.projection import project
from cbirlab.widgets.panels.base_panel import Panel
from cbirlab.widgets.parts import views
from cbirlab.widgets.parts.controls import menu
from cbirlab.widgets.parts.gallery import Thumbnails, page_text
from cbirlab.widgets.parts.scatter import Scatter

if TYPE_CHECKING:
    from cbirlab.datasets import Dataset

MOST_TAPS = 64
ABOUT = (
    "The map is PCA of both together at this tap. Distances are those of whole descriptors. The proxy A-distance is 0 "
    "if no plane tells the domains apart, 2 if one does without a mistake. A floor is what halves of one domain have."
)


class DomainShift(Panel):
    """Pictures of two domains as points of one map, coloured by domain, with a menu of taps.

    Parameters
    ----------
    one, other : domains as in `domain_shift`.
    tap : the tap to start with; the deepest map by default.
    given : other arguments of `domain_shift`, such as `backbone`, `weights` and `images`.
    pause : seconds between the map and the distances; 0 measures them at once.

    Attributes
    ----------
    tap : menu of taps.
    found : the `DomainRows` of both.
    scatter : the map; the pictures of `one` come first.
    measured : of the tap that is shown, as in a row of `domain_shift`.
    """

    def __init__(
        self,
        one: str | Path | Dataset,
        other: str | Path | Dataset,
        *,
        tap: str | None = None,
        seed: int = 0,
        pause: float = 0.08,
        **given: Any,
    ) -> None:
        super().__init__(pause)
        self.found, self.seed = domain_rows(one, other, seed=seed, **given), seed
        self.measured: dict[str, float] = {}
        self._known: Recent = Recent(MOST_TAPS)
        taps = list(self.found.rows)
        self.tap = menu([(name, name) for name in taps], description="tap")
        self.tap.value = tap or self.found.deepest
        paths = self.found.paths
        self.scatter = Scatter(Thumbnails([*paths[0], *paths[1]]), on_error=self.show_error)
        self._groups = [name for name, part in zip(self._names(), paths, strict=True) for _ in part]
        self.distances = widgets.HTML()
        style = widgets.HTML(f"<style>{page_text('widgets.css')}</style>", layout={"display": "none"})
        about = widgets.HTML(views.note(ABOUT))
        self.children = [style, self.error, self.tap, self.scatter, self.distances, about, self.note]
        self.guard.observe(self.tap, "value", self.ask)
        self.ask()

    def _names(self) -> tuple[str, str]:
        one, other = self.found.names
        return (one, other) if one != other else (one, f"{other} again")

    def _draw(self) -> None:
        tap = self.tap.value
        points = self._known.get(tap, lambda: project(np.concatenate(self.found.rows[tap]), "pca").points)
        one, other = self._names()
        self.distances.value = views.waiting("Measuring ...")
        self.scatter.show(points, self._groups, self._groups, title=f"{tap}: {one} and {other}")

    def _draw_rest(self) -> None:
        tap = self.tap.value
        self.measured = self._known.get((tap, "measured"), lambda: self.found.measured(tap, self.seed))
        self.distances.value = views.note(distance_words(self.measured))

    def _sheet(self) -> Any:
        return self.scatter._sheet()


def distance_words(measured: dict[str, float]) -> str:
    """Both distances of two domains with their floors, in a sentence."""
    return (
        f"Proxy A-distance {measured['proxy_a']:.2f} of 2 (floor {measured['proxy_a_floor']:.2f}), squared MMD "
        f"{measured['mmd']:.3f} (floor {measured['mmd_floor']:.3f})."
    )
