"""Aggregations against loops, golden numbers, properties, and what must be refused."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from maps import any_maps, close, random_maps

from cbirlab.aggregation import (
    AGGREGATIONS,
    Aggregation,
    cam,
    crow,
    gem,
    gem_per_channel,
    gem_sweep,
    mac,
    pooling,
    pwa,
    scda,
    spoc,
)
from cbirlab.aggregation.poolings.gem import CHUNK
from cbirlab.base.params import Range, parameters
from cbirlab.base.registry import UnknownName

PS = [p / 2 for p in range(2, 21)]
SHAPES = [(1, 1, 1, 1), (2, 3, 1, 7), (2, 3, 7, 1), (1, 4, 2, 2), (3, 2, 5, 8), (2, 2, 9, 4)]
BY_CHANNEL = ("mac", "spoc", "gem")
"""Each channel on its own."""
WHEREVER = ("mac", "spoc", "gem", "crow", "pwa", "cam")
"""Blind to where in the map something is."""


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_methods_agree_with_the_formulas_written_as_loops(rng, shape):
    maps = random_maps(rng, shape)
    close(mac(maps), reference.mac(maps))
    close(spoc(maps), reference.mean(maps))
    close(spoc(maps, centre_prior=True), reference.spoc_with_prior(maps), rtol=2e-5)
    for p in (1.0, 2.0, 2.5, 2.7, 3.0, 4.0, 6.5, 10.0):
        close(gem(maps, p=p), reference.gem(maps, p))


def test_golden_numbers_of_the_survey_and_of_delf():
    survey = torch.tensor([[[[0.0, 1.0], [2.0, 3.0]]]])
    assert gem(survey, p=3.0).item() == pytest.approx(2.080084, abs=1e-6)
    assert gem(survey.double(), p=1.0).item() == pytest.approx(1.50000025, abs=1e-12)
    delf = torch.tensor([[[[0.0, 1.0], [2.0, 3.0]], [[4.0, 5.0], [6.0, 7.0]]]]).permute(0, 3, 1, 2)
    assert mac(delf).tolist() == [[6.0, 7.0]]
    assert spoc(delf).tolist() == [[3.0, 4.0]]
    close(gem(delf), [[4.1601677, 4.9866314]], rtol=1e-7)


@pytest.mark.parametrize("shape", [*SHAPES, (3, 64, 70, 60)])
def test_a_sweep_equals_one_gem_after_the_other(rng, shape):
    maps = random_maps(rng, shape)
    asked = [3.0, 2.7, *PS]
    swept = gem_sweep(maps, asked)
    assert swept.shape == (len(asked), *shape[:2])
    for row, p in zip(swept, asked, strict=True):
        close(row, gem(maps, p=p).double().numpy(), rtol=2e-6)


def test_a_batch_larger_than_a_chunk_is_pooled_image_by_image_alike(rng):
    maps = random_maps(rng, (5, 3, 200, 220))
    assert maps.numel() > 2 * CHUNK
    for p in (3.0, 7.0):
        close(gem(maps, p=p), torch.cat([gem(image[None], p=p) for image in maps]).double().numpy())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("p", [1.0, 3.0, 10.0])
def test_gem_is_finite_and_exact_for_every_float_type(rng, dtype, p):
    maps = (random_maps(rng, (2, 5, 6, 7)) * 100).clamp(max=6e4).to(dtype)
    maps[0, 1] = 0
    pooled = gem(maps, p=p)
    assert pooled.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    close(pooled, reference.gem(maps.double(), p))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (30, 40)])
def test_all_zero_maps_pool_to_the_floor_and_nothing_else(dtype, size):
    zeros = torch.zeros(2, 3, *size, dtype=dtype)
    for p in PS:
        close(gem(zeros, p=p), np.full((2, 3), 1e-6))
    for name in AGGREGATIONS:
        assert name == "gem" or not AGGREGATIONS[name](zeros).any(), name
    assert not spoc(zeros, centre_prior=True).any()


@pytest.mark.parametrize("name", BY_CHANNEL)
def test_a_channel_does_not_touch_its_neighbours(rng, name):
    maps = random_maps(rng, (2, 4, 5, 6)) + 0.1
    dead = maps.clone()
    dead[:, 2] = 0
    alive = [0, 1, 3]
    assert torch.equal(AGGREGATIONS[name](maps)[:, alive], AGGREGATIONS[name](dead)[:, alive])


@pytest.mark.parametrize("name", [name for name in AGGREGATIONS if name != "pwa"])
def test_a_dead_channel_changes_nothing_and_is_zero_itself(rng, name):
    maps = random_maps(rng, (2, 4, 5, 6))
    dead = torch.cat([maps[:, :2], torch.zeros(2, 1, 5, 6), maps[:, 2:]], dim=1)
    with_it, without = (AGGREGATIONS[name](one) for one in (dead, maps))
    halves = with_it.shape[1] // 5
    rest = [5 * half + c for half in range(halves) for c in (0, 1, 3, 4)]
    close(with_it[:, rest], without.double().numpy(), rtol=1e-5)
    assert (with_it[:, 2::5] <= 1e-6).all()


def test_negative_activations_count_as_the_floor_in_gem():
    assert gem(torch.full((1, 1, 3, 3), -5.0), p=2.5).item() == pytest.approx(1e-6, rel=1e-5)


def test_gem_has_a_finite_gradient_where_the_map_is_zero():
    maps = torch.zeros(1, 2, 3, 3)
    maps[0, 0, 1, 1] = 2.0
    maps.requires_grad_()
    gem(maps, p=3.0).sum().backward()
    assert maps.grad is not None
    assert torch.isfinite(maps.grad).all()
    assert maps.grad[0, 0, 1, 1] > 0


@settings(deadline=None)
@given(any_maps(), st.floats(1, 10))
def test_gem_lies_between_mean_and_maximum_and_grows_with_p(maps, p):
    floored = maps.clamp(min=1e-6)
    low, middle, high = spoc(floored), gem(maps, p=p), mac(floored)
    slack = 1e-5 * high
    assert (low <= middle + slack).all()
    assert (middle <= high + slack).all()
    assert (gem(maps, p=max(1.0, p - 0.7)) <= middle + slack).all()


@settings(deadline=None)
@given(any_maps())
def test_every_method_ignores_the_memory_layout_and_the_rest_of_the_batch(maps):
    for name in AGGREGATIONS:
        pooled = AGGREGATIONS[name](maps)
        assert pooled.shape == (len(maps), Aggregation(name).width(maps.shape[1]))
        assert torch.isfinite(pooled).all(), name
        close(AGGREGATIONS[name](maps.to(memory_format=torch.channels_last)), pooled.double().numpy(), rtol=1e-5)
        close(AGGREGATIONS[name](maps[-1:]), pooled[-1:].double().numpy(), rtol=1e-5)


@settings(deadline=None)
@given(any_maps())
def test_the_position_of_an_activation_matters_only_where_it_should(maps):
    turned = maps.flip(-1).roll(1, -2)
    for name in WHEREVER:
        close(AGGREGATIONS[name](turned), AGGREGATIONS[name](maps).double().numpy(), rtol=1e-5)


def test_the_centre_prior_prefers_the_centre():
    corner = torch.zeros(1, 1, 7, 7)
    corner[0, 0, 0, 0] = 1.0
    centre = corner.roll((3, 3), (-2, -1))
    assert spoc(centre, centre_prior=True) > 100 * spoc(corner, centre_prior=True)


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_every_method_refuses_what_is_no_batch_of_maps(name):
    pool = AGGREGATIONS[name]
    with pytest.raises(ValueError, match=rf"{name}: maps must be \(B, C, H, W\).*\(3, 4, 5\).*maps\[None\]"):
        pool(torch.rand(3, 4, 5))
    with pytest.raises(ValueError, match="not empty"):
        pool(torch.rand(2, 3, 0, 5))
    with pytest.raises(ValueError, match="got list"):
        pool([[1.0]])
    with pytest.raises(TypeError, match="floating-point"):
        pool(torch.ones(1, 1, 2, 2, dtype=torch.int64))
    with pytest.raises(TypeError, match="unknown parameter 'q'"):
        pool(torch.rand(1, 1, 2, 2), q=3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", AGGREGATIONS)
def test_half_precision_gives_what_the_same_numbers_give_in_double(rng, name, dtype):
    maps = (random_maps(rng, (2, 70, 6, 7)) * 1000).clamp(max=6e4).to(dtype)
    pooled = AGGREGATIONS[name](maps)
    assert pooled.dtype == torch.float32
    close(pooled, AGGREGATIONS[name](maps.double()).numpy(), rtol=2e-5, atol=1e-9)


@pytest.mark.parametrize("shape", [*SHAPES, (2, 7, 6, 5)])
def test_crow_scda_pwa_and_cam_agree_with_the_papers_written_as_loops(rng, shape):
    maps = random_maps(rng, shape)
    channels = shape[1]
    for a, b in ((2, 2), (1, 3)):
        close(crow(maps, a=a, b=b), reference.crow(maps.numpy(), a, b), rtol=1e-5, atol=1e-9)
    close(scda(maps), reference.scda(maps.numpy()), rtol=1e-5)
    for count in (1, 3, 25):
        spread = [n * channels // min(count, channels) for n in range(min(count, channels))]
        close(pwa(maps, proposals=count, a=3), reference.pwa(maps.numpy(), spread, 3, 2), rtol=1e-5)
    agnostic = reference.cam(maps.numpy(), np.ones((1, channels)), np.zeros(1), 1)
    close(cam(maps), agnostic, rtol=1e-5, atol=1e-9)


def test_golden_numbers_of_crow():
    maps = torch.tensor([[[[1.0, 0], [0, 3]], [[0, 0], [2, 0]], [[1, 1], [1, 1]]]])
    close(crow(maps), [[3.968749, 2.880270, 1.469674]], rtol=1e-6)


def test_scda_by_hand():
    maps = torch.zeros(1, 2, 3, 4)
    maps[0, 0, 0, :2] = torch.tensor([3.0, 1.0])
    maps[0, 1, 1, 1] = 4.0
    maps[0, :, 2, 3] = 1.5  # above the mean too, but one cell against three
    mean, largest = np.array([4 / 3, 4 / 3]), np.array([3.0, 4.0])
    expected = [*mean / np.linalg.norm(mean), *largest / 5]
    close(scda(maps), [expected])
    negative = scda(maps - 5)
    close(negative[:, 2:], [largest - 5] / np.linalg.norm(largest - 5))


def test_scda_takes_all_of_a_map_that_is_the_same_everywhere(rng):
    column = torch.tensor(rng.random((2, 300, 1, 1)), dtype=torch.float32)
    expected = torch.cat([column[:, :, 0, 0]] * 2, dim=1) / column.flatten(1).norm(dim=1, keepdim=True)
    for size in ((1, 1), (1, 7), (14, 14)):
        close(scda(column.expand(-1, -1, *size)), expected.double().numpy(), rtol=1e-5)


def classifier(rng, classes: int, channels: int) -> dict[str, torch.Tensor]:
    weights = rng.normal(size=(classes, channels)), rng.normal(size=classes)
    return {
        name: torch.tensor(one, dtype=torch.float32)
        for name, one in zip(("classifier", "classifier_bias"), weights, strict=True)
    }


@pytest.mark.parametrize("shape", [(2, 3, 1, 7), (3, 8, 5, 4), (2, 6, 1, 1)])
@pytest.mark.parametrize("classes", [1, 4, 64])
def test_cam_sums_over_the_top_classes_of_each_image(rng, shape, classes):
    maps, state = random_maps(rng, shape), classifier(rng, 10, shape[1])
    expected = reference.cam(
        maps.numpy(), state["classifier"].numpy(), state["classifier_bias"].numpy().astype(float), classes
    )
    close(cam(maps, classes=classes, state=state), expected, rtol=2e-5, atol=1e-6)
    assert not cam(torch.zeros(1, *shape[1:]), state=state).any()


def test_cam_refuses_what_does_not_fit_the_maps(rng):
    maps, state = torch.rand(1, 4, 3, 3), classifier(rng, 5, 6)
    with pytest.raises(ValueError, match="reads 6 channels, the maps have 4; take the tap"):
        cam(maps, state=state)
    with pytest.raises(ValueError, match="must hold 'classifier' and 'classifier_bias'"):
        cam(maps, state={"mean": torch.zeros(4)})
    with pytest.raises(ValueError, match="learned=True needs state with 'mean' and 'projection'"):
        cam(maps, learned=True, state=classifier(rng, 5, 4))
    learned = {"mean": torch.zeros(6), "projection": torch.eye(6)}
    with pytest.raises(ValueError, match="learned on maps of 6 channels, got 4"):
        cam(maps, learned=True, state=classifier(rng, 5, 4) | learned)


def test_cam_whitens_class_vectors_as_scikit_learn_does(rng):
    from sklearn.decomposition import PCA

    from cbirlab.aggregation.poolings.cam import class_vectors, learn, likeliest_vectors

    state = classifier(rng, 10, 5)
    samples = likeliest_vectors(random_maps(rng, (40, 5, 4, 4)).half(), state=state)
    assert samples.shape == (40, 1, 5)
    learned = learn(samples.flatten(0, 1).numpy())
    state |= {name: torch.as_tensor(value) for name, value in learned.items()}
    pca = PCA(whiten=True).fit(samples[:, 0].double().numpy())
    maps = random_maps(rng, (3, 5, 4, 4))
    rows = class_vectors(maps, 3, state).double().numpy()
    white = np.stack([pca.transform(row) for row in rows])
    total = (white / np.linalg.norm(white, axis=2, keepdims=True)).sum(axis=1)
    expected = total / np.linalg.norm(total, axis=1, keepdims=True)
    actual = cam(maps, classes=3, learned=True, state=state).double().numpy()
    # The sign of an axis is free.
    np.testing.assert_allclose(np.abs(actual), np.abs(expected), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(actual @ actual.T, expected @ expected.T, atol=1e-5)


def test_local_whitening_keeps_the_width_and_does_not_amplify_what_was_not_seen(rng):
    from cbirlab.aggregation.local_pca import learn_whitening, whiten

    samples = rng.normal(size=(4, 9))
    state = {name: torch.as_tensor(value) for name, value in learn_whitening("test", samples).items()}
    white = whiten("test", torch.tensor(samples), state).numpy()
    assert white.shape == (4, 9)
    assert not white[:, 3:].any()
    np.testing.assert_allclose(white.T[:3] @ white[:, :3] / 3, np.eye(3), atol=1e-6)
    assert not whiten("test", torch.zeros(2, 9), state).any()
    for equal in (np.ones((5, 3)), np.ones((1, 3)), np.ones((0, 3))):
        with pytest.raises(ValueError, match=f"test: learning needs local vectors that differ, got {len(equal)}"):
            learn_whitening("test", equal)


def test_local_whitening_holds_a_block_of_the_samples_in_double_precision_and_no_copy_of_them(rng):
    from sklearn.decomposition import PCA

    from cbirlab.aggregation.local_pca import learn_whitening

    samples = (rng.normal(size=(40_000, 32)) * np.linspace(1, 4, 32) + 3).astype(np.float32)
    tracemalloc.start()
    learned = learn_whitening("test", samples)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < samples.nbytes
    pca = PCA(whiten=True, svd_solver="full").fit(samples.astype(np.float64))
    expected = pca.components_ / np.sqrt(pca.explained_variance_)[:, None]
    np.testing.assert_allclose(np.abs(learned["projection"]), np.abs(expected), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(learned["mean"], pca.mean_, rtol=1e-5)


def test_pwa_learns_the_channels_whose_sums_vary_most(rng):
    from cbirlab.aggregation.poolings.pwa import channel_sums, most_varied

    train = random_maps(rng, (12, 9, 3, 4)) / 10
    train[:, 4] += 5 * torch.arange(12.0)[:, None, None]
    train[:, 1] += 3 * torch.arange(12.0)[:, None, None]
    samples = channel_sums(train)
    close(samples, reference.mean(train.numpy())[:, None] * 12, rtol=1e-5)
    learned = most_varied(samples[:, 0].numpy(), proposals=2)
    assert learned["channels"].tolist() == [1, 4]
    state = {"channels": torch.as_tensor(learned["channels"])}
    maps = random_maps(rng, (2, 9, 3, 4))
    close(pwa(maps, proposals=2, learned=True, state=state), reference.pwa(maps.numpy(), [1, 4], 2, 2), rtol=1e-5)
    assert most_varied(np.ones((3, 4)), proposals=2)["channels"].tolist() == [0, 1]
    with pytest.raises(ValueError, match="learned=True needs state with 'channels'"):
        pwa(maps, learned=True)
    with pytest.raises(ValueError, match="learned on maps of 9 channels with proposals=3, got 2 proposals"):
        pwa(maps, proposals=3, learned=True, state=state)
    with pytest.raises(ValueError, match="learned on maps of 4 channels"):
        pwa(maps[:, :4], proposals=2, learned=True, state=state)


def test_gem_with_an_exponent_per_channel_is_gem_channel_by_channel(rng):
    maps = random_maps(rng, (2, 4, 5, 3))
    maps[0, 2] = 0
    exponents = [1.0, 2.7, 3.0, 10.0]
    pooled = gem_per_channel(maps, exponents)
    for channel, p in enumerate(exponents):
        close(pooled[:, channel], gem(maps, p=p)[:, channel].double().numpy(), rtol=1e-5)
    assert gem_per_channel(maps.half(), exponents).dtype == torch.float32


def test_the_exponents_per_channel_can_be_learned():
    maps = torch.rand(2, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    p = torch.tensor([1.5, 3.0, 6.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p: gem_per_channel(maps, p), (p,))


@pytest.mark.parametrize(
    ("p", "message"),
    [([3.0], r"p must be \(2,\).*got \(1,\)"), (3.0, r"p must be \(2,\).*got \(\)"), ([3.0, 0.0], "p must be > 0")],
)
def test_exponents_that_do_not_fit_the_channels_are_refused(p, message):
    with pytest.raises(ValueError, match=f"gem_per_channel: {message}"):
        gem_per_channel(torch.rand(1, 2, 3, 3), p)


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_gradients_are_finite_where_the_map_is_zero(name):
    maps = torch.zeros(1, 3, 4, 4)
    maps[0, 0, 1, 1], maps[0, 1, 1, 2] = 2.0, 1.0
    maps.requires_grad_()
    AGGREGATIONS[name](maps).sum().backward()
    assert maps.grad is not None
    assert maps.grad.abs().max() < 100


@pytest.mark.parametrize("p", [0.5, 11.0, float("nan"), float("inf"), -3, True])
def test_gem_refuses_exponents_outside_its_range(p):
    with pytest.raises(ValueError, match=r"gem: p must be in \[1, 10\]"):
        gem(torch.rand(1, 1, 2, 2), p=p)
    with pytest.raises(ValueError, match=r"gem: p must be in \[1, 10\]"):
        gem_sweep(torch.rand(1, 1, 2, 2), [3.0, p])


def test_a_sweep_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one exponent"):
        gem_sweep(torch.rand(1, 1, 2, 2), [])


def test_the_slider_can_read_the_range_of_p():
    assert parameters(gem)["p"].domain == Range(1.0, 10.0, step=0.5)
    assert parameters(gem)["p"].default == 3.0


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_every_method_can_be_written_down_and_read_back(name):
    spec = Aggregation(name)
    assert Aggregation.parse(name) == Aggregation.parse(spec.key) == Aggregation.parse(spec) == spec
    assert hash(Aggregation.parse(spec.key)) == hash(spec)
    maps = torch.rand(2, 3, 4, 5)
    assert torch.equal(spec.apply(maps), AGGREGATIONS[name](maps))
    assert AGGREGATIONS.info(name).title


def test_specs_fill_in_and_normalise_parameters():
    assert Aggregation.parse("gem").key == str(Aggregation.parse(" gem( p = 3.0 ) ")) == "gem(p=3)"
    assert Aggregation.parse("gem (p=3)").key == "gem(p=3)"
    assert Aggregation.parse("gem(p=2.5)").parameters == {"p": 2.5}
    assert Aggregation("gem", {"p": 4}) == Aggregation("gem", (("p", 4.0),))
    assert Aggregation.parse("spoc").key == "spoc(centre_prior=False)"
    assert Aggregation.parse("mac()").key == "mac"


@pytest.mark.parametrize(
    "text",
    ["gem(3)", "gem(p=", "gem(p=3) + 1", "gem(p=open('x'))", "gem(p=3)(q=4)", "gem(p=3, p=4)", "gem(**{'p': 3})"],
)
def test_specs_that_are_no_specs_are_refused(text):
    with pytest.raises(ValueError, match="expected a form like"):
        Aggregation.parse(text)


def test_specs_name_what_is_wrong_and_what_is_near():
    with pytest.raises(UnknownName, match="Did you mean 'gem'"):
        Aggregation.parse("gme")
    with pytest.raises(TypeError, match="unknown parameter 'P'"):
        Aggregation.parse("gem(P=3)")
    with pytest.raises(ValueError, match=r"in \[1, 10\]"):
        Aggregation.parse("gem(p=99)")


def test_a_new_method_is_one_decorated_function():
    @pooling("median", title="Median")
    def median(maps):
        return maps.flatten(2).median(dim=-1).values

    try:
        assert Aggregation.parse("median").apply(torch.ones(1, 2, 3, 3, dtype=torch.float16)).tolist() == [[1.0, 1.0]]
        with pytest.raises(ValueError, match="median: maps must be"):
            median(torch.rand(3, 3))
    finally:
        AGGREGATIONS.remove("median")
