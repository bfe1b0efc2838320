"""Assembling: the shards of a plan, computed anywhere and in any order, become entries of the store and the grid."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from cbirlab.base.notices import notify
from cbirlab.datasets.base import Dataset
from cbirlab.extract import moved
from cbirlab.extract.cache_keys import Column, Part
from cbirlab.extract.descriptors import Descriptors, Filled, entry_values, exponent_of, over_scales
from cbirlab.extract.loop import Computed
from cbirlab.extract.planning import Plan
from cbirlab.store import Store, StoreUnwritable, digest
from cbirlab.store.shards import Shards


class ShardsMissing(LookupError):
    """Shards of a plan that nobody has computed, or that have since been removed or damaged."""


def assemble(plan: Plan, store: Store, computed: Iterable[Computed] = ()) -> Descriptors:
    """Bring the shards of a plan together into entries of the store, and these into the grid.

    Parameters
    ----------
    computed : what `compute` returned, in any order. Without it, the times, the reasons why images could not be
        decoded, and values that the store could not take are lost.

    Raises
    ------
    ShardsMissing : some shards are not there.
    """
    request, computed = plan.request, list(computed)
    found = dict(plan.found)
    for part in plan.unfinished:
        columns, own = plan.missing[part.base], [one for one in computed if one.base == part.base]
        found |= _joined(part, columns, own, store, request.backbone.weights)
        moved.remember(store, part)
    arrays: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    keys: dict[tuple[str, str], dict[str, str]] = {}
    pass_ms: dict[tuple[str, str], dict[str, float]] = {}
    for name in dict.fromkeys(part.name for part in plan.parts):
        counts = plan.views[name]
        for same in zip(*(part.columns for part in plan.parts if part.name == name), strict=True):
            cell = (same[0].tap, same[0].aggregation.key)
            filled = [found[column.key] for column in same]
            exponent = exponent_of(request.scale_pooling, same[0].aggregation)
            arrays.setdefault(cell, {})[name] = over_scales([one.values for one in filled], exponent)
            keys.setdefault(cell, {})[name] = digest({"scales": [column.key for column in same], "gem": exponent})
            spent = sum(one.pass_ms for one in filled) * counts.sum() / max(1, len(counts))
            pass_ms.setdefault(cell, {})[name] = float(spent)
    skipped = {
        part.name: _by_image(found[part.columns[0].key].skipped, plan.views[part.name])
        for part in plan.parts
        if part.columns
    }
    _report_skipped(request.dataset, skipped)
    return Descriptors(arrays, keys, plan.views, pass_ms, skipped, sum(one.images for one in computed))


def _joined(
    part: Part, columns: Sequence[Column], computed: Sequence[Computed], store: Store, weights: str
) -> dict[str, Filled]:
    """Turn the columns of a part, whose shards are all there, into entries; in memory if the store is not writable."""
    written, numbers = Shards(store, part.base), range(len(part.batches.shards))
    unwritten = {(one.number, key): block for one in computed for key, block in one.unwritten.items()}
    problems = {row: reason for one in computed for row, reason in one.problems.items()}
    images = sum(one.images for one in computed)
    pass_ms = 1000 * sum(one.seconds for one in computed) / images if images else None
    found: dict[str, Filled] = {}

    def read(number: int, column: Column) -> np.ndarray:
        values = unwritten.get((number, column.key))
        values = written.read(number, column.key) if values is None else values
        if values is None or len(values) != len(part.batches.rows(number)):
            raise ShardsMissing(f"Store {store.path}: shard {number} of {part.dataset} {part.name} is not there.")
        return values

    def blocks(column: Column, skipped: dict[str, str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield rows and their values, shard by shard, adding to `skipped` on the way."""
        for number in numbers:
            values, rows = read(number, column), np.array(part.batches.rows(number))
            lost = np.isnan(values[:, 0])  # pooled values are finite, so one column tells
            for row in rows[lost]:
                skipped[str(row)] = problems.get(int(row), f"{part.items[row].path}: could not be read.")
            yield rows, np.where(lost[:, None], np.float32(0), values) if lost.any() else values

    in_memory = bool(unwritten)
    for column in columns:
        entry = store.get("descriptors", column.specification)  # another process may have been faster
        if entry is None:
            shape = (len(part.items), read(0, column).shape[1])
            skipped = {str(row): reason for row, reason in part.batches.unreadable.items()}
            if not in_memory:
                try:
                    entry = store.put_rows(
                        "descriptors", column.specification, "values", shape, blocks(column, skipped),
                        dataset=part.dataset, part=part.name, weights=weights, skipped=skipped, pass_ms=pass_ms,
                    )  # fmt: skip
                except StoreUnwritable as error:
                    in_memory = True
                    warn_of_memory(str(error))
        if entry is not None:
            found[column.key] = entry_values(entry)
            continue
        values = np.zeros(shape, np.float32)
        for rows, block in blocks(column, skipped):
            values[rows] = block
        reasons = {int(row): reason for row, reason in skipped.items()}
        found[column.key] = Filled(values, reasons, math.nan if pass_ms is None else pass_ms)
    if not in_memory:  # else the shards that were written are all that a later run finds
        written.drop([column.key for column in columns], len(numbers))
    return found


def warn_of_memory(error: str) -> None:
    """Say that results are not saved, and why."""
    warnings.warn(f"{error} Results are kept in memory for now and are lost when Python ends.", stacklevel=5)


NAMED = 3
"""Images that cannot be used whose reasons a notice tells; `skipped` has all."""


def _by_image(skipped: Mapping[int, str], views: np.ndarray) -> dict[int, str]:
    """Turn reasons by view into reasons by image; an image is skipped if none of its views could be used."""
    owner = np.repeat(np.arange(len(views)), views)
    reasons = {int(owner[row]): reason for row, reason in skipped.items()}
    lost = np.bincount(owner[list(skipped)], minlength=len(views)) if skipped else np.zeros(len(views), np.int64)
    return {image: reason for image, reason in reasons.items() if lost[image] == views[image]}


def _report_skipped(dataset: Dataset, skipped: Mapping[str, Mapping[int, str]]) -> None:
    reasons = list(dict.fromkeys(reason for rows in skipped.values() for reason in rows.values()))
    if reasons:
        rest = f" (and {len(reasons) - NAMED} more)" if len(reasons) > NAMED else ""
        shown = " ".join(reasons[:NAMED]) + rest
        notify(f"{dataset.name}: {len(reasons)} images cannot be used; their descriptors are zero and score 0: {shown}")
