from __future__ import annotations

import hashlib
import os
import warnings
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from cbirlab import images
from cbirlab.backbones import (
    BACKBONES,
    Tap,
    add_backbone,
    check_tap,
    classifier_of,
    load_backbone,
    taps,
    taps_of,
    weights,
)
from cbirlab.backbones.networks import toynet
from cbirlab.backbones.transformer import own_names
from cbirlab.backbones.weights import WeightsError
from cbirlab.base import downloads
from cbirlab.base.registry import UnknownName
from cbirlab.datasets import bundled
from cbirlab.datasets.bundled import data_folder

NETWORKS = [name for name in BACKBONES if name != "handcrafted"]  # which test_handcrafted.py is about


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No weights folder, an empty hub cache, no network."""
    monkeypatch.delenv(weights.FOLDER_VARIABLE, raising=False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))

    def no_network(*arguments: object, **options: object) -> None:
        raise URLError("no network in tests")

    monkeypatch.setattr("urllib.request.urlopen", no_network)


@pytest.fixture
def squeeze() -> dict[str, torch.Tensor]:
    """The tensors of a random SqueezeNet 1.1: small, and with a classifier that can be left out."""
    return dict(load_backbone("squeezenet1_1", "random", seed=5).module.state_dict())


# What a network knows about itself


@pytest.mark.parametrize("name", NETWORKS)
def test_the_catalogue_is_complete(name: str) -> None:
    info = BACKBONES.info(name)
    assert info.title
    assert info.reference
    assert info.facts["licence"]
    assert info.facts["weights"] or info.facts["bundled"] or info.facts["source"] or name == "deit_tiny"
    assert taps_of(name)[info.facts["default_tap"]].kind == "map"
    strides = [tap.stride or 1000 for tap in taps_of(name).values()]
    assert strides == sorted(strides), "taps are listed in the order of computation, vectors last"
    assert bool(info.facts["input_size"]) == bool(info.facts["other_sizes"])


@pytest.mark.parametrize("name", [name for name in NETWORKS if BACKBONES.info(name).facts["weights"]])
def test_the_catalogue_agrees_with_torchvision(name: str) -> None:
    facts = BACKBONES.info(name).facts
    wanted = weights.published_weights(name)[facts["weights"]]
    assert (wanted.mean, wanted.std) == (facts["mean"], facts["std"])


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "toynet"])
def test_the_catalogue_counts_parameters_and_finds_the_classifier(name: str) -> None:
    facts = BACKBONES.info(name).facts
    if facts["requires"]:
        pytest.importorskip(facts["requires"], reason=f"{facts['requires']} is not installed")
    with torch.device("meta"):
        module = BACKBONES[name]()
    assert sum(part.numel() for part in module.parameters()) == facts["parameters"]
    if facts["classifier"] or not facts["source"]:
        assert isinstance(module.get_submodule(facts["classifier"]), nn.Linear | nn.Conv2d)


def test_the_catalogue_agrees_with_toynet() -> None:
    facts = BACKBONES.info("toynet").facts
    assert (facts["mean"], facts["std"]) == (toynet.MEAN, toynet.STD)
    sizes = {name: part.numel() for name, part in toynet.ToyNet().named_parameters()}
    assert sum(size for name, size in sizes.items() if not name.startswith("head.")) == facts["parameters"]
    maps = {name: tap for name, tap in taps_of("toynet").items() if tap.kind == "map"}
    assert {name: tap.channels for name, tap in maps.items()} == toynet.CHANNELS
    assert {name: tap.stride for name, tap in maps.items()} == toynet.STRIDES


def test_an_unknown_backbone_suggests_near_ones() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'resnet18'"):
        load_backbone("reznet18", "random")


@pytest.mark.parametrize("fact", ["default_tap", "classifier_tap"])
def test_a_default_tap_must_be_a_tap(fact: str) -> None:
    wrong: dict[str, Any] = {fact: "b"}
    with pytest.raises(ValueError, match=f"{fact} must be one of a, got 'b'"):
        add_backbone("x", nn.Identity, title="x", taps={"a": Tap("", 3, 1)}, **wrong)


def test_networks_say_what_they_do_with_images_of_another_size() -> None:
    dependent = {name for name in BACKBONES if BACKBONES.info(name).facts["input_size"] is not None}
    unlabelled = {"dino_vits16", "dinov2_vits14", "dinov2_vits14_reg"}
    assert dependent == {"alexnet", "vgg16", "vgg19", "deit_tiny", "vit_b_16"} | unlabelled
    assert {BACKBONES.info(name).facts["input_size"] for name in dependent} == {(224, 224)}


# Random weights


def test_random_weights_follow_their_seed_and_leave_the_generator_alone() -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first, again, other = (load_backbone("toynet", "random", seed=seed) for seed in (0, 0, 3))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert first.digest == again.digest != other.digest
    assert (first.weights, other.weights) == ("random", "random(seed=3)")
    assert first.missing_taps == ()


def test_a_loaded_network_is_in_evaluation_mode_without_gradients() -> None:
    module = load_backbone("mobilenet_v2", "random").module
    assert not any(part.training for part in module.modules())
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_numerics_are_checked() -> None:
    with pytest.raises(ValueError, match="toynet: precision must be one of 'float32', 'bfloat16', got 'float16'"):
        load_backbone("toynet", "random", precision="float16")
    coarse = load_backbone("toynet", "random", precision="bfloat16", channels_last=True)
    assert (coarse.precision, coarse.channels_last) == ("bfloat16", True)
    assert coarse.with_numerics() is coarse
    with pytest.raises(ValueError, match="stay rounded"):
        coarse.with_numerics(precision="float32")


# Files


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_gives_the_numbers_it_holds(tmp_path: Path, squeeze: dict, suffix: str) -> None:
    path = tmp_path / f"mine{suffix}"
    save_file(squeeze, path) if suffix == ".safetensors" else torch.save({"state_dict": squeeze}, path)
    backbone = load_backbone("squeezenet1_1", path)
    loaded = backbone.module.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in squeeze.items())
    assert backbone.weights == f"mine{suffix}@{backbone.digest[:8]}"
    assert backbone.digest == load_backbone("squeezenet1_1", "random", seed=5).digest
    assert list(backbone.taps) == list(taps_of("squeezenet1_1"))


def test_parallel_training_leaves_a_prefix_that_is_taken_off(tmp_path: Path, squeeze: dict) -> None:
    torch.save({f"module.{key}": value for key, value in squeeze.items()}, tmp_path / "x.pth")
    assert load_backbone("squeezenet1_1", tmp_path / "x.pth").missing_taps == ()


def test_features_without_a_classifier_serve_every_map(tmp_path: Path, squeeze: dict) -> None:
    save_file({k: v for k, v in squeeze.items() if k.startswith("features")}, tmp_path / "x.safetensors")
    backbone = load_backbone("squeezenet1_1", tmp_path / "x.safetensors")
    assert (list(backbone.taps), backbone.missing_taps) == (list(taps_of("squeezenet1_1"))[:-1], ("logits",))
    assert (backbone.classifier, classifier_of(backbone)) == ("", None)
    with pytest.raises(WeightsError, match="do not reach tap 'logits'"):
        check_tap(backbone, "logits")
    assert backbone.digest != load_backbone("squeezenet1_1", "random", seed=5).digest


def test_weights_up_to_a_layer_serve_the_taps_they_cover_and_say_which_not(tmp_path: Path, squeeze: dict) -> None:
    save_file(
        {k: v for k, v in squeeze.items() if not k.startswith(("features.12", "classifier"))},
        tmp_path / "x.safetensors",
    )
    backbone = load_backbone("squeezenet1_1", tmp_path / "x.safetensors")
    assert list(backbone.taps) == ["conv1", "fire3", "fire5", "fire7"]
    assert (backbone.missing_taps, backbone.default_tap) == (("fire9", "logits"), "fire7")
    whole = load_backbone("squeezenet1_1", "random", seed=5)
    image = torch.ones(1, 3, 64, 64)
    assert torch.equal(
        taps.forward(backbone, image, ["fire7"])["fire7"], taps.forward(whole, image, ["fire7"])["fire7"]
    )
    with pytest.raises(WeightsError, match=r"do not reach tap 'fire9'; covered: conv1, fire3, fire5, fire7"):
        check_tap(backbone, "fire9")


def test_a_hole_in_the_middle_covers_only_what_lies_before_it(tmp_path: Path, squeeze: dict) -> None:
    save_file({k: v for k, v in squeeze.items() if k != "features.4.squeeze.bias"}, tmp_path / "x.safetensors")
    assert list(load_backbone("squeezenet1_1", tmp_path / "x.safetensors").taps) == ["conv1"]


def test_weights_that_cover_no_tap_are_refused(tmp_path: Path, squeeze: dict) -> None:
    save_file({k: v for k, v in squeeze.items() if k.startswith("classifier")}, tmp_path / "x.safetensors")
    with pytest.raises(WeightsError, match=r"cover none of its taps; features\.0\.bias is missing"):
        load_backbone("squeezenet1_1", tmp_path / "x.safetensors")


def test_weights_of_another_network_are_refused(tmp_path: Path, squeeze: dict) -> None:
    save_file(squeeze, tmp_path / "x.safetensors")
    with pytest.raises(WeightsError, match=r"belongs to another network, features\..* must have shape .*, got"):
        load_backbone("squeezenet1_0", tmp_path / "x.safetensors")
    with pytest.raises(WeightsError, match="belongs to another network, it has no tensor of this one"):
        load_backbone("resnet18", tmp_path / "x.safetensors")


def test_tensors_without_a_place_are_left_out_with_a_warning(tmp_path: Path, squeeze: dict) -> None:
    save_file({**squeeze, "ema.decay": torch.ones(1)}, tmp_path / "x.safetensors")
    with pytest.warns(UserWarning, match=r"no place for 1 tensors: ema\.decay\."):
        load_backbone("squeezenet1_1", tmp_path / "x.safetensors")


def test_the_classifier_may_have_any_number_of_classes(tmp_path: Path, squeeze: dict) -> None:
    own = {**squeeze, "classifier.1.weight": torch.ones(7, 512, 1, 1), "classifier.1.bias": torch.ones(7)}
    save_file(own, tmp_path / "x.safetensors")
    backbone = load_backbone("squeezenet1_1", tmp_path / "x.safetensors")
    assert backbone.module.get_submodule("classifier.1").weight.shape == (7, 512, 1, 1)
    assert (backbone.taps["logits"].channels, backbone.taps["fire9"].channels) == (7, 512)
    classifier = classifier_of(backbone)
    assert classifier is not None
    assert torch.equal(classifier["classifier"], torch.ones(7, 512))
    assert torch.equal(classifier["classifier_bias"], torch.ones(7))
    toy = toynet.ToyNet(n_classes=11)
    toynet.save_weights(toy, tmp_path / "toy.safetensors")
    assert load_backbone("toynet", tmp_path / "toy.safetensors").module.head.out_features == 11  # pyright: ignore


def test_a_classifier_without_bias_has_bias_zero() -> None:
    add_backbone(
        "unbiased",
        lambda: nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2, bias=False)),
        title="u",
        taps={"relu": Tap("0", 3, 1)},
        classifier="3",
        classifier_tap="relu",
    )
    try:
        backbone = load_backbone("unbiased", "random", precision="bfloat16")
        found = classifier_of(backbone)
        assert found is not None
        assert found["classifier"].dtype == found["classifier_bias"].dtype == torch.float32
        assert torch.equal(found["classifier"], backbone.module[3].weight.float())  # pyright: ignore
        assert found["classifier_bias"].tolist() == [0, 0]
    finally:
        BACKBONES.remove("unbiased")


TIMM = {
    "cls_token": "class_token",
    "pos_embed": "encoder.pos_embedding",
    "patch_embed.proj.weight": "conv_proj.weight",
    "blocks.10.norm1.bias": "encoder.layers.encoder_layer_10.ln_1.bias",
    "blocks.0.norm2.weight": "encoder.layers.encoder_layer_0.ln_2.weight",
    "blocks.3.attn.qkv.weight": "encoder.layers.encoder_layer_3.self_attention.in_proj_weight",
    "blocks.3.attn.qkv.bias": "encoder.layers.encoder_layer_3.self_attention.in_proj_bias",
    "blocks.3.attn.proj.weight": "encoder.layers.encoder_layer_3.self_attention.out_proj.weight",
    "blocks.11.mlp.fc1.bias": "encoder.layers.encoder_layer_11.mlp.0.bias",
    "blocks.11.mlp.fc2.weight": "encoder.layers.encoder_layer_11.mlp.3.weight",
    "norm.weight": "encoder.ln.weight",
    "head.bias": "heads.head.bias",
    "encoder.layers.encoder_layer_4.mlp.linear_1.weight": "encoder.layers.encoder_layer_4.mlp.0.weight",
    "encoder.layers.encoder_layer_4.mlp.linear_2.bias": "encoder.layers.encoder_layer_4.mlp.3.bias",
}


def test_a_transformer_knows_the_names_that_timm_and_early_torchvision_gave() -> None:
    own = load_backbone("deit_tiny", "random").module.state_dict()
    values = {key: torch.tensor(float(row)) for row, key in enumerate(TIMM)}
    assert own_names(values) == {TIMM[key]: value for key, value in values.items()}
    assert set(TIMM.values()) <= set(own)
    assert list(own_names(own)) == list(own), "its own names stay"


def test_transformer_weights_under_timms_names_load(tmp_path: Path) -> None:
    """Every tensor renamed; the file ends within block 7, so that block 6 is the last that can be read."""
    whole = load_backbone("deit_tiny", "random", seed=5)
    path = tmp_path / "deit.pth"
    torch.save({"model": timm_named(whole.module.state_dict())}, path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_backbone("deit_tiny", path).digest == whole.digest
    begun = {key: value for key, value in timm_named(whole.module.state_dict()).items() if not key.startswith("head")}
    begun = {key: value for key, value in begun.items() if not key.startswith("blocks.7.mlp")}
    torch.save(begun, path)
    part = load_backbone("deit_tiny", path)
    assert (list(part.taps), part.default_tap) == (["block3", "block6"], "block6")
    assert part.missing_taps == ("block9", "block12", "class_token", "logits")


def timm_named(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of a transformer of torchvision under timm's names, read off TIMM's examples."""
    pieces = {"ln_1": "norm1", "ln_2": "norm2", "mlp.0": "mlp.fc1", "mlp.3": "mlp.fc2"}
    pieces |= {"self_attention.in_proj_": "attn.qkv.", "self_attention.out_proj": "attn.proj"}
    pieces |= {"encoder.layers.encoder_layer_": "blocks.", "encoder.ln": "norm", "heads.head": "head"}
    pieces |= {"class_token": "cls_token", "encoder.pos_embedding": "pos_embed", "conv_proj": "patch_embed.proj"}
    renamed = {}
    for key, value in state.items():
        for ours, theirs in pieces.items():
            key = key.replace(ours, theirs)
        renamed[key] = value
    return renamed


