"""What the figures share: axes without pyplot, colours with a second sign, titles, PNG and a description in words."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.base.text import printable
from cbirlab.evaluation import title_of as metric_title

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

INK = "#777777"
Y_INK = "#808080"
"""Lighter than `INK`: if all ticks are dark, IPython lets a dark page put white behind the figure."""
COLOURS = ("#2b83c6", "#d55e00", "#00916a", "#c2699c", "#a67c00", "#8a63d2")
"""Contrast of at least 3.6 : 1 with white and with JupyterLab's dark page; distinct for colour-blind eyes."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES = ("-", "--", "-.", ":")
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "++")
TITLES = {
    "dim": "dimensions",
    "ap": "average precision of the query",
    "first_rank": "rank of the first right answer",
    "median_rank": "median rank of the right answers",
    "best_score": "score of the first right answer",
    "kept": "share of the first ten that stay",
    "ms_per_query": "search, ms per query",
    "ms_per_image": "extraction, ms per image",
    "bytes_per_image": "bytes per image",
}


def new_axes(*, width: float = 7.0, height: float = 3.6) -> Axes:
    """Axes on a figure of their own, sizes in inches; they appear when a cell ends with them."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100, layout="constrained", facecolor="none")
    ax = figure.add_subplot(axes_class=_shown_axes())
    ax.set_facecolor("none")
    ax.tick_params(colors=INK)
    for spine in ax.spines.values():
        spine.set_color(INK)
    for label in (ax.xaxis.label, ax.yaxis.label, ax.title):
        label.set_color(INK)
    return ax


def pyplot() -> Any:
    """matplotlib.pyplot, set so that its figures look like those made here from now on."""
    import matplotlib.pyplot as plt
    from cycler import cycler

    inks = ("text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "xtick.color", "legend.labelcolor")
    page: Any = dict.fromkeys(inks, INK) | {"ytick.color": Y_INK, "axes.prop_cycle": cycler(color=COLOURS)}
    plt.rcParams.update(page | {"figure.facecolor": "none", "axes.facecolor": "none", "legend.frameon": False})
    return plt


@cache
def _shown_axes() -> type[Axes]:
    """Axes that IPython can show: matplotlib registers pictures of figures only if pyplot is in use."""
    from matplotlib.axes import Axes

    class ShownAxes(Axes):
        def _repr_png_(self) -> tuple[bytes, dict[str, str]]:
            return png(self), {"alt": described(self)}

    return ShownAxes


def png(ax: Axes) -> bytes:
    """The figure that `ax` is on, as PNG."""
    out = io.BytesIO()
    ax.figure.figure.savefig(out, format="png")  # pyright: ignore[reportOptionalMemberAccess]
    return out.getvalue()


def described(ax: Axes) -> str:
    """The figure in words, for those who do not see it: title, axes, series."""
    title = f"{ax.get_title()}: " if ax.get_title() else ""
    series = [label for label in ax.get_legend_handles_labels()[1] if not label.startswith("_")]
    if not ax.get_xlabel() and not ax.get_ylabel():
        return f"{title}picture".replace(r"\$", "$")
    named = f"; {', '.join(series)}" if series else ""
    across = ax.get_ylabel() or ", ".join(label.get_text() for label in ax.get_yticklabels())
    return " ".join(f"{title}{across} against {ax.get_xlabel()}{named}".split()).replace(r"\$", "$")


def ink(ax: Axes) -> Any:
    """The colour of text and lines on these axes: ours, or that of the style in use."""
    return ax.xaxis.label.get_color()


def looks(place: int) -> dict[str, Any]:
    """Colour, marker and line of the series at a place; combinations repeat only after many series."""
    return {
        "color": COLOURS[place % len(COLOURS)],
        "marker": MARKERS[place % len(MARKERS)],
        "linestyle": LINES[place // len(COLOURS) % len(LINES)],
    }


def legend(ax: Axes, series: int) -> None:
    """Put a legend where there is room: next to the axes for many series, inside for few."""
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if series > 3 else {"loc": "best"}
    ax.legend(frameon=False, labelcolor=ink(ax), **place)


def tidy(ax: Axes, *, grid: str) -> Axes:
    """Remove two spines and add a faint grid along one axis."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis=grid, color=ink(ax), alpha=0.25, linewidth=0.6)  # pyright: ignore[reportArgumentType]
    ax.set_axisbelow(True)
    return ax


def whiskers(colour: Any) -> dict[str, Any]:
    """How an interval looks."""
    return {"fmt": "none", "ecolor": colour, "elinewidth": 1.4, "capsize": 3, "zorder": 3}


def title_of(column: str) -> str:
    """A column of a table as a label."""
    name = metric_title(column)
    return name if name != column else TITLES.get(column, plain(column.replace("_", " ")))


def written(value: Any) -> str:
    """A value of a table as a label."""
    if isinstance(value, float | np.floating):
        return "none" if np.isnan(value) else f"{value:g}"
    return "none" if value is None else plain(value)


def plain(text: Any) -> str:
    """Make a text safe as a label: matplotlib would read text between dollars as a formula."""
    return printable(text, keep="\n").replace("$", r"\$")


def interval(frame: pd.DataFrame, value: str) -> tuple[np.ndarray, np.ndarray] | None:
    """The interval of `value`, from its columns; None if the table has none."""
    if f"{value}_low" not in frame or f"{value}_high" not in frame:
        return None
    return frame[f"{value}_low"].to_numpy(float), frame[f"{value}_high"].to_numpy(float)


def need(owner: str, frame: pd.DataFrame, columns: Sequence[str]) -> None:
    """Refuse a table that lacks one of these columns, or has no rows."""
    missing = [column for column in columns if column not in frame]
    if missing:
        raise ValueError(
            f"{owner}: the table must have the columns {', '.join(columns)}; it lacks {', '.join(missing)}."
        )
    if not len(frame):
        raise ValueError(f"{owner}: the table must have a row, got none.")
