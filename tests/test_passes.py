"""Feedforward schemes: what the boxes cover, how many there are, and patch vectors combined as loops do it."""

from __future__ import annotations

import sys
from typing import Annotated

import numpy as np
import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from sklearn.cluster import KMeans, ward_tree
from sklearn.feature_extraction.image import grid_to_graph

from cbirlab.backbones.weights import WeightsError
from cbirlab.base.params import Choice, parameters
from cbirlab.base.registry import UnknownName
from cbirlab.passes import (
    PASSES,
    Passes,
    View,
    combine,
    combine_patches,
    learn_codebook,
    match,
    regions,
    rpn,
    scheme,
)
from cbirlab.passes.base import CODEBOOK, WITH_CODEBOOK

SIZED = [name for name in PASSES if not Passes(name).fact("pixels")]
MULTI = [name for name in PASSES if name != "single"]
ODD = [(1, 1), (1, 500), (500, 1), (2, 3), (3, 2), (31, 400)]


def never() -> np.ndarray:
    raise AssertionError("this scheme must not read the pixels")


def sized(height: int, width: int) -> View:
    return View(height, width, never)


def seen(picture: Image.Image) -> View:
    return View(picture.height, picture.width, lambda: np.asarray(picture))


def noise(height: int, width: int) -> View:
    return seen(Image.fromarray(np.random.default_rng(5).integers(0, 256, (height, width, 3), dtype=np.uint8)))


def covered(view: View, boxes) -> np.ndarray:
    """How many boxes each pixel is in."""
    counts = np.zeros((view.height, view.width), int)
    for x0, y0, x1, y1 in boxes:
        counts[int(y0) : int(y1), int(x0) : int(x1)] += 1
    return counts


def check_boxes(view: View, boxes) -> None:
    assert boxes
    assert len(set(boxes)) == len(boxes)
    for box in boxes:
        assert all(isinstance(edge, float) and edge == int(edge) for edge in box)
        x0, y0, x1, y1 = box
        assert 0 <= x0 <= x1 - 1 <= view.width - 1
        assert 0 <= y0 <= y1 - 1 <= view.height - 1


@st.composite
def any_passes(draw, name):
    """The scheme `name` with any parameters."""
    domains = {key: one.domain for key, one in parameters(PASSES[name]).items()}
    chosen = {}
    for key, domain in domains.items():
        if isinstance(domain, Choice):
            chosen[key] = draw(st.sampled_from(domain.options))
        else:
            chosen[key] = draw((st.integers if domain.integer else st.floats)(domain.low, domain.high))
    if chosen.get("combine") not in WITH_CODEBOOK:
        chosen = {key: value for key, value in chosen.items() if key not in CODEBOOK}
    return Passes(name, chosen)


@pytest.mark.parametrize("name", SIZED)
@given(data=st.data(), height=st.integers(1, 400), width=st.integers(1, 400))
@settings(deadline=None, max_examples=40)
def test_patches_cover_the_view_and_are_whole_pixels_of_it(name, data, height, width):
    passes, view = data.draw(any_passes(name)), sized(height, width)
    boxes = passes.boxes(view)
    check_boxes(view, boxes)
    assert covered(view, boxes).min() >= 1
    assert passes.boxes(view) == boxes


@pytest.mark.parametrize("size", ODD)
@pytest.mark.parametrize("name", SIZED)
def test_odd_sizes(name, size):
    view = sized(*size)
    boxes = Passes(name).boxes(view)
    check_boxes(view, boxes)
    assert covered(view, boxes).min() >= 1
    if size == (1, 1):
        assert boxes == [(0, 0, 1, 1)]


def test_single_is_the_whole_view_once():
    assert Passes("single").boxes(sized(7, 9)) == [(0, 0, 9, 7)]
    assert [name for name in PASSES if Passes(name).single] == ["single"]


@given(
    height=st.integers(1, 400),
    width=st.integers(1, 400),
    rows=st.integers(1, 8),
    columns=st.integers(1, 8),
)
@settings(deadline=None)
def test_tiles_of_a_grid_share_no_pixel(height, width, rows, columns):
    view = sized(height, width)
    boxes = Passes("grid", {"rows": rows, "columns": columns, "whole": False}).boxes(view)
    if height >= rows and width >= columns:
        assert len(boxes) == rows * columns
        assert (covered(view, boxes) == 1).all()
        sides = np.array([(x1 - x0, y1 - y0) for x0, y0, x1, y1 in boxes])
        assert (np.ptp(sides, axis=0) <= 1).all()
    assert boxes == sorted(boxes, key=lambda box: (box[1], box[0]))


