"""Attention weights against loops and golden numbers, the trainable blocks at their start, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import reference
import torch
from hypothesis import given, settings
from maps import any_maps, close, random_maps

from cbirlab.attention import (
    ATTENTIONS,
    Attention,
    attention,
    channel_sum,
    crow_channel,
    crow_spatial,
    gaussian,
    l2norm,
    scda_mask,
)
from cbirlab.attention.modules import DelfAttention, SecondOrderAttention, SqueezeExcitation
from cbirlab.attention.weights import largest_component
from cbirlab.base.registry import UnknownName

SHAPES = [(1, 1, 1, 1), (2, 3, 1, 7), (2, 3, 7, 1), (1, 4, 2, 2), (3, 2, 5, 8), (2, 6, 9, 4)]
GOLDEN = torch.tensor([[[[1.0, 0], [0, 3]], [[0, 0], [2, 0]], [[1, 1], [1, 1]]]])


@pytest.fixture
def rng():
    return np.random.default_rng(11)


@pytest.mark.parametrize("shape", SHAPES)
def test_weights_agree_with_the_formulas_written_as_loops(rng, shape):
    maps = random_maps(rng, shape)
    images = list(maps.numpy())
    for reach in (0.5, 3.0, 6.0):
        close(gaussian(maps, reach=reach), [reference.centre_prior(*shape[2:], reach) for _ in images], 1e-5, 1e-30)
    for a, b in ((2, 2), (1, 1), (4, 3), (2.5, 1.5)):
        expected = [reference.root_of_share(reference.channel_sums(image), a, b) for image in images]
        close(crow_spatial(maps, a=a, b=b), expected)
    close(l2norm(maps), [reference.column_lengths(image) for image in images])
    close(scda_mask(maps), [reference.scda_mask(image) for image in images])
    close(crow_channel(maps), [reference.crow_channels(image) for image in images], atol=1e-7)
    sums = [reference.unit(reference.mean(image[None])[0]) for image in images]
    close(channel_sum(maps), sums)


def test_golden_numbers_of_the_survey():
    close(crow_spatial(GOLDEN), [[[0.604275, 0.427287], [0.740083, 0.854574]]], rtol=1e-6)
    close(crow_channel(GOLDEN), [[1.252763, 1.945910, 0.559616]], rtol=1e-6)


def test_a_dead_channel_weighs_nothing_and_is_not_counted():
    dead = torch.cat([GOLDEN, torch.zeros(1, 1, 2, 2)], dim=1)
    assert crow_channel(dead).tolist() == [[*crow_channel(GOLDEN)[0].tolist(), 0.0]]
    assert torch.equal(crow_spatial(dead), crow_spatial(GOLDEN))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("name", ATTENTIONS)
def test_weights_of_every_float_type_are_finite_and_those_of_the_same_numbers_in_double(rng, name, dtype):
    maps = (random_maps(rng, (2, 70, 6, 7)) * 100).clamp(max=6e4).to(dtype)
    weights = ATTENTIONS[name](maps)
    assert weights.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    close(weights, ATTENTIONS[name](maps.double()).numpy(), rtol=2e-5, atol=1e-9)


@settings(deadline=None)
@given(any_maps())
def test_weights_are_finite_not_negative_and_of_their_own_image_alone(maps):
    for name in ATTENTIONS:
        weights = ATTENTIONS[name](maps)
        assert torch.isfinite(weights).all(), name
        assert (weights >= 0).all(), name
        close(ATTENTIONS[name](maps[-1:]), weights[-1:].double().numpy(), rtol=1e-5)
        close(ATTENTIONS[name](maps.to(memory_format=torch.channels_last)), weights.double().numpy(), rtol=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (4, 3)])
@pytest.mark.parametrize("name", ["crow_spatial", "l2norm", "crow_channel", "channel_sum"])
def test_a_map_of_zeros_has_weights_of_zero(name, size):
    assert not ATTENTIONS[name](torch.zeros(2, 3, *size)).any()


@pytest.mark.parametrize("name", ATTENTIONS)
def test_gradients_are_finite_where_a_column_and_a_channel_are_zero(name):
    maps = torch.rand(2, 4, 3, 3)
    maps[:, :, 1, 2] = 0
    maps[:, 2] = 0
    maps.requires_grad_()
    Attention.parse(name).weigh(maps).sum().backward()
    assert maps.grad is not None
    assert maps.grad.isfinite().all()


def test_crow_does_not_depend_on_the_scale_and_survives_the_largest_half_precision_number():
    maps = torch.rand(2, 1280, 7, 7)
    close(crow_spatial(maps * 6e4, a=4), crow_spatial(maps, a=4).double().numpy(), rtol=1e-5)


def test_the_mask_keeps_the_first_of_equal_components_and_joins_over_corners():
    corner = torch.tensor([[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 1]], dtype=torch.bool)
    tie = torch.tensor([[0, 0, 1, 0], [1, 0, 1, 0], [1, 0, 0, 0]], dtype=torch.bool)
    none, whole = torch.zeros(3, 4, dtype=torch.bool), torch.ones(3, 4, dtype=torch.bool)
    kept = largest_component(torch.stack([corner, tie, none, whole]))
    assert kept[0].nonzero().tolist() == [[0, 0], [1, 1]]
    assert kept[1].nonzero().tolist() == [[0, 2], [1, 2]]
    assert kept[2].all()
    assert kept[3].all()


def test_components_do_not_reach_from_one_image_into_the_next():
    stack = torch.zeros(2, 3, 3, dtype=torch.bool)
    stack[:, 0, 0] = True
    stack[1, 2, 1:] = True
    kept = largest_component(stack)
    assert kept[0].nonzero().tolist() == [[0, 0]]
    assert kept[1].nonzero().tolist() == [[2, 1], [2, 2]]


@pytest.mark.parametrize("name", ATTENTIONS)
def test_maps_are_multiplied_by_their_weights(rng, name):
    maps = random_maps(rng, (2, 3, 4, 5))
    one = Attention(name)
    assert Attention.parse(one.key) == one
    assert ATTENTIONS.info(name).title
    weights, weighed = one.weights(maps), one.weigh(maps)
    assert weighed.shape == maps.shape
    for b, c, i, j in ((0, 0, 0, 0), (1, 2, 3, 4), (0, 1, 2, 2)):
        weight = weights[b, i, j] if one.kind == "spatial" else weights[b, c]
        assert weighed[b, c, i, j] == maps[b, c, i, j] * weight


def test_gradients_of_crow_are_finite_where_the_map_is_zero():
    maps = torch.zeros(1, 2, 3, 3)
    maps[0, 0, 1, 1] = 2.0
    maps.requires_grad_()
    (crow_spatial(maps)[:, None] * maps).sum().backward()
    assert maps.grad is not None
    assert torch.isfinite(maps.grad).all()
    assert maps.grad[0, 0, 1, 1] > 0


@pytest.mark.parametrize("name", ATTENTIONS)
def test_what_is_no_batch_of_maps_is_refused(name):
    with pytest.raises(ValueError, match=rf"{name}: maps must be \(B, C, H, W\).*\(3, 4, 5\).*maps\[None\]"):
        ATTENTIONS[name](torch.rand(3, 4, 5))
    with pytest.raises(TypeError, match="floating-point"):
        ATTENTIONS[name](torch.ones(1, 1, 2, 2, dtype=torch.int64))
    with pytest.raises(TypeError, match="unknown parameter 'q'"):
        ATTENTIONS[name](torch.rand(1, 1, 2, 2), q=3)


def test_names_and_parameters_are_checked():
    assert Attention.parse("gaussian(reach=2)").parameters == {"reach": 2.0}
    assert Attention.parse("crow_spatial").key == "crow_spatial(a=2, b=2)"
    with pytest.raises(UnknownName, match="Did you mean 'crow_spatial'"):
        Attention.parse("crow_spacial")
    with pytest.raises(ValueError, match=r"reach must be in \[0.5, 6\]"):
        gaussian(torch.rand(1, 1, 2, 2), reach=9)


def test_a_new_attention_is_one_decorated_function():
    with pytest.raises(ValueError, match="kind must be one of 'spatial', 'channel', got 'time'"):
        attention("loudest", title="Loudest", kind="time")

    @attention("loudest", title="Loudest channel", kind="spatial")
    def loudest(maps):
        return maps.amax(dim=1)

    @attention("wrong", title="Wrong shape", kind="channel")
    def wrong(maps):
        return maps.amax(dim=1)

    try:
        assert Attention.parse("loudest").weigh(2 * torch.ones(1, 2, 1, 1, dtype=torch.float16)).tolist() == [
            [[[4.0]], [[4.0]]]
        ]
        with pytest.raises(ValueError, match=r"wrong: channel weights must be \(1, 2\), got \(1, 3, 4\)"):
            wrong(torch.rand(1, 2, 3, 4))
    finally:
        ATTENTIONS.remove("loudest")
        ATTENTIONS.remove("wrong")


def blocks() -> list[torch.nn.Module]:
    torch.manual_seed(3)
    return [SqueezeExcitation(32), SecondOrderAttention(32), DelfAttention(32, hidden=16)]


@pytest.mark.parametrize("block", blocks(), ids=lambda block: type(block).__name__)
@pytest.mark.parametrize("shape", [(2, 32, 1, 1), (3, 32, 1, 5), (2, 32, 6, 4)])
def test_every_block_keeps_the_shape_and_passes_gradients_to_all_that_can_learn(block, shape):
    block.train()
    block.zero_grad()
    maps = torch.rand(shape, generator=torch.Generator().manual_seed(0)).requires_grad_()
    weighed = block(maps)
    assert weighed.shape == maps.shape
    weighed.square().sum().backward()
    assert maps.grad is not None
    assert maps.grad.abs().sum() > 0
    grads = {name: parameter.grad for name, parameter in block.named_parameters()}
    assert all(torch.isfinite(grad).all() for grad in grads.values() if grad is not None)
    moved = {name for name, grad in grads.items() if grad is not None and grad.abs().sum() > 0}
    # v starts at zero: nothing reaches what lies before it until the first step has moved it.
    assert moved >= ({"v.weight", "v.bias"} if isinstance(block, SecondOrderAttention) else {*grads})


def test_second_order_attention_starts_as_the_identity_and_learns_in_two_steps():
    torch.manual_seed(0)
    block = SecondOrderAttention(16, reduction=4)
    maps = torch.rand(2, 16, 5, 3)
    assert torch.equal(block(maps), maps)
    block.v.weight.data.normal_()
    block(maps).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in block.parameters())
    assert block.h.weight.grad is not None
    assert block.h.weight.grad.abs().sum() > 0


def test_second_order_attention_is_the_formula_written_as_loops():
    torch.manual_seed(1)
    block = SecondOrderAttention(8, reduction=2).eval().double()
    block.v.weight.data.normal_()
    block.v.bias.data.normal_()
    maps = torch.rand(1, 8, 2, 3, dtype=torch.float64)
    with torch.no_grad():
        f, g, h = (part(maps)[0].flatten(1) for part in (block.f, block.g, block.h))
        weight, bias = block.v.weight[:, :, 0, 0], block.v.bias
        columns, expected = maps[0].flatten(1), []
        for i in range(6):
            logits = [float(f[:, i] @ g[:, j]) / 4**0.5 for j in range(6)]
            total = sum(np.exp(logits))
            mixed = sum(np.exp(logits[j]) / total * h[:, j] for j in range(6))
            expected.append((columns[:, i] + weight @ mixed + bias).tolist())
        close(block(maps)[0].flatten(1), np.array(expected).T, rtol=1e-12)
        assert block.attention(maps).sum(dim=-1).allclose(torch.ones(1, 6, dtype=torch.float64))


def test_squeeze_excitation_is_a_gate_per_channel():
    torch.manual_seed(2)
    block = SqueezeExcitation(32, reduction=16).double()
    maps = torch.rand(2, 32, 4, 5, dtype=torch.float64)
    with torch.no_grad():
        weights = block.weights(maps)
        first, second = block.fc1, block.fc2
        squeezed = maps.mean(dim=(-2, -1))
        hidden = (squeezed @ first.weight[:, :, 0, 0].T + first.bias).clamp(min=0)
        expected = 1 / (1 + torch.exp(-(hidden @ second.weight[:, :, 0, 0].T + second.bias)))
        close(weights, expected.numpy(), rtol=1e-12)
        close(block(maps), (maps * weights[:, :, None, None]).numpy(), rtol=1e-12)
    assert first.weight.shape[0] == 2


def test_delf_scores_are_softplus_of_two_layers_on_each_column():
    torch.manual_seed(4)
    block = DelfAttention(6, hidden=4).double()
    maps = torch.rand(2, 6, 3, 2, dtype=torch.float64)
    with torch.no_grad():
        first, second = block.score[0], block.score[2]
        columns = maps.flatten(2).transpose(1, 2)
        hidden = (columns @ first.weight[:, :, 0, 0].T + first.bias).clamp(min=0)
        expected = torch.log1p(torch.exp(hidden @ second.weight[:, :, 0, 0].T + second.bias))[..., 0]
        close(block.weights(maps).flatten(1), expected.numpy(), rtol=1e-12)
        close(block(maps), (maps * block.weights(maps)[:, None]).numpy(), rtol=1e-12)
    assert (block.weights(maps) >= 0).all()


@pytest.mark.parametrize("kind", [SqueezeExcitation, SecondOrderAttention, DelfAttention])
def test_a_block_of_no_channels_is_refused(kind):
    with pytest.raises(ValueError, match=f"{kind.__name__}: channels must be a whole number >= 1, got 0"):
        kind(0)
