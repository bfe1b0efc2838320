"""Poolings that learn: where each begins, what it learns and leaves alone, and what its name stands for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from maps import random_maps

from cbirlab import Recipe, compare, plots, run
from cbirlab.adaptation import Training, find_trained, train
from cbirlab.adaptation.poolings import MovingPooling
from cbirlab.adaptation.work import Work
from cbirlab.aggregation import AGGREGATIONS, Aggregation
from cbirlab.aggregation.layers import NetVLADPooling, RegionWeights
from cbirlab.aggregation.learnable import POOLINGS, LearnablePooling
from cbirlab.aggregation.look import looked
from cbirlab.aggregation.trained import region_weights, trained_pooling
from cbirlab.backbones import load_backbone
from cbirlab.backbones.trained import POOLED, TRAINED
from cbirlab.base.registry import UnknownName
from cbirlab.cli import main
from cbirlab.live import Session

SIZE, CHANNELS = 64, 12
SMALL = {
    "netvlad": "netvlad(k=4, local_dims=6)",
    "second_order": "second_order(reduction=2)",
    "squeeze_excitation": "squeeze_excitation(reduction=4)",
    "delf": "delf(hidden=8)",
}
"""Smaller ones of those that are large by default."""

ALL = [SMALL.get(name, name) for name in POOLINGS]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Trained poolings of one test, whose names no other test sees."""
    monkeypatch.setenv("CBIRLAB_TRAINED", str(tmp_path / "trained"))
    yield tmp_path / "trained"
    for name in [name for name in AGGREGATIONS.so_far() if name.startswith(TRAINED)]:
        AGGREGATIONS.remove(name)


def small(pictures, pooling="region_weights", **fields) -> Training:
    """A short training of a pooling on the drawn pictures, over maps of random weights."""
    usual = {"on": f"{pictures}/images", "leak": True, "weights": "random", "image_size": SIZE, "moves": "pooling"}
    return Training(**(usual | {"pooling": pooling, "steps": 4, "augment": "none", "loss": "triplet"} | fields))


def learning(pooling) -> Training:
    return Training(moves="pooling", pooling=pooling)


def sampled(maps: torch.Tensor) -> np.ndarray:
    return maps.flatten(2).mT.reshape(-1, maps.shape[1]).numpy()


def begun(pooling: str, maps: torch.Tensor):
    layer = LearnablePooling.parse(pooling).make(maps.shape[1]).eval()
    layer.start(sampled(maps))
    return layer


def moved(layer, by: float = 0.1):
    """The layer after a step in a random direction, in float64."""
    torch.manual_seed(1)
    with torch.no_grad():
        for one in layer.parameters():
            one.add_(by * torch.randn_like(one))
    return layer.double()


