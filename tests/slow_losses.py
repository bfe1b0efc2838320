"""The losses as loops over rows, straight from their formulas; `SLOW` has one for every name in `LOSSES`.

Each takes rows (B, D), labels (B,), class weights (C, D) or None, and `Chosen` pairs; then the loss's own parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import cos, exp, log, pi, radians, sin, sqrt, tan
from typing import Any

import numpy as np


@dataclass
class Chosen:
    """Matching and other pairs, each a set of (anchor, row), and triplets; all of them unless mined."""

    matches: set[tuple[int, int]]
    others: set[tuple[int, int]]
    triplets: list[tuple[int, int, int]]
    mined: bool


def chosen(labels, mined=None) -> Chosen:
    n = range(len(labels))
    if mined is None:
        matches = {(i, j) for i in n for j in n if i != j and labels[i] == labels[j]}
        others = {(i, j) for i in n for j in n if labels[i] != labels[j]}
        return Chosen(matches, others, [(a, p, o) for a, p in matches for b, o in others if a == b], False)
    mined = [[int(one) for one in each] for each in mined]
    if len(mined) == 3:
        a, p, o = mined
        return Chosen({*zip(a, p, strict=True)}, {*zip(a, o, strict=True)}, [*zip(a, p, o, strict=True)], True)
    a, p, b, o = mined
    triplets = [(i, j, k) for i, j in zip(a, p, strict=True) for l, k in zip(b, o, strict=True) if i == l]  # noqa: E741
    return Chosen({*zip(a, p, strict=True)}, {*zip(b, o, strict=True)}, triplets, True)


def dot(x, y) -> float:
    return sum(float(a) * float(b) for a, b in zip(x, y, strict=True))


def squared(x, y) -> float:
    return sum((float(a) - float(b)) ** 2 for a, b in zip(x, y, strict=True))


def unit(x) -> list[float]:
    return [float(a) / sqrt(dot(x, x)) for a in x]


def mean(values) -> float:
    values = [*values]
    return sum(values) / len(values) if values else 0.0


def _over_pairs(labels, pairs, cost) -> float:
    """Mean of ``cost(i, j, matching)`` over the chosen pairs i < j."""
    costs = []
    for i, j in combinations(range(len(labels)), 2):
        if {(i, j), (j, i)} & (pairs.matches | pairs.others):
            costs.append(cost(i, j, labels[i] == labels[j]))
    return mean(costs)


def siamese(rows, labels, weights, pairs, margin) -> float:
    def cost(i, j, match) -> float:
        D = squared(rows[i], rows[j])
        return D / 2 if match else max(0, margin - D) / 2

    return _over_pairs(labels, pairs, cost)


def siamese_cirtorch(rows, labels, weights, pairs, margin) -> float:
    def cost(i, j, match) -> float:
        d = sqrt(squared(rows[i], rows[j]))
        return d**2 / 2 if match else max(0, margin - d) ** 2 / 2

    return _over_pairs(labels, pairs, cost)


def double(rows, labels, weights, pairs, m1, m2) -> float:
    def cost(i, j, match) -> float:
        D = squared(rows[i], rows[j])
        return (max(0, D - m1) if match else max(0, m2 - D)) / 2

    return _over_pairs(labels, pairs, cost)


def multisim(rows, labels, weights, pairs, alpha, beta, base, epsilon) -> float:
    total = 0.0
    for i in range(len(rows)):
        near = [dot(rows[i], rows[j]) for a, j in pairs.matches if a == i]
        far = [dot(rows[i], rows[j]) for a, j in pairs.others if a == i]
        if not pairs.mined:
            hard = [s for s in near if far and s - epsilon < max(far)]
            far = [s for s in far if near and s + epsilon > min(near)]
            near = hard
        total += log(1 + sum(exp(-alpha * (s - base)) for s in near)) / alpha
        total += log(1 + sum(exp(beta * (s - base)) for s in far)) / beta
    return total / len(rows)


def supcon(rows, labels, weights, pairs, temperature) -> float:
    costs = []
    if pairs.matches and pairs.others:
        for i in range(len(rows)):
            near = [exp(dot(rows[i], rows[j]) / temperature) for a, j in pairs.matches if a == i]
            far = [exp(dot(rows[i], rows[j]) / temperature) for a, j in pairs.others if a == i]
            if near:
                costs.append(mean(-log(one / (sum(near) + sum(far))) for one in near))
    return mean(cost for cost in costs if cost > 0)


def triplet(rows, labels, weights, pairs, margin) -> float:
    def gap(a, p, o) -> float:
        return margin + sqrt(squared(rows[a], rows[p])) - sqrt(squared(rows[a], rows[o]))

    return mean(value for one in pairs.triplets if (value := gap(*one)) > 0)


def lifted(rows, labels, weights, pairs, margin) -> float:
    def cost(a, p) -> float:
        far = [exp(margin - sqrt(squared(rows[i], rows[o]))) for i, o in pairs.others if i in (a, p)]
        return max(0, (log(sum(far)) if far else 0) + sqrt(squared(rows[a], rows[p]))) ** 2 / 2

    return mean(cost(a, p) for a, p in pairs.matches) if pairs.others else 0.0


def npairs(rows, labels, weights, pairs) -> float:
    n, picked = range(len(rows)), []
    for one in sorted({*labels}):
        members = [i for i in n if labels[i] == one]
        if len(members) > 1:
            a = max(members, key=lambda i: sum(dot(rows[i], rows[j]) for j in n if labels[j] != labels[i]))
            picked.append((a, min((i for i in members if i != a), key=lambda i: dot(rows[i], rows[a]))))
    return mean(
        -log(exp(dot(rows[a], rows[p])) / sum(exp(dot(rows[a], rows[q])) for _, q in picked)) for a, p in picked
    )


def angular(rows, labels, weights, pairs, angle) -> float:
    t = tan(radians(angle)) ** 2

    def cost(a, p) -> float:
        far = [rows[i] for i in range(len(rows)) if labels[i] != labels[a]]
        near = 2 * (1 + t) * dot(rows[a], rows[p])
        return log(1 + sum(exp(4 * t * (dot(rows[a], o) + dot(rows[p], o)) - near) for o in far))

    return mean(cost(a, p) for a, p in pairs.matches) if pairs.others else 0.0


def circle(rows, labels, weights, pairs, margin, gamma) -> float:
    costs = []
    for i in range(len(rows)):
        near = [dot(rows[i], rows[j]) for a, j in pairs.matches if a == i]
        far = [dot(rows[i], rows[j]) for a, j in pairs.others if a == i]
        if near and far:
            p = sum(exp(-gamma * max(0, 1 + margin - s) * (s - 1 + margin)) for s in near)
            o = sum(exp(gamma * max(0, s + margin) * (s - margin)) for s in far)
            costs.append(log(1 + p * o))
    return mean(cost for cost in costs if cost > 0)


def ntxent(rows, labels, weights, pairs, temperature) -> float:
    def cost(a, p) -> float:
        near = exp(dot(rows[a], rows[p]) / temperature)
        far = sum(exp(dot(rows[a], rows[o]) / temperature) for i, o in pairs.others if i == a)
        return -log(near / (near + far))

    return mean(cost(a, p) for a, p in pairs.matches) if pairs.others else 0.0


def smoothap(rows, labels, weights, pairs, tau, itself=False) -> float:
    """`itself`: the query is one of its matches and in its database, as in the authors' code."""
    n, precisions = range(len(rows)), []
    for q in n:
        database = [k for k in n if k != q or itself]
        match = [k for k in database if labels[k] == labels[q]]
        score = [dot(rows[q], rows[k]) for k in n]

        def rank(j, among, score=score) -> float:
            return 1 + sum(1 / (1 + exp((score[j] - score[k]) / tau)) for k in among if k != j)

        if match:
            precisions.append(mean(rank(j, match) / rank(j, database) for j in match))
    return 1 - mean(precisions) if precisions else 0.0


