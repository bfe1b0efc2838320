"""What a map gives away: the chosen pictures as a question or as a list of files, and the map as a figure."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import ipywidgets as widgets

from cbirlab.base.params import Choice
from cbirlab.datasets.base import Dataset
from cbirlab.tables import to_csv
from cbirlab.widgets.parts.download import FIGURES, Download, figure_buttons
from cbirlab.widgets.parts.guard import Guard
from cbirlab.widgets.parts.scatter import Scatter
from cbirlab.widgets.parts.tooltips import tooltip

ASK = "Ask for these pictures"


class MapExports(widgets.HBox):
    """Buttons below a map.

    Parameters
    ----------
    dataset : whose images, then queries, are the points.
    chosen : gives the ids of the chosen pictures.
    figure : gives the map in one of `FIGURES`.
    guard : shows errors.

    Attributes
    ----------
    ask : the button that makes the chosen pictures a question; who has a question listens to it.
    """

    def __init__(
        self, dataset: Dataset, chosen: Callable[[], Sequence[int]], figure: Callable[[str], bytes], guard: Guard
    ) -> None:
        self.ask = widgets.Button(description=ASK, icon="search", tooltip=tooltip(ASK))
        kinds = {
            "txt": ("Files (.txt)", "text/plain", paths_text),
            "csv": ("Files (.csv)", "text/csv", paths_csv),
        }
        self.lists = [
            Download(
                title,
                name=f"{dataset.name.replace(os.sep, '-')}-chosen.{kind}",
                mime=mime,
                make=lambda write=write: write(dataset, chosen()),
                on_error=guard.show,
                tooltip=tooltip(title),
            )
            for kind, (title, mime, write) in kinds.items()
        ]
        name = f"{dataset.name.replace(os.sep, '-')}-map"
        self.figures = figure_buttons("Map", name, figure, guard.show)
        self._rows = range(len(dataset.images))
        super().__init__([self.ask, *self.lists, *self.figures])
        self.add_class("cbirlab-map-row")
        self.offer(())

    def offer(self, chosen: Sequence[int]) -> None:
        """Say which pictures are chosen: without any there is nothing to ask for and to list."""
        images = sum(item in self._rows for item in chosen)
        self.ask.disabled = not images
        self.ask.description = f"Ask for these {images} pictures" if images > 1 else ASK
        for button in self.lists:
            button.disabled = not chosen


def figure_of(scatter: Scatter, label: str, kind: str) -> bytes:
    """A map as it is coloured, on white, as a file of `FIGURES`.

    Parameters
    ----------
    label : what colours it.
    """
    from cbirlab.plots import point_map

    known = Choice(tuple(FIGURES)).check("figure_of", "kind", kind)
    by, colours = scatter.coloured_by()
    ax = point_map(
        scatter.positions,
        by,
        colours=colours,
        highlight=[item for item in scatter.highlight if item < len(scatter.positions)],
        current=scatter.current if 0 <= scatter.current < len(scatter.positions) else None,
        label=label,
        title=scatter.title,
    )
    out = io.BytesIO()
    ax.figure.figure.savefig(out, format=known, dpi=200, facecolor="white")  # pyright: ignore[reportOptionalMemberAccess]
    return out.getvalue()


def paths_of(dataset: Dataset, items: Sequence[int]) -> list[Path]:
    """The files of pictures, the database first, then the queries."""
    paths = [*dataset.images, *(query.path for query in dataset.queries)]
    return [paths[item] for item in items]


def paths_text(dataset: Dataset, items: Sequence[int]) -> bytes:
    """The files of pictures, one a line, with the very bytes of their names."""
    return b"".join(os.fsencode(path) + b"\n" for path in paths_of(dataset, items))


def paths_csv(dataset: Dataset, items: Sequence[int]) -> bytes:
    """A table of pictures: path, role, row among the images or the queries, and instance."""
    import pandas as pd

    first = len(dataset.images)
    frame = pd.DataFrame(
        {
            "path": [str(path) for path in paths_of(dataset, items)],
            "role": ["database" if item < first else "query" for item in items],
            "row": [item if item < first else item - first for item in items],
            "instance": [(item < first and dataset.instances and dataset.instances[item]) or None for item in items],
        }
    )
    return to_csv(frame).encode("utf-8", "surrogateescape")
