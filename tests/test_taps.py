from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from cbirlab import taps
from cbirlab.backbones import BACKBONES, Tap, add_backbone, load_backbone
from cbirlab.registry import UnknownName


@pytest.fixture(scope="module")
def backbones():
    """Random networks, built once."""
    loaded = {}

    def get(name: str):
        if name not in loaded:
            loaded[name] = load_backbone(name, "random")
        return loaded[name]

    return get


def batch(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, np.float32))


@pytest.mark.parametrize("name", BACKBONES)
def test_every_tap_has_the_channels_and_stride_it_declares(backbones, name: str) -> None:
    backbone = backbones(name)
    small, large = (taps.forward(backbone, batch(1, 3, 64 + side, 128 + side), list(backbone.taps)) for side in (0, 64))
    for tap, declared in BACKBONES.info(name).facts["taps"].items():
        assert small[tap].shape[:2] == (1, declared.channels)
        growth = np.subtract(large[tap].shape[2:], small[tap].shape[2:])
        assert growth.tolist() == [64 // declared.stride] * 2, f"{tap} must have stride {declared.stride}"


@pytest.mark.parametrize("name", BACKBONES)
def test_every_tap_is_non_negative(backbones, name: str) -> None:
    """GeM and CroW need it; a tap before the ReLU would be clamped without a word."""
    backbone = backbones(name)
    for tap, maps in taps.forward(backbone, batch(2, 3, 64, 64), list(backbone.taps)).items():
        assert maps.min() >= 0, tap
        assert maps.max() > 0, tap


@pytest.mark.parametrize("name", BACKBONES)
def test_all_taps_in_one_pass_equal_each_tap_alone(backbones, name: str) -> None:
    backbone = backbones(name)
    images = batch(1, 3, 64, 80)
    together = taps.forward(backbone, images, list(backbone.taps))
    assert list(together) == list(backbone.taps)
    for tap in backbone.taps:
        assert torch.equal(taps.forward(backbone, images, [tap])[tap], together[tap]), tap


@pytest.mark.parametrize("name", BACKBONES)
def test_the_shortest_side_is_enough_and_one_pixel_less_is_refused(backbones, name: str) -> None:
    backbone = backbones(name)
    side = backbone.min_side
    assert taps.forward(backbone, batch(1, 3, side, side), list(backbone.taps))
    if side > 1:
        with pytest.raises(ValueError, match=f"{name}: images must have at least {side} pixels on each side"):
            taps.forward(backbone, batch(1, 3, 2 * side, side - 1), list(backbone.taps))
        with pytest.raises(RuntimeError):  # it is the network's own limit, not a careful guess
            backbone.module.get_submodule("features")(batch(1, 3, side - 1, side - 1))


def test_maps_equal_those_of_the_network_cut_by_hand(backbones) -> None:
    backbone = backbones("resnet18")
    net, images = backbone.module, batch(2, 3, 64, 96)
    with torch.no_grad():
        x = net.maxpool(torch.relu(net.bn1(net.conv1(images))))
        two = net.layer2(net.layer1(x))
        four = net.layer4(net.layer3(two))
    found = taps.forward(backbone, images, ["layer4", "layer2"])
    assert torch.equal(found["layer2"], two)
    assert torch.equal(found["layer4"], four)


def test_the_network_stops_at_the_deepest_tap_and_keeps_no_hook(backbones) -> None:
    backbone = backbones("resnet18")
    ran = []
    handles = [
        module.register_forward_hook(lambda *_, name=name: ran.append(name))
        for name, module in backbone.module.named_children()
    ]
    taps.forward(backbone, batch(1, 3, 32, 32), ["layer1", "stem"])
    for handle in handles:
        handle.remove()
    assert ran == ["conv1", "bn1", "relu", "maxpool", "layer1"]
    assert not any(module._forward_hooks for module in backbone.module.modules())


def test_maps_carry_no_gradients(backbones) -> None:
    maps = taps.forward(backbones("toynet"), batch(1, 3, 32, 32).requires_grad_(), ["layer4"])
    assert not maps["layer4"].requires_grad


def test_images_of_a_batch_do_not_see_each_other(backbones) -> None:
    backbone = backbones("toynet")
    images = batch(3, 3, 48, 64)
    together = taps.forward(backbone, images, ["layer3"])["layer3"]
    for row in range(3):
        alone = taps.forward(backbone, images[row : row + 1], ["layer3"])["layer3"]
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-5, rtol=1e-4)


def test_threads_get_the_maps_of_their_own_images(backbones) -> None:
    backbone = backbones("toynet")
    inputs = [batch(1, 3, 48, 64, seed=seed) for seed in range(16)]

    def last(image: torch.Tensor) -> torch.Tensor:
        return taps.forward(backbone, image, ["layer2", "layer4"])["layer2"]

    with ThreadPoolExecutor(4) as pool:
        for found, image in zip(pool.map(last, inputs), inputs, strict=True):
            assert torch.equal(found, last(image))


def test_wrong_calls_are_refused(backbones) -> None:
    backbone = backbones("toynet")
    with pytest.raises(UnknownName, match=r"Unknown tap of toynet 'layer5'\. Did you mean"):
        taps.forward(backbone, batch(1, 3, 32, 32), ["layer5"])
    with pytest.raises(ValueError, match="taps must name at least one of stem"):
        taps.forward(backbone, batch(1, 3, 32, 32), [])
    for shape in ((3, 32, 32), (1, 1, 32, 32)):
        with pytest.raises(ValueError, match=r"batch must be \(B, 3, H, W\), got"):
            taps.forward(backbone, batch(*shape), ["stem"])


def test_a_tap_that_the_next_layer_overwrites_is_noticed() -> None:
    """A convolution before an in-place ReLU would be read after the ReLU."""
    add_backbone(
        "sloppy",
        lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True)),
        title="sloppy",
        taps={"conv": Tap("0", 4, 1), "relu": Tap("1", 4, 1)},
    )
    try:
        backbone = load_backbone("sloppy", "random")
        assert taps.forward(backbone, batch(1, 3, 8, 8), ["conv"])["conv"].min() < 0
        with pytest.raises(ValueError, match="tap 'conv' is changed in place by the layer after it"):
            taps.forward(backbone, batch(1, 3, 8, 8), ["conv", "relu"])
    finally:
        BACKBONES.remove("sloppy")


@pytest.mark.parametrize(
    ("precision", "channels_last", "tolerance"),
    [("float32", True, 1e-4), ("bfloat16", False, 0.1), ("bfloat16", True, 0.1)],
)
def test_precision_and_layout_change_the_maps_by_rounding_only(
    backbones, precision: str, channels_last: bool, tolerance: float
) -> None:
    exact = backbones("toynet")
    other = exact.with_numerics(precision=precision, channels_last=channels_last)
    images = batch(2, 3, 64, 96)
    wanted = taps.forward(exact, images, ["layer4"])["layer4"]
    found = taps.forward(other, images, ["layer4"])["layer4"]
    assert found.dtype == getattr(torch, precision)
    assert found.is_contiguous(memory_format=torch.channels_last) == channels_last
    assert (found.float() - wanted).abs().max() <= tolerance * wanted.max()
    assert exact.module.stem[0].weight.dtype == torch.float32, "the backbone it was made from stays as it was"
