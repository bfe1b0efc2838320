"""Graph: a network with its taps as a graph of OpenVINO, checked against torch once and kept in the store."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import torch

from cbirlab.backbones.running import noise
from cbirlab.backbones.taps import read_outputs
from cbirlab.base.progress import wait_for
from cbirlab.base.text import first_line
from cbirlab.extract.cache_keys import network_facts, paths_of
from cbirlab.extract.engines import openvino
from cbirlab.store import Store, StoreUnwritable
from cbirlab.store.code import code_version

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cbirlab.backbones import Backbone

AGREES = 0.99999
"""Least cosine of an output of the graph with torch's."""

SHORT, MORE = 96, 64
"""Pixels: a graph for pictures of any size is checked with such a short side, and a long one that has so many more."""

PASSING = (OSError, MemoryError, ImportError)
"""Errors that say nothing of a network: what failed by one may work next time, so the store does not remember it."""

_graphs: WeakKeyDictionary[Backbone, Any] = WeakKeyDictionary()
_one_at_a_time = Lock()


class NotConverted(ValueError):
    """OpenVINO cannot carry out the passes of this network; says why, without a full stop."""


def graph_of(backbone: Backbone, store: Store) -> Any:
    """The `openvino.Model` of a network: normalised float32 (1, H, W, 3) to what the module at each tap gives.

    It takes some seconds the first time; then the store has it. It is checked at two shapes of pictures.

    Raises
    ------
    NotConverted : OpenVINO cannot convert it, or the graph gives something else than torch.
    """
    if backbone not in _graphs:
        wait_for(lambda: _make(backbone, store), desc=f"convert {backbone.name} for OpenVINO")
    return _graphs[backbone]


def _make(backbone: Backbone, store: Store) -> None:
    with _one_at_a_time:  # whoever has cancelled and asks again waits for the first conversion, and takes its graph
        if backbone not in _graphs:
            _graphs[backbone] = _known(backbone, store) or _converted(backbone, store)


def _specification(backbone: Backbone) -> dict[str, Any]:
    versions = {"openvino": openvino().get_version(), "torch": torch.__version__}
    own = code_version("extract.graph")
    return {**network_facts(backbone), **versions, "taps": paths_of(backbone), "conversion": own}


def _known(backbone: Backbone, store: Store) -> Any:
    """The graph that the store has, or None.

    Raises
    ------
    NotConverted : the store knows that there is none.
    """
    entry = store.get("graphs", _specification(backbone))
    if entry is None:
        return None
    if "refused" in entry.notes:
        raise NotConverted(entry.notes["refused"])
    return _opened(entry.arrays)


def _converted(backbone: Backbone, store: Store) -> Any:
    """Convert, check and keep a network; what cannot be converted is noted too."""

    def keep(arrays: dict[str, np.ndarray], **notes: str) -> None:
        with suppress(StoreUnwritable):  # kept for speed only
            store.put("graphs", _specification(backbone), arrays, weights=backbone.weights, **notes)

    try:
        graph = _convert(backbone)
        _check(graph, backbone)
        arrays = _arrays(graph)
    except NotConverted as error:
        keep({}, refused=str(error))
        raise
    except PASSING as error:
        raise NotConverted(f"it could not be converted this time ({first_line(error)})") from error
    keep(arrays)
    return _opened(arrays)  # which, unlike the one converted, holds on to nothing of torch's


def _opened(arrays: Mapping[str, np.ndarray]) -> Any:
    ov = openvino()
    return ov.Core().read_model(bytes(arrays["graph"]), ov.Tensor(np.array(arrays["weights"])))


def _arrays(graph: Any) -> dict[str, np.ndarray]:
    """A graph as two arrays of bytes."""
    with TemporaryDirectory(prefix="cbirlab-graph-") as folder:
        paths = {"graph": Path(folder) / "graph.xml", "weights": Path(folder) / "graph.bin"}
        openvino().serialize(graph, *paths.values())
        return {name: np.fromfile(path, np.uint8) for name, path in paths.items()}


def _convert(backbone: Backbone) -> Any:
    ov = openvino()
    height, width = next(_sizes(backbone))
    try:
        with warnings.catch_warnings(), _nothing_in_place(backbone.module):
            warnings.simplefilter("ignore")  # about tracing: what it gets wrong, the check finds
            graph = ov.convert_model(_at_taps(backbone), example_input=noise((height, width))[:1])
        shapes = ov.preprocess.PrePostProcessor(graph)
        shapes.input().tensor().set_layout(ov.Layout("NHWC"))  # as pictures come
        shapes.input().model().set_layout(ov.Layout("NCHW"))
        graph = shapes.build()
        graph.reshape({0: [1, height, width, 3] if backbone.fixed_size else [1, -1, -1, 3]})
    except PASSING:
        raise
    except Exception as error:  # somebody else's network may do anything, and the converter raise anything
        raise NotConverted(f"it does not convert ({first_line(error)})") from error
    return graph


@contextmanager
def _nothing_in_place(network: nn.Module) -> Iterator[None]:
    """Let activations give new maps inside the block: OpenVINO does not follow every change in place to its origin."""
    changed: list[Any] = [part for part in network.modules() if getattr(part, "inplace", False) is True]
    for part in changed:
        part.inplace = False
    try:
        yield
    finally:
        for part in changed:
            part.inplace = True


def _at_taps(backbone: Backbone) -> nn.Module:
    """The network as a module that gives the outputs of all taps."""

    class AtTaps(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = backbone.module

        def forward(self, batch: Tensor) -> tuple[Tensor, ...]:
            found = read_outputs(backbone, batch, list(backbone.taps))
            return tuple(found[tap] for tap in backbone.taps)

    return AtTaps().eval()


def _sizes(backbone: Backbone) -> Iterator[tuple[int, int]]:
    """Sizes (height, width) of pictures that the network takes."""
    if backbone.fixed_size:
        yield backbone.fixed_size
        return
    step = backbone.multiple
    short, long = (-(-(max(backbone.min_side, SHORT) + more) // step) * step for more in (0, MORE))
    yield short, long
    yield long, short


def _check(graph: Any, backbone: Backbone) -> None:
    """Compare the graph with torch, at each tap, on noise."""
    try:
        ready = openvino().Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        for size in _sizes(backbone):
            batch = noise(size)[:1]
            wanted = read_outputs(backbone, batch, list(backbone.taps))
            found = ready({0: batch.permute(0, 2, 3, 1).contiguous().numpy()})
            for place, tap in enumerate(backbone.taps):
                cosine = _cosine(np.asarray(found[place]), wanted[tap].numpy())
                if not cosine >= AGREES:
                    raise NotConverted(
                        f"at tap {tap}, a picture of {size[0]} x {size[1]} does not give what torch gives"
                    )
    except (NotConverted, *PASSING):
        raise
    except Exception as error:
        raise NotConverted(f"its graph does not run ({first_line(error)})") from error


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    """Cosine of two arrays of the same shape; 1 if both are zero, 0 if their shapes differ."""
    if one.shape != other.shape:
        return 0.0
    a, b = one.ravel().astype(np.float64), other.ravel().astype(np.float64)
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths else float(a.any() == b.any())
