"""Networks that nobody described: handed over, from timm, from torch.hub."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import sweep_timm
import torch
from safetensors.torch import save_file
from test_backbones import REAL, timm_named
from torch import nn
from torch.nn import functional

from cbirlab import Recipe, images, run
from cbirlab.backbones import (
    BACKBONES,
    Tap,
    add_module,
    availability,
    catalogue,
    from_hub,
    from_timm,
    load_backbone,
    taps,
    taps_of,
    trace,
    trust_hub,
    weights,
)
from cbirlab.backbones.weights import WeightsError
from cbirlab.base.registry import UnknownName
from cbirlab.cli import main

LISTED = list(BACKBONES)


@pytest.fixture(autouse=True)
def as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No weights folder, an empty hub cache, nothing trusted; afterwards the catalogue is as it was."""
    monkeypatch.delenv(weights.FOLDER_VARIABLE, raising=False)
    monkeypatch.delenv(from_hub.TRUST_VARIABLE, raising=False)
    monkeypatch.setattr(from_hub, "_TRUSTED", set())
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    yield
    for name in set(BACKBONES) - set(LISTED):
        BACKBONES.remove(name)


def batch(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, np.float32))


class Tokens(nn.Module):
    """A small transformer: patches of 14 pixels, a class token and registers before them, the patches' order kept."""

    def __init__(self, registers: int = 4, depth: int = 5) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 14, 14)
        self.cls_token = nn.Parameter(torch.randn(1, 1, 16))
        self.registers = nn.Parameter(torch.randn(1, registers, 16))
        layer = {"d_model": 16, "nhead": 2, "dim_feedforward": 32, "batch_first": True, "norm_first": True}
        self.blocks = nn.ModuleList([nn.TransformerEncoderLayer(**layer) for _ in range(depth)])
        self.norm = nn.LayerNorm(16)

    def tokens(self, x: torch.Tensor) -> torch.Tensor:
        assert not x.shape[2] % 14, "whole patches"
        assert not x.shape[3] % 14, "whole patches"
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), self.registers.expand(len(x), -1, -1), tokens], 1)
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.tokens(x)[:, 0]


# What running a network shows