def unit(rows: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(rows)


def maps_of(count: int = 3, channels: int = CHANNELS, shape=(6, 9)) -> torch.Tensor:
    return random_maps(np.random.default_rng(0), (count, channels, *shape))


# where it begins


@pytest.mark.parametrize("pooling", ALL)
@pytest.mark.parametrize("shape", [(6, 9), (7, 7), (1, 4)])
def test_it_begins_as_the_pooling_that_learns_nothing(pooling, shape):
    """Up to the length of vectors, to 1e-5 of float32; also where a map has zero columns."""
    maps = maps_of(shape=shape)
    maps[:, :, 0, 0] = 0
    layer, samples = begun(pooling, maps), sampled(maps)
    spec = Aggregation.parse(layer.untrained)
    state = spec.prepare(spec.learn(samples, np.zeros(len(samples)))) if spec.learns else None
    with torch.no_grad():
        found, wanted = layer(maps), spec.apply(maps, state)
    assert found.shape == (len(maps), layer.width)
    torch.testing.assert_close(unit(found), unit(wanted), atol=1e-5, rtol=0)


@pytest.mark.parametrize("local_dims", [None, 6, 50])
def test_netvlad_gives_what_the_encoding_gives(local_dims):
    maps = maps_of()
    layer = NetVLADPooling(CHANNELS, k=4, local_dims=local_dims)
    layer.start(sampled(maps))
    with torch.no_grad():
        torch.testing.assert_close(layer(maps), layer.encoding.encode(maps.flatten(2).mT), atol=2e-6, rtol=0)


def test_the_normalisations_of_second_order_attention_begin_at_the_learning_set():
    maps = maps_of()
    block: Any = begun("second_order", maps).block
    for branch in (block.f, block.g):
        inner = branch[1](branch[0](maps)).detach().transpose(0, 1).flatten(1)
        assert inner.mean(dim=1).abs().max() < 1e-4
        assert (inner.var(dim=1) - 1).abs().max() < 1e-2


@pytest.mark.parametrize(("gate", "weight"), [("softplus", 1.0), ("sigmoid", 0.5)])
def test_regions_begin_with_one_weight(gate, weight):
    weights = RegionWeights(CHANNELS, gate=gate).weights(maps_of())[1]
    torch.testing.assert_close(weights.detach(), torch.full(weights.shape, weight))


def test_pictures_that_choose_the_step_are_not_looked_at(pictures, warm, monkeypatch):
    """Neither a codebook nor a normalisation begins from them."""
    seen = []
    monkeypatch.setattr(NetVLADPooling, "start", lambda _, columns: seen.append(columns))
    loop = Work.of(small(pictures, "netvlad(k=4)", hold_out=0.5), warm).begin(resume=False)
    assert len(loop.split.ask)
    learned = np.concatenate([loop._entered[int(row), 0].float().flatten(1).T for row in loop.split.learn])
    assert len(seen[0]) == len(learned)
    assert {one.tobytes() for one in seen[0]} == {one.tobytes() for one in learned}


@pytest.mark.parametrize("pooling", ALL)
def test_two_of_one_seed_begin_alike_and_torch_is_left_alone(pooling):
    state = torch.random.get_rng_state()
    one, two = (LearnablePooling.parse(pooling).make(CHANNELS, seed=3).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert torch.equal(state, torch.random.get_rng_state())


# gradients


@pytest.mark.parametrize("pooling", ALL)
def test_gradients_are_those_of_differences(pooling):
    maps = maps_of(2, 6, (3, 4)).clamp(0.01, 3) + torch.rand(2, 6, 3, 4)  # away from the corners of ReLU and maximum
    layer = moved(begun(pooling.replace("local_dims=6", "local_dims=4"), maps))
    named = dict(layer.named_parameters())

    def forward(*values):
        return unit(torch.func.functional_call(layer, dict(zip(named, values, strict=True)), (maps.double(),)))

    given = [one.detach().clone().requires_grad_() for one in named.values()]
    assert torch.autograd.gradcheck(forward, given, atol=1e-5, rtol=1e-3)


def test_weights_of_regions_are_a_slow_sum():
    from cbirlab.aggregation.poolings.rmac import grid

    maps = maps_of().double()
    for gate, g in (("softplus", lambda x: np.log1p(np.exp(x))), ("sigmoid", lambda x: 1 / (1 + np.exp(-x)))):
        layer = moved(RegionWeights(CHANNELS, gate=gate))
        w, b = (one.detach().numpy() for one in (layer.score.weight[0], layer.score.bias[0]))
        boxes, weights = layer.weights(maps)
        for image, row in enumerate(layer(maps).detach()):
            total = np.zeros(CHANNELS)
            for place, (top, left, side) in enumerate(grid(6, 9)):
                region = maps[image, :, top : top + side, left : left + side].amax((1, 2)).numpy()
                region = region / np.linalg.norm(region)
                assert boxes[place] == (top, left, top + side, left + side)
                assert weights[image, place].item() == pytest.approx(g(w @ region + b))
                total += g(w @ region + b) * region
            np.testing.assert_allclose(row, total / np.linalg.norm(total), rtol=1e-9)


# training


@pytest.mark.parametrize("pooling", ALL)
def test_it_lowers_the_loss_and_moves_nothing_else(pooling, pictures, warm):
    loop = Work.of(small(pictures, pooling, steps=12, rate=0.01), warm).begin(resume=False)
    before = {name: one.clone() for name, one in loop.network.module.state_dict().items()}
    drawn = loop.supervision.draw(0)

    def value() -> float:
        return float(loop.supervision.loss(loop.loss, loop.described(loop._batch(drawn, 0)), drawn))

    start, learned = value(), {name: one.detach().clone() for name, one in loop.network.learned().items()}
    for _ in loop.run():
        pass
    assert value() < start
    assert any(not torch.equal(one, learned[name]) for name, one in loop.network.learned().items())
    assert all(torch.equal(one, before[name]) for name, one in loop.network.module.state_dict().items())
    assert isinstance(loop.network, MovingPooling)
    assert not {*loop.network.weights()} & {*before}


@pytest.mark.parametrize("pooling", ALL)
def test_taken_up_again_it_ends_with_the_same_bits(pooling, pictures, warm):
    work = Work.of(small(pictures, pooling, loss="softmax", augment="views", keep="last"), warm)
    whole = work.begin(resume=False)
    for step in whole.run():
        if step.step == 2:
            work.save(whole)
    again = work.begin()
    assert again.descent.done == 2
    assert len(list(again.run())) == 2
    one, other = whole.network.weights(), again.network.weights()
    assert all(torch.equal(one[name], other[name]) for name in one)


# its name


@pytest.mark.parametrize("pooling", ALL)
def test_its_name_gives_what_the_layer_gives(pooling, pictures, things, warm):
    from cbirlab import images
    from cbirlab.backbones import taps
    from cbirlab.extract import extract

    done = train(small(pictures, pooling, rate=0.01, keep="last"), name="mine", store=warm, progress=False)
    assert done.path.parent.name == POOLED
    assert find_trained(POOLED, "mine").key == done.key
    spec = Aggregation.parse("trained:mine")
    assert spec == f"{TRAINED}{done.weights}"
    backbone = load_backbone("toynet", "random")
    options = {"taps": [backbone.default_tap], "parts": ["images"], "image_size": SIZE, "store": warm}
    found = extract(things, backbone, aggregations=[spec], **options)
    rows = found[backbone.default_tap, spec.key]["images"]
    layer = trained_pooling("mine")
    for path, row in zip(things.images[:6], rows, strict=False):
        batch = images.prepare(path, image_size=SIZE, mean=backbone.mean, std=backbone.std)[None]
        maps = taps.forward(backbone, batch, [backbone.default_tap])
        by_hand = layer(maps[backbone.default_tap].float())[0]
        np.testing.assert_allclose(row, by_hand.detach(), atol=2e-5 * float(by_hand.abs().max()))


def test_two_trainings_have_two_keys_in_the_store(pictures, things, warm):
    from cbirlab.extract import extract

    backbone, keys, rows = load_backbone("toynet", "random"), [], []
    options = {"taps": [backbone.default_tap], "parts": ["images"], "image_size": SIZE, "store": warm}
    for seed in (0, 1):
        done = train(small(pictures, seed=seed, rate=0.1, keep="last"), store=warm, progress=False)
        spec = Aggregation.parse(f"{TRAINED}{done.weights}")
        found = extract(things, backbone, aggregations=[spec], **options)
        keys.append(found.keys[backbone.default_tap, spec.key]["images"])
        rows.append(found[backbone.default_tap, spec.key]["images"])
    assert keys[0] != keys[1]
    assert not np.allclose(*rows)


def test_a_recipe_keeps_the_hash_and_runs(pictures, warm):
    done = train(small(pictures), name="mine", store=warm, progress=False)
    common = {"dataset": str(pictures), "weights": "random", "image_size": SIZE, "whitening_set": "held_out"}
    recipe = Recipe(aggregation="trained:mine", **common)
    assert recipe.aggregation == f"{TRAINED}{done.weights}"
    assert "mine" not in recipe.to_json()
    assert Recipe.from_json(recipe.to_json()) == recipe == replace(done.recipe(**common), tap=None)
    assert run(recipe, store=warm, progress=False).recipe.aggregation == recipe.aggregation
    after = run(replace(recipe, aggregation="crow_spatial > trained:mine"), store=warm, progress=False)
    assert after.recipe.aggregation == f"crow_spatial(a=2, b=2) > {recipe.aggregation}"


def test_tables_and_sessions_offer_it_where_it_was_trained(pictures, warm):
    train(small(pictures), name="mine", store=warm, progress=False)
    common = {"image_size": SIZE, "store": warm, "progress": False, "whitenings": ["none"]}
    frame = compare(pictures, weights="random", taps="all", aggregations="trained:mine,mac", **common)
    cells = frame[frame["aggregation"] == Aggregation.parse("trained:mine")]
    assert cells["tap"].tolist() == ["layer4"]
    session = Session(pictures, "toynet", "random", ["trained:mine"], store=warm, image_size=SIZE)
    assert session.allowed("layer4", "trained:mine")
    assert not session.allowed("layer3", "trained:mine")


def test_the_command_line_trains_and_reads_one(pictures, folder, tmp_path, capsys):
    given = ["--weights", "random", "--image-size", str(SIZE), "--quiet", "--store", str(tmp_path / "store")]
    asked = ["--moves", "pooling", "--pooling", "delf(hidden=8)", "--steps", "2", "--name", "mine"]
    assert main(["train", "--on", f"{pictures}/images", "--leak", "on", *asked, *given]) == 0
    named = ["--aggregation", "trained:mine", "--whitening-set", "held_out"]
    assert main(["run", "--dataset", str(pictures), *named, *given]) == 0
    assert "trained:trained-" in capsys.readouterr().out
    assert main(["list", "aggregations"]) == 0
    assert "trained:..." in capsys.readouterr().out


def test_an_exponent_alone_is_plain_gem(pictures, warm):
    done = train(small(pictures, "gem(p=4)", rate=0.01, keep="last"), store=warm, progress=False)
    p = done.record["p"]
    assert p != 4
    assert done.recipe().aggregation == f"gem(p={float(f'{p:.4g}')})"
    assert done.recipe().weights == "random"


def test_maps_of_another_width_are_refused(pictures, warm):
    done = train(small(pictures), name="mine", store=warm, progress=False)
    spec = Aggregation.parse("trained:mine")
    with pytest.raises(ValueError, match=r"it was trained on maps of 192 channels, got 12; name the network"):
        spec.apply(maps_of())
    other = done.recipe(dataset=str(pictures), tap="layer3", image_size=SIZE, whitening_set="held_out")
    with pytest.raises(ValueError, match=r"trained on maps of 192 channels, of toynet layer4; tap 'layer3' has"):
        run(other, store=warm, progress=False)


def test_what_is_not_there_is_a_sentence(pictures, warm, folder):
    with pytest.raises(UnknownName, match="there is no trained pooling 'nobody'; see `cbirlab list trainings`"):
        Aggregation.parse("trained:nobody")
    with pytest.raises(UnknownName, match=r"Unknown learnable pooling 'gen'. Did you mean 'gem'"):
        learning("gen")
    done = train(small(pictures, "delf(hidden=8)"), store=warm, progress=False)
    spec = Aggregation.parse(f"{TRAINED}{done.weights}")
    with pytest.raises(ValueError, match="must be a trained 'region_weights', got 'gem"):
        region_weights(done.weights, maps_of(channels=192))
    kept = done.path.read_bytes()
    done.path.unlink()
    with pytest.raises(ValueError, match="its file is gone; train it again"):
        spec.apply(maps_of(channels=192))
    (done.path.parent / "trained-broken.safetensors").write_bytes(kept[: len(kept) // 2])
    with pytest.raises(ValueError, match="must be a pooling that was trained here, and cannot be read"):
        Aggregation.parse("trained:trained-broken")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"moves": "head", "pooling": "delf"}, "pooling is what learns with moves 'pooling', got 'delf' with moves"),
        ({"moves": "layer4", "pooling": "gem(p=4)"}, "pooling is what learns with moves 'pooling'"),
        ({"moves": "pooling", "precision": "bfloat16"}, "a pooling learns in precision 'float32'"),
        ({"moves": "pooling", "start": "lw"}, "start is that of a head, but moves is 'pooling'"),
        ({"moves": "pooling", "aggregation": "netvlad"}, "aggregation must be a pooling that learns nothing"),
    ],
)
def test_what_a_pooling_cannot_do_is_refused(fields, told):
    with pytest.raises(ValueError, match=told):
        Training(**fields)


