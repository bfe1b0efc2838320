"""Pairs: the cosines of images that match and of images that do not, according to the ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cbirlab.datasets import Dataset
from cbirlab.evaluation import PROTOCOLS, Protocol

MOST_PAIRS = 5_000
BINS = 40


@dataclass(frozen=True, eq=False)
class JudgedPairs:
    """Pairs of images that are known to match or not.

    Attributes
    ----------
    first, second : (n,) rows of the queries and of the database; if a dataset knows instances but has no ground truth
        for queries, both are rows of the database.
    matching : (n,) bool.
    of_queries : whether `first` holds rows of the queries.
    """

    first: np.ndarray
    second: np.ndarray
    matching: np.ndarray
    of_queries: bool


@dataclass(frozen=True, eq=False)
class Cosines:
    """The distribution of the cosines of matching pairs and of other pairs.

    Attributes
    ----------
    edges : (bins + 1,) from below the smallest cosine to above the largest, in twentieths.
    matching, others : (bins,) share of the pairs in each bin; each sums to one.
    separation : probability that a matching pair has a larger cosine than another, ties half: 0.5 is chance, 1 perfect.
    mean_matching, mean_others : means of the cosines.
    """

    edges: np.ndarray
    matching: np.ndarray
    others: np.ndarray
    separation: float
    mean_matching: float
    mean_others: float


def judged_pairs(
    dataset: Dataset, protocol: str | Protocol | None = None, *, most: int = MOST_PAIRS, seed: int = 0
) -> JudgedPairs:
    """Pairs that match, and as many that do not, or all there are; a random draw if there are more than `most`.

    For a query, images that count as right at some level match, images without a label do not, and others (junk, its
    own picture) are left out. A picture that cannot be read has cosine 0 with everything.

    Parameters
    ----------
    protocol : the dataset's own by default.
    most : pairs of either kind.
    seed : of the random draw.

    Raises
    ------
    ValueError : neither labels nor instances are known, or no pair matches.
    """
    random = np.random.default_rng(seed)
    if dataset.labels:
        chosen = protocol or dataset.protocol
        found = _of_queries(dataset, chosen if isinstance(chosen, Protocol) else PROTOCOLS[chosen], most, random)
    elif any(dataset.instances):
        found = _of_instances(dataset.instances, most, random)
    else:
        raise ValueError(f"judged_pairs: {dataset.name} has neither ground truth nor instances, so no pairs are known.")
    matching, others = found
    if not len(matching):
        raise ValueError(f"judged_pairs: {dataset.name} has no two images that match.")
    both = np.concatenate([matching, others])
    known = np.arange(len(both)) < len(matching)
    return JudgedPairs(both[:, 0], both[:, 1], known, bool(dataset.labels))


def cosines(pairs: JudgedPairs, images: np.ndarray, queries: np.ndarray, *, bins: int = BINS) -> Cosines:
    """Histograms of the cosines of `pairs`.

    Parameters
    ----------
    images, queries : (N, D) and (Q, D), rows of length one or zero, as a recipe searches them.
    """
    left = queries if pairs.of_queries else images
    values = np.einsum("nd,nd->n", left[pairs.first], images[pairs.second]).clip(-1, 1)
    matching, others = values[pairs.matching], values[~pairs.matching]
    low, high = np.floor(values.min() * 20) / 20, np.ceil(values.max() * 20) / 20
    edges = np.linspace(low, max(high, low + 0.05), bins + 1)
    shares = [np.histogram(one, edges)[0] / max(1, len(one)) for one in (matching, others)]
    means = [float(one.mean()) if len(one) else float("nan") for one in (matching, others)]
    return Cosines(edges, shares[0], shares[1], separation(matching, others), means[0], means[1])


def separation(matching: np.ndarray, others: np.ndarray) -> float:
    """Probability that a value of `matching` exceeds one of `others`, ties half (the area under the ROC curve)."""
    if not len(matching) or not len(others):
        return float("nan")
    ordered = np.sort(others)
    below, at_most = (np.searchsorted(ordered, matching, side) for side in ("left", "right"))
    return float((below + at_most).mean() / 2 / len(others))


def _of_queries(
    dataset: Dataset, protocol: Protocol, most: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    right = {label for level in protocol.levels for label in level.positive}
    matching, labelled = [], []
    for query, labels in enumerate(dataset.labels):
        own = dataset.queries[query].index
        rows = {row for label in right for row in labels.get(label, ())} - {own}
        matching += [(query, row) for row in sorted(rows)]
        labelled.append({row for members in labels.values() for row in members} | {own})
    drawn = _some(np.array(matching, dtype=np.int64).reshape(-1, 2), most, random)
    wanted = np.array(
        [random.integers(len(dataset.labels), size=most), random.integers(len(dataset.images), size=most)]
    )
    others = [pair for pair in dict.fromkeys(map(tuple, wanted.T.tolist())) if pair[1] not in labelled[pair[0]]]
    return drawn, np.array(others, dtype=np.int64).reshape(-1, 2)


def _of_instances(instances: Sequence[str], most: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    members: dict[str, list[int]] = {}
    for row, instance in enumerate(instances):
        if instance:
            members.setdefault(instance, []).append(row)
    matching = [pair for rows in members.values() for pair in _next_ones(rows)]
    named = np.array([row for rows in members.values() for row in rows])
    wanted = named[random.integers(len(named), size=(most, 2))]
    others = [tuple(sorted(pair)) for pair in wanted.tolist() if instances[pair[0]] != instances[pair[1]]]
    return (
        _some(np.array(matching, dtype=np.int64).reshape(-1, 2), most, random),
        np.array(list(dict.fromkeys(others)), dtype=np.int64).reshape(-1, 2),
    )


def _next_ones(rows: Sequence[int], partners: int = 10) -> list[tuple[int, int]]:
    """Pair each row with the `partners` rows after it: a large instance has too many pairs to take all."""
    return [(row, other) for place, row in enumerate(rows) for other in rows[place + 1 : place + 1 + partners]]


def _some(pairs: np.ndarray, most: int, random: np.random.Generator) -> np.ndarray:
    if len(pairs) <= most:
        return pairs
    return pairs[np.sort(random.choice(len(pairs), most, replace=False))]