class Twice(nn.Module):
    """One ReLU that runs twice, a part whose result the next overwrites, and a function that cuts below 0."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 4, 3, 2, 1)
        self.relu = nn.ReLU(inplace=True)
        self.two = nn.Conv2d(4, 6, 3, 2, 1)
        self.cut = nn.Identity()
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.one(x))
        x = self.relu(self.two(x))
        return self.head(self.gap(self.cut(functional.relu6(x - 0.1))).flatten(1))


def test_parts_that_run_twice_or_are_overwritten_are_no_places() -> None:
    traced = trace(Twice())
    assert list(traced.places) == ["cut", "gap", "head"]
    assert traced.places["cut"] == Tap("cut", 6, 4)
    assert traced.places["gap"] == Tap("gap", 6, 0, "vector")
    assert traced.places["head"].signed
    assert (traced.multiple, traced.fixed_size, traced.min_side) == (1, False, 1)


def test_signs_are_read_off_the_operations() -> None:
    class Signs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.names = ("relu", "sigmoid", "silu", "hardtanh", "relu6", "sum", "mixed", "joined", "pooled", "bare")
            self.conv = nn.Conv2d(3, 4, 1)
            for name in self.names:
                self.add_module(name, nn.Identity())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.conv(x)
            relu = functional.relu(x)
            made = {
                "relu": relu,
                "sigmoid": torch.sigmoid(x),
                "silu": functional.silu(x),
                "hardtanh": functional.hardtanh(x),
                "relu6": functional.relu6(x),
                "sum": relu + relu,
                "mixed": relu + x,
                "joined": torch.cat([relu, torch.sigmoid(x)], 1),
                "pooled": functional.max_pool2d(relu, 3, 1, 1),
                "bare": x.clone(),
            }
            for name in self.names:
                getattr(self, name)(made[name])
            return x

    places = trace(Signs()).places
    signed = {path for path in places if places[path].signed}
    assert signed == {"conv", "silu", "hardtanh", "mixed", "bare"}


def test_places_have_the_shapes_that_hooks_see() -> None:
    """A network of somebody else, with parts of three layouts: what is said of a place is what comes out there."""
    net = Mixed().eval()
    traced = trace(net)
    assert {path: (tap.layout, tap.stride) for path, tap in traced.places.items()} == {
        "stem": ("BCHW", 4),
        "last": ("BHWC", 8),
        "flat": ("BNC", 8),
        "pool": ("BCHW", 0),
    }
    add_module("mixed", net, taps={"a": "stem", "b": "last", "c": "flat", "v": "pool"})
    found = taps.forward(load_backbone("mixed"), batch(1, 3, 80, 48), ["a", "b", "c", "v"])
    a = net.stem(batch(1, 3, 80, 48))
    b = net.narrow(a)
    torch.testing.assert_close(found["a"], a)
    torch.testing.assert_close(found["b"], net.last(b.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
    torch.testing.assert_close(found["c"], found["b"])
    torch.testing.assert_close(found["v"].flatten(1), found["b"].mean((-2, -1)))


class Mixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, 4)
        self.narrow = nn.AvgPool2d(2).requires_grad_(False)
        self.last = nn.Linear(8, 12)
        self.flat = nn.Flatten(1, 2)
        self.pool = Mean()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.avg_pool2d(self.stem(x), 2)
        return self.pool(self.flat(self.last(x.permute(0, 2, 3, 1))))


class Mean(nn.Module):
    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return tokens.mean(1)


def test_tracing_leaves_the_network_as_it_is() -> None:
    net = Twice().train()
    net.two.eval()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    state = torch.random.get_rng_state()
    trace(net)
    assert [net.training, net.one.training, net.two.training] == [True, True, False]
    assert not any(part._forward_hooks for part in net.modules())
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_network_that_cannot_be_run_is_one_clear_error() -> None:
    with pytest.raises(ValueError, match=r"Linear: it must take images \(B, 3, 224, 224\); it raised RuntimeError"):
        trace(nn.Linear(3, 4))
    with pytest.raises(ValueError, match="Identity: no part of it gives maps or vectors"):
        trace(nn.Identity())


# Handed over


def test_a_module_is_a_backbone_with_its_weights(things, store) -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 12, 3, 2, 1), nn.ReLU())
    traced = add_module("mine", net, title="Mine", mean=(0.5,) * 3, std=(0.25,) * 3)
    assert list(taps_of("mine")) == ["1", "3"]
    assert "1      8 channels  stride 2            1" in str(traced)
    backbone = load_backbone("mine")
    assert (backbone.mean, backbone.std, backbone.default_tap) == ((0.5,) * 3, (0.25,) * 3, "3")
    assert backbone.weights == f"mine@{backbone.digest[:8]}"
    image = batch(1, 3, 32, 40)
    with torch.no_grad():
        assert torch.equal(taps.forward(backbone, image, ["3"])["3"], net(image))
    assert availability("mine").here
    found = run(Recipe(backbone="mine", tap="1", aggregation="mac"), dataset=things, store=store, progress=False)
    assert 0 < found.metrics["map"] <= 1


def test_a_module_is_copied_and_stays_as_it_is() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU()).train()
    add_module("mine", net)
    first = load_backbone("mine")
    net[0].weight.data.zero_()
    assert net.training
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert load_backbone("mine").digest == first.digest


def test_another_network_of_the_same_name_is_told_apart() -> None:
    class One(nn.Sequential):
        pass

    class Other(nn.Sequential):
        def forward(self, x):
            return 2 * super().forward(x)

    layers = nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU()
    add_module("mine", One(*layers))
    before = load_backbone("mine")
    with pytest.raises(ValueError, match="'mine' is registered already; choose another name, or replace=True"):
        add_module("mine", Other(*layers))
    add_module("mine", Other(*layers), replace=True)
    assert load_backbone("mine").digest != before.digest, "the same weights in other code"


def test_taps_are_chosen_by_path_and_listed_in_the_order_of_computation() -> None:
    add_module("mine", Twice(), taps={"scores": "head", "map": "cut"}, classifier="head")
    assert taps_of("mine") == {"map": Tap("cut", 6, 4), "scores": Tap("head", 5, 0, "vector", True)}
    with pytest.raises(UnknownName, match=r"Unknown place of other 'cat'\. Did you mean 'cut'"):
        add_module("other", Twice(), taps=["cat"])
    with pytest.raises(ValueError, match="other: taps must name at least one of cut, gap, head"):
        add_module("other", Twice(), taps=[])
    assert "other" not in BACKBONES


def test_a_module_takes_weights_from_complete_files_only(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 1), nn.ReLU())
    add_module("mine", net)
    other = {key: value + 1 for key, value in net.state_dict().items()}
    save_file(other, tmp_path / "x.safetensors")
    loaded = load_backbone("mine", tmp_path / "x.safetensors")
    assert all(torch.equal(loaded.module.state_dict()[key], value) for key, value in other.items())
    assert loaded.digest != load_backbone("mine").digest
    save_file({"0.weight": other["0.weight"]}, tmp_path / "y.safetensors")
    with pytest.raises(WeightsError, match=r"the file must be complete, 0\.bias is missing"):
        load_backbone("mine", tmp_path / "y.safetensors")
    with pytest.raises(WeightsError, match="mine: it was added with its weights"):
        load_backbone("mine", "random")


def test_a_network_of_one_size_gets_squeezed_images() -> None:
    class OneSize(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 8, 8)
            self.relu = nn.ReLU()
            self.head = nn.Linear(4 * 8 * 6, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.relu(self.conv(x)).flatten(1))

    net = OneSize()
    traced = add_module("mine", net, image_size=(64, 48))
    assert traced.fixed_size
    assert traced.places["relu"] == Tap("relu", 4, 8)
    assert "squeezed to 64 x 48" in BACKBONES.info("mine").facts["other_sizes"]
    image = batch(2, 3, 90, 130)
    squeezed = functional.interpolate(image, (64, 48), mode="bilinear", antialias=True)
    found = taps.forward(load_backbone("mine"), image, ["relu", "head"])
    with torch.no_grad():
        torch.testing.assert_close(found["head"].flatten(1), net(squeezed))
    assert found["relu"].shape == (2, 4, 8, 6)


@pytest.mark.parametrize("registers", [0, 4])
def test_tokens_become_a_map_without_class_token_and_registers(registers: int) -> None:
    net = Tokens(registers)
    traced = add_module("mine", net)
    assert list(traced.taps) == ["block2", "block3", "block4", "block5", "class_token"]
    assert {tap.before for tap in traced.taps.values()} == {1 + registers}
    assert (traced.multiple, traced.min_side) == (14, 14)
    backbone = load_backbone("mine")
    image = batch(1, 3, 45, 75)  # 3 x 5 patches and a rest, which is cut off
    found = taps.forward(backbone, image, list(backbone.taps))
    with torch.no_grad():
        tokens = net.eval().tokens(image[..., :42, :70])
        seen: list[torch.Tensor] = []
        hook = net.blocks[1].register_forward_hook(lambda *given: seen.append(given[2]))
        net(image[..., :42, :70])
        hook.remove()
        after_two = net.blocks[2].norm1(seen[0])
    torch.testing.assert_close(found["class_token"].flatten(1), tokens[:, 0])
    assert found["block5"].shape == (1, 16, 3, 5)
    for row, column in ((0, 0), (1, 3), (2, 4)):
        place = 1 + registers + 5 * row + column
        torch.testing.assert_close(found["block5"][..., row, column], tokens[:, place])
        torch.testing.assert_close(found["block2"][..., row, column], after_two[:, place])


timm: Any = pytest.importorskip("timm", reason="timm is not installed")

# What is no map


class Shuffled(Tokens):
    """Its blocks see the patches in another order than row by row, as a hierarchical transformer's do."""

    def tokens(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = tokens[:, torch.randperm(tokens.shape[1], generator=torch.Generator().manual_seed(0))]
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)


