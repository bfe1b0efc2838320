"""Judgements of pairs: the file, the groups that they make, what they teach, and what a few labels bring."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from cbirlab import Recipe, plots, run
from cbirlab.adaptation import Judgement, Training, label_curve, read_judgements, train, write_judgements
from cbirlab.adaptation.clicked import groups_of
from cbirlab.adaptation.judgements import Judged, judged_among, names_of
from cbirlab.adaptation.known import labels_of
from cbirlab.adaptation.labelling import guess
from cbirlab.adaptation.work import Work
from cbirlab.store import Store, StoreUnwritable
from cbirlab.training.batches import NO_INSTANCE, classes_of

NAMES = tuple("abcdefghijkl")


def judged(*said: tuple[int, int, bool], names: tuple[str, ...] = NAMES) -> Judged:
    pairs = sorted({(min(one, other), max(one, other)): same for one, other, same in said}.items())
    rows = np.array([pair for pair, _ in pairs], np.int64).reshape(-1, 2)
    return Judged(rows, np.array([same for _, same in pairs], bool), names)


def as_groups(labels: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == one).tolist()) for one in set(labels.tolist()) - {NO_INSTANCE}}


def grown(said: list[tuple[int, int, bool]]) -> list[set[int]]:
    """Groups of the judged rows, by joining two groups for each pair that is the same, until nothing changes."""
    groups = [{row} for row in sorted({row for one in said for row in one[:2]})]
    for one, other, same in said:
        first, second = (next(group for group in groups if row in group) for row in (one, other))
        if same and first is not second:
            groups.remove(second)
            first |= second
    return groups


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CBIRLAB_TRAINED", str(tmp_path / "trained"))


# the file


def test_what_is_written_is_read(tmp_path: Path) -> None:
    said = [Judgement("a/1.jpg", "b/2.jpg", True), Judgement(' a,"b".jpg', "née\n.jpg", False)]
    file = write_judgements(tmp_path / "clicks.csv", said)
    assert read_judgements(file) == tuple(said)
    assert file.read_text().splitlines()[0] == "picture,other,same"
    assert [one.name for one in tmp_path.iterdir()] == ["clicks.csv"]
    write_judgements(file, [])
    assert read_judgements(file) == ()


def test_equal_lines_count_once_and_the_order_of_columns_is_free(tmp_path: Path) -> None:
    file = tmp_path / "clicks.csv"
    file.write_text("same;other;picture\nYes;b;a\nyes;b;a\nNO;c;a\n")
    assert read_judgements(file) == (Judgement("a", "b", True), Judgement("a", "c", False))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "must have the columns picture, other, same, got an empty file"),
        ("picture,other\na,b\n", "same is missing or there twice"),
        ("picture,other,same,same\na,b,yes,no\n", "got 'picture, other, same, same'"),
        ("picture,other,same\na,b,maybe\n", "line 2: same must be yes or no, got 'maybe'"),
        ("picture,other,same\na,b,\n", "line 2: same must be yes or no, got ''"),
        ("picture,other,same\na,b,yes\na,,yes\n", "line 3: picture and other must name a picture each"),
        ("picture,other,same\na,a,yes\n", "line 2: picture and other must differ, got 'a' beside itself"),
    ],
)
def test_damaged_files_get_a_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    file = tmp_path / "clicks.csv"
    file.write_text(text)
    with pytest.raises(ValueError, match=sentence) as raised:
        read_judgements(file)
    assert "clicks.csv" in str(raised.value)


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreUnwritable, match=r"nowhere.*cannot be written"):
        write_judgements(tmp_path / "nowhere" / "clicks.csv", [])
    assert not list(tmp_path.iterdir())


# by row


def test_names_are_paths_below_the_folder_of_all_and_whole_paths_or_lone_names_do_too() -> None:
    paths = [Path("/data/a/0.jpg"), Path("/data/a/1.jpg"), Path("/data/b/0.jpg")]
    assert names_of(paths) == ("a/0.jpg", "a/1.jpg", "b/0.jpg")
    said = [Judgement("b/0.jpg", "a/0.jpg", False), Judgement("1.jpg", "/data/a/0.jpg", True)]
    found = judged_among([*said, Judgement("a/0.jpg", "a/1.jpg", True)], paths)
    assert found.pairs.tolist() == [[0, 1], [0, 2]]
    assert found.same.tolist() == [True, False]
    assert found.counts == {"same": 1, "not": 1, "pictures": 3}
    assert judged_among([], paths).pairs.shape == (0, 2)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            [("a/0.jpg", "a/7.jpg", True), ("c.jpg", "a/0.jpg", True)],
            "2 names are those of no picture .* 'a/7.jpg', 'c",
        ),
        ([("0.jpg", "a/1.jpg", True)], "or of several: '0.jpg'"),
        ([("a/1.jpg", "1.jpg", True)], "must differ, got 'a/1.jpg' beside itself"),
        ([("a/0.jpg", "a/1.jpg", True), ("a/1.jpg", "a/0.jpg", False)], "called both the same and not the same"),
    ],
)
def test_names_that_mean_nothing_get_a_sentence(said: list[tuple[str, str, bool]], sentence: str) -> None:
    paths = [Path("/data/a/0.jpg"), Path("/data/a/1.jpg"), Path("/data/b/0.jpg")]
    with pytest.raises(ValueError, match=sentence):
        judged_among([Judgement(*one) for one in said], paths, said_in="clicks.csv")


def test_judgements_among_some_rows_are_numbered_by_their_places() -> None:
    found = judged((0, 5, True), (5, 7, False), (7, 9, True)).among(np.array([5, 7, 9]))
    assert found.pairs.tolist() == [[0, 1], [1, 2]]
    assert found.same.tolist() == [False, True]
    assert found.names == ("f", "h", "j")


# groups


@pytest.mark.parametrize("seed", range(30))
def test_groups_are_those_of_a_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 5, 12)
    every = [(one, other) for one, other in combinations(range(12), 2) if rng.random() < 0.3]
    said = [(one, other, bool(truth[one] == truth[other])) for one, other in every]
    labels = groups_of(judged(*said), 12)
    assert as_groups(labels) == {frozenset(group) for group in grown(said)}
    for one, other, same in said:
        assert (labels[one] == labels[other]) == same
    np.testing.assert_array_equal(groups_of(judged(*said[::-1]), 12), labels)


def test_a_contradiction_names_all_pictures_that_join_the_pair() -> None:
    said = [(0, 3, True), (3, 5, True), (5, 8, True), (0, 8, False), (3, 9, False)]
    with pytest.raises(
        ValueError, match="got 'a' = 'd' = 'f' = 'i', but the first and the last are called not the same"
    ):
        groups_of(judged(*said), 12)
    assert as_groups(groups_of(judged(*said[:3], said[4]), 12)) == {frozenset({0, 3, 5, 8}), frozenset({9})}


# what they teach


ROWS = np.eye(12, dtype=np.float32)
TRUTH = np.array([0, 0, 0, 1, 1, 2, 2, 3, 4, 5, 6, 7])


def test_clicks_become_labels_and_say_how_many_are_right() -> None:
    said = judged((0, 1, True), (0, 3, False), (3, 4, True), (5, 7, True), (0, 8, False))
    found = guess("clicked", ROWS, TRUTH, judged=said)
    assert found.labels is not None
    assert as_groups(found.labels) == {frozenset({0, 1}), frozenset({3, 4}), frozenset({5, 7}), frozenset({8})}
    assert found.precision == pytest.approx(2 / 3)
    unknown = guess("clicked", ROWS, np.full(12, NO_INSTANCE), judged=said)
    np.testing.assert_array_equal(unknown.labels, found.labels)
    assert np.isnan(unknown.precision)


def test_a_picture_without_a_descriptor_is_left_out() -> None:
    rows = ROWS.copy()
    rows[1] = 0
    labels = guess("clicked", rows, TRUTH, judged=judged((0, 1, True), (0, 2, True), (2, 3, False))).labels
    assert labels is not None
    assert as_groups(labels) == {frozenset({0, 2}), frozenset({3})}


def test_the_control_deals_the_labels_out_among_the_judged_pictures() -> None:
    said = judged((0, 1, True), (0, 2, True), (3, 4, True), (0, 8, False), (0, 9, False))
    true, control = (
        guess(one, ROWS, TRUTH, seed=3, judged=said).labels for one in ("clicked", "clicked(shuffled=True)")
    )
    assert true is not None
    assert control is not None
    np.testing.assert_array_equal(np.sort(true), np.sort(control))
    np.testing.assert_array_equal(true == NO_INSTANCE, control == NO_INSTANCE)
    assert (true != control).any()


@pytest.mark.parametrize(
    "said",
    [[], [(0, 1, True)], [(0, 1, False), (0, 2, False)], [(0, 1, True), (1, 2, True)]],
    ids=["empty", "one pair", "all not the same", "one group"],
)
def test_too_few_clicks_get_a_sentence(said: list[tuple[int, int, bool]]) -> None:
    with pytest.raises(ValueError, match="two pictures called the same, and one that is not the same as these, got"):
        guess("clicked", ROWS, TRUTH, judged=judged(*said))


def test_clicked_without_judgements_gets_a_sentence() -> None:
    with pytest.raises(ValueError, match="labels 'clicked' are those of judgements: give `judged`"):
        guess("clicked", ROWS, TRUTH)


@pytest.mark.parametrize("step", range(5))
def test_what_stands_alone_fills_a_batch_once_and_groups_are_drawn_as_ever(step: int) -> None:
    labels = np.array([0, 0, 0, 1, 1, 2, 3, 4, 5, NO_INSTANCE])
    options = {"classes": 4, "each": 2, "seed": 1, "step": step}
    drawn = classes_of(labels, fill=True, **options)
    assert [*labels[drawn[:4]]] in ([0, 0, 1, 1], [1, 1, 0, 0])
    assert sorted(drawn[4:].tolist()) == [5, 6, 7, 8]
    some = classes_of(labels, fill=True, **{**options, "classes": 3})
    assert len(some) == 6
    assert len({*some[4:].tolist()}) == 2
    groups = np.where(labels > 1, NO_INSTANCE, labels)
    np.testing.assert_array_equal(classes_of(groups, **options), classes_of(groups, fill=True, **options))
    assert len(classes_of(labels, **options)) == 8


# trainings


@pytest.fixture
def clicks(pictures: Path, tmp_path: Path) -> Path:
    """All pictures of three things, and one that is none of them."""
    said = [Judgement(f"thing{one}/0.png", f"thing{one}/{view}.png", True) for one in range(3) for view in range(1, 5)]
    said += [Judgement("thing0/0.png", f"thing{one}/0.png", False) for one in (1, 2, 5)]
    return write_judgements(tmp_path / "clicks.csv", said)


def small(pictures: Path, **fields: object) -> Training:
    usual = {"on": f"{pictures}/images", "leak": True, "weights": "random", "image_size": 64, "steps": 6}
    return Training(**(usual | fields))


@pytest.fixture
def warm(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


@pytest.mark.parametrize("moves", [{}, {"moves": "layer4", "precision": "float32", "augment": "none", "rate": 1e-3}])
def test_a_head_and_a_network_learn_from_clicks(moves: dict, pictures: Path, clicks: Path, warm: Store) -> None:
    done = train(
        small(pictures, labels="clicked", judgements=str(clicks), **moves), store=warm, progress=False, control=True
    )
    assert done.label_precision == 1
    assert done.record["judgements"] == {"same": 12, "not": 3, "pictures": 16}
    assert done.known == 15
    assert [one.training.labels for one in done.controls] == ["clicked(shuffled=True)"] * 2
    fields = {"dataset": str(pictures), "image_size": 64}
    assert run(done.recipe(**fields), store=warm, progress=False).metrics
    again = train(small(pictures, labels="clicked", judgements=str(clicks), **moves), store=warm, progress=False)
    assert again.key == done.key


def test_what_the_file_says_is_in_the_key_and_not_where_or_how(pictures: Path, clicks: Path, warm: Store) -> None:
    def key(file: Path) -> str:
        return Work.of(small(pictures, labels="clicked", judgements=str(file)), warm).key

    said = read_judgements(clicks)
    other = write_judgements(clicks.with_name("other.csv"), [replace_sides(one) for one in reversed(said)] + [said[0]])
    assert key(clicks) == key(other)
    before = key(clicks)
    write_judgements(clicks, [*said[:-1], said[-1]._replace(same=True)])
    assert key(clicks) != before
    write_judgements(clicks, said[:-1])
    assert key(clicks) not in (before, key(other))


def replace_sides(one: Judgement) -> Judgement:
    return Judgement(one.other, one.picture, one.same)


def test_judgements_and_clicked_belong_together(pictures: Path, clicks: Path, warm: Store) -> None:
    for wrong in ({"labels": "clicked"}, {"judgements": str(clicks)}, {"labels": "mutual", "judgements": str(clicks)}):
        with pytest.raises(ValueError, match="give both or neither"):
            small(pictures, **wrong)
    write_judgements(clicks, [Judgement("thing0/0.png", "thing99/0.png", True)])
    with pytest.raises(ValueError, match=r"clicks.csv: 1 names are those of no picture .* 'thing99/0.png'"):
        train(small(pictures, labels="clicked", judgements=str(clicks)), store=warm, progress=False)
    with pytest.raises(FileNotFoundError):
        train(small(pictures, labels="clicked", judgements="nothing.csv"), store=warm, progress=False)


def test_groups_that_were_clicked_choose_the_step_and_nothing_that_was_not_judged_does(warm: Store) -> None:
    from cbirlab.adaptation.learning import LearningPictures

    count = 200
    paths = tuple(Path(f"/nowhere/{row:03}.png") for row in range(count))
    said = [(2 * one, 2 * one + 1, True) for one in range(20)] + [(0, row, False) for row in (60, 61)]
    training = small(Path("/nowhere"), labels="clicked", judgements="clicks.csv")
    learning = LearningPictures("nowhere", paths, np.arange(count) // 5, 64)
    backbone: object = None
    work = Work(training, "", backbone, learning, warm, judged(*said, names=names_of(paths)))  # type: ignore[arg-type]
    split = work.split
    assert len(split.ask) == 10
    assert sorted(split.beside.tolist()) == [60, 61]
    assert (work.known[split.ask] != NO_INSTANCE).all()
    assert not {*split.learn} & {*split.ask}


# a few labels


def test_labels_of_more_pictures_hold_those_of_fewer_and_whole_instances() -> None:
    rng = np.random.default_rng(0)
    given = np.concatenate([rng.integers(0, 30, 200), np.arange(100, 110), np.full(20, NO_INSTANCE)])
    before = np.zeros(len(given), bool)
    for pictures in (20, 40, 41, 100, 180, 10_000):
        known = labels_of(given, pictures, seed=4)
        shown = known != NO_INSTANCE
        assert shown.sum() <= pictures
        assert (before <= shown).all()
        for one in {*known[shown].tolist()}:
            assert (known == one).sum() == (given == one).sum() > 1
        before = shown
    assert shown.sum() == 200
    assert (labels_of(given, 40, seed=4) != labels_of(given, 40, seed=5)).any()
    np.testing.assert_array_equal(labels_of(given, None, seed=0), given)


def test_too_few_labels_get_a_sentence() -> None:
    given = np.repeat(np.arange(4), 6)
    with pytest.raises(ValueError, match=r"enough for two instances .* got 11; take at least 12"):
        guess("given(pictures=11)", np.zeros((24, 1)), given)
    with pytest.raises(ValueError, match="got 11; name the instances of more pictures"):
        labels_of(np.full(24, NO_INSTANCE), 11, seed=0)
    assert np.unique(guess("given(pictures=12)", np.zeros((24, 1)), given).labels).size == 3


def test_labels_that_are_not_known_change_nothing_not_even_the_step(pictures: Path, warm: Store) -> None:
    training = small(pictures, labels="given(pictures=20)", hold_out=0.5)
    work = Work.of(training, warm)
    shown = work.known != NO_INSTANCE
    assert shown.sum() == 20
    forged = replace(work, learning=replace(work.learning, given=np.where(shown, work.known, NO_INSTANCE)))
    one, other = (made.train_head() for made in (work, forged))
    assert one.known == other.known == 20
    np.testing.assert_array_equal(one.curve.to_numpy(), other.curve.to_numpy())


def test_the_curve_is_made_of_plain_trainings(pictures: Path, warm: Store) -> None:
    training, fields = small(pictures), {"counts": (10, 400), "seeds": (0, 1), "store": warm, "progress": False}
    frame = label_curve(training, pictures, **fields)
    assert frame["labels"].tolist() == ["none", "pca(power=0.25)", "given", "shuffled", "given", "shuffled"]
    assert frame["labelled"].tolist() == [0, 0, 10, 10, 40, 40]
    values = []
    for seed in (0, 1):
        done = train(replace(training, labels="given(pictures=10)", seed=seed), store=warm, progress=False)
        values.append(run(done.recipe(dataset=str(pictures), image_size=64), store=warm, progress=False).metrics["map"])
    row = frame.iloc[2]
    assert row["value"] == pytest.approx(np.mean(values))
    assert (row["least"], row["most"]) == (min(values), max(values))
    none = run(Recipe(dataset=str(pictures), weights="random", image_size=64), store=warm, progress=False)
    assert row["difference"] == pytest.approx(np.mean(values) - none.metrics["map"])
    assert row["low"] <= row["difference"] <= row["high"]
    assert row["owed"] == pytest.approx(row["value"] - frame.iloc[3]["value"])
    assert frame["leak"].iloc[2] == "head trained on 40 of the 40 evaluated images"
    assert frame["leak"].iloc[0] == ""
    axes = plots.label_curve(frame)
    assert "pictures with a label" in plots.described(axes)
    assert "pca(power=0.25)" in plots.described(axes)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"counts": ()}, "counts must be one or more numbers that differ"),
        ({"counts": (8, 8)}, "counts must be one or more numbers that differ"),
        ({"counts": (3,)}, r"counts must be a whole number in \[4, 1048576\], got 3"),
        ({"seeds": ()}, "seeds must be one or more"),
        ({"training": {"labels": "mutual"}}, "training must have labels 'given', got 'mutual'"),
    ],
)
def test_curves_that_cannot_be_get_a_sentence(wrong: dict, sentence: str, pictures: Path, warm: Store) -> None:
    training = small(pictures, **wrong.pop("training", {}))
    with pytest.raises(ValueError, match=sentence):
        label_curve(training, pictures, store=warm, progress=False, **wrong)
