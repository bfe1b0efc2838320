"""Figures of tables: bars, lines, factors, wins and losses."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.plots.canvas import (
    COLOURS,
    HATCHES,
    ink,
    interval,
    legend,
    looks,
    need,
    new_axes,
    plain,
    tidy,
    title_of,
    whiskers,
    written,
)
from cbirlab.study.literature import is_published

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from cbirlab.fusion.reports import AnyRun


def bars(frame: pd.DataFrame, by: str | Sequence[str], value: str = "map_medium", *, ax: Axes | None = None) -> Axes:
    """One bar per row of a table of `cbirlab.compare`, in its order from the top, with the interval if there is one.

    Parameters
    ----------
    frame : has the columns `by` and `value`; the interval is in "<value>_low" and "<value>_high".
    by : the column or columns that identify a row; "method" if published numbers, which are hatched, are below measured
        ones (`cbirlab.beside`).

    Raises
    ------
    ValueError : no such column, no row, or rows with the same values in `by`.
    """
    columns = [by] if isinstance(by, str) else list(by)
    need("bars", frame, [*columns, value])
    labels = [", ".join(written(part) for part in row) for row in frame[columns].itertuples(index=False)]
    if len(set(labels)) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise ValueError(f"bars: by must tell the rows apart, got {columns} and {twice!r} twice; name more columns.")
    ax = ax or new_axes(height=0.9 + 0.36 * len(labels))
    values = frame[value].to_numpy(float)
    theirs = is_published(frame)
    drawn = ax.barh(range(len(labels)), np.nan_to_num(values), height=0.7, color=COLOURS[0], alpha=0.5, zorder=2)
    for bar in itertools.compress(drawn, theirs):
        bar.set(facecolor="none", edgecolor=COLOURS[1], hatch=HATCHES[1], alpha=1.0)
    if any(theirs):
        drawn[list(theirs).index(True)].set_label("published, with other settings")
        legend(ax, 1)
    bounds = interval(frame, value)
    ends = values
    if bounds is not None:
        low, high = bounds
        ax.errorbar(values, range(len(labels)), xerr=[values - low, high - values], **whiskers(ink(ax)))
        ends = np.fmax(values, high)
    for place, (number, end) in enumerate(zip(values, ends, strict=True)):
        text = "none" if math.isnan(number) else " " + f"{number:#.3g}".rstrip(".")  # 0.400 next to 0.416
        ax.text(np.nan_to_num(end), place, text, va="center", color=ink(ax), zorder=4)
    ax.set_yticks(range(len(labels)), labels)
    ax.invert_yaxis()
    ax.margins(x=0.12)
    ax.set_xlim(left=0.0 if np.nanmin(values, initial=0) >= 0 else None)
    ax.set_xlabel(title_of(value) + (", 95 % interval" if bounds is not None else ""))
    return tidy(ax, grid="x")


def changes(frame: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Show what each choice changes alone, with its paired interval; hatched if it takes a forward pass.

    Parameters
    ----------
    frame : from `cbirlab.differences`; rows without a number are left out.

    Raises
    ------
    ValueError : another kind of table, or one in which no choice applies.
    """
    columns = ["choice", "from", "to", "change", "change_low", "change_high", "forward_pass"]
    need("changes", frame, columns)
    frame = frame.dropna(subset=["change"])
    need("changes", frame, columns)
    ax = ax or new_axes(width=8.0, height=0.9 + 0.3 * len(frame))
    values, places = frame["change"].to_numpy(float), np.arange(len(frame))
    for place, (passes, label) in enumerate(((False, "no forward pass"), (True, "a forward pass"))):
        rows = frame["forward_pass"].to_numpy(bool) == passes
        style = {"color": COLOURS[place], "hatch": HATCHES[place], "edgecolor": "white", "linewidth": 0.0}
        if rows.any():
            ax.barh(places[rows], values[rows], height=0.7, alpha=0.6, label=label, zorder=2, **style)
    low, high = interval(frame, "change") or (values, values)
    ax.errorbar(values, places, xerr=[np.fmax(values - low, 0), np.fmax(high - values, 0)], **whiskers(ink(ax)))
    ax.axvline(0, color=ink(ax), linewidth=1)
    named = frame[["choice", "from", "to"]].itertuples(index=False)
    ax.set_yticks(places, [f"{title_of(choice)}: {plain(was)} → {plain(to)}" for choice, was, to in named])
    ax.invert_yaxis()
    ax.set_xlabel("change, paired 95 % interval")
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, frameon=False, labelcolor=ink(ax))
    return tidy(ax, grid="x")


