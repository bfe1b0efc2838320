"""Re-ranked: how a recipe's search is re-ranked, what is kept for it, and what a run tells about it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256

import numpy as np

from cbirlab.index import Ranking, Rows
from cbirlab.index.lists import FIRST, MOST_COMPLETE, Lists
from cbirlab.index.ranking import blocks
from cbirlab.pipeline.fitting import content, load_or_fit
from cbirlab.pipeline.pictures import DatasetPictures
from cbirlab.pipeline.recipe import Recipe
from cbirlab.reranking import Answers, Gallery, Neighbours, Reranking, find_neighbours, rerank_answers
from cbirlab.store import Store
from cbirlab.store.code import code_version


class Told:
    """What re-ranking did to the queries of a run, collected block by block.

    Attributes
    ----------
    seconds : that re-ranking took, without what was prepared for all queries; and that preparation took.

    Parameters
    ----------
    before : seconds of preparation before the first block.
    """

    def __init__(self, before: float = 0.0) -> None:
        self.before, self.seconds = before, {"rerank": 0.0, "prepare": before}
        self._first: list[Ranking] = []
        self._evidence: list[Mapping[str, np.ndarray]] = []

    def add(self, first: Ranking, answers: Answers, seconds: float, prepared: float) -> None:
        """Take in the next queries: how they were ranked before, and what came out."""
        self._first.append(first.top(min(FIRST, first.images.shape[1])))
        self._evidence.append(answers.evidence)
        self.seconds["rerank"] += seconds - prepared
        self.seconds["prepare"] += prepared

    @property
    def first(self) -> Ranking:
        """The first places (Q, K) as they were before."""
        images, scores = (np.concatenate([getattr(one, name) for one in self._first]) for name in ("images", "scores"))
        return Ranking(images, scores)

    @property
    def evidence(self) -> dict[str, np.ndarray]:
        """What the methods told, see `Answers`; one row for each query."""
        return {name: np.concatenate([one[name] for one in self._evidence]) for name in self._evidence[0]}


def rerank_found(answers: Answers, method: Reranking, told: Callable[..., None] | None) -> Ranking:
    """The ranking after re-ranking; `told` hears how it was before, what came out, and what that took."""
    start, before = time.perf_counter(), _prepared(answers)
    after = rerank_answers(answers, method)
    if told is not None:
        told(answers.ranking, after, time.perf_counter() - start, _prepared(answers) - before)
    return after.ranking


def _prepared(answers: Answers) -> float:
    """Seconds that it took to prepare the database and to describe pictures, so far."""
    return answers.gallery.seconds + (answers.pictures.seconds if answers.pictures else 0.0)


PICTURES = 128
"""Pictures that are described at a time."""


def describe_pictures(
    recipe: Recipe, pictures: DatasetPictures, lists: Callable[[Recipe], Lists], gallery: Gallery | None = None
) -> float:
    """Describe all pictures that the re-ranking of a recipe compares for the queries of a dataset.

    Parameters
    ----------
    lists : the lists of all queries by a recipe.
    gallery : the database, which methods before may prepare meanwhile.

    Returns
    -------
    Seconds that the pictures and this preparation took.
    """

    def spent() -> float:
        return pictures.seconds + (gallery.seconds if gallery else 0.0)

    steps, before = recipe.rerank.steps, spent()
    for place, step in enumerate(steps):
        if features := step.fact("features"):
            kind, listed = features.format(**step.parameters), set()
            for block in lists(replace(recipe, rerank=Reranking.chained(steps[:place]))):
                listed |= {*np.unique(block.images[:, : step.parameters["top"]]).tolist()}
            for some in blocks(len(pictures.dataset.queries), PICTURES):
                pictures.of_queries(kind, range(some.start, some.stop))
            rows = sorted(listed)
            for some in blocks(len(rows), PICTURES):  # what was described is in the store, and need not stay in memory
                pictures.of_images(kind, rows[some])
    return spent() - before


def is_slow(recipe: Recipe, images: int) -> bool:
    """Whether re-ranking is too slow to wait for: it learns, compares pictures, or the neighbours of many images."""
    chain = recipe.rerank
    return chain.compares_pictures or chain.learns or ("neighbours" in chain.needs and images > MOST_COMPLETE)


def learn_reranking(method: Reranking, rows: Rows, labels: Sequence[str], store: Store) -> Mapping[str, np.ndarray]:
    """What a method learns from the learning set as it is searched, or what it has learned there before.

    Parameters
    ----------
    rows : one for each image.
    labels : instance of each row.

    Raises
    ------
    ValueError : the labels do not suffice.
    """
    parameters = {name: value for name, value in method.parameters.items() if name != "top"}
    specification = {"rerank": method.name, "parameters": parameters, "on": content(rows.values)}
    specification |= {"labels": sha256(repr(list(labels)).encode()).hexdigest()}
    specification |= {"code": code_version("training", method.fact("learns"))}

    def fit() -> dict[str, np.ndarray]:
        try:
            return method.fact("learns")(rows.values, labels, **method.parameters)
        except ValueError as error:
            raise ValueError(f"rerank {method!r}: {error}") from error

    return load_or_fit(store, specification, fit)


def gallery_of(rows: np.ndarray, store: Store) -> Gallery:
    """The database (N, D) as re-ranking sees it; the neighbours of its images are found once and kept in the store."""
    return Gallery(rows, lambda k: _kept_neighbours(rows, k, store))


def _kept_neighbours(rows: np.ndarray, k: int, store: Store) -> Neighbours:
    specification = {"rows": content(rows), "k": k, "code": code_version("index", "reranking.neighbours")}

    def find() -> dict[str, np.ndarray]:
        found = find_neighbours(rows, k)
        return {"images": found.images, "scores": found.scores, "recall": np.asarray(found.recall)}

    kept = load_or_fit(store, specification, find, "neighbours")
    return Neighbours(kept["images"], kept["scores"], float(kept["recall"]))
