"""The panels on re-ranking and the control of a chain, without a browser, on a tiny real session."""

from __future__ import annotations

import pytest
from fake_session import label, write_toytown_form

from cbirlab.datasets import load_dataset
from cbirlab.live import Session
from cbirlab.reranking import Reranking
from cbirlab.store import Store
from cbirlab.widgets import RerankBeside, Workbench
from cbirlab.widgets.parts.chain_control import ChainControl
from cbirlab.widgets.parts.guard import Guard

IMAGES = 36


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Session:
    towers = load_dataset(write_toytown_form(tmp_path_factory.mktemp("towers")), image_size=96)
    made = Session(towers, "toynet", "random", ["gem", "spoc"], store=Store(tmp_path_factory.mktemp("store")))
    made.prepare(progress=False)
    return made


@pytest.fixture
def show(session):
    """Open a panel that draws at once; it is closed after the test."""
    opened = []

    def open_one(kind, **options):
        opened.append(kind(session, pause=0, **options))
        return opened[-1]

    yield open_one
    for panel in opened:
        panel.close()


def test_a_chain_grows_by_a_menu_for_the_next_step_and_shrinks_again():
    chain = ChainControl("rerank", "none", Guard(None))
    assert [label(step.menu) for step in chain.steps] == ["rerank"]
    chain.steps[0].menu.value = "dba"
    assert chain.value == "dba"
    assert [label(step.menu) for step in chain.steps] == ["rerank", "then"]
    chain.steps[1].menu.value = "aqe"
    chain.steps[1].parameters["k"].value = 5
    assert chain.value == "dba > aqe(k=5)"
    assert len(chain.steps) == 3
    chain.steps[0].menu.value = "none"
    assert chain.value == "aqe(k=5)"
    assert [step.value for step in chain.steps] == ["aqe(k=5)", "none"]
    chain.value = Reranking.parse("dba(k=4) > decay(k=7, mutual=False) > alpha_qe")
    assert [step.value for step in chain.steps] == ["dba(k=4)", "decay(k=7, mutual=False)", "alpha_qe", "none"]


def test_a_step_that_cannot_come_there_is_said_and_not_taken():
    said = []
    chain = ChainControl("rerank", "aqe", Guard(said.append))
    chain.steps[1].menu.value = "dba"
    assert "must come before all others" in str(said[0])
    assert chain.value == "aqe"
    assert [step.value for step in chain.steps] == ["aqe", "none"]


def test_galleries_say_what_was_added_and_what_moved(show, session):
    panel = show(RerankBeside, rerank="decay(k=3, mutual=False)")
    before, after = panel.galleries
    assert panel.error.value == ""
    assert list(before.notes[:3]) == ["＋0.75", "＋0.50", "＋0.25"]
    assert all(note[0] in "▲▼=n" for note in after.notes)
    assert "3 images were added to the query" in panel.said.value
    expected = session.rank_query(0, *panel._reranked("decay(k=3, mutual=False)")).images[0]
    assert list(after.ids) == [row for row in expected.tolist() if row in after.ids]
    assert panel.still().startswith(b"\xff\xd8")


def test_a_bar_for_each_query_says_how_many_of_the_added_are_right(show, session):
    panel = show(RerankBeside, rerank="aqe(k=2)")
    assert len(panel.bars.values) == len(session.dataset.queries)
    assert " of 2 added images right" in panel.bars.labels[0]
    assert "mean difference" in panel.summary.value
    panel.bars.chosen = len(panel.bars.values) - 1
    panel.bars.clicks += 1
    assert panel.item == IMAGES + int(panel.frame["query"].iloc[-1])


def test_without_reranking_nothing_moves(show):
    panel = show(RerankBeside, rerank="none")
    assert {*panel.galleries[1].notes} == {"="}
    assert not panel.said.value
    panel.rerank.steps[0].menu.value = "dba"
    assert panel.rerank.value == "dba"
    assert not panel.error.value


def test_a_database_image_as_the_query_is_not_added_to_itself(show):
    panel = show(RerankBeside, rerank="aqe(k=2)")
    panel.pick(4)
    assert 4 not in panel.found.added
    assert len(panel.found.added) == 2


def test_reranking_is_a_control_of_both_sides_of_the_workbench(session):
    bench = Workbench(session, prefetch=False, pause=0)
    bench.compared = True
    for side in bench.a, bench.b:
        assert isinstance(side.search.fields["rerank"], ChainControl)
    bench.a.search.fields["rerank"].steps[0].menu.value = "aqe"
    assert bench.a.run().recipe.rerank == "aqe"
    assert bench.b.run().recipe.rerank == "none"
    assert "rerank='aqe'" in bench.to_python()
    bench.close()
