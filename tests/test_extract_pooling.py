"""Pooling together against pooling one by one, whatever the layout, the size, the values and what else is asked for."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cbirlab.aggregation import AGGREGATIONS, Aggregation, pooling
from cbirlab.aggregation.fused import FLOOR, Fused, Weights
from cbirlab.aggregation.look import looked
from cbirlab.aggregation.weighted import WeightedSums
from cbirlab.base.params import Range, parameters
from cbirlab.extract import fused_pooling
from cbirlab.extract.pooling import pool
from cbirlab.study.explain import parts

LAYOUTS = [torch.contiguous_format, torch.channels_last]
TRAINING_FREE = [*AGGREGATIONS]
OURS = ["mac", "spoc", "gem", "rmac", "crow", "scda", "pwa", "cam"]
"""Those that are known to join the walk."""
VARIANTS = [
    "spoc(centre_prior=True)",
    "gem(p=2)",
    "rmac(levels=5)",
    "crow(a=1, b=3)",
    "crow(b=1)",
    "pwa(proposals=3)",
    "pwa(a=1, b=1)",
    "cam(classes=5)",
    "scda",
]
SHAPES = [(3, 5, 7, 9), (2, 64, 1, 1), (1, 7, 1, 12), (4, 3, 60, 80), (5, 16, 13, 19), (2, 24, 90, 80), (2, 200, 9, 8)]


def random_maps(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    """Like what a ReLU leaves, brightest in the middle, with a dead channel."""
    generator = torch.Generator().manual_seed(seed + sum(shape))
    bright = torch.hann_window(shape[2] + 2, False)[1:-1, None] * torch.hann_window(shape[3] + 2, False)[1:-1]
    maps = torch.randn(shape, generator=generator).relu() * (0.2 + 3 * bright)
    maps[:, shape[1] // 2] = 0
    return maps


def compare(maps: torch.Tensor, names: list[str], rtol: float = 1e-5) -> None:
    specs = [Aggregation.parse(name) for name in names]
    pooled = pool(maps, specs)
    assert list(pooled) == [spec.key for spec in specs]
    for spec in specs:
        expected = spec.apply(maps.contiguous().float()).numpy()
        atol = 1e-6 * float(np.abs(expected).max(initial=0))
        np.testing.assert_allclose(pooled[spec.key], expected, rtol=rtol, atol=atol, err_msg=spec.key)
        assert pooled[spec.key].dtype == np.float32


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", SHAPES)
def test_all_together_are_each_alone(layout, dtype, shape):
    maps = random_maps(shape).to(dtype).contiguous(memory_format=layout)
    compare(maps, TRAINING_FREE)
    compare(maps, VARIANTS)


@pytest.mark.parametrize("name", [*TRAINING_FREE, *VARIANTS])
def test_one_alone_asks_for_no_more_than_it_needs(name, monkeypatch):
    asked = set()
    sums = fused_pooling._sums
    monkeypatch.setattr(
        fused_pooling, "_sums", lambda maps, reductions: asked.update(reductions) or sums(maps, reductions)
    )
    compare(random_maps((2, 6, 9, 8)), [name])
    form = Aggregation.parse(name).fused() or Fused(finish=max)  # one that is pooled alone asks for nothing
    assert {one for one in asked if isinstance(one, str)} == {*form.needs}
    assert len(asked) == len(form.needs) + (form.power is not None)


@pytest.mark.parametrize(
    "block", [500, 2500], ids=["short", "long"]
)  # of positions to be laid side by side, or too few
@pytest.mark.parametrize("layout", LAYOUTS)
def test_many_chunks_and_blocks_are_one(layout, block, monkeypatch):
    monkeypatch.setattr(fused_pooling, "CHUNK", 2 * 6 * 20 * 15)
    monkeypatch.setattr(fused_pooling, "BLOCK", block)
    compare(random_maps((7, 6, 20, 15)).contiguous(memory_format=layout), [*TRAINING_FREE, "spoc(centre_prior=True)"])


@given(st.tuples(*(st.integers(1, n) for n in (3, 6, 12, 12))), st.integers(0, 5), st.sets(st.sampled_from(VARIANTS)))
def test_any_choice_on_maps_of_any_shape(shape, seed, names):
    compare(random_maps(shape, seed), [*sorted(names), "mac"])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (30, 40)])
def test_zeros_stay_zeros_and_leave_their_neighbours_alone(size, layout):
    maps = random_maps((3, 5, size[0], size[1])).contiguous(memory_format=layout) + 0.1
    maps[1] = 0
    compare(maps, TRAINING_FREE)
    for key, values in pool(maps, [Aggregation.parse(name) for name in TRAINING_FREE]).items():
        assert np.abs(values[1]).max() <= (2e-6 if key.startswith("gem") else 0), key


def test_negative_values_are_treated_as_each_method_does():
    compare(torch.randn((2, 5, 8, 9), generator=torch.Generator().manual_seed(3)), TRAINING_FREE, rtol=1e-4)


@pytest.mark.parametrize("scale", [1e-20, 1e-7, 1e9, 1e14])
def test_neither_small_nor_large_values_are_lost(scale):
    compare(random_maps((2, 3, 16, 16)) * scale, TRAINING_FREE)


def test_what_has_a_state_goes_its_own_way():
    maps = random_maps((3, 6, 7, 8))
    specs = [Aggregation.parse(name) for name in ("rmac(learned=True)", "cam(classes=2)", "mac")]
    generator = torch.Generator().manual_seed(1)
    states = {
        specs[0].key: {"mean": torch.full((6,), 0.1), "projection": torch.randn((6, 6), generator=generator)},
        specs[1].key: {
            "classifier": torch.randn((4, 6), generator=generator),
            "classifier_bias": torch.zeros(4),
        },
    }
    pooled = pool(maps, specs, states)
    for spec in specs:
        np.testing.assert_allclose(pooled[spec.key], spec.apply(maps, states.get(spec.key)).numpy(), rtol=1e-6)
    assert not np.allclose(pooled[specs[1].key], specs[1].apply(maps).numpy())


def test_attention_comes_before_pooling():
    compare(random_maps((2, 6, 9, 8)), ["crow_spatial > gem(p=3)", "gem(p=3)", "crow_channel > mac", "mac"])


@pytest.fixture
def ours(monkeypatch):
    """The registry, put back when the test has ended."""
    for held in ("_entries", "_info"):
        monkeypatch.setattr(AGGREGATIONS, held, {**getattr(AGGREGATIONS, held)})


@pytest.mark.usefixtures("ours")
def test_methods_of_a_notebook_are_used_and_do_not_disturb_ours():
    AGGREGATIONS.remove("crow")

    @pooling("crow", title="Not CroW")
    def least(maps):
        return maps.amin((-2, -1))

    @pooling("centre", title="Centre")
    def centre(maps):
        return maps[:, :, maps.shape[2] // 2, maps.shape[3] // 2]

    maps = random_maps((2, 5, 8, 9))
    compare(maps, ["centre", *TRAINING_FREE])
    np.testing.assert_array_equal(pool(maps, [Aggregation("crow")])[Aggregation("crow").key], maps.amin((-2, -1)))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.usefixtures("ours")
def test_a_pooling_may_share_what_it_needs_weigh_and_sum_a_power_of_its_own(layout):
    """Position weights and a sum of its own, beside ours, in several blocks and of one image too."""
    sums = WeightedSums(lambda shared, **_: Weights(shared.across[:, 0] ** 2, shared.top), needs=("across", "top"))

    @pooling("squares", title="Squares", look=sums.look, parts=sums.parts, fused=sums.fused)
    def squares(maps):
        return sums.pool(maps)

    def cubes() -> Fused:
        return Fused(power=3, finish=lambda shared, found, *_: found)

    @pooling("cubes", title="Cubes", fused=cubes)
    def cubed(maps):
        return maps.clamp(min=FLOOR).pow(3).sum((-2, -1))

    for shape in SHAPES:
        maps = random_maps(shape).contiguous(memory_format=layout)
        compare(maps, ["squares", "cubes", *TRAINING_FREE])
        seen = looked("squares", maps)
        weighed = torch.einsum("bchw,bhw,bc->bc", maps, seen.spatial, seen.channels)
        np.testing.assert_allclose(weighed, squares(maps), rtol=1e-4, atol=1e-4)
        divided = parts("squares", maps[:1])
        assert divided.exact
        np.testing.assert_allclose(divided.total, squares(maps[:1].double())[0], rtol=1e-9)


@pytest.mark.usefixtures("ours")
def test_a_method_that_sweeps_is_asked_once_for_all_its_parameters():
    asked = []

    def sweep(maps, settings):
        asked.append([one["share"] for one in settings])
        return [maps.amax((-2, -1)) * share for share in asked[-1]]

    @pooling("part", title="Part", sweep=sweep)
    def part(maps, *, share: Annotated[float, Range(0.0, 1.0)] = 0.5):
        return maps.amax((-2, -1)) * share

    compare(random_maps((2, 5, 8, 9)), ["part(share=0.25)", "part(share=0.75)", "mac", "part"])
    assert asked == [[0.25, 0.75, 0.5]]
    compare(random_maps((2, 5, 8, 9)), ["part", "mac"])
    assert len(asked) == 1


def test_a_form_that_cannot_be_walked_is_refused():
    with pytest.raises(ValueError, match="needs must be names of top, total, used, across, got 'sum'"):
        Fused(needs=("sum",), finish=lambda shared, *_: shared.total)
    for neither_or_both in ({}, {"finish": max, "whole": max}):
        with pytest.raises(ValueError, match="give `finish` or `whole`"):
            Fused(**neither_or_both)
    mean = WeightedSums(lambda shared, **_: Weights(None))
    with pytest.raises(ValueError, match="a mean needs 'total'"):
        fused_pooling.walk(random_maps((1, 2, 3, 3)), [mean.fused()])


@pytest.mark.parametrize("name", [*OURS, *VARIANTS])
def test_ours_join_the_walk_unless_they_have_learned(name):
    assert Aggregation.parse(name).fused() is not None
    assert Aggregation.parse(f"crow_spatial > {name}").fused() is None
    if "learned" in parameters(Aggregation.parse(name).target()):
        assert Aggregation(Aggregation.parse(name).name, {"learned": True}).fused() is None
    assert Aggregation.parse("gem(p=2.5)").fused() is None
