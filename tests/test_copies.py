"""Copies in somebody's own images are found by loops and by matrices alike, and told before a number is believed."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cbirlab import Recipe, load_dataset, run
from cbirlab.datasets import copies
from cbirlab.datasets.copies import judged_pictures, nearly_equal, said_of, sorted_out
from cbirlab.datasets.examining import examine
from cbirlab.images import squeezed


def scene(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two instances of three pictures; a picture of each was saved again, one in the other instance."""
    for number, name in enumerate(["a/1", "a/2", "b/3", "b/4"]):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        scene(number).save(tmp_path / f"{name}.png")
    scene(0).resize((80, 60)).save(tmp_path / "a/small.jpg", quality=50)
    scene(2).save(tmp_path / "a/wrong.webp", quality=60)
    return tmp_path


def test_copies_are_told_once_with_what_they_do_to_the_numbers(folder, store):
    data = load_dataset(folder)
    names = [path.name for path in data.images]
    pairs = nearly_equal(judged_pictures(data), progress=False)
    found = {tuple(sorted(names[row] for row in pair)) for pair in pairs}
    assert found == {("1.png", "small.jpg"), ("3.png", "wrong.webp")}
    recipe = Recipe(dataset=str(folder), backbone="handcrafted", tap="hog", image_size=32)
    for times in (1, 0):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            run(recipe, store=store)
        told = [str(one.message) for one in caught if "nearly equal" in str(one.message)]
        assert len(told) == times
        if told:
            assert "2 of 6 queries are nearly equal to a right answer of theirs" in told[0]
            assert "(a/1.png = a/small.jpg)" in told[0]
            assert "2 of 6 queries are nearly equal to an image that counts as wrong" in told[0]
    assert any("copies" in entry.specification for entry in store.entries())


def test_whoever_examines_pixels_hears_of_them_too(folder):
    (finding,) = (one for one in examine(folder, images="pixels", progress=False).findings if one.what == "copies")
    assert not finding.ok
    assert "a/1.png = a/small.jpg" in finding.found
    (folder / "a/small.jpg").unlink()
    (folder / "a/wrong.webp").unlink()
    (finding,) = (one for one in examine(folder, images="pixels", progress=False).findings if one.what == "copies")
    assert finding.ok


def test_answers_decide_what_a_copy_does(folder):
    (folder / "right.csv").write_text(
        "query,path,label\na/1.png,a/small.jpg,junk\na/1.png,a/2.png,\nb/3.png,b/4.png,\n"
    )
    data = load_dataset(folder, answers=folder / "right.csv")
    found = sorted_out(data, nearly_equal(judged_pictures(data), progress=False))
    assert (found.right, [data.images[row].name for _, row in found.wrong]) == ((), ["wrong.webp"])
    assert said_of(data, found).startswith("1 of 2 queries")


def test_a_query_from_outside_is_compared_too(folder):
    (folder / "t.csv").write_text("path,instance,role\na/1.png,a,database\na/2.png,a,database\na/small.jpg,a,query\n")
    data = load_dataset(folder / "t.csv")
    found = sorted_out(data, nearly_equal(judged_pictures(data), progress=False))
    assert (found.right, found.wrong) == (((2, 0),), ())


@pytest.mark.parametrize("block", [1, 40, 10**6])
def test_pairs_are_those_of_loops(tmp_path, monkeypatch, block):
    monkeypatch.setattr(copies, "_BLOCK", block)
    rng, pictures = np.random.default_rng(0), []
    for number in range(24):
        mixed = Image.blend(scene(number % 8), scene(100 + number), float(rng.choice([0, 0.02, 0.1, 0.2, 0.4])))
        mixed.save(tmp_path / f"{number}.png")
        pictures.append(tmp_path / f"{number}.png")
    for number, level in enumerate([0, 0, 90, 91]):  # plain ones
        Image.new("RGB", (40, 30), (level, 20, 20)).save(tmp_path / f"plain{number}.png")
        pictures.append(tmp_path / f"plain{number}.png")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    pictures += [tmp_path / "broken.jpg"] * 2
    seen = [squeezed(path, 16).astype(float) for path in pictures[:-2]]
    expected = set()
    for one, first in enumerate(seen):
        for other in range(one + 1, len(seen)):
            varies = min(picture.var(axis=(0, 1)).mean() for picture in (first, seen[other]))
            if ((first - seen[other]) ** 2).mean() <= max(0.05 * varies, 0.05):
                expected.add((one, other))
    assert {*map(tuple, nearly_equal(pictures, progress=False).tolist())} == expected
    assert (24, 25) in expected
    assert (26, 27) not in expected


def test_bundled_pictures_are_no_copies_of_each_other():
    data = load_dataset("toytown")
    assert len(nearly_equal(judged_pictures(data)[::4], progress=False)) == 0
