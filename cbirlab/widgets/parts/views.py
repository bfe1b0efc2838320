"""What the panel writes next to its pictures: pure functions from results to HTML, which escape all outside text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from cbirlab import tables
from cbirlab.evaluation import largest, title_of, told_apart
from cbirlab.pipeline.added import search_fields

if TYPE_CHECKING:
    import pandas as pd

    from cbirlab.evaluation import PairedTest

LEVELS = dict(zip(tables.MAPS, ("Easy", "Medium", "Hard", "mAP"), strict=True))


def levels_of(metrics: Mapping[str, float]) -> list[str]:
    """The metrics to show: mAPs in the order of difficulty, after any others that have an interval."""
    return tables.main_metrics(metrics)


def label_of(name: str) -> str:
    """The label of a metric; for mAP only the level."""
    return LEVELS.get(name) or title_of(name)


class Lead(NamedTuple):
    """A metric at the step before, and the paired test of the difference since then; None while it is being made."""

    before: float
    test: PairedTest | None


def metrics_table(
    metrics: Mapping[str, float], leads: Mapping[str, Lead] | None = None, under: Mapping[str, str] | None = None
) -> str:
    """mAP per level with a bar, and its 95 % confidence interval as a line on the bar and as numbers.

    The main metric of a protocol that has another one is shown in the same way. What a metric was before, in `leads`,
    is a frame on its bar, and the difference with its interval stands under it.

    Parameters
    ----------
    under : metric to the HTML that stands right under its bar.
    """
    levels = levels_of(metrics)
    if not levels:
        return "<p class='cbirlab-note'>These images have no ground truth: there is a ranking, but no mAP.</p>"
    rows = [_metric_row(name, metrics, leads or {}, (under or {}).get(name, "")) for name in levels]
    named = "mAP" if set(levels) <= set(LEVELS) else "metric"
    head = f"<tr><th>{named}</th><th></th><th></th><th>95 % interval</th></tr>"
    known = any(not math.isnan(metrics[name]) for name in levels)
    remark = "" if known else note("No query has a right answer, so there is no mean.")
    return f"<table class='cbirlab-metrics'>{head}{''.join(rows)}</table>{remark}"


def metrics_line(metrics: Mapping[str, float]) -> str:
    """The same metrics in one line of plain text."""
    levels = levels_of(metrics)
    written = "  ".join(f"{label_of(name)} {number(metrics[name])}" for name in levels)
    return (f"mAP: {written}" if set(levels) <= set(LEVELS) else written) if levels else "no ground truth"


def _metric_row(name: str, metrics: Mapping[str, float], leads: Mapping[str, Lead], under: str) -> str:
    low, high = (metrics.get(f"{name}_{end}") for end in ("low", "high"))
    value, whole, lead = metrics[name], largest(name), leads.get(name)
    line, interval, ghost, since = "", "", "", ""
    if low is not None and high is not None and not math.isnan(low + high):
        line = f"<b style='left:{100 * low / whole:.1f}%;width:{100 * (high - low) / whole:.1f}%'></b>"
        interval = f"{low:.3f} to {high:.3f}"
    if lead is not None and not math.isnan(lead.before):
        ghost = f"<s style='width:{100 * lead.before / whole:.1f}%'></s>"
        since = f"<tr><td></td><td colspan='3' class='cbirlab-since'>{_since(lead, value)}</td></tr>"
    bar = f"<span class='cbirlab-bar'><i style='width:{100 * _number(value) / whole:.1f}%'></i>{ghost}{line}</span>"
    label = escape(label_of(name))
    row = f"<tr><td>{label}</td><td>{bar}{under}</td><td><strong>{number(value)}</strong></td><td>{interval}</td></tr>"
    return row + since


def _since(lead: Lead, value: float) -> str:
    """A difference from the step before in a few words."""
    test = lead.test
    mean = value - lead.before if test is None else test.mean
    sign = "▲" if mean > 0 else "▼" if mean < 0 else "="
    if test is None:
        return f"<span>{sign} {mean:+.3f}</span> …"
    way = ("up" if mean > 0 else "down") if test.apart else ""
    sure = "" if test.apart else ", could be chance"
    return f"<span data-way='{way}'>{sign} {mean:+.3f}</span> [{test.low:+.3f}, {test.high:+.3f}]{sure}"


def number(value: float, missing: str = "none") -> str:
    """A metric with three digits, or a word where there is none."""
    return missing if math.isnan(value) else f"{value:.3f}"


def _number(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def query_note(values: Mapping[str, float], *, side: str = "") -> str:
    """Average precision, or another main metric, of the one query shown, per level; `side` names one of two sides."""
    if not values:
        return ""
    found = {level: number(value, "no positive") for level, value in values.items()}
    several = len(found) > 1
    name = "AP" if several else title_of(next(iter(found))).replace("mAP", "AP")
    written = " · ".join(f"{level} {value}" if several else value for level, value in found.items())
    return (
        f"<p class='cbirlab-note'>{escape(name)} of this query{escape(side and f' by {side}')}: {escape(written)}</p>"
    )


def note(text: str) -> str:
    """A remark in small print."""
    return f"<p class='cbirlab-note'>{escape(text)}</p>"


def waiting(text: str) -> str:
    """Say what is being computed; screen readers announce it."""
    return f"<p class='cbirlab-note cbirlab-waiting' role='status'>{escape(text)}</p>"


def error_box(error: Exception) -> str:
    """An error as the panel shows it; screen readers announce it."""
    return f"<div class='cbirlab-error' role='alert'>{escape(type(error).__name__)}: {escape(str(error))}</div>"


def code_block(code: str) -> str:
    """Python code to copy."""
    return f"<pre class='cbirlab-code'>{escape(code)}</pre>"


def comparison_table(rows: Sequence[Mapping[str, Any]], *, removable: bool = False) -> str:
    """The pinned settings, the best of each metric in bold; how they search, and the bytes, once that differs.

    Parameters
    ----------
    removable : each row has a button that takes it out.
    """
    if not rows:
        return note("Nothing pinned yet: 'Pin this setting' keeps the present one for comparison.")
    levels = levels_of({name: 0.0 for row in rows for name in row})
    best = {name: max(_number(row.get(name, math.nan)) for row in rows) for name in levels}
    usual = {name: one.default for name, one in search_fields().items()}
    searched = [name for name in usual if any(row.get(name, usual[name]) != usual[name] for row in rows)]
    columns = [*tables.CORE, *searched, *(["bytes_per_image"] if searched else [])]
    tested = len(rows) > 1 and "difference" in rows[0]
    shown = ["#", *columns, *levels, *(["difference"] if tested else [])]
    head = "".join(f"<th>{escape(tables.heading(name))}</th>" for name in shown)
    rows_shown = [_comparison_cells(row, columns, best, tested) for row in rows]
    firsts = [f"<td>{place}{_remove_button(place) if removable else ''}</td>" for place in range(1, len(rows) + 1)]
    rows_shown = [first + cells for first, cells in zip(firsts, rows_shown, strict=True)]
    body = "".join(f"<tr>{cells}</tr>" for cells in rows_shown)
    said = dict.fromkeys(f"{row['dataset']}: {row['left_out']}" for row in rows if row.get("left_out"))
    left_out = note(f"Files left out of {'; '.join(said)}.") if said else ""
    return f"<table class='cbirlab-comparison'><tr>{head}</tr>{body}</table>{left_out}"


def _remove_button(place: int) -> str:
    return f" <button type='button' aria-label='remove row {place}' title='Remove row {place}'>×</button>"


def _comparison_cells(row: Mapping[str, Any], columns: Sequence[str], best: Mapping[str, float], tested: bool) -> str:
    cells = "".join(f"<td>{escape(str(row.get(name, '')))}</td>" for name in columns)
    cells += "".join(f"<td>{_map_cell(row, name, best[name])}</td>" for name in best)
    names = ("difference", "difference_low", "difference_high", "difference_p")
    return f"{cells}<td>{difference(*(row.get(name, math.nan) for name in names))}</td>" if tested else cells


def difference(mean: float, low: float, high: float, p: float = math.nan) -> str:
    """A paired difference with its interval and p, and whether they tell the two settings apart."""
    if math.isnan(mean):
        return "–"
    verdict = ("better" if mean > 0 else "worse") if told_apart(low, high, p) else "could be chance"
    shown = "" if math.isnan(p) else f" (p {p:.2g})"
    return f"<strong>{mean:+.3f}</strong> [{low:+.3f}, {high:+.3f}] {verdict}{shown}"


def side_heading(name: str, title: str, metrics: Mapping[str, float]) -> str:
    """Which of two settings a gallery shows, and its mAP or other main metric."""
    shown = levels_of(metrics)
    measured = ""
    if shown:
        level = "map_medium" if "map_medium" in shown else shown[0]
        low, high = (metrics.get(f"{level}_{end}", math.nan) for end in ("low", "high"))
        interval = "" if math.isnan(low + high) else f" [{low:.3f}, {high:.3f}]"
        metric = "mAP Medium" if level == "map_medium" else title_of(level)
        measured = f"<br>{escape(metric)} {number(metrics[level])}{interval}"
    return f"<div class='cbirlab-heading'><b>{escape(name)}</b>{escape(title)}{measured}</div>"


def paired_table(levels: Mapping[str, Sequence[float]], wins: Mapping[str, tuple[int, int]]) -> str:
    """Show how two sides differ over all queries.

    Parameters
    ----------
    levels : level to the mean of B - A, its interval, and p.
    wins : level to the numbers of queries on which A and B are better.
    """
    if not levels:
        return ""
    rows = "".join(
        f"<tr><td>{escape(LEVELS.get(f'map_{level}') or title_of(level))}</td><td>{difference(*tested)}</td>"
        f"<td>{wins[level][0]}</td><td>{wins[level][1]}</td></tr>"
        for level, tested in levels.items()
    )
    head = "<tr><th>B − A</th><th>mean difference, 95 % interval</th><th>A wins</th><th>B wins</th></tr>"
    return f"<table class='cbirlab-paired'>{head}{rows}</table>"


def mean_difference(frame: pd.DataFrame) -> str:
    """The mean difference of a table of `versus` with its interval and what follows from it."""
    about = frame.attrs
    interval = f"95 % interval {about['low']:+.3f} to {about['high']:+.3f}"
    return f"mean difference {about['mean_difference']:+.3f}, {interval}, {about['verdict']}"


def _map_cell(row: Mapping[str, Any], name: str, best: float) -> str:
    value = row.get(name, math.nan)
    if math.isnan(value):
        return "–"
    written = f"<strong>{value:.3f}</strong>" if value == best else f"{value:.3f}"
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    return written if low is None or high is None else f"{written} [{low:.3f}, {high:.3f}]"
