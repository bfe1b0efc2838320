"""Figures of adaptation: what few labels bring, source x target, two domains tap by tap, and both on one map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.plots.canvas import (
    COLOURS,
    INK,
    LINES,
    MARKERS,
    ink,
    legend,
    need,
    new_axes,
    plain,
    tidy,
    title_of,
    whiskers,
)
from cbirlab.projection import project

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

GAP, LEAST = 0.4, 0.35
"""Between the blocks of two whitenings, in cells; how much of its colour the smallest clear difference has."""


def matrix(frame: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """What is learned on each source changes on each target: a block of cells for each whitening, a row per source.

    Blue cells gain and orange ones lose, the more the stronger; grey ones cannot be told from no change. In a cell are
    the difference and its interval.

    Parameters
    ----------
    frame : from `cbirlab.adaptation.matrix.matrix`.

    Raises
    ------
    ValueError : another kind of table, or no row.
    """
    need("matrix", frame, ["source", "target", "whitening", "metric", "difference", "low", "high", "clear", "leak"])
    sources, targets, ways = ([*dict.fromkeys(frame[name])] for name in ("source", "target", "whitening"))
    wide = len(ways) * (len(targets) + GAP)
    ax = ax or new_axes(width=2.0 + 1.15 * wide, height=1.3 + 0.72 * len(sources))
    strongest = frame.loc[frame["clear"].astype(bool), "difference"].abs().max()
    for row in frame.to_dict("records"):
        x = ways.index(row["whitening"]) * (len(targets) + GAP) + targets.index(row["target"])
        _cell(ax, x, sources.index(row["source"]), row, strongest)
    starts = [number * (len(targets) + GAP) for number in range(len(ways))]
    for start, way in zip(starts, ways, strict=True):
        middle = start + (len(targets) - 1) / 2
        ax.text(middle, -0.6, plain(way), ha="center", va="bottom", color=ink(ax), size=10)
    ax.set_xticks([start + number for start in starts for number in range(len(targets))], _short(targets) * len(ways))
    ax.set_yticks(range(len(sources)), _short(sources))
    ax.set_xlim(-0.6, wide - GAP - 0.4)
    ax.set_ylim(len(sources) - 0.4, -1.1)
    metric = next((title_of(name) for name in frame["metric"] if name), "metric")
    ax.set_xlabel(f"judged on; {metric} less that without whitening, paired 95 % interval")
    ax.set_ylabel("learned on")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    return ax


def _cell(ax: Axes, x: float, y: int, row: dict[str, Any], strongest: float) -> None:
    """One square with its numbers, white on a colour that is dark enough for them."""
    from matplotlib.colors import to_hex, to_rgb
    from matplotlib.patches import Rectangle

    value = float(row["difference"])
    known = not np.isnan(value)
    share = LEAST + (1 - LEAST) * abs(value) / strongest if row["clear"] else 0.0
    full = COLOURS[0] if value > 0 else COLOURS[1]
    red, green, blue = ((1 - share) * grey + share * one for grey, one in zip(to_rgb(INK), to_rgb(full), strict=True))
    look: dict[str, Any] = {"facecolor": to_hex((red, green, blue))} if known else {"fill": False, "hatch": "///"}
    ax.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, edgecolor=INK, linewidth=0.6, **look))
    if not known:
        ax.text(x, y, "none", ha="center", va="center", color=ink(ax))
        return
    ax.text(x, y - 0.08, f"{value:+.3f}", ha="center", va="center", color="white", weight="bold")
    interval = f"[{row['low']:+.3f}, {row['high']:+.3f}]" + (" leak" if row["leak"] else "")
    ax.text(x, y + 0.22, interval, ha="center", va="center", color="white", size=6.5)


def _short(names: list[Any]) -> list[str]:
    """Names for an axis; of a folder its own name."""
    return [plain(Path(name).name if Path(str(name)).is_absolute() else name) for name in names]


def label_curve(frame: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """What a training gains with so many labelled pictures, true labels beside shuffled ones, with paired intervals.

    The grey line is what there was before, the dotted one half a PCA-whitening, which knows of no label.

    Parameters
    ----------
    frame : from `cbirlab.adaptation.label_curve`.

    Raises
    ------
    ValueError : another kind of table, or no row.
    """
    need("label_curve", frame, ["labels", "labelled", "metric", "difference", "low", "high"])
    ax = ax or new_axes()
    ax.axhline(0, color=INK, linewidth=1)
    rows = frame.to_dict("records")
    for place, (name, title) in enumerate((("given", "true labels"), ("shuffled", "the same, shuffled"))):
        part = [row for row in rows if row["labels"] == name]
        style: dict[str, Any] = {"color": COLOURS[place], "marker": MARKERS[place], "linestyle": LINES[place]}
        counts, means = ([float(row[column]) for row in part] for column in ("labelled", "difference"))
        beside = [count * 1.03**place for count in counts]  # no interval hides another
        ax.plot(beside, means, linewidth=1.8, label=title, **style)
        ends = [[abs(row[end] - row["difference"]) for row in part] for end in ("low", "high")]
        ax.errorbar(beside, means, yerr=ends, **whiskers(COLOURS[place]))
    for row in rows:
        if row["labels"] not in ("none", "given", "shuffled"):
            ax.axhline(row["difference"], color=COLOURS[2], linestyle=":", linewidth=1.8, label=plain(row["labels"]))
    counts = sorted({float(row["labelled"]) for row in rows if row["labels"] == "given"})
    ax.set_xscale("log")
    ax.set_xticks(counts, [f"{count:g}" for count in counts])
    ax.minorticks_off()
    ax.set_xlabel("pictures with a label")
    ax.set_ylabel(f"{title_of(str(rows[0]['metric']))} less that without training")
    legend(ax, 3)
    return tidy(ax, grid="y")


def shift(frame: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """The distances of two domains tap by tap, the proxy A-distance on the left axis, MMD on the right; dotted: floors.

    Parameters
    ----------
    frame : from `cbirlab.adaptation.shift.domain_shift`.

    Raises
    ------
    ValueError : another kind of table, or no row.
    """
    measures = {"proxy_a": "proxy A-distance", "mmd": "squared MMD"}
    need("shift", frame, ["tap", *measures, *(f"{name}_floor" for name in measures)])
    ax = ax or new_axes()
    right = ax.twinx()
    for place, ((name, title), on) in enumerate(zip(measures.items(), (ax, right), strict=True)):
        look: dict[str, Any] = {"color": COLOURS[place], "marker": MARKERS[place], "linewidth": 1.8}
        on.plot(range(len(frame)), frame[name], **look)
        on.plot(range(len(frame)), frame[f"{name}_floor"], **look | {"linestyle": ":", "linewidth": 1.2})
        ax.plot([], [], label=title, **look)
        ax.plot([], [], label=f"{title}, halves of one domain", **look | {"linestyle": ":", "linewidth": 1.2})
        on.set_ylabel(title, color=COLOURS[place])
        on.tick_params(axis="y", colors=COLOURS[place])
    ax.set_ylim(-0.1, 2.1)
    drawn = frame[["mmd", "mmd_floor"]].to_numpy(float)
    right.set_ylim(min(-0.02, 1.2 * drawn.min()), max(0.3, 1.1 * drawn.max()))
    right.spines[:].set_visible(False)
    ax.set_xticks(range(len(frame)), [plain(tap) for tap in frame["tap"]])
    ax.set_xlabel(f"tap, {frame.attrs['images']} pictures a side" if "images" in frame.attrs else "tap")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False, labelcolor=ink(ax))
    return tidy(ax, grid="y")


def two_domains(one: Any, other: Any, *, names: tuple[str, str] = ("A", "B"), ax: Axes | None = None) -> Axes:
    """Descriptors of two domains on one map, the two directions in which all of them together vary most.

    Parameters
    ----------
    one, other : (n, D) and (m, D), a row per picture.
    names : of the two.

    Raises
    ------
    ValueError : other widths, or as `cbirlab.projection.project`.
    """
    rows = [np.asarray(one), np.asarray(other)]
    if any(part.ndim != 2 for part in rows) or rows[0].shape[1] != rows[1].shape[1]:
        raise ValueError(
            f"two_domains: one and other must be (n, D) and (m, D), got {rows[0].shape} and {rows[1].shape}."
        )
    points = project(np.concatenate(rows), "pca").points
    ax = ax or new_axes(width=5.6, height=4.4)
    for place, (name, part) in enumerate(zip(names, np.split(points, [len(rows[0])]), strict=True)):
        style: dict[str, Any] = {"color": COLOURS[place], "marker": MARKERS[place], "alpha": 0.75}
        ax.scatter(*part.T, s=18, linewidths=0, label=plain(name), **style)
    ax.set_aspect("equal", adjustable="datalim")
    ax.set(xticks=[], yticks=[], xlabel="first principal axis of both", ylabel="second")
    legend(ax, 1)
    return tidy(ax, grid="both")
