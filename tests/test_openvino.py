"""OpenVINO under the taps: the descriptors are torch's, it is settled before anything is hashed, and torch stays."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import tomllib
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from cbirlab import compare
from cbirlab.aggregation import Aggregation
from cbirlab.aggregation.poolings import gem
from cbirlab.backbones import BACKBONES, Backbone, Tap, add_module, load_backbone
from cbirlab.base.progress import Cancelled, listening, wait_for
from cbirlab.extract import Network, compiled, engines, extract, graph, settle_engine, settling
from cbirlab.extract.graph import NotConverted
from cbirlab.extract.pooling import arrays_of, pool, reducing
from cbirlab.pipeline import Recipe
from cbirlab.study.choices import differences

NETWORKS = ["toynet", "mobilenet_v2", "squeezenet1_1", "deit_tiny", "efficientnet_lite0"]
SPECS = [Aggregation.parse(name) for name in ("mac", "spoc", "gem", "gem(p=2)")]
"""What the graph computes at a map."""


@pytest.fixture(scope="module")
def toynet() -> Backbone:
    return load_backbone("toynet", "random")


@pytest.fixture(scope="module")
def ready(toynet, warm) -> Network:
    return Network(toynet, engine="openvino", store=warm)


def pictures(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    one, other = (np.asarray(rows, np.float64).reshape(len(rows), -1) for rows in (one, other))
    return (one * other).sum(1) / (np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1))


# the maps and the descriptors


@pytest.mark.parametrize("name", NETWORKS)
def test_maps_are_torchs_at_every_tap_for_pictures_of_any_shape(name, warm):
    backbone = load_backbone(name, "random")
    taps = list(backbone.taps)
    both = [Network(backbone), Network(backbone, engine="openvino", store=warm)]
    for shape in ((2, 96, 128), (1, 150, 97)):
        found, wanted = (network.maps(pictures(*shape), taps) for network in reversed(both))
        assert list(found) == taps
        for tap in taps:
            assert found[tap].shape == wanted[tap].shape
            assert cosines(found[tap].numpy(), wanted[tap].numpy()).min() > 0.99999, tap


def read(network: Network, pixels: np.ndarray, tap: str, specs: list[Aggregation]) -> dict[str, np.ndarray]:
    forms = reducing(specs, {})
    maps, values = network.read(pixels, [], {tap: [*forms.values()]})
    assert not maps
    return arrays_of(dict(zip(forms, values[tap], strict=True)))


def test_reductions_in_the_graph_are_the_poolings_of_the_map(ready, monkeypatch):
    """Before and after a shape has a graph of its own."""
    monkeypatch.setattr(compiled, "OFTEN", 3)
    for count in (3, 5):
        pixels = pictures(count, 70, 90)
        for tap in ("stem", "layer4"):
            found, wanted = read(ready, pixels, tap, SPECS), pool(ready.maps(pixels, [tap])[tap].contiguous(), SPECS)
            for key, values in wanted.items():
                np.testing.assert_allclose(found[key], values, rtol=2e-5, atol=1e-6)


def test_values_whose_powers_might_overflow_are_pooled_from_the_map(ready, monkeypatch):
    asked = []
    original = Network.maps
    monkeypatch.setattr(gem, "SAFE", 1e-9)
    monkeypatch.setattr(Network, "maps", lambda self, *given: asked.append(given[1]) or original(self, *given))
    pixels = pictures(2, 70, 90)
    found = read(ready, pixels, "layer4", [Aggregation.parse("gem")])["gem(p=3)"]
    assert asked == [["layer4"]]
    np.testing.assert_allclose(
        found, Aggregation.parse("gem").apply(ready.maps(pixels, ["layer4"])["layer4"]), rtol=1e-5
    )


def test_only_poolings_that_need_nothing_but_reductions_are_left_to_the_graph():
    parse = Aggregation.parse
    assert [*reducing(SPECS, {})] == [spec.key for spec in SPECS]
    for more in ("crow", "rmac", "gem(p=2.5)", "spoc(centre_prior=True)", "crow_spatial > mac", "vlad(k=4)"):
        assert reducing([*SPECS, parse(more)], {}) == {}, more
    assert reducing([parse("mac")], {"mac": "something learned"}) == {}


def test_a_dataset_has_the_descriptors_of_torch_and_keys_of_its_own(things, toynet, store):
    options = {"taps": ["stem", "layer4", "logits"], "aggregations": [*SPECS, Aggregation.parse("crow")]}
    torchs, found = (
        extract(things, toynet, engine=engine, store=store, progress=False, **options)
        for engine in ("torch", "openvino")
    )
    assert found.computed_images == torchs.computed_images == 64
    for cell in torchs:
        for part, rows in torchs[cell].items():
            np.testing.assert_allclose(found[cell][part], rows, rtol=1e-3, atol=1e-5)
            assert found.keys[cell][part] != torchs.keys[cell][part]
    again = extract(things, toynet, engine="openvino", store=store, progress=False, **options)
    assert again.computed_images == 0


def test_a_picture_that_cannot_be_read_is_a_row_of_zeros(things, toynet, store, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(things.images[0].read_bytes()[:200])
    data = replace(things, images=(broken, *things.images[1:9]), queries=(), labels=(), instances=(), train=())
    with pytest.warns(UserWarning, match=r"broken\.png"):
        found = extract(
            data, toynet, taps=["layer4"], aggregations=SPECS, engine="openvino", store=store, progress=False
        )
    rows = found["layer4", "mac"]["images"]
    assert not rows[0].any()
    assert rows[1:].any(axis=1).all()


def test_a_table_has_the_numbers_of_torch_and_says_what_was_used(things, store):
    options = {"weights": "random", "taps": ["layer3", "layer4"], "aggregations": "gem", "progress": False}
    torchs, found = (compare(things, store=store, engine=engine, **options) for engine in ("torch", "openvino"))
    np.testing.assert_allclose(found["map"], torchs["map"], atol=1e-3)
    assert {*found["numerics"]} == {"openvino, float32"}
    assert {*torchs["numerics"]} == {"torch, float32"}
    assert [json.loads(text).get("engine") for text in found["recipe"]] == ["openvino"] * len(found)
    assert not any("engine" in json.loads(text) for text in torchs["recipe"])


def test_bfloat16_changes_the_rows_a_little(toynet, store):
    if not engines.computes_in_bfloat16():
        pytest.skip("this processor has no bfloat16")
    pixels = pictures(2, 96, 128)
    rows = [
        read(Network(toynet, engine="openvino", precision=precision, store=store), pixels, "layer4", SPECS)["gem(p=3)"]
        for precision in ("float32", "bfloat16")
    ]
    assert 1e-7 < 1 - cosines(*rows).min() < 1e-2


def test_memory_does_not_grow_with_the_number_of_shapes(ready, monkeypatch):
    monkeypatch.setattr(compiled, "OFTEN", 0)
    for height in range(64, 64 + 2 * compiled.SHAPES):
        ready.maps(pictures(1, height, 80), ["stem"])
    assert len(ready._compiled._queues._values) == compiled.SHAPES


# what is settled


def test_auto_takes_openvino_for_many_pictures_where_it_is_installed(things, toynet, store, monkeypatch):
    def settled(asked: str, **options) -> str:
        return settle_engine(asked, toynet, things, store=store, **options)

    assert settled("auto") == settled("torch") == "torch"
    monkeypatch.setattr(settling, "WORTH", 64)
    assert (settled("auto"), settled("openvino"), settled("torch")) == ("openvino", "openvino", "torch")
    monkeypatch.setattr(settling, "installed", lambda: False)
    assert settled("auto") == "torch"
    with pytest.raises(
        ValueError, match=r"engine 'openvino' needs the package openvino, 2026.1 or newer.*cbirlab\[openvino\]"
    ):
        settled("openvino")


def test_a_saved_recipe_of_before_means_torch_and_a_new_one_what_was_used(things, toynet, store):
    plain = Recipe(dataset="things")
    assert plain.engine == "auto"
    assert Recipe.from_json(plain.to_json()) == plain
    torchs = replace(plain, engine="torch")
    assert "engine" not in json.loads(torchs.to_json())
    assert Recipe.from_json(torchs.to_json()).engine == "torch"
    assert plain.resolved(things, toynet, store).engine == "torch"
    assert replace(plain, engine="openvino").resolved(things, toynet, store).engine == "openvino"


class Branching(nn.Module):
    """Looks at its values to decide what to do: its trace holds for one picture only."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.turned = nn.Conv2d(3, 4, 3, padding=1), nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found = self.first(images).relu()
        return self.turned(found.flip(1) if images.shape[2] > images.shape[3] else found)


