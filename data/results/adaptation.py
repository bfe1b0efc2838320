"""The table of adaptation: what heads, last stages and whole networks gain on another domain, and what they forget.

python data/results/adaptation.py --weights FOLDER --photographs FOLDER
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cbirlab import Recipe, run
from cbirlab.adaptation import Trained, Training, train
from cbirlab.evaluation import paired_difference, query_groups
from cbirlab.pipeline import Run

SIDE = 224
NETWORKS = (
    ("toynet", "toynet", "", "layer4"),
    ("MobileNetV2", "mobilenet_v2", "mobilenet_v2*.pth", "last"),
    ("ResNet-18 (to layer3)", "resnet18", "resnet18*.pth", "layer3"),
)
CLOSED = ("pca(power=0.25)", "lw")
LOSSES = ("multisim", "smoothap")
GUESSED = ("kmeans", "mutual")
SEEDS = (0, 1)
HEADER = ("trained on labels", "what", "mAP", "less none", "held out", "labels right", "source", "seconds")


class Place:
    """A target, what is learned for it, and the other domain on which forgetting is measured."""

    def __init__(self, dataset: str, on: str, whitening_set: str | None, other: str) -> None:
        self.dataset, self.on, self.whitening_set, self.other = dataset, on, whitening_set, other

    def judge(self, recipe: Recipe) -> Run:
        return run(replace(recipe, dataset=self.dataset, whitening_set=self.whitening_set), progress=False)

    def judge_other(self, recipe: Recipe) -> Run:
        """The other domain; whitenings stay those that were learned here."""
        learned_on = self.on if self.on.endswith("/train") else f"{self.on}/held_out"
        return run(replace(recipe, dataset=self.other, whitening_set=learned_on), progress=False)


def per_query(found: Run) -> np.ndarray:
    assert found.evaluation is not None
    levels = found.evaluation.per_query
    return levels["medium" if "medium" in levels else next(iter(levels))]


def signed(found: Sequence[Run], before: Run) -> str:
    """Mean difference in points of mAP over runs of several seeds, with its paired interval."""
    values = np.mean([per_query(one) for one in found], axis=0)
    gain = paired_difference(values, per_query(before), query_groups(before.dataset))
    return f"{100 * gain.mean:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"


def points(found: Sequence[Run]) -> str:
    return f"{100 * np.nanmean([per_query(one) for one in found]):.1f}"


def rows(place: Place, backbone: str, weights: str | None, stage: str, whole: bool) -> Iterator[list[str]]:
    """The rows of one network at one place."""
    plain = Recipe(backbone=backbone, weights=weights, image_size=SIDE)
    before, there = place.judge(plain), place.judge_other(plain)
    yield ["", "none", points([before]), "", "", "", points([there]), ""]

    def whitened(labels: str, text: str) -> list[str]:
        recipe, started = replace(plain, whitening=text), time.process_time()
        found = place.judge(recipe)
        spent = time.process_time() - started
        away = signed([place.judge_other(recipe)], there)
        return [labels, f"`{text}`", points([found]), signed([found], before), "", "", away, f"{spent:.1f}"]

    for text in CLOSED:
        yield whitened("given" if text == "lw" else "none", text)
    for loss in LOSSES:
        for labels in ("given", "shuffled"):
            texts = [f"head(loss='{loss}', labels='{labels}', seed={seed})" for seed in SEEDS]
            found = [place.judge(replace(plain, whitening=text)) for text in texts]
            away = [place.judge_other(replace(plain, whitening=text)) for text in texts]
            shown = [points(found), signed(found, before), "", "", signed(away, there), ""]
            yield [labels, f"head, {loss}, {len(SEEDS)} seeds", *shown]
    for labels in GUESSED:
        training = Training(on=place.on, backbone=backbone, weights=weights, labels=labels, image_size=SIDE)
        yield row(place, [train(training, progress=False)], f"head, {training.loss}", before, there)
    usual = {"on": place.on, "backbone": backbone, "weights": weights, "image_size": SIDE, "rate": 2e-4}
    for labels in ("given", "shuffled"):
        done = [train(Training(**usual, moves=stage, labels=labels, seed=seed), progress=False) for seed in SEEDS]
        yield row(place, done, f"{stage} on, {len(SEEDS)} seeds", before, there)
    for labels in GUESSED:
        yield row(
            place, [train(Training(**usual, moves=stage, labels=labels), progress=False)], f"{stage} on", before, there
        )
    if whole:
        yield row(place, [train(Training(**usual, moves="all"), progress=False)], "all", before, there)
        held = Training(**usual, moves="all", keep_old=10.0, keep_old_on=f"{place.other}/held_out")
        yield row(place, [train(held, progress=False)], "all, the other domain's descriptors held", before, there)


def row(place: Place, done: Sequence[Trained], what: str, before: Run, there: Run) -> list[str]:
    """A row of trainings that differ in their seed alone."""
    found = [place.judge(one.recipe(image_size=SIDE)) for one in done]
    away = [place.judge_other(one.recipe(image_size=SIDE)) for one in done]
    start, kept = (100 * float(np.mean([one.held_out[place] for one in done])) for place in (0, 1))
    seconds = np.mean([one.record["seconds"]["prepare"] + one.record["seconds"]["train"] for one in done])
    precision = np.mean([one.label_precision for one in done])
    marks = [f"{start:.1f} to {kept:.1f}", f"{100 * precision:.0f} %", signed(away, there), f"{seconds:.0f}"]
    return [str(done[0].training.labels), what, points(found), signed(found, before), *marks]


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--weights", type=Path, required=True)
    given.add_argument("--photographs", type=Path, required=True)
    asked = given.parse_args()
    warnings.filterwarnings("ignore")
    covers, corel = (str(asked.photographs / name / "groundtruth.csv") for name in ("smvs_dvd_covers", "corel1k"))
    places = (Place(covers, covers, "held_out", corel), Place("toytown", "toytown/train", "toytown/train", covers))
    for place in places:
        for title, backbone, pattern, stage in NETWORKS:
            found = sorted(asked.weights.rglob(pattern)) if pattern else [None]
            if not found:
                continue
            names = [Path(one).parent.name if "/groundtruth" in one else one for one in (place.dataset, place.other)]
            print(f"\n### {names[0]}: {title}; source {names[1]}\n")
            print("| " + " | ".join(HEADER) + " |\n|" + " --- |" * len(HEADER))
            weights = None if found[0] is None else str(found[0])
            for one in rows(place, backbone, weights, stage, whole=place is places[0] and backbone == "mobilenet_v2"):
                print("| " + " | ".join(one) + " |", flush=True)


if __name__ == "__main__":
    main()
