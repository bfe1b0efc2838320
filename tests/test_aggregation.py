"""Aggregations against loops, golden numbers, properties, and what must be refused."""

from __future__ import annotations

import numpy as np
import pytest
import reference
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cbirlab.aggregation import AGGREGATIONS, Aggregation, gem, gem_sweep, mac, pooling, spoc
from cbirlab.aggregation.basic import CHUNK
from cbirlab.params import Range, parameters
from cbirlab.registry import UnknownName

PS = [p / 2 for p in range(2, 21)]
SHAPES = [(1, 1, 1, 1), (2, 3, 1, 7), (2, 3, 7, 1), (1, 4, 2, 2), (3, 2, 5, 8), (2, 2, 9, 4)]


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def random_maps(rng, shape) -> torch.Tensor:
    """Sparse and non-negative like what a ReLU leaves, over several orders of magnitude."""
    values = np.maximum(rng.normal(size=shape), 0) * 10 ** rng.uniform(-2, 2, size=(*shape[:2], 1, 1))
    return torch.tensor(values, dtype=torch.float32)


@st.composite
def any_maps(draw):
    shape = tuple(draw(st.integers(1, 6)) for _ in range(4))
    scale = draw(st.sampled_from([1e-4, 1.0, 1e4]))
    values = st.one_of(st.just(0.0), st.floats(0, 1, width=32))
    return torch.tensor(draw(arrays(np.float32, shape, elements=values)) * np.float32(scale))


def close(actual: torch.Tensor, expected, rtol=2e-6, atol=0.0):
    np.testing.assert_allclose(actual.double().numpy(), expected, rtol=rtol, atol=atol)


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
    assert not mac(zeros).any()
    assert not spoc(zeros, centre_prior=True).any()


def test_a_dead_channel_does_not_touch_its_neighbours(rng):
    maps = random_maps(rng, (2, 4, 5, 6)) + 0.1
    dead = maps.clone()
    dead[:, 2] = 0
    alive = [0, 1, 3]
    for name in AGGREGATIONS:
        assert torch.equal(AGGREGATIONS[name](maps)[:, alive], AGGREGATIONS[name](dead)[:, alive]), name


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


@given(any_maps(), st.floats(1, 10))
def test_gem_lies_between_mean_and_maximum_and_grows_with_p(maps, p):
    floored = maps.clamp(min=1e-6)
    low, middle, high = spoc(floored), gem(maps, p=p), mac(floored)
    slack = 1e-5 * high
    assert (low <= middle + slack).all()
    assert (middle <= high + slack).all()
    assert (gem(maps, p=max(1.0, p - 0.7)) <= middle + slack).all()


@given(any_maps())
def test_every_method_ignores_the_memory_layout_and_the_rest_of_the_batch(maps):
    for name in AGGREGATIONS:
        pooled = AGGREGATIONS[name](maps)
        assert pooled.shape == maps.shape[:2]
        close(AGGREGATIONS[name](maps.to(memory_format=torch.channels_last)), pooled.double().numpy(), rtol=1e-5)
        close(AGGREGATIONS[name](maps[-1:]), pooled[-1:].double().numpy(), rtol=1e-5)


@given(any_maps())
def test_the_position_of_an_activation_matters_to_the_centre_prior_only(maps):
    turned = maps.flip(-1).roll(1, -2)
    for name in AGGREGATIONS:
        close(AGGREGATIONS[name](turned), AGGREGATIONS[name](maps).double().numpy(), rtol=1e-5)
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
