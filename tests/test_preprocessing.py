"""Preprocessing: each rule against torchvision, torch or the formula, and what it does to a recipe and its store."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from cbirlab import images
from cbirlab.aggregation import Aggregation
from cbirlab.backbones import load_backbone
from cbirlab.base.params import Choice, parameters
from cbirlab.cli import main
from cbirlab.datasets import Dataset, Query
from cbirlab.extract import extract
from cbirlab.images.preprocessing import (
    ANTIALIAS,
    CROP,
    INTERPOLATION,
    RESIZE,
    Resizing,
    region,
    target_size,
    whole_box,
)
from cbirlab.live import Session
from cbirlab.pipeline import Recipe, run, table_row
from cbirlab.study.choices.recipes import reruns

BOX = (5.0, 8.0, 40.0, 44.0)
RULES = [
    Resizing(),
    Resizing("short_side"),
    Resizing("square"),
    Resizing("centre_crop"),
    Resizing("thumbnail"),
    Resizing("draft"),
    Resizing(interpolation="nearest"),
    Resizing(antialias=False),
]


def noise(height: int, width: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


@pytest.fixture
def boxed(things: Dataset) -> Dataset:
    """The drawn pictures, queries with boxes."""
    return replace(things, queries=tuple(replace(query, box=BOX) for query in things.queries))


# Pixels


@pytest.mark.parametrize("size", [(300, 450), (450, 300), (120, 180), (60, 90)])
@pytest.mark.parametrize("kernel", ["lanczos", "bicubic", "bilinear"])
@pytest.mark.parametrize("resize", ["short_side", "square", "centre_crop"])
def test_rules_are_those_of_torchvision(size, kernel, resize):
    mode = InterpolationMode(kernel)
    by_rule = {
        "short_side": transforms.Resize(112, mode),
        "square": transforms.Resize((112, 112), mode),
        "centre_crop": transforms.Compose([transforms.Resize(128, mode), transforms.CenterCrop(112)]),
    }
    image = noise(*size)
    wanted = np.asarray(by_rule[resize](image))
    found = images.pixels(image, image_size=112, resizing=Resizing(resize, kernel))
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("wanted", [(30, 40), (60, 80), (173, 231)])
@pytest.mark.parametrize(("kernel", "mode"), [("bilinear", "bilinear"), ("bicubic", "bicubic")])
def test_without_antialias_it_is_torchs_plain_interpolation(wanted, kernel, mode):
    image = noise(120, 160)
    planes = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()
    plain = torch.nn.functional.interpolate(planes, wanted, mode=mode, align_corners=False, antialias=False)
    expected = plain[0].permute(1, 2, 0).clamp(0, 255).numpy()
    found = images.pixels(image, image_size=wanted[0], resizing=Resizing("short_side", kernel, False))
    assert found.shape[:2] == wanted
    assert np.abs(found - expected).max() <= 1.0


def test_nearest_takes_the_pixel_under_the_centre():
    image = noise(120, 160)
    planes = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]
    expected = torch.nn.functional.interpolate(planes, (48, 64), mode="nearest-exact")[0].permute(1, 2, 0).numpy()
    for antialias in (True, False):
        found = images.pixels(image, image_size=64, resizing=Resizing("long_side", "nearest", antialias))
        np.testing.assert_array_equal(found, expected)


def test_lanczos_without_antialias_is_the_kernel_at_its_own_width():
    """Eight taps a side of sinc(x) sinc(x / 4), normalised, borders repeated; slow loops along one row."""
    row = np.random.default_rng(3).integers(0, 256, 64).astype(np.uint8)
    image = Image.fromarray(np.repeat(np.repeat(row[None, :, None], 64, 0), 3, 2))
    found = images.pixels(image, image_size=24, resizing=Resizing("long_side", "lanczos", False))
    expected = []
    for place in range(24):
        centre = (place + 0.5) * 64 / 24 - 0.5
        first = int(np.floor(centre)) - 3
        weights = np.array([np.sinc(centre - at) * np.sinc((centre - at) / 4) for at in range(first, first + 8)])
        values = np.array([float(row[min(max(at, 0), 63)]) for at in range(first, first + 8)])
        expected.append(np.clip((weights * values).sum() / weights.sum(), 0, 255))
    assert np.abs(found[12, :, 0] - np.array(expected)).max() <= 1.5


def test_antialias_matters_when_shrinking_and_only_then():
    image = noise(240, 320)
    for kernel in ("lanczos", "bicubic", "bilinear"):
        kernels = (Resizing("long_side", kernel, antialias) for antialias in (True, False))
        smooth, rough = (images.pixels(image, image_size=40, resizing=one) for one in kernels)
        assert rough.astype(float).std() > 2 * smooth.astype(float).std()
        same = images.pixels(image, image_size=320, resizing=Resizing("long_side", kernel, False))
        np.testing.assert_array_equal(same, np.asarray(image))


@given(data=st.data(), height=st.integers(1, 700), width=st.integers(1, 700), size=st.integers(2, 400))
@settings(deadline=None)
def test_thumbnail_is_pillows_crop_and_thumbnail_to_the_pixel(data, height, width, size):
    """What the published code of Radenović et al. does with a picture, and with the box of a query."""
    edges = [data.draw(st.floats(0, side)) for side in (width, height, width, height)]
    box = (min(edges[::2]), min(edges[1::2]), max(edges[::2]), max(edges[1::2]))
    image, rule = noise(height, width), Resizing("thumbnail", data.draw(st.sampled_from(INTERPOLATION.options)))
    kernel = Image.Resampling[rule.interpolation.upper()]
    wanted = image.copy()
    wanted.thumbnail((size, size), kernel)
    np.testing.assert_array_equal(images.pixels(image, image_size=size, resizing=rule), np.asarray(wanted))
    sides = [round(box[2]) - round(box[0]), round(box[3]) - round(box[1])]
    limit = size * max(sides) / max(height, width)
    if min(sides) < 1 or limit < 1:
        return  # a crop without a pixel, or a thumbnail: an error there, one pixel here
    wanted = image.crop(box)
    wanted.thumbnail((limit, limit), kernel)
    found = images.pixels(image, image_size=size, box=box, resizing=rule)
    np.testing.assert_array_equal(found, np.asarray(wanted))
    assert found.shape[:2] == target_size(height, width, size, box, resize="thumbnail")


@pytest.mark.parametrize("turned", [1, 6])
def test_a_draft_is_a_jpeg_decoded_small_and_resized_to_the_size_of_the_usual_rule(tmp_path, turned):
    """Decoded at a quarter here, as Pillow decodes it; at scale 2, or 150 pixels of 601, at a half."""
    file, exif, rule = tmp_path / "large.jpg", Image.Exif(), Resizing("draft")
    exif[0x0112] = turned
    noise(601, 903).resize((905, 601)).save(file, quality=90, exif=exif)
    for scale, part in ((1.0, 4), (2.0, 2)):
        with Image.open(file) as small:
            small.draft("RGB", (int(200 * scale), int(132 * scale)))
            assert small.size == (-(-905 // part), -(-601 // part))
            upright = ImageOps.exif_transpose(small).convert("RGB")
        height, width = target_size(*images.size(file), 100, scale=scale)
        found = images.pixels(file, image_size=100, scale=scale, resizing=rule)
        np.testing.assert_array_equal(found, np.asarray(upright.resize((width, height), Image.Resampling.LANCZOS)))
        assert 0 < np.abs(found - images.pixels(file, image_size=100, scale=scale).astype(float)).mean() < 4
    box = (100.0, 50.0, 500.0, 400.0)
    usual, drafted = (images.pixels(file, image_size=100, box=box, resizing=one) for one in (Resizing(), rule))
    np.testing.assert_array_equal(drafted, usual)


def test_a_picture_that_is_no_jpeg_or_hardly_too_large_is_no_draft(tmp_path):
    files = [tmp_path / "large.png", tmp_path / "small.jpg"]
    noise(600, 900).save(files[0])
    noise(150, 199).save(files[1])
    for file in files:
        usual, drafted = (images.pixels(file, image_size=100, resizing=one) for one in (Resizing(), Resizing("draft")))
        np.testing.assert_array_equal(drafted, usual)


def test_thumbnail_differs_from_the_usual_by_a_pixel_and_says_so(boxed, warm):
    """`why` has a row of it, and the usual rule is as it was."""
    box = (10.4, 10.6, 95.4, 90.6)
    assert target_size(200, 300, 100, box) == (27, 29)
    assert target_size(200, 300, 100, box, resize="thumbnail") == (26, 28)
    rows = [one for one in reruns(Recipe(dataset="things").resolved(boxed), boxed, warm) if one.choice == "resize"]
    assert ("long_side", "thumbnail") in {(one.was, one.to) for one in rows}


@given(st.integers(1, 900), st.integers(1, 900), st.integers(1, 400), st.sampled_from(RESIZE.options))
def test_sizes_by_their_rule(height, width, size, resize):
    found = target_size(height, width, size, resize=resize)
    assert min(found) >= 1
    if resize in ("square", "centre_crop"):
        assert found == (size, size)
    elif resize == "short_side":
        assert min(found) == size
        assert abs(max(found) - size * max(height, width) / min(height, width)) <= 0.5
    else:
        assert max(found) == min(size, max(height, width))


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("crop", CROP.options)
@pytest.mark.parametrize("scale", [0.5, 1.0, 2**0.5])
def test_pixels_have_the_size_that_was_reckoned(rule, crop, scale):
    image = noise(48, 64)
    box, frame = region(BOX, crop)
    found = images.pixels(image, image_size=32, box=box, frame=frame, scale=scale, resizing=rule)
    assert found.shape[:2] == target_size(48, 64, 32, box, frame=frame, scale=scale, resize=rule.resize)


def test_a_box_taken_for_the_whole_image_is_resized_like_one():
    image = noise(300, 400)
    box = (100.0, 50.0, 180.0, 90.0)
    alone = image.crop((100, 50, 180, 90))
    for rule in RULES:
        found = images.pixels(image, image_size=56, frame=box, resizing=rule)
        np.testing.assert_array_equal(found, images.pixels(alone, image_size=56, resizing=rule))
    assert images.pixels(image, image_size=40, frame=box).shape == (20, 40, 3)
    assert images.pixels(image, image_size=160, frame=box).shape == (80, 160, 3), "enlarged to the image size"
    assert images.pixels(alone, image_size=160).shape == (40, 80, 3), "which a whole image is not"
    assert images.pixels(image, image_size=40, box=box).shape == (4, 8, 3), "0.1 of the size, as the whole image"
    inside = images.pixels(image, image_size=40, frame=box, box=(100.0, 50.0, 140.0, 90.0))
    assert inside.shape == (20, 20, 3), "a view of it, at the scale of the frame"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"crop": "boxes"},
            "Recipe: crop must be one of 'box', 'box_resized', 'none', got 'boxes'. Did you mean 'box'?",
        ),
        ({"resize": "long"}, "Recipe: resize must be one of 'long_side'"),
        ({"interpolation": "cubic"}, "got 'cubic'. Did you mean 'bicubic'?"),
        ({"antialias": "yes"}, "Recipe: antialias must be one of True, False, got 'yes'"),
        ({"resize": "centre_crop", "passes": "grid"}, "needs passes 'single'"),
    ],
)
def test_what_is_not_allowed_is_one_sentence(given: dict[str, Any], message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Recipe(**given)


def test_the_options_are_declared_once():
    declared = parameters(Resizing)
    assert [one.domain for one in declared.values()] == [RESIZE, INTERPOLATION, ANTIALIAS]
    for name, one in declared.items():
        assert isinstance(one.domain, Choice)
        assert getattr(Recipe(), name) == one.default == one.domain.options[0]
    assert Recipe().crop == CROP.options[0]
    assert Recipe().resizing == Resizing()


# Recipes


def test_a_recipe_from_before_loads_and_is_the_usual_one():
    saved = json.loads(Recipe(aggregation="mac").to_json())
    for name in ("crop", "resize", "interpolation", "antialias"):
        del saved[name]
    assert Recipe.from_json(saved) == Recipe(aggregation="mac")
    other = Recipe(crop="none", resize="square", interpolation="bilinear", antialias=False)
    assert Recipe.from_json(other.to_json()) == other
    assert other.key() != Recipe().key()


def test_the_usual_recipe_has_the_store_key_of_before(boxed, store):
    """The specification has nothing new in it, so that its entries mean what they meant."""
    network = load_backbone("toynet", "random")
    options: dict[str, Any] = {"taps": ["stem"], "aggregations": [Aggregation.parse("mac")], "progress": False}
    extract(boxed, network, store=store, **options)
    known = {frozenset(entry.specification) for entry in store.entries()}
    assert len(known) == 1
    assert not known.pop() & {"crop", "frame", "resize", "interpolation", "antialias", "resizing"}
    extract(boxed, network, store=store, resizing=Resizing("square", antialias=False), **options)
    fields = [entry.specification for entry in store.entries() if "resize" in entry.specification]
    assert {(one["resize"], one["antialias"], one.get("interpolation")) for one in fields} == {("square", False, None)}


def test_another_crop_sends_the_queries_alone_through_the_network(boxed, store):
    network = load_backbone("toynet", "random")
    specs = [Aggregation.parse("mac")]
    options: dict[str, Any] = {"taps": ["layer4"], "aggregations": specs, "progress": False, "image_size": 32}
    first = extract(boxed, network, store=store, **options)
    count = len(boxed.queries)
    assert first.computed_images == 40 + count + 24
    resized = extract(boxed, network, store=store, crop="box_resized", **options)
    assert resized.computed_images == count
    whole = extract(boxed, network, store=store, crop="none", **options)
    assert whole.computed_images == 0, "the same pictures as the database, in the same order"
    np.testing.assert_array_equal(whole["layer4", "mac"]["queries"], whole["layer4", "mac"]["images"])
    for other in (resized, whole):
        assert other.keys["layer4", "mac"]["images"] == first.keys["layer4", "mac"]["images"]
        assert not np.allclose(other["layer4", "mac"]["queries"], first["layer4", "mac"]["queries"])


@pytest.mark.parametrize("passes", ["single", "grid(rows=2, columns=2)"])
def test_box_resized_is_the_dataset_of_cut_queries(boxed, warm, tmp_path: Path, passes):
    """Cut and saved beforehand, the same queries give the same ranking, view by view too."""
    cut = []
    for number, query in enumerate(boxed.queries):
        path = tmp_path / f"{number}.png"
        images.read(query.path).crop(whole_box(*images.size(query.path), BOX)).save(path)
        cut.append(Query(path, index=query.index))
    recipe = Recipe(dataset="things", weights="random", passes=passes, image_size=32)
    found = run(replace(recipe, crop="box_resized"), dataset=boxed, store=warm, progress=False)
    wanted = run(recipe, dataset=replace(boxed, queries=tuple(cut)), store=warm, progress=False)
    np.testing.assert_array_equal(found.ranking.images, wanted.ranking.images)
    np.testing.assert_array_equal(found.ranking.scores, wanted.ranking.scores)


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("crop", CROP.options)
def test_a_session_describes_a_picture_as_the_benchmark_does(boxed, warm, rule, crop):
    fields = {"crop": crop, "resize": rule.resize, "interpolation": rule.interpolation, "antialias": rule.antialias}
    session = Session(boxed, "toynet", "random", ["gem"], store=warm, image_size=48, **fields)
    wanted = session.rank("layer4", "gem").ranking
    query = boxed.queries[3]
    found = session.rank_image(query.path, "layer4", "gem", box=query.box)
    np.testing.assert_allclose(found.scores[0], wanted.scores[3], atol=1e-5)
    from cbirlab.study.explain import Looker
    from cbirlab.study.perturbation import query_picture

    picture = query_picture(session, 3)
    np.testing.assert_array_equal(np.asarray(picture), Looker(session).picture(len(boxed.images) + 3))
    again = session.rank_image(picture, "layer4", "gem", prepared=True)
    np.testing.assert_allclose(again.scores[0], wanted.scores[3], atol=1e-5)


def test_tables_and_the_command_line_say_it(boxed, warm, pictures, tmp_path, capsys):
    recipe = Recipe(dataset="things", weights="random", resize="square", antialias=False, crop="none")
    row = table_row(run(recipe, dataset=boxed, store=warm, progress=False))
    assert row["preprocessing"] == "none, square, lanczos, no antialias"
    command = ["run", "--dataset", str(pictures), "--weights", "random", "--image-size", "48", "--quiet"]
    command += ["--crop", "none", "--resize", "short_side", "--interpolation", "bilinear", "--antialias", "off"]
    assert main([*command, "--store", str(warm.path), "--out", str(tmp_path / "row.csv")]) == 0
    assert "none, short_side, bilinear, no antialias" in capsys.readouterr().out
    assert main(["run", "--crop", "bix"]) == 2
    assert "crop must be one of 'box'" in capsys.readouterr().err
