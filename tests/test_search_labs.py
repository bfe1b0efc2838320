"""Panels of the search: their numbers are those of runs, none beats the front, the share visited is counted."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from cbirlab import run
from cbirlab.index.approximate import HNSW, IVF
from cbirlab.whitening import normalise
from cbirlab.widgets import DialLab, ParetoExplorer
from cbirlab.widgets.panels import search_labs
from cbirlab.widgets.panels.search_labs import grid_of
from cbirlab.widgets.parts.search_charts import Found, front, pareto_chart

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
LAYER2 = {"tap": "layer2", "whitening": "none"}


def found(size, score, ms=1.0):
    return Found(f"{size} {score}", "bits", size, score, ms, False)


def test_the_front_are_the_points_that_none_beats():
    rng = np.random.default_rng(0)
    points = [found(int(rng.integers(1, 9)), round(float(rng.random()), 1)) for _ in range(60)]
    kept = front(points)

    def beaten(one):
        return any(
            (other.size <= one.size and other.score > one.score) or (other.size < one.size and other.score >= one.score)
            for other in points
        )

    assert {(one.size, one.score) for one in kept} == {(one.size, one.score) for one in points if not beaten(one)}
    assert [one.size for one in kept] == sorted({one.size for one in kept})


def test_the_slower_mark_is_the_larger_one():
    slow, fast, exact = found(8, 0.3, ms=10), found(16, 0.4, ms=0.1), found(64, 0.5)
    marks = pareto_chart([slow, fast], exact, fast, "mAP").marks
    radii = sorted(mark.radius for mark in marks if getattr(mark, "opacity", 1) == 0.85)
    assert radii[0] == pytest.approx(3)
    assert radii[-2:] == pytest.approx([7, 10]), "4 pixels more for each factor of ten, 10 at most"


def test_the_share_visited_is_that_of_the_lists():
    rng = np.random.default_rng(0)
    rows, asked = (normalise(rng.normal(size=(count, 8))).astype(np.float32) for count in (400, 9))
    index = IVF(lists=8, probes=3).fit(rows, train=rows)
    sizes = [index.index_.invlists.list_size(one) for one in range(8)]
    centres = index.index_.quantizer.reconstruct_n(0, 8)
    nearest = np.argsort(((asked[:, None] - centres[None]) ** 2).sum(axis=2), axis=1)[:, :3]
    slow = np.mean([sum(sizes[one] for one in lists) / 400 for lists in nearest])
    assert index.share_visited(asked) == pytest.approx(slow)
    index.probes = 8
    assert index.share_visited(asked) == 1
    graph = HNSW(ef=4).fit(rows)
    few = graph.share_visited(asked)
    graph.ef = 64
    assert 0 < few < graph.share_visited(asked) < 1.2


def test_the_grid_has_what_fits_the_rows_and_no_quantiser_without_faiss(monkeypatch):
    codes = [one["compression"] for one in grid_of(48)]
    assert "itq(bits=32)" in codes
    assert "itq(bits=64)" not in codes
    assert {"pq(m=8, bits=4)", "pq(m=16, bits=4)"} <= {*codes}
    assert "pq(m=32, bits=4)" not in codes, "32 does not divide 48"
    assert [one.get("rescore", 0) for one in grid_of(48)[:2]] == [0, 100]
    monkeypatch.setattr(search_labs, "has_faiss", lambda: False)
    assert not any(one["compression"].startswith("pq") for one in grid_of(48))


def test_the_pareto_explorer_measures_its_grid_and_has_a_ring_for_the_controls(things, session, warm, monkeypatch):
    codes = "float16", "itq(bits=16)", "itq(bits=512)"
    grid = [{"compression": code, **more} for code in codes for more in ({}, {"rescore": 5})]
    monkeypatch.setattr(search_labs, "grid_of", lambda width: grid)
    panel = ParetoExplorer(session, start=LAYER2, pause=0)
    assert panel.work.wait()
    assert panel.error.value == ""
    assert panel.controls[-1].selected_index == 0, "the fold of the search is open here"
    assert len(panel.found) == 7
    assert sum(isinstance(one, str) for one in panel.found.values()) == 2, "more bits than dimensions"
    assert panel.chart.value.startswith("<svg")
    panel.controls[-1].fields["compression"].menu.value = "itq"
    panel.controls[-1].fields["compression"].parameters["bits"].value = 16
    panel.controls[-1].fields["rescore"].value = 5
    assert panel.work.wait()
    recipe = replace(session.recipe(*panel.state.setting))
    again = run(recipe, dataset=things, store=warm, progress=False)
    assert f"2 bytes, mAP {again.metrics['map']:.3f}" in panel.facts.value
    assert "Re-scoring reads full rows of " in panel.facts.value
    point = panel.found[panel.state.setting]
    assert (point.size, point.score, point.rescored) == (again.bytes_per_image, again.metrics["map"], True)
    assert panel.still().startswith(b"\xff\xd8")
    panel.close()


def test_the_dial_lab_follows_the_dial_and_names_the_ceiling(session):
    panel = DialLab(session, start=LAYER2 | {"stages": {"index": "ivf(lists=8, probes=1)"}}, pause=0)
    assert panel.work.wait()
    assert panel.error.value == ""
    stops = [stop for stop, _ in panel._stops()]
    assert stops == [1, 2, 4, 8]
    points = [panel.found[setting] for _, setting in panel._stops()]
    assert [one.recall for one in points] == sorted(one.recall for one in points)
    assert points[-1].recall == points[-1].visited == 1
    exact = session.rank("layer2", "gem", stages=[])
    assert points[-1].score == exact.metrics["map"]
    before = panel.chart.value
    panel.controls[-1].fields["index"].parameters["probes"].value = 4
    assert not panel.work.busy, "every stop is known"
    assert panel.chart.value != before
    assert re.search(r"The ring is ivf\(lists=8, probes=4\): recall@10 [\d.]+", panel.facts.value)
    panel.controls[-1].fields["index"].menu.value = "exact"
    assert "Index exact has no dial: choose ivf or hnsw" in panel.note.value
    assert panel.chart.value == ""
    panel.controls[-1].fields["index"].menu.value = "hnsw"
    assert panel.work.wait()
    assert panel.error.value == ""
    assert "With ef 40, recall is 1.000" in panel.facts.value
    panel.close()


@pytest.mark.parametrize("kind", [ParetoExplorer, DialLab])
def test_without_ground_truth_they_say_so(kind, session, monkeypatch):
    monkeypatch.setattr(session, "dataset", replace(session.dataset, labels=()))
    with pytest.raises(ValueError, match="needs ground truth, and things has none"):
        kind(session)