def lines(
    frame: pd.DataFrame, x: str, by: str | None, value: str = "map_medium", *, ax: Axes | None = None, xlabel: str = ""
) -> Axes:
    """One line per value of the column `by`, over the column `x`, with intervals if the table has them.

    Parameters
    ----------
    frame : has the columns `x`, `by` and `value`; the interval is in "<value>_low" and "<value>_high".
    x : numbers, or words in the order of the table.
    by : None draws one line.
    xlabel : label instead of the column's name.

    Raises
    ------
    ValueError : no such column, or no row.
    """
    need("lines", frame, [x, value, *([by] if by else [])])
    ax = ax or new_axes()
    words = [*dict.fromkeys(frame[x])]
    numeric = all(isinstance(word, int | float | np.number) for word in words)
    groups = [(None, frame)] if by is None else list(frame.groupby(by, sort=False, dropna=False))
    for place, (name, part) in enumerate(groups):
        part = part.sort_values(x) if numeric else part
        shift = 0.0 if numeric else 0.08 * (place - (len(groups) - 1) / 2)  # whiskers side by side
        across = part[x].to_numpy(float) if numeric else np.array([words.index(word) for word in part[x]]) + shift
        _line(ax, across, part, value, place, None if name is None else written(name))
    if not numeric:
        ax.set_xticks(range(len(words)), [written(word) for word in words])
    ax.set_xlabel(xlabel or title_of(x))
    ax.set_ylabel(title_of(value) + (", 95 % interval" if f"{value}_low" in frame else ""))
    if by is not None:
        legend(ax, len(groups))
    return tidy(ax, grid="y")


def _line(ax: Axes, across: np.ndarray, part: pd.DataFrame, value: str, place: int, label: str | None) -> None:
    heights = part[value].to_numpy(float)
    style = looks(place)
    ax.plot(across, heights, label=label, linewidth=1.8, markersize=6, zorder=3, **style)
    bounds = interval(part, value)
    if bounds is not None:
        low, high = bounds
        ax.errorbar(across, heights, yerr=[heights - low, high - heights], **whiskers(style["color"]))


def costs(
    frame: pd.DataFrame,
    cost: str,
    label: str,
    by: str | None = None,
    value: str = "map_medium",
    *,
    ax: Axes | None = None,
) -> Axes:
    """A point per row of a table, what it costs (on a logarithmic axis) against what it gives, with intervals.

    Parameters
    ----------
    frame : has the columns `cost` (numbers above 0), `value` and `label`, whose text stands at the point; the interval
        is in "<value>_low" and "<value>_high".
    by : points of one value of this column look alike.

    Raises
    ------
    ValueError : no such column, no row, or a cost that is not above 0.
    """
    need("costs", frame, [cost, value, label, *([by] if by else [])])
    if not (frame[cost].to_numpy(float) > 0).all():
        raise ValueError(f"costs: {cost} must be above 0 in every row, got {frame[cost].min():g}; leave such rows out.")
    ax = ax or new_axes()
    groups = [(None, frame)] if by is None else list(frame.groupby(by, sort=False, dropna=False))
    for place, (name, part) in enumerate(groups):
        style: dict[str, Any] = looks(place) | {"linestyle": "none"}
        across, heights = part[cost].to_numpy(float), part[value].to_numpy(float)
        ax.plot(across, heights, label=None if name is None else written(name), markersize=6, zorder=3, **style)
        bounds = interval(part, value)
        if bounds is not None:
            ax.errorbar(across, heights, yerr=[heights - bounds[0], bounds[1] - heights], **whiskers(style["color"]))
        for x, y, text in zip(across, heights, part[label], strict=True):
            ax.annotate(plain(text), (x, y), xytext=(5, 4), textcoords="offset points", color=ink(ax), size=8, zorder=4)
    ax.set_xscale("log")
    ax.margins(x=0.15)
    ax.set_xlabel(title_of(cost))
    ax.set_ylabel(title_of(value) + (", 95 % interval" if f"{value}_low" in frame else ""))
    if by is not None:
        legend(ax, len(groups))
    return tidy(ax, grid="both")


