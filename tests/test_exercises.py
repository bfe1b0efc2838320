"""Exercises: right answers, hints in their order, known mistakes, kinds of answers; formulas against the library."""

from __future__ import annotations

from inspect import signature
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from fake_session import write_toytown_form

from cbirlab import AGGREGATIONS, ATTENTIONS, ENCODINGS, Recipe, load_dataset, run
from cbirlab.base.params import parameters
from cbirlab.base.registry import UnknownName
from cbirlab.exercises import EXERCISES, Solution, check, embedding, is_best, judge, part_of, solution, spread
from cbirlab.exercises.base import told_apart
from cbirlab.fusion import versus
from cbirlab.whitening import learn, project

GEM = "2_pooling.1"


@pytest.fixture
def exercise_of(request):
    """Registers a solution for one test."""

    def add(found: Solution) -> str:
        EXERCISES.add("test.1", lambda: found, title="a test")
        request.addfinalizer(lambda: EXERCISES.remove("test.1"))
        return "test.1"

    return add


def test_right_wrong_and_not_yet(capsys):
    check(GEM, 2.08)
    check(GEM, 1.5)
    check(GEM, ...)
    right, wrong, open_ = capsys.readouterr().out.splitlines()
    assert right.startswith("Right. ")
    assert wrong == "Not yet. That is the mean, GeM with p = 1."
    assert open_.startswith("Not answered yet")


def test_hints_come_one_by_one_and_the_solution_never(capsys, exercise_of):
    name = exercise_of(Solution(answer=12.5, why="so", hints=("first", "second")))
    for answer in (1, 2, 1, 3, 4):
        check(name, answer)
    assert capsys.readouterr().out.splitlines() == [
        "Not yet. first",
        "Not yet. second",
        "Not yet. first",
        "Not yet. second",
        "Not yet. second",
    ]


@pytest.mark.parametrize(
    ("wanted", "right", "wrong"),
    [
        (2.0, (2, 2.0, np.float32(2.001)), (2.1, "2", True, [2.0], None.__class__)),
        (14, (14, 14.0, np.int64(14)), (14.05, 15, "14")),
        ("gem", ("gem", "GeM", " gem(p=3) "), ("mac", "", 3, ["gem"])),
        ([1.0, 2.0], ([1, 2], (1.0, 2.0), np.array([1, 2])), ([2, 1], [1], [1, 2, 0], [[1, 2]], "1, 2", 1.0)),
        ([0, 1], ([0, 1], (0, 1)), ([0, 1.001],)),
        ({"a", "b"}, (["b", "a"], {"A", "b"}, ("a", "b", "a")), (["a"], "a", ["a", "b", "c"], [1, 2], 1)),
    ],
)
def test_kinds_of_answers(exercise_of, wanted, right, wrong):
    name = exercise_of(Solution(answer=wanted, why="so", hints=("hint",)))
    assert judge(name, ...).right is None
    for answer in right:
        assert judge(name, answer) == (True, "Right. so"), answer
    for answer in wrong:
        verdict = judge(name, answer)
        assert verdict.right is False, answer
        assert verdict.sentence.startswith("Not yet"), answer


def test_another_kind_is_told(exercise_of):
    name = exercise_of(Solution(answer=[1.0, 2.0], why="so", hints=("hint",)))
    assert judge(name, 3.0).sentence == "Not yet: the answer is a list of 2 numbers, got 3.0."


def test_a_number_that_is_close_is_told_so(exercise_of):
    name = exercise_of(Solution(answer=2.0, why="so", hints=("hint",)))
    assert judge(name, 2.05).sentence == "Not yet, but close: give one more digit."
    assert judge(name, 2.2).sentence == "Not yet. hint"


def test_unknown_exercise_and_missing_table():
    with pytest.raises(UnknownName, match=r"Did you mean .*2_pooling.1"):
        check("2_poling.1", 1)
    with pytest.raises(TypeError, match="table"):
        solution("2_pooling.prediction")


def by_hand(name):
    """Whether an exercise needs nothing that was measured; tests/test_notebooks.py tries the others."""
    return all(one.default is not one.empty for one in signature(EXERCISES[name]).parameters.values())