def test_a_grid_by_hand():
    boxes = Passes("grid", {"rows": 2, "columns": 3, "whole": True}).boxes(sized(5, 10))
    assert boxes == [
        (0, 0, 10, 5),
        *[(0, 0, 3, 3), (3, 0, 7, 3), (7, 0, 10, 3)],
        *[(0, 3, 3, 5), (3, 3, 7, 5), (7, 3, 10, 5)],
    ]
    assert Passes("grid", {"rows": 1, "columns": 1}).boxes(sized(5, 10)) == [(0, 0, 10, 5)]


@given(height=st.integers(8, 400), width=st.integers(8, 400), levels=st.integers(1, 4))
@settings(deadline=None)
def test_the_pyramid_is_grids_of_powers_of_two(height, width, levels):
    boxes = Passes("spm", {"levels": levels}).boxes(sized(height, width))
    assert len(boxes) == sum(4**level for level in range(levels))
    assert set(boxes) == set().union(*(reference.tiles(height, width, 2**level) for level in range(levels)))
    assert boxes[0] == (0, 0, width, height)


@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.5, 0.8])
@pytest.mark.parametrize("levels", [1, 2, 3, 4, 5])
def test_cnnaug_has_i_squared_patches_of_one_size_with_even_centres(levels, overlap):
    view = sized(4000, 3000)
    boxes = np.array(Passes("cnnaug", {"levels": levels, "overlap": overlap}).boxes(view))
    assert len(boxes) == sum(side**2 for side in range(1, levels + 1))
    for side in range(1, levels + 1):
        level, boxes = boxes[: side**2], boxes[side**2 :]
        widths = level[:, 2] - level[:, 0]
        assert np.ptp(widths) <= 1
        lefts = np.unique(level[:, 0])
        assert len(lefts) == side
        if side > 1:
            assert np.ptp(np.diff(lefts)) <= 1.01
            assert 1 - np.diff(lefts)[0] / widths[0] == pytest.approx(overlap, abs=0.002)


def test_cnnaug_without_overlap_is_plain_grids():
    boxes = Passes("cnnaug", {"levels": 3, "overlap": 0.0}).boxes(sized(40, 61))
    assert set(boxes) == set().union(*(reference.tiles(40, 61, parts) for parts in (1, 2, 3)))


def test_windows_by_hand():
    boxes = Passes("windows", {"size": 0.5, "step": 0.5}).boxes(sized(8, 10))
    assert boxes == [(left, top, left + 4, top + 4) for top in (0, 2, 4) for left in (0, 2, 4, 6)]
    # 2 does not divide 7: four steps of 7 / 4 take its place, and the last window ends at the border.
    lefts = [box[0] for box in Passes("windows", {"size": 1.0, "step": 0.5}).boxes(sized(4, 11))]
    assert lefts == [0, 2, 4, 5, 7]


@given(
    height=st.integers(20, 400),
    width=st.integers(20, 400),
    size=st.floats(0.2, 1.0),
    step=st.floats(0.2, 1.0),
)
@settings(deadline=None)
def test_windows_are_square_and_no_further_apart_than_asked(height, width, size, step):
    boxes = np.array(Passes("windows", {"size": size, "step": step}).boxes(sized(height, width)))
    side = size * min(height, width)
    assert np.abs((boxes[:, 2:] - boxes[:, :2]) - side).max() <= 1
    for edge in (boxes[:, 0], boxes[:, 1]):
        starts = np.unique(edge)
        assert starts[0] == 0
        assert len(starts) == 1 or np.diff(starts).max() <= max(1, step * side) + 1


@pytest.mark.parametrize("name", MULTI)
def test_multi_pass_schemes_share_their_last_four_parameters(name):
    declared = parameters(PASSES[name])
    assert list(declared)[-4:] == ["combine", "magnify", "words", "local_dims"]
    assert {one: declared[one].default for one in CODEBOOK} == CODEBOOK
    passes = Passes(name, {"combine": "vlad", "magnify": 3.5})
    assert (passes.combine, passes.magnify) == ("vlad", 3.5)
    assert Passes.parse(passes.key) == passes


