"""Exercises of the notebooks: each answer is checked against the data, or against the formula.

>>> from cbirlab.exercises import check
>>> check("2_pooling.1", 1.5)
Not yet. That is the mean, GeM with p = 1.

A wrong answer gets a hint, and the next one another hint; the solution is never printed. Lecturers find it in
``solution(name, **given).answer``.
"""

from cbirlab.exercises import (
    adapting,
    attention,
    benchmark,
    codes,
    domain_shift,
    embedding,
    fusion,
    handcrafted,
    layers,
    maps,
    own_images,
    pooling,
    protocols,
    regions,
    reranking,
    search_at_scale,
    systems,
    whitening,
)
from cbirlab.exercises.base import EXERCISES, Solution, Verdict, check, exercise, judge, solution
from cbirlab.exercises.part import maps_of, part_of, spread
from cbirlab.exercises.tour import is_best

__all__ = [
    "EXERCISES",
    "Solution",
    "Verdict",
    "adapting",
    "attention",
    "benchmark",
    "check",
    "codes",
    "domain_shift",
    "embedding",
    "exercise",
    "fusion",
    "handcrafted",
    "is_best",
    "judge",
    "layers",
    "maps",
    "maps_of",
    "own_images",
    "part_of",
    "pooling",
    "protocols",
    "regions",
    "reranking",
    "search_at_scale",
    "solution",
    "spread",
    "systems",
    "whitening",
]