@pytest.mark.parametrize("name", [name for name in EXERCISES if by_hand(name)])
def test_exercises_by_hand(name):
    """They are right without anything measured, and know their mistakes from the answer."""
    found = solution(name)
    assert judge(name, found.answer).right is True
    for mistake, sentence in found.mistakes:
        assert judge(name, mistake) == (False, f"Not yet. {sentence}")


def test_gem_by_hand_is_gem():
    maps = torch.tensor([[0.0, 1.0], [2.0, 3.0]])[None, None]
    assert solution(GEM).answer == pytest.approx(AGGREGATIONS["gem"](maps, p=3.0).item(), rel=1e-5)


def test_delfs_numbers_of_gem():
    """tensorflow/models, delf pooling_test.py: the two channels of its 2 x 2 map."""
    numbers = [solution(GEM, values=values).answer for values in ((0, 2, 4, 6), (1, 3, 5, 7))]
    assert numbers == pytest.approx([4.1601677, 4.9866314])


def test_crow_by_hand_is_crow():
    maps = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[0.0, 5.0], [0.0, 0.0]]])[None]
    assert solution("2_pooling.2").answer == pytest.approx(ATTENTIONS["crow_channel"](maps)[0, 1].item(), rel=1e-5)


def test_pwa_is_as_wide_as_said():
    proposals = parameters(AGGREGATIONS["pwa"])["proposals"].default
    maps = torch.rand(1, 30, 4, 4, generator=torch.Generator().manual_seed(0))
    assert AGGREGATIONS["pwa"](maps).shape[1] == solution("2_pooling.5", channels=30, proposals=proposals).answer


def test_whitening_by_hand_is_whitening():
    """Four points with mean (1, 1) and variances 4 and 1 along the axes."""
    spread_out = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]) * [np.sqrt(6), np.sqrt(1.5)]
    whitening = learn("pca", np.ones((2, 2)) + np.eye(2)).fit(spread_out + 1)
    found = np.abs(whitening.transform(np.array([[5.0, 3.0]]))[0])
    np.testing.assert_allclose(found, solution("3_whitening.1").answer, rtol=1e-6)


@pytest.mark.parametrize("power", [0.0, 0.25, 0.5])
def test_power_leaves_the_variance_that_is_said(power):
    cloud = np.random.default_rng(0).normal(size=(500, 2)) * [3.0, 1.0]
    fitted = learn(f"pca(power={power})", cloud)
    unit = cloud / np.linalg.norm(cloud, axis=1, keepdims=True)
    left = project(fitted, cloud).var(axis=0, ddof=1)
    expected = [
        solution("3_whitening.2", variance=one, power=power).answer for one in np.linalg.eigvalsh(np.cov(unit.T))
    ]
    np.testing.assert_allclose(sorted(left), sorted(expected), rtol=1e-4)


def test_few_images_leave_few_dimensions():
    random = np.random.default_rng(0)
    for images, width in ((10, 20), (20, 10)):
        fitted = learn("pca", random.normal(size=(images, width)))
        assert fitted.n_components_ == solution("3_whitening.3", images=images, width=width).answer


def test_embedding_by_hand_is_that_of_the_encodings():
    """And of DELF: feature_aggregation_extractor_test.py of tensorflow/models."""
    centres, columns = np.array(embedding.CENTRES, np.float32), torch.tensor([embedding.COLUMNS])
    raw = {}
    for name in ("bow", "vlad"):
        plain = {"root": False, "intra": False} if name == "vlad" else {}
        encoder = ENCODINGS[name](k=5, local_dims=None, normalise=False, **plain).fit(centres + 10)
        encoder.centres_ = centres
        raw[name] = encoder.encode(columns)[0].numpy()
    for name, exercise in (("bow", "5_embedding.1"), ("vlad", "5_embedding.2")):
        expected = np.array(solution(exercise).answer, float)
        np.testing.assert_allclose(raw[name], expected / np.linalg.norm(expected), atol=1e-6)
    assert solution("5_embedding.2").answer == [0, 0, 0, 0, 0, 0, -0.5, 0.5, 1, 1]


def test_fisher_vector_is_as_wide_as_said():
    assert ENCODINGS["fisher"](k=32, local_dims=None).width(128) == solution("5_embedding.3").answer


