from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import VisionTransformer

from cbirlab.backbones import BACKBONES, Backbone, Tap, add_backbone, classifier_of, load_backbone, taps, taps_of, trace
from cbirlab.backbones.transformer import positions
from cbirlab.base.registry import UnknownName

NETWORKS = [name for name in BACKBONES if name != "handcrafted"]  # which test_handcrafted.py is about


@pytest.fixture(scope="module", params=NETWORKS)
def network(request: pytest.FixtureRequest) -> Backbone:
    """Every network with random weights, one after the other: together they would take some gigabytes."""
    if extra := BACKBONES.info(request.param).facts["requires"]:
        pytest.importorskip(extra, reason=f"{extra} is not installed")
    return load_backbone(request.param, "random")


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


def test_every_tap_has_the_channels_and_stride_it_declares(network: Backbone) -> None:
    backbone = network
    step = 64 if backbone.multiple == 1 else 4 * backbone.multiple
    small, large = (
        taps.forward(backbone, batch(1, 3, 64 + side, 96 + side), list(backbone.taps)) for side in (0, step)
    )
    for tap, declared in taps_of(network.name).items():
        channels = classes(backbone) if tap == "logits" else declared.channels
        assert small[tap].shape[:2] == (1, channels)
        assert backbone.taps[tap].channels == channels
        growth = np.subtract(large[tap].shape[2:], small[tap].shape[2:])
        if declared.kind == "map":
            assert growth.tolist() == [step // declared.stride] * 2, f"{tap} must have stride {declared.stride}"
        else:
            assert (declared.kind, declared.stride) == ("vector", 0)
            assert small[tap].shape[2:] == large[tap].shape[2:] == (1, 1)


def classes(backbone: Backbone) -> int:
    """As many as the bundled weights of toynet have, and as ImageNet."""
    return 500 if backbone.name == "toynet" else 1000


def test_values_below_zero_occur_at_signed_taps_only(network: Backbone) -> None:
    """GeM and CroW need values >= 0; a tap before the ReLU would be clamped without a word."""
    for tap, maps in taps.forward(network, batch(4, 3, 64, 64), list(network.taps)).items():
        assert (maps.min() < 0) == network.taps[tap].signed, tap
        assert maps.abs().max() > 0, tap


def test_tracing_finds_every_tap_as_it_is_declared(network: Backbone) -> None:
    """An account of its own: positions and strides from two sizes, signs from the operations that made the values."""
    traced = trace(network.module, 224)
    declared = taps_of(network.name)
    for tap, entry in network.taps.items():
        if entry.layout == "BNC" and entry.kind == "vector":  # the tokens of a map, of which it takes the first
            assert replace(entry, kind="map", stride=declared[network.default_tap].stride) == traced.places[entry.path]
        else:
            assert entry == traced.places[entry.path], tap
    order = [[*traced.places].index(entry.path) for entry in network.taps.values()]
    assert order == sorted(order), "taps are listed in the order of computation"
    assert traced.min_side == network.min_side
    assert (traced.multiple, traced.fixed_size) == (network.multiple, False)


def test_vectors_and_classifier_equal_the_network_run_to_its_end(network: Backbone) -> None:
    """Class scores at the tap are the network's output, and follow from the classifier and the mean of its tap."""
    backbone, name = network, network.name
    images = (
        batch(2, 3, 96, 64) if backbone.multiple == 1 else batch(2, 3, 3 * backbone.multiple, 2 * backbone.multiple)
    )
    with torch.no_grad():
        scores = backbone.module(images)
    found = taps.forward(backbone, images, list(backbone.taps))
    end = "logits" if backbone.classifier else "class_token"  # what was trained without labels gives no scores
    torch.testing.assert_close(found[end].flatten(1), scores)
    classifier, tap = classifier_of(backbone), BACKBONES.info(name).facts["classifier_tap"]
    assert (classifier is None) == (tap == "")
    if classifier is None:
        return
    assert classifier["classifier"].shape == (classes(backbone), backbone.taps[tap].channels)
    activation = torch.einsum("kc, bchw -> bkhw", classifier["classifier"], found[tap])
    activation = activation + classifier["classifier_bias"][:, None, None]
    if name.startswith("squeezenet"):
        activation = activation.relu()
    torch.testing.assert_close(activation.mean((-2, -1)), scores, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "last"),
    [("resnet18", "layer4"), ("mobilenet_v2", "last"), ("googlenet", "inception5b"), ("swin_t", "stage4")],
)
def test_avgpool_is_the_mean_of_the_last_maps(backbones, name: str, last: str) -> None:
    found = taps.forward(backbones(name), batch(2, 3, 96, 64), ["avgpool", last])
    assert found["avgpool"].shape[2:] == (1, 1)
    torch.testing.assert_close(found["avgpool"].flatten(1), found[last].mean((-2, -1)))


