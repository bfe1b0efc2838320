"""Network: uint8 pixels to the maps of the wanted taps, at a precision, by torch or another engine."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from cbirlab.aggregation.fused import Fused, Shared
from cbirlab.extract.engines import TORCH, check_settled
from cbirlab.store import Store

if TYPE_CHECKING:
    from torch import Tensor

    from cbirlab.backbones import Backbone


class Network:
    """A backbone made ready for extraction; the backbone itself stays as it is.

    Parameters
    ----------
    backbone : from `cbirlab.backbones.load_backbone`, on the device where it is to run.
    precision : "float32" or "bfloat16", of weights and maps.
    channels_last : memory layout (B, H, W, C) of torch's, which is how images come and in which convolutions are
        faster.
    engine : "torch", or "openvino" if `cbirlab.extract.settle_engine` gives it for this network.
    store : keeps what an engine makes of the network; the usual one by default.

    Raises
    ------
    NotConverted : the engine cannot carry out the passes of this network.
    ValueError : an engine that is not settled.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        precision: str = "float32",
        channels_last: bool = True,
        engine: str = TORCH,
        store: Store | None = None,
    ) -> None:
        import torch

        self._compiled = None
        if check_settled("Network", engine) == TORCH:
            backbone = backbone.with_numerics(precision=precision, channels_last=channels_last)
        else:
            from cbirlab.extract.compiled import Compiled
            from cbirlab.extract.graph import graph_of

            self._compiled = Compiled(graph_of(backbone, store or Store()), backbone, precision)
        self.backbone = backbone
        mean, std = (torch.tensor(values, device=backbone.device) for values in (backbone.mean, backbone.std))
        self._gain, self._offset = 1 / (255 * std), -mean / std

    def maps(self, pixels: np.ndarray, taps: Sequence[str]) -> dict[str, Tensor]:
        """Maps (B, C, H, W) of `taps` for uint8 pixels (B, H, W, 3): one forward pass."""
        return self.read(pixels, taps, {})[0]

    def reduces(self, tap: str) -> bool:
        """Whether `read` can reduce a tap."""
        return self._compiled is not None and self._compiled.reduces(tap)

    def read(
        self, pixels: np.ndarray, taps: Sequence[str], forms: Mapping[str, Sequence[Fused]]
    ) -> tuple[dict[str, Tensor], dict[str, list[Tensor]]]:
        """Maps of `taps`, and of other taps what poolings make of their reductions: one forward pass.

        Parameters
        ----------
        pixels : uint8 (B, H, W, 3).
        forms : poolings by tap that need no more than reductions (`Fused.reduces`), for taps that `reduces` tells.

        Returns
        -------
        Maps (B, C, H, W) by tap, and values (B, D) of each form by tap.
        """
        import torch

        from cbirlab.backbones.taps import check_batch, fitted, forward

        width = pixels.shape[2]
        with torch.no_grad():
            # Row by row rather than channel by channel: torch is slow at innermost axes of three.
            rows = torch.from_numpy(pixels).to(self.backbone.device).float().flatten(2)
            rows.mul_(self._gain.repeat(width)).add_(self._offset.repeat(width))
            batch = rows.unflatten(2, (width, 3)).permute(0, 3, 1, 2)  # a channels-last view
            if self._compiled is None:
                return forward(self.backbone, batch, taps), {}
            check_batch(self.backbone, batch, [*taps, *forms])
            wanted = {tap: _needs(several) for tap, several in forms.items()}
            maps, reduced = self._compiled.read(fitted(self.backbone, batch), taps, wanted)
            found = {}
            for tap, several in forms.items():
                known = _spoilt(reduced[tap])
                shared = _Reduced(lambda tap=tap: self.maps(pixels, [tap])[tap], known)
                found[tap] = [
                    form.finish(shared, None if form.power is None else known[form.power], None)
                    for form in several
                    if form.finish
                ]
            return maps, found


def _needs(forms: Sequence[Fused]) -> list[str | float]:
    """The reductions that poolings need: those of `Shared`, powers, and the total, which tells if all are numbers."""
    names = [name for form in forms for name in form.needs]
    powers = [form.power for form in forms if form.power is not None]
    return list(dict.fromkeys([*names, *powers, "total", "positions"]))


def _spoilt(known: Mapping[str | float, Tensor]) -> dict[str | float, Tensor]:
    """Reductions, none a number where the total is none: OpenVINO's maxima step over what is not a number."""
    sound = known["total"].isfinite()
    return {name: one if name == "positions" else one.where(sound, math.nan) for name, one in known.items()}


class _Reduced(Shared):
    """What poolings share of a tap whose map stayed in the engine; it is read only if a pooling cannot do without."""

    def __init__(self, read: Callable[[], Tensor], known: Mapping[str | float, Tensor]) -> None:
        vars(self).update({name: values for name, values in known.items() if isinstance(name, str)})
        self._read = read

    @cached_property
    def maps(self) -> Tensor:
        return self._read()
