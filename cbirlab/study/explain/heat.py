"""Heat: how diffusion spreads from a query over the database, step by step, and what each step is worth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.evaluation import evaluate
from cbirlab.index.lists import Lists
from cbirlab.pipeline.learning_sets import held_for
from cbirlab.reranking import Answers
from cbirlab.reranking.diffusion import diffusion_steps, normalised_graph, reached, with_the_rest

if TYPE_CHECKING:
    from cbirlab.datasets import Dataset
    from cbirlab.index import Ranking
    from cbirlab.pipeline import Recipe

MOST_STEPS = 20


@dataclass(frozen=True, eq=False)
class Heat:
    """How diffusion spreads from one query.

    Attributes
    ----------
    values : (T + 1, N) f of every image after 0, 1, 2, ... steps; the last are those of the solution.
    solved_after : steps until there.
    edges : (E, 2) images that are both among the other's nearest, each pair once.
    """

    values: np.ndarray
    solved_after: int
    edges: np.ndarray

    @property
    def reached(self) -> np.ndarray:
        """(T + 1, N) where f has come to."""
        return reached(self.values)


def spread_heat(answers: Answers, *, k: int, kq: int, alpha: float, gamma: float) -> Heat:
    """How diffusion spreads from the one query of some answers; the parameters are those of `diffusion`."""
    values, count = [np.zeros(len(answers.gallery))], 0
    for count, found in enumerate(diffusion_steps(answers, k=k, kq=kq, alpha=alpha, gamma=gamma), start=1):
        if count <= MOST_STEPS + 1:
            values.append(found[0])
        else:
            values[-1] = found[0]
    values += [values[-1]] * (MOST_STEPS + 2 - len(values))
    rows, columns = normalised_graph(answers.gallery, k, gamma).nonzero()
    return Heat(np.array(values), count, np.stack([rows, columns], axis=1)[rows < columns])


def rank_steps(answers: Answers, *, k: int, kq: int, alpha: float, gamma: float) -> Iterator[Ranking]:
    """The rankings after 0, 1, 2, ... up to 20 steps, and by the solution, of all queries."""
    cosines = answers.cosines()
    yield answers.ranking
    steps = diffusion_steps(answers, k=k, kq=kq, alpha=alpha, gamma=gamma)
    found: np.ndarray | None = None
    for _ in range(MOST_STEPS):
        found = next(steps, found)
        yield _ranked(answers, found, cosines)
    for found in steps:  # noqa: B007
        pass
    yield _ranked(answers, found, cosines)


@dataclass(frozen=True, eq=False)
class Curve:
    """What diffusion is worth on average over all queries.

    Attributes
    ----------
    metric : the protocol's main metric at its main level, "map_medium".
    values : (T + 1,) after 0, 1, 2, ... steps, and at the solution.
    """

    metric: str
    values: np.ndarray


def step_curve(answers: Answers, dataset: Dataset, recipe: Recipe, **parameters: Any) -> Curve:
    """Judge the answers to all queries of a dataset after each step, as runs of the recipe are judged."""
    held, judging = held_for(recipe.whitening_set, dataset), (recipe.protocol, recipe.average_precision)
    truth, metric, values = dataset if held is None else held.judged, "", []
    for ranking in rank_steps(answers, **parameters):
        lists = Lists.held(ranking) if held is None else Lists.held(ranking).without(np.asarray(held.rows))
        judged = evaluate(lists, truth, *judging, resamples=0, remarking=False)
        metric = judged.protocol.headline
        values.append(judged.metrics[metric])
    return Curve(metric, np.array(values))


def _ranked(answers: Answers, found: np.ndarray | None, cosines: np.ndarray) -> Ranking:
    """Images by f, and those that it has not reached behind them by their cosine, as `diffusion` ranks them."""
    if found is None:  # no query starts anywhere
        return answers.ranking
    return answers.scored(with_the_rest(np.take_along_axis(found, answers.ranking.images, 1), cosines)).ranking