@pytest.mark.parametrize("name", MULTI)
@pytest.mark.parametrize("combine", ["max", "sum", "vlad", "bow", "match"])
def test_the_text_of_a_scheme_holds_its_codebook_only_where_it_is_not_the_default(name, combine):
    """Recipes that were written before schemes had a codebook to set keep their text, and what is stored under it."""
    plain = Passes(name, {"combine": combine})
    assert plain.key.endswith(f"combine={combine!r}, magnify=2)")
    assert plain.codebook == (CODEBOOK if combine in ("vlad", "bow") else {})
    assert Passes(name, {"combine": combine, **CODEBOOK}) == plain
    if plain.codebook:
        asked = Passes(name, {"combine": combine, "words": 100, "local_dims": 500})
        assert asked.key.endswith(f"combine={combine!r}, magnify=2, words=100, local_dims=500)")
        assert asked.codebook == {"words": 100, "local_dims": 500}
        assert Passes.parse(asked.key) == asked
    else:
        with pytest.raises(ValueError, match=rf"{name}: words belong.* got combine={combine!r}; leave out words"):
            Passes(name, {"combine": combine, "words": 100})


def test_a_scheme_of_ones_own_without_parameters_of_the_codebook_has_the_default_one():
    @scheme("whole_again", title="Whole again")
    def whole_again(view, *, combine: Annotated[str, Choice(("max", "bow"))] = "bow"):
        return [view.whole]

    try:
        assert Passes("whole_again").key == "whole_again(combine='bow')"
        assert Passes("whole_again").codebook == CODEBOOK
    finally:
        PASSES.remove("whole_again")


def test_single_has_no_parameters():
    assert (Passes("single").key, Passes("single").combine, Passes("single").magnify) == ("single", "max", 1.0)


def test_only_proposals_look():
    assert [name for name in PASSES if Passes(name).fact("pixels")] == ["proposals"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("grid(rows=0)", r"grid: rows must be a whole number in \[1, 8\], got 0"),
        ("grid(rows=2.5)", r"grid: rows must be a whole number in \[1, 8\], got 2.5"),
        ("spm(combine='maximum')", r"spm: combine must be one of 'max', 'sum', 'vlad', 'bow', 'match', got 'maximum'"),
        ("windows(magnify=5)", r"windows: magnify must be in \[1, 4\], got 5"),
        ("proposals(method='selective')", r"proposals: method must be one of 'ward', 'mser', 'rpn'"),
    ],
)
def test_parameters_out_of_range(text, message):
    with pytest.raises(ValueError, match=message):
        Passes.parse(text)


def test_unknown_names_and_parameters():
    with pytest.raises(UnknownName, match=r"Unknown feedforward scheme 'gird'\. Did you mean 'grid'"):
        Passes("gird")
    with pytest.raises(TypeError, match="single: unknown parameter 'combine'; parameters: none"):
        Passes("single", {"combine": "max"})
    with pytest.raises(ValueError, match="View: height and width must be at least 1 pixel, got 0 x 3"):
        sized(0, 3)


@pytest.fixture
def own():
    """Registers a scheme that returns given boxes."""

    def register(boxes):
        scheme("own", title="My own")(lambda view: boxes)
        return Passes("own")

    yield register
    PASSES.remove("own")


def test_a_scheme_of_ones_own_is_clipped_rounded_and_freed_of_repetitions(own):
    passes = own([(-5, -5, 4.4, 3.5), (0, 0, 4, 4), (8.7, 2, 8.7, 2), (9.9, 0, 20, 20)])
    assert passes.boxes(sized(5, 10)) == [(0, 0, 4, 4), (9, 2, 10, 3), (9, 0, 10, 5)]


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([], "own: a scheme must give at least one box, got none"),
        ([(10, 0, 12, 5)], r"own: a box must be \(x0, y0, x1, y1\) in the view of 10 x 5 pixels, got \(10, 0"),
        ([(-3, 0, 0, 5)], "own: a box must be"),
        ([(3, 0, 2, 5)], "own: a box must be"),
        ([(0, 0, float("nan"), 5)], "own: a box must be"),
    ],
)
def test_boxes_that_are_refused(own, boxes, message):
    passes = own(boxes)
    with pytest.raises(ValueError, match=message):
        passes.boxes(sized(5, 10))