def _histogram_precision(values, match, centres, width) -> float:
    """Sum over bins, in the order of `centres`, of precision so far times the part of the matches in the bin."""
    right = among = total = 0.0
    for centre in centres:
        share = [max(0, 1 - abs(value - centre) / width) for value in values]
        here = sum(one for one, hit in zip(share, match, strict=True) if hit)
        right, among = right + here, among + sum(share)
        total += here * right / among if among else 0
    return total / sum(match)


def binnedap(rows, labels, weights, pairs, bins) -> float:
    width, n = 2 / (bins - 1), range(len(rows))
    precisions = []
    for q in n:
        database = [k for k in n if k != q]
        match = [labels[k] == labels[q] for k in database]
        if any(match):
            scores = [dot(rows[q], rows[k]) for k in database]
            precisions.append(_histogram_precision(scores, match, [1 - b * width for b in range(bins)], width))
    return 1 - mean(precisions) if precisions else 0.0


def fastap(rows, labels, weights, pairs, bins) -> float:
    width, n = 4 / bins, range(len(rows))
    precisions = []
    for q in n:
        database = [k for k in n if k != q]
        match = [labels[k] == labels[q] for k in database]
        if any(match):
            far = [squared(rows[q], rows[k]) for k in database]
            precisions.append(_histogram_precision(far, match, [b * width for b in range(bins + 1)], width))
    return 1 - mean(precisions) if precisions else 0.0