def test_tokens_in_another_order_are_no_map() -> None:
    torch.manual_seed(0)
    traced = trace(Shuffled(0))
    assert [path for path, tap in traced.places.items() if tap.kind == "map"] == ["patches"]


class Attending(nn.Module):
    """Patches, then attention whose matrix is the output of a part, as large as an image of 64 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, 8)
        self.drop = nn.Dropout()
        self.last = nn.Linear(16, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.shape[2:] == (64, 64)
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        weights = self.drop((tokens @ tokens.transpose(1, 2)).softmax(-1)[:, None])
        return self.last(tokens + (weights[:, 0] @ tokens)).mean(1)


def test_a_matrix_of_attention_is_no_map() -> None:
    torch.manual_seed(0)
    traced = add_module("mine", Attending())
    assert (traced.image_size, traced.fixed_size) == ((64, 64), True)
    assert "drop" not in traced.places
    assert load_backbone("mine").default_tap == "last"


class PatchedAhead(nn.Module):
    """Cuts patches itself, so that no map comes before its tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(3 * 16 * 16, 12)
        self.norm = nn.LayerNorm(12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        patches = functional.unfold(x, 16, stride=16).transpose(1, 2)
        return self.norm(self.embed(patches)).mean(1)


@pytest.mark.parametrize("size", [(96, 80), (70, 51)])
def test_tokens_without_a_map_before_them_lie_on_the_grid_that_their_number_says(size: tuple[int, int]) -> None:
    traced = add_module("mine", PatchedAhead())
    assert traced.taps["norm"] == Tap("norm", 12, 16, "map", True, "BNC")
    found = taps.forward(load_backbone("mine"), batch(1, 3, *size), ["norm"])["norm"]
    assert found.shape == (1, 12, size[0] // 16, size[1] // 16)


def test_strides_of_layers_without_padding_and_of_odd_patches_are_told() -> None:
    valid = [layer for _ in range(5) for layer in (nn.Conv2d(3 if not _ else 4, 4, 3, 2), nn.ReLU())]
    assert [tap.stride for tap in trace(nn.Sequential(*valid)).taps.values()] == [2, 4, 8, 16, 32]
    odd = nn.Sequential(nn.Conv2d(3, 4, 7, 7), nn.ReLU(), nn.Conv2d(4, 4, 2, 2), nn.ReLU())
    assert [tap.stride for tap in trace(odd).taps.values()] == [7, 14]


@pytest.mark.parametrize("side", [256, 112, 32])
def test_a_network_of_an_unusual_size_is_run_at_that_and_it_is_kept(side: int) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3, 4, 1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * (side // 4) ** 2, 5))
    traced = add_module("mine", net)
    assert (traced.image_size, traced.fixed_size) == ((side, side), True)
    assert traced.taps["1"].stride == 4
    assert taps.forward(load_backbone("mine"), batch(1, 3, 50, 90), ["1"])["1"].shape == (1, 4, side // 4, side // 4)


def test_a_network_without_maps_or_with_early_ones_alone_says_so() -> None:
    flat = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4))
    with pytest.warns(UserWarning, match="mine: no part of it gives maps, its default tap is 2, a vector"):
        add_module("mine", flat)
    late = nn.Sequential(nn.Conv2d(3, 4, 3, 2, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    late.extend(nn.Linear(4, 4) for _ in range(12))
    with pytest.warns(UserWarning, match="its default tap 0 lies in the first tenth of the network"):
        add_module("mine", late, replace=True)


@pytest.mark.parametrize("name", sweep_timm.BRIEF)
def test_the_default_tap_of_a_family_of_timm_is_a_map_of_most_of_the_network(name: str) -> None:
    assert sweep_timm.faults(name) == []


def test_every_family_of_timm_is_in_the_sweep() -> None:
    assert set(sweep_timm.FAMILIES) >= set(timm.list_modules())
    assert set(sweep_timm.BRIEF) <= {*sweep_timm.FAMILIES.values(), *sweep_timm.MORE}
    assert set(sweep_timm.NOT_HAD) <= {*sweep_timm.FAMILIES.values(), *sweep_timm.MORE}


# What is handed over


@pytest.mark.parametrize("argument", ["mean", "std"])
@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((123.7, 116.3, 103.5), "divide values in 0..255 by 255"),
        ((58, 57, 57), "divide values in 0..255 by 255"),
        ((0.5,), "three"),
        (0.5, "three"),
        (("a", "b", "c"), "three"),
        ((0.5, float("nan"), 0.5), "three"),
        ((0.5, float("inf"), 0.5), "three"),
        ((0.5, -0.1, 0.5), "three"),
        ((0.1, 0.2, 0.3, 0.4), "three"),
    ],
)
def test_means_and_deviations_are_of_colours_in_0_to_1(argument: str, values: Any, words: str) -> None:
    net = nn.Conv2d(3, 4, 3)
    with pytest.raises(
        ValueError, match=f"mine: {argument} must be three numbers .*{words if words != 'three' else ''}"
    ):
        add_module("mine", nn.Sequential(net), **{argument: values})
    with pytest.raises(ValueError, match=f"mine: {argument} must be"):
        catalogue.add_backbone("mine", lambda: net, title="m", taps={"a": Tap("0", 4, 1)}, **{argument: values})
    assert "mine" not in BACKBONES


def test_a_deviation_is_not_zero() -> None:
    with pytest.raises(ValueError, match=r"mine: std must be three numbers in \(0, 1\]"):
        add_module("mine", nn.Sequential(nn.Conv2d(3, 4, 3)), std=(0.2, 0.0, 0.2))


def script() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3)))


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (script, "got a TorchScript program"),
        (lambda: nn.Conv2d(3, 4, 3).half(), r"must be in float32, weight is torch\.float16; call \.float\(\)"),
        (lambda: nn.Conv2d(3, 4, 3).double(), "must be in float32"),
        (lambda: nn.Conv2d(3, 4, 3, device="meta"), "device 'meta'"),
        (lambda: {"weight": torch.ones(3)}, r"must be a torch\.nn\.Module, got dict"),
        (lambda: nn.Sequential(nn.Conv2d(1, 4, 3)), r"it must take images \(B, 3, 224, 224\)"),
    ],
)
def test_what_is_no_network_that_can_be_run_here_is_one_sentence(module: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        add_module("mine", module())
    assert "\n" not in str(caught.value)


class Answers(nn.Module):
    """Gives several things at once, in a tuple or by name."""

    def __init__(self, by_name: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU())
        self.by_name = by_name

    def forward(self, x: torch.Tensor) -> Any:
        maps = self.body(x)
        return {"maps": maps, "mean": maps.mean()} if self.by_name else (maps, [maps.mean((2, 3))])


@pytest.mark.parametrize("by_name", [True, False])
def test_a_network_in_training_that_gives_several_things_is_read_by_its_parts(by_name: bool) -> None:
    net = Answers(by_name).train()
    add_module("mine", net)
    assert net.training
    assert load_backbone("mine").default_tap == "body"


# timm


@pytest.mark.parametrize(
    "name", ["timm:test_resnet", "timm:test_vit", "timm:test_vit2", "timm:test_efficientnet", "timm:test_convnext"]
)
def test_any_network_of_timm_is_a_backbone_by_name(name: str) -> None:
    """Its maps are those that timm's own reader of intermediate maps gives, for an image of any size."""
    backbone = load_backbone(name, "random")
    config = timm.get_pretrained_cfg(name.removeprefix("timm:"))
    assert (backbone.mean, backbone.std) == (config.mean, config.std)
    assert name not in LISTED
    image = batch(1, 3, 96, 70)
    cut = image[..., : 96 // backbone.multiple * backbone.multiple, : 70 // backbone.multiple * backbone.multiple]
    found = taps.forward(backbone, image, list(backbone.taps))
    with torch.no_grad():
        theirs = backbone.module.forward_intermediates(cut, intermediates_only=True, norm=True)  # pyright: ignore
        last = backbone.module.forward_features(cut)  # pyright: ignore
    if "class_token" in found:
        torch.testing.assert_close(found["class_token"].flatten(1), last[:, 0])
    if backbone.taps[backbone.default_tap].layout == "BNC":
        last = theirs[-1]
    torch.testing.assert_close(found[backbone.default_tap], last)
    same = {tuple(one.shape) for one in theirs} & {tuple(one.shape) for one in found.values()}
    assert len(same) >= (3 if len({one.shape for one in theirs}) > 1 else 1), "most strides have the same taps"


def test_a_transformer_of_timm_equals_the_one_here(tmp_path: Path) -> None:
    """Two programmes of one network, with the same weights."""
    mine = load_backbone("deit_tiny", "random", seed=3)
    save_file(timm_named(mine.module.state_dict()), tmp_path / "deit.safetensors")
    other = load_backbone("timm:deit_tiny_patch16_224", tmp_path / "deit.safetensors")
    image = batch(1, 3, 224, 224)  # where neither stretches the positions
    names = ["block3", "block6", "block9", "block12", "class_token"]
    ours, theirs = (taps.forward(one, image, names) for one in (mine, other))
    for name in names:
        torch.testing.assert_close(ours[name], theirs[name], atol=1e-4, rtol=1e-3)


def test_names_and_weights_that_timm_lacks_are_told() -> None:
    with pytest.raises(
        UnknownName, match=r"Unknown backbone 'timm:resnet5': timm .* has no such network\. Did you mean"
    ):
        Recipe(backbone="timm:resnet5")
    with pytest.raises(UnknownName, match=r"'timm:resnet50\.nonsense'"):
        BACKBONES.info("timm:resnet50.nonsense")
    assert "timm:resnet5" not in BACKBONES


def test_weights_of_timm_come_from_the_folder_else_from_timm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "timm:test_resnet"
    untrained = load_backbone(name, "random", seed=4)
    assert untrained.digest == load_backbone(name, "random", seed=4).digest
    found = availability(name)
    assert (found.here, found.takes) == (False, "a download of about 2 MB")
    build = timm.create_model

    def create(model: str, pretrained: bool = False, **options: Any) -> nn.Module:
        if pretrained:
            torch.manual_seed(7)
        return build(model, **options)

    def no_network(*given: object, **options: object) -> None:
        raise URLError("no network in tests")

    monkeypatch.setattr("urllib.request.urlopen", no_network)
    with pytest.raises(WeightsError) as caught:
        load_backbone(name)
    for part in (
        "no network in tests",
        "timm/test_resnet.r160_in1k",
        "timm_test_resnet.safetensors",
        "CBIRLAB_WEIGHTS",
    ):
        assert part in str(caught.value)
    monkeypatch.setattr(from_timm, "_knock", lambda: None)
    monkeypatch.setattr(timm, "create_model", create)
    backbone = load_backbone(name)
    assert backbone.weights == f"test_resnet@{backbone.digest[:8]}"
    assert backbone.digest == load_backbone(name, "random", seed=7).digest
    save_file(dict(untrained.module.state_dict()), tmp_path / "timm_test_resnet.safetensors")
    monkeypatch.setenv(weights.FOLDER_VARIABLE, str(tmp_path))
    assert availability(name).here
    assert load_backbone(name).digest == untrained.digest


def test_weights_in_the_cache_of_the_hub_need_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are found where the hub's own client finds them, by the same variables; timm reads the file."""
    from huggingface_hub import try_to_load_from_cache

    repository, commit = "timm/test_resnet.r160_in1k", "1234" * 10
    folder = tmp_path / "models--timm--test_resnet.r160_in1k"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(commit)
    (folder / "snapshots" / commit).mkdir(parents=True)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", lambda *given, **options: pytest.fail("it asked the network"))
    assert from_timm.cached(repository) is None
    untrained = load_backbone("timm:test_resnet", "random", seed=4)
    save_file(dict(untrained.module.state_dict()), folder / "snapshots" / commit / "model.safetensors")
    assert str(from_timm.cached(repository)) == try_to_load_from_cache(
        repository, "model.safetensors", cache_dir=tmp_path
    )
    assert availability("timm:test_resnet").here
    assert load_backbone("timm:test_resnet").digest == untrained.digest
    for variable, value in (("HF_HOME", "a"), ("XDG_CACHE_HOME", "b/huggingface")):
        monkeypatch.delenv("HF_HUB_CACHE", raising=False)
        moved = tmp_path / value / "hub"
        moved.parent.mkdir(parents=True)
        moved.symlink_to(tmp_path, target_is_directory=True)
        monkeypatch.setenv(variable, str(tmp_path / value.split("/")[0]))
        assert from_timm.cached(repository) == moved / folder.name / "snapshots" / commit / "model.safetensors"
        monkeypatch.delenv(variable)


def test_a_network_in_the_catalogue_that_needs_timm_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=r"dinov2_vits14: it needs timm: pip install 'cbirlab\[timm\]'"):
        load_backbone("dinov2_vits14", "random")
    assert availability("dinov2_vits14").takes == "timm (pip install 'cbirlab[timm]')"


def test_without_timm_its_names_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ImportError, match=r"pip install 'cbirlab\[timm\]'"):
        BACKBONES.info("timm:resnet50")


