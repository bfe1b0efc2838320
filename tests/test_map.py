"""Scatter and map panel without a browser: what is sent, what is refused, which request wins, what is written."""

from __future__ import annotations

import gc
import io
import threading
import weakref

import numpy as np
import pytest
from fake_session import FakeSession, fake_dataset
from PIL import Image

from cbirlab.base.progress import bar
from cbirlab.projection import PROJECTIONS, Projection, project
from cbirlab.projection.layouts import pca
from cbirlab.widgets.parts.colouring import group_points
from cbirlab.widgets.parts.gallery import Gallery, Thumbnails
from cbirlab.widgets.parts.map_panel import MapPanel
from cbirlab.widgets.parts.map_worth import honest_line
from cbirlab.widgets.parts.scatter import Scatter


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return fake_dataset(tmp_path_factory.mktemp("towers"))


@pytest.fixture
def thumbnails(dataset):
    return Thumbnails.of_dataset(dataset)


@pytest.fixture
def vectors(dataset):
    return FakeSession(dataset).vectors("layer4", "gem(p=3)")[0]


@pytest.fixture
def panel(dataset, thumbnails):
    made = MapPanel(FakeSession(dataset), thumbnails, method="pca", pause=0)
    yield made
    made.close()


@pytest.fixture
def slow():
    """A method of two steps, each of which waits for a permit; notes the seeds it was begun and finished with."""

    class Slow:
        begun, finished, permits = [], [], threading.Semaphore(0)

        def layout(self, rows, *, seed, neighbours):
            self.begun.append(seed)
            for _ in bar(range(2), desc="slow", unit="step", show=False):
                assert self.permits.acquire(timeout=20)
            self.finished.append(seed)
            return pca(rows) * (-1, 1) + seed

    method = Slow()
    PROJECTIONS.add("slow", method.layout, title="Slow", seeded=True, needs="numpy")
    yield method
    PROJECTIONS.remove("slow")


def until(condition, seconds=10):
    """Wait for another thread."""
    waited = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        waited.wait(0.02)
    raise AssertionError("waited in vain")


# Scatter


def test_points_and_groups_are_sent_as_numbers(thumbnails):
    points = np.arange(10).reshape(5, 2)
    scatter = Scatter(thumbnails, points, ["b", "a", "", "b", "c"], list("vwxyz"))
    state = scatter.get_state()
    np.testing.assert_array_equal(np.frombuffer(state["points"], "<f4").reshape(-1, 2), points)
    np.testing.assert_array_equal(np.frombuffer(state["groups"], "<i2"), [0, 1, -1, 0, 2])
    assert state["names"] == ["b", "a", "c"]
    assert state["labels"] == list("vwxyz")


def test_another_map_of_the_same_pictures_keeps_groups_and_selection(thumbnails):
    scatter = Scatter(thumbnails, np.eye(2), ["a", "b"], ["x", "y"])
    scatter.selected = (1,)
    serial = scatter.serial
    scatter.show(-np.eye(2), title="turned")
    assert (scatter.names, scatter.labels, scatter.selected, scatter.title) == (["a", "b"], ["x", "y"], (1,), "turned")
    assert scatter.serial == serial + 1
    scatter.show(np.zeros((3, 2)))
    assert (scatter.names, scatter.labels, scatter.selected) == ([], [], (1,))
    np.testing.assert_array_equal(np.frombuffer(scatter.groups, "<i2"), [-1, -1, -1])
    scatter.show(np.zeros((1, 2)))
    assert scatter.selected == ()


def test_a_redrawn_map_is_one_message(thumbnails):
    scatter = Scatter(thumbnails, np.eye(2), ["a", "b"])
    sent = []
    scatter.send_state = lambda key=None: sent.append(set(key))
    scatter.show(-np.eye(2), ["c", "c"], title="turned")
    assert len(sent) == 1
    assert {"points", "groups", "names", "title", "serial"} <= sent[0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((np.ones((2, 3)),), r"points must be \(N, 2\)"),
        ((np.array([[0, np.nan]]),), "finite"),
        ((np.zeros((99, 2)),), "99 points need as many thumbnails, got 42"),
        ((np.zeros((2, 2)), ["a"]), "groups must be one per point, 2, got 1"),
        ((np.zeros((2, 2)), None, ["a"]), "labels must be one per point"),
    ],
)
def test_what_does_not_fit_is_refused(thumbnails, given, message):
    with pytest.raises(ValueError, match=message):
        Scatter(thumbnails, *given)


def test_too_many_groups_are_refused():
    with pytest.raises(ValueError, match="32767 groups at most"):
        group_points([str(number) for number in range(40_000)])


def test_a_lasso_comes_as_a_tuple(thumbnails):
    scatter = Scatter(thumbnails, np.eye(3)[:, :2])
    heard = []
    scatter.observe(lambda change: heard.append(change.new), names="selected")
    scatter.set_state({"selected": [2, 0]})
    scatter.set_state({"selected": []})
    assert heard == [(2, 0), ()]


