"""Weights files as trainers leave them: wrapped, several in one, with settings beside, damaged, or something else."""

from __future__ import annotations

import argparse
import datetime
import gzip
import io
import tarfile
import warnings
import zipfile
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save, save_file
from torch import nn

from cbirlab.backbones import BACKBONES, Tap, add_backbone, load_backbone, weights
from cbirlab.backbones.weights import WeightsError


class Small(nn.Module):
    """A network of ten tensors whose names occur in each other."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.layer = nn.Sequential(OrderedDict(conv=nn.Conv2d(4, 6, 3), norm=nn.BatchNorm2d(6), relu=nn.ReLU()))
        self.head = nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(self.norm(self.conv(x))).mean((2, 3)))


TAPS = {"layer": Tap("layer", 6, 1), "logits": Tap("head", 5, 0, "vector", True)}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The network is registered, and no folder of weights is set."""
    monkeypatch.delenv(weights.FOLDER_VARIABLE, raising=False)
    add_backbone("small", Small, title="Small", taps=TAPS, classifier="head")
    yield
    BACKBONES.remove("small")


def tensors(seed: int = 1) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return {key: value.clone() for key, value in Small().state_dict().items()}


def saved(path: Path, held: Any, **options: Any) -> Path:
    torch.save(held, path, **options)
    return path


def under(prefix: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {prefix + key: value for key, value in state.items()}


def refused(path: str | Path) -> str:
    with pytest.raises(WeightsError) as caught:
        load_backbone("small", path)
    said = str(caught.value)
    assert str(path).split(":", maxsplit=1)[0] in said
    assert "\n" not in said
    assert "weights_only" not in said
    return said


# What stands before and around the names

BEFORE = ("module", "_orig_mod", "model", "backbone", "encoder.q", "net", "base_encoder", "trunk.0")
AROUND = ("state_dict", "model", "net", "model_state_dict", "ema", "weights", "student")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=st.lists(st.sampled_from(BEFORE), max_size=3),
    around=st.lists(st.sampled_from(AROUND), max_size=3),
    inside=st.sampled_from(["", "module", "_orig_mod"]),
    left_out=st.booleans(),
)
def test_what_trainers_put_before_and_around_the_names_is_taken_off(
    tmp_path: Path, before: list[str], around: list[str], inside: str, left_out: bool
) -> None:
    own = tensors()
    kept = {key: value for key, value in own.items() if not (left_out and "num_batches" in key)}
    named = {key.replace("layer.", f"layer.{inside}.") if inside else key: value for key, value in kept.items()}
    held: Any = {".".join([*before, key]): value for key, value in named.items()}
    for wrapper in around:
        held = {wrapper: held, "epoch": 3, "optimizer": {"state": {0: {"exp_avg": torch.zeros(4)}}}}
    module = Small()
    state = weights.match_tensors(weights.read(saved(tmp_path / "x.pth", held)), module.state_dict(), "small")
    assert weights.fill(module, state, "small") == set()
    assert all(torch.equal(module.state_dict()[key], value) for key, value in kept.items())


def test_a_network_within_another_takes_the_file_of_the_one_inside(tmp_path: Path) -> None:
    add_backbone(
        "outer", lambda: nn.Sequential(OrderedDict(body=Small())), title="o", taps={"a": Tap("body.layer", 6, 1)}
    )
    try:
        module = load_backbone("outer", saved(tmp_path / "x.pth", tensors())).module
        assert torch.equal(module.state_dict()["body.conv.weight"], tensors()["conv.weight"])
    finally:
        BACKBONES.remove("outer")


@pytest.mark.parametrize(
    ("held", "names"),
    [
        (lambda a, b: {"student": a, "teacher": b}, ("student", "teacher")),
        (lambda a, b: {"state_dict": a, "state_dict_ema": b, "epoch": 1}, ("state_dict", "state_dict_ema")),
        (lambda a, b: {"state_dict": under("module.encoder_q.", a) | under("module.encoder_k.", b)},
         ("state_dict.encoder_q", "state_dict.encoder_k")),
    ],
)  # fmt: skip
def test_of_several_networks_in_a_file_one_has_to_be_chosen(tmp_path: Path, held: Any, names: tuple[str, str]) -> None:
    first, second = tensors(1), tensors(2)
    path = saved(tmp_path / "x.pth", held(first, second))
    said = refused(path)
    assert "several networks" in said
    assert all(repr(name) in said for name in names)
    for name, own in zip(names, (first, second), strict=True):
        backbone = load_backbone("small", f"{path}:{name}")
        assert torch.equal(backbone.module.state_dict()["layer.conv.weight"], own["layer.conv.weight"])
        assert backbone.weights.startswith(f"x.pth:{name}@")
        last = name.rpartition(".")[2]
        assert load_backbone("small", f"{path}:{last}").digest == backbone.digest
    assert "nothing named 'pupil'" in refused(f"{path}:pupil")


