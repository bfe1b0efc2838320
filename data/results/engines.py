"""The table of engines: what another engine or precision of the passes changes, in time and in the numbers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from lab import LITE, RENDERED, TOYNET, Lab, difference, level_of, markdown
from lab import Network as Shown

from cbirlab import Dataset, Recipe, load_backbone
from cbirlab.aggregation import Aggregation
from cbirlab.backbones import Backbone
from cbirlab.extract import Network, Request, compute, extract, plan, settle_engine
from cbirlab.pipeline import Run
from cbirlab.store import Store
from cbirlab.whitening import normalise

REFERENCE = ("torch", "float32")
OTHERS = (("openvino", "float32"), ("torch", "bfloat16"), ("openvino", "bfloat16"))
TIMED, TURNS = 64, 4
"""Images that are described to time them, and how often."""


def engines(lab: Lab) -> Iterator[str]:
    """GeM at the default tap without whitening, less torch in float32; time on one thread, decoding included."""
    for dataset in (lab.dataset, *lab.photographs):
        yield f"### {dataset.name}: {len(dataset.images)} images, {len(dataset.queries)} queries"
        rows = []
        for network in (*lab.networks, *lab.others, TOYNET, *(() if LITE in lab.others else (LITE,))):
            rows += _rows(replace(lab, dataset=dataset), network)
        header = ["network", "engine", "times as fast", "cosine: least, median", "first ten alike", "mAP", "less torch"]
        yield markdown(header, rows)


def _rows(lab: Lab, network: Shown) -> Iterator[list[str]]:
    backbone = load_backbone(network.backbone, network.weights)
    before = _run(lab, network, *REFERENCE)
    usual = _ms(lab.dataset, backbone, *REFERENCE)
    yield [network.title, ", ".join(REFERENCE), "1", "", "", f"{level_of(before):.4f}", ""]
    for engine, precision in OTHERS:
        if settle_engine(engine, backbone, lab.dataset, precision=precision, store=lab.store) != engine:
            yield [network.title, f"{engine}, {precision}", *["not here"] * 5]
            continue
        found = _run(lab, network, engine, precision)
        cosines = (_rows_of(lab, backbone, engine, precision) * _rows_of(lab, backbone, *REFERENCE)).sum(axis=1)
        pairs = zip(found.ranking.images[:, :10], before.ranking.images[:, :10], strict=True)
        alike = np.mean([np.array_equal(one, other) for one, other in pairs])
        yield [
            network.title,
            f"{engine}, {precision}",
            f"{usual / _ms(lab.dataset, backbone, engine, precision):.2f}",
            f"{cosines.min():.6f}, {np.median(cosines):.6f}",
            f"{alike:.3f}",
            f"{level_of(found):.4f}",
            difference(found, before),
        ]


def _run(lab: Lab, network: Shown, engine: str, precision: str) -> Run:
    asked = {"backbone": network.backbone, "weights": network.weights, "engine": engine, "precision": precision}
    learned_on = None if lab.dataset.train else RENDERED
    recipe = Recipe(dataset=lab.dataset.name, aggregation="gem", whitening_set=learned_on, **asked)
    return lab.carry_out(recipe)


def _rows_of(lab: Lab, backbone: Backbone, engine: str, precision: str) -> np.ndarray:
    """Descriptors of the images, which the store has by now; those of length zero are left out."""
    given: dict[str, Any] = {"engine": engine, "precision": precision, "parts": ["images"], "store": lab.store}
    tap, spec = backbone.default_tap, Aggregation.parse("gem")
    found = extract(lab.dataset, backbone, taps=[tap], aggregations=[spec], progress=False, **given)
    assert not found.computed_images
    return normalise(found[tap, spec.key]["images"])


def _ms(dataset: Dataset, backbone: Backbone, engine: str, precision: str) -> float:
    """Processor time per image, decoding included, the fastest of some turns after one in which all shapes are seen."""
    few = Dataset(name="some", images=dataset.images[:TIMED], image_size=dataset.image_size)
    given: dict[str, Any] = {"engine": engine, "precision": precision, "parts": ["images"]}
    request = Request(few, backbone, taps=[backbone.default_tap], aggregations=[Aggregation.parse("gem")], **given)
    network, found = Network(backbone, engine=engine, precision=precision), []
    with TemporaryDirectory() as folder:
        shards = plan(request, Store(folder)).shards
        for turn in range(TURNS):
            start = time.process_time()
            for shard in shards:
                compute(shard, network, Store(f"{folder}/{turn}"))
            found.append(time.process_time() - start)
    return 1000 * min(found[1:]) / len(few.images)
