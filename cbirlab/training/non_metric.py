"""Non-metric similarity: a network that reads two descriptors side by side, learns to be their cosine, then to part.

Garcia and Vogiatzis, "Learning non-metric visual similarity for image retrieval", IVC 2019; survey, Eq. 12. Batches are
functions of seed and step; the start, which is ours, depends on the seed alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import relu

from cbirlab.base.progress import bar
from cbirlab.training.batches import classes_of, numbered, together
from cbirlab.training.loop import Descent, refuse_infinite

BATCH, EACH = 32, 4
"""Rows of a batch, all ordered pairs of which are scored; and rows of one instance, in the second half of the steps."""

RATE = 1e-4

NAMES = ("query", "image", "shift", "second", "second_shift", "last", "last_shift")
"""The parameters: the two halves of the first layer, which reads the query and the image, and the layers after it."""


def margin_loss(found: Tensor, cosines: Tensor, same: Tensor, margin: float) -> Tensor:
    """``|s - S (c + m) - (1 - S) (c - m)|`` of each pair, with the network's s, the cosine c, and S = 1 for similar.

    Parameters
    ----------
    found, cosines, same : of one shape; `same` is boolean.
    margin : m, how far matching pairs are to rise above their cosine, and others to fall below.
    """
    return (found - cosines - margin * (2 * same.to(found.dtype) - 1)).abs()


def similarities(weights: Sequence[Tensor], queries: Tensor, images: Tensor) -> Tensor:
    """What the network says of every query (Q, D) with every image (N, D): (Q, N).

    The first layer reads both side by side, [q; x], which is the sum of what it says of each.
    """
    query, image, shift, second, second_shift, last, last_shift = weights
    first = relu((queries @ query.T)[:, None] + (images @ image.T)[None] + shift)
    return relu(first @ second.T + second_shift) @ last + last_shift


def learn_similarity(
    rows: np.ndarray, labels: Sequence[str], *, hidden: int = 512, margin: float = 0.2, steps: int = 200, seed: int = 0
) -> dict[str, np.ndarray]:
    """The network's parameters by name.

    Half of the steps it learns to be the cosine of any two rows, then the loss of the paper, in which the matching
    pairs of a batch count as much together as all others.

    Parameters
    ----------
    rows : (n, D), L2-normalised; rows of zeros are left out.
    labels : (n,), instance of each row, "" for none.
    hidden : units of each of the two hidden layers.
    margin : see `margin_loss`.
    steps : of Adam in each half.
    seed : of the start and of the batches.

    Raises
    ------
    ValueError : fewer than two instances that two rows show.
    FloatingPointError : the loss became infinite.
    """
    there = np.asarray(rows).any(axis=1)
    rows, numbers = np.asarray(rows, np.float32)[there], numbered(labels)[there] if len(labels) else np.empty(0, int)
    shared = int((np.bincount(numbers[numbers >= 0]) > 1).sum()) if (numbers >= 0).any() else 0
    if shared < 2:
        raise ValueError(
            f"it learns from at least two instances that two images of the learning set show, got {shared} in "
            f"{len(rows)} images; name another whitening_set, as 'toytown', or label the images that it learns on."
        )
    values = torch.from_numpy(rows)
    weights = [torch.from_numpy(one).requires_grad_() for one in _start(rows.shape[1], hidden, seed)]
    for half, desc in enumerate(("as the cosine", "matching pairs")):
        descent = Descent([{"params": weights}], rate=RATE, steps=steps, schedule="cosine")
        for step in bar(range(half * steps, (half + 1) * steps), desc=desc, unit="step"):
            drawn = _drawn(numbers, half, seed, step)
            some = values[drawn]
            cosines, found = some @ some.T, similarities(weights, some, some)
            descent.begin()
            if half == 0:
                value = (found - cosines).abs().mean()
            else:
                value = _balanced(found, cosines, numbers[drawn], drawn, margin)
            value.backward()
            descent.step()
            refuse_infinite(float(value.detach()), f"step {step}")
    return {name: one.detach().numpy() for name, one in zip(NAMES, weights, strict=True)}


def score(learned: Mapping[str, Any], query: np.ndarray, images: np.ndarray) -> np.ndarray:
    """What the network says of a query (D,) with some images (M, D): (M,), in float64."""
    weights = [torch.from_numpy(np.array(learned[name], np.float64)) for name in NAMES]
    with torch.no_grad():
        asked, rows = (torch.from_numpy(np.array(one, np.float64)) for one in (query[None], images))
        return similarities(weights, asked, rows)[0].numpy()


def _drawn(numbers: np.ndarray, half: int, seed: int, step: int) -> np.ndarray:
    """Rows of the batch of a step: any in the first half, some of a few instances in the second."""
    if half == 0:
        return np.random.default_rng([seed, step]).permutation(len(numbers))[:BATCH]
    return classes_of(numbers, classes=BATCH // EACH, each=EACH, seed=seed, step=step)


def _balanced(found: Tensor, cosines: Tensor, numbers: np.ndarray, drawn: np.ndarray, margin: float) -> Tensor:
    """The loss of a batch: half the mean over its matching pairs, half that over all others; no row with itself."""
    same = torch.from_numpy(together(numbers))
    other = torch.from_numpy(drawn[:, None] != drawn)
    each = margin_loss(found, cosines, same, margin)
    return (each[same & other].mean() + each[~same & other].mean()) / 2


def _start(width: int, hidden: int, seed: int) -> list[np.ndarray]:
    """The network at the start, in the order of `NAMES`: it knows little more than that pairs differ.

    Four units see the query and the image along one random direction g: g (q + x) and g (q - x), each with both signs.
    The second layer hands them on, and the last takes the mean of |g (q + x)| - |g (q - x)|, which grows with the
    cosine; the more directions, up to the width, the better it follows. From random layers nothing is learned in as
    many steps.
    """
    random, directions = np.random.default_rng(seed), -(-hidden // 4)
    turns = [np.linalg.qr(random.normal(size=(width, width)))[0] for _ in range(-(-directions // width))]
    along = np.repeat(np.concatenate(turns)[:directions] * np.sqrt(width), 4, axis=0)[:hidden]
    signs = np.resize([[1, 1, 1], [-1, -1, 1], [1, -1, -1], [-1, 1, -1]], (hidden, 3))
    query, image = along * signs[:, :1], along * signs[:, 1:2]
    last = signs[:, 2] * np.sqrt(np.pi / 2) / (2 * directions)  # equal rows get 1 on average, opposite ones -1
    none = np.zeros(hidden)
    return [np.asarray(one, np.float32) for one in (query, image, none, np.eye(hidden), none.copy(), last, 0.0)]