def test_gain_per_pass_is_not_the_highest_map():
    table = pd.DataFrame(
        {"scheme": ["single", "grid", "spm"], "forward_passes": [1.0, 5.0, 21.0], "map_medium": [0.5, 0.54, 0.6]}
    )
    name = "4_regions_and_passes.3"
    assert judge(name, "grid", table=table).right is True
    assert "highest mAP" in judge(name, "spm", table=table).sentence
    assert judge("4_regions_and_passes.prediction", "spm", table=pd.concat([table, table[:1]])).right is True


def test_an_interval_decides():
    wins = pd.DataFrame({"difference": [0.1, -0.2]})
    for low, high, word in ((0.01, 0.2, "yes"), (-0.2, -0.01, "no"), (-0.1, 0.1, "cannot tell")):
        wins.attrs = {"low": low, "high": high, "mean_difference": (low + high) / 2}
        assert told_apart(wins)[0] == word


def test_a_part_has_all_that_its_queries_label():
    whole = load_dataset("toytown")
    part = part_of(whole, queries=6, images=120, train=50)
    assert (len(part.queries), len(part.images), len(part.train)) == (6, 120, 50)
    assert len(part.train_instances) == 50
    assert part.name != whole.name
    assert part.train_name != whole.train_name
    for query, labels, pairs in zip(part.queries, part.labels, part.metadata["pairs"], strict=True):
        old = [one.path for one in whole.queries].index(query.path)
        for label, rows in labels.items():
            assert [part.images[row] for row in rows] == [whole.images[row] for row in whole.labels[old][label]]
        known = [whole.images[row] for row in whole.metadata["pairs"][old]["index"]]
        assert [part.images[row] for row in pairs["index"]] == known
        assert pairs["overlap"] == whole.metadata["pairs"][old]["overlap"]
    names = [row["name"] for row in part.metadata["images"]]
    assert names == [path.stem for path in part.images]


def test_a_part_may_be_the_whole():
    whole = load_dataset("toytown")
    part = part_of(whole, queries=1000, images=10_000)
    assert (part.images, part.labels, part.train_name) == (whole.images, whole.labels, whole.train_name)


@pytest.mark.parametrize(
    ("most", "expected"), [(3, [0, 3, 6]), (10, [*range(10)]), (99, [*range(10)]), (0, []), (-2, [])]
)
def test_spread(most, expected):
    assert spread(range(10), most) == expected


def test_the_tours_questions_are_answered_by_what_was_measured(tmp_path, store):
    towers = str(write_toytown_form(tmp_path / "towers"))
    taps = ("stem", "layer2", "layer4")
    recipes = {tap: Recipe(dataset=towers, weights="random", tap=tap) for tap in taps}
    runs = {tap: run(recipe, store=store, progress=False) for tap, recipe in recipes.items()}
    values = {tap: one.metrics["map_medium"] for tap, one in runs.items()}
    best, worst = max(values, key=values.__getitem__), min(values, key=values.__getitem__)
    second = sorted(values, key=values.__getitem__)[1]
    won = versus(runs[worst], runs[best]).attrs
    assert is_best(worst, runs) == (
        f"{'No' if won['high'] < 0 and won['p'] <= 0.05 else 'One cannot tell'}. "
        f"mAP (Medium) is {values[worst]:.3f} with {worst} and {values[best]:.3f} with {best}: "
        f"{won['mean_difference']:+.3f} with the 95 % interval [{won['low']:+.3f}, {won['high']:+.3f}] "
        f"and p {won['p']:.2g}."
    )
    assert f"with {best} and {values[second]:.3f} with {second}" in is_best(best, runs), "the best of the others"
    with pytest.raises(ValueError, match="is_best: runs must hold 'layer9' and another one, got stem, layer2, layer4"):
        is_best("layer9", runs)
    with pytest.raises(ValueError, match="and another one, got stem"):
        is_best("stem", {"stem": runs["stem"]})
    unjudged = {tap: SimpleNamespace(evaluation=None) for tap in taps}
    assert is_best("stem", unjudged) == "One cannot tell: these images have no ground truth."
