"""The formulas as slow loops over plain Python numbers, written from the papers and not from the package."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def per_channel(maps: np.ndarray, value) -> np.ndarray:
    """(B, C, H, W) to (B, C): `value` of the list of rows of each channel, in double precision."""
    return np.array([[value([[float(x) for x in row] for row in channel]) for channel in image] for image in maps])


def mac(maps: np.ndarray) -> np.ndarray:
    return per_channel(maps, lambda rows: max(max(row) for row in rows))


def mean(maps: np.ndarray) -> np.ndarray:
    return per_channel(maps, lambda rows: sum(sum(row) for row in rows) / (len(rows) * len(rows[0])))


def spoc_with_prior(maps: np.ndarray) -> np.ndarray:
    def weighted(rows: list[list[float]]) -> float:
        height, width = len(rows), len(rows[0])
        sigma = min(height, width) / 6
        total = weights = 0.0
        for i, row in enumerate(rows):
            for j, x in enumerate(row):
                distance2 = (i - (height - 1) / 2) ** 2 + (j - (width - 1) / 2) ** 2
                weight = math.exp(-distance2 / (2 * sigma**2))
                total += weight * x
                weights += weight
        return total / weights

    return per_channel(maps, weighted)


def gem(maps: np.ndarray, p: float) -> np.ndarray:
    def generalised_mean(rows: list[list[float]]) -> float:
        powers = [max(x, 1e-6) ** p for row in rows for x in row]
        return (sum(powers) / len(powers)) ** (1 / p)

    return per_channel(maps, generalised_mean)


def ranking(queries: np.ndarray, database: np.ndarray) -> list[list[int]]:
    """Rows by falling inner product, equal ones by row."""
    answer = []
    for query in queries:
        scores = [
            np.float32(math.fsum(float(a) * float(b) for a, b in zip(query, row, strict=True))) for row in database
        ]
        answer.append(sorted(range(len(database)), key=lambda row: (-scores[row], row)))
    return answer


def without_junk(results: Sequence[int], junk: set[int]) -> list[int]:
    return [row for row in results if row not in junk]


def average_precision(results: Sequence[int], positive: set[int], junk: set[int], method: str) -> float:
    """Walk down the list; after each right answer add the precision, or the mean of the precisions around it."""
    if not positive:
        return math.nan
    right, before, total = 0, 1.0, 0.0
    for seen, row in enumerate(without_junk(results, junk), start=1):
        if row in positive:
            right += 1
            after = right / seen
            total += after if method == "finite-sum" else (before + after) / 2
        before = right / seen
    return total / len(positive)


def precision_at(results: Sequence[int], positive: set[int], junk: set[int], k: int) -> float:
    if not positive:
        return math.nan
    rows = without_junk(results, junk)
    places = [place for place, row in enumerate(rows, start=1) if row in positive]
    cap = min(k, max(places)) if len(places) == len(positive) else k
    return sum(place <= cap for place in places) / cap


def recall_at(results: Sequence[int], positive: set[int], junk: set[int], k: int) -> float:
    if not positive:
        return math.nan
    return len(positive & {*without_junk(results, junk)[:k]}) / len(positive)