def test_map_and_gallery_share_the_pictures_of_the_page(thumbnails):
    scatter, gallery = Scatter(thumbnails, np.eye(2)), Gallery(thumbnails)
    assert scatter.store == gallery.store
    assert Scatter(Thumbnails(thumbnails.paths), np.eye(2)).store != gallery.store


def test_a_missing_picture_is_sent_when_the_page_asks(thumbnails):
    scatter = Scatter(thumbnails, np.eye(2))
    sent = []
    scatter.send = lambda content, buffers: sent.append((content, buffers))
    scatter._answer(scatter, {"need": [1, 0, 999]}, [])
    assert sent == [({"thumbnails": [1, 0]}, [thumbnails[1], thumbnails[0]])]
    assert thumbnails.shipped == {0, 1}


def test_the_still_picture_shows_groups_results_and_query(thumbnails):
    points = np.random.default_rng(0).normal(size=(30, 2))
    scatter = Scatter(thumbnails, points, ["a", "b", ""] * 10, title="PCA")
    plain = scatter.still()
    scatter.highlight, scatter.current = [3, 4], 5
    marked = scatter.still()
    sizes = [Image.open(io.BytesIO(jpeg)).size for jpeg in (plain, marked)]
    assert sizes[0] == sizes[1] == (640, 420)
    differs = np.asarray(Image.open(io.BytesIO(plain)), int) - np.asarray(Image.open(io.BytesIO(marked)), int)
    assert (np.abs(differs).max(axis=2) > 60).sum() > 60
    assert scatter._repr_mimebundle_()[0]["image/jpeg"]
    assert Scatter(thumbnails).still() is None
    assert Scatter(thumbnails, np.zeros((4, 2))).still(), "all points in one place"


def test_closed_maps_are_freed(thumbnails):
    gone = []
    for _ in range(4):
        scatter = Scatter(thumbnails, np.eye(2))
        gone.append(weakref.ref(scatter))
        scatter.close()
        del scatter
    gc.collect()
    assert [one() for one in gone] == [None] * 4


# Panel


def test_pca_is_shown_with_its_worth(panel, vectors, dataset):
    panel.show(vectors, "one", highlight=[4, 2], current=40)
    assert panel.wait(30)
    np.testing.assert_array_equal(panel.scatter.positions, project(vectors, "pca").points)
    assert panel.scatter.title == "PCA of 42 descriptors"
    assert (panel.scatter.highlight, panel.scatter.current) == ([4, 2], 40)
    assert panel.scatter.names == [f"tower {scene}" for scene in range(6)]
    assert panel.scatter.labels[36] == "/".join(dataset.queries[0].path.parts[-2:]), "as on tiles"
    assert "trustworthiness 0." in panel.honesty.value
    assert "a picture, not the search" in panel.honesty.value
    assert panel.error.value == ""


def test_who_hears_of_the_selection_may_wait_for_who_shows_another_map(panel, vectors):
    busy, heard = threading.RLock(), threading.Event()

    def hear(_change):
        heard.set()
        with busy:
            pass

    panel.scatter.selected = (len(vectors) + 3,)
    panel.scatter.observe(hear, names="selected")
    with busy:
        panel.show(vectors, "one")
        assert heard.wait(30)
        other = threading.Thread(target=panel.show, args=(-vectors, "two"), daemon=True)
        other.start()
        other.join(30)
        assert not other.is_alive()
    assert panel.wait(30)
    assert panel.scatter.selected == ()


def test_the_same_key_changes_marks_only(panel, vectors):
    panel.show(vectors, "one")
    assert panel.wait(30)
    serial = panel.scatter.serial
    panel.show(vectors, "one", highlight=[7])
    assert panel.wait(30)
    assert (panel.scatter.serial, panel.scatter.highlight, panel.scatter.current) == (serial, [7], -1)
    panel.show(vectors[::-1], "other")
    assert panel.wait(30)
    assert panel.scatter.serial == serial + 1


def test_pca_stands_in_until_the_slow_map_is_ready(panel, slow, vectors):
    panel.method.options = [*panel.method.options, ("Slow", "slow")]
    panel.show(vectors, "one")
    panel.method.value = "slow"
    until(lambda: slow.begun)
    assert panel.scatter.title == "PCA of 42 descriptors"
    assert "Slow is being computed" in panel.progress.value or "slow: 0 %" in panel.progress.value
    assert panel.cancel.layout.display == ""
    slow.permits.release(1)
    until(lambda: "slow: 50 %" in panel.progress.value)
    slow.permits.release(3)  # the rest of it, and another seed for comparison
    assert panel.wait(30)
    assert panel.scatter.title == "Slow of 42 descriptors"
    assert "Another seed keeps 100%" in panel.honesty.value
    assert slow.finished == [0, 1]
    assert (panel.progress.value, panel.cancel.layout.display) == ("", "none")


