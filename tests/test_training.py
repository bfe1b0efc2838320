"""What gradient descent needs: losses against the papers' formulas, batches, and a loop that can be stopped."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cbirlab.base.progress import Cancelled, listening
from cbirlab.training import batches, hash_losses
from cbirlab.training.loop import train

OUTPUTS = torch.tensor([[0.8, -0.6, 1.2, 0.1], [0.5, 0.4, 0.9, -0.7], [-1.1, 0.2, -0.3, 0.9]], dtype=torch.float64)
INSTANCES = torch.tensor([0, 0, 1])
SAME = INSTANCES[:, None] == INSTANCES
TARGETS = torch.tensor([[1.0, 1, 1, 1], [1, -1, 1, -1]], dtype=torch.float64)

LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "dsh": hash_losses.dsh,
    "dpsh": lambda u, same: hash_losses.likelihood(u @ u.T / 2, same, balanced=False),
    "hashnet": hash_losses.hashnet,
    "hashnet, steeper": lambda u, same: hash_losses.hashnet(u, same, steepness=1.5, balanced=False),
    "triplet": hash_losses.triplet,
    "orthohash": lambda u, _: hash_losses.orthohash(u, INSTANCES, TARGETS),
}


def golden(value: float) -> object:
    return pytest.approx(value, abs=5e-7)


def test_squared_distances_and_their_pairs() -> None:
    found = hash_losses.pairs_of(hash_losses.squared_distances(OUTPUTS))
    assert found.tolist() == pytest.approx([1.82, 7.14, 6.60])


def test_dsh_of_three_rows() -> None:
    assert float(hash_losses.dsh(OUTPUTS, SAME, quantisation=0)) == golden(0.68)
    assert float(hash_losses.dsh(OUTPUTS, SAME, quantisation=0.01)) == golden(0.68 + 0.0040833)


def test_likelihood_of_three_rows() -> None:
    products = OUTPUTS @ OUTPUTS.T / 2
    assert hash_losses.pairs_of(products).tolist() == pytest.approx([0.585, -0.635, -0.685])
    assert float(hash_losses.likelihood(products, SAME, balanced=False)) == golden(0.425414)


def test_likelihood_does_not_overflow() -> None:
    assert float(hash_losses.likelihood(1e5 * (1 - 2 * SAME.double()), SAME, balanced=True)) == pytest.approx(2e5)


def test_hashnet_of_three_rows() -> None:
    soft = torch.tanh(OUTPUTS)
    assert hash_losses.pairs_of(0.1 * soft @ soft.T).tolist() == pytest.approx([0.06397, -0.08090, -0.09365], abs=5e-6)
    assert float(hash_losses.hashnet(OUTPUTS, SAME, balanced=False)) == golden(0.654201)


def test_hashnet_weighs_the_one_matching_pair_like_all_others() -> None:
    t = [0.1 * float(torch.tanh(OUTPUTS[i]) @ torch.tanh(OUTPUTS[j])) for i, j in ((0, 1), (0, 2), (1, 2))]
    match, *others = np.logaddexp(0, t) - np.array([t[0], 0, 0])
    assert float(hash_losses.hashnet(OUTPUTS, SAME)) == pytest.approx(match + np.mean(others))


def test_orthohash_of_three_rows() -> None:
    assert float(hash_losses.orthohash(OUTPUTS, INSTANCES, TARGETS)) == golden(5.080048)


def test_orthohash_leaves_out_rows_without_an_instance() -> None:
    with_street = torch.cat([OUTPUTS, torch.ones(1, 4, dtype=torch.float64)])
    classes = torch.tensor([0, 0, 1, batches.NO_INSTANCE])
    assert float(hash_losses.orthohash(with_street, classes, TARGETS)) == golden(5.080048)
    assert float(hash_losses.orthohash(with_street[3:], classes[3:], TARGETS)) == 0


@given(st.integers(0, 10**6), st.sampled_from([0.2, 1.0, 4.0]))
def test_triplets_as_loops(seed: int, margin: float) -> None:
    random = np.random.default_rng(seed)
    u, numbers = random.standard_normal((9, 5)), random.integers(-1, 3, 9)
    soft, costs = np.tanh(u), []
    for a in range(9):
        apart = np.square(soft - soft[a]).sum(axis=1) / 5
        matches = [apart[p] for p in range(9) if p != a and numbers[p] == numbers[a] != -1]
        others = [apart[n] for n in range(9) if n != a and not numbers[n] == numbers[a] != -1]
        if matches and others:
            costs.append(max(0, margin + max(matches) - min(others)))
    found = hash_losses.triplet(torch.from_numpy(u), torch.from_numpy(batches.together(numbers)), margin=margin)
    assert float(found) == pytest.approx(np.mean(costs) if costs else 0)


def test_bae_gives_rows_back_and_passes_gradients_through_signs() -> None:
    x, decoder = np.eye(3), np.array([[1.0, 0, 2], [0, 1, 0], [1, 1, 0], [0, 0, -1]])
    u = OUTPUTS.clone().requires_grad_()
    signs = np.where(OUTPUTS.numpy() >= 0, 1.0, -1.0)
    error, means = x - signs @ decoder, signs.mean(axis=0)
    value = hash_losses.bae(torch.from_numpy(x), u, torch.from_numpy(decoder), balance=0.1)
    assert float(value.detach()) == pytest.approx(np.square(error).mean() + 0.1 * np.square(means).mean())
    value.backward()
    expected = -2 / 9 * error @ decoder.T + 0.1 * 2 / 12 * means
    assert u.grad is not None
    assert np.allclose(u.grad.numpy(), expected * (np.abs(OUTPUTS.numpy()) <= 1))


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_gradients_are_those_of_finite_differences(loss: Callable[..., torch.Tensor]) -> None:
    assert torch.autograd.gradcheck(lambda u: loss(u, SAME), OUTPUTS.clone().requires_grad_())


@pytest.mark.parametrize("loss", [LOSSES[name] for name in LOSSES if name != "orthohash"])
def test_the_diagonal_never_counts(loss: Callable[..., torch.Tensor]) -> None:
    without = SAME & ~torch.eye(3, dtype=torch.bool)
    assert float(loss(OUTPUTS, without)) == pytest.approx(float(loss(OUTPUTS, SAME)))


def test_the_empty_label_is_no_instance() -> None:
    numbers = batches.numbered(["b", "", "a", "b", ""])
    assert numbers.tolist() == [1, -1, 0, 1, -1]
    matches = batches.together(numbers)
    assert np.argwhere(matches).tolist() == [[0, 0], [0, 3], [2, 2], [3, 0], [3, 3]]


@given(st.integers(0, 2**32 - 1), st.integers(1, 400), st.integers(1, 128))
def test_shuffled_batches_hold_every_row_once(seed: int, count: int, size: int) -> None:
    found = batches.shuffled(count, size, seed=seed, epoch=3)
    assert sorted(np.concatenate(found)) == list(range(count))
    sizes = [len(one) for one in found]
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(0, 2**32 - 1), st.integers(1, 300), st.integers(1, 100))
def test_batches_with_partners_hold_every_row_once_and_no_instance_alone(seed: int, count: int, kinds: int) -> None:
    numbers = np.random.default_rng(seed).integers(-1, kinds, count)
    found = batches.with_partners(numbers, 32, seed=seed, epoch=1)
    assert sorted(np.concatenate(found)) == list(range(count))
    assert max(len(one) for one in found) <= 32 + 2 * 4
    times = np.bincount(numbers[numbers >= 0], minlength=kinds)
    for rows in found:
        for row in rows:
            alone = numbers[row] == -1 or times[numbers[row]] == 1
            assert alone or (numbers[rows] == numbers[row]).sum() > 1


def test_batches_follow_from_seed_and_epoch_alone() -> None:
    numbers = np.arange(200) % 50
    for make in (
        lambda seed, epoch: batches.shuffled(200, 32, seed=seed, epoch=epoch),
        lambda seed, epoch: batches.with_partners(numbers, 32, seed=seed, epoch=epoch),
        lambda seed, epoch: batches.with_neighbours(numbers[:, None], 32, seed=seed, epoch=epoch),
    ):
        first, again, later, other = (make(seed, epoch) for seed, epoch in ((0, 0), (0, 0), (0, 1), (1, 0)))
        assert all(map(np.array_equal, first, again))
        assert not all(map(np.array_equal, first, later))
        assert not all(map(np.array_equal, first, other))


def test_nearest_rows_and_batches_that_hold_them(monkeypatch: pytest.MonkeyPatch) -> None:
    X = np.random.default_rng(0).standard_normal((60, 5))
    monkeypatch.setattr(batches, "_SCORES", 60 * 7)
    near = batches.nearest(X, 4)
    apart = np.square(X[:, None] - X).sum(axis=2)
    assert np.array_equal(np.sort(near, axis=1), np.sort(np.argsort(apart, axis=1)[:, 1:5], axis=1))
    assert [rows.tolist() for rows in batches.with_neighbours(near, 60, seed=0, epoch=0)] == [[*range(60)]]
    found = batches.with_neighbours(near, 20, seed=0, epoch=0)
    assert set(np.concatenate(found)) == set(range(60))
    assert max(map(len, found)) <= 20
    expected = np.zeros((60, 60), bool)
    for row, others in enumerate(near):
        expected[row, others] = expected[others, row] = True
    for rows in found:
        assert np.array_equal(batches.neighbouring(rows, near), expected[np.ix_(rows, rows)])


def test_the_loop_finds_the_minimum_and_tells_its_progress() -> None:
    x, told = torch.zeros(3, requires_grad=True), []
    with listening(lambda what, done, total: told.append((what, done, total))):
        found = train(
            [x], lambda rows, _: (x - 2).square()[rows].sum(), lambda _: [np.arange(3)], count=400, rate=0.05, desc="x"
        )
    assert x.detach().tolist() == pytest.approx([2, 2, 2], abs=1e-3)
    assert found[0] == 12
    assert found.shape == (400,)
    assert told == [("x", done, 400) for done in range(401)]


def test_the_loop_ends_when_it_is_cancelled_and_leaves_torch_alone() -> None:
    x, told = torch.zeros(1, requires_grad=True), []

    def listen(what: str, done: int, total: int) -> None:
        told.append(done)
        if done == 5:
            raise Cancelled("enough")

    threads, state = torch.get_num_threads(), torch.get_rng_state()
    with pytest.raises(Cancelled, match="enough"), listening(listen):
        train([x], lambda rows, _: x.square().sum(), lambda _: [np.arange(1)], count=100)
    assert told == [0, 1, 2, 3, 4, 5]
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_a_loss_that_is_not_finite_is_told() -> None:
    x = torch.zeros(1, requires_grad=True)
    with pytest.raises(FloatingPointError, match="stay finite, got NaN or infinity in epoch 0"):
        train([x], lambda rows, _: (x / x).sum(), lambda _: [np.arange(1)], count=3)
