"""Tables as people write them: few columns, named by words, and a number with its interval in one cell."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from cbirlab.base.text import did_you_mean
from cbirlab.evaluation import title_of
from cbirlab.pipeline.added import STAGES
from cbirlab.pipeline.running import EXACT_RECALL

if TYPE_CHECKING:
    import pandas as pd

WORDS = {
    "aggregation": "pooling",
    "whitening_set": "learned on",
    "rescore": "rescored",
    "rerank": "re-ranking",
    "dim": "dimensions",
    "image_size": "image size (pixels)",
    "forward_passes": "forward passes",
    "ms_per_image": "describing (ms)",
    "build_seconds": "index built (s)",
    "ms_per_query": "search (ms)",
    "rerank_ms": "re-ranking (ms)",
    "prepare_seconds": "prepared (s)",
    "best_of": "timed",
    "bytes_per_image": "bytes",
    f"exact_{EXACT_RECALL}": f"{EXACT_RECALL} of the exact list",
    "left_out": "files left out",
    "difference": "difference to the first",
    "difference_p": "p",
    "change_p": "p",
    "fusion_weights": "fusion weights",
}
"""What columns are called where people read them, if not by their names; metrics have the titles of `title_of`."""

Columns = Sequence[str] | None
"""Names of columns, or None for the usual ones."""

MAPS: tuple[str, ...] = ("map_easy", "map_medium", "map_hard", "map")
CORE = ("backbone", "tap", "aggregation", "whitening", "dim")
"""What a row is, even where all rows agree in it."""

_SEARCH = ("compression", "index", "rescore", "rerank")
_DONE = (
    "dataset",
    "weights",
    "passes",
    "whitening_set",
    "distractors",
    "image_size",
    "preprocessing",
    "numerics",
    *_SEARCH,
)
_COSTS = ("forward_passes", "build_seconds", "ms_per_query", "rerank_ms", "prepare_seconds", "best_of", "skipped")
_OF_SEARCH = ("bytes_per_image", EXACT_RECALL, f"exact_{EXACT_RECALL}")


def heading(column: str) -> str:
    """A column in words: "map_medium" is "mAP (Medium)", "aggregation" is "pooling"."""
    return WORDS.get(column) or title_of(column)


def main_metrics(columns: Iterable[str]) -> list[str]:
    """The columns of the main metrics: mAPs in the order of difficulty, after any others that have an interval."""
    there = list(columns)
    others = [one for one in there if f"{one}_low" in there and one not in (*MAPS, "difference")]
    return others + [one for one in MAPS if one in there]


def offered_columns(frame: pd.DataFrame) -> list[str]:
    """The columns that one can choose: all but the recipes, and the ends of an interval, which go with its number."""
    return [name for name in frame.columns if name != "recipe" and not _is_end(str(name), frame)]


def with_ends(frame: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """The columns, each with the ends of its interval behind it if it has one."""
    ends = {name: [f"{name}_{end}" for end in ("low", "high")] for name in columns}
    return list(dict.fromkeys(one for name in columns for one in (name, *(end for end in ends[name] if end in frame))))


def usual_columns(frame: pd.DataFrame) -> list[str]:
    """The columns that a reader needs: what tells the rows apart, their main metrics, and what has to be said of them.

    Of a table of recipes they are the network, tap, pooling, whitening and dimensions; everything else in which rows
    differ; the main metrics; the bytes if rows differ in the search; and what is not empty of the rest, such as a leak.
    Of another table they are all but the recipes.
    """
    names = offered_columns(frame)
    if not {"aggregation", "whitening"} <= {*names}:
        return names
    differ = {name for name in names if len({str(value) for value in frame[name]}) > 1}
    main = main_metrics(map(str, frame.columns))

    def needed(name: str) -> bool:
        if name in (*_DONE, *STAGES):
            return name in differ
        if name in _OF_SEARCH:
            return bool(differ & {*_SEARCH})
        if name in (*CORE, *main):
            return True
        return name not in _COSTS and title_of(name) == name and any(_said(value) for value in frame[name])

    return [name for name in names if needed(name)]


def for_reading(frame: pd.DataFrame, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """A table for people: columns named by words, and each number that has an interval beside it in one cell.

    Parameters
    ----------
    columns : names of columns of `frame`, in the order to show; by default `usual_columns`.

    Raises
    ------
    ValueError : a column that the table does not have.
    """
    import pandas as pd

    wanted = usual_columns(frame) if columns is None else check_columns(frame, columns)
    cells = {name: _column(frame, str(name)) if name in frame else [] for name in wanted}
    made = pd.DataFrame(cells, index=frame.index)
    exact = f"exact_{EXACT_RECALL}"
    of_list = {EXACT_RECALL: exact} if "index" in frame and exact not in frame else {}  # no metric, if there is but one
    made.columns = pd.Index([heading(of_list.get(name, str(name))) for name in wanted], dtype=object)
    return made


def check_columns(frame: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """The `columns`, or a ValueError that names those that there are."""
    for name in columns:
        if name not in frame.columns:
            known = list(map(str, frame.columns))
            hint = did_you_mean(name, known)
            raise ValueError(f"columns must be among {', '.join(known)}; got {name!r}.{hint}")
    return list(columns)


def _column(frame: pd.DataFrame, name: str) -> Any:
    """The cells of a column; those of a metric, or of a number with an interval, as text."""
    write = _writer(name)
    low, high = (f"{name}_{end}" for end in ("low", "high"))
    if {low, high} <= {*frame.columns}:
        rows = zip(frame[name], frame[low], frame[high], strict=True)
        return ["" if not _said(value) else _with_interval(write, value, *ends) for value, *ends in rows]
    if title_of(name) != name and name in main_metrics(frame.columns):
        return ["" if not _said(value) else write(value) for value in frame[name]]
    return frame[name]


def _writer(name: str) -> Callable[[Any], str]:
    """How the numbers of a column are written: three digits, and a sign if it is a difference."""
    form = "{:.3f}" if title_of(name) != name else "{:+.3f}"
    return lambda value: form.format(value) if isinstance(value, int | float) else str(value)


def _with_interval(write: Callable[[Any], str], value: Any, low: Any, high: Any) -> str:
    return write(value) + (f" [{write(low)}, {write(high)}]" if _said(low) and _said(high) else "")


def _is_end(name: str, frame: pd.DataFrame) -> bool:
    """Whether a column is one end of the interval of another one."""
    stem = name.removesuffix("_low").removesuffix("_high")
    return stem != name and {stem, f"{stem}_low", f"{stem}_high"} <= {*frame.columns}


def _said(value: Any) -> bool:
    """Whether a cell says anything."""
    return value is not None and value != "" and not (isinstance(value, float) and math.isnan(value))