def scene() -> tuple[Image.Image, tuple[float, float, float, float]]:
    """A red house with a roof and a door on a noisy meadow below a sky, and the box around it."""
    rng = np.random.default_rng(1)
    pixels = np.empty((150, 200, 3))
    pixels[:90], pixels[90:] = (150, 190, 230), (90, 140, 70)
    picture = Image.fromarray((pixels + rng.normal(0, 6, pixels.shape)).clip(0, 255).astype(np.uint8))
    canvas = ImageDraw.Draw(picture)
    canvas.rectangle((110, 60, 169, 119), fill=(190, 60, 50))
    canvas.polygon([(110, 60), (140, 40), (169, 60)], fill=(150, 40, 40))
    canvas.rectangle((130, 95, 145, 119), fill=(120, 30, 30))
    return picture, (110, 40, 170, 120)


@pytest.mark.parametrize("method", ["ward", "mser"])
def test_proposals_find_the_object(method):
    if method == "mser":
        pytest.importorskip("cv2")
    picture, truth = scene()
    boxes = Passes("proposals", {"method": method}).boxes(seen(picture))
    check_boxes(seen(picture), boxes)
    assert boxes[0] == (0, 0, 200, 150)
    overlaps = regions.intersection_over_union(np.array(boxes), np.array(truth))
    assert overlaps.max() > 0.8
    blank = Image.new("RGB", picture.size, "white")
    elsewhere = Passes("proposals", {"method": method}).boxes(seen(blank))
    assert regions.intersection_over_union(np.array(elsewhere), np.array(truth)).max() < 0.8


@pytest.mark.parametrize("method", ["ward", "mser"])
@pytest.mark.parametrize("size", [*ODD, (90, 700)])
def test_proposals_of_odd_sizes(method, size):
    if method == "mser":
        pytest.importorskip("cv2")
    view = noise(*size)
    passes = Passes("proposals", {"method": method, "most": 7})
    boxes = passes.boxes(view)
    check_boxes(view, boxes)
    assert len(boxes) <= 7
    assert boxes[0] == view.whole
    assert passes.boxes(view) == boxes


@pytest.mark.parametrize("most", [2, 5, 50])
def test_proposals_differ_and_fewer_are_the_first_of_more(most):
    view = seen(scene()[0])
    boxes = regions.propose(view, most, "ward")
    assert boxes == regions.propose(view, 200, "ward")[:most]
    for place, box in enumerate(boxes[1:], start=1):
        assert regions.intersection_over_union(np.array(boxes[:place]), np.array(box)).max() <= regions.SAME
        assert (box[2] - box[0]) * (box[3] - box[1]) >= regions.SMALLEST * view.height * view.width


