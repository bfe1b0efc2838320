"""JudgingLab without a browser: menus set the rules, the gallery says what each result counts as, mAP follows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fake_session import write_toytown_form

from cbirlab.datasets import load_dataset
from cbirlab.evaluation import PROTOCOLS, evaluate, paired_difference, query_groups
from cbirlab.index import ranked
from cbirlab.study.choices import Judging
from cbirlab.widgets import JudgingLab
from cbirlab.widgets.panels.judging_lab import counted_as


@pytest.fixture(scope="module")
def towers(tmp_path_factory):
    return load_dataset(write_toytown_form(tmp_path_factory.mktemp("towers")), image_size=96)


@pytest.fixture(scope="module")
def ranking(towers):
    return ranked(np.random.default_rng(2).standard_normal((len(towers.queries), len(towers.images))))


@pytest.fixture
def lab(towers, ranking):
    panel = JudgingLab(ranking, towers, pause=0)
    yield panel
    panel.close()


def test_it_begins_with_the_rules_of_the_protocol(lab, towers, ranking):
    assert lab.judging == lab.usual == Judging.of(PROTOCOLS[towers.protocol])
    found = evaluate(ranking, towers).metrics["map_medium"]
    assert f"mAP {found:.3f} as usual, <strong>{found:.3f}</strong> by these rules: +0.000" in lab.numbers.value
    assert lab.gallery.ids == ranking.images[0, : len(lab.gallery.ids)].tolist()
    assert lab.still()[:2] == b"\xff\xd8"
    assert not lab.error.value


def test_menus_change_the_rules_and_the_numbers(lab, towers, ranking):
    lab.menus["junk"].value = "wrong"
    lab.menus["measure"].value = "finite-sum"
    lab.menus["results"].value = 10
    lab.menus["level"].value = "hard"
    judging = lab.judging
    level = next(one for one in PROTOCOLS["revisited"].levels if one.name == "hard")
    assert judging == Judging(level, "finite-sum", "wrong", results=10)
    before, after = lab.usual.values(ranking, towers), judging.values(ranking, towers)
    change = paired_difference(after, before, groups=query_groups(towers))
    assert f"<strong>{np.nanmean(after):.3f}</strong>" in lab.numbers.value
    assert f"{change.mean:+.3f} [{change.low:+.3f}, {change.high:+.3f}]" in lab.numbers.value
    assert len(lab.gallery.ids) == 10


def test_each_result_says_what_it_counts_as(lab, towers, ranking):
    query = next(place for place, labels in enumerate(towers.labels) if labels.get("junk"))
    lab.choose(query)
    said, rows = lab.gallery.captions, lab.gallery.ids
    junk = set(towers.labels[query]["junk"])
    right = {row for name in ("easy", "hard") for row in towers.labels[query].get(name, ())}
    assert [one == "ignored" for one in said] == [row in junk for row in rows]
    assert [one.startswith("right") for one in said] == [row in right for row in rows]
    everything = counted_as(lab.usual, towers, query, ranking.images[query].tolist())
    terms = [one.removeprefix("right: ").split("/") for one in everything if one.startswith("right")]
    finite = replace(lab.usual, measure="finite-sum").values(ranking, towers)[query]
    assert sum(int(found) / int(counted) for found, counted in terms) / len(right) == pytest.approx(finite)
    lab.menus["junk"].value = "right"
    assert [one.startswith("right") for one in lab.gallery.captions] == [row in right | junk for row in rows]
    assert lab.strip.current == len(towers.images) + query


def test_what_cannot_matter_is_greyed_out(lab, towers, ranking):
    assert lab.menus["own_image"].disabled
    assert not lab.menus["junk"].disabled
    own = replace(towers, queries=tuple(replace(one, index=0) for one in towers.queries))
    assert not JudgingLab(ranking, own, pause=0).menus["own_image"].disabled
    plain = replace(
        towers, protocol="retrieval", labels=tuple({"positive": one.get("easy", ())} for one in towers.labels)
    )
    panel = JudgingLab(ranking, plain, pause=0)
    assert panel.menus["level"].disabled
    assert panel.menus["junk"].disabled


def test_a_click_in_the_strip_asks_another_query(lab, towers):
    lab.strip.picked = len(towers.images) + 2
    lab.strip.clicks += 1
    assert lab.query == 2
    assert lab.gallery.title.startswith("Query 2:")
