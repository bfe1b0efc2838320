"""The table of re-ranking: what each method does at published, default and chosen settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from lab import RENDERED, TOYNET, Lab, Network, difference, level_of, markdown

from cbirlab import RERANKERS, Dataset, Recipe
from cbirlab.pipeline import Run
from cbirlab.reranking import Reranking
from cbirlab.study.rerank_choice import choose_reranking, published_settings, settings_to_try

WHITENINGS = ("none", "lw")
FEW = 20
"""Right answers per query up to which pictures are compared: those of a category need not show one place."""
CHAINS = ("dba > decay", "dba > k_reciprocal_graph", "k_reciprocal_graph > spatial")
"""Methods one after the other, at their defaults."""


def reranking(lab: Lab) -> Iterator[str]:
    """Every method of re-ranking, less none; settings as published, ours, and chosen on the learning set."""
    for dataset in (lab.dataset, *lab.photographs):
        network = TOYNET if dataset is lab.dataset else (*lab.networks, TOYNET)[0]
        yield f"### {dataset.name}: {network.title}, {len(dataset.images)} images, {len(dataset.queries)} queries"
        for whitening in WHITENINGS:
            yield f"Whitening {whitening!r}"
            yield _table(replace(lab, dataset=dataset), network, whitening)


def _table(lab: Lab, network: Network, whitening: str) -> str:
    dataset = lab.dataset
    learned_on = None if dataset.train else RENDERED
    plain = Recipe(
        dataset=dataset.name,
        backbone=network.backbone,
        weights=network.weights,
        aggregation="gem",
        whitening=whitening,
        whitening_set=learned_on,
    )
    before = lab.carry_out(plain)
    header = ["method", "settings", "mAP", "less none", "wins, losses", "ms", "prepare s"]
    rows = [["none", "", f"{level_of(before):.3f}", "", "", f"{before.ms_per_query:.2f}", ""]]
    for words, chain in _settings(lab, plain):
        found = lab.carry_out(replace(plain, rerank=chain))
        gains = _per_query(found) - _per_query(before)
        counts = f"{int((gains > 1e-3).sum())}, {int((gains < -1e-3).sum())}"
        costs = [f"{1000 * found.seconds['rerank'] / len(dataset.queries):.2f}", f"{found.seconds['prepare']:.2f}"]
        rows.append([chain, words, f"{level_of(found):.3f}", difference(found, before), counts, *costs])
    return markdown(header, rows)


def _settings(lab: Lab, plain: Recipe) -> Iterator[tuple[str, Reranking]]:
    """Which settings, in words, and the chain; photographs are compared without whitening only, which takes minutes."""
    compared = bool(lab.dataset.train) or (plain.whitening == "none" and _right_answers(lab.dataset) <= FEW)
    for name in RERANKERS:
        needs = RERANKERS.info(name).facts["needs"]
        by_picture = needs in ("pictures", "maps")
        if needs == "nothing" or (by_picture and not compared):
            continue
        tried: Sequence[Reranking] = [] if by_picture else settings_to_try(name)
        if published_settings(name) != name:
            yield "published", published_settings(name)
        yield "default", Reranking(name)
        if len(tried) > 1:
            options = {"dataset": lab.dataset, "store": lab.store, "progress": False}
            yield "chosen", choose_reranking(plain, tried, **options).rerank
    for chain in map(Reranking.parse, CHAINS):
        if compared or "pictures" not in chain.needs:
            yield "default", chain


def _right_answers(dataset: Dataset) -> float:
    """How many right answers a query has on average."""
    return sum(len(rows) for labels in dataset.labels for rows in labels.values()) / len(dataset.labels)


def _per_query(found: Run):
    levels = found.evaluation.per_query
    return levels["medium" if "medium" in levels else "map"]
