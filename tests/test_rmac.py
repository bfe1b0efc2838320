"""R-MAC: the published grid and where it covers the map, the descriptor against loops, and the learned whitening."""

from __future__ import annotations

import numpy as np
import pytest
import reference
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from cbirlab.aggregation import AGGREGATIONS, Aggregation, mac, rmac
from cbirlab.aggregation.poolings.rmac import MOST_ACROSS, grid, learn, region_maxima, regions

SHAPES = [
    (1, 1, 1, 1),
    (2, 3, 1, 7),
    (2, 3, 9, 1),
    (1, 4, 2, 2),
    (2, 3, 3, 40),
    (3, 5, 7, 7),
    (2, 4, 9, 4),
    (1, 3, 12, 33),
]
LAYOUTS = [torch.contiguous_format, torch.channels_last]


def random_maps(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).relu()


@pytest.mark.parametrize(
    ("width", "height", "count", "sides"),
    [
        (7, 7, 14, {7, 4, 3}),
        (16, 12, 20, {12, 8, 6}),
        (32, 24, 20, {24, 16, 12}),
        (24, 32, 20, {24, 16, 12}),
        (32, 21, 20, {21, 14, 10}),
        (40, 10, 44, {10, 6, 5}),
        (40, 12, 38, {12, 8, 6}),
    ],
)
def test_the_golden_grids(width, height, count, sides):
    found = grid(height, width)
    assert len(found) == count
    assert {side for _, _, side in found} == sides


def test_the_golden_offsets():
    assert {x0 for _, x0, side in grid(24, 32) if side == 24} == {0, 8}
    assert {x0 for _, x0, side in grid(10, 40) if side == 10} == {0, 6, 12, 18, 24, 30}
    assert {y0 for y0, _, side in grid(40, 10) if side == 10} == {0, 6, 12, 18, 24, 30}
    assert grid(7, 7)[:5] == [(0, 0, 7), (0, 0, 4), (0, 3, 4), (3, 0, 4), (3, 3, 4)]


@pytest.mark.parametrize("levels", [1, 2, 3, 4, 5])
def test_every_position_of_every_map_lies_in_a_region(levels):
    for height in range(1, 41):
        for width in range(1, 41):
            covered = np.zeros((height, width), dtype=bool)
            for y0, x0, side in grid(height, width, levels):
                assert side >= 1
                assert 0 <= y0 <= height - side
                assert 0 <= x0 <= width - side
                covered[y0 : y0 + side, x0 : x0 + side] = True
            assert covered.all(), (height, width)


@pytest.mark.parametrize("levels", [1, 3, 5])
def test_the_grid_is_the_published_one_wherever_that_covers_the_map(levels):
    """Beyond a ratio of 7 of the sides, the published seven largest squares do not reach each other."""
    for height in range(1, 41):
        for width in range(1, 41):
            published = reference.rmac_grid(height, width, levels)
            if max(height, width) <= MOST_ACROSS * min(height, width):
                assert grid(height, width, levels) == published
            else:
                assert len(grid(height, width, levels)) > len(published)


def test_the_published_grid_does_leave_gaps_on_very_long_maps():
    """If this fails, `grid` need not depart from the paper."""
    covered = {x for _, x0, side in reference.rmac_grid(2, 40) for x in range(x0, x0 + side)}
    assert len(covered) < 40
    assert {x for _, x0, side in grid(2, 40) for x in range(x0, x0 + side)} == set(range(40))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("levels", [1, 2, 3, 5])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_descriptor_is_that_of_loops_over_regions(shape, levels, layout):
    maps = random_maps(shape)
    expected = reference.rmac(maps.numpy(), grid(shape[2], shape[3], levels))
    actual = rmac(maps.contiguous(memory_format=layout), levels=levels)
    np.testing.assert_allclose(actual.numpy(), expected, rtol=3e-6, atol=1e-7)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [(7, 7), (8, 10), (14, 14), (15, 20), (32, 32), (24, 32), (2, 40), (37, 5), (60, 45)])
def test_the_maxima_are_exact(size, layout):
    maps = random_maps((2, 5, size[0], size[1])).contiguous(memory_format=layout)
    for levels in (1, 3, 4):
        found = region_maxima(maps, levels)
        looped = [
            maps[:, :, y0 : y0 + side, x0 : x0 + side].amax((-2, -1)) for y0, x0, side in grid(size[0], size[1], levels)
        ]
        assert torch.equal(found, torch.stack(looped, dim=1))


@given(st.integers(1, 45), st.integers(1, 45), st.integers(1, 5), st.integers(0, 9))
def test_the_maxima_are_exact_on_maps_of_any_size(height, width, levels, seed):
    maps = random_maps((1, 2, height, width), seed)
    looped = [maps[:, :, y : y + side, x : x + side].amax((-2, -1)) for y, x, side in grid(height, width, levels)]
    assert torch.equal(region_maxima(maps, levels), torch.stack(looped, dim=1))