def test_the_newest_request_wins_and_ends_the_older_ones(panel, slow, vectors):
    panel.method.options = [*panel.method.options, ("Slow", "slow")]
    panel.method.value = "slow"
    panel.show(vectors, "one")
    until(lambda: slow.begun == [0])
    first = panel.tasks.thread
    panel.seed.value = 7
    slow.permits.release(9)
    assert panel.wait(30)
    first.join(10)
    assert not first.is_alive()
    assert 0 not in slow.finished
    assert "seed 7" in panel.honesty.value
    np.testing.assert_allclose(panel.scatter.positions, project(vectors, "slow", seed=7).points)


def test_a_moving_slider_starts_no_slow_map(dataset, thumbnails, slow, vectors):
    panel = MapPanel(FakeSession(dataset), thumbnails, method="slow", pause=30)
    for step in range(12):
        panel.show(vectors + step, str(step))
    until(lambda: panel.scatter.title.startswith("PCA"))
    np.testing.assert_array_equal(panel.scatter.positions, project(vectors + 11, "pca").points)
    assert slow.begun == []
    panel.close()


def test_cancel_ends_the_work_and_keeps_the_map(panel, slow, vectors):
    panel.method.options = [*panel.method.options, ("Slow", "slow")]
    panel.method.value = "slow"
    panel.show(vectors, "one")
    until(lambda: slow.begun)
    panel.cancel.click()
    slow.permits.release(9)
    assert panel.wait(30)
    assert slow.finished == []
    assert panel.scatter.title == "PCA of 42 descriptors"
    assert "stopped" in panel.progress.value
    assert panel.cancel.layout.display == "none"


def test_a_map_in_the_store_needs_no_stand_in(dataset, thumbnails, slow, vectors):
    session = FakeSession(dataset)
    slow.permits.release(4)
    for seed in (0, 1):
        project(vectors, "slow", seed=seed, store=session.store)
    panel = MapPanel(session, thumbnails, method="slow")
    titles = []
    panel.scatter.observe(lambda change: titles.append(change.new), names="title")
    panel.show(vectors, "one")
    assert panel.wait(30)
    assert titles == ["Slow of 42 descriptors"]
    assert slow.begun == [0, 1]
    panel.close()


def test_an_error_is_shown_as_a_sentence_and_the_next_map_clears_it(panel, vectors):
    panel.show(np.full((42, 3), np.nan), "broken")
    assert panel.wait(30)
    assert "row 0 of vectors holds NaN" in panel.error.value
    assert "role='alert'" in panel.error.value
    panel.show(vectors, "sound")
    assert panel.wait(30)
    assert panel.error.value == ""


def test_an_error_of_a_request_that_was_overtaken_is_not_shown(panel, slow, vectors, monkeypatch):
    def broken(rows, *, seed, neighbours):
        slow.begun.append(seed)
        assert slow.permits.acquire(timeout=20)
        raise ValueError("broken")

    monkeypatch.setitem(PROJECTIONS._entries, "slow", broken)
    panel.method.options = [*panel.method.options, ("Slow", "slow")]
    panel.method.value = "slow"
    panel.show(vectors, "one")
    until(lambda: slow.begun)
    first = panel.tasks.thread
    panel.method.value = "pca"
    slow.permits.release(1)
    first.join(10)
    assert panel.wait(30)
    assert panel.error.value == ""


def test_a_flat_folder_has_a_map_without_groups(dataset, thumbnails, vectors):
    from dataclasses import replace

    flat = replace(dataset, labels=(), queries=(), instances=())
    panel = MapPanel(FakeSession(flat), thumbnails, method="pca")
    panel.show(vectors[:36], "one")
    assert panel.wait(30)
    assert panel.scatter.names == []
    panel.close()


def test_what_a_map_is_worth_is_one_line():
    made = Projection(np.zeros((31, 2)), "umap", 3, 15, np.arange(31) != 4)
    line = honest_line(made, {"trustworthiness": 0.931, "neighbour_agreement": 0.414, "k": 10})
    assert line == (
        "UMAP, seed 3: trustworthiness 0.93, 41% of the 10 nearest neighbours on the map are neighbours in the "
        "descriptors; this is a picture, not the search. 1 without a descriptor stand at the lower left."
    )
    few = {"trustworthiness": np.nan, "neighbour_agreement": np.nan, "k": 0}
    assert "too few pictures" in honest_line(project(np.eye(2), "pca"), few)


def test_closing_ends_the_work(dataset, thumbnails, slow, vectors):
    panel = MapPanel(FakeSession(dataset), thumbnails, method="slow", pause=0)
    panel.show(vectors, "one")
    until(lambda: slow.begun)
    panel.close()
    slow.permits.release(9)
    assert panel.wait(30)
    assert slow.finished == []
