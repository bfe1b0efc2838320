"""Re-ranking as its formulas read: loops and dense matrices in float64. The truth for tests, never for use.

Every method takes a query q (D,), rows X (N, D) and `own`, the row that is the query itself or -1, and gives a score
for every row. Rows have length one.
"""

from __future__ import annotations

import numpy as np


def order(scores, without=()):
    """Rows by falling score, as a search rounds it; equal ones by row."""
    return sorted(
        (row for row in range(len(scores)) if row not in without),
        key=lambda row: (-float(np.float32(scores[row])), row),
    )


def nearest(v, X, k, without=-1):
    return order([float(v @ x) for x in X], (without,))[:k]


def kth(i, X, k):
    """Cosine of row i with its k-th nearest other."""
    others = nearest(X[i], X, k, i)
    return float(X[i] @ X[others[-1]]) if len(others) == k else -np.inf


def lists_query(i, q, X, own, k):
    s, last = float(X[i] @ q), kth(i, X, k)
    return s > last or (own >= 0 and s >= last)


# ---- k-reciprocal
def growing(base, halves):
    """R*: what R(i, k1) takes up."""
    grown = set(base)
    for j in base:
        if 3 * len(halves[j] & base) > 2 * len(halves[j]):
            grown |= halves[j]
    return grown


def reciprocal(i, X, k):
    near = {i, *nearest(X[i], X, k, i)}
    return {j for j in near if i == j or i in nearest(X[j], X, k, j)}


def encoded(X, k1, k2):
    """V before and after the mean over the first k2."""
    n = len(X)
    halves = [reciprocal(j, X, round(k1 / 2)) for j in range(n)]
    plain = np.zeros((n, n))
    for i in range(n):
        squared = [0.0 if j == i else float((X[i] - X[j]) @ (X[i] - X[j])) for j in range(n)]
        for j in growing(reciprocal(i, X, k1), halves):
            plain[i, j] = np.exp(-squared[j] / max(squared))
        plain[i] /= plain[i].sum()
    mean = np.array([plain[[i, *nearest(X[i], X, k2 - 1, i)]].mean(axis=0) for i in range(n)])
    return halves, plain, mean


def blend(v, V, distances, share):
    scores = []
    for row, distance in zip(V, distances, strict=True):
        common = sum(min(a, b) for a, b in zip(v, row, strict=True))
        scores.append(-((1 - share) * (1 - common / (2 - common)) + share * distance))
    return np.array(scores)


def k_reciprocal(q, X, own=-1, k1=10, k2=3, share=0.6):
    """The query in a last column of its own, or in that of its row; the database does not know it."""
    n = len(X)
    halves, plain, mean = encoded(X, k1, k2)
    place = own if own >= 0 else n
    base = {i for i in nearest(q, X, k1, own) if lists_query(i, q, X, own, k1)} | ({own} if own >= 0 else set())
    squared = np.array([float((q - x) @ (q - x)) for x in X])
    v = np.zeros(n + 1)
    for j in growing(base, halves):
        v[j] = np.exp(-squared[j] / squared.max())
    v[place] = 1.0
    v /= v.sum()
    wider = np.hstack([plain, np.zeros((n, 1))])
    v = np.mean([v, *wider[nearest(q, X, k2 - 1, own)]], axis=0)
    return blend(v, np.hstack([mean, np.zeros((n, 1))]), squared / squared.max(), share)


def k_reciprocal_joint(Q, X, k1=10, k2=3, share=0.6):
    """All queries in one matrix with the database; (Q, N)."""
    Z = np.vstack([Q, X])
    V, found = encoded(Z, k1, k2)[2], []
    for i in range(len(Q)):
        squared = np.array([float((Z[i] - z) @ (Z[i] - z)) for z in Z])
        found.append(blend(V[i], V[len(Q) :], (squared / squared.max())[len(Q) :], share))
    return np.array(found)


def lists_and_weights(X, k1, k2):
    n = len(X)
    A, P = np.zeros((n, n)), np.eye(n)
    for i in range(n):
        A[i, [i, *nearest(X[i], X, k1 - 1, i)]] = 1
        for j in nearest(X[i], X, k2 - 1, i):
            P[i, j] = max(0.0, float(X[i] @ X[j])) ** 2
    return A, P


