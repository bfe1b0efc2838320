"""Published weights: what is said of them without torchvision, where they are, and colours as Caffe has them."""

from __future__ import annotations

import os
import subprocess
import sys
from math import isnan
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from test_backbones import REAL
from torch import nn
from torch.nn import functional
from torchvision.models import get_model_weights

from cbirlab import images
from cbirlab.backbones import (
    BACKBONES,
    Release,
    add_module,
    availability,
    backbones_here,
    load_backbone,
    releases,
    taps,
    weights,
)
from cbirlab.backbones.catalogue import CAFFE_MEAN, CAFFE_STD
from cbirlab.backbones.transformer import positions
from cbirlab.backbones.weights import WeightsError
from cbirlab.base.registry import UnknownName
from cbirlab.cli import main

PUBLISHED = [name for name in BACKBONES if BACKBONES.info(name).facts["weights"].startswith("IMAGENET")]

TORCHS_OWN = torch.hub.get_dir


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No weights folder, an empty hub cache; the cache's folder."""
    monkeypatch.delenv(weights.FOLDER_VARIABLE, raising=False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    return tmp_path / "hub" / "checkpoints"


# What is published


@pytest.mark.parametrize("name", PUBLISHED)
def test_releases_agree_with_torchvision(name: str) -> None:
    theirs = {member.name: member for member in get_model_weights(name)}
    assert list(releases(name)) == list(theirs)
    for label, release in releases(name).items():
        meta, transform = theirs[label].meta, theirs[label].transforms()
        assert release.file == Path(theirs[label].url).name
        assert release.megabytes == meta["_file_size"]
        accuracy = meta["_metrics"]["ImageNet-1K"]["acc@1"]
        assert release.accuracy == accuracy or (isnan(release.accuracy) and isnan(accuracy))
        assert [release.trained_at] == transform.crop_size
        assert release.interpolation == transform.interpolation.value
        assert list(release.mean) == pytest.approx(transform.mean, abs=1e-4)
        assert list(release.std) == pytest.approx(transform.std)


def test_both_generations_of_weights_are_choices_and_the_first_is_the_default() -> None:
    both = {name for name in PUBLISHED if {"IMAGENET1K_V1", "IMAGENET1K_V2"} <= {*releases(name)}}
    assert both == {"resnet50", "resnet101", "mobilenet_v2", "mobilenet_v3_large"}
    assert {BACKBONES.info(name).facts["weights"] for name in PUBLISHED} == {"IMAGENET1K_V1"}
    assert releases("toynet") == {}


# Where they are


def test_what_is_not_here_says_what_it_takes(nowhere: Path) -> None:
    found = availability("resnet50")
    assert (found.here, str(found)) == (False, "a download of 98 MB")
    for part in ("resnet50-0676ba61.pth", "CBIRLAB_WEIGHTS", str(nowhere)):
        assert part in found.instructions
    assert str(availability("deit_tiny")) == "a file of yours"
    assert (availability("handcrafted").here, availability("toynet").here) == (True, True)
    assert backbones_here() == ["toynet", "efficientnet_lite0", "handcrafted"]
    with pytest.raises(UnknownName, match="Did you mean 'resnet50'"):
        availability("resnet5")
    with pytest.raises(WeightsError, match=r"one of its published sets \(IMAGENET1K_V1, IMAGENET1K_V2\), got 'V2'"):
        availability("resnet50", "V2")


def test_each_generation_is_looked_for_on_its_own(
    nowhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (nowhere / "resnet50-11ad3fa6.pth").touch()
    assert [availability("resnet50", label).here for label in (None, "IMAGENET1K_V1", "IMAGENET1K_V2")] == [0, 0, 1]
    folder = tmp_path / "mine" / "deeper"
    folder.mkdir(parents=True)
    monkeypatch.setenv(weights.FOLDER_VARIABLE, str(tmp_path / "mine"))
    (folder / "resnet50-0676ba61.pth").touch()
    assert availability("resnet50") == availability("resnet50", "IMAGENET1K_V1")
    assert availability("resnet50").where == str(folder / "resnet50-0676ba61.pth")


def test_availability_is_what_loading_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in the user's folder named after the network; one of another published set is not taken for it."""
    monkeypatch.setenv(weights.FOLDER_VARIABLE, str(tmp_path))
    network = load_backbone("mobilenet_v2", "random")
    monkeypatch.setattr("urllib.request.urlopen", _no_network)
    torch.save(dict(network.module.state_dict()), tmp_path / "mobilenet_v2-7ebf99e0.pth")
    assert not availability("mobilenet_v2").here
    with pytest.raises(WeightsError, match=r"mobilenet_v2-b0353104\.pth is not on this machine"):
        load_backbone("mobilenet_v2")
    (tmp_path / "mobilenet_v2-7ebf99e0.pth").rename(tmp_path / "mobilenet_v2-mine.pth")
    assert availability("mobilenet_v2").where == str(tmp_path / "mobilenet_v2-mine.pth")
    assert load_backbone("mobilenet_v2").digest == network.digest
    save_file(dict(network.module.state_dict()), tmp_path / "mobilenet_v2_other.safetensors")
    assert availability("mobilenet_v2").takes == "the path of one file"
    monkeypatch.setenv(weights.FOLDER_VARIABLE, str(tmp_path / "none"))
    assert availability("mobilenet_v2").takes == "a folder that exists"


def _no_network(*arguments: object, **options: object) -> None:
    raise URLError("no network in tests")


@pytest.mark.parametrize("variables", [{"TORCH_HOME": "/a"}, {"XDG_CACHE_HOME": "/b"}, {}])
def test_the_cache_is_told_without_torch_as_torch_tells_it(monkeypatch, variables: dict[str, str]) -> None:
    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delitem(sys.modules, "torch")
    assert weights.hub_folder() == Path(TORCHS_OWN()) / "checkpoints"


def test_listing_says_what_can_be_had_without_loading_torch(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "backbones", "resnet50"]) == 0
    said = capsys.readouterr().out
    for part in (
        "IMAGENET1K_V1 (default)",
        "IMAGENET1K_V2",
        "top-1 80.9 %",
        "not here: resnet50-11ad3fa6.pth",
        "98 MB",
    ):
        assert part in said
    assert main(["list", "backbones"]) == 0
    assert "takes a download of 528 MB" in capsys.readouterr().out
    text = "import sys; from cbirlab.cli import main; main(['list', 'backbones']); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", text], capture_output=True, check=True)