def _cross_entropy(logits, label) -> float:
    top = max(logits)
    return log(sum(exp(one - top) for one in logits)) + top - logits[label]


def _by_cosines(rows, labels, weights, logit) -> float:
    """Mean cross-entropy of ``logit(cosine, own)``."""
    return mean(
        _cross_entropy([logit(dot(row, unit(w)), c == y) for c, w in enumerate(weights)], y)
        for row, y in zip(rows, labels, strict=True)
    )


def ce(rows, labels, weights, pairs) -> float:
    """With biases of 0."""
    return mean(_cross_entropy([16 * dot(row, w) for w in weights], y) for row, y in zip(rows, labels, strict=True))


def softmax(rows, labels, weights, pairs, temperature) -> float:
    return _by_cosines(rows, labels, weights, lambda cosine, own: cosine / temperature)


def cosface(rows, labels, weights, pairs, margin, scale) -> float:
    return _by_cosines(rows, labels, weights, lambda cosine, own: scale * (cosine - margin * own))


def arcface(rows, labels, weights, pairs, margin, scale) -> float:
    m = radians(margin)

    def logit(cosine, own) -> float:
        angle = float(np.arccos(np.clip(cosine, -1, 1)))
        if not own:
            return scale * cosine
        return scale * (cos(angle + m) if angle + m <= pi else cosine - m * sin(m))

    return _by_cosines(rows, labels, weights, logit)


def proxynca(rows, labels, weights, pairs, scale) -> float:
    def cost(row, y) -> float:
        far = [exp(-scale * squared(row, unit(w))) for w in weights]
        return -log(far[y] / (sum(far) - far[y]))

    return mean(cost(row, y) for row, y in zip(rows, labels, strict=True))


def proxyanchor(rows, labels, weights, pairs, margin, alpha) -> float:
    near, far = [], []
    for c, w in enumerate(weights):
        own = [dot(row, unit(w)) for row, y in zip(rows, labels, strict=True) if y == c]
        rest = [dot(row, unit(w)) for row, y in zip(rows, labels, strict=True) if y != c]
        if own:
            near.append(log(1 + sum(exp(-alpha * (s - margin)) for s in own)))
        far.append(log(1 + sum(exp(alpha * (s + margin)) for s in rest)))
    return mean(near) + mean(far)


def joint(rows, labels, weights, pairs, margin, weight, temperature) -> float:
    return triplet(rows, labels, weights, pairs, margin) + weight * softmax(rows, labels, weights, pairs, temperature)


SLOW: dict[str, Any] = {
    function.__name__: function
    for function in (
        siamese,
        siamese_cirtorch,
        double,
        multisim,
        supcon,
        triplet,
        lifted,
        npairs,
        angular,
        circle,
        ntxent,
        smoothap,
        binnedap,
        fastap,
        ce,
        softmax,
        cosface,
        arcface,
        proxynca,
        proxyanchor,
        joint,
    )
}
