"""Compiled: the graph of a network, compiled for the shapes of pictures that come, and run picture by picture.

A graph for one shape is faster than one for all shapes, but to compile it takes as long as ten to forty pictures gain.
So a shape has a graph of its own once it has been seen that often. Pictures go one by one, several at a time: one needs
less memory than a batch, and no thread waits for another. Of pictures so large that a batch has fewer than there are
threads, several threads work on each.

Maxima, sums and sums of powers of a tap are computed in the graph if nothing else is wanted there: each is one more
operation while the map is in the cache, where the map itself would have to be brought into another layout and copied.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from cbirlab.aggregation.fused import FLOOR
from cbirlab.backbones.taps import as_maps
from cbirlab.base.recent import Recent
from cbirlab.extract.batches import BATCH_PIXELS
from cbirlab.extract.engines import openvino

if TYPE_CHECKING:
    from torch import Tensor

    from cbirlab.backbones import Backbone

OFTEN = 16
"""Pictures of one shape after which the shape has a graph of its own."""

SHAPES, MOST_BYTES = 4, 1 << 29
"""Compiled graphs that are kept, and bytes of their weights, so that memory does not grow with the number of shapes."""

Reduction = str | float
"""What is reduced over the positions of a tap: "top", "total", the sum of this power, or "positions", their number."""

HINTS = {"float32": "f32", "bfloat16": "bf16"}


class Compiled:
    """Runs the graph of a network.

    Parameters
    ----------
    graph : from `cbirlab.extract.graph.graph_of`.
    backbone : the network.
    precision : "float32" or "bfloat16".
    """

    def __init__(self, graph: Any, backbone: Backbone, precision: str) -> None:
        self._graph, self._backbone, self._hint = graph, backbone, HINTS[precision]
        self._core = openvino().Core()
        self._one_at_a_time = Lock()
        self._threads = max(1, torch.get_num_threads())
        self._seen: Counter[tuple[Any, ...]] = Counter()
        size_bytes = sum(tensor.nbytes for tensor in backbone.module.state_dict().values())
        self._queues = Recent(SHAPES, most_bytes=MOST_BYTES, size=lambda queue: size_bytes)

    def reduces(self, tap: str) -> bool:
        """Whether the graph can reduce a tap: a map whose channels are its second axis."""
        entry, place = self._backbone.taps[tap], list(self._backbone.taps).index(tap)
        return entry.layout == "BCHW" and entry.kind == "map" and len(self._graph.output(place).partial_shape) == 4

    def read(
        self, batch: Tensor, taps: Sequence[str], reduced: Mapping[str, Sequence[Reduction]]
    ) -> tuple[dict[str, Tensor], dict[str, dict[Reduction, Tensor]]]:
        """Maps (B, C, H, W) of `taps`, and reductions (B, C) of others, by tap and name; "positions" is (B, 1).

        Parameters
        ----------
        batch : (B, 3, H, W) float32, normalised, of a size that the network takes.
        reduced : only taps that the graph reduces.
        """
        outputs = [*((tap, None) for tap in taps), *((tap, one) for tap, several in reduced.items() for one in several)]
        pictures = batch.permute(0, 2, 3, 1).contiguous().numpy()
        found = [torch.from_numpy(values) for values in self._run(tuple(outputs), pictures)]
        maps, sums = {}, {tap: {} for tap in reduced}
        for (tap, reduction), values in zip(outputs, found, strict=True):
            if reduction is not None:
                sums[tap][reduction] = values
            elif self.reduces(tap):  # as `_given` has turned it
                maps[tap] = values.permute(0, 3, 1, 2)
            else:
                maps[tap] = as_maps(self._backbone, tap, values, batch)
        return maps, sums

    def _run(self, outputs: tuple[tuple[str, Reduction | None], ...], pictures: np.ndarray) -> list[np.ndarray]:
        """Each output for all pictures, side by side."""
        shape = pictures.shape[1:]
        at_once = min(self._threads, max(1, BATCH_PIXELS // (shape[0] * shape[1])))
        self._seen[shape] += len(pictures)
        own = shape if self._seen[shape] > OFTEN or self._backbone.fixed_size else None
        queue = self._queues.get((outputs, own, at_once), lambda: self._compile(outputs, own, at_once))
        whole: list[np.ndarray] = [np.empty(0, np.float32)] * len(outputs)

        def keep(request: Any, row: int) -> None:  # the queue calls it for one request after the other
            for place, values in enumerate(whole):
                found = request.get_output_tensor(place).data
                if not len(values):
                    values = whole[place] = np.empty((len(pictures), *found.shape[1:]), np.float32)
                values[row] = found[0]

        with self._one_at_a_time:  # threads of a worker share a network, and a queue has one callback
            queue.set_callback(keep)
            try:
                for row in range(len(pictures)):
                    queue.start_async({0: pictures[row : row + 1]}, row, share_inputs=True)
            finally:  # also when it is interrupted: the requests read the memory of these pictures
                queue.wait_all()
        return whole

    def _compile(
        self, outputs: Sequence[tuple[str, Reduction | None]], shape: tuple[int, ...] | None, at_once: int
    ) -> Any:
        """A queue of a graph with these outputs for so many pictures at once; of any shape without `shape`."""
        ov = openvino()
        graph = self._graph.clone()
        places = {tap: graph.output(place).node.input_value(0) for place, tap in enumerate(self._backbone.taps)}
        wanted = [self._given(tap, places[tap]) if one is None else _reduced(places[tap], one) for tap, one in outputs]
        graph = ov.Model([ov.opset13.result(one) for one in wanted], graph.get_parameters())
        if shape:
            graph.reshape({0: [1, *shape]})
        options = {"INFERENCE_PRECISION_HINT": self._hint, "NUM_STREAMS": at_once}
        options |= {"INFERENCE_NUM_THREADS": self._threads, "ENABLE_CPU_PINNING": False}
        ready = self._core.compile_model(graph, "CPU", options)
        return ov.AsyncInferQueue(ready, at_once)

    def _given(self, tap: str, place: Any) -> Any:
        """A tap as the graph gives it: maps in the order in which poolings walk over them."""
        return openvino().opset13.transpose(place, np.array([0, 2, 3, 1])) if self.reduces(tap) else place


def _reduced(place: Any, reduction: Reduction) -> Any:
    ops, positions = openvino().opset13, np.array([2, 3])
    if reduction == "top":
        return ops.reduce_max(place, positions)
    if reduction == "total":
        return ops.reduce_sum(place, positions)
    if reduction == "positions":
        sides = ops.gather(ops.shape_of(place), positions, np.array(0))
        return ops.convert(ops.reshape(ops.reduce_prod(sides, np.array(0)), np.array([1, 1]), False), "f32")
    return ops.reduce_sum(ops.power(ops.maximum(place, np.float32(FLOOR)), np.float32(reduction)), positions)
