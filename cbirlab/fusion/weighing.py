"""Balance: weights of a fusion, chosen on a train split and never on the images that are evaluated."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from cbirlab.datasets import Dataset, Query
from cbirlab.evaluation import PROTOCOLS, evaluate
from cbirlab.fusion.members import Member, fuse_lists, own_rows
from cbirlab.fusion.methods import FusionMethod


@dataclass(frozen=True)
class Balance:
    """The best weights, and all that were tried.

    Attributes
    ----------
    weights : one per member; they add up to one.
    map : mean average precision on the train split with these weights.
    tried : weights to mean average precision, the most equal weights first.
    """

    weights: tuple[float, ...]
    map: float
    tried: Mapping[tuple[float, ...], float]


def train_split(dataset: Dataset) -> Dataset:
    """Turn the train images of a dataset into a benchmark of their own: the database of `balance`.

    Every train image that shares its instance with another one is a query, whose own row does not count; the other
    images of its instance are relevant. If no instances are known, there is no query.

    Raises
    ------
    ValueError : there is no train split.
    """
    if not dataset.train:
        raise ValueError(f"{dataset.name}: learning a fusion needs a train split, and this dataset has none.")
    rows = defaultdict(list)
    for row, instance in enumerate(dataset.train_instances):
        rows[instance].append(row)
    shown = [row for row, instance in enumerate(dataset.train_instances) if instance and len(rows[instance]) > 1]
    others = [tuple(other for other in rows[dataset.train_instances[row]] if other != row) for row in shown]
    return replace(
        dataset,
        name=f"{dataset.name} (train split)",
        images=dataset.train,
        queries=tuple(Query(dataset.train[row], index=row) for row in shown),
        labels=tuple({"positive": positive} for positive in others),
        protocol="retrieval",
        instances=dataset.train_instances,
        metadata={},
    )


def balance(
    members: Sequence[Member],
    dataset: Dataset,
    method: str | FusionMethod = "early",
    steps: int = 5,
    average_precision: str = "trapezoid",
) -> Balance:
    """Find the weights in a small grid with which a train split finds its own instances best.

    Parameters
    ----------
    members : those of the fusion, searched on `dataset`.
    dataset : from `train_split`.
    method : "early", "minmax", "rrf(k=30)", ...
    steps : values of a weight from 0 to 1; the grid holds all combinations that add up to one, and equal weights.
    average_precision : "trapezoid" or "finite-sum".

    Returns
    -------
    The best weights; among equally good ones the most equal.

    Raises
    ------
    ValueError : there is no query, because no instance is shown twice; or as `fuse` raises it.
    """
    if not dataset.queries:
        raise ValueError(
            f"balance: weights are learned from two images of one instance, but {dataset.name} has no such images; "
            "give the weights as numbers, or None for equal ones."
        )
    method, own = FusionMethod.parse(method), own_rows(dataset, PROTOCOLS[dataset.protocol])
    tried = {}
    for weights in grid(len(members), steps, method):
        lists = fuse_lists(members, method, weights, own)
        found = evaluate(lists, dataset, average_precision=average_precision, resamples=0, remarking=False)
        tried[weights] = found.metrics["map"]
    # Weights whose results differ only by rounding are equally good; take the first of these, the most equal weights.
    best = max(tried.values())
    chosen = next(weights for weights, value in tried.items() if value >= best - 1e-12)
    return Balance(chosen, tried[chosen], tried)


def grid(members: int, steps: int, method: FusionMethod) -> list[tuple[float, ...]]:
    """Weights that add up to one, the most equal first; if the first member ranks, its weight is above zero.

    Raises
    ------
    ValueError : fewer than two steps.
    """
    if steps < 2 or steps != int(steps):
        raise ValueError(f"balance: steps must be a whole number of at least 2, got {steps!r}.")
    whole = int(steps) - 1
    weights = {tuple(part / whole for part in share) for share in _shares(whole, members)} | {(1 / members,) * members}
    if method.fact("ordered", False):
        weights = {one for one in weights if one[0] > 0}
    return sorted(weights, key=lambda one: (round(sum(part**2 for part in one), 12), tuple(-part for part in one)))


def _shares(whole: int, members: int) -> Iterator[tuple[int, ...]]:
    """All ways to divide `whole` among `members` in whole numbers, without trying all combinations of numbers."""
    if members == 1:
        yield (whole,)
        return
    for first in range(whole + 1):
        for rest in _shares(whole - first, members - 1):
            yield (first, *rest)
