"""Losses and miners against loops, a library, published definitions and the corners where they break."""

from __future__ import annotations

import inspect
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning import losses as library
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.reducers import SumReducer
from sklearn.metrics import average_precision_score
from slow_losses import SLOW, chosen, smoothap, squared
from torch.nn.functional import normalize

from cbirlab.base.params import parameters
from cbirlab.training.ap_losses import binned_precision, smooth_precision
from cbirlab.training.losses import LOSSES, Loss
from cbirlab.training.matches import as_indices
from cbirlab.training.miners import MINERS, Miner, check_mined
from cbirlab.training.pair_losses import distances

WIDTH, CLASSES = 7, 6
RAGGED = [3, 0, 3, 5, 0, 2, 0, 0, 4, 2, 4, 3]
"""Five of six classes, one to four rows each, in no order."""


def facts(name) -> dict:
    return LOSSES.info(name).facts


PROXIES = [name for name in LOSSES if facts(name)["proxies"]]
MINING = [name for name in LOSSES if facts(name)["mines"]]
OWN = [name for name in LOSSES if not facts(name)["requires"]]
PULL_APART = {"siamese", "siamese_cirtorch", "double"}
"""A pair of others alone can cost something."""


def batch(labels=RAGGED, seed=0, spread=0.6, dtype=torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit rows around a centre for each class, so close that classes overlap."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(CLASSES * 20, WIDTH))
    rows = torch.from_numpy(centres[labels] + spread * 2 * rng.normal(size=(len(labels), WIDTH)) + 1)
    return normalize(rows).to(dtype), torch.tensor(labels)


def made(name, classes=CLASSES, **given) -> torch.nn.Module:
    return Loss(name, given).make(classes, WIDTH).double()


def weights(loss) -> torch.Tensor | None:
    """Class weights (C, D), whatever the loss calls them."""
    for value in loss.parameters():
        if value.ndim == 2:
            return value if value.shape[1] == WIDTH else value.T
    return None


def unbiased(loss) -> torch.nn.Module:
    with torch.no_grad():
        for value in loss.parameters():
            if value.ndim == 1:
                value.zero_()
    return loss


def slowly(name, loss, rows, labels, mined=None, **given) -> float:
    held = weights(loss)
    plain = None if held is None else held.detach().numpy()
    return SLOW[name](
        rows.numpy(), labels.tolist(), plain, chosen(labels.tolist(), mined), **Loss(name, given).parameters
    )


def gradients(loss, rows, labels) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The value, and the gradients of rows before they were normalised and of the parameters."""
    raw = rows.clone().requires_grad_()
    value = loss(normalize(raw), labels)
    assert value.ndim == 0
    assert value.requires_grad
    value.backward()
    held = [parameter.grad for parameter in loss.parameters() if parameter.grad is not None]
    assert raw.grad is not None
    return value.detach(), [raw.grad, *held]


def finite(loss, rows, labels) -> torch.Tensor:
    value, found = gradients(loss, rows, labels)
    assert value.isfinite()
    assert all(one.isfinite().all() for one in found)
    return value


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_its_formula_as_loops(name, seed):
    loss = unbiased(made(name))
    rows, labels = batch(seed=seed)
    expected = slowly(name, loss, rows, labels)
    assert loss(rows, labels).item() == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert expected != 0


@pytest.mark.parametrize("miner", [name for name in MINERS if name != "none"])
@pytest.mark.parametrize("name", MINING)
def test_mined_pairs_are_the_only_ones(name, miner):
    loss = made(name)
    rows, labels = batch(seed=4)
    mined = Miner(miner).make()(rows, labels)
    expected = slowly(name, loss, rows, labels, mined)
    assert loss(rows, labels, mined).item() == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert expected != pytest.approx(slowly(name, loss, rows, labels), rel=1e-6) or (name, miner) == (
        "multisim",
        "multisim",
    )


@pytest.mark.parametrize("name", MINING)
def test_one_mined_triplet_is_not_none(name):
    """The library takes a single pair for an absence."""
    rows, labels = batch()
    loss = made(name)
    mined = tuple(torch.tensor([index]) for index in (0, 2, 3))
    expected = slowly(name, loss, rows, labels, mined)
    assert loss(rows, labels, mined).item() == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", MINING)
def test_no_mined_triplet_costs_nothing_but_keeps_the_graph(name):
    rows, labels = batch()
    rows.requires_grad_()
    none = torch.zeros(0, dtype=torch.int64)
    for mined in ((none,) * 3, (none,) * 4):
        value = made(name)(rows, labels, mined)
        assert value.requires_grad
        assert name in PROXIES or float(value.detach()) == 0


GOLDEN = {
    "multisim": 0.740106,
    "supcon": 3.339384,
    "siamese": 0.108126,
    "siamese_cirtorch": 0.106171,
    "double": 0.093968,
    "triplet": 0.266406,
    "lifted": 7.862095,
    "npairs": 1.487916,
    "angular": 2.781082,
    "circle": 57.382882,
    "ntxent": 3.554352,
    "smoothap": 0.418951,
    "binnedap": 0.430345,
    "fastap": 0.496451,
    "ce": 0.215836,
    "softmax": 0.256697,
    "cosface": 0.793542,
    "arcface": 10.508300,
    "proxynca": -5.213751,
    "proxyanchor": 24.087976,
    "joint": 0.394754,
}


@pytest.mark.parametrize("name", LOSSES)
def test_golden_numbers_of_four_classes_of_four_rows(name):
    rows, labels = batch([c for c in range(4) for _ in range(4)], seed=7)
    loss = made(name, classes=4)
    if name in PROXIES:
        loss.start_at(rows, labels)
    assert loss(rows, labels).item() == pytest.approx(GOLDEN[name], abs=5e-6)


@pytest.mark.parametrize("name", LOSSES)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_the_order_of_rows_never_counts(name, data):
    rows, labels = batch(seed=data.draw(st.integers(0, 99), label="seed"))
    order = torch.tensor(data.draw(st.permutations(range(len(labels))), label="order"))
    loss = made(name)
    assert loss(rows[order], labels[order]).item() == pytest.approx(loss(rows, labels).item(), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", [name for name in LOSSES if name not in PROXIES])
def test_names_of_classes_never_count(name):
    rows, labels = batch()
    renamed = torch.tensor([70, 3, 500, 12, 9, 31])[labels]
    assert made(name)(rows, renamed).item() == pytest.approx(made(name)(rows, labels).item(), rel=1e-9)


CORNERS = {
    "ragged": RAGGED,
    "more classes than rows a class": [0, 0, 1, 1, 2, 2, 3, 3, 4, 4],
    "more rows a class than classes": [0, 0, 0, 0, 0, 1, 1, 1, 1, 1],
    "one row a class": [0, 1, 2, 3, 4, 5],
    "one class": [2, 2, 2, 2],
    "one match": [1, 1, 0, 5],
    "two rows": [3, 1],
    "one row": [3],
}


@pytest.mark.parametrize("corner", CORNERS)
@pytest.mark.parametrize("name", LOSSES)
def test_every_batch_has_a_finite_value_and_gradient(name, corner):
    labels = CORNERS[corner]
    rows, numbers = batch(labels, dtype=torch.float32)
    loss = Loss(name).make(CLASSES, WIDTH)
    value = finite(loss, rows, numbers)
    if corner in ("one row a class", "two rows", "one row") and name not in {*PROXIES, *PULL_APART}:
        assert value == 0
        assert not gradients(loss, rows, numbers)[1][0].any()


@pytest.mark.parametrize(
    "how", ["all equal", "each twice", "a match is equal", "another is equal", "opposite", "one-hot"]
)
@pytest.mark.parametrize("count", [12, 36])
@pytest.mark.parametrize("name", LOSSES)
def test_equal_and_opposite_rows_are_finite(name, count, how):
    """More than 25 rows: there some distances come from products."""
    labels = (RAGGED * 3)[:count]
    rows, numbers = batch(labels, dtype=torch.float32)
    if how == "all equal":
        rows[:] = rows[0]
    elif how == "each twice":
        rows[1::2] = rows[::2]
    elif how == "opposite":
        rows[1::2] = -rows[::2]
    elif how == "one-hot":
        rows = torch.eye(WIDTH)[numbers % WIDTH]
    else:
        rows[2 if how == "a match is equal" else 1] = rows[0]
    loss = Loss(name).make(CLASSES, WIDTH)
    finite(loss, rows, numbers)
    if name in PROXIES:
        loss.start_at(rows, numbers)
        finite(loss, rows, numbers)


def test_equal_rows_are_at_no_distance_and_do_not_pull():
    """In batches of more than 25 rows, where distances from products would be 0.0003 and pull by thousands."""
    raw = normalize(torch.ones(40, WIDTH)).requires_grad_()
    distance = distances(raw)
    distance.sum().backward()
    assert not distance.any()
    assert not raw.grad.any()


@pytest.mark.parametrize("name", LOSSES)
def test_both_ends_of_every_range_are_finite(name):
    rows, labels = batch(dtype=torch.float32)
    apart, near = torch.eye(WIDTH)[labels % WIDTH], rows[:1].expand_as(rows)
    for parameter in parameters(LOSSES[name]).values():
        for end in (parameter.domain.low, parameter.domain.high):
            loss = Loss(name, {parameter.name: end}).make(CLASSES, WIDTH)
            for one in (rows, apart, near, -apart):
                finite(loss, one, labels)


@pytest.mark.parametrize("name", OWN)
def test_gradients_of_our_own_losses(name):
    loss = made(name)
    rows, labels = batch(seed=3)
    inputs = [rows.requires_grad_(), *loss.parameters()]
    assert torch.autograd.gradcheck(lambda rows, *_: loss(normalize(rows), labels), inputs)


@pytest.mark.parametrize("name", LOSSES)
def test_half_the_precision_gives_nearly_the_same(name):
    rows, labels = batch()
    loss = made(name)
    double = loss(rows, labels).item()
    assert loss.float()(rows.float(), labels).item() == pytest.approx(double, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_a_step_against_the_gradient_lowers_the_loss(name):
    rows, labels = batch(seed=5)
    loss = made(name)
    raw = rows.clone().requires_grad_()
    before = loss(normalize(raw), labels)
    before.backward()
    moved = raw.detach() - 1e-4 * raw.grad / raw.grad.norm()
    assert loss(normalize(moved), labels).item() < float(before.detach())


def test_smooth_precision_becomes_average_precision():
    scores, match = scored(np.random.default_rng(0).uniform(-1, 1, (20, 20)))
    assert smooth_precision(scores, match, 1e-6).tolist() == pytest.approx(precisions(scores, match), abs=1e-6)
    assert smooth_precision(scores, match, 0.5).tolist() != pytest.approx(precisions(scores, match), abs=0.05)


def test_binned_precision_is_average_precision_where_no_bin_holds_two_rows():
    rng = np.random.default_rng(0)
    scores, match = scored(np.stack([np.linspace(-1, 1, 81)[rng.permutation(81)[:20]] for _ in range(20)]))
    assert binned_precision(scores, match, 81).tolist() == pytest.approx(precisions(scores, match), abs=1e-9)
    assert binned_precision(scores, match, 5).tolist() != pytest.approx(precisions(scores, match), abs=0.05)


def scored(scores) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores of 20 queries, and which rows match; one query has no match."""
    labels = torch.tensor([0] * 9 + [1] * 7 + [2] * 3 + [3])
    return torch.from_numpy(scores), (labels[:, None] == labels) & ~torch.eye(20, dtype=torch.bool)


def precisions(scores, match) -> list[float]:
    """Average precision as scikit-learn computes it, of queries with a match; the query itself is left out."""
    found = []
    for query in range(len(scores)):
        others = np.arange(len(scores)) != query
        if match[query].any():
            found.append(average_precision_score(match[query].numpy()[others], scores[query].numpy()[others]))
    return found


def sorted_batch(classes, each, seed=0) -> tuple[torch.Tensor, torch.Tensor]:
    return batch([c for c in range(classes) for _ in range(each)], seed=seed)


def test_smooth_ap_of_the_library_is_right_for_as_many_classes_as_rows_each_in_order_and_never_else():
    """Why ours is not the library's: it takes the number of rows a class for the number of classes."""
    theirs = library.SmoothAPLoss(0.05)

    def authors(rows, labels) -> float:
        return smoothap(rows.numpy(), labels.tolist(), None, None, 0.05, itself=True)

    rows, labels = sorted_batch(4, 4)
    assert theirs(rows, labels).item() == pytest.approx(authors(rows, labels), abs=1e-6)
    for classes, each in ((8, 4), (4, 8), (6, 2)):
        rows, labels = sorted_batch(classes, each)
        assert theirs(rows, labels).item() != pytest.approx(authors(rows, labels), abs=0.01)
    rows, labels = sorted_batch(4, 4)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    assert theirs(rows[order], labels[order]).item() != pytest.approx(authors(rows, labels), abs=0.01)


def test_where_the_library_is_right_our_own_losses_agree():
    rows, labels = batch()
    ours = made("double", m1=0.2, m2=0.9)
    theirs = library.ContrastiveLoss(0.2, 0.9, distance=LpDistance(power=2), reducer=SumReducer())
    count = len(labels) * (len(labels) - 1)
    assert ours(rows, labels).item() == pytest.approx(theirs(rows, labels).item() / 2 / count)

    ours = made("arcface")
    theirs = library.ArcFaceLoss(CLASSES, WIDTH).double()
    theirs.W.data = ours.weights.data.T.clone()
    assert ours(rows, labels).item() == pytest.approx(theirs(rows, labels).item())


def test_proxy_nca_of_the_library_counts_the_own_class():
    rows, labels = batch()
    ours, theirs = made("proxynca"), library.ProxyNCALoss(CLASSES, WIDTH, softmax_scale=9).double()
    theirs.proxies.data = ours.weights.data.clone()
    odds = torch.tensor([ours(rows[[i]], labels[[i]]).item() for i in range(len(rows))])
    assert theirs(rows, labels).item() == pytest.approx(float(torch.log1p(odds.exp()).mean()), rel=1e-5)


def test_an_arcface_row_beyond_the_turn_still_costs_more_the_farther_it_is():
    loss = made("arcface", classes=2, scale=2.0)
    angles = torch.linspace(0, np.pi, 50, dtype=torch.float64)
    loss.weights.data = torch.eye(2, WIDTH, dtype=torch.float64)
    loss.weights.data[1] = torch.eye(WIDTH, dtype=torch.float64)[2]
    rows = angles.cos()[:, None] * torch.eye(WIDTH)[0] + angles.sin()[:, None] * torch.eye(WIDTH)[1]
    costs = [loss(row[None], torch.tensor([0])).item() for row in rows]
    assert costs == sorted(costs)


@pytest.mark.parametrize("name", PROXIES)
def test_class_weights_start_at_the_means_and_learn(name):
    rows, labels = batch()
    loss = made(name)
    before = weights(loss).detach().clone()
    loss.start_at(rows, labels)
    held = weights(loss).detach()
    for c in range(CLASSES):
        own = rows[labels == c]
        expected = normalize(own.mean(dim=0), dim=0) if len(own) else before[c]
        assert torch.allclose(held[c], expected)
    assert all(parameter.requires_grad for parameter in loss.parameters())
    assert all(one.any() for one in gradients(loss, rows, labels)[1])


@pytest.mark.parametrize("name", PROXIES)
def test_rows_that_cancel_out_leave_their_class_weight(name):
    rows, labels = batch([0, 0, 1, 2])
    rows[1] = -rows[0]
    loss = made(name)
    before = weights(loss).detach().clone()
    loss.start_at(rows, labels)
    assert torch.equal(weights(loss).detach()[0], before[0])


@pytest.mark.parametrize("name", LOSSES)
def test_only_losses_with_class_weights_have_parameters_and_a_start(name):
    loss = made(name)
    assert bool([*loss.parameters()]) == hasattr(loss, "start_at") == (name in PROXIES)
    if name in PROXIES:
        with pytest.raises(ValueError, match="at least 2 classes"):
            Loss(name).make(1, WIDTH)


@pytest.mark.parametrize("name", LOSSES)
def test_making_a_loss_is_deterministic_and_leaves_generators_alone(name):
    torch.manual_seed(1)
    first = made(name).state_dict()
    torch.manual_seed(2)
    numbers = np.random.get_state()[1].copy()  # noqa: NPY002
    state = torch.get_rng_state()
    loss = made(name)
    rows, labels = batch()
    loss(rows, labels)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numbers)  # noqa: NPY002
    assert all(torch.equal(first[key], value) for key, value in loss.state_dict().items())


