"""A figure of a map: descriptors in the plane, by group or by number, with the query and its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.plots.canvas import COLOURS, MARKERS, ink, new_axes, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GREY = "#8a8a8a"
MOST_GROUPS = 12
"""Groups that get a colour and a marker: the largest ones; the others are grey."""

MOST_NUMBERED = 9


def point_map(
    points: Any,
    by: Any = None,
    *,
    colours: Mapping[str, str] | None = None,
    highlight: Sequence[int] = (),
    current: int | None = None,
    label: str = "",
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Points of a map, such as `cbirlab.projection.project` gives them, at one scale across and down.

    Parameters
    ----------
    points : (N, 2).
    by : a name for each point, "" for none, or a number for each, NaN for none.
    colours : of the groups that have one; by default the 12 largest have one each.
    highlight : results, ringed, the best first; the first nine have their rank.
    current : the query, ringed twice.
    label : what `by` is, beside the colours.

    Raises
    ------
    ValueError : points that are not (N, 2), or `by` not one for each.
    """
    places = np.asarray(points, float)
    if places.ndim != 2 or places.shape[1] != 2:
        raise ValueError(f"point_map: points must be (N, 2), got {places.shape}.")
    given = np.full(len(places), "") if by is None else np.asarray(by)
    if given.shape != (len(places),):
        raise ValueError(f"point_map: by must have one entry for each of the {len(places)} points, got {given.shape}.")
    ax = ax or new_axes(width=7.0, height=5.0)
    size = float(np.clip(4000 / max(1, len(places)), 3, 36))
    if given.dtype.kind in "fiu":
        _numbers(ax, places, given.astype(float), size, label)
    else:
        _groups(ax, places, given.astype(str), colours, size, label)
    for rank, item in enumerate(highlight, start=1):
        _ring(ax, places[item], 60, str(rank) if rank <= MOST_NUMBERED else "")
    if current is not None:
        _ring(ax, places[current], 90, "")
        _ring(ax, places[current], 190, "query")
    ax.set_aspect("equal", adjustable="datalim")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_title(plain(title), color=ink(ax))
    return ax


def _numbers(ax: Axes, places: np.ndarray, values: np.ndarray, size: float, label: str) -> None:
    known = np.isfinite(values)
    ax.scatter(*places[~known].T, s=size / 2, c=GREY, linewidths=0)
    drawn = ax.scatter(*places[known].T, s=size, c=values[known], cmap="viridis", linewidths=0)
    bar = ax.figure.colorbar(drawn, ax=ax, shrink=0.8)
    bar.outline.set_edgecolor(ink(ax))  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]
    bar.ax.tick_params(colors=ink(ax), labelcolor=ink(ax))
    bar.set_label(plain(label), color=ink(ax))


def _groups(
    ax: Axes, places: np.ndarray, names: np.ndarray, colours: Mapping[str, str] | None, size: float, label: str
) -> None:
    there, counts = np.unique(names[names != ""], return_counts=True)
    if colours is None:
        largest = there[np.argsort(-counts, kind="stable")[:MOST_GROUPS]]
        colours = {str(name): COLOURS[place % len(COLOURS)] for place, name in enumerate(sorted(largest))}
    shown = [name for name in colours if name in there]
    rest = ~np.isin(names, shown)
    others = len(there) - len(shown)
    ax.scatter(*places[rest].T, s=size / 2, c=GREY, linewidths=0, label=f"{others} others" if others else None)
    for place, name in enumerate(shown):
        look: dict[str, Any] = {"c": colours[name], "marker": MARKERS[place % len(MARKERS)], "linewidths": 0}
        ax.scatter(*places[names == name].T, s=size, label=plain(name), **look)
    if shown:
        legend = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), "frameon": False, "markerscale": 1.4}
        ax.legend(labelcolor=ink(ax), title=plain(label) or None, **legend).get_title().set_color(ink(ax))


def _ring(ax: Axes, place: np.ndarray, size: float, text: str) -> None:
    ax.scatter(*place, s=size, facecolors="none", edgecolors=ink(ax), linewidths=1.3, zorder=4)
    if text:
        ax.annotate(text, (place[0], place[1]), (6, 5), textcoords="offset points", color=ink(ax), fontsize=9, zorder=5)