# Published files in particular


def test_a_published_file_brings_its_preprocessing_however_it_is_named(tmp_path: Path, monkeypatch) -> None:
    """torchvision's features of VGG-16 were trained with Caffe's colours."""
    path = tmp_path / "vgg16_features-amdegroot-88682ab5.pth"
    state = {key: value for key, value in load_backbone("vgg16", "random").module.state_dict().items() if key[0] == "f"}
    torch.save(state, path)
    monkeypatch.setattr(weights.finding, "_checked", lambda path, wanted: weights.Found(path, wanted.label, wanted))
    backbone = load_backbone("vgg16", path)
    assert backbone.weights == "IMAGENET1K_FEATURES"
    assert backbone.mean == pytest.approx(CAFFE_MEAN, abs=1e-4)
    assert backbone.std == pytest.approx(CAFFE_STD)
    assert backbone.missing_taps == ("fc6", "fc7", "logits")
    assert isinstance(releases("vgg16")["IMAGENET1K_FEATURES"], Release)


def test_tensors_without_a_number_are_missing(tmp_path: Path) -> None:
    """As the classifier in those features of VGG-16."""
    state = dict(load_backbone("squeezenet1_1", "random").module.state_dict())
    state |= {key: torch.full_like(value, float("nan")) for key, value in state.items() if "classifier" in key}
    torch.save(state, tmp_path / "x.pth")
    assert load_backbone("squeezenet1_1", tmp_path / "x.pth").missing_taps == ("logits",)


def test_densenets_and_googlenets_published_names_load(tmp_path: Path) -> None:
    dense = load_backbone("densenet121", "random", seed=2)
    old = {
        key.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): v for key, v in dense.module.state_dict().items()
    }
    old = {key.replace("norm2.", "norm.2.").replace("conv1.", "conv.1."): value for key, value in old.items()}
    torch.save(old, tmp_path / "dense.pth")
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    assert load_backbone("densenet121", tmp_path / "dense.pth").digest == dense.digest
    google = load_backbone("googlenet", "random", seed=2)
    beside = {"aux1.conv.conv.weight": torch.ones(1), "aux2.fc1.bias": torch.ones(1)}
    torch.save({**google.module.state_dict(), **beside}, tmp_path / "google.pth")
    assert load_backbone("googlenet", tmp_path / "google.pth").digest == google.digest


