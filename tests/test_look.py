"""What a pooling looked at, against loops, and that it explains what the pooling gave."""

from __future__ import annotations

import numpy as np
import pytest
import reference
import torch

from cbirlab.aggregation import AGGREGATIONS, cam, crow, mac, pooling, pwa, spoc
from cbirlab.aggregation.look import Looked, looked

SHAPES = [(1, 1, 1, 1), (2, 3, 1, 7), (2, 3, 7, 1), (3, 5, 5, 8)]


def maps_of(shape) -> torch.Tensor:
    return torch.tensor(np.maximum(np.random.default_rng(5).normal(size=shape), 0), dtype=torch.float32)


def close(actual: torch.Tensor | None, expected, rtol=1e-5):
    assert actual is not None
    np.testing.assert_allclose(actual.double().numpy(), expected, rtol=rtol, atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", AGGREGATIONS)
def test_every_method_tells_in_the_shape_of_the_maps_even_of_zeros_and_half_precision(name, shape):
    batch, channels, height, width = shape
    for maps in (maps_of(shape), torch.zeros(shape), maps_of(shape).half()):
        seen = looked(name, maps)
        if seen.regions is not None:
            assert len(seen.regions) == batch
            assert all(0 <= t < b <= height and 0 <= left < r <= width for one in seen.regions for t, left, b, r in one)
        for part, due in (
            (seen.spatial, (batch, height, width)),
            (seen.channels, (batch, channels)),
            (seen.masks, (batch, height, width)),
        ):
            assert part is None or tuple(part.shape) == due
            assert part is None or (part.isfinite().all() and (part >= 0).all())


@pytest.mark.parametrize("shape", SHAPES)
def test_mac_and_gem_agree_with_loops(shape):
    maps = maps_of(shape)
    maps[0, 0] = 0
    images = list(maps.numpy())
    close(looked("mac", maps).spatial, [reference.looked_at_by_mac(image) for image in images])
    for p in (1, 3, 6.5):
        close(looked(f"gem(p={p})", maps).spatial, [reference.looked_at_by_gem(image, p) for image in images])


def test_what_was_looked_at_explains_the_vector():
    maps = maps_of((2, 5, 4, 6))
    seen = looked("crow", maps)
    assert seen.spatial is not None
    assert seen.channels is not None
    close(torch.einsum("bchw,bhw,bc->bc", maps, seen.spatial, seen.channels), crow(maps).double().numpy())
    prior = looked("spoc(centre_prior=True)", maps).spatial
    assert prior is not None
    close((maps * prior[:, None]).sum((-2, -1)), spoc(maps, centre_prior=True).double().numpy())
    assert looked("spoc", maps).spatial is None
    parts = looked("pwa(proposals=2)", maps)
    assert parts.channels is not None
    assert parts.spatial is not None
    assert parts.channels.tolist() == [[1, 0, 1, 0, 0]] * 2
    close(
        2 * torch.einsum("bchw,bhw->bc", maps, parts.spatial),
        pwa(maps, proposals=2).view(2, 2, 5).sum(1).double().numpy(),
    )
    agnostic = looked("cam", maps)
    assert agnostic.spatial is not None
    assert agnostic.channels is not None
    vectors = torch.einsum("bchw,bhw,bc->bc", maps, agnostic.spatial, agnostic.channels)
    close(vectors / vectors.norm(dim=1, keepdim=True), cam(maps).double().numpy())
    top = looked("mac", maps).spatial
    assert top is not None
    assert top.sum(dim=(-2, -1)).tolist() == (mac(maps) > 0).sum(dim=1).tolist()


def test_scda_shows_its_mask_and_the_box_around_it():
    maps = torch.zeros(1, 1, 4, 5)
    maps[0, 0, 1, 2], maps[0, 0, 2, 3] = 1.0, 2.0
    seen = looked("scda", maps)
    assert seen.masks is not None
    assert seen.masks[0].nonzero().tolist() == [[1, 2], [2, 3]]
    assert seen.regions == (((1, 2, 3, 4),),)


def test_rmac_shows_its_regions_and_how_many_of_them_each_cell_is_in():
    seen = looked("rmac(levels=2)", torch.rand(2, 3, 3, 3))
    assert seen.regions is not None
    assert seen.regions[0] == seen.regions[1] == ((0, 0, 3, 3), (0, 0, 2, 2), (0, 1, 2, 3), (1, 0, 3, 2), (1, 1, 3, 3))
    assert seen.spatial is not None
    assert seen.spatial[0].tolist() == [[2, 3, 2], [3, 5, 3], [2, 3, 2]]


def test_cam_shows_the_classes_that_the_classifier_sees():
    maps = torch.zeros(1, 2, 1, 3)
    maps[0, 0, 0, 0], maps[0, 1, 0, 2] = 4.0, 1.0
    state = {"classifier": torch.eye(2), "classifier_bias": torch.zeros(2)}
    first, both = (looked(f"cam(classes={n})", maps, state).spatial for n in (1, 2))
    assert first is not None
    assert both is not None
    assert first.tolist() == [[[1.0, 0.0, 0.0]]]
    assert both.tolist() == [[[0.5, 0.0, 0.5]]]


def test_attention_before_the_pooling_is_seen_too():
    maps = maps_of((2, 3, 4, 4))
    masked, plain = looked("scda_mask > mac", maps).spatial, looked("mac", maps).spatial
    mask = looked("scda", maps).masks
    assert masked is not None
    assert plain is not None
    assert mask is not None
    assert not masked[~mask].any()
    assert plain[~mask].any()


def test_nothing_is_known_of_a_method_that_does_not_say():
    @pooling("median", title="Median")
    def median(maps):
        return maps.flatten(2).median(dim=-1).values

    try:
        seen = looked("median", torch.rand(1, 2, 3, 3))
        assert (seen.regions, seen.spatial, seen.channels, seen.masks) == (None,) * 4
        assert isinstance(seen, Looked)
    finally:
        AGGREGATIONS.remove("median")
    with pytest.raises(ValueError, match="maps must be"):
        looked("mac", torch.rand(3, 4, 5))