def test_the_other_network_in_a_file_may_be_of_another_kind(tmp_path: Path) -> None:
    """Names that agree by chance, with other shapes, are no second network."""
    other = {key: torch.zeros(*value.shape, 2) for key, value in tensors().items()}
    path = saved(tmp_path / "x.pth", {"teacher": other, "model": tensors()})
    assert load_backbone("small", path).missing_taps == ()


# What stands beside the tensors


@pytest.mark.parametrize(
    "setting",
    [
        np.float64(0.5),
        np.int64(3),
        np.arange(3),
        argparse.Namespace(lr=0.1, where=Path("x")),
        Path("a/b"),
        defaultdict(list, a=[1]),
        deque([1, 2], maxlen=3),
        datetime.datetime(2020, 1, 2),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_settings_beside_the_tensors_are_passed_over(tmp_path: Path, setting: Any, zipped: bool) -> None:
    path = saved(tmp_path / "x.pth", {"model": tensors(), "best": setting}, _use_new_zipfile_serialization=zipped)
    assert load_backbone("small", path).missing_taps == ()


class Trainer:
    """Something that only a trainer's code knows."""


@pytest.mark.parametrize("held", [lambda: {"model": tensors(), "by": Trainer()}, Small])
def test_a_file_that_asks_for_code_names_it_and_the_way_on(tmp_path: Path, held: Any) -> None:
    said = refused(saved(tmp_path / "x.pth", held()))
    assert "test_weights." in said
    assert "safetensors.torch.save_file(network.state_dict()" in said


# What the tensors hold


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), value=st.sampled_from([float("nan"), float("inf"), float("-inf")]))
def test_numbers_that_are_none_are_found_and_the_tensor_is_named(
    tmp_path: Path, data: st.DataObject, value: float
) -> None:
    own = tensors()
    name = data.draw(
        st.sampled_from([key for key, one in own.items() if one.is_floating_point() and "running" not in key])
    )
    whole = data.draw(st.booleans())
    own[name].view(-1)[: None if whole else 1] = value
    said = refused(saved(tmp_path / "x.pth", own))
    assert name in said
    assert "weights must be finite" in said


def test_a_network_that_diverged_is_told_as_such(tmp_path: Path) -> None:
    own = {key: value * float("nan") if value.is_floating_point() else value for key, value in tensors().items()}
    assert "NaN" in refused(saved(tmp_path / "x.pth", own))


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("conv.weight", (4, 1, 3, 3), ("conv.weight must have shape (4, 3, 3, 3), got (4, 1, 3, 3)", "input channels")),
        ("head.weight", (5, 7), ("head.weight must have shape (5, 6), got (5, 7)",)),
    ],
)
def test_one_tensor_of_another_shape_is_named_with_both(tmp_path: Path, name: str, shape: Any, words: Any) -> None:
    said = refused(
        saved(
            tmp_path / "x.pth",
            {f"model.{key}": value for key, value in tensors().items()} | {f"model.{name}": torch.zeros(shape)},
        )
    )
    assert all(word in said for word in words)
    assert "another network" not in said


def test_half_precision_counts_and_whole_numbers_do_not(tmp_path: Path) -> None:
    half = {key: value.half() if value.is_floating_point() else value for key, value in tensors().items()}
    assert (
        load_backbone("small", saved(tmp_path / "x.pth", half)).module.state_dict()["conv.weight"].dtype
        == torch.float32
    )
    bytes_of = {**tensors(), "conv.weight": torch.ones(4, 3, 3, 3, dtype=torch.int8)}
    assert "conv.weight must hold floating-point numbers, got torch.int8" in refused(
        saved(tmp_path / "y.pth", bytes_of)
    )
    sparse = {**tensors(), "conv.weight": tensors()["conv.weight"].to_sparse()}
    assert "conv.weight must be a plain tensor" in refused(saved(tmp_path / "z.pth", sparse))


# What the file is