def test_names_of_families_are_listed_like_any_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "taps", "timm:test_resnet"]) == 0
    assert "layer4" in capsys.readouterr().out
    assert main(["list", "backbones", "timm:test_resnet"]) == 0
    assert "a download of about 2 MB" in capsys.readouterr().out
    assert main(["list", "backbones"]) == 0
    assert "timm:..." in capsys.readouterr().out


# torch.hub

HUBCONF = """
dependencies = ["torch"]
from test_tracing import Tokens

def tokens(pretrained=True):
    import torch
    from pathlib import Path
    (Path(__file__).parent / "ran").touch()
    net = Tokens()
    if pretrained:
        torch.manual_seed(11)
        for parameter in net.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    return net

def one_form():
    return Tokens(registers=0)

def broken(pretrained=True):
    raise KeyError("no such luck")

def number(pretrained=True):
    return 3
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "tokens-repository"
    folder.mkdir()
    (folder / "hubconf.py").write_text(HUBCONF)
    return folder


def test_code_of_a_repository_runs_only_once_it_is_trusted(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"hub:{repository}:tokens"
    for use in (BACKBONES.info, load_backbone, lambda name: Recipe(backbone=name)):
        with pytest.raises(from_hub.Untrusted, match=rf"trust_hub\('{repository}'\), or set CBIRLAB_TRUST_HUB="):
            use(name)
    assert not (repository / "ran").exists()
    monkeypatch.setenv(from_hub.TRUST_VARIABLE, f"someone/else, {repository}")
    assert list(taps_of(name)) == ["block2", "block3", "block4", "block5", "class_token"]
    assert (repository / "ran").exists()


def test_a_network_of_a_repository_is_a_backbone_by_name(repository: Path) -> None:
    trust_hub(str(repository))
    name = f"hub:{repository}:tokens"
    info = BACKBONES.info(name)
    assert (info.title, info.reference) == ("tokens (tokens-repository)", "torch.hub: tokens-repository")
    backbone, untrained = load_backbone(name), load_backbone(name, "random")
    assert backbone.weights == f"tokens@{backbone.digest[:8]}"
    assert untrained.digest not in (backbone.digest, load_backbone(name, "random", seed=1).digest)
    image = batch(1, 3, 42, 70)
    found = taps.forward(backbone, image, ["block5", "class_token"])
    with torch.no_grad():
        tokens = backbone.module.tokens(image)  # pyright: ignore
    torch.testing.assert_close(found["block5"][..., 2, 1], tokens[:, 5 + 11])
    torch.testing.assert_close(found["class_token"].flatten(1), tokens[:, 0])


def test_what_a_repository_gets_wrong_is_one_clear_error(repository: Path) -> None:
    trust_hub(str(repository))
    assert load_backbone(f"hub:{repository}:one_form").weights.startswith("one_form@")
    with pytest.raises(WeightsError, match="it was added with its weights"):
        load_backbone(f"hub:{repository}:one_form", "random")
    with pytest.raises(UnknownName, match="has no entry 'token'"):
        BACKBONES.info(f"hub:{repository}:token")
    with pytest.raises(WeightsError, match=r"could not be loaded \(KeyError: 'no such luck'\)"):
        BACKBONES.info(f"hub:{repository}:broken")
    with pytest.raises(WeightsError, match=r"must give a torch\.nn\.Module, got int"):
        BACKBONES.info(f"hub:{repository}:number")
    trust_hub(str(repository / "none"))
    with pytest.raises(WeightsError, match=r"its folder needs a hubconf\.py"):
        BACKBONES.info(f"hub:{repository / 'none'}:tokens")
    for wrong in ("hub:owner:entry", "hub:a/b", "hub:"):
        with pytest.raises(ValueError, match="expected a form like 'hub:owner/repository:entry'"):
            BACKBONES.info(wrong)
    with pytest.raises(ValueError, match="repository must be 'owner/name' or a folder"):
        trust_hub(" ")


def test_a_repository_is_fetched_by_torch_hub_with_its_branch(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load(place: str, entry: str, **options: Any) -> nn.Module:
        asked.append((place, entry, options["source"], options["pretrained"]))
        return Tokens()

    monkeypatch.setattr(torch.hub, "load", load)
    trust_hub("some/one")
    with pytest.raises(from_hub.Untrusted):
        BACKBONES.info("hub:some/other:tokens")
    assert load_backbone("hub:some/one:v2:tokens").weights.startswith("tokens@")
    assert asked == [("some/one:v2", "tokens", "github", False), ("some/one:v2", "tokens", "github", True)]


# Real weights


def test_real_weights_give_timms_transformer_the_same_maps(tmp_path: Path) -> None:
    folder = os.environ.get("CBIRLAB_TEST_DATA")
    if not folder:
        pytest.skip("CBIRLAB_TEST_DATA names no folder with real weights and photographs")
    mine = load_backbone("deit_tiny", Path(folder) / "weights" / REAL["deit_tiny"][0])
    save_file(timm_named(mine.module.state_dict()), tmp_path / "deit.safetensors")
    other = load_backbone("timm:deit_tiny_patch16_224", tmp_path / "deit.safetensors")
    path = next((Path(folder) / "benchmarks" / "corel1k" / "images" / "elephants").glob("*.jpg"))
    picture = images.prepare(path, image_size=224, mean=mine.mean, std=mine.std)[None]
    ours, theirs = (taps.forward(one, picture, ["block12", "class_token"]) for one in (mine, other))
    for name in ours:  # not square: both stretch the positions, in their own way
        likeness = functional.cosine_similarity(ours[name].flatten(1), theirs[name].flatten(1))
        assert likeness.item() > 0.98, name
