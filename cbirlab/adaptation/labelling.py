"""Labelling: labels for pictures of which none are known, and how many of the guessed pairs truly match.

A scheme is called as ``scheme(rows, given=..., seed=..., **parameters)`` with rows (n, D) float32, L2-normalised or
zero, and the true labels `given` (n,) int64, -1 where none is known, which only the entries with the fact `true` read.
It returns a `Guess`. Rows of zeros have no descriptor and are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np

from cbirlab.base.methods import Method
from cbirlab.base.registry import Registry
from cbirlab.reranking.neighbours import ASKED, find_neighbours
from cbirlab.training.batches import NO_INSTANCE

if TYPE_CHECKING:
    from cbirlab.adaptation.judgements import Judged

PSEUDO: Registry[Any] = Registry("labels")
"""Schemes with facts: `true`, they read the true labels; `pictures`, they look at the pictures themselves and take an
argument `pictures`; `judged`, they take judgements as an argument `judged`; and `alone`, every row has a label of its
own."""

_TRUE: dict[str, Any] = {"true": True, "pictures": False}
_GUESSED: dict[str, Any] = {"true": False, "pictures": False}

Counter = Callable[[np.ndarray], np.ndarray]

_UNIT = 1e-3
"""How far from 1 the length of a row may be."""


class Labels(Method):
    """A scheme that labels pictures, with its parameters.

    >>> Labels.parse("mutual(k=3)").key, Labels("kmeans", {"each": 8}).key
    ('mutual(k=3)', 'kmeans')
    """

    registry: ClassVar[Registry[Any]] = PSEUDO
    terse: ClassVar[bool] = True


@dataclass(frozen=True, eq=False)
class Guess:
    """What a scheme says about n rows: labels, or pairs, or targets.

    Attributes
    ----------
    labels : (n,) int64, rows of one label match; -1 for a row that is left out. None if pairs or targets say.
    positives, negatives : (P, 2) and (Q, 2) int64 rows that match and that do not, the anchor first.
    targets : (n, D) float32, where the descriptor of each row should go; `positives` are the pairs behind them.
    precision, negative_precision : share of the pairs that truly match, and of the others that truly do not, among
        those of which both true labels are known; NaN if there are none.
    """

    labels: np.ndarray | None = None
    positives: np.ndarray | None = None
    negatives: np.ndarray | None = None
    targets: np.ndarray | None = None
    precision: float = np.nan
    negative_precision: float = np.nan


def guess(
    labels: str | Labels,
    rows: Any,
    given: Any,
    *,
    seed: int = 0,
    pictures: Counter | None = None,
    judged: Judged | None = None,
) -> Guess:
    """What a scheme says about rows, and how much of it is true.

    Parameters
    ----------
    labels : a name in `PSEUDO`, with parameters if they are not the defaults.
    rows : (n, D), L2-normalised or zero.
    given : (n,) true labels, -1 where none is known.
    seed : of chance; the same one gives the same guess.
    pictures : gives how many matches of the pictures of each pair (m, 2) agree in their arrangement, (m,); see
        `cbirlab.adaptation.verifying.inlier_counter`.
    judged : what a person said about pairs of rows.

    Raises
    ------
    ValueError : rows or labels that are not as above; too few rows for the parameters; fewer than two groups of two.
    """
    labels = Labels.parse(labels)
    rows, given = _checked(rows, given)
    options: dict[str, Any] = {**labels.parameters, "given": given, "seed": seed}
    if labels.fact("pictures"):
        if pictures is None:
            raise ValueError(f"labels {labels.key!r} look at the pictures: give `pictures`, or take 'mutual'.")
        options["pictures"] = pictures
    if labels.fact("judged"):
        if judged is None:
            raise ValueError(f"labels {labels.key!r} are those of judgements: give `judged`, or take 'given'.")
        options["judged"] = judged
    found: Guess = labels.target()(rows, **options)
    if found.labels is None:
        right, wrong = _true_share(found.positives, given), _true_share(found.negatives, given)
        return replace(found, precision=right, negative_precision=1 - wrong)
    if not labels.fact("alone") and not labels.fact("judged"):
        _check_groups(labels, found.labels)
    right, others_right = _shares(found.labels, given)
    return replace(found, precision=right, negative_precision=others_right)


def precision_of(labels: np.ndarray, given: np.ndarray) -> float:
    """Share of the pairs of rows with one label (n,) that truly match; NaN without a pair of known truth.

    With m(l, t) rows of label l and truth t, and C(m) = m (m - 1) / 2 pairs among m rows, it is
    Σ C(m(l, t)) / Σ C(Σ_t m(l, t)).
    """
    return _shares(np.asarray(labels), np.asarray(given))[0]


def without_single(labels: np.ndarray) -> np.ndarray:
    """Labels (n,) in which those that only one row has are -1."""
    found, places, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return np.where((counts > 1) & (found != NO_INSTANCE), found, NO_INSTANCE)[places]


def with_descriptor(rows: np.ndarray) -> np.ndarray:
    """The rows of (n, D) that are not zero, ascending.

    Raises
    ------
    ValueError : fewer than two.
    """
    shown = np.flatnonzero(rows.any(axis=1))
    if len(shown) < 2:
        raise ValueError(
            f"labels: rows must hold at least two that are not zero, got {len(shown)} of {len(rows)}; name pictures "
            "that can be read."
        )
    return shown


def check_fewer(owner: str, name: str, value: int, count: int) -> None:
    """Raise ValueError unless a number of neighbours is less than the rows that have a descriptor."""
    if value >= count:
        raise ValueError(
            f"{owner}: {name} must be less than the number of rows with a descriptor, {count}, got {value}; take a "
            f"smaller {name}, or more pictures."
        )


PSEUDO.add("given", "cbirlab.adaptation.known:given", title="The true labels", **_TRUE)
PSEUDO.add("shuffled", "cbirlab.adaptation.known:shuffled", title="The true labels, dealt out anew", **_TRUE)
PSEUDO.add(
    "clicked", "cbirlab.adaptation.clicked:clicked", title="Clicked: the same, or not the same", **_GUESSED, judged=True
)
PSEUDO.add(
    "kmeans",
    "cbirlab.adaptation.grouping:kmeans",
    title="k-means",
    reference="Caron et al., ECCV 2018, of descriptors that stay as they are",
    **_GUESSED,
)
PSEUDO.add("mutual", "cbirlab.adaptation.grouping:mutual", title="Mutual nearest neighbours", **_GUESSED)
PSEUDO.add(
    "diffusion",
    "cbirlab.adaptation.manifold_mining:diffusion",
    title="k-means on the manifold",
    reference="Iscen et al., CVPR 2017, for the kernel",
    **_GUESSED,
)
PSEUDO.add(
    "verified",
    "cbirlab.adaptation.grouping:verified",
    title="Mutual nearest neighbours whose pictures are verified",
    reference="Radenović et al., ECCV 2016, with pairs of pictures in place of 3D models",
    true=False,
    pictures=True,
)
PSEUDO.add(
    "mom",
    "cbirlab.adaptation.manifold_mining:mom",
    title="Mining on manifolds",
    reference="Iscen et al., CVPR 2018",
    **_GUESSED,
)


@PSEUDO.register("views", title="Each picture alone", reference="Wu et al., CVPR 2018", alone=True, **_GUESSED)
def views(rows: np.ndarray, *, given: np.ndarray, seed: int) -> Guess:
    """Every row an instance of its own, so that only two views of one picture match.

    References
    ----------
    Wu, Xiong, Yu and Lin, "Unsupervised feature learning via non-parametric instance discrimination", CVPR 2018.
    """
    return Guess(labels=np.arange(len(rows), dtype=np.int64))


@PSEUDO.register(
    "knn",
    title="Regression to neighbours",
    reference="Tzelepi and Tefas, Neurocomputing 2018",
    **_GUESSED,
)
def knn(rows: np.ndarray, *, given: np.ndarray, seed: int, k: Annotated[int, ASKED] = 5) -> Guess:
    """Targets: the mean of a row and its `k` nearest others. Nothing is pushed away.

    Targets that follow the rows as these move draw all rows to one place: leave them as they are, and take few steps.
    A row without a descriptor has a target of zeros.

    Parameters
    ----------
    k : nearest others whose mean, with the row itself, is the target.

    References
    ----------
    Tzelepi and Tefas, "Deep convolutional learning for content based image retrieval", Neurocomputing 275, 2018.
    """
    shown = with_descriptor(rows)
    check_fewer("knn", "k", k, len(shown))
    near = shown[find_neighbours(rows[shown], k).images]
    targets = np.zeros_like(rows)
    targets[shown] = (rows[shown] + rows[near].sum(axis=1)) / (k + 1)
    return Guess(targets=targets, positives=np.stack([shown.repeat(k), near.ravel()], axis=1))


def _checked(rows: Any, given: Any) -> tuple[np.ndarray, np.ndarray]:
    """Rows in float32 and true labels in int64.

    Raises
    ------
    ValueError : they are not as `guess` wants them.
    """
    rows, given = np.asarray(rows, np.float32), np.asarray(given)
    if rows.ndim != 2 or len(rows) < 2 or rows.shape[1] < 1:
        raise ValueError(
            f"labels: rows must be (n, D), of at least two pictures, got {rows.shape}; name more pictures."
        )
    if not np.isfinite(rows).all():
        raise ValueError("labels: rows must be finite, got NaN or infinity; leave out the rows that are broken.")
    lengths = np.linalg.norm(rows, axis=1)
    if (wrong := lengths[(lengths > 0) & (abs(lengths - 1) > _UNIT)]).size:
        raise ValueError(f"labels: rows must be L2-normalised or zero, got a length of {wrong[0]:.4g}; normalise them.")
    if given.shape != (len(rows),) or not np.issubdtype(given.dtype, np.integer) or given.min() < NO_INSTANCE:
        raise ValueError(
            f"labels: given must hold one whole number per row, ({len(rows)},), {NO_INSTANCE} for none, got "
            f"{given.dtype} {given.shape}; see `cbirlab.training.batches.numbered`."
        )
    return rows, given.astype(np.int64)


def _check_groups(labels: Labels, found: np.ndarray) -> None:
    """Raise ValueError unless there are two groups, each of at least two rows."""
    groups = len(np.unique(found[found != NO_INSTANCE]))
    if groups >= 2:
        return
    advice = "name the instances of more pictures, or let labels be guessed: 'mutual'"
    if not labels.fact("true"):
        advice = "take more pictures, other parameters, or other labels"
    raise ValueError(
        f"labels {labels.key!r} must give at least two groups of two rows or more, got {groups} among {len(found)} "
        f"rows; {advice}."
    )


def _shares(labels: np.ndarray, given: np.ndarray) -> tuple[float, float]:
    """Share of the pairs of one label that truly match, and of those of two labels that do not; see `precision_of`."""
    known = (labels != NO_INSTANCE) & (given != NO_INSTANCE)
    both = np.stack([labels[known], given[known]])
    alike, matching, right = (
        _pairs(np.unique(one, axis=1, return_counts=True)[1]) for one in (both[:1], both[1:], both)
    )
    others = _pairs(np.array([known.sum()])) - alike
    return _ratio(right, alike), _ratio(others - (matching - right), others)


def _pairs(counts: np.ndarray) -> int:
    """Pairs within groups of so many rows."""
    return int((counts * (counts - 1) // 2).sum())


def _ratio(some: int, of: int) -> float:
    return some / of if of else np.nan


def _true_share(pairs: np.ndarray | None, given: np.ndarray) -> float:
    """Share of pairs (P, 2) of rows that truly match, among those of known truth."""
    truth = given[np.zeros((0, 2), np.int64) if pairs is None else pairs]
    truth = truth[(truth != NO_INSTANCE).all(axis=1)]
    return _ratio(int((truth[:, 0] == truth[:, 1]).sum()), len(truth))
