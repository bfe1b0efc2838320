"""Heads: what a linear head learns from labels, from guessed ones and from shuffled ones, and how it is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cbirlab import Recipe, run
from cbirlab.adaptation import Trained, Training, find_trained, train
from cbirlab.datasets import Dataset
from cbirlab.store import Store
from cbirlab.training.batches import NO_INSTANCE, classes_of, numbered
from cbirlab.training.holding_out import FEWEST, hold_out, leave_one_out
from cbirlab.training.losses import LOSSES
from cbirlab.whitening import Whitening, learn, normalise, project, whiten
from cbirlab.whitening.head import HeadWhitening


def scene(instances: int = 24, each: int = 6, width: int = 16, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows whose strong dimensions differ between all rows, and whose weak ones tell instances apart."""
    random = np.random.default_rng(seed)
    strong = np.where(np.arange(width) < width // 2, 1.0, 0.05)
    own = np.repeat(random.standard_normal((instances, width)), each, axis=0) * (1.05 - strong) * 0.5
    rows = own + strong * random.standard_normal((instances * each, width)) * 0.5 + 0.5
    return normalise(rows), np.repeat([f"thing {one}" for one in range(instances)], each)


def found(rows: np.ndarray, y: np.ndarray) -> float:
    return leave_one_out(normalise(rows).astype(np.float64), numbered(y))


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_makes_other_instances_easier_to_find(loss: str) -> None:
    X, y = scene()
    others, names = scene(seed=1)
    head = HeadWhitening(loss=loss, steps=60, rate=0.01).fit(X, y)
    before, after = head.curve_[0, 2], head.curve_[:, 2].max()
    assert after >= before
    assert head.kept_ == head.curve_[head.curve_[:, 2].argmax(), 0]
    if loss not in ("npairs",):
        assert found(head.transform(others), names) > found(others, names)


def test_a_start_at_the_identity_changes_no_cosine() -> None:
    X, y = scene()
    head = HeadWhitening(steps=1, rate=1e-6).fit(X, y)
    outputs = normalise(head.transform(X))
    assert np.allclose(outputs @ outputs.T, X @ X.T, atol=1e-4)


@pytest.mark.parametrize("start", ["half", "pca", "lw"])
def test_other_starts_are_the_whitening_of_what_is_learned_from(start: str) -> None:
    X, y = scene()
    head = HeadWhitening(start=start, steps=1, rate=1e-6).fit(X, y)
    rows = hold_out(numbered(y), 0.25, seed=0).learn
    name = {"half": "pca(power=0.25)"}.get(start, start)
    whitening = learn(name, X[rows], y[rows])
    expected, outputs = whiten(whitening, X), normalise(head.transform(X))
    assert np.allclose(outputs @ outputs.T, expected @ expected.T, atol=1e-3)


def test_leading_dimensions_hold_most_and_cutting_equals_fitting_with_fewer() -> None:
    X, y = scene()
    whole, few = HeadWhitening(steps=20).fit(X, y), HeadWhitening(5, steps=20).fit(X, y)
    assert np.array_equal(whole.truncate(5).transform(X), few.transform(X))
    squares = np.square(whole.transform(X)).mean(axis=0)
    assert np.allclose(squares, whole.spectrum_, rtol=1e-4)
    assert (np.diff(whole.spectrum_) <= 1e-12).all()


def test_the_same_seed_gives_the_same_bits_and_torch_is_left_alone() -> None:
    X, y = scene()
    torch.manual_seed(3)
    state = torch.random.get_rng_state()
    one, two = (HeadWhitening(steps=20, seed=7).fit(X, y) for _ in range(2))
    assert np.array_equal(one.components_, two.components_)
    assert torch.equal(state, torch.random.get_rng_state())
    other = HeadWhitening(steps=20, seed=8).fit(X, y)
    assert not np.array_equal(one.components_, other.components_)


def test_rows_without_a_label_are_in_no_batch_but_stand_beside_what_is_held_out() -> None:
    X, y = scene()
    beside = normalise(np.random.default_rng(5).standard_normal((30, X.shape[1])))
    head = HeadWhitening(steps=12).fit(np.concatenate([X, beside]), np.concatenate([y, [""] * 30]))
    split = hold_out(numbered(np.concatenate([y, [""] * 30])), 0.25, seed=0)
    assert set(split.beside) == set(range(len(X), len(X) + 30))
    rows = np.concatenate([X, beside])[split.rows].astype(np.float64)
    labels = numbered(np.concatenate([y, [""] * 30]))[split.rows]
    assert head.curve_[0, 2] == pytest.approx(leave_one_out(rows, labels), abs=1e-6)


def test_shuffled_labels_keep_their_counts_and_teach_less() -> None:
    X, y = scene()
    others, names = scene(seed=1)
    true, control = (HeadWhitening(labels=one, rate=0.01).fit(X, y) for one in ("given", "shuffled"))
    assert found(true.transform(others), names) > found(control.transform(others), names)


@pytest.mark.parametrize(
    ("y", "said"),
    [
        ([f"{row}" for row in range(12)], "at least two labels that two rows share each, got 0"),
        (["a", "a", *(f"{row}" for row in range(10))], "at least two labels that two rows share each, got 1"),
        ([""] * 12, "at least two labels that two rows share each, got 0"),
    ],
)
def test_labels_that_teach_nothing_are_refused(y: list[str], said: str) -> None:
    X = scene()[0][:12]
    with pytest.raises(ValueError, match=said):
        HeadWhitening().fit(X, y)


def test_equal_rows_and_an_unknown_loss_are_told() -> None:
    X, y = scene()
    with pytest.raises(ValueError, match="equal rows"):
        HeadWhitening().fit(np.ones((12, 4)), np.repeat(["a", "b"], 6))
    with pytest.raises(ValueError, match=r"HeadWhitening: loss: Unknown loss 'tripelt'\. Did you mean 'triplet'"):
        HeadWhitening(loss="tripelt").fit(X, y)


def test_a_loss_in_a_whitening_is_read_back() -> None:
    one = Whitening.parse("head(loss='multisim(beta=40)', steps=30)")
    assert Whitening.parse(one.key) == one
    assert one.parameters["loss"] == "multisim(beta=40)"
    assert Whitening.parse("head(loss=supcon)").key == "head(loss='supcon')"


# batches and what is held out


def test_batches_hold_p_instances_with_k_rows_and_never_a_row_without_one() -> None:
    numbers = np.array([0, 0, 0, 1, 1, 2, NO_INSTANCE, 3, 3, 3, 3, 3])
    for step in range(20):
        rows = classes_of(numbers, classes=3, each=4, seed=1, step=step)
        assert len(rows) == 12
        assert (numbers[rows] != NO_INSTANCE).all()
        groups = numbers[rows].reshape(3, 4)
        assert (groups == groups[:, :1]).all()
        assert len(set(groups[:, 0])) == 3
        assert np.array_equal(rows, classes_of(numbers, classes=3, each=4, seed=1, step=step))
        for group in rows.reshape(3, 4):
            there = np.count_nonzero(numbers == numbers[group[0]])
            assert len(set(group)) == min(4, there)
    assert len(classes_of(numbers, classes=9, each=2, seed=0, step=0)) == 8, "with fewer instances, all of them come"


def test_what_is_held_out_shares_no_identity_and_few_are_none() -> None:
    numbers = np.repeat(np.arange(40), 3)
    split = hold_out(numbers, 0.25, seed=0)
    assert len(np.unique(numbers[split.ask])) == 10
    assert not set(numbers[split.ask]) & set(numbers[split.learn])
    few = hold_out(np.repeat(np.arange(4 * FEWEST - 1), 3), 0.25, seed=0)
    assert not len(few.ask)
    assert len(few.learn) == 3 * (4 * FEWEST - 1)


def test_leave_one_out_is_average_precision_of_scikit_learn() -> None:
    from sklearn.metrics import average_precision_score

    random = np.random.default_rng(0)
    rows, numbers = normalise(random.standard_normal((40, 5))).astype(np.float64), random.integers(-1, 6, 40)
    expected = []
    for row in range(40):
        others = np.arange(40) != row
        right = (numbers == numbers[row])[others] & (numbers[row] != NO_INSTANCE)
        if right.any():
            expected.append(average_precision_score(right, (rows @ rows[row])[others]))
    assert leave_one_out(rows, numbers) == pytest.approx(np.mean(expected))


# by name


@pytest.fixture(scope="module")
def kept(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Trained, Store, str]:
    store = Store(tmp_path_factory.mktemp("kept"))
    training = Training(
        on=f"{pictures}/images", leak=True, weights="random", image_size=64, labels="kmeans(each=4)", steps=6
    )
    return train(training, name="drawn", replacing=True, store=store, progress=False), store, str(pictures)


def test_a_trained_head_is_a_whitening_by_name(kept: tuple[Trained, Store, str]) -> None:
    done, store, folder = kept
    fields = {"dataset": folder, "image_size": 64}
    recipe = done.recipe(**fields)
    assert recipe.whitening == f"trained:{done.weights}" == Whitening.parse("trained:drawn")
    found = run(recipe, store=store, progress=False)
    again = run(done.recipe(**(fields | {"whitening": "trained:drawn"})), store=store, progress=False)
    assert np.array_equal(found.ranking.images, again.ranking.images)
    assert found.metrics != run(done.recipe(**(fields | {"whitening": "none"})), store=store, progress=False).metrics
    assert find_trained("head", "drawn").key == done.key
    cut = run(done.recipe(**fields, dimensions=7), store=store, progress=False)
    assert cut.dim == 7


def test_a_trained_head_equals_the_estimator_that_learned_it(things: Dataset, store: Store) -> None:
    X, y = scene(8, 6, 192)
    head = HeadWhitening(steps=3).fit(X, y)
    from cbirlab.adaptation.heads import write_head

    write_head(head, "0" * 32, {"of": "a scene"})
    fitted = learn(f"trained:trained-{'0' * 16}", X)
    assert np.allclose(project(fitted, X), project(head, X), atol=1e-5)
    with pytest.raises(ValueError, match=r"trained on 192 dimensions \(a scene\), got 5"):
        learn(f"trained:trained-{'0' * 16}", X[:, :5])


def test_unknown_heads_are_told() -> None:
    with pytest.raises(KeyError, match="there is no trained head 'nobody'"):
        Recipe(whitening="trained:nobody")


def test_what_a_head_cannot_do_is_refused() -> None:
    for wrong in ({"memory": 64}, {"miner": "hard"}, {"labels": "views"}, {"augment": "views"}, {"keep_old": 1.0}):
        with pytest.raises(ValueError, match=r"Training: (\w+ belongs to training a network|a head needs)"):
            Training(**wrong)