def factors(
    runs: Mapping[str, AnyRun],
    factor: str,
    bins: Sequence[float] | None = None,
    value: str = "auc",
    *,
    ax: Axes | None = None,
) -> Axes:
    """Show what breaks several settings: how well right answers rank, against what changed within the pair.

    Parameters
    ----------
    runs : name to run, on a benchmark that knows what changed within its pairs (Toytown).
    factor : a name in `cbirlab.study.perturbation.FACTORS`.
    bins : edges between the bins, instead of those of the factor.
    value : a name in `cbirlab.study.perturbation.MEASURES`.

    Raises
    ------
    ValueError : as `cbirlab.study.perturbation.pairs` and `cbirlab.study.perturbation.by_factor`, or no such measure.
    """
    from cbirlab.study.perturbation import by_factor, pairs

    frames = {name: pairs(run.ranking, run.dataset) for name, run in runs.items()}
    return factor_lines(by_factor(frames, factor, bins), value, ax=ax)


def factor_lines(found: pd.DataFrame, value: str = "auc", *, ax: Axes | None = None) -> Axes:
    """Draw a table that `cbirlab.study.perturbation.by_factor` gave.

    Raises
    ------
    ValueError : no such measure.
    """
    from cbirlab.study.perturbation import FACTORS, MEASURES

    if value not in MEASURES:
        raise ValueError(f"factors: value must be one of {', '.join(MEASURES)}, got {value!r}.")
    about = FACTORS[found["factor"].iloc[0]]
    sizes = found.drop_duplicates("bin").set_index("bin")["pairs"]
    named = found.assign(bin=[f"{name}\n{sizes[name]} pairs" for name in found["bin"]])
    ax = lines(named, "bin", "setting", value, ax=ax, xlabel=about.title + (f" ({about.unit})" if about.unit else ""))
    ax.set_ylabel(MEASURES[value])
    if value == "rank":
        ax.invert_yaxis()  # better is higher, as in the other measures
    return ax


def win_loss(frame: pd.DataFrame, *, names: tuple[str, str] = ("A", "B"), ax: Axes | None = None) -> Axes:
    """Show query by query what A wins and loses against B, in the order of `cbirlab.versus`.

    Parameters
    ----------
    frame : from `cbirlab.versus`.
    names : names of A and B.

    Raises
    ------
    ValueError : a table without "difference", or without rows.
    """
    need("win_loss", frame, ["difference"])
    ax, names = ax or new_axes(), (plain(names[0]), plain(names[1]))
    differences = frame["difference"].to_numpy(float)
    for place, (name, chosen) in enumerate(zip(names, (differences > 0, differences < 0), strict=True)):
        label = f"{name} better: {int(chosen.sum())} queries"
        style = {"color": COLOURS[place], "hatch": HATCHES[place], "edgecolor": "white", "linewidth": 0.0}
        ax.bar(np.flatnonzero(chosen), differences[chosen], width=0.9, label=label, zorder=2, **style)
    ax.axhline(0, color=ink(ax), linewidth=1)
    if "mean_difference" in frame.attrs:
        mean, low, high = (frame.attrs[name] for name in ("mean_difference", "low", "high"))
        written = f"mean {mean:+.3f}, 95 % [{low:+.3f}, {high:+.3f}]"
        written += f", p {frame.attrs['p']:.2g}" if frame.attrs.get("p", math.nan) >= 0 else ""
        ax.axhline(mean, color=COLOURS[2], linestyle="--", linewidth=1.6, label=written, zorder=3)
    ax.set_xlabel(f"{len(frame)} queries, from the largest win of {names[0]} to that of {names[1]}")
    value = frame.attrs.get("value", "ap")
    name = "AP" if value == "ap" else title_of(value)
    ax.set_ylabel(f"{name} of {names[0]} - {name} of {names[1]}")
    legend(ax, 1)
    return tidy(ax, grid="y")
