"""Whitenings by name, and the convention of applying them: L2, whiten, keep the leading dimensions, L2."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

import numpy as np

from cbirlab.backbones.trained import HEADS, TRAINED, resolve
from cbirlab.base.methods import Method
from cbirlab.base.registry import Registry

WHITENINGS: Registry[Any] = Registry("whitening")
"""Estimators with three facts: `learned`, fit learns from a training set; `ordered`, the leading dimensions can be
kept; `pairs`, fit needs the instance label of each row; `named`, the names of parameters that are written even at their
defaults; `trained`, fit only reads what a training has kept; `code`, further modules that decide what fit learns; and
`requires`, the module that it needs and that an extra brings."""

WHITENINGS.add(
    "none", "cbirlab.whitening.channels:NoWhitening", title="None", learned=False, ordered=False, pairs=False
)
WHITENINGS.add(
    "pca",
    "cbirlab.whitening.pca:PCAWhitening",
    title="PCA-whitening",
    reference="Jégou and Chum, ECCV 2012",
    learned=True,
    ordered=True,
    pairs=False,
)
WHITENINGS.add(
    "shrinkage",
    "cbirlab.whitening.pca:ShrinkageWhitening",
    title="PCA-whitening, shrunk",
    reference="Ledoit and Wolf, J. Multivariate Analysis 2004",
    learned=True,
    ordered=True,
    pairs=False,
)
WHITENINGS.add(
    "zca",
    "cbirlab.whitening.channels:ZCAWhitening",
    title="ZCA-whitening",
    reference="Bell and Sejnowski, Vision Research 1997",
    learned=True,
    ordered=False,
    pairs=False,
)
WHITENINGS.add(
    "lw",
    "cbirlab.whitening.learned:LearnedWhitening",
    title="Learned whitening (Lw), shrunk unless form='published'",
    reference="Mikolajczyk and Matas, ICCV 2007; Radenović et al., TPAMI 2018; shrunk as Ledoit and Wolf 2004",
    learned=True,
    ordered=True,
    pairs=True,
    named=("form",),  # the default is not the published method: rows and recipes say so
)
WHITENINGS.add(
    "head",
    "cbirlab.whitening.head:HeadWhitening",
    title="Linear head, trained",
    reference="Wang et al., CVPR 2019 (multi-similarity loss); the loss is a choice",
    learned=True,
    ordered=True,
    pairs=True,
    code=("training",),
    requires="pytorch_metric_learning",
)
WHITENINGS.add(
    "autoencoder",
    "cbirlab.whitening.autoencoder:AutoencoderWhitening",
    title="Autoencoder (PCA where activation='none')",
    reference="Hinton and Salakhutdinov, Science 2006",
    learned=True,
    ordered=False,
    pairs=False,
    code=("training",),
)

WHITENINGS.add_family(TRAINED, "cbirlab.whitening.trained:find", title="A head that was trained here, by name")


class Whitening(Method):
    """A whitening with its parameters, as recipes name it. The number of dimensions to keep is not one of them.

    >>> Whitening.parse("pca(power=0.25)").key
    'pca(power=0.25)'
    >>> Whitening("pca", {"power": 0.5}).key
    'pca'
    """

    registry: ClassVar[Registry[Any]] = WHITENINGS
    terse: ClassVar[bool] = True

    def __new__(cls, name: str, params: Iterable[tuple[str, Any]] | Mapping[str, Any] = ()) -> Self:
        if name.startswith(TRAINED):  # the text holds the training's hash, whatever name it was given
            name = TRAINED + resolve(HEADS, name.removeprefix(TRAINED))
        return super().__new__(cls, name, params)


NORM_FLOOR = 1e-12
"""Rows shorter than this are zero rows (an unreadable image, an empty map), not descriptors: they always stay zero."""


def normalise(X: np.ndarray, eps: float = NORM_FLOOR) -> np.ndarray:
    """Rows divided by their L2 norm.

    Parameters
    ----------
    X : (N, D).
    eps : rows shorter than this become zero rows.

    Returns
    -------
    (N, D), float32 unless `X` is float64.
    """
    X = _rows("normalise", X)
    X = X if X.dtype == np.float64 else X.astype(np.float32, copy=False)
    # A row is scaled by its largest value first: the square of 1e-30 is zero in float32.
    top = np.abs(X).max(axis=1, keepdims=True)
    kept = top > eps
    unit = X / np.where(kept, top, 1)
    unit /= np.maximum(np.sqrt(np.einsum("nd,nd->n", unit, unit))[:, None], eps)
    unit *= kept
    return unit


l2 = normalise


def learn(whitening: str | Whitening, X: np.ndarray, y: Any = None, **parameters: Any) -> Any:
    """Fit a whitening on descriptors: rows are L2-normalised, zero rows left out.

    Parameters
    ----------
    whitening : a name in `WHITENINGS`, or with parameters: ``"pca(power=0.25)"``.
    X : (N, D), un-normalised descriptors of a set that is not evaluated.
    y : (N,), instance label of each row, "" for none; a whitening that learns from pairs needs it, others ignore it.
    parameters : of the estimator; they replace those that `whitening` gives.

    Returns
    -------
    The fitted estimator.

    Raises
    ------
    UnknownName : no such whitening.
    TypeError, ValueError : a wrong parameter, fewer than two different rows, or no matching pair where one is needed.
    """
    method = Whitening.parse(whitening)
    if parameters:
        method = Whitening(method.name, {**method.parameters, **parameters})
    unit = normalise(X)
    kept = np.any(unit, axis=1)
    labels = _labels(method.name, y, kept) if method.fact("pairs") else None
    return method.target()(**method.parameters).fit(unit[kept], labels)


def project(whitening: Any, X: np.ndarray) -> np.ndarray:
    """Descriptors (N, D) L2-normalised and transformed to (N, d) float32, not normalised again; zero rows stay zero."""
    unit = normalise(X)
    projected = np.array(whitening.transform(unit), dtype=np.float32)
    projected[~unit.any(axis=1)] = 0
    return projected


def whiten(whitening: Any, X: np.ndarray, dimensions: int | None = None) -> np.ndarray:
    """The full convention: L2, transform, the leading `dimensions`, L2.

    Parameters
    ----------
    whitening : a fitted estimator.
    X : (N, D), un-normalised descriptors.
    dimensions : how many of the whitened dimensions to keep, all by default; see the estimator's `truncate`.

    Returns
    -------
    (N, d) float32 with rows of length one, or zero if the row of `X` is zero.
    """
    return normalise(project(whitening if dimensions is None else whitening.truncate(dimensions), X))


def _rows(owner: str, X: Any) -> np.ndarray:
    X = np.asarray(X)
    if X.ndim != 2 or X.shape[1] == 0:
        raise ValueError(f"{owner}: X must be (N, D), one row per image, got {X.shape}.")
    return X


def _labels(name: str, y: Any, kept: np.ndarray) -> np.ndarray:
    """Labels of the `kept` rows, as text; at least two are equal."""
    labels = np.array([], dtype=str) if y is None else np.asarray(y).astype(str)
    if labels.size and labels.shape != kept.shape:
        raise ValueError(f"whitening {name!r}: y must hold one label per row of X, {len(kept)}, got {labels.shape}.")
    labels = labels[kept] if labels.size else labels
    named = labels[labels != ""]
    if len(np.unique(named)) == len(named):
        raise ValueError(
            f"whitening {name!r} needs matching pairs, rows that share one of the instance labels of the learning set "
            f"(y), got {len(named)} labels and no two equal; choose a learning set with instances, or whitening 'pca'."
        )
    return labels