class Trap:
    """Unpickling it runs code: it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_a_weights_file_runs_no_code(tmp_path: Path) -> None:
    torch.save({"a": Trap(tmp_path / "sprung")}, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        load_backbone("squeezenet1_1", tmp_path / "x.pth")
    assert not (tmp_path / "sprung").exists()


def test_nobody_is_advised_to_run_what_is_in_a_file_of_weights(tmp_path: Path) -> None:
    (tmp_path / "x.pth").write_text("# no weights")
    with pytest.raises(WeightsError, match=r"x\.pth: cannot be read as weights: damaged") as caught:
        load_backbone("squeezenet1_1", tmp_path / "x.pth")
    assert "weights_only" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["truncated", "empty", "text", "list", "numbers", "bad safetensors"])
def test_files_that_are_no_weights_are_one_clear_error(tmp_path: Path, squeeze: dict, kind: str) -> None:
    path = tmp_path / ("x.safetensors" if kind == "bad safetensors" else "x.pth")
    if kind == "truncated":
        torch.save(squeeze, path)
        path.write_bytes(path.read_bytes()[:-5000])
    elif kind in ("list", "numbers"):
        torch.save({"list": [1, 2], "numbers": {"a": 3}}[kind], path)
    else:
        path.write_bytes(b"" if kind == "empty" else b"<html>")
    with pytest.raises(WeightsError, match=str(path)):
        load_backbone("squeezenet1_1", path)


# Where weights are looked for


def test_without_network_the_error_names_file_source_and_place(tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        load_backbone("resnet18")
    for part in ("resnet18-f37072fd.pth", "https://", "CBIRLAB_WEIGHTS", str(tmp_path / "hub" / "checkpoints")):
        assert part in str(caught.value)


def test_a_wrong_word_is_answered_with_the_right_ones() -> None:
    with pytest.raises(
        WeightsError, match=r"must be random, IMAGENET1K_V1, IMAGENET1K_V2 or an existing file.*'random'\?"
    ):
        load_backbone("mobilenet_v2", "randm")
    with pytest.raises(WeightsError, match=r"Did you mean .IMAGENET1K_V[12].\?"):
        load_backbone("mobilenet_v2", "IMAGENET_V2")


def test_a_network_without_weights_of_its_own_says_so() -> None:
    add_backbone("bare", lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()), title="b", taps={"r": Tap("1", 4, 1)})
    try:
        with pytest.raises(WeightsError, match="bare has no weights of its own: pass weights='random'"):
            load_backbone("bare")
        assert load_backbone("bare", "random").default_tap == "r"
    finally:
        BACKBONES.remove("bare")


def test_the_users_folder_is_searched_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, squeeze: dict) -> None:
    folder = tmp_path / "weights" / "deeper"
    folder.mkdir(parents=True)
    monkeypatch.setenv(weights.FOLDER_VARIABLE, str(folder.parent))
    save_file(squeeze, folder / "squeezenet1_1_mine.safetensors")
    save_file(squeeze, folder / "squeezenet1_10.safetensors")
    assert load_backbone("squeezenet1_1").weights.startswith("squeezenet1_1_mine.safetensors@")
    save_file(squeeze, folder / "squeezenet1_1-other.safetensors")
    with pytest.raises(WeightsError, match="several files in CBIRLAB_WEIGHTS match"):
        load_backbone("squeezenet1_1")
    monkeypatch.setenv(weights.FOLDER_VARIABLE, str(tmp_path / "none"))
    with pytest.raises(WeightsError, match="CBIRLAB_WEIGHTS must name a folder"):
        load_backbone("squeezenet1_1")


@pytest.fixture
def small_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, squeeze: dict) -> Path:
    """A file that torchvision might publish: its name holds the first digits of its sha256."""
    torch.save(squeeze, tmp_path / "x.pth")
    digits = hashlib.sha256((tmp_path / "x.pth").read_bytes()).hexdigest()[:8]
    path = (tmp_path / "x.pth").rename(tmp_path / f"squeezenet1_1-{digits}.pth")
    release = weights.Published("IMAGENET1K_V1", f"https://example.org/{path.name}", (0.1,) * 3, (0.2,) * 3)
    monkeypatch.setattr(weights.finding, "published_weights", lambda name: {"IMAGENET1K_V1": release})
    return path


def test_a_published_file_is_taken_from_the_folder_then_the_cache_then_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_release: Path
) -> None:
    asked = []

    def fetch(source: downloads.Source, folder: Path) -> None:
        asked.append((source.urls, source.digest))
        folder.mkdir(parents=True)
        (folder / source.file).write_bytes(small_release.read_bytes())

    monkeypatch.setattr(downloads, "fetch", fetch)
    backbone = load_backbone("squeezenet1_1")
    digits = small_release.stem.split("-")[1]
    assert asked == [((f"https://example.org/{small_release.name}",), f"sha256:{digits}")]
    assert (backbone.weights, backbone.mean, backbone.std) == ("IMAGENET1K_V1", (0.1,) * 3, (0.2,) * 3)

    load_backbone("squeezenet1_1", "IMAGENET1K_V1")
    assert len(asked) == 1, "the second time it comes from the cache"

    (tmp_path / "hub" / "checkpoints" / small_release.name).unlink()
    monkeypatch.setenv(weights.FOLDER_VARIABLE, str(tmp_path))
    assert load_backbone("squeezenet1_1").weights == "IMAGENET1K_V1"
    assert len(asked) == 1, "the user's folder comes before the network"


def test_a_damaged_published_file_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_release: Path
) -> None:
    small_release.write_bytes(small_release.read_bytes()[:-1])
    monkeypatch.setenv(weights.FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(WeightsError, match="the file is damaged, its sha256 must begin with"):
        load_backbone("squeezenet1_1")


def test_toynet_is_bundled_or_says_that_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundled, "data_folder", lambda: tmp_path)
    with pytest.raises(WeightsError, match=r"the bundled weights .*toynet\.safetensors are missing"):
        load_backbone("toynet")
    (tmp_path / "toynet").mkdir()
    toynet.save_weights(toynet.ToyNet(3), tmp_path / "toynet" / "toynet.safetensors")
    assert load_backbone("toynet").weights == "toynet-v1"


def test_the_bundled_toynet_loads_completely() -> None:
    if not (data_folder() / "toynet" / "toynet.safetensors").is_file():
        pytest.skip("data/toynet/toynet.safetensors is not built in this checkout")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        backbone = load_backbone("toynet")
    assert (backbone.weights, backbone.missing_taps) == ("toynet-v1", ())
    assert (data_folder() / "toynet" / "toynet.safetensors").stat().st_size <= 5_000_000


# Real weights and photographs


@pytest.fixture(scope="module")
def real() -> Path:
    folder = os.environ.get("CBIRLAB_TEST_DATA")
    if not folder:
        pytest.skip("CBIRLAB_TEST_DATA names no folder with real weights and photographs")
    return Path(folder)


REAL = {
    "mobilenet_v2": ("mobilenet_v2_tf/mobilenet_v2_tfq_tv-9485bbf4.pth", ()),
    "resnet18": ("resnet18_to_layer3/resnet18_to_layer3_bnfolded_tv-710f5e42.pth", ("layer4", "avgpool", "logits")),
    "squeezenet1_0": ("squeezenet1_0/squeezenet1_0_deepcomp_tv-d8b5aa1d.pth", ()),
    "squeezenet1_1": ("squeezenet1_1_features/squeezenet1_1_features_tv-e525c71e.pth", ("logits",)),
    "deit_tiny": ("deit_tiny/deit_tiny_patch16_224_tv-2f889a2b.pth", ()),
}


@pytest.mark.parametrize("name", REAL)
def test_real_weights_load_by_path_and_from_the_folder(real: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    file, missing = REAL[name]
    backbone = load_backbone(name, real / "weights" / file)
    assert backbone.missing_taps == missing
    assert (classifier_of(backbone) is not None) == (name in ("mobilenet_v2", "squeezenet1_0"))
    monkeypatch.setenv(weights.FOLDER_VARIABLE, str(real / "weights"))
    assert load_backbone(name).digest == backbone.digest


@pytest.mark.parametrize("name", REAL)
def test_real_weights_tell_categories_of_photographs_apart(real: Path, name: str) -> None:
    """Nearest neighbours of 30 photographs in 5 categories; real weights find the category, random ones less often."""
    photographs = [
        path
        for category in ("buses", "dinosaurs", "elephants", "flowers", "horses")
        for path in sorted((real / "benchmarks" / "corel1k" / "images" / category).glob("*.jpg"))[:6]
    ]
    scores = {}
    for label, source in (("real", real / "weights" / REAL[name][0]), ("random", "random")):
        backbone = load_backbone(name, source, channels_last=True)
        batch = torch.stack(
            [images.prepare(p, image_size=128, mean=backbone.mean, std=backbone.std) for p in photographs]
        )
        tap = backbone.default_tap
        pooled = taps.forward(backbone, batch, [tap])[tap].mean((-2, -1)).numpy()
        pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
        near = (pooled @ pooled.T - 2 * np.eye(len(pooled))).argmax(axis=1)
        scores[label] = float((near // 6 == np.arange(len(pooled)) // 6).mean())
    assert scores["real"] >= 0.9, scores
    assert scores["real"] > scores["random"], scores


def test_deit_classifies_photographs_as_mobilenet_does(real: Path) -> None:
    """Two networks trained on the same 1000 classes agree on clear photographs, and DeiT is sure of what it says."""
    files = [
        path
        for category in ("buses", "elephants", "flowers", "horses")
        for path in sorted((real / "benchmarks" / "corel1k" / "images" / category).glob("*.jpg"))[:5]
    ]
    chances = {}
    for name in ("deit_tiny", "mobilenet_v2"):
        backbone = load_backbone(name, real / "weights" / REAL[name][0])
        batch = torch.stack([images.prepare(p, image_size=224, mean=backbone.mean, std=backbone.std) for p in files])
        chances[name] = taps.forward(backbone, batch, ["logits"])["logits"].flatten(1).softmax(dim=1)
    best = chances["deit_tiny"].topk(5).indices
    agree = (best == chances["mobilenet_v2"].argmax(dim=1, keepdim=True)).any(dim=1)
    entropy = -(chances["deit_tiny"] * chances["deit_tiny"].log()).sum(dim=1)
    assert agree.float().mean() >= 0.7
    assert entropy.median() < 0.5 * np.log(1000)


def test_a_backbone_may_be_written_with_its_weights():
    from cbirlab import Recipe

    recipe = Recipe(backbone="resnet50@IMAGENET1K_V2")
    assert (recipe.backbone, recipe.weights) == ("resnet50", "IMAGENET1K_V2")
    assert recipe == Recipe(backbone="resnet50", weights="IMAGENET1K_V2")
    with pytest.raises(ValueError, match="names its weights"):
        Recipe(backbone="resnet50@IMAGENET1K_V2", weights="IMAGENET1K_V1")
    with pytest.raises(ValueError, match="weights must follow"):
        Recipe(backbone="resnet50@")
    assert load_backbone("toynet@random").digest == load_backbone("toynet", "random").digest


def test_no_registered_name_has_the_sign_that_stands_before_weights():
    assert not [name for name in BACKBONES if "@" in name]


def test_one_comparison_takes_several_weights_of_one_network(things, store):
    from cbirlab import compare

    options = {"aggregations": "gem", "whitenings": "none", "store": store, "progress": False}
    frame = compare(things, backbones=["toynet", "toynet@random"], **options)
    assert [*frame["backbone"]] == ["toynet", "toynet"]
    assert [*frame["weights"]] == ["toynet-v1", "random"]
    with pytest.raises(ValueError, match="names its weights"):
        compare(things, backbones=["toynet@random"], weights="other", **options)
