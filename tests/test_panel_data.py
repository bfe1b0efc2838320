"""Panels on data that gives little: one picture, no ground truth, a class of one, no right answer, unreadable files."""

from __future__ import annotations

import re
from html import unescape

import numpy as np
import pytest
from conftest import draw

from cbirlab.datasets import load_dataset
from cbirlab.live import Session
from cbirlab.store import Store
from cbirlab.widgets import Explorer, MatchView, Workbench

FOLDERS = {
    "one picture": {"": 1},
    "two pictures": {"": 2},
    "no sub-folder": {"": 7},
    "one class of two": {"a": 2},
    "a class of one": {"a": 1, "b": 4, "c": 3},
    "no right answer": {"a": 1, "b": 1, "c": 1},
    "unreadable": {"a": 4, "b": 4, "": 2},
}


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(params=FOLDERS)
def session(request, tmp_path, store) -> Session:
    """A session of a folder of its kind; of the unreadable ones the header is whole."""
    number = 0
    for name, count in FOLDERS[request.param].items():
        for view in range(count):
            path = tmp_path / "data" / name / f"{name}{view}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            draw(number, view).save(path)
        number += 1
    if request.param == "unreadable":
        for path in np.random.default_rng(0).permutation(sorted((tmp_path / "data").rglob("*.png")))[:3]:
            path.write_bytes(path.read_bytes()[:60])
    dataset = load_dataset(tmp_path / "data", image_size=64)
    return Session(dataset, "toynet", "random", ["gem", "mac"], store=store, whitening_set="database")


def words(html: str) -> str:
    return re.sub(r"<[^>]*>", " ", html)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_workbench_says_what_there_is_and_nothing_fails(session, tmp_path):
    bench = Workbench(session, backbones={"toynet": "random"}, start={"whitening": "none"}, prefetch=False, pause=0)
    dataset = session.dataset
    bench.map.method.value = "pca"
    draw(5, 1).save(tmp_path / "own.png")
    assert bench.question.unreadable(session) == "", "the first picture that is read is asked for"
    steps = [
        lambda: None,
        lambda: setattr(bench, "compared", True),
        lambda: setattr(bench.b.state, "aggregation", "mac"),
        lambda: bench.pick(len(dataset.images) - 1),
        bench.comparison.pin,
        *([lambda: bench.pick(len(dataset.images))] if dataset.queries else []),
        lambda: setattr(bench.question, "box", (2, 2, 30, 30)) if not bench.question.unreadable(session) else None,
        lambda: bench.ask_own("own.png", (tmp_path / "own.png").read_bytes()),
        lambda: bench.map.scatter.set_trait("selected", (0,)),
    ]
    for step in steps:
        step()
        assert bench.work.wait()
        assert bench.map.wait()
        texts = (bench.error, bench.map.error, bench.metrics, bench.note, bench.tests, bench.a.heading)
        said = " ".join(words(part.value) for part in (*texts, bench.comparison.table))
        reason = bench.question.unreadable(session)
        assert reason in unescape(bench.note.value)
        assert "Error" not in unescape(said).replace(reason, "")
        assert not re.search(r"\bnan\b|\binf\b", said), said
        assert bench.still().startswith(b"\xff\xd8")
    if dataset.labels and not any(one["positive"] for one in dataset.labels):
        assert "No query has a right answer" in bench.metrics.value
    bench.close()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", [Explorer, MatchView])
def test_other_panels_show_something_or_say_why_not(kind, session):
    quick = {"prefetch": False, "pause": 0} if kind is Explorer else {"pause": 0}
    panel = kind(session, start={"whitening": "none"}, **quick)
    alone = kind is MatchView and len(session.dataset.images) == 1
    assert ("holds no other image to compare this one with" in panel.error.value) == alone
    assert alone or panel.error.value == ""
    panel.close()


def test_a_backbone_that_cannot_be_had_and_a_store_that_cannot_be_written_are_said(things, store, monkeypatch):
    session = Session(things, "toynet", "random", ["gem", "mac"], store=store)
    bench = Workbench(session, backbones={"toynet": "random", "resnet50": None}, prefetch=False, pause=0)
    bench.map.method.value = "pca"
    before = bench.a.key

    def refuse(*_given, **_named):
        raise OSError(28, "No space left on device", "descriptors")

    monkeypatch.setattr(session, "ready", lambda *setting: setting[1] != "mac")
    monkeypatch.setattr(session, "make_ready", refuse)
    bench.state.aggregation = "mac"
    assert bench.work.wait()
    assert "role='alert'" in bench.error.value
    assert "No space left on device" in bench.error.value
    bench.state.aggregation = "gem"
    assert (bench.error.value, bench.a.key) == ("", before)
    monkeypatch.setattr(bench.sessions, "open", lambda _name: Session(things, "no_such_backbone"))
    bench.a.backbone.value = "resnet50"
    assert bench.work.wait()
    assert "Unknown backbone &#x27;no_such_backbone&#x27;" in bench.error.value
    assert bench.a.key == before
    bench.close()
