"""A table of codes: how much mAP is left at how many bytes, by Hamming distance, by real outputs, re-scored."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.base.params import parameters
from cbirlab.compression import COMPRESSIONS, Compression
from cbirlab.datasets import Dataset, load_dataset
from cbirlab.evaluation import PROTOCOLS
from cbirlab.study.grid import compare

if TYPE_CHECKING:
    import pandas as pd

CODES = ("lsh", "pcah", "pca_rr", "itq")
SYMMETRIC, ASYMMETRIC, RESCORED = "symmetric", "asymmetric", "re-scored"
TIES = ("map_ties", "map_ties_worst", "map_ties_best")
GROUP_BITS = 4
"""Bits for each group of a product quantiser: with 16 centres, a small learning set suffices."""


@dataclass(frozen=True)
class _Member:
    """One row before seeds are averaged: a code with one seed, compared in one way."""

    code: str
    bits: int
    way: str
    compression: str
    rescore: int


def compare_codes(
    dataset: str | Path | Dataset = "toytown",
    codes: Sequence[str] = CODES,
    bits: Sequence[int] = (16, 32, 64, 128),
    *,
    seeds: Sequence[int] = (0, 1, 2, 3),
    rescore: int = 100,
    **shared: Any,
) -> pd.DataFrame:
    """Judge codes at equal numbers of bits in up to three ways, means over seeds.

    "symmetric" compares bits with bits; "asymmetric" compares real outputs of the query with bits, or its distance
    table with a product quantiser's centres; "re-scored" takes the first `rescore` results of the symmetric way (of a
    product quantiser the asymmetric one) and scores them again with full rows, which must lie somewhere too.

    Parameters
    ----------
    codes : names of `COMPRESSIONS`. Binary codes, "pq" and "opq" (in groups of 4 bits) are compared at each number of
        bits, all others as they are; so is what has its parameters with it, as "pq(m=8, bits=8)".
    bits : of a code.
    seeds : every code that has a seed is learned with each of them.
    shared : further arguments of `compare`, which decide the descriptors; by default GeM at the last map, no whitening.

    Returns
    -------
    A row per code, number of bits and way, the first of full rows: "code", "bits", "way", "bytes_per_image", "seeds",
    and the metrics of `compare`. Of a code with several seeds "_low" and "_high" are the 95 % interval of the mean over
    seeds, by Student's t, NaN otherwise; "_least" and "_most" are the extremes. "map_ties_worst" and "map_ties_best"
    are the bounds over all orders of equal scores, so `evaluate` does not warn of them.

    Raises
    ------
    UnknownName, ValueError : no such code, and as `compare`.
    """
    import pandas as pd

    loaded = load_dataset(dataset)
    given = {"aggregations": "gem", "whitenings": "none", **shared}
    each = (one for code in codes for many in bits for one in _members(code, many, seeds, rescore))
    members = list(dict.fromkeys(each))  # what is compared as it is comes for all bits
    found = {("none", 0): _rows(loaded, ["none"], 0, given).iloc[0]}
    for again in dict.fromkeys(one.rescore for one in members):
        wanted = list(dict.fromkeys(one.compression for one in members if one.rescore == again))
        table = _rows(loaded, wanted, again, given)
        found |= {(str(row["compression"]), again): row for _, row in table.iterrows()}
    full = found["none", 0]
    values = _measured(loaded, full)
    rows = [_row("none", 32 * int(full["dim"]), "full rows", [full], values)]
    for group in dict.fromkeys((one.code, one.bits, one.way) for one in members):
        mine = [one for one in members if (one.code, one.bits, one.way) == group]
        rows.append(_row(*group, [found[one.compression, one.rescore] for one in mine], values))
    return pd.DataFrame(rows)


def _members(code: str, bits: int, seeds: Sequence[int], rescore: int) -> list[_Member]:
    method = Compression.parse(code)
    declared = parameters(method.target())
    drawn = [{"seed": seed} for seed in seeds] if "seed" in declared and "seed=" not in code else [{}]
    if code not in COMPRESSIONS or not ("m" in declared or {"bits", "distance"} <= {*declared}):
        given = dict(method.params)
        texts = [Compression(method.name, {**given, **more}).key for more in drawn]
        ways = ((given.get("distance", ASYMMETRIC), 0), (RESCORED, rescore))
        return [_Member(code, 0, way, text, again) for text in texts for way, again in ways]
    if "m" in declared:
        text = Compression(code, {"m": bits // GROUP_BITS, "bits": GROUP_BITS}).key
        return [_Member(code, bits, way, text, again) for way, again in ((ASYMMETRIC, 0), (RESCORED, rescore))]
    found = []
    for more in drawn:
        for way, distance, again in (
            (SYMMETRIC, SYMMETRIC, 0),
            (ASYMMETRIC, ASYMMETRIC, 0),
            (RESCORED, SYMMETRIC, rescore),
        ):
            text = Compression(code, {"bits": bits, "distance": distance, **more}).key
            found.append(_Member(code, bits, way, text, again))
    return found


def _rows(dataset: Dataset, compressions: Sequence[str], rescore: int, given: dict[str, Any]) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "evaluate: equal scores")  # the table has the bounds
        return compare(dataset, compressions=compressions, rescores=[rescore], metrics=TIES, **given)


def _measured(dataset: Dataset, row: Any) -> list[str]:
    """The columns of the protocol's headline, of its values under ties, and of recall."""
    headline = PROTOCOLS[dataset.protocol].headline
    named = [headline, *(headline.replace("map", name, 1) for name in TIES), "recall@10"]
    return [name for name in named if name in row]


def _row(code: str, bits: int, way: str, rows: Sequence[Any], values: Sequence[str]) -> dict[str, Any]:
    size = int(rows[0]["bytes_per_image"])
    made: dict[str, Any] = {"code": code, "bits": bits or 8 * size, "way": way, "bytes_per_image": size}
    made["seeds"] = len(rows)
    for name in values:
        each = np.array([float(row[name]) for row in rows])
        room = half_width(each)
        made |= {name: each.mean(), f"{name}_low": each.mean() - room, f"{name}_high": each.mean() + room}
        made |= {f"{name}_least": each.min(), f"{name}_most": each.max()}
    return made


def half_width(values: np.ndarray) -> float:
    """Half of the 95 % interval of a mean over seeds (n,), by Student's t; NaN of a single one."""
    from scipy.stats import t

    if len(values) < 2:
        return math.nan
    return float(t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values)))