class Refusing(nn.Module):
    """Has no like in OpenVINO."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(torch.linalg.eigh(images @ images.transpose(2, 3)).eigenvectors[..., :8])


@pytest.mark.parametrize(
    ("module", "tap", "reason"),
    [
        (Branching(), Tap("turned", 4, 1), "a picture of 160 x 96 does not give what torch gives"),
        (Refusing(), Tap("last", 3, 1), "it does not convert"),
    ],
)
def test_a_network_that_openvino_does_not_run_stays_with_torch_and_says_so_once(
    things, toynet, store, module, tap, reason, monkeypatch
):
    backbone = replace(toynet, name="own", module=module.eval(), taps={"last": tap}, digest=reason)
    with pytest.warns(UserWarning, match=f"own: torch carries out the passes, not OpenVINO: .*{reason}"):
        assert settle_engine("openvino", backbone, things, store=store) == "torch"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert settle_engine("openvino", backbone, things, store=store) == "torch"
    other = replace(backbone)  # as in another process: the store remembers
    monkeypatch.setattr(graph, "_convert", None)
    with pytest.warns(UserWarning, match=reason):
        assert settle_engine("openvino", other, things, store=store) == "torch"


@pytest.mark.parametrize(
    ("change", "precision", "reason"),
    [
        ({"device": torch.device("meta")}, "float32", "it is on meta"),
        ({"precision": "bfloat16"}, "bfloat16", "its weights are rounded to bfloat16"),
        ({}, "bfloat16", "this processor has no instructions for bfloat16"),
    ],
)
def test_where_openvino_is_not_at_home_torch_stays_and_auto_says_nothing(
    things, toynet, store, monkeypatch, change, precision, reason
):
    monkeypatch.setattr(settling, "WORTH", 1)
    monkeypatch.setattr(settling, "computes_in_bfloat16", lambda: False)
    backbone = replace(toynet, **change)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert settle_engine("auto", backbone, things, precision=precision, store=store) == "torch"
    with pytest.warns(UserWarning, match=reason):
        assert settle_engine("openvino", backbone, things, precision=precision, store=store) == "torch"


def test_descriptors_without_a_network_stay_with_torch(things, store):
    backbone = load_backbone("handcrafted")
    with pytest.warns(UserWarning, match="it has no forward pass"):
        assert settle_engine("openvino", backbone, things, store=store) == "torch"


# what is kept, and what is not


def test_the_graph_is_converted_once_and_kept_in_the_store(store, monkeypatch):
    graph.graph_of(load_backbone("toynet", "random"), store)
    (entry,) = store.entries()
    assert (entry.kind, entry.notes["weights"]) == ("graphs", "random")
    assert entry.size_bytes > 1e5
    monkeypatch.setattr(graph, "_convert", None)
    other = load_backbone("toynet", "random")
    assert Network(other, engine="openvino", store=store).maps(pictures(1, 64, 64), ["stem"])
    assert store.prune(keep_bytes=0) >= entry.size_bytes
    assert store.entries() == []


def test_a_damaged_graph_is_converted_again(store):
    graph.graph_of(load_backbone("toynet", "random"), store)
    file = next((store.path / "graphs").rglob("weights.npy"))
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    store._verified.clear()
    with pytest.warns(UserWarning, match="is damaged and will be rebuilt"):
        graph.graph_of(load_backbone("toynet", "random"), store)


def test_a_store_that_cannot_be_written_to_is_no_obstacle(tmp_path):
    (tmp_path / "file").write_text("")
    from cbirlab.store import Store

    assert graph.graph_of(load_backbone("toynet", "random"), Store(tmp_path / "file" / "store"))


def test_the_listener_is_free_at_once_while_a_network_is_converted():
    begun, go_on, ended = threading.Event(), threading.Event(), []

    def work() -> None:
        begun.set()
        go_on.wait(30)
        ended.append(True)

    def listener(name: str, done: int, total: int) -> None:
        if begun.is_set():
            raise Cancelled

    started = time.monotonic()
    with listening(listener), pytest.raises(Cancelled):
        wait_for(work, desc="convert")
    assert not ended
    assert time.monotonic() - started < 10
    go_on.set()
    with listening(lambda *_: None):
        assert wait_for(lambda: 7, desc="convert") == 7
        with pytest.raises(TimeoutError, match="its own"):
            wait_for(_late, desc="convert")


def _late() -> None:
    raise TimeoutError("its own")


def test_a_cancelled_conversion_leaves_nothing_and_the_next_one_works(store, monkeypatch):
    backbone = load_backbone("toynet", "random")
    original, go_on = graph._convert, threading.Event()
    monkeypatch.setattr(graph, "_convert", lambda one: go_on.wait(30) and original(one))

    def listener(*_: object) -> None:
        raise Cancelled

    with listening(listener), pytest.raises(Cancelled):
        graph.graph_of(backbone, store)
    assert backbone not in graph._graphs
    go_on.set()
    assert graph.graph_of(backbone, store)


def test_nothing_is_told_to_anyone_about_its_use():
    code = "from cbirlab.extract.engines import openvino; import sys; openvino().convert_model"
    code += "; print([name for name in sys.modules if name.split('.')[0] == 'openvino_telemetry'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"


def test_threads_get_the_rows_of_their_own_pictures(ready):
    """As the threads of a cluster's worker, which share a network."""
    asked = [np.full((4, 64, 64, 3), value, np.uint8) for value in (0, 80, 160, 240)]
    wanted = [ready.maps(pixels, ["stem"])["stem"].numpy() for pixels in asked]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(8):
            found = pool.map(lambda pixels: ready.maps(pixels, ["stem"])["stem"].numpy(), asked)
            for one, other in zip(found, wanted, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


# what a second reader found


class TwoPlaces(nn.Module):
    """Two places of the same width."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.other(self.one(images).relu()).relu()


def test_a_tap_that_was_declared_elsewhere_has_a_graph_and_rows_of_its_own(things, store):
    torch.manual_seed(0)
    module, found = TwoPlaces().eval(), []
    options = {"taps": ["tap"], "aggregations": SPECS[:1], "parts": ["images"], "progress": False}
    try:
        for path in ("one", "other"):
            add_module("two-places", module, taps={"tap": path}, image_size=64, replace="two-places" in BACKBONES)
            backbone = load_backbone("two-places")
            rows = [
                extract(things, backbone, engine=engine, store=store, **options)["tap", "mac"]["images"]
                for engine in ("torch", "openvino")
            ]
            np.testing.assert_allclose(*rows, rtol=1e-4, atol=1e-6)
            found.append(rows[0])
    finally:
        BACKBONES.remove("two-places")
    assert not np.allclose(*found)


def test_a_map_without_positions_is_one_position(toynet, store):
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    backbone = replace(toynet, name="own", module=module, taps={"flat": Tap("2", 8, 1)}, digest="flat")
    pixels = pictures(2, 64, 80)
    found, wanted = (Network(backbone, engine=engine, store=store) for engine in ("openvino", "torch"))
    assert not found.reduces("flat")
    np.testing.assert_allclose(found.maps(pixels, ["flat"])["flat"], wanted.maps(pixels, ["flat"])["flat"], rtol=1e-4)


def test_what_is_not_a_number_is_refused_by_every_pooling(toynet, store):
    """A network that is none on noise, but on black pictures."""

    class Roots(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.abs() * (images.mean() + 1).sqrt()

    module = nn.Sequential(Roots(), nn.Identity()).eval()
    backbone = replace(toynet, name="own", module=module, taps={"last": Tap("1", 3, 1)}, digest="roots")
    network = Network(backbone, engine="openvino", store=store)
    for spec in SPECS:
        with pytest.raises(FloatingPointError, match="a pooled value is not finite"):
            read(network, np.zeros((1, 64, 64, 3), np.uint8), "last", [spec])


@pytest.mark.parametrize("engine", ["auto", "OpenVINO", "onnx"])
def test_an_engine_that_is_not_settled_is_refused(things, toynet, store, engine):
    for door in (
        lambda: Network(toynet, engine=engine),
        lambda: extract(things, toynet, taps=["stem"], aggregations=SPECS, engine=engine, store=store),
    ):
        with pytest.raises(ValueError, match=r"engine must be 'torch' or 'openvino', got .*settle_engine"):
            door()


def test_a_folder_of_that_name_and_an_old_version_are_not_openvino(tmp_path, monkeypatch):
    (tmp_path / "openvino").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    for found, expected in (("2026.1.0", True), ("2025.4.1", False), ("unknown", False)):
        monkeypatch.setattr(engines, "version", lambda name, found=found: found)
        assert engines.installed() is expected

    def missing(name: str) -> str:
        raise engines.PackageNotFoundError(name)

    monkeypatch.setattr(engines, "version", missing)
    assert not engines.installed()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_package_that_cannot_be_imported_is_no_obstacle(things, toynet, store, monkeypatch, precision):
    """Whatever asks for it first: the processor's instructions, or the graph."""

    def broken() -> None:
        raise ImportError("libopenvino.so: cannot open shared object file")

    monkeypatch.setattr(engines, "openvino", broken)
    monkeypatch.setattr(graph, "openvino", broken)
    with pytest.warns(UserWarning, match="it cannot be imported .*libopenvino"):
        assert settle_engine("openvino", replace(toynet), things, precision=precision, store=store) == "torch"


def test_the_oldest_version_is_that_of_the_package():
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["optional-dependencies"]["openvino"] == [f"openvino>={'.'.join(map(str, engines.LEAST))}"]


def test_why_does_not_tell_of_an_engine_that_was_not_used(things, store):
    recipe = Recipe(dataset="things", backbone="handcrafted", tap="hog", engine="torch")
    with pytest.warns(UserWarning, match="it has no forward pass"):
        frame = differences(recipe, choices=["numerics"], dataset=things, store=store, progress=False)
    notes = dict(zip(frame["to"], frame["note"], strict=True))
    assert "openvino does not carry out the passes of handcrafted here" in notes["openvino, float32"]


def test_a_failure_that_says_nothing_of_the_network_is_not_remembered(toynet, store, monkeypatch):
    backbone = replace(toynet)

    def full(one: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as without_room:
        without_room.setattr(graph, "_arrays", full)
        with pytest.raises(NotConverted, match=r"could not be converted this time \(.*No space left"):
            graph.graph_of(backbone, store)
    assert store.entries() == []
    assert graph.graph_of(backbone, store)


def test_large_pictures_have_several_threads_each(toynet, store, monkeypatch):
    """One a batch: two threads work on it, where two small pictures have one each."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    network = Network(toynet, engine="openvino", store=store)
    network.maps(pictures(1, 768, 1024), ["stem"])
    network.maps(pictures(1, 64, 64), ["stem"])
    streams = [
        queue[0].get_compiled_model().get_property("NUM_STREAMS")
        for queue in network._compiled._queues._values.values()
    ]
    assert [int(one) for one in streams] == [1, 2]