def test_googlenet_takes_the_preprocessing_of_its_weights() -> None:
    """Its published weights want RGB in -1..1; it gets there from the ImageNet normalisation that it is handed."""
    backbone = load_backbone("googlenet", "random")
    colours = torch.rand(1, 3, 64, 64)
    mean, std = (torch.tensor(values)[:, None, None] for values in (backbone.mean, backbone.std))
    found = taps.forward(backbone, (colours - mean) / std, ["conv1"])["conv1"]
    with torch.no_grad():
        torch.testing.assert_close(found, backbone.module.conv1(2 * colours - 1), atol=1e-5, rtol=1e-4)  # pyright: ignore


def test_a_transformer_takes_over_the_grid_its_weights_were_learned_on(tmp_path: Path) -> None:
    """As IMAGENET1K_SWAG_E2E's, learned on 24 x 24 patches."""
    state = dict(load_backbone("deit_tiny", "random").module.state_dict())
    state["encoder.pos_embedding"] = torch.randn(1, 1 + 24 * 24, 192)
    torch.save(state, tmp_path / "x.pth")
    backbone = load_backbone("deit_tiny", tmp_path / "x.pth")
    assert torch.equal(backbone.module.encoder.pos_embedding, state["encoder.pos_embedding"])  # pyright: ignore
    assert positions(state["encoder.pos_embedding"], 24, 24) is state["encoder.pos_embedding"]
    assert taps.forward(backbone, torch.ones(1, 3, 64, 32), ["block12"])["block12"].shape == (1, 192, 4, 2)
    state["encoder.pos_embedding"] = torch.randn(1, 1 + 24 * 23, 192)
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=r"encoder\.pos_embedding must have shape"):
        load_backbone("deit_tiny", tmp_path / "x.pth")


# Caffe


def caffe_input(pixels: np.ndarray) -> torch.Tensor:
    """What Caffe hands a network for uint8 RGB (H, W, 3): blue, green, red, less (104, 117, 123)."""
    blue_first = pixels[..., ::-1].astype(np.float32) - np.float32([104, 117, 123])
    return torch.from_numpy(blue_first.transpose(2, 0, 1).copy())[None]


def test_weights_trained_with_caffes_colours_see_them_exactly(tmp_path: Path) -> None:
    """Borders included: the convolution pads, and the pad has to stay Caffe's mean colour."""
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=2), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())
    net = net.requires_grad_(False)
    torch.save(net.state_dict(), tmp_path / "x.pth")
    add_module("ours", net)
    try:
        backbone = load_backbone("ours", f"caffe:{tmp_path / 'x.pth'}")
        assert (backbone.mean, backbone.std) == (CAFFE_MEAN, CAFFE_STD)
        assert backbone.weights == f"caffe:x.pth@{backbone.digest[:8]}"
        pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
        batch = images.normalise(pixels, mean=backbone.mean, std=backbone.std)[None]
        torch.testing.assert_close(batch.flip(1), caffe_input(pixels), atol=1e-3, rtol=1e-4)
        found = taps.forward(backbone, batch, ["3"])["3"]
        torch.testing.assert_close(found, net(caffe_input(pixels)), atol=1e-3, rtol=1e-4)
        plain = load_backbone("ours", tmp_path / "x.pth")
        assert plain.digest != backbone.digest
        batch = images.normalise(pixels, mean=plain.mean, std=plain.std)[None]
        assert not torch.allclose(taps.forward(plain, batch, ["3"])["3"], found, atol=1)
    finally:
        BACKBONES.remove("ours")


def test_caffes_colours_are_of_files_only(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="'caffe:' must be followed by the path of an existing file"):
        load_backbone("vgg16", "caffe:IMAGENET1K_V1")
    state = dict(load_backbone("toynet", "random").module.state_dict())
    save_file(state, tmp_path / "x.safetensors")
    assert load_backbone("toynet", f"caffe:{tmp_path / 'x.safetensors'}").mean == CAFFE_MEAN


