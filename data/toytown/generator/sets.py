"""The sets of images: which photographs make up the benchmark, its train split, and the network's own material."""

from __future__ import annotations

from dataclasses import dataclass

from .landmarks import TEMPLATES, family_of
from .shots import Request

BENCHMARK_LANDMARKS, BENCHMARK_QUERIES, BENCHMARK_DATABASE = 48, 2, 14
DISTRACTOR_LANDMARKS, DISTRACTOR_SHOTS, DISTRACTOR_STREETS = 82, 3, 82
TRAIN_LANDMARKS, TRAIN_SHOTS, TRAIN_STREETS = 60, 10, 40
VAL_FAMILIES, VAL_SIBLINGS, VAL_QUERIES, VAL_DATABASE = 5, 2, 2, 10
VAL_DISTRACTOR_LANDMARKS, VAL_DISTRACTOR_STREETS = 45, 15


@dataclass(frozen=True)
class Item:
    """One image of a set: where it goes, what it is for, and what to photograph.  `landmark` is None if it has none."""

    name: str
    split: str
    role: str
    landmark: int | None
    request: Request


def benchmark() -> list[Item]:
    """Queries, their landmarks' other views, and distractors that show none of those landmarks."""
    items = []
    for number in range(BENCHMARK_LANDMARKS):
        template, family = family_of(number, "benchmark")
        shots = BENCHMARK_QUERIES + BENCHMARK_DATABASE
        items += _landmark(
            "benchmark", "benchmark", number, template, family, shots, BENCHMARK_QUERIES, f"{template}_{number:02d}"
        )
    return items + _distractors(
        "benchmark", "distractor", DISTRACTOR_LANDMARKS, DISTRACTOR_SHOTS, DISTRACTOR_STREETS, "distractor"
    )


def train() -> list[Item]:
    """Small images of other landmarks and streets, for whitening, codebooks and hashes."""
    items = []
    look = {"long_side": 224, "samples": 4, "quality": (74, 84)}
    for number in range(TRAIN_LANDMARKS):
        template, family = family_of(number, "train")
        for shot in range(TRAIN_SHOTS):
            request = Request("train", number, shot, "any", template=template, family=family, **look)
            items.append(Item(f"train_{number:02d}_{shot:02d}", "train", "train", number, request))
    for number in range(TRAIN_STREETS):
        request = Request("train", number, 0, "street", **look)
        items.append(Item(f"train_street_{number:02d}", "train", "train", None, request))
    return items


def network(landmarks: int, shots: int, long_side: int = 160) -> list[Item]:
    """Small, quick images of many landmarks for training a network, landmark by landmark."""
    items = []
    for number in range(landmarks):
        template, family = family_of(number, "network")
        for shot in range(shots):
            request = Request("network", number, shot, "any", long_side, 1, (75, 92), template, family)
            items.append(Item(f"network_{number:04d}_{shot:02d}", "network", "train", number, request))
    return items


def val() -> list[Item]:
    """A small benchmark of its own on which choices are made, so that none is made on the benchmark."""
    items = []
    for number in range(VAL_FAMILIES * VAL_SIBLINGS):
        family = number // VAL_SIBLINGS
        template = TEMPLATES[(5 * family + 1) % len(TEMPLATES)]
        shots = VAL_QUERIES + VAL_DATABASE
        items += _landmark("val", "val", number, template, family, shots, VAL_QUERIES, f"val_{template}_{number:02d}")
    return items + _distractors(
        "val", "val_distractor", VAL_DISTRACTOR_LANDMARKS, 1, VAL_DISTRACTOR_STREETS, "val_distractor"
    )


def _landmark(split, namespace, number, template, family, shots, queries, stem) -> list[Item]:
    items = []
    for shot in range(shots):
        role = "query" if shot < queries else "any"
        request = Request(namespace, number, shot, role, 320, 4, (70, 92), template, family)
        items.append(Item(f"{stem}_{shot:02d}", split, "query" if shot < queries else "database", number, request))
    return items


def _distractors(split, namespace, landmarks, shots, streets, stem) -> list[Item]:
    requests = []
    for number in range(landmarks):
        template, family = family_of(number, namespace)
        requests += [
            Request(namespace, number, shot, "any", 320, 4, (70, 92), template, family) for shot in range(shots)
        ]
    requests += [Request(namespace, number, 0, "street", 320, 4, (70, 92)) for number in range(streets)]
    return [Item(f"{stem}_{number:03d}", split, "distractor", None, request) for number, request in enumerate(requests)]
