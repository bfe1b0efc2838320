"""Codes from near: rings, flips and use of bits, PQ's cells and tables, ITQ's turns; against loops and each other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from fake_session import write_toytown_form

from cbirlab.aggregation import Aggregation
from cbirlab.compression import Compression, learn_code
from cbirlab.compression.library import has_faiss
from cbirlab.compression.quality import bit_balance, bit_correlation, bit_use, unpacked
from cbirlab.datasets import load_dataset
from cbirlab.index import ExactIndex
from cbirlab.live import Session
from cbirlab.store import Store
from cbirlab.study.explain.bits import coded_query
from cbirlab.study.explain.cells import cells_of, distance_table, frame_of, group_view, leading_plane, voronoi
from cbirlab.study.explain.code_lens import CodeLens
from cbirlab.study.explain.rotations import objective, objective_curve, plane_of, quadrants, start_of, turned, turns
from cbirlab.whitening import Whitening, normalise

needs_faiss = pytest.mark.skipif(not has_faiss(), reason="needs faiss: pip install 'cbirlab[scale]'")


def rows(count, width=24, seed=0):
    made = np.random.default_rng(seed).normal(size=(count, width)) * np.arange(1, width + 1) ** -0.5
    return normalise(np.abs(made)).astype(np.float32)


@pytest.fixture(scope="module")
def itq():
    return learn_code("itq(bits=12)", rows(80))


def test_rings_are_those_of_a_loop_and_cover_the_places(itq):
    X, asked = rows(60, seed=1), rows(1, seed=2)[0]
    X[7] = 0
    seen = coded_query(itq, itq.encode(X), asked, empty=~X.any(axis=1), own=3)
    mine, theirs = itq.outputs(asked[None])[0] >= 0, itq.outputs(X) >= 0
    distances = {row: sum(a != b for a, b in zip(mine, theirs[row], strict=True)) for row in range(60)}
    del distances[3], distances[7]
    expected = {}
    for row, distance in sorted(distances.items(), key=lambda one: (one[1], one[0])):
        expected.setdefault(distance, []).append(row)
    rings = seen.rings()
    assert {ring.distance: ring.rows.tolist() for ring in rings} == expected
    places = [place for ring in rings for place in range(ring.first, ring.last + 1)]
    assert places == list(range(1, 59))
    assert [ring.last - ring.first + 1 for ring in rings] == [len(ring.rows) for ring in rings]
    assert max(len(ring.rows) for ring in rings) > 1, "a tie that nobody sees"


def test_places_are_those_of_the_search(itq):
    X, asked = rows(60, seed=1), rows(1, seed=2)
    seen = coded_query(itq, itq.encode(X), asked[0])
    assert seen.order.tolist() == ExactIndex().fit(X, itq).search(asked).images[0].tolist()


def test_a_flipped_bit_moves_each_image_by_one_towards_its_own_value(itq):
    X, asked = rows(60, seed=1), rows(1, seed=2)[0]
    seen = coded_query(itq, itq.encode(X), asked)
    for bit in range(12):
        other = seen.flipped(bit)
        assert (other.bits != seen.bits).nonzero()[0].tolist() == [bit]
        differed = seen.bits_of(np.arange(60))[:, bit] != seen.bits[bit]
        assert (other.distances - seen.distances).tolist() == np.where(differed, -1, 1).tolist()
        assert other.flipped(bit).order.tolist() == seen.order.tolist()
    for bit in (-1, 12):
        with pytest.raises(IndexError, match=rf"bit must be in \[0, 11\], got {bit}"):
            seen.flipped(bit)


def test_strength_is_the_size_of_the_outputs(itq):
    seen = coded_query(itq, itq.encode(rows(5)), rows(1, seed=2)[0])
    outputs = np.abs(itq.outputs(rows(1, seed=2))[0])
    assert np.allclose(seen.strength, outputs / outputs.max())


@pytest.mark.parametrize("text", ["itq(bits=12)", "sh(bits=20)", "lsh(bits=3)"])
def test_the_use_of_bits_has_the_means_of_the_quality_room(text):
    X, code = rows(5000, seed=3), learn_code(text, rows(80))
    use = bit_use(code.encode(X), code.bits_)
    assert np.abs(use.balance).mean() == pytest.approx(bit_balance(code, X))
    assert use.correlation.mean() == pytest.approx(bit_correlation(code, X), rel=1e-6)
    bits = unpacked(code.encode(X), code.bits_)
    one = [abs(np.corrcoef(bits[:, 1], bits[:, other])[0, 1]) for other in range(code.bits_) if other != 1]
    assert use.correlation[1] == pytest.approx(np.mean(one), rel=1e-6)


def test_a_bit_that_never_changes_has_no_correlation():
    codes = np.array([[0b001], [0b011], [0b001], [0b111]], np.uint8)
    use = bit_use(codes, 3)
    assert use.balance.tolist() == [1, 0, -0.5]
    assert np.isnan(use.correlation[0])
    assert use.correlation[1:] == pytest.approx([1 / np.sqrt(3)] * 2)


@needs_faiss
@pytest.mark.filterwarnings("ignore:O?PQ:UserWarning")
@pytest.mark.parametrize("text", ["pq(m=12, bits=4)", "pq(m=4, bits=4)", "opq(m=4, bits=4)", "pq(m=24, bits=4)"])
def test_a_distance_is_the_sum_along_a_path(text):
    code, X, asked = learn_code(text, rows(80)), rows(30, seed=1), rows(1, seed=2)
    codes = code.encode(X)
    table, paths = distance_table(code, asked[0]), cells_of(code, codes)
    decoded, prepared = code.decode(codes), code.prepare(asked)[0]
    for image in range(30):
        total = sum(table[group, paths[image, group]] for group in range(len(table)))
        assert total == pytest.approx(float(np.square(prepared - decoded[image]).sum()), rel=1e-5)


@needs_faiss
@pytest.mark.filterwarnings("ignore:O?PQ:UserWarning")
@pytest.mark.parametrize("text", ["pq(m=12, bits=4)", "pq(m=24, bits=4)"])
def test_a_group_of_two_dimensions_or_one_is_drawn_as_it_is(text):
    code, X = learn_code(text, rows(80)), rows(30, seed=1)
    view = group_view(code, X, code.encode(X), 3)
    assert (view.share, view.agree) == (1, 1)
    for row, cell in zip(view.rows, view.cells, strict=True):
        assert min(range(16), key=lambda one: np.square(view.centres[one] - row).sum()) == cell
        assert inside(view.polygons[cell], row)


@needs_faiss
@pytest.mark.filterwarnings("ignore:O?PQ:UserWarning")
def test_a_wider_group_says_how_far_its_plane_can_be_trusted():
    code, X = learn_code("opq(m=4, bits=4)", rows(80)), rows(200, seed=1)
    view = group_view(code, X, code.encode(X), 1)
    part = code.space(X)[:, 6:12].astype(np.float64)
    values = np.sort(np.linalg.eigvalsh(np.cov(part.T)))[::-1]
    assert view.share == pytest.approx(values[:2].sum() / values.sum())
    drawn = [min(range(16), key=lambda one, row=row: np.square(view.centres[one] - row).sum()) for row in view.rows]
    assert view.agree == np.mean(np.array(drawn) == view.cells)
    assert 0 < view.agree < 1
    asked = rows(1, seed=2)
    assert np.allclose(view.place(code.prepare(asked)[0]), (code.prepare(asked)[0, 6:12] - view.mean) @ view.axes)
    with pytest.raises(IndexError, match=r"group must be in \[0, 3\], got 4"):
        group_view(code, X, code.encode(X), 4)


def inside(polygon, point, slack=1e-9):
    """Whether a point lies in a convex polygon: on the same side of all its edges."""
    ends = np.roll(polygon, -1, axis=0)
    sides = (ends - polygon)[:, 0] * (point - polygon)[:, 1] - (ends - polygon)[:, 1] * (point - polygon)[:, 0]
    return bool((sides >= -slack).all() or (sides <= slack).all())


def area(polygon):
    x, y = polygon.T
    return abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2


def test_cells_fill_the_frame_and_hold_what_is_nearest():
    random = np.random.default_rng(0)
    centres = random.normal(size=(40, 2))
    corners = frame_of(centres)
    polygons = voronoi(centres, corners)
    assert sum(map(area, polygons)) == pytest.approx(float(np.prod(corners[1] - corners[0])))
    for point in corners[0] + random.random((300, 2)) * (corners[1] - corners[0]):
        nearest = min(range(40), key=lambda one: np.square(centres[one] - point).sum())
        assert inside(polygons[nearest], point)


def test_equal_centres_share_one_cell_and_centres_on_a_line_have_strips():
    centres = np.array([[0.0, 0], [1, 0], [1, 0], [3, 0]])
    polygons = voronoi(centres, frame_of(centres))
    assert len(polygons[2]) == 0
    assert [sorted({*polygons[one][:, 0].round(6)}) for one in (1,)] == [[0.5, 2.0]]


def test_the_leading_plane_of_few_dimensions_is_their_own():
    assert leading_plane(rows(10)[:, :2])[0].tolist() == np.eye(2).tolist()
    assert leading_plane(rows(10)[:, :1])[0].tolist() == [[1, 0]]


def test_turns_are_those_of_itq_and_never_rise():
    X = rows(200)
    mean, axes = plane_of(X)
    V = (X - mean) @ axes
    assert np.square(V).mean() == pytest.approx(1)
    for kind, seed in itertools.product(("pcah", "random"), range(3)):
        found = turns(V, start_of(kind, seed), 12)
        values = [turn.objective for turn in found]
        assert all(later <= earlier + 1e-12 for earlier, later in itertools.pairwise(values))
        for turn in found:
            assert np.allclose(turn.rotation @ turn.rotation.T, np.eye(2))
            corners = np.where(V @ turn.rotation >= 0, 1, -1)
            assert turn.objective == pytest.approx(np.square(corners - V @ turn.rotation).mean())
            assert objective(V, turned(np.radians(turn.angle))) == pytest.approx(turn.objective)
    assert np.allclose(turns(V, np.eye(2), 0)[0].rotation, np.eye(2))


def test_the_last_turn_is_what_the_code_learns():
    X = rows(200)
    code = learn_code("itq(bits=2, iterations=9, seed=4)", X)
    mean, axes = plane_of(X)
    last = turns((X - mean) @ axes, start_of("random", 4), 9)[-1]
    mine = (X - mean) @ axes @ last.rotation
    assert np.array_equal(mine >= 0, code.outputs(X) >= 0)


def test_the_curve_repeats_after_a_quarter_turn_and_quadrants_are_two_bits():
    X = rows(50)
    mean, axes = plane_of(X, 4)
    V = (X - mean) @ axes
    curve = objective_curve(V, np.array([0.0, 90, 17, 107]))
    assert curve[0] == pytest.approx(curve[1])
    assert curve[2] == pytest.approx(curve[3])
    assert curve[0] == pytest.approx(objective(V, np.eye(2)))
    assert quadrants(np.array([[-1, -1], [1, -1], [-1, 1], [1, 1]])).tolist() == [0, 1, 2, 3]


@pytest.fixture(scope="module")
def lens(tmp_path_factory):
    towers = load_dataset(write_toytown_form(tmp_path_factory.mktemp("towers")), image_size=96)
    return CodeLens(Session(towers, "toynet", "random", ["gem"], store=Store(tmp_path_factory.mktemp("store"))))


SETTING = ("layer4", Aggregation.parse("gem"), Whitening("none"), None)


def test_a_lens_ranks_as_a_recipe_with_that_code_does(lens):
    wanted = Compression.parse("itq(bits=16)")
    assert not lens.has(SETTING, wanted)
    coded = lens.coded(SETTING, wanted)
    assert lens.has(SETTING, wanted)
    assert lens.coded(SETTING, wanted) is coded
    session = lens.session
    stages = (("compression", "itq(bits=16)"), ("rescore", 7))
    for rescored, chosen in ((0, stages[:1]), (7, stages)):
        ranking = session.rank(*SETTING, chosen).ranking
        asked = coded.row(len(session.dataset.images) + 2)
        assert coded.rank(asked, rescored).images[0].tolist() == ranking.images[2].tolist()
    assert len(coded.train) == len(session.dataset.train)
    assert np.array_equal(coded.row(3), coded.images[3])


def test_a_lens_says_what_is_impossible(lens):
    with pytest.raises(ValueError, match="bits must be at most"):
        lens.coded(SETTING, Compression.parse("itq(bits=64)"))
    assert not lens.has(SETTING, Compression.parse("itq(bits=64)"))
    coded = lens.coded(SETTING, Compression.parse("itq(bits=16)"))
    coded.images[5] = 0
    with pytest.raises(ValueError, match="no descriptor"):
        coded.row(5)