def zipped(**files: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(f"x/{name}", content)
    return made.getvalue()


def torch_bytes() -> bytes:
    made = io.BytesIO()
    torch.save(tensors(), made)
    return made.getvalue()


def tarred() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.pth"))
    return made.getvalue()


def scripted() -> bytes:
    made = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(nn.ReLU()), made)
    return made.getvalue()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".bin"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lambda: b"", "empty"),
        (lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
        (lambda: b"\n<!DOCTYPE html><html>Sign in</html>", "web page"),
        (lambda: gzip.compress(b"x"), "gzip"),
        (tarred, "tar archive"),
        (scripted, "TorchScript"),
        (lambda: torch_bytes()[:-400], "its end is missing"),
        (lambda: zipped(readme=b"hello"), "torch did not write"),
        (
            lambda: zipped(**{"data.pkl": b"\x80\x02}q\x00.", "data/0": bytes(1 << 20)}),
            "compressed, which torch never does",
        ),
        (lambda: save(tensors())[:-100], "damaged"),
        (lambda: b"\x89HDF\r\n\x1a\n", "HDF5"),
    ],
)
def test_what_got_there_instead_of_weights_is_one_sentence(
    tmp_path: Path, suffix: str, content: Any, words: str
) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content())
    assert words in refused(path)


def test_the_form_of_a_file_is_told_by_its_bytes(tmp_path: Path) -> None:
    save_file(tensors(), tmp_path / "a.pth")
    saved(tmp_path / "b.safetensors", tensors())
    assert (
        load_backbone("small", tmp_path / "a.pth").digest == load_backbone("small", tmp_path / "b.safetensors").digest
    )


def test_a_folder_is_told_from_a_file(tmp_path: Path) -> None:
    saved(tmp_path / "x.pth", tensors())
    assert f"pass one in it: {tmp_path / 'x.pth'}" in refused(tmp_path)


@pytest.mark.parametrize("suffix", [".pth.tar", ".ckpt", ".bin", ".PTH", ".pt"])
def test_the_users_folder_is_read_whatever_trainers_call_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setenv(weights.FOLDER_VARIABLE, str(tmp_path))
    saved(tmp_path / f"small_best{suffix}", {"state_dict": tensors()})
    assert load_backbone("small").weights.startswith(f"small_best{suffix}@")
    (tmp_path / "small.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.warns(UserWarning, match=r"small\.h5 cannot be weights of small"):
        load_backbone("small")


def test_a_file_that_refers_to_itself_takes_no_more_than_its_size(tmp_path: Path) -> None:
    """Sixty mappings that each name the next twice are 2^60 paths; deep ones are deeper than Python's stack."""
    held: Any = tensors()
    for _ in range(60):
        held = {"a": held, "b": held}
    with pytest.raises(WeightsError):
        load_backbone("small", saved(tmp_path / "x.pth", held))
    stretched = {**tensors(), "conv.weight": torch.zeros(1).expand(1 << 40)}
    assert "conv.weight must have shape" in refused(saved(tmp_path / "y.pth", stretched))


def test_a_file_makes_no_room_that_it_does_not_fill(tmp_path: Path) -> None:
    asks = b"\x80\x02}q\x00X\x01\x00\x00\x00ac__builtin__\nbytearray\n\x8a\x05\x00\x00\x00\x00\x02\x85Rs."
    made = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(made, "w") as archive:
        archive.writestr("x/data.pkl", asks)
        archive.writestr("x/version", "3")
    (tmp_path / "x.pth").write_bytes(made.getvalue())
    assert "bytearray" in refused(tmp_path / "x.pth")
    (tmp_path / "y.pth").write_bytes(asks)
    assert "bytearray" in refused(tmp_path / "y.pth")


@pytest.mark.parametrize("form", ["zip", "pickle", "safetensors"])
def test_damaged_files_load_or_are_refused(tmp_path: Path, form: str) -> None:
    made = io.BytesIO()
    torch.save(tensors(), made, _use_new_zipfile_serialization=form == "zip")
    whole = save(tensors()) if form == "safetensors" else made.getvalue()
    own, rng = Small().state_dict(), np.random.default_rng(5)
    for _ in range(60):
        content = bytearray(whole)
        for place in rng.integers(0, len(whole) if rng.random() < 0.5 else min(900, len(whole)), rng.integers(1, 6)):
            content[place] = rng.integers(256)
        path = tmp_path / "x.pth"
        path.write_bytes(content[: rng.integers(1, len(whole))] if rng.random() < 0.3 else content)
        with warnings.catch_warnings(), suppress(WeightsError):
            warnings.simplefilter("ignore")
            weights.fill(Small(), weights.match_tensors(weights.read(path), own, "small"), "small")
