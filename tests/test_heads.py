"""Hashing heads: what they learn, from which rows, again and again the same, and what stops them."""

from __future__ import annotations

import time
import warnings

import numpy as np
import pytest
import torch
import tqdm.auto as tqdm_of

from cbirlab import Recipe, run
from cbirlab.base.progress import Cancelled, listening
from cbirlab.compression import COMPRESSIONS, Compression, heads, learn_code
from cbirlab.compression.binary import ITQ, BinaryCode, PCARandomRotation
from cbirlab.compression.quality import bit_balance, bit_correlation, quantisation_error
from cbirlab.training import hash_losses
from cbirlab.whitening import normalise

SUPERVISED = ("dsh", "hashnet", "triplet", "orthohash")
HEADS = (*SUPERVISED, "bae", "knn_hash")
STREETS = 20


def scene(instances: int = 12, each: int = 8, width: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose leading dimensions differ between all images, and only weak ones between instances; some streets."""
    random = np.random.default_rng(5)
    spread = np.where(np.arange(width) < width // 2, 1.0, 0.15)
    where = np.repeat(random.standard_normal((instances, width)), each, axis=0) * np.where(spread == 1, 0.1, 0.6)
    rows = where + random.standard_normal((instances * each, width)) * spread
    streets = random.standard_normal((STREETS, width)) * spread
    labels = [*np.repeat([f"i{one}" for one in range(instances)], each), *[""] * STREETS]
    return normalise(np.concatenate([rows, streets])).astype(np.float32), np.array(labels)


def learned(name: str, bits: int = 16, epochs: int = 25, seed: int = 0, **more: object) -> BinaryCode:
    X, y = scene()
    code = learn_code(Compression(name, {"bits": bits, "epochs": epochs, "seed": seed, **more}), X, y)
    assert isinstance(code, BinaryCode)
    return code


def mean_precision(code: BinaryCode, X: np.ndarray, y: np.ndarray) -> float:
    """Mean average precision (finite sum) of rows of the same instance, by Hamming distance."""
    scores = code.scores(code.prepare(X), code.encode(X))
    np.fill_diagonal(scores, -np.inf)
    found = []
    for row in np.flatnonzero(y != ""):
        right = y[np.argsort(-scores[row], kind="stable")[:-1]] == y[row]
        found.append((np.cumsum(right)[right] / (np.flatnonzero(right) + 1)).mean())
    return float(np.mean(found))


def test_heads_are_registered_with_what_they_need() -> None:
    for name in HEADS:
        assert COMPRESSIONS.info(name).facts == {
            "learned": True,
            "pairs": name in SUPERVISED,
            "binary": True,
            "named": ("bits",),
        }


@pytest.mark.parametrize("name", HEADS)
def test_a_head_is_the_same_each_time_and_leaves_torch_alone(name: str) -> None:
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    first = learned(name)
    torch.rand(3)
    again, other = learned(name), learned(name, seed=1)
    assert first.projection_.tobytes() == again.projection_.tobytes()
    assert first.losses_.tobytes() == again.losses_.tobytes()  # pyright: ignore[reportAttributeAccessIssue]
    assert not np.array_equal(first.projection_, other.projection_)
    torch.set_rng_state(state)
    learned(name)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("name", HEADS)
def test_a_head_minimises_its_loss_and_keeps_the_mean_at_zero(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X, _ = scene()
    monkeypatch.setattr(heads, "rotate", lambda _, rotation, __: (rotation, None))  # ITQ's is BAE's optimum
    code = learned(name)
    found = code.losses_  # pyright: ignore[reportAttributeAccessIssue]
    assert found.shape == (25,)
    assert found[-1] < found[0]
    assert code.projection_.shape == (24, 16)
    assert code.encode(X).shape == (len(X), 2)
    assert np.abs(code.outputs(X).mean(axis=0)).max() < 1e-6


@pytest.mark.parametrize("name", HEADS)
def test_a_head_begins_at_itq(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X, _ = scene()
    monkeypatch.setattr(heads, "train", lambda *_, **__: np.zeros(1))
    assert np.array_equal(learned(name).encode(X), ITQ(bits=16).fit(X).encode(X))


@pytest.mark.parametrize("name", ["hashnet", "triplet"])
def test_labels_help_on_the_rows_that_were_learned(name: str) -> None:
    X, y = scene()
    assert mean_precision(learned(name, epochs=100), X, y) > 1.2 * mean_precision(ITQ(bits=16).fit(X), X, y)


def test_neighbours_come_nearer_than_itq_brings_them() -> None:
    X, _ = scene()
    apart = np.square(X[:, None] - X).sum(axis=2)
    near = np.argsort(apart, axis=1)[:, 1:6]

    def kept(code: BinaryCode) -> float:
        scores = code.scores(code.prepare(X), code.encode(X))
        np.fill_diagonal(scores, -np.inf)
        found = np.argsort(-scores, axis=1, kind="stable")[:, :5]
        return float(np.mean([len({*a} & {*b}) for a, b in zip(near, found, strict=True)]))

    assert kept(learned("knn_hash", epochs=150)) > kept(ITQ(bits=16).fit(X)) + 0.1


def test_bae_gives_rows_back_better_than_where_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    X, _ = scene()
    monkeypatch.setattr(heads, "rotate", lambda _, rotation, __: (rotation, None))

    def error(code: BinaryCode) -> float:
        bits, centred = code.decode(code.encode(X)), X - X.mean(axis=0)
        return float(np.square(centred - bits @ np.linalg.lstsq(bits, centred, rcond=None)[0]).sum())

    assert error(learned("bae", epochs=150)) < 0.97 * error(PCARandomRotation(bits=16).fit(X))


@pytest.mark.parametrize("name", SUPERVISED)
def test_rows_without_an_instance_are_never_a_class(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = scene()
    streets, seen = X[y == ""] - X.mean(axis=0, dtype=np.float64), []
    if name == "orthohash":
        inner = hash_losses.orthohash

        def asked(u: torch.Tensor, classes: torch.Tensor, targets: torch.Tensor, **given: float) -> torch.Tensor:
            assert targets.shape == (12, 16)
            seen.append(int((classes == -1).sum()))
            return inner(u, classes, targets, **given)

        monkeypatch.setattr(hash_losses, "orthohash", asked)
    else:
        inner_pairs = getattr(hash_losses, name)

        def asked_pairs(u: torch.Tensor, same: torch.Tensor, **given: float) -> torch.Tensor:
            seen.append(int((~same.any(dim=1)).sum()))  # an image of an instance is at least together with itself
            return inner_pairs(u, same, **given)

        monkeypatch.setattr(hash_losses, name, asked_pairs)
    learned(name, epochs=3)
    assert sum(seen) == 3 * len(streets)


def test_orthohash_ends_with_batch_normalisation_over_the_learning_set() -> None:
    X, _ = scene()
    outputs = learned("orthohash").outputs(X)
    assert np.allclose(outputs.mean(axis=0), 0, atol=1e-6)
    assert np.allclose(outputs.std(axis=0), 1, atol=1e-3)


def test_many_rows_are_learned_from_a_batch_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "WHOLE", 40)
    code = learned("knn_hash")
    assert np.isfinite(code.projection_).all()
    assert code.losses_[-1] < code.losses_[0]  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("name", HEADS)
def test_a_cancelled_head_has_learned_nothing(name: str) -> None:
    X, y = scene()
    code = Compression(name, {"bits": 16}).make()

    def listen(what: str, done: int, total: int) -> None:
        assert (what, total) == (type(code).__name__, 150)
        if done == 3:
            raise Cancelled("enough")

    with pytest.raises(Cancelled), listening(listen):
        code.fit(X, y)
    assert not {"mean_", "projection_", "losses_"} & vars(code).keys()


@pytest.mark.parametrize("name", SUPERVISED)
@pytest.mark.parametrize("labels", [["a"] * 20 + [""] * 30, [*map(str, range(50))], ["a", "a", "b"] + [""] * 47])
def test_too_few_instances_are_one_sentence(name: str, labels: list[str]) -> None:
    X = scene()[0][:50]
    with pytest.raises(ValueError, match=r"y must show at least two instances in two rows each, got [01]; choose"):
        learn_code(f"{name}(bits=8)", X, labels)


@pytest.mark.parametrize("name", SUPERVISED)
def test_labels_are_asked_for(name: str) -> None:
    X, y = scene()
    with pytest.raises(ValueError, match=r"needs one instance label per row of the learning set, \(116,\)"):
        learn_code(f"{name}(bits=8)", X)
    with pytest.raises(ValueError, match="y must hold a label for each of the 116 rows, got None"):
        Compression(name, {"bits": 8}).make().fit(X)
    with pytest.raises(ValueError, match="y must hold a label for each of the 116 rows, got 115"):
        Compression(name, {"bits": 8}).make().fit(X, y[1:])


def test_what_cannot_be_is_refused() -> None:
    X, y = scene()
    with pytest.raises(ValueError, match="HashNet: bits must be at most 24, the dimensions that the 116 rows"):
        learn_code("hashnet(bits=32)", X, y)
    with pytest.raises(ValueError, match=r"KNNHash: neighbours must be fewer than the other rows .* 115, got 115"):
        learn_code("knn_hash(bits=8, neighbours=115)", X)
    with pytest.raises(ValueError, match=r"epochs must be a whole number in \[1, 10000\], got 0"):
        Compression.parse("bae(epochs=0)")


@pytest.mark.parametrize("name", HEADS)
def test_each_head_learns_within_a_minute_of_processor_time(name: str) -> None:
    X = normalise(np.random.default_rng(0).standard_normal((640, 192)).astype(np.float32))
    start = time.process_time()
    learn_code(f"{name}(bits=32)", X, [*map(str, np.arange(600) % 60), *[""] * 40])
    seconds = time.process_time() - start
    print(f"{name}: {seconds:.1f} s of processor time for 640 rows of 192 dimensions")
    assert seconds < 60


def test_quality_of_bits_as_loops() -> None:
    X, _ = scene()
    code = ITQ(bits=8).fit(X)
    u = code.outputs(X)
    bits = [[1 if value >= 0 else -1 for value in row] for row in u.tolist()]
    columns = list(zip(*bits, strict=True))
    assert bit_balance(code, X) == pytest.approx(np.mean([abs(sum(one) / len(one)) for one in columns]))
    apart = [abs(np.corrcoef(columns[i], columns[j])[0, 1]) for i in range(8) for j in range(i)]
    assert bit_correlation(code, X) == pytest.approx(np.mean(apart))
    scales = np.linspace(0, 4 / np.abs(u).mean(), 20001)
    errors = [np.square(np.sign(u) - scale * u).mean() for scale in scales[::200]]
    assert quantisation_error(code, X) == pytest.approx(min(errors), abs=1e-3)


def test_quality_of_bits_that_never_change_and_of_codes_without_bits() -> None:
    X, _ = scene()
    code = ITQ(bits=1).fit(X)
    assert np.isnan(bit_correlation(code, X))
    assert bit_balance(code, X[:1]) == 1
    half = learn_code("float16", X)
    assert quantisation_error(half, X) == pytest.approx(
        np.square(X - X.astype(np.float16)).sum(axis=1).mean(), rel=1e-3
    )
    assert quantisation_error(learn_code("none", X), X) == 0


@pytest.mark.parametrize("progress", [True, False])
def test_no_bar_is_drawn_where_progress_is_off(things, store, monkeypatch, progress) -> None:
    drawn, tqdm = [], tqdm_of.tqdm

    def made(*items: object, **how: object) -> object:
        drawn.append((how["desc"], not how["disable"]))
        return tqdm(*items, **{**how, "disable": True})

    monkeypatch.setattr(tqdm_of, "tqdm", made)
    recipe = Recipe(
        dataset="things", backbone="toynet", weights="random", compression="knn_hash(bits=4, epochs=10, neighbours=2)"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        run(recipe, dataset=things, store=store, progress=progress)
    assert [shown for name, shown in drawn if name == "KNNHash"] == [progress]
    assert progress or not any(shown for _, shown in drawn)
