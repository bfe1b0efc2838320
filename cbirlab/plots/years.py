"""A figure of years: what systems reach here, beside what their papers printed elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cbirlab.plots.canvas import COLOURS, INK, ink, legend, need, new_axes, plain, tidy, title_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def timeline(frame: pd.DataFrame, *, metric: str, elsewhere: str = "", ax: Axes | None = None) -> Axes:
    """Each system at its year: filled circles are measured here, with their interval; hollow squares were printed.

    Parameters
    ----------
    frame : from `cbirlab.compare_systems`; systems that did not run are left out.
    metric : a column of it, "map_medium".
    elsewhere : a further column with printed numbers, and the label of their squares.

    Raises
    ------
    ValueError : another kind of table, or no system that ran.
    """
    need("timeline", frame, ["title", "year", "error", metric])
    ran: Any = frame.loc[frame["error"] == ""]
    ran = ran.sort_values(["year", metric])
    if not len(ran):
        raise ValueError("timeline: a system must have run, and none did; see the column 'error'.")
    ax = ax or new_axes(width=7.6, height=4.2)
    years = ran["year"].astype(float)
    place = years + 0.8 * (ran.groupby("year").cumcount() / ran.groupby("year")["year"].transform("size"))
    low, high = (ran.get(f"{metric}{end}", ran[metric]) for end in ("_low", "_high"))
    ax.vlines(place, low, high, color=COLOURS[0], linewidth=1.2)
    ax.plot(place, ran[metric], "o", color=COLOURS[0], label="measured here")
    if elsewhere and ran[elsewhere].notna().any():
        ax.plot(place, ran[elsewhere], "s", color=INK, fillstyle="none", label=plain(elsewhere))
    for x, row in zip(place, ran.to_dict("records"), strict=True):
        ax.annotate(
            plain(row["title"]),
            (x, row[metric]),
            (4, 4),
            textcoords="offset points",
            rotation=35,
            color=ink(ax),
            size=8,
        )
    ax.set_xticks(sorted({int(year) for year in years}))
    ax.set_xlim(years.min() - 0.3, years.max() + 1.4)
    ax.set_xlabel("year of the paper")
    ax.set_ylabel(title_of(metric))
    legend(ax, 2)
    tidy(ax, grid="y")
    return ax
