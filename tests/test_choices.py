"""Choices: what each of them changes, against loops, `evaluate` and runs of their own; published spreads; refusals."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from test_evaluation import dataset as made
from test_evaluation import random_benchmark, ranked

import cbirlab
from cbirlab import plots, tables
from cbirlab.backbones.weights import published_weights
from cbirlab.cli import main
from cbirlab.evaluation import PROTOCOLS, evaluate, paired_difference, paired_interval
from cbirlab.exercises.protocols import made_ranking
from cbirlab.images.preprocessing import CROP, RESIZE
from cbirlab.index import Ranking
from cbirlab.pipeline import Recipe, run
from cbirlab.study.choices import CHOICES, Judging, differences, ranking_differences, read_ranking, write_ranking
from cbirlab.study.choices.judging import MEASURES
from cbirlab.study.choices.recipes import reruns

RECIPE = Recipe(dataset="things", weights="random", whitening="pca", dimensions=8, image_size=48)
REVISITED = PROTOCOLS["revisited"]


# Judging


@pytest.mark.parametrize("cut", [None, 25])
@pytest.mark.parametrize("level", ["easy", "medium", "hard"])
@pytest.mark.parametrize("method", ["trapezoid", "finite-sum"])
def test_the_usual_judging_is_that_of_evaluate(cut, level, method):
    rng = np.random.default_rng(5)
    for _ in range(20):
        ranking, data = random_benchmark(rng, cut=cut)
        own = [int(rng.integers(60)) if rng.random() < 0.5 else None for _ in data.queries]
        data = made([dict(one) for one in data.labels], 60, own=own)
        for protocol in (REVISITED, replace(REVISITED, own_image="kept")):
            wanted = evaluate(ranking, data, protocol, method, resamples=0).per_query[level]
            usual = Judging.of(protocol.with_average_precision(method), level)
            np.testing.assert_allclose(usual.values(ranking, data), wanted, rtol=1e-12)


def slow(judging: Judging, order: list[int], labels: dict, own: int | None) -> float:
    """One query, in loops."""
    right = {row for name in judging.level.positive for row in labels.get(name, ())}
    junk = {row for name in judging.level.junk for row in labels.get(name, ())}
    if judging.junk == "right":
        right |= junk
    if judging.junk != "ignored":
        junk = set()
    if own is not None and judging.own_image != "as labelled":
        right.discard(own)
        junk.discard(own)
        if judging.own_image == "right":
            right.add(own)
        if judging.own_image == "dropped":
            junk.add(own)
    if not right:
        return math.nan
    seen = [row in right for row in order[: judging.results] if row not in junk]
    first = seen[:10]
    if judging.measure.startswith("precision"):
        if judging.measure == "precision up to the last right":
            complete = sum(seen) == len(right)
            while complete and first and not first[-1]:
                first.pop()
            beyond = complete and len(seen) > 10 and not any(seen[10:])
            length = len(first) if complete and (beyond or len(seen) <= 10) else 10
            return sum(first) / max(1, length)
        return sum(first) / (10 if judging.measure == "precision over 10" else min(10, len(right)))
    before = total = trapezoid = at_r = 0.0
    last = 1.0
    for place, hit in enumerate(seen):
        before += hit
        precision = before / (place + 1)
        if hit:
            total += precision
            trapezoid += (last + precision) / 2
            at_r += precision if place < len(right) else 0.0
        last = precision
    if judging.measure == "over min(right, results)":
        return total / min(len(right), judging.results or len(right))
    if judging.measure == "over right in results":
        return total / sum(seen) if any(seen) else 0.0
    return {"trapezoid": trapezoid, "finite-sum": total, "map@r": at_r}[judging.measure] / len(right)


@pytest.mark.parametrize("measure", MEASURES)
def test_every_way_of_judging_is_its_loops(measure):
    rng = np.random.default_rng(11)
    for junk in ("ignored", "wrong", "right"):
        for own_image in ("dropped", "as labelled", "wrong", "right"):
            for results in (None, 7, 30):
                ranking, data = random_benchmark(rng, queries=12)
                own = [int(rng.integers(60)) if rng.random() < 0.5 else None for _ in data.queries]
                data = made([dict(one) for one in data.labels], 60, own=own)
                for level in REVISITED.levels:
                    judging = Judging(level, measure, junk, own_image, results)
                    found = judging.values(ranking, data)
                    rows = zip(ranking.images.tolist(), data.labels, own, strict=True)
                    wanted = [slow(judging, order, dict(labels), one) for order, labels, one in rows]
                    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_one_ranking_has_the_numbers_of_five_evaluators():
    """2,000 rankings, run through the codes of the field: 14.43, 16.39, 10.03, 48.65 and 31.00 for one and the same."""
    ranking, data = made_ranking()
    usual = Judging.of(PROTOCOLS["retrieval"])
    ways = [("trapezoid", None), ("finite-sum", None), ("map@r", None)]
    ways += [("over right in results", 5), ("over right in results", 50)]
    found = [100 * replace(usual, measure=name, results=cut).values(ranking, data).mean() for name, cut in ways]
    np.testing.assert_allclose(found, [14.43, 16.39, 10.03, 48.65, 31.00], atol=0.005)


def test_precision_of_a_single_right_answer_depends_on_the_denominator():
    level = PROTOCOLS["retrieval"].levels[0]
    data = made([{"positive": [0]}], 20, protocol="retrieval")
    ranking = ranked([list(range(20))])
    found = {name: Judging(level, name).values(ranking, data)[0] for name in MEASURES if name.startswith("precision")}
    assert list(found.values()) == [1.0, 0.1, 1.0]


def test_a_query_without_a_right_answer_does_not_count():
    data = made([{"positive": [0]}, {}], 12, protocol="retrieval")
    ranking = ranked([list(range(12))] * 2)
    for name in MEASURES:
        values = Judging(PROTOCOLS["retrieval"].levels[0], name).values(ranking, data)
        assert not np.isnan(values[0])
        assert np.isnan(values[1])
    assert set(ranking_differences(ranking, data).query("note == ''")["queries"]) == {1}


# Rankings


def test_of_a_ranking_every_row_is_two_judgings_and_their_paired_interval():
    ranking, data = random_benchmark(np.random.default_rng(3), queries=30, count=150)
    data = made([dict(one) for one in data.labels], 150, own=[3, *[None] * 29])
    frame = ranking_differences(ranking, data).set_index(["choice", "to"])
    usual = Judging.of(REVISITED)
    others = {
        ("junk", "wrong"): replace(usual, junk="wrong"),
        ("junk", "right"): replace(usual, junk="right"),
        ("own_image", "right"): replace(usual, own_image="right"),
        ("level", "easy"): replace(usual, level=REVISITED.levels[0]),
        ("average_precision", "finite-sum"): replace(usual, measure="finite-sum"),
        ("results", "10"): replace(usual, results=10),
    }
    before = usual.values(ranking, data)
    for name, judging in others.items():
        row, after = frame.loc[name], judging.values(ranking, data)
        both = ~np.isnan(before) & ~np.isnan(after)
        interval = paired_difference(after, before)
        assert row["before"] == pytest.approx(before[both].mean())
        assert row["value"] == pytest.approx(after[both].mean())
        assert row["change"] == pytest.approx(row["value"] - row["before"])
        assert (row["change_low"], row["change_high"]) == pytest.approx((interval.low, interval.high))
        assert row["queries"] == both.sum()
        assert row["metric"] == "map_medium"
    assert not frame["forward_pass"].any()
    assert set(frame.index.get_level_values(0)) == set(CHOICES.options[CHOICES.options.index("junk") :])


@pytest.mark.parametrize("name", [name for name in PROTOCOLS if name != "revisited"])
def test_a_protocol_is_judged_by_its_own_metric(name):
    protocol, rng = PROTOCOLS[name], np.random.default_rng(7)
    sought = protocol.levels[0].positive[0]
    labels = [{sought: rng.permutation(130)[: rng.integers(9)].tolist()} for _ in range(25)]
    data = made(labels, 130, protocol=name, own=[5, *[None] * 24])
    images = np.array([rng.permutation(130) for _ in labels])
    for query in range(0, 25, 2):  # some start with a right answer
        if rows := labels[query][sought]:
            images[query] = [rows[0], *images[query][images[query] != rows[0]]]
    ranking = Ranking(images, np.sort(rng.random(images.shape).astype(np.float32), axis=1)[:, ::-1])
    usual = evaluate(ranking, data)
    frame = ranking_differences(ranking, data).set_index(["choice", "to"])
    cut = frame.loc["results", "10"]
    shorter = evaluate(Ranking(ranking.images[:, :10], ranking.scores[:, :10]), data)
    assert cut["metric"] == protocol.main
    assert cut["before"] == pytest.approx(usual.metrics[protocol.main])
    assert cut["value"] == pytest.approx(shorter.metrics[protocol.main])
    assert (cut["change_low"], cut["change_high"]) == pytest.approx(paired_interval(shorter, usual)[1:])
    assert frame.loc[("own_image", "wrong"), "metric"] == protocol.main
    assert frame.loc[("average_precision", "map@r"), "metric"] == "map"


def test_what_does_not_apply_says_why():
    ranking, data = made_ranking(20, 8, right=2)
    frame = ranking_differences(ranking, data).set_index("choice")
    for name, why in {
        "junk": "no image is junk at this level",
        "own_image": "no query is in the database",
        "level": "the protocol retrieval has one level",
    }.items():
        assert frame.loc[name, "note"] == why
        assert np.isnan(frame.loc[name, "change"])
        assert frame.loc[name, "before"] == pytest.approx(evaluate(ranking, data).metrics["map"])
    assert set(frame.loc["results", "note"]) == {"the list is no longer than that"}


def test_what_is_no_ranking_of_the_dataset_is_refused():
    ranking, data = random_benchmark(np.random.default_rng(0))
    with pytest.raises(ValueError, match="one row per query"):
        ranking_differences(ranked([[0, 1]]), data)
    with pytest.raises(ValueError, match="at most once"):
        ranking_differences(ranked([[0, 0]] * 9), data)
    with pytest.raises(ValueError, match="choices must be one of 'crop'"):
        ranking_differences(ranking, data, choices=["jnk"])
    with pytest.raises(ValueError, match="level must be one of easy, medium, hard, got 'harder'"):
        ranking_differences(ranking, data, level="harder")
    with pytest.raises(ValueError, match="no ground truth"):
        ranking_differences(ranking, replace(data, labels=()))


# Recipes


@pytest.fixture(scope="module")
def explained(pictures, warm):
    data = cbirlab.load_dataset(pictures, name="things", train=pictures.parent / "train", image_size=64)
    data = replace(data, queries=tuple(replace(one, box=(5.0, 8.0, 40.0, 44.0)) for one in data.queries))
    return data, differences(RECIPE, dataset=data, store=warm, progress=False, choices=[*CHOICES.options[:4], "scales"])


def test_of_a_recipe_every_row_is_a_run_of_the_changed_recipe(explained, warm):
    data, frame = explained
    usual = run(RECIPE, dataset=data, store=warm, progress=False)
    ap, groups = usual.evaluation.per_query["map"], usual.evaluation.groups
    assert len(frame) == 2 + 5 + 3 + 1 + 2
    for row in frame.itertuples():
        changed = Recipe.from_json(row.recipe)
        asked = {name: value for name, value in vars(changed).items() if value != getattr(usual.recipe, name)}
        assert list(asked) == [row.choice]
        other = run(changed, dataset=data, store=warm, progress=False)
        interval = paired_difference(other.evaluation.per_query["map"], ap, groups=groups)
        assert row.before == pytest.approx(usual.metrics["map"])
        assert row.value == pytest.approx(other.metrics["map"])
        assert (row.change, row.change_low, row.change_high) == pytest.approx(tuple(interval))
    assert frame["forward_pass"].all()
    assert set(frame.query("choice == 'crop'")["to"]) == set(CROP.options) - {"box"}
    assert set(frame.query("choice == 'resize'")["to"]) == set(RESIZE.options) - {"long_side"}
    assert frame["change"].abs().max() > 0.001


def test_a_recipe_without_boxes_or_resizing_says_so(things, warm):
    recipe = replace(RECIPE, image_size=64, whitening="none", dimensions=None)
    names = ["crop", "interpolation", "antialias", "weights", "whitening_set"]
    frame = differences(recipe, dataset=things, store=warm, progress=False, choices=names).set_index("choice")
    assert frame["note"].to_dict() == {
        "crop": "no query has a box",
        "interpolation": "no picture is resized: none is larger than 64 pixels",
        "antialias": "no picture is resized: none is larger than 64 pixels",
        "weights": "toynet has no other published weights",
        "whitening_set": "nothing is learned",
    }
    assert frame["change"].isna().all()
    assert not frame["forward_pass"].any()
    assert set(frame["recipe"]) == {""}


def test_a_box_that_is_resized_makes_the_interpolation_count(explained, warm):
    data, _ = explained
    for crop, idle in (("box", True), ("box_resized", False)):
        recipe = replace(RECIPE, image_size=64, whitening="none", dimensions=None, crop=crop, protocol="retrieval")
        found = [one for one in reruns(recipe, data, warm) if one.choice == "interpolation"]
        assert [bool(one.note) for one in found] == [True] * idle + [False] * 3 * (not idle)


def test_what_a_recipe_cannot_be_combined_with_is_a_note(things, warm):
    grid = replace(RECIPE, passes="grid(rows=2, columns=2)", whitening="none", dimensions=None)
    frame = differences(grid, dataset=things, store=warm, progress=False, choices=["resize"]).set_index("to")
    assert "needs passes 'single'" in frame.loc["centre_crop", "note"]
    assert not np.isnan(frame.loc["square", "change"])
    near = replace(RECIPE, interpolation="nearest")
    frame = differences(near, dataset=things, store=warm, progress=False, choices=["antialias"])
    assert frame["note"].tolist() == ["interpolation nearest reads single pixels, which antialias does not change"]


def test_learning_on_the_evaluated_images_is_told_as_a_leak(things, warm):
    frame = differences(RECIPE, dataset=things, store=warm, progress=False, choices=["whitening_set", "own_image"])
    leak = frame.query("to == 'things/images'").iloc[0]
    assert leak["note"] == "learned on 40 of the 40 evaluated images"
    assert not leak["forward_pass"]
    assert "toytown/train" in set(frame["to"])
    own = frame.query("choice == 'own_image'").set_index("to")
    assert own.loc["right", "change"] > 0, "the query finds itself first"
    assert own.loc["wrong", "change"] < 0


def test_other_weights_are_run_where_they_are_here_and_never_downloaded(things, warm, tmp_path, monkeypatch):
    monkeypatch.setenv("CBIRLAB_WEIGHTS", str(tmp_path))
    recipe = Recipe(backbone="resnet50", weights="IMAGENET1K_V1", tap="layer4", image_size=64)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path / "hub"))

    def others():
        return [one for one in reruns(recipe, things, warm) if one.choice == "weights"]

    assert [(one.to, one.recipe) for one in others()] == [("IMAGENET1K_V2", None)]
    assert "not on this machine" in others()[0].note
    (tmp_path / published_weights("resnet50")["IMAGENET1K_V2"].file_name).write_bytes(b"")
    assert [one.recipe.weights for one in others()] == ["IMAGENET1K_V2"]
    own = replace(recipe, weights=None)
    assert [one.was for one in reruns(own, things, warm) if one.choice == "weights"] == ["IMAGENET1K_V1"]


# Files, figures, command line


def test_a_ranking_file_is_read_as_it_was_written(tmp_path):
    ranking, _ = random_benchmark(np.random.default_rng(1))
    found = read_ranking(write_ranking(ranking, tmp_path / "new" / "ranking.npz"))
    np.testing.assert_array_equal(found.images, ranking.images)
    np.testing.assert_array_equal(found.scores, ranking.scores)
    np.savez(tmp_path / "bare.npz", images=ranking.images.astype(np.uint16))
    bare = read_ranking(tmp_path / "bare.npz")
    np.testing.assert_array_equal(bare.images, ranking.images)
    assert (np.diff(bare.scores) < 0).all()
    with pytest.raises(ValueError, match=r"must end in \.npz"):
        write_ranking(ranking, tmp_path / "ranking.csv")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "'images' must be whole numbers .*, got none"),
        ({"images": np.zeros((2, 3))}, "got float64 of shape"),
        ({"images": np.zeros(3, int)}, "got int64 of shape"),
        ({"images": np.zeros((2, 3), int), "scores": np.zeros((2, 2))}, r"'scores' must be numbers of the shape"),
        ({"images": np.array([[object()]])}, r"cannot be read as an \.npz of plain arrays"),
    ],
)
def test_another_file_is_refused_in_one_sentence(tmp_path, arrays, message):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(ValueError, match=message) as caught:
        read_ranking(tmp_path / "x.npz")
    assert "x.npz" in str(caught.value)


def test_a_list_that_minus_one_ends_is_filled_with_what_is_no_answer(tmp_path):
    rng = np.random.default_rng(5)
    for k in (1, 4, 9):
        rows = np.array([rng.permutation(9)[:k] for _ in range(20)])
        ends = rng.integers(0, k + 1, 20)
        rows[np.arange(k) >= ends[:, None]] = -1
        scores = np.where(rows < 0, np.float32(-3.4e38), -np.arange(k, dtype=np.float32))
        np.savez(tmp_path / "faiss.npz", images=rows, scores=scores)
        found = read_ranking(tmp_path / "faiss.npz")
        for line, fallen, given, end in zip(found.images, found.scores, rows, ends, strict=True):
            assert line[:end].tolist() == given[:end].tolist()
            assert len({*line}) == k
            assert 0 <= min(line) <= max(line) < 9
            assert np.isneginf(fallen).tolist() == [place >= end for place in range(k)]


def test_a_list_longer_than_the_database_is_cut_where_nothing_stands(tmp_path):
    _, data = random_benchmark(np.random.default_rng(1), queries=4, count=12)
    rows = np.tile(np.append(np.arange(12), [-1] * 8), (4, 1))
    np.savez(tmp_path / "x.npz", images=rows)
    assert read_ranking(tmp_path / "x.npz", data).images.shape == (4, 12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r, s: (r, -s), "scores must not rise .* are they distances"),
        (lambda r, s: (r, np.where(r == 3, np.nan, s)), "scores must be finite, or -inf .* got NaN or infinity"),
        (lambda r, s: (r, np.where(r == 3, np.inf, s)), "scores must be finite, or -inf .* got NaN or infinity"),
        (
            lambda r, s: (r, np.where(np.arange(12) % 3, s, s[:, ::-1])),
            "scores must not rise from one result to the next",
        ),
        (lambda r, s: (r + 1, s), r"'images' must count rows from 0, but these lie in \[1, 12\]; subtract 1"),
        (lambda r, s: (r + 7, s), "'images' must hold rows of the 12 images of .*, from 0 to 11, got 18"),
        (lambda r, s: (r.T, s.T), r"has 4 queries: it seems to be transposed; save images\.T"),
        (lambda r, s: (r // 2, s), "'images' must have each row at most once in a line, but query 0 has one twice"),
        (lambda r, s: (np.where(r == 3, -1, r), s), "-1 ends a line, and only -1 may follow it"),
        (lambda r, s: (r - 5, s), "'images' must hold rows from 0"),
        (lambda r, s: (r.astype(float), s), "must be whole numbers .*, got float64"),
    ],
)
def test_rankings_of_another_sense_are_refused_and_told(tmp_path, change, message):
    _, data = random_benchmark(np.random.default_rng(1), queries=4, count=12)
    rows = np.array([np.random.default_rng([8, query]).permutation(12) for query in range(4)])
    rows[0] = np.arange(12)
    scores = -np.sort(np.random.default_rng(9).random((4, 12)).astype(np.float32), axis=1)
    np.savez(tmp_path / "fine.npz", images=rows, scores=scores)
    np.testing.assert_array_equal(read_ranking(tmp_path / "fine.npz", data).images, rows)
    images, values = change(rows, scores)
    np.savez(tmp_path / "x.npz", images=images, scores=values)
    with pytest.raises(ValueError, match=message) as caught:
        read_ranking(tmp_path / "x.npz", data)
    assert "x.npz" in str(caught.value)


def test_rows_that_seem_to_count_from_1_are_told_without_a_dataset(tmp_path):
    np.savez(tmp_path / "x.npz", images=np.array([[2, 1, 3], [3, 2, 1]]))
    with pytest.warns(UserWarning, match="hold the rows 1 to K and never 0"):
        assert read_ranking(tmp_path / "x.npz").images.max() == 3


def test_what_is_no_archive_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_ranking(tmp_path / "none.npz")
    np.save(tmp_path / "x.npy", np.zeros((2, 3), int))
    (tmp_path / "text.npz").write_text("0 1 2")
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04" + bytes(20))
    for name in ("x.npy", "text.npz", "cut.npz"):
        with pytest.raises(ValueError, match=r"cannot be read as an \.npz") as caught:
            read_ranking(tmp_path / name)
        assert "allow_pickle" not in str(caught.value)


def test_the_figure_shows_what_applies():
    ranking, data = random_benchmark(np.random.default_rng(3), queries=30, count=150)
    frame = ranking_differences(ranking, data)
    frame.loc[frame["choice"] == "level", "forward_pass"] = True
    ax = plots.changes(frame)
    shown = frame[frame["change"].notna()]
    assert 0 < len(shown) < len(frame)
    assert len(ax.get_yticklabels()) == len(shown)
    assert sorted(bar.get_width() for bar in ax.patches) == pytest.approx(sorted(shown["change"]))
    assert ax.get_legend_handles_labels()[1] == ["no forward pass", "a forward pass"]
    frame = frame.replace({"from": {"trapezoid": "a name so long that the axes are narrow, as of a whitening set"}})
    ax = plots.changes(frame)
    plots.png(ax)  # places all
    assert ax.get_legend().get_window_extent().x1 <= ax.get_figure().bbox.x1, "the legend is cut off"
    with pytest.raises(ValueError, match="must have a row"):
        plots.changes(frame[frame["change"].isna()])


def test_why_from_a_terminal(pictures, warm, tmp_path, capsys):
    shared = ["--dataset", str(pictures), "--store", str(warm.path), "--quiet"]
    recipe = ["--weights", "random", "--image-size", "48"]
    assert main(["run", *shared, *recipe, "--save-ranking", str(tmp_path / "ranking.npz")]) == 0
    assert "written: " in capsys.readouterr().out
    of_ranking = ["why", *shared, "--ranking", str(tmp_path / "ranking.npz"), "--out", str(tmp_path / "why.csv")]
    assert main([*of_ranking, "--average-precision", "finite-sum"]) == 0
    assert "| average_precision | finite-sum" in capsys.readouterr().out
    assert main(of_ranking) == 0
    of_recipe = ["why", *shared, *recipe, "--choice", "antialias", "own_image", "--out", str(tmp_path / "both.csv")]
    assert main(of_recipe) == 0
    printed = capsys.readouterr().out
    assert "no other" not in printed
    assert "| yes" in printed
    one, two = (tables.read(tmp_path / name) for name in ("why.csv", "both.csv"))
    pair = [frame.query("choice == 'own_image' and to == 'right'")["change"].item() for frame in (one, two)]
    assert pair[0] == pytest.approx(pair[1])
    saved = Recipe.from_json(tables.read_recipe(two.query("choice == 'antialias'").iloc[0].to_dict()))
    assert saved.antialias is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--choice", "jnk"], "each must be one of 'crop'"),
        (["--ranking", "x.npz", "--tap", "layer4"], "which other options cannot change; leave out tap"),
        (["--ranking", "x.npz", "--average-precision", "sum"], "average_precision must be one of"),
        (["--out", "x.doc"], "--out must end in one of"),
        (["--crop", "nine"], "crop must be one of"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_computed(arguments, message, capsys):
    assert main(["why", *arguments]) == 2
    assert message in capsys.readouterr().err