def k_reciprocal_graph_joint(Q, X, k1=10, k2=3, share=0.3):
    A, P = lists_and_weights(np.vstack([Q, X]), k1, k2)
    for _ in range(2):
        A = P @ (A + A.T)
        A /= np.linalg.norm(A, axis=1, keepdims=True)
    return (1 - share) * A[: len(Q)] @ A[len(Q) :].T + share * Q @ X.T


def k_reciprocal_graph(q, X, own=-1, k1=10, k2=3, share=0.3):
    """A row and a column more, or those of the query's own picture; the database is as it is without the query."""
    n = len(X)
    A, P = lists_and_weights(X, k1, k2)
    lists, listing, p = np.zeros(n), np.zeros(n), np.zeros(n)
    lists[nearest(q, X, k1 - 1, own)] = 1
    for i in range(n):
        listing[i] = i != own and lists_query(i, q, X, own, k1 - 1)
    for j in nearest(q, X, k2 - 1, own):
        p[j] = max(0.0, float(q @ X[j])) ** 2
    if own >= 0:
        lists[own] = listing[own] = p[own] = 1
    else:  # the query is row n, which no image lists and none takes weight from
        A = np.block([[A, listing[:, None]], [lists, np.ones(1)]])
        P = np.block([[P, np.zeros((n, 1))], [p, np.ones(1)]])
        alone = A[:n, :n]
        for _ in range(2):
            A, alone = P @ (A + A.T), P[:n, :n] @ (alone + alone.T)
            lengths = np.append(np.linalg.norm(alone, axis=1), np.linalg.norm(A[n]))
            A, alone = A / lengths[:, None], alone / lengths[:n, None]
        return (1 - share) * A[:n] @ A[n] + share * X @ q
    row, column = lists, listing
    for _ in range(2):
        both, through = row + column, A + A.T
        # the query takes its own lists, not those of its picture, with the weight 1
        row, column, A = p @ through - through[own] + both, P @ both, P @ through
        lengths = np.linalg.norm(A, axis=1)
        row, column, A = row / np.linalg.norm(row), column / lengths, A / lengths[:, None]
    return (1 - share) * A @ row + share * X @ q


# ---- diffusion
def affinities(X, k, gamma):
    n = len(X)
    near = [set(nearest(X[i], X, k, i)) for i in range(n)]
    A = np.zeros((n, n))
    for i in range(n):
        for j in near[i]:
            if i in near[j]:
                A[i, j] = max(0.0, float(X[i] @ X[j])) ** gamma
    return A


def normalised(A):
    degrees = A.sum(axis=1)
    return np.array(
        [[A[i, j] / np.sqrt(degrees[i] * degrees[j]) if A[i, j] else 0.0 for j in range(len(A))] for i in range(len(A))]
    )


def seeds(q, X, own, kq, gamma):
    y = np.zeros(len(X))
    for i in nearest(q, X, kq, own):
        y[i] = max(0.0, float(q @ X[i])) ** gamma
    return y


def solve(S, y, alpha):
    return np.linalg.solve(np.eye(len(S)) - alpha * S, y)


def gradients(S, y, alpha, steps):
    """Conjugate gradients from zero."""
    L, f, r = np.eye(len(S)) - alpha * S, np.zeros(len(y)), y.copy()
    p = r.copy()
    for _ in range(steps):
        if r @ r < 1e-26 * (y @ y) or not y.any():
            break
        a = (r @ r) / (p @ L @ p)
        after = r - a * L @ p
        f, p, r = f + a * p, after + (after @ after) / (r @ r) * p, after
    return f


def with_the_rest(f, q, X):
    return np.array([f[i] if f[i] > 1e-9 * max(f) else float(q @ X[i]) - 1 for i in range(len(X))])


def diffusion(q, X, own=-1, k=20, kq=5, alpha=0.9, gamma=3, steps=3, truncate=0):
    A, y = affinities(X, k, gamma), seeds(q, X, own, kq, gamma)
    keep = nearest(q, X, truncate or len(X))
    f = np.zeros(len(X))
    f[keep] = gradients(normalised(A[np.ix_(keep, keep)]), y[keep], alpha, steps)
    return with_the_rest(f, q, X)