@pytest.mark.parametrize("name", ["alexnet", "vgg16"])
def test_fully_connected_layers_are_read_after_their_relu(backbones, name: str) -> None:
    backbone = backbones(name)
    net: Any = backbone.module
    images = batch(1, 3, 80, 112)  # neither square nor of the size it was trained at
    first, second = (layer for layer in net.classifier if isinstance(layer, nn.Linear) and layer.out_features == 4096)
    with torch.no_grad():
        fc6 = torch.relu(first(net.avgpool(net.features(images)).flatten(1)))
        fc7 = torch.relu(second(fc6))
    found = taps.forward(backbone, images, ["fc6", "fc7"])
    assert torch.equal(found["fc6"].flatten(1), fc6)
    assert torch.equal(found["fc7"].flatten(1), fc7)


# Transformers


@pytest.mark.parametrize("name", ["deit_tiny", "vit_b_16"])
def test_a_transformer_equals_torchvisions_at_the_size_it_was_trained_at(backbones, name: str) -> None:
    backbone = backbones(name)
    hidden = backbone.taps["block12"].channels
    plain = VisionTransformer(224, 16, 12, hidden // 64, hidden, 4 * hidden).eval()
    plain.load_state_dict(backbone.module.state_dict())
    blocks: Any = plain.encoder.layers
    images = batch(1, 3, 224, 224)
    seen = {}
    with torch.no_grad():
        plain.encoder.register_forward_hook(lambda module, inputs, output: seen.update(last=output))
        blocks[2].register_forward_hook(lambda module, inputs, output: seen.update(third=output))
        scores = plain(images)
        third = blocks[3].ln_1(seen["third"])
    found = taps.forward(backbone, images, ["class_token", "block3", "block12", "logits"])
    torch.testing.assert_close(found["logits"].flatten(1), scores)
    torch.testing.assert_close(found["class_token"].flatten(1), seen["last"][:, 0])
    for row, column in ((0, 0), (3, 11), (13, 2)):  # token 0 is the class token, patches follow row by row
        torch.testing.assert_close(found["block12"][..., row, column], seen["last"][:, 1 + 14 * row + column])
        torch.testing.assert_close(found["block3"][..., row, column], third[:, 1 + 14 * row + column])


def test_positions_are_stretched_to_the_grid_of_the_image() -> None:
    """A plane over the trained grid stays one away from the borders (nearly: the cubic kernel has a = -0.75)."""
    down, across = torch.meshgrid(torch.arange(14.0), torch.arange(14.0), indexing="ij")
    learned = torch.cat([torch.full((1, 1, 2), 99.0), torch.stack([down, across], -1).reshape(1, 196, 2)], dim=1)
    assert positions(learned, 14, 14) is learned
    stretched = positions(learned, 28, 7)
    assert stretched.shape == (1, 1 + 28 * 7, 2)
    assert stretched[0, 0].tolist() == [99, 99]
    grid = stretched[0, 1:].reshape(28, 7, 2)
    rows = ((torch.arange(28) + 0.5) / 2 - 0.5)[:, None].expand(28, 7)
    columns = ((torch.arange(7) + 0.5) * 2 - 0.5)[None].expand(28, 7)
    inside = (slice(4, -4), slice(1, -1))
    torch.testing.assert_close(grid[inside], torch.stack([rows, columns], -1)[inside], atol=0.05, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(20, 9), (1, 1), (13, 30)])
def test_stretched_positions_equal_opencvs(height: int, width: int) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    learned = batch(1, 197, 3)
    wanted = cv2.resize(learned[0, 1:].reshape(14, 14, 3).numpy(), (width, height), interpolation=cv2.INTER_CUBIC)
    found = positions(learned, height, width)[0, 1:].reshape(height, width, 3)
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-5)


def test_a_transformer_sees_whole_patches_from_the_top_left(backbones) -> None:
    backbone = backbones("deit_tiny")
    images = batch(1, 3, 40, 70)
    found = taps.forward(backbone, images, ["block12"])["block12"]
    assert found.shape == (1, 192, 2, 4)
    assert torch.equal(found, taps.forward(backbone, images[..., :32, :64], ["block12"])["block12"])


def test_a_vector_with_several_positions_is_refused() -> None:
    add_backbone("wide", lambda: nn.Sequential(nn.ReLU()), title="w", taps={"v": Tap("0", 3, 0, "vector")})
    try:
        backbone = load_backbone("wide", "random")
        assert taps.forward(backbone, batch(1, 3, 1, 1), ["v"])["v"].shape == (1, 3, 1, 1)
        with pytest.raises(ValueError, match=r"wide: tap 'v' is declared a vector .* got 2 x 3"):
            taps.forward(backbone, batch(1, 3, 2, 3), ["v"])
    finally:
        BACKBONES.remove("wide")


def test_all_taps_in_one_pass_equal_each_tap_alone(network: Backbone) -> None:
    backbone = network
    images = batch(1, 3, 64, 80)
    together = taps.forward(backbone, images, list(backbone.taps))
    assert list(together) == list(backbone.taps)
    backwards = list(backbone.taps)[::-1]
    assert list(taps.forward(backbone, images, backwards)) == backwards
    for tap in backbone.taps:
        assert torch.equal(taps.forward(backbone, images, [tap])[tap], together[tap]), tap


