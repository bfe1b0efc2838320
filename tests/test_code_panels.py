"""The panels that look into a code, without a browser, on a tiny real session."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from fake_session import label, write_toytown_form

from cbirlab.compression.library import has_faiss
from cbirlab.datasets import load_dataset
from cbirlab.live import Session
from cbirlab.store import Store
from cbirlab.widgets import CodeBeside, HammingBall, ITQSteps, PQCells
from cbirlab.widgets.panels import code_panel

needs_faiss = pytest.mark.skipif(not has_faiss(), reason="needs faiss: pip install 'cbirlab[scale]'")
START = {HammingBall: "itq(bits=16)", PQCells: "pq(m=16, bits=4)", ITQSteps: None, CodeBeside: "itq(bits=16)"}
PANELS = [pytest.param(kind, marks=needs_faiss if kind is PQCells else ()) for kind in START]
IMAGES = 36


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Session:
    towers = load_dataset(write_toytown_form(tmp_path_factory.mktemp("towers")), image_size=96)
    made = Session(towers, "toynet", "random", ["gem", "spoc"], store=Store(tmp_path_factory.mktemp("store")))
    made.prepare(progress=False)
    return made


@pytest.fixture
def show(session):
    """Open a panel that draws at once, when its code is learned; it is closed after the test."""
    opened = []

    def open_one(kind, **options):
        opened.append(kind(session, **{"pause": 0, "compression": START[kind]} | options))
        assert opened[-1].work.wait()
        return opened[-1]

    yield open_one
    for panel in opened:
        panel.close()


def slider(panel, name):
    """The control of that name that is shown."""
    return next(one for one in panel.code.sliders if label(one) == name and one.layout.display != "none")


def move(panel, name, value):
    slider(panel, name).value = value
    assert panel.work.wait()


@pytest.mark.parametrize("kind", PANELS)
def test_every_panel_opens_without_error_and_has_a_still_picture(kind, show):
    panel = show(kind)
    assert not panel.error.value
    assert "<p" in panel.said.value
    assert panel.still().startswith(b"\xff\xd8")
    assert panel.strip.current == IMAGES


@pytest.mark.parametrize("kind", PANELS)
def test_a_still_picture_waits_for_the_code(kind, session):
    panel = kind(session, compression=START[kind])
    assert panel.still().startswith(b"\xff\xd8")
    assert panel.coded is not None
    panel.close()


def test_squares_show_the_bits_of_the_query_and_of_its_first_results(show, session):
    panel = show(HammingBall)
    images, queries = (np.asarray(rows.values) for rows in session.bench.pair(session.recipe("layer4", "gem")))
    code = panel.coded.code
    panel.pick(IMAGES + 2)
    ranking = panel.coded.rank(queries[2])
    first = ranking.images[0, :8].tolist()
    assert panel.squares.ids == [IMAGES + 2, *first]
    shown = np.frombuffer(panel.squares.bits, np.uint8).reshape(9, 16)
    assert shown.tolist() == (code.outputs(np.concatenate([queries[2:3], images[first]])) >= 0).astype(int).tolist()
    assert [int(text.split()[2]) for text in panel.squares.captions[1:]] == (shown[1:] != shown[0]).sum(1).tolist()
    assert panel.squares.title == "itq(bits=16): 16 bits, 2 bytes; Query 2 first"
    assert len(panel.squares.labels) == len(panel.squares.strength) == 16


def test_rings_count_the_images_and_show_those_of_one(show):
    panel = show(HammingBall)
    assert panel.rings.grounded
    assert sum(panel.rings.values) == IMAGES
    panel.rings.chosen = at = int(np.argmax(panel.rings.values))
    panel.rings.clicks += 1
    ring = next(one for one in panel.found if one.distance == at)
    assert len(ring.rows) > 1
    assert panel.gallery.ids == ring.rows.tolist()
    assert panel.rings.labels[at] == f"Distance {at}: {len(ring.rows)} images share places {ring.first} to {ring.last}"
    assert panel.gallery.title == panel.rings.labels[at]


def test_a_chosen_bit_shows_who_comes_nearer(show):
    panel = show(HammingBall)
    panel.squares.chosen = 5
    panel.squares.clicks += 1
    other = panel.seen.flipped(5)
    assert panel.gallery.ids == other.order[:24].tolist()
    assert panel.gallery.title.startswith(
        f"Bit 5 of the query flipped: {(other.distances < panel.seen.distances).sum()} "
    )
    before = panel.seen.order.tolist()
    moved = before.index(panel.gallery.ids[0])
    assert panel.gallery.notes[0] == ("=" if moved == 0 else f"▲ {moved}")
    assert "Bit 5" in panel.squares.labels[5]
    panel.pick(IMAGES + 1)  # stays with another query
    assert panel.gallery.title.startswith("Bit 5 ")
    panel.choose_ring(panel.found[0].distance)
    assert panel.squares.chosen == -1
    panel.choose_bit(16)
    assert panel.squares.chosen == -1


def test_too_many_bits_are_one_sentence_and_fewer_go_on(show):
    panel = show(HammingBall)
    move(panel, "bits", 64)
    assert "ITQ: bits must be at most 41" in panel.error.value
    assert panel.still().startswith(b"\xff\xd8")
    move(panel, "bits", 8)
    assert not panel.error.value
    assert panel.squares.columns == 8


def test_a_database_image_may_be_the_query_and_is_no_answer(show):
    panel = show(HammingBall)
    panel.pick(4)
    assert 4 not in panel.seen.answers
    assert panel.squares.ids[0] == 4
    assert 4 not in panel.squares.ids[1:]


def test_methods_share_their_sliders_and_only_their_own_are_seen(show):
    panel = show(HammingBall)
    before = slider(panel, "bits")
    panel.code.method.value = "pcah"
    assert panel.work.wait()
    assert slider(panel, "bits") is before
    assert all(label(one) != "seed" for one in panel.code.sliders if one.layout.display != "none")
    assert panel.compression == "pcah(bits=16)"
    panel.code.method.value = "binary"
    assert panel.work.wait()
    assert not panel.error.value
    assert panel.squares.columns == panel.coded.images.shape[1]


@needs_faiss
def test_a_path_leads_through_the_table(show):
    panel = show(PQCells)
    assert panel.image == panel.results.ids[0] == panel.results.current
    panel.follow(panel.results.ids[3])
    assert panel.results.current == panel.results.ids[3]
    distance = np.sqrt(panel._table[np.arange(16), panel._path].sum())
    assert f"along the path of the image: {distance:.3f}" in panel.table.value
    before = panel.plane.value
    panel.group.value = 5
    assert panel.plane.value != before
    assert "Group 5 in the plane" in panel.plane.value
    panel.pick(IMAGES + 3)
    assert panel.image == panel.results.ids[0]


@needs_faiss
def test_m_that_does_not_divide_is_one_sentence(show):
    panel = show(PQCells, start={"whitening": "pca", "dimensions": 32}, compression="pq(m=8, bits=4)")
    panel.group.value = 7
    move(panel, "m", 12)
    assert "PQ: m must divide the 32 dimensions" in panel.error.value
    move(panel, "m", 4)
    assert not panel.error.value
    assert (panel.group.value, panel.group.max) == (3, 3)
    assert "Learned on 42 rows; 39 for each centre would be 624." in panel.said.value
    move(panel, "bits", 8)
    assert "a codebook of 256 centres needs at least as many rows" in panel.error.value


def test_without_faiss_the_panel_says_so(session, monkeypatch):
    monkeypatch.setattr(code_panel, "has_faiss", lambda: False)
    panel = PQCells(session, pause=0)
    assert not panel.error.value
    assert "needs faiss, which is not installed: pip install &#x27;cbirlab[scale]&#x27;" in panel.note.value
    assert panel.still().startswith(b"\xff\xd8")
    panel.close()


def test_itq_goes_down_from_both_starts(show):
    panel = show(ITQSteps)
    assert "turned by 0°" in panel.plane.value
    values = [turn.objective for turn in panel.steps]
    panel.iteration.value = 20
    assert f"Objective at iteration 20: {values[20]:.4f}" in panel.objective.value
    panel.start.value = "random"
    assert panel.seed.layout.display is None
    assert panel.steps[0].angle > 0
    assert not np.allclose([turn.objective for turn in panel.steps], values)
    panel.first.value = 30
    assert "Axes 30 and 31" in panel.plane.value


def test_float_beside_code_says_what_moved_and_rescoring_brings_it_back(show):
    panel = show(CodeBeside, compression="itq(bits=8)")
    full, by_code = panel.galleries
    assert len(full.ids) == len(by_code.ids) == 16
    assert all(note[0] in "▲▼=n" for note in by_code.notes)
    assert "itq(bits=8): 1 bytes" in panel.heads[1].value
    panel.rescored.value = IMAGES
    assert by_code.ids == full.ids
    assert {*by_code.notes} == {"="}
    assert "36 re-scored" in panel.heads[1].value
    panel.code.method.value = "float16"
    assert panel.work.wait()
    assert panel.compression == "float16"
    assert by_code.ids == full.ids


def test_learning_can_be_cancelled(show, monkeypatch):
    panel = show(HammingBall)
    begun, learn = threading.Event(), panel.lens.coded

    def slowly(*given):
        from cbirlab.base.progress import bar

        for _ in bar(range(1000), desc="slow", unit="step", show=False):
            begun.set()
            threading.Event().wait(0.01)
        return learn(*given)

    monkeypatch.setattr(panel.lens, "coded", slowly)
    slider(panel, "bits").value = 24
    assert begun.wait(10)
    assert "Learning itq(bits=24), this once" in panel.work.note.value
    panel.work.cancel()
    assert panel.work.wait(5)
    assert "Cancelled" in panel.note.value
    assert not panel.lens.has(panel.state.setting, panel.compression)


def test_a_start_between_the_stops_gets_a_stop(show):
    panel = show(HammingBall, compression="itq(bits=20)")
    assert slider(panel, "bits").value == 20
    assert panel.compression == "itq(bits=20)"
