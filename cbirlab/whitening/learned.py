"""Whitening learned from matching pairs: what differs between images of one instance counts less."""

from __future__ import annotations

from typing import Annotated, Any, Self

import numpy as np
from sklearn.utils.validation import validate_data

from cbirlab.base.params import Choice, Range
from cbirlab.whitening.base import BLOCK, FLOATS, LinearWhitening, centre, ledoit_wolf, principal_axes, rank, signed

PARTNERS = 10
"""Each row is paired with at most this many following rows of its instance: the number of pairs stays linear in N."""


class LearnedWhitening(LinearWhitening):
    """Lw: whiten what differs within matching pairs, then rotate to the principal axes of all descriptors.

    With m the mean of the query sides, S the mean of ``(q - p)(q - p)^T`` over matching pairs and W an inverse square
    root of S, the rows of the projection are ``E^T W``, where E are the eigenvectors of the scatter of ``W (x - m)``
    over all rows x, largest first. Any inverse square root gives the same projection up to signs (published: the
    inverse of the Cholesky factor), so this class takes the one that the eigenvectors of S give.

    The published form needs pairs whose differences span all D dimensions; if they do not, the authors' code adds 1e-10
    to the diagonal, and the result is noise amplified 1e5 times. The rank-safe form works in the span of the rows and
    shrinks S there towards its mean by the amount of Ledoit and Wolf, which goes to zero as the number of pairs grows,
    so that the form approaches the published one.

    Parameters
    ----------
    n_components : dimensions to keep; None keeps all: D in the published form, else what the rows span, at most N - 1.
    form : "rank-safe" or "published".
    clip : directions that hold at most this fraction of the largest eigenvalue count as not determined.

    Attributes
    ----------
    mean_ : (D,), of the query sides.
    components_ : (d, D), the projection; its rows are not orthonormal.
    spectrum_ : (d',), scatter of all rows about `mean_` (over N - 1) along each dimension, in units of the mean squared
        difference within pairs, descending; for inspection: at 1/2, two rows of an instance differ like any two rows.
    amount_ : (1,), how far S was shrunk.
    n_components_ : d.

    References
    ----------
    Mikolajczyk and Matas, "Improving descriptors for fast tree matching by optimal linear projection", ICCV 2007;
    Radenović, Tolias and Chum, "Fine-tuning CNN image retrieval with no human annotation", TPAMI 2018, section 3.4.
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        form: Annotated[str, Choice(("rank-safe", "published"))] = "rank-safe",
        clip: Annotated[float, Range(1e-12, 0.1)] = 1e-9,
    ) -> None:
        self.n_components = n_components
        self.form = form
        self.clip = clip

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from rows that share a label.

        Parameters
        ----------
        X : (N, D).
        y : (N,), the instance of each row. Rows of one instance are matching pairs, each row with the `PARTNERS` that
            follow it, the earlier one as the query. A row whose label is "" is in no pair; it counts in the scatter.

        Raises
        ------
        ValueError : no two rows share a label or those that do are equal, a parameter that is not allowed; pairs that
            are too few for the published form.
        """
        self._check_parameters()
        X, y = validate_data(self, X, y, dtype=FLOATS, ensure_min_samples=2)
        queries, positives = matching_pairs(y)
        if not len(queries):
            raise ValueError(f"LearnedWhitening: y must hold a label that two rows share, got {len(y)} rows without.")
        return self._learn(X, queries, positives)

    def fit_pairs(self, X: Any, query_rows: Any, positive_rows: Any) -> Self:
        """Learn from given pairs: row ``query_rows[i]`` of `X` (N, D) matches row ``positive_rows[i]``.

        Raises
        ------
        ValueError : lists of different lengths or rows that `X` does not have, and as for `fit`.
        """
        self._check_parameters()
        X = validate_data(self, X, dtype=FLOATS, ensure_min_samples=2)
        queries, positives = (np.asarray(rows) for rows in (query_rows, positive_rows))
        if queries.shape != positives.shape or queries.ndim != 1 or not len(queries):
            raise ValueError(
                "fit_pairs: query_rows and positive_rows must be lists of the same length, one entry per pair, "
                f"got shapes {queries.shape} and {positives.shape}."
            )
        for name, rows in (("query_rows", queries), ("positive_rows", positives)):
            if rows.dtype.kind not in "iu" or rows.min() < 0 or rows.max() >= len(X):
                raise ValueError(f"fit_pairs: {name} must be row numbers in [0, {len(X) - 1}], got {rows}.")
        return self._learn(X, queries, positives)

    def _learn(self, X: np.ndarray, queries: np.ndarray, positives: np.ndarray) -> Self:
        times = np.bincount(queries, minlength=len(X)).astype(np.float64)
        summed = np.sum([times[start : start + len(block)] @ block for start, block in centre(X)], axis=0)
        self.mean_ = summed / len(queries)
        total, axes = principal_axes(X, self.mean_)
        kept = rank("LearnedWhitening", X, self.mean_, total, self.clip)
        total, axes = total[:kept], axes[:kept]
        within, directions, amount = self._within(X, axes, queries, positives)
        # Coordinates are along `axes`, where the scatter of all rows is diagonal.
        inverse_root = directions / np.sqrt(within[:, None])
        spectrum, rotation = np.linalg.eigh((inverse_root * total) @ inverse_root.T)
        self.spectrum_, self.amount_ = spectrum[::-1].copy(), np.array([amount])
        return self._keep(signed(rotation.T[::-1] @ inverse_root @ axes), self.n_components)

    def _within(
        self, X: np.ndarray, axes: np.ndarray, queries: np.ndarray, positives: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Eigenvalues (k,) of S along `axes`, shrunk if rank-safe, eigenvectors as rows (k, r), amount of shrinkage."""
        scatter, fourth = np.zeros((len(axes), len(axes))), 0.0
        for start in range(0, len(queries), BLOCK):
            pairs = slice(start, start + BLOCK)
            apart = (X[queries[pairs]].astype(np.float64) - X[positives[pairs]]) @ axes.T
            scatter += apart.T @ apart
            fourth += float(np.square(np.square(apart).sum(axis=1)).sum())
        if not scatter.any():
            raise ValueError(f"LearnedWhitening: matching rows must differ, got {len(queries)} pairs of equal rows.")
        within, vectors = np.linalg.eigh(scatter / len(queries))
        within = np.maximum(within, 0)
        amount = 0.0
        if self.form == "published":
            self._check_published(X.shape[1], int(np.sum(within > self.clip * within[-1])), len(queries))
        else:
            # Pairs of one instance are not independent: n rows of it give n - 1 independent differences.
            independent = max(len(np.unique(queries)), len(np.unique(positives)))
            amount = ledoit_wolf(within, fourth / len(queries), independent, len(within))
        shrunk = (1 - amount) * within + amount * within.mean()
        determined = shrunk > self.clip * shrunk[-1]
        return shrunk[determined], vectors.T[determined], amount

    def _check_published(self, width: int, spanned: int, pairs: int) -> None:
        if spanned < width:
            raise ValueError(
                f"LearnedWhitening: form 'published' needs matching pairs whose differences span all {width} "
                f"dimensions, got {spanned} from {pairs} pairs; use form='rank-safe' or more pairs."
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def matching_pairs(labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """Rows (P,) and (P,) of matching pairs, the earlier row first; each row with at most `PARTNERS` that follow it.

    Parameters
    ----------
    labels : (N,), instance of each row; "" is none.
    """
    labels = np.asarray(labels).astype(str)
    rows = np.flatnonzero(labels != "")
    rows = rows[np.argsort(labels[rows], kind="stable")]
    queries, positives = [rows[:0]], [rows[:0]]
    for offset in range(1, PARTNERS + 1):
        same = labels[rows[offset:]] == labels[rows[:-offset]]
        queries.append(rows[:-offset][same])
        positives.append(rows[offset:][same])
    return np.concatenate(queries), np.concatenate(positives)