def test_the_shortest_side_is_enough_and_one_pixel_less_is_refused(network: Backbone) -> None:
    backbone, name = network, network.name
    side = backbone.min_side
    assert taps.forward(backbone, batch(1, 3, side, side), list(backbone.taps))
    if side > 1:
        with pytest.raises(ValueError, match=f"{name}: images must have at least {side} pixels on each side"):
            taps.forward(backbone, batch(1, 3, 2 * side, side - 1), list(backbone.taps))
        with pytest.raises((RuntimeError, AssertionError)):  # it is the network's own limit, not a careful guess
            backbone.module(batch(1, 3, side - 1, side - 1))


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


GRADED = (("resnet18", "layer2", 40), ("toynet", "layer4", 40), ("deit_tiny", "block6", 48), ("swin_t", "stage2", 40))


@pytest.mark.parametrize(("name", "tap", "side"), GRADED)
def test_gradients_are_those_of_plain_autograd(name: str, tap: str, side: int) -> None:
    """Of the parameters that ask for them, alone, and of the images; maps are those without to the last bit."""
    backbone, images = load_backbone(name, "random"), batch(2, 3, side, side).requires_grad_()
    learned = {key: one for key, one in backbone.module.named_parameters() if one.ndim > 1}
    for one in learned.values():
        one.requires_grad_(True)
    maps = taps.forward(backbone, images, [tap], gradients=True)[tap]
    assert torch.equal(maps.detach(), taps.forward(backbone, images, [tap])[tap])
    assert not taps.forward(backbone, images, [tap])[tap].requires_grad
    weigh = batch(*maps.shape, seed=1)
    (maps * weigh).sum().backward()
    found = {key: one.grad for key, one in backbone.module.named_parameters()}
    of_images = images.grad

    seen = {}
    plain = load_backbone(name, "random").module
    for key, one in plain.named_parameters():
        one.requires_grad_(key in learned)
    plain.get_submodule(backbone.taps[tap].path).register_forward_hook(lambda *given: seen.update(output=given[2]))
    again = images.detach().clone().requires_grad_()
    plain(again)
    entry, output = backbone.taps[tap], seen["output"]
    if entry.layout == "BNC":
        output = output[:, entry.before :].transpose(1, 2).unflatten(2, maps.shape[2:])
    elif entry.layout == "BHWC":
        output = output.permute(0, 3, 1, 2)
    (output * weigh).sum().backward()
    assert any(one is not None and one.abs().max() > 0 for one in found.values())
    for key, one in plain.named_parameters():
        assert (one.grad is None) == (found[key] is None), key
        torch.testing.assert_close(found[key], one.grad)
    torch.testing.assert_close(of_images, again.grad)


def test_gradients_are_the_slopes_of_what_the_maps_do(backbones) -> None:
    """By differences, in a direction of the images; under no_grad there are none, whatever was asked for."""
    backbone = backbones("toynet")
    images, step = batch(1, 3, 32, 32).requires_grad_(), 1e-3 * batch(1, 3, 32, 32, seed=1)
    taps.forward(backbone, images, ["layer2"], gradients=True)["layer2"].square().mean().backward()
    with torch.no_grad():
        ends = [
            taps.forward(backbone, images + side * step, ["layer2"], gradients=True)["layer2"].square().mean()
            for side in (0.5, -0.5)
        ]
    assert images.grad is not None
    assert not ends[0].requires_grad
    torch.testing.assert_close((images.grad * step).sum(), ends[0] - ends[1], rtol=0.02, atol=1e-6)


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


def test_tokens_must_be_declared_as_such() -> None:
    add_backbone("flat", lambda: nn.Sequential(nn.Flatten(2)), title="f", taps={"t": Tap("0", 3, 1)})
    try:
        with pytest.raises(ValueError, match=r"flat: tap 't' gives \(1, 3, 24\); declare its layout, as 'BNC'"):
            taps.forward(load_backbone("flat", "random"), batch(1, 3, 4, 6), ["t"])
    finally:
        BACKBONES.remove("flat")


@pytest.mark.parametrize(
    ("name", "tap"), [("toynet", "layer4"), ("deit_tiny", "block12"), ("squeezenet1_1", "logits"), ("swin_t", "stage2")]
)
@pytest.mark.parametrize(
    ("precision", "channels_last", "tolerance"),
    [("float32", True, 1e-4), ("bfloat16", False, 0.1), ("bfloat16", True, 0.1)],
)
def test_precision_and_layout_change_the_maps_by_rounding_only(
    backbones, precision: str, channels_last: bool, tolerance: float, name: str, tap: str
) -> None:
    exact = backbones(name)
    other = exact.with_numerics(precision=precision, channels_last=channels_last)
    images = batch(2, 3, 64, 96)
    wanted = taps.forward(exact, images, [tap])[tap]
    found = taps.forward(other, images, [tap])[tap]
    assert found.dtype == getattr(torch, precision)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    assert found.is_contiguous(memory_format=layout)
    assert (found.float() - wanted).abs().max() <= tolerance * wanted.abs().max()
    dtypes = {part.dtype for part in exact.module.parameters()}
    assert dtypes == {torch.float32}, "the backbone it was made from stays as it was"