@pytest.mark.parametrize("registry", [LOSSES, MINERS], ids=["losses", "miners"])
def test_every_parameter_is_declared_and_its_default_allowed(registry):
    """An annotation that `params` cannot read would drop out in silence."""
    for name in registry:
        target = registry[name]
        words = [one.name for one in inspect.signature(target).parameters.values() if one.kind is one.KEYWORD_ONLY]
        declared = parameters(target)
        assert [*declared] == words
        for parameter in declared.values():
            assert parameter.domain.check(name, parameter.name, parameter.default) == parameter.default
        assert registry.info(name).title


@pytest.mark.parametrize("name", LOSSES)
def test_unknown_parameters_are_refused(name):
    with pytest.raises(TypeError, match=f"{name}: unknown parameter 'marign'"):
        Loss(name, {"marign": 1})
    assert Loss.parse(Loss(name).key) == Loss(name)
    assert Loss(name).key == name


def test_other_values_are_refused():
    with pytest.raises(ValueError, match=r"tau must be in \[0.005, 1\], got 0"):
        Loss("smoothap", {"tau": 0})
    with pytest.raises(KeyError, match="Did you mean 'multisim'"):
        Loss("multisin")


def test_without_the_extra_names_are_known_and_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr("cbirlab.training.losses.find_spec", lambda name: None)
    with pytest.raises(
        ImportError, match=r"loss 'multisim' needs pytorch-metric-learning: pip install 'cbirlab\[train\]'\."
    ):
        Loss("multisim").make(4, 4)
    with pytest.raises(
        ImportError, match=r"miner 'hard' needs pytorch-metric-learning: pip install 'cbirlab\[train\]'\."
    ):
        Miner("hard").make()
    for name in OWN:
        Loss(name).make(4, 4)