def test_ward_boxes_are_those_of_the_pixels_in_each_merge():
    pixels = noise(5, 6).read()
    members = [{pixel} for pixel in range(30)]
    for left, right in ward_tree(pixels.reshape(-1, 3).astype(float), connectivity=grid_to_graph(5, 6))[0]:
        members.append(members[left] | members[right])
    expected = []
    for pixel_set in reversed(members[30:]):
        rows, columns = [p // 6 for p in pixel_set], [p % 6 for p in pixel_set]
        expected.append((min(columns), min(rows), max(columns) + 1, max(rows) + 1))
    assert [tuple(box) for box in regions.ward(pixels)] == expected


def test_intersection_over_union_by_hand():
    boxes = np.array([[0, 0, 4, 4], [2, 2, 6, 6], [4, 0, 8, 4], [1, 1, 2, 3]], float)
    assert regions.intersection_over_union(boxes, boxes[0]) == pytest.approx([1, 4 / 28, 0, 2 / 16])


def test_pixels_of_another_size_are_refused():
    view = View(10, 12, lambda: np.zeros((12, 10, 3), np.uint8))
    with pytest.raises(
        ValueError, match=r"view.read\(\) must give uint8 pixels \(10, 12, 3\), got uint8 \(12, 10, 3\)"
    ):
        Passes("proposals").boxes(view)


def test_mser_without_opencv(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ImportError, match="pip install opencv-python-headless"):
        Passes("proposals", {"method": "mser"}).boxes(noise(9, 9))


def test_rpn_without_weights(monkeypatch, tmp_path):
    passes = Passes("proposals", {"method": "rpn"})
    monkeypatch.delenv("CBIRLAB_WEIGHTS", raising=False)
    with pytest.raises(WeightsError, match=r"now not set.*fasterrcnn_resnet50_fpn; without one take method='ward'"):
        passes.boxes(noise(9, 9))
    monkeypatch.setenv("CBIRLAB_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match="in the folder that CBIRLAB_WEIGHTS names"):
        passes.boxes(noise(9, 9))


def test_rpn_files(monkeypatch, tmp_path):
    monkeypatch.setenv("CBIRLAB_WEIGHTS", str(tmp_path))
    second = tmp_path / "fasterrcnn_resnet50_fpn_v2_coco-0.pth"
    torch.save({"head.weight": torch.zeros(1)}, second)
    assert rpn.weights_file() == ("fasterrcnn_resnet50_fpn_v2", second)
    with pytest.raises(WeightsError, match=r"must have tensors named backbone\.\*, got none"):
        Passes("proposals", {"method": "rpn"}).boxes(noise(9, 9))
    first = tmp_path / "deeper" / "fasterrcnn_mobilenet_v3_large_fpn.safetensors"
    first.parent.mkdir()
    first.touch()
    assert rpn.weights_file() == ("fasterrcnn_mobilenet_v3_large_fpn", first)
    (tmp_path / "fasterrcnn_mobilenet_v3_large_fpn-1.pt").touch()
    with pytest.raises(WeightsError, match="must hold one file of fasterrcnn_mobilenet_v3_large_fpn, got"):
        rpn.weights_file()


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    """The smallest detector with random numbers, its weights in a file without the heads that name objects."""
    from torchvision.models import get_model

    torch.manual_seed(0)
    model = get_model(rpn.DETECTORS[0], weights=None, weights_backbone=None).eval()
    path = tmp_path_factory.mktemp("detector") / f"{rpn.DETECTORS[0]}-0.pth"
    torch.save({key: value for key, value in model.state_dict().items() if "roi_heads" not in key}, path)
    return model, path


def test_rpn_boxes_are_torchvisions(monkeypatch, detector):
    """The whole model's own path from an image to proposals, caught on their way into the heads."""
    model, path = detector
    monkeypatch.setenv("CBIRLAB_WEIGHTS", str(path.parent))
    view = noise(90, 130)
    caught = []
    model.rpn.register_forward_hook(lambda module, given, result: caught.append((given[0].image_sizes, result[0][0])))
    with torch.inference_mode():
        model([torch.tensor(view.read()).permute(2, 0, 1) / 255])
    [([(seen_height, seen_width)], proposals)] = caught
    expected = proposals.numpy() * np.array([130 / seen_width, 90 / seen_height] * 2)
    assert len(expected)
    np.testing.assert_allclose(rpn.score(view.read()), expected, rtol=1e-4, atol=1e-3)
    check_boxes(view, Passes("proposals", {"method": "rpn", "most": 5}).boxes(view))


def test_rpn_weights_that_lack_a_tensor(monkeypatch, detector, tmp_path):
    state = torch.load(detector[1], weights_only=True)
    del state["rpn.head.cls_logits.bias"]
    torch.save(state, tmp_path / detector[1].name)
    monkeypatch.setenv("CBIRLAB_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match=r"1 tensors .* are missing, one is head.cls_logits.bias"):
        Passes("proposals", {"method": "rpn"}).boxes(noise(9, 9))


@st.composite
def patch_vectors(draw, width: int):
    """Vectors (n, D) of any sign and scale, some of them zero, and their counts, some of them zero."""
    counts = draw(st.lists(st.integers(0, 5), min_size=1, max_size=6))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    vectors = rng.normal(size=(sum(counts), width)) * 10.0 ** rng.integers(-6, 7, (sum(counts), 1))
    vectors[rng.random(len(vectors)) < draw(st.sampled_from([0.0, 0.3, 1.0]))] = 0
    return vectors.astype(draw(st.sampled_from([np.float32, np.float64]))), np.array(counts)


@pytest.fixture(params=[7, combine.BLOCK_ELEMENTS], ids=["tiny blocks", "one block"])
def block(request, monkeypatch):
    """Results must not depend on where blocks end."""
    monkeypatch.setattr(combine, "BLOCK_ELEMENTS", request.param)


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("how", ["max", "sum"])
def test_combined_is_the_loop(how):
    @given(given_vectors=patch_vectors(3))
    @settings(deadline=None, max_examples=60)
    def check(given_vectors):
        vectors, counts = given_vectors
        found = combine_patches(how, vectors, counts)
        assert found.dtype == vectors.dtype
        np.testing.assert_allclose(found, reference.combined_patches(how, vectors, counts), rtol=1e-5, atol=1e-6)

    check()


@settings(deadline=None, max_examples=60)
@given(queries=patch_vectors(3), images=patch_vectors(3))
def check_match(queries, images):
    scores = match(*queries, *images)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, reference.patch_matching(*queries, *images), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("elements", [7, 40, combine.BLOCK_ELEMENTS])
def test_match_is_the_loop(monkeypatch, elements):
    monkeypatch.setattr(combine, "BLOCK_ELEMENTS", elements)
    check_match()


def test_match_of_an_image_with_itself_is_zero_whatever_its_scale():
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(12, 256)).astype(np.float32)
    counts = np.array([4, 5, 3])
    scores = match(vectors, counts, 3 * vectors, counts)
    assert np.abs(np.diag(scores)).max() < 1e-6
    assert (scores.argmax(axis=1) == [0, 1, 2]).all()


def test_match_is_not_symmetric_and_an_image_without_patches_is_last():
    one, other = np.array([1.0, 0]), np.array([0, 1.0])
    queries, images = np.stack([one, one, other]), np.stack([one, other, -one, 0 * one])
    scores = match(queries, np.array([1, 2, 0]), images, np.array([2, 1, 1, 0]))
    none = -np.inf
    assert scores == pytest.approx(np.array([[0, -2, none, none], [0, -1 - 2**-0.5, none, none], [none] * 4]))


def test_match_reads_a_memory_map(tmp_path):
    rng = np.random.default_rng(3)
    vectors = np.memmap(tmp_path / "rows", np.float32, "w+", shape=(30, 8))
    vectors[:] = rng.normal(size=(30, 8))
    counts = np.full(10, 3)
    assert (match(vectors, counts, vectors, counts) == match(*[np.array(vectors), counts] * 2)).all()


def test_half_precision_neither_overflows_nor_loses_digits():
    vectors = np.full((3, 64), 6e4, np.float16)
    found = combine_patches("sum", vectors, np.array([2, 1]))
    assert found.dtype == np.float32
    assert found == pytest.approx(np.repeat([[0.25], [0.125]], 64, axis=1))


@pytest.fixture
def clusters():
    """Patches around eight directions in 24 dimensions, and counts of very different size."""
    rng = np.random.default_rng(4)
    directions = rng.normal(size=(8, 24))
    counts = np.array([1, 40, 0, 7, 2, 30])
    vectors = directions[rng.integers(0, 8, counts.sum())] + 0.2 * rng.normal(size=(counts.sum(), 24))
    vectors[3] = 0
    return vectors.astype(np.float32), counts


@pytest.mark.usefixtures("block")
def test_vlad_over_patches_is_the_loop(clusters):
    vectors, counts = clusters
    state = learn_codebook(vectors, words=4, local_dims=24)
    found = combine_patches("vlad", vectors, counts, state)
    patches = reference.unit_patches(vectors, counts)
    expected = [reference.vlad_of_patches(one, state["centres_"]) for one in patches]
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert (found[2] == 0).all()


@pytest.mark.usefixtures("block")
def test_words_over_patches_are_the_loop_and_their_centres_those_of_scikit_learn(clusters):
    vectors, counts = clusters
    state = learn_codebook(vectors, words=5, local_dims=24)
    found = combine_patches("bow", vectors, counts, state)
    patches = reference.unit_patches(vectors, counts)
    sets = [np.array(one).reshape(-1, 24) for one in patches]
    expected = [reference.bow(one, np.ones(len(one)), state["centres_"], np.ones(5)) for one in sets]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert (found[2] == 0).all()
    rows = np.concatenate(sets).astype(np.float32)
    fitted = KMeans(5, n_init=1, max_iter=25, random_state=0).fit(rows)
    np.testing.assert_allclose(state["centres_"], fitted.cluster_centers_, atol=1e-5)


def test_vlad_and_words_read_one_codebook(clusters):
    vectors, counts = clusters
    state = learn_codebook(vectors, words=4, local_dims=6)
    words, residuals = (combine_patches(how, vectors, counts, state) for how in ("bow", "vlad"))
    assert (words.shape, residuals.shape) == ((6, 4), (6, 24))
    filled = np.abs(residuals.reshape(6, 4, 6)).max(axis=2) > 0
    assert (filled <= (words > 0)).all(), "VLAD has residuals at the words that BoW counts"
    assert np.linalg.norm(words, axis=1) == pytest.approx([1, 1, 0, 1, 1, 1], abs=1e-6)


def test_vlad_keeps_principal_components_and_is_the_same_for_one_image_as_for_many(clusters):
    vectors, counts = clusters
    state = learn_codebook(vectors, words=4, local_dims=6)
    assert all(isinstance(array, np.ndarray) for array in state.values())
    assert all((array == learn_codebook(vectors, words=4, local_dims=6)[name]).all() for name, array in state.items())
    found = combine_patches("vlad", vectors, counts, {name: torch.tensor(array) for name, array in state.items()})
    assert found.shape == (6, 24)
    ends = np.cumsum(counts)
    for image, (end, count) in enumerate(zip(ends, counts, strict=True)):
        alone = combine_patches("vlad", vectors[end - count : end], np.array([count]), state)
        np.testing.assert_allclose(found[image], alone[0], atol=1e-6)
    assert np.linalg.norm(found, axis=1) == pytest.approx([1, 1, 0, 1, 1, 1], abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mean", np.ones((2, 3)), [2]), "how must be one of 'max', 'sum', 'vlad', 'bow', got 'mean'"),
        (("match", np.ones((2, 3)), [2]), r"got 'match'.*call match\(\)"),
        (("vlad", np.ones((2, 3)), [2]), "how='vlad' needs state"),
        (("bow", np.ones((2, 3)), [2]), r"how='bow' needs state, a codebook; make it with learn_codebook\("),
        (("max", np.ones((2, 3)), [1, 2]), "counts must add up to the 2 rows of vectors, got 3"),
        (("max", np.ones((2, 3)), [3, -1]), "counts must be .* none negative"),
        (("max", np.ones((2, 3)), [1.5, 0.5]), "counts must be .* whole numbers"),
        (("max", np.ones(3), [3]), r"vectors must be \(n, D\), one row per patch, got \(3,\)"),
    ],
)
def test_what_combined_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        combine_patches(*arguments)


def test_what_match_and_vlad_refuse(clusters):
    with pytest.raises(ValueError, match="queries must have as many dimensions as images, 4, got 3"):
        match(np.ones((1, 3)), np.array([1]), np.ones((1, 4)), np.array([1]))
    with pytest.raises(ValueError, match="match: images: counts must add up to the 1 rows"):
        match(np.ones((1, 3)), np.array([1]), np.ones((1, 3)), np.array([2]))
    with pytest.raises(ValueError, match="k must be at most the number of different columns"):
        learn_codebook(np.ones((20, 3)))
    with pytest.raises(
        ValueError, match=r"words must be at most the number of patches .* learned on, 20, got 100; low"
    ):
        learn_codebook(np.ones((20, 3)), words=100)
    state = learn_codebook(clusters[0], words=2)
    with pytest.raises(ValueError, match="vectors must have 24 dimensions, as the codebook in state, got 5"):
        combine_patches("vlad", np.ones((2, 5)), np.array([2]), state)


def test_no_images_at_all():
    assert combine_patches("max", np.empty((0, 3)), np.array([], int)).shape == (0, 3)
    empty = np.empty((0, 3)), np.array([], int)
    assert match(*empty, np.ones((2, 3)), np.array([2])).shape == (0, 1)