def test_one_level_of_a_square_map_is_its_mac():
    maps = random_maps((3, 6, 9, 9))
    torch.testing.assert_close(rmac(maps, levels=1), torch.nn.functional.normalize(mac(maps), dim=1))


def test_the_maximum_of_the_whole_map_is_not_added_again():
    maps = torch.zeros(1, 2, 7, 7)
    maps[0, 0, 0, 0] = 1.0  # in the whole and the first corner of levels 2 and 3
    maps[0, 1, 6, 6] = 2.0
    vector = rmac(maps)[0]
    whole = np.array([1, 2]) / np.sqrt(5)
    expected = whole + np.array([2, 2])
    np.testing.assert_allclose(vector.numpy(), expected / np.linalg.norm(expected), rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_half_precision_is_pooled_in_float32(dtype):
    maps = (random_maps((2, 5, 6, 9)) * 1e4).clamp(max=6e4).to(dtype)
    actual = rmac(maps)
    assert actual.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    np.testing.assert_allclose(actual.numpy(), reference.rmac(maps.double().numpy(), grid(6, 9)), rtol=3e-6, atol=1e-7)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (20, 30)])
def test_a_map_of_zeros_stays_zeros(size):
    maps = random_maps((3, 4, size[0], size[1])) + 0.1
    maps[1] = 0
    pooled = rmac(maps)
    assert not pooled[1].any()
    np.testing.assert_allclose(pooled[[0, 2]].norm(dim=1).numpy(), 1, rtol=1e-6)
    state = {"mean": torch.full((4,), 0.3), "projection": torch.eye(4)}
    assert not rmac(maps, learned=True, state=state)[1].any()


def test_it_has_a_gradient():
    maps = random_maps((1, 3, 8, 10)).requires_grad_()
    rmac(maps)[0, 0].backward()
    assert maps.grad is not None
    assert torch.isfinite(maps.grad).all()
    assert maps.grad.any()


def test_the_learned_form_is_that_of_loops():
    train = random_maps((30, 5, 7, 9), 1)
    samples = regions(train).flatten(0, 1).numpy()
    state = learn(samples)
    maps = random_maps((3, 5, 9, 6), 2)
    maps[0, :, :3, :3] = 0  # a region of zeros adds nothing
    expected = reference.rmac(maps.numpy(), grid(9, 6), state["mean"], state["projection"])
    actual = rmac(maps, learned=True, state={name: torch.from_numpy(value) for name, value in state.items()})
    np.testing.assert_allclose(actual.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_the_samples_are_the_regions_of_the_train_split():
    maps = random_maps((2, 4, 7, 9))
    found = regions(maps, levels=2, learned=True)
    assert found.shape == (2, len(grid(7, 9, 2)), 4)
    np.testing.assert_allclose(found.norm(dim=-1).numpy(), 1, rtol=1e-6)
    torch.testing.assert_close(torch.nn.functional.normalize(found.sum(1), dim=1), rmac(maps, levels=2))
    assert regions(maps.half()).dtype == torch.float32


def test_learning_is_the_pca_of_scikit_learn():
    samples = np.random.default_rng(0).normal(size=(200, 6)) @ np.diag([5, 4, 3, 2, 1, 0.5])
    state = learn(samples)
    ours = (samples - state["mean"]) @ state["projection"].T
    theirs = PCA(whiten=True).fit(samples).transform(samples)
    np.testing.assert_allclose(np.abs(ours), np.abs(theirs), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(np.cov(ours.T), np.eye(6), atol=1e-4)


def test_fewer_samples_than_dimensions_amplify_nothing():
    rng = np.random.default_rng(1)
    samples = rng.normal(size=(4, 10)).astype(np.float32)
    state = learn(samples)
    assert state["projection"].shape == (10, 10)
    assert not state["projection"][3:].any()
    whitened = (samples - state["mean"]) @ state["projection"].T
    np.testing.assert_allclose(np.cov(whitened[:, :3].T), np.eye(3), atol=1e-4)
    unseen = rng.normal(size=10).astype(np.float32)
    assert np.linalg.norm(state["projection"] @ unseen) < 10
    for few in (samples[:0], samples[:1], samples[[0, 0, 0]]):
        with pytest.raises(ValueError, match="local vectors that differ"):
            learn(few)


def test_the_learned_form_says_what_it_misses():
    with pytest.raises(ValueError, match="'mean' and 'projection'"):
        rmac(random_maps((1, 2, 3, 3)), learned=True)
    with pytest.raises(ValueError, match=r"levels must be a whole number in \[1, 5\]"):
        rmac(random_maps((1, 2, 3, 3)), levels=6)


def test_it_stands_between_gem_and_crow_and_is_written_down_with_its_parameters():
    assert [*AGGREGATIONS][:5] == ["mac", "spoc", "gem", "rmac", "crow"]
    assert Aggregation.parse("rmac").key == "rmac(levels=3, learned=False)"
    facts = AGGREGATIONS.info("rmac").facts
    assert (facts["samples"], facts["learn"]) == (regions, learn)