@pytest.fixture(scope="module")
def real() -> Path:
    folder = os.environ.get("CBIRLAB_TEST_DATA")
    if not folder:
        pytest.skip("CBIRLAB_TEST_DATA names no folder with real weights and photographs")
    return Path(folder)


def test_real_caffe_weights_equal_those_with_the_colours_folded_in(real: Path, tmp_path: Path) -> None:
    """SqueezeNet 1.0 came from Caffe; in our file its colours are folded into a convolution that does not pad.

    Unfolded they are what was published, and "caffe:" has to give the same maps of a photograph.
    """
    folded = load_backbone("squeezenet1_0", real / "weights" / REAL["squeezenet1_0"][0])
    state = {key: value.clone() for key, value in folded.module.state_dict().items()}
    mean, std = torch.tensor(folded.mean), torch.tensor(folded.std)
    first = state["features.0.weight"] / (255 * std)[None, :, None, None]
    shift = 255 * mean - torch.tensor([123.0, 117.0, 104.0])
    state["features.0.bias"] -= (first * shift[None, :, None, None]).sum((1, 2, 3))
    state["features.0.weight"] = first.flip(1)
    torch.save(state, tmp_path / "squeezenet_caffe.pth")
    of_caffe = load_backbone("squeezenet1_0", f"caffe:{tmp_path / 'squeezenet_caffe.pth'}")
    path = next((real / "benchmarks" / "corel1k" / "images" / "buses").glob("*.jpg"))
    maps = []
    for backbone in (folded, of_caffe):
        batch = images.prepare(path, image_size=160, mean=backbone.mean, std=backbone.std)[None]
        maps.append(taps.forward(backbone, batch, ["fire9"])["fire9"])
    assert maps[0].abs().max() > 1
    torch.testing.assert_close(maps[0], maps[1], atol=2e-3 * float(maps[0].max()), rtol=1e-3)


CLASSIFIERS = ("deit_tiny", "mobilenet_v2", "squeezenet1_0")


def test_real_weights_loaded_by_name_classify_alike(real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three networks of three makers name the same things on clear photographs; with random weights none does."""
    monkeypatch.setenv(weights.FOLDER_VARIABLE, str(real / "weights"))
    folder = real / "benchmarks" / "corel1k" / "images"
    files = [path for kind in ("buses", "elephants", "flowers") for path in sorted((folder / kind).glob("*.jpg"))[:4]]
    best = {}
    for name in CLASSIFIERS:
        assert availability(name).here
        backbone = load_backbone(name)
        batch = torch.stack([images.prepare(p, image_size=224, mean=backbone.mean, std=backbone.std) for p in files])
        best[name] = taps.forward(backbone, batch, ["logits"])["logits"].flatten(1).topk(5).indices
    for one in CLASSIFIERS:
        for other in CLASSIFIERS:
            shared = (best[one][:, :1] == best[other]).any(dim=1).float().mean()
            assert shared >= 0.6, (one, other, shared)


@pytest.mark.parametrize("name", REAL)
def test_taps_of_real_weights_are_the_places_they_name(real: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """On a photograph: shapes as declared, values of the declared sign, and the last vector from the last map."""
    monkeypatch.setenv(weights.FOLDER_VARIABLE, str(real / "weights"))
    backbone = load_backbone(name)
    path = next((real / "benchmarks" / "corel1k" / "images" / "horses").glob("*.jpg"))
    batch = images.prepare(path, image_size=192, mean=backbone.mean, std=backbone.std)[None]
    found = taps.forward(backbone, batch, list(backbone.taps))
    for tap, entry in backbone.taps.items():
        maps = found[tap]
        assert maps.shape[1] == entry.channels
        assert bool((maps < 0).any()) == entry.signed, tap
        assert maps.isfinite().all()
        if entry.kind == "map":
            wanted = torch.tensor(batch.shape[2:]) / entry.stride
            assert (torch.tensor(maps.shape[2:]) - wanted).abs().max() <= 3, tap
    if name == "mobilenet_v2":
        layer = backbone.module.get_submodule("classifier.1")
        scores = functional.linear(found["last"].mean((-2, -1)), layer.weight, layer.bias)  # pyright: ignore
        torch.testing.assert_close(found["logits"].flatten(1), scores, atol=1e-3, rtol=1e-3)