def test_a_training_says_which_pooling_learns():
    training = learning("netvlad(k=8)")
    assert Training.from_json(training.to_json()) == training
    resolved = training.resolved(load_backbone("toynet"), 224)
    assert (resolved.family, resolved.precision, resolved.augment) == (POOLED, "float32", "views")
    assert resolved.rate == POOLINGS.info("netvlad").facts["rate"]


# what regions count


def test_regions_are_drawn_by_their_weights(pictures, warm):
    done = train(small(pictures, rate=0.1, keep="last"), name="mine", store=warm, progress=False)
    maps = maps_of(1, 192, (4, 6))
    boxes, weights = region_weights("mine", maps)
    given = weights[0].numpy()
    seen = looked(f"{TRAINED}{done.weights}", maps)
    assert seen.regions == (tuple(boxes),)
    wanted = np.zeros((4, 6))
    for (top, left, bottom, right), one in zip(boxes, given, strict=True):
        wanted[top:bottom, left:right] += one
    assert seen.spatial is not None
    np.testing.assert_allclose(seen.spatial[0], wanted, rtol=1e-5)
    ax = plots.regions(np.zeros((40, 60, 3), np.uint8), boxes, given, cells=(4, 6), title="a $title")
    drawn: list[Any] = [patch for patch in ax.patches if patch.get_linewidth() == 2]
    assert len(drawn) == len(boxes)
    order = np.argsort(given, kind="stable")
    assert [patch.get_xy() for patch in drawn] == [(10 * boxes[one][1], 10 * boxes[one][0]) for one in order]
    alphas = [patch.get_alpha() for patch in drawn]
    assert alphas == sorted(alphas)
    assert (alphas[0], alphas[-1]) == pytest.approx((0.06, 0.95))
    assert plots.png(ax).startswith(b"\x89PNG")
    assert ax.get_title() == r"a \$title"


def test_equal_regions_are_equally_faint_and_others_refused():
    picture = np.zeros((40, 60, 3), np.uint8)
    ax = plots.regions(picture, [(0, 0, 2, 2), (1, 1, 3, 3)], [1.0, 1.0], cells=(4, 6))
    assert {patch.get_alpha() for patch in ax.patches} == {0.5}
    for boxes, weights, told in (([], [], "one for each"), ([(0, 0, 2, 2)], [1, 2], r"must be \(1,\)")):
        with pytest.raises(ValueError, match=told):
            plots.regions(picture, boxes, weights, cells=(4, 6))
    with pytest.raises(ValueError, match="a box must be"):
        plots.regions(picture, [(0, 0, 2)], [1.0], cells=(4, 6))
