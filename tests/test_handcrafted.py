"""Hand-crafted descriptors against slow loops, against the libraries they come from, and by what they must not see."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import feature

from cbirlab.backbones import load_backbone, taps, taps_of
from cbirlab.backbones.weights import WeightsError
from cbirlab.handcrafted import DESCRIPTORS, gist, hog, hsv_histogram, lbp, root_sift
from cbirlab.handcrafted.module import HandCrafted

VECTORS = [name for name in DESCRIPTORS if DESCRIPTORS.info(name).facts["kind"] == "vector"]


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def scene(height: int = 120, width: int = 160, seed: int = 0) -> np.ndarray:
    """Smooth patches of colour with corners, as a picture has and noise has not."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), rng.integers(60, 200, 3), np.uint8)
    for _ in range(40):
        corner = tuple(int(value) for value in rng.integers(0, (width, height)))
        opposite = tuple(int(a + b) for a, b in zip(corner, rng.integers(8, 40, 2), strict=True))
        cv2.rectangle(image, corner, opposite, rng.integers(0, 256, 3).tolist(), -1)
    return cv2.GaussianBlur(image, (0, 0), 1.0)


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))


# What holds for all


@pytest.mark.parametrize("name", DESCRIPTORS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 3), (8, 8), (61, 97)])
@pytest.mark.parametrize("picture", [noise, lambda *shape: np.zeros((*shape, 3), np.uint8)], ids=["noise", "black"])
def test_any_shape_gives_finite_non_negative_numbers_of_the_declared_length(name, shape, picture) -> None:
    facts = DESCRIPTORS.info(name).facts
    found = DESCRIPTORS[name](picture(*shape))
    assert found.dtype == np.float32
    assert found.shape == ((facts["channels"],) if facts["kind"] == "vector" else (len(found), facts["channels"]))
    assert np.isfinite(found).all()
    assert (found >= 0).all()


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_the_same_picture_gives_the_same_numbers_whatever_its_memory_layout(name: str) -> None:
    image = scene()
    views = (image.copy(), np.asfortranarray(image), np.ascontiguousarray(image[:, ::-1])[:, ::-1])
    expected = DESCRIPTORS[name](image)
    assert expected.any()
    for view in views:
        np.testing.assert_array_equal(DESCRIPTORS[name](view), expected)


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_what_is_no_picture_is_refused(name: str) -> None:
    for wrong in (noise(4, 4).astype(np.float32), noise(4, 4)[..., 0], noise(4, 4)[..., :2], noise(4, 4)[:0], "a.jpg"):
        with pytest.raises(ValueError, match=rf"{name}: image must be uint8 RGB \(H, W, 3\) and not empty, got"):
            DESCRIPTORS[name](wrong)


def test_parameters_are_checked() -> None:
    with pytest.raises(ValueError, match=r"rootsift: most must be a whole number in \[1, 20000\], got 0"):
        root_sift(noise(8, 8), most=0)
    with pytest.raises(ValueError, match=r"gist: side must be one of 32, 64, 128, 256, got 100"):
        gist(noise(8, 8), side=100)
    with pytest.raises(TypeError, match=r"hog: unknown parameter 'cell'.*Did you mean 'cells'"):
        hog(noise(8, 8), cell=3)


# Colour


def test_hsv_histogram_equals_loops() -> None:
    image = noise(23, 31)
    pixels = [tuple(int(value) for value in pixel) for pixel in image.reshape(-1, 3)]
    seen = [tuple(int(value) for value in pixel) for pixel in cv2.cvtColor(image, cv2.COLOR_RGB2HSV).reshape(-1, 3)]
    differences = np.abs(np.subtract(seen, [reference.hsv_bytes(*pixel) for pixel in pixels]))
    differences[:, 0] = np.minimum(differences[:, 0], 180 - differences[:, 0])
    assert differences.max() <= 1, "bytes are rounded, nothing more"
    for bins in ((16, 4, 4), (7, 1, 3)):
        found = hsv_histogram(image, hue=bins[0], saturation=bins[1], value=bins[2])
        np.testing.assert_allclose(found, reference.rooted_histogram(seen, (180, 256, 256), bins), atol=1e-6)


@pytest.mark.parametrize(
    ("colour", "place"),
    [((255, 0, 0), (0, 3, 3)), ((0, 200, 0), (5, 3, 3)), ((0, 0, 90), (10, 3, 1)), ((128,) * 3, (0, 0, 2))],
)
def test_one_colour_fills_one_bin(colour: tuple[int, ...], place: tuple[int, ...]) -> None:
    found = hsv_histogram(np.full((5, 6, 3), colour, np.uint8)).reshape(16, 4, 4)
    assert found[place] == 1
    assert np.count_nonzero(found) == 1


