"""Search as a stage: an index has parameters, is filled once, says what it takes, and may cut its lists."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pytest

from cbirlab import Fusion, Recipe, compare, evaluate, run, run_fusion
from cbirlab.backbones import load_backbone
from cbirlab.base.params import Range
from cbirlab.base.registry import UnknownName
from cbirlab.cli import main
from cbirlab.datasets import load_dataset
from cbirlab.index import INDEXES, ExactIndex, IndexMethod, PatchIndex, Rows, WordIndex
from cbirlab.index.approximate import IVF
from cbirlab.index.lists import without
from cbirlab.live import Session
from cbirlab.passes import match
from cbirlab.pipeline.bench import Bench
from cbirlab.widgets import Workbench

RECIPE = Recipe(weights="random", tap="layer2", aggregation="gem")


@pytest.fixture
def rounded():
    """An index of rounded rows, which counts how often one is filled."""

    class Rounded(ExactIndex):
        filled = 0

        def __init__(self, *, digits: Annotated[int, Range(1, 6, integer=True)] = 2) -> None:
            self.block_mb, self.digits = 64, digits

        def fit(self, X):
            type(self).filled += 1
            return super().fit(np.round(np.asarray(X.values), self.digits).astype(np.float16))

    INDEXES.register("rounded", title="Rounded rows")(Rounded)
    yield Rounded
    del INDEXES._entries["rounded"]


def test_an_index_has_parameters_and_a_recipe_keeps_its_text(rounded):
    assert Recipe(index="exact(block_mb=64)").index == "exact"
    recipe = Recipe(index="rounded(digits=3)")
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert (recipe.index, Recipe(index="rounded").index) == ("rounded(digits=3)", "rounded")
    assert IndexMethod.parse(recipe.index).make().digits == 3
    for wrong, error in (("rounded(digits=9)", ValueError), ("rounded(n=1)", TypeError), ("roundet", UnknownName)):
        with pytest.raises(error):
            Recipe(index=wrong)


def test_it_changes_the_ranking_is_filled_once_and_says_what_it_takes(things, warm, rounded):
    plain = run(RECIPE, dataset=things, store=warm, progress=False)
    backbone = load_backbone("toynet", "random")
    recipe = Recipe(**{**RECIPE.without(), "index": "rounded(digits=1)"}).resolved(things, backbone)
    bench = Bench(things, backbone, recipe, store=warm, progress=False)
    found = bench.run(recipe)
    bench.timed(found)
    bench.search(recipe, [3])
    assert rounded.filled == 1
    assert not np.array_equal(found.ranking.scores, plain.ranking.scores)
    assert (plain.bytes_per_image, found.bytes_per_image) == (4 * plain.dim, 2 * plain.dim)
    assert found.build_seconds > 0
    assert found.ms_per_query == pytest.approx(1000 * found.seconds["search"] / 40)


def test_it_stands_in_a_table_and_on_the_command_line(pictures, warm, rounded, tmp_path):
    out = tmp_path / "table.csv"
    words = ["--dataset", str(pictures), "--weights", "random", "--image-size", "64", "--index", "rounded(digits=1)"]
    assert main(["run", *words, "--depth", "7", "--store", str(warm.path), "--out", str(out), "--quiet"]) == 0
    frame = compare(
        load_dataset(pictures), weights="random", aggregations="gem", whitenings="none", image_size=64,
        index="rounded(digits=1)", depth=7, store=warm, progress=False,
    )  # fmt: skip
    row = frame.iloc[0]
    kept = Recipe.from_json(row["recipe"])
    assert (kept.index, kept.depth, row["bytes_per_image"]) == ("rounded(digits=1)", 7, 2 * row["dim"])
    assert "build_seconds" in frame
    assert f"{row['map']:.10f}"[:12] in out.read_text()


@pytest.mark.parametrize("depth", [1, 7, 39, 40, 99])
def test_a_cut_list_is_the_beginning_of_the_whole_one_and_is_judged_as_such(things, warm, depth):
    whole = run(RECIPE, dataset=things, store=warm, progress=False)
    cut = run(Recipe(**{**RECIPE.without(), "depth": depth}), dataset=things, store=warm, progress=False)
    top = whole.ranking.top(min(depth, 40))
    np.testing.assert_array_equal(cut.ranking.images, top.images)
    np.testing.assert_array_equal(cut.ranking.scores, top.scores)
    assert cut.metrics == dict(evaluate(top, things).metrics)
    assert cut.metrics["map"] <= whole.metrics["map"]
    assert (cut.recipe.key() == whole.recipe.key()) is False
    assert "depth" not in whole.recipe.to_json(), "keys of recipes without it are what they were"


def test_a_cut_list_of_which_some_is_held_out_loses_that_and_no_place_more():
    rng = np.random.default_rng(0)
    whole = ExactIndex().fit(rng.normal(size=(30, 4))).search(rng.normal(size=(9, 4)))
    rows = rng.random(30) < 0.4
    apart, cut = without(whole, rows), without(whole.top(12), rows)
    for query in range(9):
        kept = cut.answers()[query]
        assert kept == (~rows[whole.images[query, :12]]).sum()
        np.testing.assert_array_equal(cut.images[query, :kept], apart.images[query, :kept])
        np.testing.assert_array_equal(cut.scores[query, :kept], apart.scores[query, :kept])


def test_lists_that_are_cut_are_not_fused_and_descriptors_are(things, warm):
    members = [Recipe(**{**RECIPE.without(), "tap": tap, "depth": 5}) for tap in ("layer2", "layer3")]
    with pytest.raises(ValueError, match=r"'minmax' fuses complete lists, .*depth must be None, got 5, 5"):
        Fusion(members=tuple(members), method="minmax")
    fused = run_fusion(Fusion(members=tuple(members)), dataset=things, store=warm, progress=False)
    assert fused.ranking.images.shape == (40, 5)
    assert fused.bytes_per_image == 4 * fused.dim


def test_words_and_patches_are_searched_by_indexes_of_their_own():
    rng = np.random.default_rng(1)
    images, queries = rng.normal(size=(8, 6)).astype(np.float32), rng.normal(size=(3, 6)).astype(np.float32)
    index = WordIndex(lambda asked, held: -np.abs(asked[:, None] - held).sum(axis=2)).fit(Rows(images))
    by_hand = [[-np.abs(one - other).sum() for other in images] for one in queries]
    found = index.search(Rows(queries), 3)
    np.testing.assert_array_equal(found.images, np.argsort(-np.array(by_hand), axis=1, kind="stable")[:, :3])
    assert index.nbytes == images.nbytes
    counts = np.array([2, 3, 1, 2])
    patches = PatchIndex().fit(Rows(images, counts))
    asked = Rows(queries, np.array([1, 2]))
    scores = match(queries, asked.counts, images, counts)
    np.testing.assert_array_equal(patches.search(asked).images, np.argsort(-scores, axis=1, kind="stable"))
    assert patches.nbytes == images.nbytes
    with pytest.raises(ValueError, match="queries must be Rows with counts"):
        patches.search(Rows(queries))
    for index_of_one_row in (ExactIndex(), WordIndex(np.dot)):
        with pytest.raises(ValueError, match=r"every image must have one row, got Rows with counts; take PatchIndex"):
            index_of_one_row.fit(Rows(images, counts))
    for one, asked_for in ((index, Rows(queries)), (patches, asked)):
        with pytest.raises(ValueError, match=r"k must be a whole number in \[1, "):
            one.search(asked_for, 99)


def test_a_session_with_a_depth_ranks_no_more_than_that(things, warm):
    session = Session(things, "toynet", "random", ["gem"], store=warm, depth=6)
    assert session.rank("layer2", "gem").ranking.images.shape == (40, 6)
    assert session.rank_image(3, "layer2", "gem").images.shape == (1, 6)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_workbench_on_cut_lists_says_what_lies_behind_their_end(things, warm):
    session = Session(things, "toynet", "random", ["gem", "mac"], store=warm, depth=6)
    bench = Workbench(session, backbones={"toynet": "random"}, start={"whitening": "none"}, prefetch=False, pause=0)
    bench.map.method.value = "pca"
    bench.compared = True
    bench.b.state.aggregation = "mac"
    bench.b.state.tap = "stem"
    assert bench.work.wait()
    assert bench.error.value == ""
    notes = [*bench.a.gallery.notes, *bench.b.gallery.notes]
    assert "gone (after 6)" in notes
    assert "new (after 6)" in notes
    assert len(bench.a.gallery.ids) <= 6
    bench.close()


def test_a_fusion_of_codes_fuses_their_lists_and_says_what_it_cannot_join(things, warm):
    members = [Recipe(**{**RECIPE.without(), "compression": one}) for one in ("lsh(bits=16)", "float16")]
    fused = run_fusion(Fusion(members=members, method="rrf"), dataset=things, store=warm, progress=False)
    assert fused.index_bytes == (2 + 2 * fused.members[1].dim) * 40
    with pytest.raises(ValueError, match="joins full descriptors, so members need compression 'none'"):
        Fusion(members=members, method="early")
    with pytest.raises(ValueError, match="needs complete lists"):
        Fusion(members=[Recipe(index="hnsw"), Recipe(tap="layer2", index="hnsw")], method="rrf")


@pytest.mark.parametrize("index", ["ivf(lists=2)", "hnsw", "exact"])
@pytest.mark.parametrize("compression", ["none", "itq(bits=8)", "sq"])
def test_codes_and_indexes_are_made_once_and_found_in_the_store(things, warm, monkeypatch, index, compression):
    recipe = Recipe(**{**RECIPE.without(), "index": index, "compression": compression, "rescore": 40})
    found = run(recipe, dataset=things, store=warm, progress=False)
    plain = run(RECIPE, dataset=things, store=warm, progress=False)
    assert found.recall == 1  # two lists are both visited, and 40 results scored again
    assert np.array_equal(found.ranking.images, plain.ranking.images)

    def refuse(*_, **__):
        raise AssertionError("it was made before")

    monkeypatch.setattr("cbirlab.pipeline.fitting.learn_from", refuse)
    for name in ("IVF", "HNSW"):
        monkeypatch.setattr(f"cbirlab.index.approximate.{name}._built", refuse)
    again = run(recipe, dataset=things, store=warm, progress=False)
    assert np.array_equal(again.ranking.scores, found.ranking.scores)
    assert again.build_seconds == found.build_seconds or index == "exact"
    assert again.bytes_per_image == found.bytes_per_image


def test_dials_need_no_new_index(things, warm, monkeypatch):
    backbone = load_backbone("toynet", "random")
    recipes = [
        Recipe(**{**RECIPE.without(), "index": f"ivf(lists=4, probes={n})"}).resolved(things, backbone) for n in (1, 4)
    ]
    bench = Bench(things, backbone, recipes[0], store=warm, progress=False)
    few = bench.run(recipes[0])
    for name in ("_built", "restore"):
        monkeypatch.setattr(IVF, name, lambda *_: pytest.fail("it was there already"))
    all_of_them = bench.run(recipes[1])
    assert few.recall < all_of_them.recall == 1
    assert bench.run(recipes[0]).recall == few.recall


def test_what_cannot_hold_a_code_is_said_before_anything_is_computed():
    for fields, said in [
        ({"index": "hamming"}, "needs a binary compression with distance 'symmetric'"),
        ({"index": "ivf", "compression": "itq(distance=asymmetric)"}, "needs a binary compression with distance 'symm"),
        ({"index": "fastscan", "compression": "sq"}, r"needs compression 'pq\(bits=4\)'"),
        ({"aggregation": "asmk", "compression": "sq"}, "compares words or views"),
        ({"rescore": -1}, "rescore must be a whole number"),
    ]:
        with pytest.raises(ValueError, match=said):
            Recipe(**fields)


@pytest.mark.parametrize("fields", [{"compression": "itq(bits=8)"}, {"index": "ivf(lists=2)"}])
def test_codes_and_lists_that_learn_on_the_database_are_told_as_a_leak(things, warm, fields):
    learned, leaking = (
        run(
            Recipe(**{**RECIPE.without(), **fields, "whitening_set": name}), dataset=things, store=warm, progress=False
        ).leak
        for name in ("train", "database")
    )
    assert learned == ""
    assert leaking == "learned on 40 of the 40 evaluated images"
    plain = Recipe(**{**RECIPE.without(), "whitening_set": "database"})
    assert run(plain, dataset=things, store=warm, progress=False).leak == ""
