"""Heads: a linear map of descriptors that gradient descent learns, so that a loss of retrieval falls."""

from __future__ import annotations

from typing import Annotated, Any, Self

import numpy as np
from sklearn.utils.validation import validate_data

from cbirlab.base.methods import MethodChoice
from cbirlab.base.params import Choice, Range
from cbirlab.base.progress import bar
from cbirlab.training.batches import NO_INSTANCE, classes_of, numbered
from cbirlab.training.holding_out import Split, hold_out, leave_one_out
from cbirlab.training.losses import Loss
from cbirlab.whitening.base import FLOATS, LinearWhitening, signed
from cbirlab.whitening.learned import LearnedWhitening
from cbirlab.whitening.pca import PCAWhitening

EVERY = 6
"""Steps between two looks at the identities that are held out."""

RATE, WIDE_RATE, WIDE = 1e-3, 3e-4, 1000
"""Rates of narrow descriptors, and of those of `WIDE` dimensions or more."""

PROXY_RATE = 10
"""How much faster class weights move."""

DECAY = 1e-4


class HeadWhitening(LinearWhitening):
    """A linear head: outputs ``W (x - m)``, whose loss over batches of a few rows of some instances is minimised.

    A quarter of the identities is held out and tells which step is kept; the start is among them. In the end the
    outputs are rotated to their principal axes, so that the leading dimensions can be kept; no cosine changes by that.

    Parameters
    ----------
    n_components : dimensions to keep; None keeps all.
    loss : a method of `LOSSES`.
    start : "identity", or a whitening that is learned first: "pca", "half" of it (power 0.25), or "lw".
    labels : "given", or "shuffled" among the rows: what such a head gains it owes to no label.
    classes, each : instances of a batch, and rows of each.
    steps : of AdamW, the rate falling as a cosine after a warm-up.
    rate : None for 0.001, or 0.0003 from 1,000 dimensions on.
    held_out : share of the identities that choose the step. From fewer than four nothing is held out, and the last step
        is kept.
    seed : of batches and of what is held out.

    Attributes
    ----------
    mean_, components_ : m, and W rotated.
    spectrum_ : mean squares of the outputs, in descending order.
    curve_ : (looks, 3), step, loss since the last look (NaN at the start), mAP among the identities held out (NaN if
        none are).
    kept_ : the step that is kept.

    References
    ----------
    Wang et al., "Multi-similarity loss with general pair weighting for deep metric learning", CVPR 2019, for the loss
    by default; Zhai and Wu, BMVC 2019, for heads over ready-made descriptors.
    """

    curve_: np.ndarray
    kept_: int

    def __init__(
        self,
        n_components: int | None = None,
        *,
        loss: Annotated[str, MethodChoice(Loss)] = "multisim",
        start: Annotated[str, Choice(("identity", "half", "pca", "lw"))] = "identity",
        labels: Annotated[str, Choice(("given", "shuffled"))] = "given",
        classes: Annotated[int, Range(2, 4096, step=4, integer=True)] = 16,
        each: Annotated[int, Range(2, 256, integer=True)] = 4,
        steps: Annotated[int, Range(1, 10000, step=10, integer=True)] = 60,
        rate: Annotated[float | None, Range(1e-6, 1, optional=True)] = None,
        held_out: Annotated[float, Range(0, 0.5, step=0.05)] = 0.25,
        seed: Annotated[int, Range(0, 2**31 - 1, integer=True)] = 0,
    ) -> None:
        self.n_components = n_components
        self.loss, self.start, self.labels, self.classes, self.each = loss, start, labels, classes, each
        self.steps, self.rate, self.held_out, self.seed = steps, rate, held_out, seed

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from rows that share a label.

        Parameters
        ----------
        X : (N, D), of length one in the kit's convention.
        y : (N,), the instance of each row. A row whose label is "" is in no batch; it stands beside the rows held out.

        Raises
        ------
        ValueError : fewer than two labels that two rows share, a parameter that is not allowed.
        FloatingPointError : the loss became infinite.
        """
        self._check_parameters()
        X, y = validate_data(self, X, y, dtype=FLOATS, ensure_min_samples=2)
        numbers = numbered(y)
        shared = int((np.bincount(numbers[numbers != NO_INSTANCE]) > 1).sum())
        if shared < 2:
            raise ValueError(f"HeadWhitening: y must hold at least two labels that two rows share each, got {shared}.")
        if (X == X[0]).all():
            raise ValueError(f"HeadWhitening: X must hold rows that differ, got {len(X)} equal rows.")
        split = hold_out(numbers, self.held_out, seed=self.seed)
        taught = np.full(len(numbers), NO_INSTANCE)
        taught[split.learn] = numbers[split.learn]
        if self.labels == "shuffled":
            shown = np.flatnonzero(taught != NO_INSTANCE)
            taught[shown] = np.random.default_rng(self.seed).permutation(taught[shown])
        return self.fit_taught(X, numbers, taught, split)

    def fit_taught(
        self, X: np.ndarray, numbers: np.ndarray, taught: np.ndarray, split: Split, *, fill: bool = False
    ) -> Self:
        """Learn from labels of one's own, with true ones to choose the step by.

        Parameters
        ----------
        X : (N, D).
        numbers : (N,) true instances, `NO_INSTANCE` where none is known.
        taught : (N,) labels to learn from, `NO_INSTANCE` for rows that are in no batch.
        split : what is held out; no row of it may be taught.
        fill : as of `classes_of`: how rows are drawn whose label no other row has.
        """
        import torch

        from cbirlab.training.loop import Descent, refuse_infinite

        mean, matrix = self._begin(X, numbers, split)
        rows = torch.from_numpy(np.asarray(X, dtype=np.float32))
        leaves = [torch.from_numpy(one.astype(np.float32)).requires_grad_() for one in (mean, matrix)]

        def outputs(some: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.normalize((some - leaves[0]) @ leaves[1].T)

        known = taught != NO_INSTANCE
        classes = np.full(len(taught), NO_INSTANCE)
        classes[known] = np.unique(taught[known], return_inverse=True)[1]
        labels = torch.from_numpy(classes)
        loss = Loss.parse(self.loss).make(int(classes.max()) + 1, len(matrix))
        if proxies := list(loss.parameters()):
            with torch.no_grad():
                loss.start_at(outputs(rows[known]), labels[known])  # pyright: ignore[reportCallIssue]
        rate = self.rate or (RATE if X.shape[1] < WIDE else WIDE_RATE)
        groups = [{"params": leaves}, *([{"params": proxies, "lr": PROXY_RATE * rate}] if proxies else [])]
        descent = Descent(groups, rate=rate, steps=self.steps, schedule="cosine", decay=DECAY)

        def look() -> float:
            with torch.no_grad():
                return leave_one_out(outputs(rows[split.rows]).numpy(), numbers[split.rows])

        curve, since = [(0, np.nan, look() if len(split.ask) else np.nan)], []
        best, kept = 0, [leaf.detach().clone() for leaf in leaves]
        for step in bar(range(self.steps), desc="head", unit="step"):
            options = {"classes": self.classes, "each": self.each, "seed": self.seed, "step": step}
            drawn = classes_of(classes, fill=fill, **options)
            descent.begin()
            value = loss(outputs(rows[drawn]), labels[drawn])
            value.backward()
            descent.step()
            since.append(refuse_infinite(float(value.detach()), f"step {step}"))
            if step % EVERY != EVERY - 1 and step != self.steps - 1:
                continue
            found = look() if len(split.ask) else np.nan
            if not len(split.ask) or found > curve[best][2]:
                best, kept = len(curve), [leaf.detach().clone() for leaf in leaves]
            curve.append((step + 1, float(np.mean(since)), found))
            since.clear()
        self.curve_, self.kept_ = np.array(curve, dtype=np.float64), curve[best][0]
        return self._finish(X, *(leaf.numpy().astype(np.float64) for leaf in kept))

    def _begin(self, X: np.ndarray, numbers: np.ndarray, split: Split) -> tuple[np.ndarray, np.ndarray]:
        """Mean (D,) and matrix (d, D) at the start, outputs of mean square 1; what is held out does not count."""
        width = X.shape[1]
        if self.start == "identity":
            mean, matrix = np.zeros(width), np.eye(width)
        else:
            powers = {"half": 0.25, "pca": 0.5}
            made = LearnedWhitening() if self.start == "lw" else PCAWhitening(power=powers[self.start])
            learned = np.array([str(one) if one != NO_INSTANCE else "" for one in numbers[split.learn]])
            made.fit(X[split.learn], learned)
            mean, matrix = made.mean_, made._matrix().T
        return mean, matrix / np.sqrt(np.square((X[split.learn] - mean) @ matrix.T).sum(axis=1).mean())

    def _finish(self, X: np.ndarray, mean: np.ndarray, matrix: np.ndarray) -> Self:
        """Rotate the outputs to their principal axes about 0, which changes no inner product."""
        outputs = (X.astype(np.float64) - mean) @ matrix.T
        values, vectors = np.linalg.eigh(outputs.T @ outputs / len(X))
        self.mean_, self.spectrum_ = mean, np.maximum(values[::-1], 0)
        return self._keep(signed(vectors.T[::-1] @ matrix), self.n_components)