def test_listing_losses_imports_nothing_heavy_and_naming_them_needs_no_library():
    probe = """
import sys
from cbirlab.training.miners import MINERS, LOSSES, Loss, Miner
[registry.info(name).facts["requires"] for registry in (LOSSES, MINERS) for name in registry]
print(*(name for name in ("torch", "pytorch_metric_learning", "sklearn", "scipy") if name in sys.modules))
sys.modules["pytorch_metric_learning"] = None
[method(name) for method, registry in ((Loss, LOSSES), (Miner, MINERS)) for name in registry]
"""
    ran = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []


@pytest.mark.parametrize("corner", CORNERS)
@pytest.mark.parametrize("name", MINERS)
def test_miners_find_only_true_matches_and_true_others(name, corner):
    rows, labels = batch(CORNERS[corner])
    mined = Miner(name).make()(rows.requires_grad_(), labels)
    assert (mined is None) == (name == "none")
    if mined is not None:
        anchor, match, *rest = mined
        other_anchor, other = rest if len(rest) == 2 else (anchor, *rest)
        assert (labels[anchor] == labels[match]).all()
        assert (anchor != match).all()
        assert (labels[other_anchor] != labels[other]).all()
        assert not any(one.requires_grad for one in mined)


def test_hard_and_semihard_triplets_are_what_loops_find():
    rows, labels = batch(seed=2)
    n, names = range(len(labels)), labels.tolist()
    d = [[squared(rows[i], rows[j]) ** 0.5 for j in n] for i in n]
    hardest, between = set(), set()
    for a in n:
        near = [j for j in n if j != a and names[j] == names[a]]
        far = [j for j in n if names[j] != names[a]]
        if near and far:
            hardest.add((a, max(near, key=d[a].__getitem__), min(far, key=d[a].__getitem__)))
        between |= {(a, p, o) for p in near for o in far if 0 < d[a][o] - d[a][p] <= 0.1}
    found = [Miner(name).make()(rows, labels) for name in ("hard", "semihard")]
    assert [{*zip(*(one.tolist() for one in mined), strict=True)} for mined in found] == [hardest, between]
    assert hardest
    assert between


@pytest.mark.parametrize("miner", MINERS)
@pytest.mark.parametrize("name", LOSSES)
def test_a_miner_is_refused_by_losses_of_all_rows(name, miner):
    rows, labels = batch()
    if miner == "none" or name in MINING:
        check_mined(Loss(name), Miner(miner))
        return
    with pytest.raises(
        ValueError, match=rf"loss '{name}' reads all rows of a batch, so miner must be 'none', got '{miner}'"
    ):
        check_mined(Loss(name), Miner(miner))
    with pytest.raises(ValueError, match="it reads all rows of a batch, so mined must be None"):
        made(name)(rows, labels, as_indices(labels, None))


def test_pairs_of_triplets_count_once():
    labels = torch.tensor([0, 0, 1, 1])
    mined = tuple(torch.tensor(one) for one in ([0, 0, 2], [1, 1, 3], [2, 3, 0]))
    anchor, match, other_anchor, other = as_indices(labels, mined)
    assert [*zip(anchor.tolist(), match.tolist(), strict=True)] == [(0, 1), (2, 3)]
    assert [*zip(other_anchor.tolist(), other.tolist(), strict=True)] == [(0, 2), (0, 3), (2, 0)]
