"""Networks that move: the part from a tap on, cut off so that kept maps can enter it, and its parameters."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx, nn
from torch.nn.functional import normalize

from cbirlab.adaptation.training import ALL, Training, moving
from cbirlab.aggregation.fused import FLOOR
from cbirlab.backbones import tap_before, taps
from cbirlab.backbones.weights import needed

if TYPE_CHECKING:
    from cbirlab.backbones import Backbone


class Moving(nn.Module):
    """A copy of a network of which a part learns, up to the descriptor: L2-normalised, in batches of one shape.

    Batch normalisation keeps its statistics: it stays in evaluation mode.

    Parameters
    ----------
    backbone : where it starts; it is not changed.
    training : resolved.

    Attributes
    ----------
    entrance : the tap whose maps enter the part that moves; None if pictures do.
    p : the exponent of GeM, which learns too; None for other poolings.
    """

    p: nn.Parameter | None

    def __init__(self, backbone: Backbone, training: Training) -> None:
        super().__init__()
        module = copy.deepcopy(backbone.module).requires_grad_(False).eval()
        module = module.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.backbone = replace(backbone, module=module, channels_last=True)
        self.module, self.tap, self.pooling = module, str(training.tap), training.aggregation
        start = None if training.moves == ALL else tap_before(backbone, training.moves)
        end = backbone.taps[self.tap].path
        moves = moving(backbone, training.moves, self.tap)
        self.moving = {name: one for name, one in module.named_parameters() if name in moves}
        for one in self.moving.values():
            one.requires_grad_(True)
        flat = start is not None and {backbone.taps[name].layout for name in (start, self.tap)} == {"BCHW"}
        self.tail = cut(module, backbone.taps[str(start)].path, end) if flat else None
        self.entrance = start if self.tail is not None else None
        learns_p = training.aggregation.name == "gem" and backbone.taps[self.tap].kind == "map"
        start_p = torch.tensor(float(training.aggregation.parameters.get("p", 3)), device=backbone.device)
        self.register_parameter("p", nn.Parameter(start_p) if learns_p else None)
        self.in_half = training.precision == "bfloat16"

    @property
    def width(self) -> int:
        """D of its descriptors."""
        return self.backbone.taps[self.tap].channels

    def enter(self, pictures: Tensor) -> Tensor:
        """What enters the part that moves: maps of the entrance in bfloat16, or the pictures (B, 3, H, W)."""
        if self.entrance is None:
            return pictures
        with torch.no_grad(), self._numerics(True):
            return taps.forward(self.backbone, pictures, [self.entrance])[self.entrance].bfloat16()

    def forward(self, entering: Tensor) -> Tensor:
        """Descriptors (B, D) of what `enter` gave."""
        with self._numerics(self.in_half):
            if self.tail is not None:
                maps = self.tail(entering.float().contiguous(memory_format=torch.channels_last))
            else:
                maps = taps.forward(self.backbone, entering, [self.tap], gradients=True)[self.tap]
        return normalize(self._pooled(maps.float()))

    def _numerics(self, half: bool) -> Any:
        return torch.autocast(self.backbone.device.type, torch.bfloat16) if half else nullcontext()

    def _pooled(self, maps: Tensor) -> Tensor:
        if maps.ndim == 2 or maps.shape[2:] == (1, 1):  # a fully connected layer
            return maps.flatten(1)
        if self.p is None:
            return self.pooling.apply(maps)
        return maps.clamp(min=FLOOR).pow(self.p).mean((2, 3)).pow(1 / self.p)

    def learned(self) -> dict[str, Tensor]:
        """The parameters that learn, by name, "p" among them."""
        return {**self.moving, **({} if self.p is None else {"p": self.p})}

    def weights(self) -> dict[str, Tensor]:
        """The tensors of the network that its taps need, as a plain state dict."""
        kept: set[str] = set()
        for entry in self.backbone.taps.values():
            kept |= needed(self.module, entry.path)
        if self.backbone.classifier:
            kept |= {f"{self.backbone.classifier}.{name}" for name in ("weight", "bias")}
        state = self.module.state_dict()
        return {name: state[name].detach().cpu().contiguous() for name in state if name in kept}


class _AtTaps(fx.Tracer):
    """Traces a network and enters neither of two of its parts."""

    def __init__(self, whole: Sequence[str]) -> None:
        super().__init__()
        self.whole = whole

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return module_qualified_name in self.whole or super().is_leaf_module(m, module_qualified_name)


def cut(module: nn.Module, start: str, end: str) -> nn.Module | None:
    """The part of a network between the output at path `start` and that at path `end`, which shares its parameters.

    None if the network cannot be traced (its code asks for shapes or values), or if anything else than that output
    enters the part, such as a shortcut around it.
    """
    try:
        graph = _AtTaps((start, end)).trace(module)
    except Exception:  # tracing runs the network's own code, which may raise anything
        return None
    calls = {path: [node for node in graph.nodes if node.target == path] for path in (start, end)}
    if any(len(nodes) != 1 for nodes in calls.values()):
        return None
    (first,), (last,) = calls[start], calls[end]
    wanted, open_ends = set(), [last]
    while open_ends:
        node = open_ends.pop()
        if node in wanted or node is first:
            continue
        if node.op == "placeholder":
            return None
        wanted.add(node)
        open_ends += node.all_input_nodes
    part = fx.Graph()
    made = {first: part.placeholder("maps")}
    for node in graph.nodes:
        if node in wanted:
            made[node] = part.node_copy(node, lambda one: made[one])
    part.output(made[last])
    return fx.GraphModule(module, part)
