"""Right answers by what changed within a pair: viewpoint, scale, light, occlusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.datasets import Dataset
from cbirlab.evaluation import bootstrap, query_groups
from cbirlab.index import Ranking
from cbirlab.index.lists import Lists, lists_of

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Factor:
    """Something that differs between a query and a right answer.

    Attributes
    ----------
    title, unit : as shown on an axis.
    edges : between the bins of a number; empty if the values are kinds of light.
    """

    title: str
    unit: str = ""
    edges: tuple[float, ...] = ()


FACTORS = {
    "overlap": Factor("share of the query seen", "", (0.3, 0.6)),
    "viewpoint_deg": Factor("change of viewpoint", "degrees", (20, 60)),
    "scale_ratio": Factor("change of scale", "times", (1.4, 2.2)),
    "sun_deg": Factor("the sun moved by", "degrees", (30, 90)),
    "illumination": Factor("light of the darker picture"),
    "occlusion": Factor("share that is occluded", "", (0.1, 0.4)),
}
MEASURES = {
    "auc": "negatives behind (AUC)",
    "rank": "mean rank among negatives",
    "reciprocal_rank": "mean of 1 / rank",
}


def pairs(ranking: Ranking | Lists, dataset: Dataset, *, distractors: int = 0) -> pd.DataFrame:
    """How well each right answer of each query is ranked, and what changed between the two pictures.

    Each answer is compared with the negatives alone, so that easy pairs do not push hard ones down the list.

    Parameters
    ----------
    ranking : (Q, N + distractors), complete.
    dataset : one whose metadata has "pairs", like Toytown's.
    distractors : how many rows of the lists follow the images of the dataset (`Run.distractors`); they are negatives.

    Returns
    -------
    One row per pair: "query", "image" (database row), "group" (queries of one instance share it); the `MEASURES`: "auc"
    (share of all negatives that the image is ranked before), "rank" among them from 1, "reciprocal_rank"; and the
    factors that the dataset knows.

    Raises
    ------
    ValueError : the dataset knows nothing about its pairs, or the ranking is cut off or belongs to other queries.
    """
    import pandas as pd

    known = dataset.metadata.get("pairs", ())
    if not any(known):
        raise ValueError(
            f"pairs: dataset {dataset.name!r} must say in its metadata what changed within each pair, as Toytown does; "
            "to see what breaks a descriptor on other images, use the probe."
        )
    lists = lists_of(ranking)
    images = len(dataset.images) + distractors
    if lists.shape != (len(dataset.queries), images):
        raise ValueError(
            f"pairs: ranking must cover all {len(dataset.queries)} queries and all {images} images, got {lists.shape}; "
            "say how many of them are distractors, and give lists that are not cut."
        )
    groups = query_groups(dataset)
    found = []
    rows = ((row, int(end)) for block in lists for row, end in zip(block.images, block.answers(), strict=True))
    for query, (changed, (row, end)) in enumerate(zip(known, rows, strict=True)):
        before, negatives = _negatives_before(row, end, dataset, query)
        rank = 1 + before[np.asarray(changed["index"], np.int64)]
        found.append(
            pd.DataFrame(
                {
                    "query": query,
                    "image": changed["index"],
                    "group": groups[query],
                    "auc": 1 - (rank - 1) / negatives,
                    "rank": rank,
                    "reciprocal_rank": 1 / rank,
                    **{name: changed[name] for name in FACTORS if name in changed},
                }
            )
        )
    return pd.concat(found, ignore_index=True)


def _negatives_before(row: np.ndarray, answers: int, dataset: Dataset, query: int) -> tuple[np.ndarray, int]:
    """For each database row (N,), how many images without a label rank before it; and how many there are.

    For an image that is no answer, all of them count as ranking before it.
    """
    negative = np.ones(len(row), bool)
    negative[[image for labelled in dataset.labels[query].values() for image in labelled]] = False
    own = dataset.queries[query].index
    if own is not None:
        negative[own] = False
    before = np.empty(len(row), np.int64)
    before[row] = np.cumsum(negative[row])
    before[row[answers:]] = negative.sum()
    return before, int(negative.sum())


def by_factor(
    frames: Mapping[str, pd.DataFrame], factor: str, edges: Sequence[float] | None = None, *, resamples: int = 2000
) -> pd.DataFrame:
    """Means over the pairs in each bin of a factor: where descriptors break. Factors are not independent of each other.

    Parameters
    ----------
    frames : name of a setting to what `pairs` gives for its ranking.
    factor : a name in `FACTORS`.
    edges : edges between the bins, ascending, instead of those of the factor.
    resamples : number of bootstrap samples over instances (all pairs of an instance's queries are drawn together).

    Returns
    -------
    One row per setting and bin that has pairs: "setting", "factor", "bin", "pairs" (how many), and each of `MEASURES`
    with the ends of its 95 % interval, "auc_low", "auc_high".

    Raises
    ------
    ValueError : a factor that is unknown, or that the dataset does not have; edges that do not ascend.
    """
    import pandas as pd

    if factor not in FACTORS:
        raise ValueError(f"by_factor: factor must be one of {', '.join(FACTORS)}, got {factor!r}.")
    rows = []
    for setting, frame in frames.items():
        if factor not in frame:
            raise ValueError(f"by_factor: the pairs of {setting!r} have no {factor!r}.")
        values = pd.Series(frame[factor])
        for title, chosen in _bins(values, FACTORS[factor].edges if edges is None else tuple(edges)).items():
            if chosen.any():
                means = _means(frame.loc[chosen], resamples)
                rows.append({"setting": setting, "factor": factor, "bin": title, "pairs": int(chosen.sum()), **means})
    return pd.DataFrame(rows)


def _means(kept: pd.DataFrame, resamples: int) -> dict[str, float]:
    """The measures of some pairs with their intervals."""
    means = {}
    for measure in MEASURES:
        found = bootstrap(np.asarray(kept[measure]), n=resamples, groups=np.asarray(kept["group"]))
        means |= {measure: found.mean, f"{measure}_low": found.low, f"{measure}_high": found.high}
    return means


def _bins(values: pd.Series, edges: tuple[float, ...]) -> dict[str, Any]:
    """Which values lie in each bin; a missing value lies in none."""
    if values.map(lambda value: isinstance(value, str)).any():
        light = values.map(_light, na_action="ignore")
        return {name: light == name for name in ("day", "overcast", "night")}
    if not edges or list(edges) != sorted(set(edges)):
        raise ValueError(f"by_factor: edges must be ascending numbers, got {edges}.")
    numbers = values.astype(float)
    chosen = {f"under {edges[0]:g}": numbers < edges[0]}
    for low, high in pairwise(edges):
        chosen[f"{low:g} to {high:g}"] = (numbers >= low) & (numbers < high)
    return chosen | {f"over {edges[-1]:g}": numbers >= edges[-1]}


def _light(kinds: str) -> str:
    """The darker of two kinds of light, "sun to night"."""
    return next((kind for kind in ("night", "overcast") if kind in kinds), "day")
