"""Literature: published numbers with their settings and sources, to show next to measured ones.

They were made with other images, sizes, weights and whitenings than any run here: they show roughly where a result
stands, and no result has to reach them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from cbirlab.base.registry import Registry
from cbirlab.evaluation import largest

if TYPE_CHECKING:
    import pandas as pd

_FILE = Path(__file__).with_suffix(".json")

MEASURED, PUBLISHED = "measured", "published"
"""The values of the column "origin"."""

_OF_METHOD = ("backbone", "tap", "aggregation", "whitening", "dim", "fusion", "features")


@dataclass(frozen=True)
class Published:
    """One number of the literature.

    Attributes
    ----------
    method : what its source calls it, made unique.
    dataset, protocol : names as in cbirlab.
    metric : a column of tables: "map", "map_medium", "ns".
    value : on the scale that measured ones have: mAP in 0..1, N-S in 0..4.
    settings : what is known about how it was measured.
    source : where it was published.
    note : what to keep in mind.
    """

    method: str
    dataset: str
    protocol: str
    metric: str
    value: float
    settings: str
    source: str
    note: str = ""


def published(
    dataset: str | None = None, *, method: str | None = None, metric: str | None = None, wide: bool = False
) -> pd.DataFrame:
    """List published numbers, in the order of their sources.

    Parameters
    ----------
    dataset : a dataset that has some; all by default.
    method : words in the name of the method; capitals do not matter.
    metric : a column of tables, like "map_medium".
    wide : one row per method with its metrics side by side, instead of one row per number.

    Returns
    -------
    The fields of `Published` as columns; if `wide`, the metrics replace "metric" and "value".

    Raises
    ------
    UnknownName : no published number for this dataset.
    """
    import pandas as pd

    if dataset is not None:
        _datasets().info(dataset)
    kept = [
        one
        for one in records()
        if (dataset is None or one.dataset == dataset)
        and (method is None or method.lower() in one.method.lower())
        and (metric is None or one.metric == metric)
    ]
    if wide:
        return pd.DataFrame(_rows(kept))
    return pd.DataFrame([asdict(one) for one in kept], columns=[*Published.__dataclass_fields__])


def beside(frame: pd.DataFrame, *, dataset: str | None = None, method: str | None = None) -> pd.DataFrame:
    """Append the published numbers of its dataset to a table of measured ones.

    Parameters
    ----------
    frame : from `cbirlab.compare`, or any table with a column per metric.
    dataset : whose published numbers to add; by default the datasets in the column "dataset".
    method : as in `published`.

    Returns
    -------
    The columns of `frame` after "origin", "measured" or "published", and "method"; "settings" and "source" follow.
    Published rows have the metrics that `frame` has, without intervals, and no recipe: they cannot be run again.

    Raises
    ------
    UnknownName : no published number for this dataset.
    ValueError : neither `dataset` nor a column "dataset".
    """
    import pandas as pd

    if dataset is None and "dataset" not in frame:
        raise ValueError("beside: dataset must be given if the table has no column of that name.")
    names = list(dict.fromkeys(frame["dataset"])) if dataset is None else [dataset]
    for name in names:
        _datasets().info(str(name))
    found = [one for one in records() if one.dataset in names and one.metric in frame]
    kept = [one for one in found if method is None or method.lower() in one.method.lower()]
    labels = frame[[name for name in _OF_METHOD if name in frame]].astype(str).agg(" ".join, axis=1)
    measured = frame.assign(origin=MEASURED, method=labels.str.strip())
    theirs = pd.DataFrame(_rows(kept)).drop(columns=["protocol", "note"], errors="ignore").assign(origin=PUBLISHED)
    columns = ["origin", "method", *frame.columns, "settings", "source"]
    return pd.concat([measured, theirs], ignore_index=True).reindex(columns=list(dict.fromkeys(columns)))


def is_published(frame: pd.DataFrame) -> Sequence[bool]:
    """Which rows of a table are published ones."""
    return [origin == PUBLISHED for origin in frame["origin"]] if "origin" in frame else [False] * len(frame)


@cache
def records() -> tuple[Published, ...]:
    """All published numbers."""
    found = []
    for table in json.loads(_FILE.read_text(encoding="utf-8"))["tables"]:
        columns = [column.split() for column in table["columns"]]
        for method, settings, *values in table["rows"]:
            note = values[len(columns)] if len(values) > len(columns) else table.get("note", "")
            said = "; ".join(filter(None, [settings, table.get("settings", "")]))
            for (dataset, protocol, metric), printed in zip(columns, values, strict=False):
                if printed is not None:
                    value = printed if largest(metric) > 1 else round(printed / 100, 6)
                    found.append(Published(method, dataset, protocol, metric, value, said, table["source"], note))
    return tuple(found)


@cache
def _datasets() -> Registry[str]:
    """Names of datasets with published numbers, so that an unknown name gets suggestions."""
    names: Registry[str] = Registry("dataset with published numbers")
    for name in dict.fromkeys(one.dataset for one in records()):
        names.add(name, name, title=name)
    return names


def _rows(numbers: Sequence[Published]) -> list[dict[str, object]]:
    """One row per method and dataset; metrics in the order in which they first appear."""
    metrics = dict.fromkeys(one.metric for one in numbers)
    rows: dict[tuple[str, ...], dict[str, object]] = {}
    for one in numbers:
        key = (one.method, one.dataset, one.protocol, one.settings, one.source, one.note)
        head = {"method": one.method, "dataset": one.dataset, "protocol": one.protocol, **dict.fromkeys(metrics)}
        row = rows.setdefault(key, {**head, "settings": one.settings, "source": one.source, "note": one.note})
        row[one.metric] = one.value
    return list(rows.values())