def diffusion_offline(q, X, own=-1, k=20, kq=5, alpha=0.9, gamma=3, truncate=1000):
    S, f = normalised(affinities(X, k, gamma)), np.zeros(len(X))
    for i in nearest(q, X, kq, own):
        keep = [i, *nearest(X[i], X, truncate - 1, i)]
        f[keep] += max(0.0, float(q @ X[i])) ** gamma * solve(S[np.ix_(keep, keep)], np.eye(len(keep))[0], alpha)
    return with_the_rest(f, q, X)


def diffusion_spectral(q, X, own=-1, k=20, kq=5, alpha=0.9, gamma=3, rank=200):
    values, vectors = np.linalg.eigh(normalised(affinities(X, k, gamma)))
    f = np.zeros(len(X))
    for r in order(values)[:rank]:
        f += vectors[:, r] * float(vectors[:, r] @ seeds(q, X, own, kq, gamma)) / (1 - alpha * values[r])
    return with_the_rest(f, q, X)


def rdp(q, X, own=-1, k=20, kq=5, alpha=0.9, gamma=3, steps=20):
    S = normalised(affinities(X, k, gamma))
    A = np.eye(len(X))
    for _ in range(steps):
        A = alpha * S @ A @ S.T + (1 - alpha) * np.eye(len(X))
    return with_the_rest(A @ seeds(q, X, own, kq, gamma), q, X)


# ---- ranks of neighbours, SuperGlobal
def rank_neighbours(q, X, own=-1, k=5):
    scores = np.zeros(len(X))
    for rank, row in enumerate(order(X @ q, (own,)), 1):
        scores[row] += 1 / rank
    if own >= 0:  # as the image that follows it
        scores[own] = 1 / (1 + order(X @ q).index(own))
    for i, neighbour in enumerate(nearest(q, X, k, own), 1):
        for rank, row in enumerate(order(X @ X[neighbour]), 1):
            scores[row] += 1 / (i + 1) / rank
    return scores


def super_global(q, X, own=-1, top=400, k=3, beta=0.15):
    """Scores of the first `top`; NaN for the others."""
    head, refined = order(X @ q)[:top], {}
    for d in head:
        near = [j for j in order(X @ X[d], (d, own)) if j in head][:k]
        weights = [beta * max(0.0, float(X[d] @ X[j])) for j in near]
        refined[d] = (X[d] + sum(w * X[j] for w, j in zip(weights, near, strict=True))) / (1 + sum(weights))
    first = {d: float(refined[d] @ q) for d in head}
    best = sorted((d for d in head if d != own), key=lambda d: (-float(np.float32(first[d])), d))[: k + 1]
    e = np.array([max(refined[d][axis] for d in best) for axis in range(X.shape[1])])
    scores = np.full(len(X), np.nan)
    for d in head:
        scores[d] = (first[d] + float(refined[d] @ e)) / 2
    return scores


# ---- expansion
def expanded(q, X, images, weights):
    total = q + sum((w * X[i] for w, i in zip(weights, images, strict=True)), np.zeros(len(q)))
    return total / np.linalg.norm(total)


def aqe(q, X, own=-1, k=3):
    near = nearest(q, X, k, own)
    return X @ expanded(q, X, near, [1.0] * len(near))


def alpha_qe(q, X, own=-1, k=3, alpha=3):
    near = nearest(q, X, k, own)
    return X @ expanded(q, X, near, [max(0.0, float(q @ X[i])) ** alpha for i in near])


def decay(q, X, own=-1, k=10, mutual=True):
    near = nearest(q, X, k, own)
    weights = [
        (k + 1 - place) / (k + 1) * (not mutual or lists_query(i, q, X, own, k)) for place, i in enumerate(near, 1)
    ]
    return X @ expanded(q, X, near, weights)


def augmented(X, k, alpha):
    changed = []
    for i, x in enumerate(X):
        near = nearest(x, X, k, i)
        changed.append(expanded(x, X, near, [max(0.0, float(x @ X[j])) ** alpha for j in near]))
    return np.array(changed)


def dba(q, X, own=-1, k=3, alpha=0):
    return augmented(X, k, alpha) @ q
