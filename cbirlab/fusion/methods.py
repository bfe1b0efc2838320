"""The ways to fuse, as functions of arrays: one array per member in, one out.

What the arrays are is the fact `stage` of a method::

    "descriptors"   (n, d_m), rows of the members; out comes (n, d)
    "scores"        (Q, N), score of every database image; larger is better
    "ranks"         (Q, N), 0-based rank of every database image; out come scores

In "scores" and "ranks" a NaN marks an image that is not part of the list (the query's own): it stays NaN. A score of
-inf, and a rank of inf, mark an image that is no answer of a member, because the image or the query has no descriptor
there. Then the other members alone decide; if none of them has an answer, the fusion has none either, -inf.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np

from cbirlab.base.methods import Method
from cbirlab.base.params import Range
from cbirlab.base.plain import shown
from cbirlab.base.registry import Registry
from cbirlab.whitening import normalise

FUSIONS: Registry[Callable[..., np.ndarray]] = Registry("fusion")


class FusionMethod(Method):
    """A fusion with all its parameters.

    >>> FusionMethod.parse("rrf").key
    'rrf(k=60)'
    """

    registry: ClassVar[Registry[Any]] = FUSIONS

    @property
    def stage(self) -> str:
        """What the method fuses: "descriptors", "scores" or "ranks"."""
        return str(self.fact("stage"))

    @property
    def of_vectors(self) -> bool:
        """Whether each member needs one vector per image, to be joined or because its scores must be cosines."""
        return self.stage == "descriptors" or bool(self.fact("cosines"))


def check_weights(owner: str, weights: Sequence[float] | None, members: int) -> tuple[float, ...]:
    """Check the weights, one per member; None gives equal weights.

    Raises
    ------
    ValueError : another number of weights, a negative one, NaN or infinity, or nothing but zeros.
    """
    if weights is None:
        return (1.0,) * members
    try:
        values = np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        values = np.empty(0)
    if values.shape != (members,) or not np.isfinite(values).all() or (values < 0).any() or not values.any():
        raise ValueError(
            f"{owner}: weights must be {members} numbers of at least 0, one per member and not all 0, or None for "
            f"equal ones, got {shown(weights)}."
        )
    return tuple(float(value) for value in values)


@FUSIONS.register("early", title="Concatenation", reference="survey, 3.1.3: early fusion", stage="descriptors")
def early(values: Sequence[np.ndarray], weights: Sequence[float] | None = None) -> np.ndarray:
    """Early fusion: ``[w1 L2(f1); w2 L2(f2); ...]``, L2-normalised.

    The cosine of two such rows is the mean of the members' cosines s_m weighted with w_m²:
    sum of w_m² s_m over sum of w_m². Where a member has a zero row (an unreadable image) the others alone decide.

    Parameters
    ----------
    values : (n, d_m) of each member.
    weights : one per member, at least 0; equal by default.

    Returns
    -------
    (n, sum of d_m), rows of length one; zero where all members are zero.

    Raises
    ------
    ValueError : numbers of rows that differ, or weights that are not allowed.
    """
    rows = [len(value) for value in values]
    if len({*rows}) != 1:
        raise ValueError(f"early: values must have one row per image in every member, got {rows} rows.")
    chosen = check_weights("early", weights, len(values))
    return normalise(
        np.concatenate([weight * normalise(value) for weight, value in zip(chosen, values, strict=True)], axis=1)
    )


@FUSIONS.register("minmax", title="Scores, min-max", reference="Fox and Shaw, TREC 1993 (CombSUM)", stage="scores")
def minmax(scores: Sequence[np.ndarray], weights: Sequence[float] | None = None) -> np.ndarray:
    """Late fusion: sum of w_m s_m, each member's scores brought to 0..1 for each query first; no answer is 0.

    Parameters
    ----------
    scores : (Q, N) of each member; a row of equal scores counts as zeros.
    weights : one per member, at least 0; equal by default.

    Returns
    -------
    (Q, N).

    Raises
    ------
    ValueError : shapes that differ, or weights that are not allowed.
    """

    def scaled(values: np.ndarray) -> np.ndarray:
        values = _answers(values)
        low, high = np.fmin.reduce(values, axis=1, keepdims=True), np.fmax.reduce(values, axis=1, keepdims=True)
        return (values - low) / np.where(high > low, high - low, 1)

    return _weighted_sum("minmax", scaled, scores, weights)


@FUSIONS.register("znorm", title="Scores, z-norm", reference="Jain et al., Pattern Recognition 2005", stage="scores")
def znorm(scores: Sequence[np.ndarray], weights: Sequence[float] | None = None) -> np.ndarray:
    """Late fusion: sum of w_m s_m, each member's scores brought to mean 0 and deviation 1 for each query first; no
    answer is 0, the mean.

    Parameters, result and errors are those of `minmax`.
    """

    def standardised(values: np.ndarray) -> np.ndarray:
        values = _answers(values)
        ordered = np.sort(values, axis=1)  # so that the same scores give the same statistics to the last bit
        listed = ~np.isnan(ordered)
        count = np.maximum(listed.sum(axis=1, keepdims=True), 1)
        mean = ordered.sum(axis=1, keepdims=True, where=listed) / count
        deviation = np.sqrt(((ordered - mean) ** 2).sum(axis=1, keepdims=True, where=listed) / count)
        # Rounding gives a row of equal scores a deviation of about 1e-16 of their size, which means nothing.
        flat = deviation <= 1e-12 * np.abs(ordered).max(axis=1, keepdims=True, where=listed, initial=0)
        return np.where(flat, 0 * values, (values - mean) / np.where(flat, 1, deviation))

    return _weighted_sum("znorm", standardised, scores, weights)


@FUSIONS.register("borda", title="Borda count", reference="Aslam and Montague, SIGIR 2001", stage="ranks")
def borda(ranks: Sequence[np.ndarray], weights: Sequence[float] | None = None) -> np.ndarray:
    """Rank fusion: of N listed images the first gets N points, the last one point; sum of w_m times the points.

    Images that are no answer share the points that are left.

    Parameters
    ----------
    ranks : (Q, N) 0-based rank of every image in each member.
    weights : one per member, at least 0; equal by default.

    Returns
    -------
    (Q, N) scores.

    Raises
    ------
    ValueError : shapes that differ, or weights that are not allowed.
    """

    def points(values: np.ndarray) -> np.ndarray:
        left = np.isinf(values).sum(axis=1, keepdims=True)
        return np.where(np.isinf(values), (left + 1) / 2, (~np.isnan(values)).sum(axis=1, keepdims=True) - values)

    return _weighted_sum("borda", points, ranks, weights)


@FUSIONS.register("rrf", title="Reciprocal rank", reference="Cormack et al., SIGIR 2009", stage="ranks")
def rrf(
    ranks: Sequence[np.ndarray],
    weights: Sequence[float] | None = None,
    *,
    k: Annotated[float, Range(0.0, 1000.0, step=10.0)] = 60.0,
) -> np.ndarray:
    """Reciprocal rank fusion: sum of w_m / (k + r_m), with ranks r_m that start at 1.

    Parameters
    ----------
    ranks : (Q, N) 0-based rank of every image in each member.
    weights : one per member, at least 0; equal by default.
    k : the larger, the less the first places count; 60 as published.

    Returns
    -------
    (Q, N) scores.

    Raises
    ------
    ValueError : shapes that differ, or weights that are not allowed.
    """
    return _weighted_sum("rrf", lambda values: 1 / (k + values + 1), ranks, weights)


@FUSIONS.register(
    "cascade",
    title="Cascade: first ranks, others re-rank",
    reference="Yu et al. 2017",
    stage="scores",
    ordered=True,
    cosines=True,
)
def cascade(
    scores: Sequence[np.ndarray],
    weights: Sequence[float] | None = None,
    *,
    depth: Annotated[int, Range(1, 10**6, integer=True)] = 100,
    tau: Annotated[float, Range(0.05, 10.0, step=0.05)] = 1.0,
) -> np.ndarray:
    """The first member (a fully connected layer) ranks, the others (convolutional layers) re-rank its best.

    The score of the first `depth` images is w_1 s_1 + sum over the others of w_l exp(-d_l / tau), with the Euclidean
    distance d_l = sqrt(2 - 2 s_l) of unit vectors; the others keep w_1 s_1, which is less. Yu et al. describe "an
    exponential mapping function"; this exact form is the project's reading of it and was not checked against the paper.
    What is no answer of the first member is none of the fusion; where another member has none, it adds nothing.

    Parameters
    ----------
    scores : (Q, N) cosines of each member, the one that ranks first.
    weights : one per member, at least 0, that of the first above 0; equal by default.
    depth : how many are re-ranked.
    tau : scale of the distances; the smaller, the more only near images gain.

    Returns
    -------
    (Q, N).

    Raises
    ------
    ValueError : shapes that differ, or weights that are not allowed.
    """
    chosen = check_weights("cascade", weights, len(scores))
    if not chosen[0]:
        raise ValueError(f"cascade: the first of weights must be above 0, because it ranks, got {weights!r}.")
    first, *others = _alike("cascade", scores)
    fused = chosen[0] * first
    best = _order(first)[:, :depth]
    terms = [np.take_along_axis(fused, best, axis=1)]
    for weight, one in zip(chosen[1:], others, strict=True):
        distance = np.sqrt(np.maximum(2 - 2 * np.take_along_axis(one, best, axis=1), 0))
        terms.append(weight * np.exp(-distance / tau))
    np.put_along_axis(fused, best, _sum(terms), axis=1)
    return fused


def ranking_order(fused: np.ndarray) -> np.ndarray:
    """The images (Q, N) by falling score, equal ones by index; an image that is not in the list (NaN) comes first."""
    return np.argsort(np.where(np.isnan(fused), -np.inf, -fused), axis=1, kind="stable")


def _order(scores: np.ndarray) -> np.ndarray:
    """The same as `ranking_order`, but images that are not part of the list come last, where no depth counts them."""
    return np.argsort(-scores, axis=1, kind="stable")


def _weighted_sum(
    owner: str,
    term: Callable[[np.ndarray], np.ndarray],
    values: Sequence[np.ndarray],
    weights: Sequence[float] | None,
) -> np.ndarray:
    chosen, arrays = check_weights(owner, weights, len(values)), _alike(owner, values)
    fused = _sum([weight * _filled(term(one), one) for weight, one in zip(chosen, arrays, strict=True)])
    asked = [np.isinf(one) for weight, one in zip(chosen, arrays, strict=True) if weight]
    return np.where(np.all(asked, axis=0), -np.inf, fused)


def _answers(scores: np.ndarray) -> np.ndarray:
    """The scores of answers alone; images that are no answers do not count when a list is brought to its range."""
    return np.where(np.isinf(scores), np.nan, scores)


def _filled(term: np.ndarray, values: np.ndarray) -> np.ndarray:
    """A member's `term` with 0 where `values` says that an image is no answer."""
    return np.where(np.isinf(values) & np.isnan(term), 0, term)


def _sum(terms: Sequence[np.ndarray]) -> np.ndarray:
    """Sum over members, smallest terms first, so that images whose scores two members swap tie exactly."""
    return np.sort(np.stack(terms), axis=0).sum(axis=0)


def _alike(owner: str, values: Sequence[np.ndarray]) -> list[np.ndarray]:
    arrays = [np.asarray(value, dtype=np.float64) for value in values]
    shapes = [array.shape for array in arrays]
    if len({*shapes}) != 1 or len(shapes[0]) != 2:
        raise ValueError(f"{owner}: every member must be (Q, N), one column per database image, got {shapes}.")
    return arrays


FUSIONS.rename("rerank", "cascade")
