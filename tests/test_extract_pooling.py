"""Pooling together against pooling one by one, whatever the layout, the size, the values and what else is asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cbirlab.aggregation import AGGREGATIONS, Aggregation, pooling
from cbirlab.extract import pooling as room
from cbirlab.extract import walk
from cbirlab.extract.pooling import pool

LAYOUTS = [torch.contiguous_format, torch.channels_last]
TRAINING_FREE = ["mac", "spoc", "gem(p=3)", "rmac", "crow", "scda", "pwa", "cam"]
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
    sums = walk._sums
    monkeypatch.setattr(walk, "_sums", lambda maps, names, power: asked.update(names) or sums(maps, names, power))
    compare(random_maps((2, 6, 9, 8)), [name])
    alone = name.partition("(")[0]
    assert asked == ({*walk.NEEDED.get(alone, ())} if "prior" not in name else set())


@pytest.mark.parametrize(
    "block", [500, 2500], ids=["short", "long"]
)  # of positions to be laid side by side, or too few
@pytest.mark.parametrize("layout", LAYOUTS)
def test_many_chunks_and_blocks_are_one(layout, block, monkeypatch):
    monkeypatch.setattr(walk, "CHUNK", 2 * 6 * 20 * 15)
    monkeypatch.setattr(walk, "BLOCK", block)
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


def test_methods_of_a_notebook_are_used_and_do_not_disturb_ours(monkeypatch):
    monkeypatch.setitem(AGGREGATIONS._entries, "crow", lambda maps, **_: maps.amin((-2, -1)))

    @pooling("centre", title="Centre")
    def centre(maps):
        return maps[:, :, maps.shape[2] // 2, maps.shape[3] // 2]

    try:
        maps = random_maps((2, 5, 8, 9))
        compare(maps, ["centre", *TRAINING_FREE])
        np.testing.assert_array_equal(pool(maps, [Aggregation("crow")])[Aggregation("crow").key], maps.amin((-2, -1)))
    finally:
        AGGREGATIONS.remove("centre")


def test_every_pooling_of_ours_walks():
    """A new one may be left out of the walk, but not by mistake."""
    assert {*room._ORIGINALS} == {*AGGREGATIONS}
    assert all(walk.walkable(Aggregation(name)) for name in AGGREGATIONS)
