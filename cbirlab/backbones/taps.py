"""Taps: one forward pass, many named maps."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, nullcontext, suppress
from threading import Lock
from typing import TYPE_CHECKING, Any

from cbirlab.backbones import Backbone, check_tap
from cbirlab.backbones.tap_shapes import grid_of

if TYPE_CHECKING:
    from torch import Tensor


_ONE_AT_A_TIME = Lock()  # hooks belong to the network: a second thread in it would write into the maps of the first


class _Enough(Exception):
    """Raised in a hook to leave the network once the deepest tap that is wanted has been read."""


def forward(backbone: Backbone, batch: Tensor, taps: Sequence[str], *, gradients: bool = False) -> dict[str, Tensor]:
    """Maps (B, C, H, W) at each of `taps` from one pass over `batch`; the network stops at the deepest of them.

    The maps have the backbone's precision. A tap of kind "vector" is a map of one position. Images whose sides the
    network does not take are cut from the top left, or squeezed (`Backbone.multiple`, `fixed_size`).

    Parameters
    ----------
    batch : (B, 3, H, W) float32, normalised (`cbirlab.images.prepare`).
    gradients : keep the graph, so that the parameters that require gradients, and `batch` if it does, can get them.
        A loaded backbone is in evaluation mode and has no such parameters: ask for them by
        ``backbone.module.requires_grad_(True)``. Hand-crafted descriptors have no gradients.

    Raises
    ------
    UnknownName : no such tap.
    WeightsError : the weights do not reach it.
    ValueError : `batch` has another shape or is too small for the network, or no tap is asked for.
    """
    import torch

    check_batch(backbone, batch, taps)
    reads: Any = getattr(backbone.module, "read", None)
    if reads is not None:  # it computes every tap on its own: there is no forward pass that hooks could read
        return reads(batch.to(backbone.device), list(dict.fromkeys(taps)))
    layout = torch.channels_last if backbone.channels_last else torch.contiguous_format
    batch = fitted(backbone, batch).to(backbone.device, getattr(torch, backbone.precision), memory_format=layout)
    outputs = read_outputs(backbone, batch, taps, gradients=gradients)
    return {tap: as_maps(backbone, tap, outputs[tap], batch) for tap in dict.fromkeys(taps)}


def read_outputs(
    backbone: Backbone, batch: Tensor, taps: Sequence[str], *, gradients: bool = False
) -> dict[str, Tensor]:
    """What the modules at `taps` give for images that the network takes as they are, in the layout of each tap.

    Raises
    ------
    ValueError : the layer after a tap changes it in place.
    """
    import torch

    wanted = {tap: entry.path for tap, entry in backbone.taps.items() if tap in taps}
    deepest = list(wanted)[-1]  # hooks of one module run in this order too: the deepest is read last
    maps: dict[str, Tensor] = {}
    versions: dict[str, int] = {}

    def reader(tap: str):
        def read(module, inputs, output) -> None:
            maps[tap], versions[tap] = output, output._version
            if tap == deepest:
                raise _Enough

        return read

    # no_grad rather than inference_mode: only no_grad counts versions, which reveal changes in place.
    numerics = nullcontext() if gradients else torch.no_grad()
    with _ONE_AT_A_TIME, ExitStack() as hooks, numerics, suppress(_Enough):
        for tap, path in wanted.items():
            hooks.callback(backbone.module.get_submodule(path).register_forward_hook(reader(tap)).remove)
        backbone.module(batch)
    _check_untouched(backbone, maps, versions)
    return maps


def fitted(backbone: Backbone, batch: Tensor) -> Tensor:
    """The images (B, 3, H, W), cut or squeezed to a size that the network takes."""
    from torch.nn import functional

    height, width = batch.shape[2:]
    if backbone.fixed_size not in (None, (height, width)):
        return functional.interpolate(batch, backbone.fixed_size, mode="bilinear", antialias=True)
    step = backbone.multiple
    return batch if step == 1 else batch[..., : height // step * step, : width // step * step]


def as_maps(backbone: Backbone, tap: str, output: Tensor, batch: Tensor) -> Tensor:
    """The output of the module at `tap` for `batch`, as maps (B, C, H, W).

    Raises
    ------
    ValueError : it has another form than the tap declares.
    """
    import torch

    entry = backbone.taps[tap]
    layout = torch.channels_last if backbone.channels_last else torch.contiguous_format
    if entry.layout == "BNC" and entry.kind == "vector":
        output = output[:, 0]  # the class token
    elif entry.layout == "BNC":
        patches = output[:, entry.before :].transpose(1, 2)
        grid = grid_of(patches.shape[2], batch.shape[2], batch.shape[3], entry.stride)
        if grid is None:
            raise ValueError(
                f"{backbone.name}: tap {tap!r} gives {patches.shape[2]} tokens, which must be a grid over the "
                f"{batch.shape[2]} x {batch.shape[3]} pixels in steps of {entry.stride}; declare what stands before."
            )
        output = patches.unflatten(2, grid).contiguous(memory_format=layout)
    elif entry.layout == "BHWC" and output.ndim == 4:
        output = output.permute(0, 3, 1, 2).contiguous(memory_format=layout)
    if output.ndim == 2:
        output = output[:, :, None, None]
    if output.ndim != 4:
        raise ValueError(f"{backbone.name}: tap {tap!r} gives {tuple(output.shape)}; declare its layout, as 'BNC'.")
    if entry.kind == "vector" and output.shape[2:] != (1, 1):
        raise ValueError(
            f"{backbone.name}: tap {tap!r} is declared a vector and must have one position per image, got "
            f"{output.shape[2]} x {output.shape[3]}; declare it a map with its stride."
        )
    return output


def _check_untouched(backbone: Backbone, maps: dict[str, Tensor], versions: dict[str, int]) -> None:
    for tap, output in maps.items():
        if output._version != versions[tap]:
            raise ValueError(
                f"{backbone.name}: tap {tap!r} is changed in place by the layer after it; tap that layer instead."
            )


def check_batch(backbone: Backbone, batch: Tensor, taps: Sequence[str]) -> None:
    """Refuse what `forward` refuses."""
    for tap in taps:
        check_tap(backbone, tap)
    if not taps:
        raise ValueError(f"{backbone.name}: taps must name at least one of {', '.join(backbone.taps)}, got none.")
    if batch.ndim != 4 or batch.shape[1] != 3:
        raise ValueError(f"{backbone.name}: batch must be (B, 3, H, W), got {tuple(batch.shape)}.")
    if min(batch.shape[2:]) < backbone.min_side:
        raise ValueError(
            f"{backbone.name}: images must have at least {backbone.min_side} pixels on each side, got "
            f"{batch.shape[2]} x {batch.shape[3]} (height x width)."
        )