def test_hsv_histogram_has_unit_norm_and_does_not_see_where_colours_are() -> None:
    image = scene()
    pixels = image.reshape(-1, 3)
    shuffled = np.random.default_rng(0).permutation(pixels).reshape(image.shape)
    np.testing.assert_array_equal(hsv_histogram(shuffled), hsv_histogram(image))
    assert np.linalg.norm(hsv_histogram(image)) == pytest.approx(1, abs=1e-6)
    assert cosine(hsv_histogram(image), hsv_histogram(255 - image)) < 0.5


# Shape


def test_hog_equals_loops_and_the_library() -> None:
    image = noise(48, 48)
    np.testing.assert_allclose(hog(image, cells=3), reference.hog(image, 16, 9), atol=1e-6)
    np.testing.assert_allclose(hog(image, cells=3, orientations=5), reference.hog(image, 16, 5), atol=1e-6)
    square = noise(128, 128)
    direct = feature.hog(square, 9, (16, 16), (2, 2), block_norm="L2-Hys", channel_axis=-1)
    np.testing.assert_array_equal(hog(square), direct.astype(np.float32))
    assert len(direct) == 7 * 7 * 4 * 9


def test_hog_sees_shape_and_neither_light_nor_size() -> None:
    image = scene(128, 128)
    assert cosine(hog(image), hog(image // 2 + 100)) > 0.98
    assert cosine(hog(image), hog(cv2.resize(image, (256, 256), interpolation=cv2.INTER_CUBIC))) > 0.95
    assert cosine(hog(image), hog(255 - image)) > 0.999, "a gradient and its opposite are the same"
    assert cosine(hog(image), hog(np.rot90(image))) < 0.8
    assert not hog(np.full((30, 40, 3), 90, np.uint8)).any()


def test_a_vertical_edge_fills_the_first_orientation_only() -> None:
    image = np.zeros((32, 32, 3), np.uint8)
    image[:, 8:] = 200
    cells = hog(image, cells=2).reshape(4, 9)
    assert (cells[[0, 2], 0] > 0.5).all(), "the edge lies in the left cells"
    assert cells.sum() == pytest.approx(cells[[0, 2], 0].sum())


# Texture


def test_lbp_equals_loops_and_the_library() -> None:
    image = noise(9, 12)
    tones = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    wanted, direct = [], []
    for radius in (1, 2, 3):
        bins = 8 * radius + 2
        codes = reference.local_binary_patterns(tones, radius)
        wanted += [np.sqrt(codes.count(code) / len(codes)) for code in range(bins)]
        library = feature.local_binary_pattern(tones, 8 * radius, radius, "uniform")[radius:-radius, radius:-radius]
        ours = np.reshape(codes, tones.shape)[radius:-radius, radius:-radius]
        np.testing.assert_array_equal(ours, library)
        direct.append(library)
    np.testing.assert_allclose(lbp(image), wanted, atol=1e-6)
    assert len({int(code) for codes in direct for code in codes.ravel()}) > 10


@given(st.integers(0, 1000), st.integers(1, 120))
@settings(max_examples=15, deadline=None)
def test_lbp_sees_neither_brightness_nor_a_turn_by_90_degrees(seed: int, more: int) -> None:
    grey = np.repeat(noise(17, 23, seed)[..., :1] // 2, 3, axis=2)
    found = lbp(grey)
    np.testing.assert_array_equal(lbp(grey + np.uint8(more)), found)
    np.testing.assert_allclose(lbp(np.rot90(grey)), found, atol=0.05)  # ties at interpolated neighbours may turn
    assert cosine(found, lbp(cv2.GaussianBlur(grey, (0, 0), 2.0))) < 0.95


def test_each_histogram_of_lbp_has_unit_norm_and_a_flat_picture_is_all_ones() -> None:
    parts = np.split(lbp(scene()), [10, 28])
    assert [len(part) for part in parts] == [10, 18, 26]
    assert [float(np.linalg.norm(part)) for part in parts] == pytest.approx([1, 1, 1], abs=1e-6)
    for part, points in zip(np.split(lbp(np.full((6, 7, 3), 77, np.uint8)), [10, 28]), (8, 16, 24), strict=True):
        assert np.flatnonzero(part).tolist() == [points]


# Scene


def test_gist_equals_loops() -> None:
    image = noise(32, 32)
    wanted = reference.gist(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), margin=4)
    np.testing.assert_allclose(gist(image, side=32), wanted, rtol=1e-3, atol=1e-5)
    assert np.ptp(wanted) > 0.01


def test_a_picture_of_one_colour_has_no_gist() -> None:
    for tone in range(0, 256, 15):
        assert not gist(np.full((40, 50, 3), tone, np.uint8)).any()


def test_gist_turns_with_the_picture() -> None:
    """By 90 degrees: four orientations on, and the blocks turned."""
    image = scene(128, 128)
    upright, turned = (gist(one).reshape(4, 8, 4, 4) for one in (image, np.rot90(image)))
    expected = np.rot90(np.roll(upright, 4, axis=1), axes=(2, 3))
    np.testing.assert_allclose(turned, expected, rtol=0.05, atol=2e-3)
    assert cosine(gist(image), gist(np.rot90(image))) < 0.9


@pytest.mark.parametrize("frequency", [0.05, 0.16, 0.3])
@pytest.mark.parametrize("orientation", [0, 2, 5])
def test_gist_names_scale_and_direction_of_a_grating(frequency: float, orientation: int) -> None:
    rows, columns = np.mgrid[:128, :128]
    angle = np.pi * orientation / 8
    wave = np.cos(2 * np.pi * frequency * (columns * np.cos(angle) + rows * np.sin(angle)))
    image = np.repeat((127 + 60 * wave).astype(np.uint8)[..., None], 3, axis=2)
    strength = gist(image).reshape(4, 8, 16).mean(axis=2)
    scale = {0.3: 0, 0.16: 1, 0.05: 3}[frequency]
    assert np.unravel_index(strength.argmax(), strength.shape) == (scale, orientation)


def test_gist_bears_a_small_shift_and_a_change_of_light_but_not_another_scene() -> None:
    image = scene(128, 160)
    shifted, far = image[:, 4:-4], scene(128, 160, seed=1)
    near = cosine(gist(image[:, :-8]), gist(shifted))
    assert near > 0.97
    assert cosine(gist(image), gist(image // 2)) > 0.97
    assert cosine(gist(image), gist(far)) < near - 0.05


# RootSIFT


def test_root_sift_is_the_root_of_l1_normalised_sift() -> None:
    image = scene()
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    plain = cv2.SIFT_create(nfeatures=1000, contrastThreshold=0.02).detectAndCompute(grey, None)[1]
    found = root_sift(image)
    assert found.shape == plain.shape
    assert len(found) > 50
    for ours, theirs in zip(found, plain, strict=True):
        total = sum(float(value) for value in theirs)
        np.testing.assert_allclose(ours, [(float(value) / total) ** 0.5 for value in theirs], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_root_sift_keeps_the_strongest_and_contrast_decides_how_many() -> None:
    image = scene()
    assert 20 <= len(root_sift(image, most=20)) <= 25
    counts = [len(root_sift(image, contrast=contrast)) for contrast in (0.0, 0.02, 0.08)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]


def test_root_sift_bears_a_quarter_turn() -> None:
    image = scene()
    found, turned = root_sift(image), root_sift(np.rot90(image))
    assert np.median((turned @ found.T).max(axis=1)) > 0.97
    assert np.median((root_sift(scene(seed=1)) @ found.T).max(axis=1)) < 0.95


def test_root_sift_of_a_flat_picture_is_empty() -> None:
    assert root_sift(np.full((60, 80, 3), 50, np.uint8)).shape == (0, 128)


def test_a_grey_picture_has_the_local_descriptors_of_its_colours() -> None:
    grey = np.repeat(cv2.cvtColor(scene(), cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    np.testing.assert_array_equal(root_sift(grey), root_sift(scene()))


# As a backbone


def batch_of(*images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float().mul_(1 / 255)


@pytest.fixture(scope="module")
def backbone():
    return load_backbone("handcrafted")


def test_taps_are_the_descriptors(backbone) -> None:
    images = [scene(), np.zeros((120, 160, 3), np.uint8), scene(seed=1)]
    found = taps.forward(backbone, batch_of(*images), list(backbone.taps))
    assert list(found) == list(DESCRIPTORS) == list(taps_of("handcrafted"))
    for name in VECTORS:
        assert backbone.taps[name].kind == "vector"
        assert found[name].shape == (3, backbone.taps[name].channels, 1, 1)
        for row, image in enumerate(images):
            np.testing.assert_array_equal(found[name][row].flatten(), DESCRIPTORS[name](image))


def test_short_sets_are_filled_up_with_zero_columns(backbone) -> None:
    images = [scene(), np.zeros((120, 160, 3), np.uint8), scene(seed=1)]
    maps = taps.forward(backbone, batch_of(*images), ["rootsift"])["rootsift"]
    sets = [root_sift(image) for image in images]
    assert maps.shape == (3, 128, 1, max(len(one) for one in sets))
    assert len({len(one) for one in sets}) == 3
    for columns, one in zip(maps[:, :, 0], sets, strict=True):
        np.testing.assert_array_equal(columns.T[: len(one)], one)
        assert not columns.T[len(one) :].any()
    assert taps.forward(backbone, torch.zeros(2, 3, 1, 1), ["rootsift"])["rootsift"].shape == (2, 128, 1, 1)


def test_every_byte_survives_the_way_through_floats(backbone) -> None:
    tones = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    for values in (batch_of(tones), torch.from_numpy(tones[None]).permute(0, 3, 1, 2).float() / 255):
        found = taps.forward(backbone, values, ["hsv", "lbp"])
        np.testing.assert_array_equal(found["hsv"][0].flatten(), hsv_histogram(tones))
        np.testing.assert_array_equal(found["lbp"][0].flatten(), lbp(tones))


def test_only_what_is_asked_for_is_computed(backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []
    for name, part in backbone.module.named_children():
        monkeypatch.setattr(
            part, "forward", lambda images, name=name, own=part.forward: ran.append(name) or own(images)
        )
    found = taps.forward(backbone, batch_of(noise(16, 16)), ["lbp", "hsv"])
    assert ran == list(found) == ["lbp", "hsv"]


def test_a_batch_that_was_centred_is_refused(backbone) -> None:
    for wrong in (torch.full((1, 3, 4, 4), -0.5), torch.full((1, 3, 4, 4), 255.0), torch.full((1, 3, 4, 4), torch.nan)):
        with pytest.raises(ValueError, match=r"handcrafted: batch must hold RGB in 0\.\.1, got"):
            taps.forward(backbone, wrong, ["hsv"])


def test_it_needs_no_weights_and_says_so(backbone) -> None:
    assert (backbone.weights, backbone.missing_taps) == ("none", ())
    assert cv2.__version__ in repr(HandCrafted()), "another release may give other numbers"
    assert backbone.digest == load_backbone("handcrafted", "none").digest
    for wrong in ("random", "IMAGENET1K_V1"):
        with pytest.raises(WeightsError, match=f"handcrafted: it has no weights; weights must be None, got '{wrong}'"):
            load_backbone("handcrafted", wrong)


def test_another_release_of_a_library_is_another_digest(backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "__version__", "0.0")
    assert load_backbone("handcrafted").digest != backbone.digest


def test_half_precision_is_refused(backbone) -> None:
    with pytest.raises(ValueError, match="handcrafted: precision must be 'float32', got 'bfloat16'"):
        load_backbone("handcrafted", precision="bfloat16")
    with pytest.raises(ValueError, match="handcrafted: precision must be 'float32'"):
        backbone.with_numerics(precision="bfloat16")
    same = backbone.with_numerics(channels_last=True)
    images = batch_of(scene())
    assert torch.equal(taps.forward(same, images, ["gist"])["gist"], taps.forward(backbone, images, ["gist"])["gist"])


def test_naming_the_descriptors_loads_no_library() -> None:
    probe = "import sys, cbirlab.handcrafted; print(*{'cv2', 'skimage', 'scipy', 'torch'} & {*sys.modules})"
    ran = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []


def test_local_descriptors_find_their_own_picture_smaller_and_turned() -> None:
    """Mutual nearest neighbours that agree well, against those in another picture."""
    image = scene(200, 240)
    turn = cv2.getRotationMatrix2D((120, 100), 25, 0.7)
    seen_again = cv2.warpAffine(image, turn, (240, 200), borderMode=cv2.BORDER_REFLECT)

    def agreeing(a: np.ndarray, b: np.ndarray) -> int:
        scores = a @ b.T
        forth, back = scores.argmax(axis=1), scores.argmax(axis=0)
        return int(((back[forth] == np.arange(len(a))) & (scores.max(axis=1) > 0.95)).sum())

    found, again, other = (root_sift(one) for one in (image, seen_again, scene(200, 240, seed=1)))
    assert agreeing(found, again) > 3 * max(1, agreeing(found, other))
