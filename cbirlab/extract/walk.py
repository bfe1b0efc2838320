"""Walk: what several poolings need of the same maps, computed together while the maps lie in the processor's cache.

The map of one image at the first tap of MobileNetV2 takes 7 MB: fetched anew for every pooling, that costs more than
the pooling. So images are taken a few at a time, and what poolings share is computed once:

    over positions    the maximum (MAC), the sum (SPoC), the sum of powers (GeM), how many are not zero (CroW, CAM)
    over channels     S, by which CroW, SCDA and CAM weigh positions

All weighted sums (SPoC with its prior, CroW, SCDA's mean, PWA, CAM) are rows of one matrix product, weights (n, HW)
times map (HW, C). Values are those of `cbirlab.aggregation` to float precision (tested).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.nn.functional import normalize

from cbirlab.aggregation import GEM_FLOOR
from cbirlab.aggregation.cam import class_maps
from cbirlab.aggregation.pwa import proposal_channels
from cbirlab.aggregation.rmac import added, region_maxima
from cbirlab.attention import crow_spatial, gaussian, scda_mask
from cbirlab.attention.weights import TINY

if TYPE_CHECKING:
    from torch import Tensor

    from cbirlab.aggregation import Aggregation

CHUNK = 2**22  # elements of the images that are taken together
BLOCK = 2**18  # elements of which sums are taken at a time: with a copy they fit into a core's own cache
PARTS = 4  # of an image that is multiplied alone
SAFE = 1e9  # its cube is far from the largest float32
LANES = 32  # channels of which torch takes the maximum at once
POWERS = (2.0, 3.0)  # of GeM, that torch takes in one pass


Sums = Mapping[str, "Tensor"]
"""What poolings share of a few images: "top", "total", "powers" and "used" are (b, C), "across" is (b, 1, H, W)."""

NEEDED = {
    "mac": ("top",),
    "spoc": ("total",),
    "gem": ("top", "powers"),
    "crow": ("used", "across"),
    "scda": ("across",),
    "pwa": ("top",),
    "cam": ("used", "across"),
}


class Weighted(NamedTuple):
    """A pooling by weighted sums.

    Attributes
    ----------
    weights : of maps, `Sums` and parameters: (b, HW, n).
    finish : makes vectors (b, D) of the sums (b, n, C), the weights, the maps, `Sums` and parameters.
    """

    weights: Callable[..., Tensor]
    finish: Callable[..., Tensor]


def walkable(spec: Aggregation) -> bool:
    """Whether `walk` knows this pooling with these parameters."""
    if spec.name == "gem":
        return spec.parameters["p"] in POWERS
    return spec.name in ("mac", "spoc", "rmac", *WEIGHTED) and not spec.parameters.get("learned", False)


def walk(maps: Tensor, specs: Sequence[Aggregation]) -> list[Tensor]:
    """Values (B, D) of each of `specs`, all of them `walkable` and at most one of them GeM."""
    images = max(1, CHUNK // maps[0].numel()) if maps.device.type == "cpu" else len(maps)
    chunks = [_chunk(chunk.float(), specs) for chunk in maps.split(images)]
    return [values[0] if len(values) == 1 else torch.cat(values) for values in zip(*chunks, strict=True)]


def _chunk(maps: Tensor, specs: Sequence[Aggregation]) -> list[Tensor]:
    weighted = [spec for spec in specs if spec.name in WEIGHTED and spec.parameters.get("centre_prior", True)]
    plain = [spec for spec in specs if spec not in weighted]
    values = {}
    sums: dict[str, Tensor] = {}
    for spec in plain:
        if spec.name == "rmac":
            maxima = region_maxima(maps, spec.parameters["levels"])
            values[spec.key] = added(maxima)
            sums["top"] = maxima.amax(1)  # the regions cover the map
    power = next((spec.parameters["p"] for spec in plain if spec.name == "gem"), 1.0)
    needed = {name for spec in specs for name in NEEDED.get(spec.name, ()) if spec in plain or name != "total"}
    sums |= _sums(maps, needed - {*sums}, power)
    values |= {spec.key: _plain(maps, sums, spec) for spec in plain if spec.key not in values}
    values |= zip([spec.key for spec in weighted], _weighted_sums(maps, sums, weighted), strict=True)
    return [values[spec.key] for spec in specs]


def _plain(maps: Tensor, sums: Sums, spec: Aggregation) -> Tensor:
    if spec.name == "mac":
        return sums["top"]
    positions = maps[0, 0].numel()
    if spec.name == "spoc":
        return sums["total"] / positions
    if float(sums["top"].amax()) >= SAFE:
        return spec.apply(maps)
    return (sums["powers"] / positions).pow(1 / spec.parameters["p"])


def _sums(maps: Tensor, names: Collection[str], power: float) -> Sums:
    """Block by block of positions, so that a block is still in the cache when it is read again.

    What has to be written before it is summed goes into one `desk` for all blocks: the pages of new memory cost more
    than the arithmetic.
    """
    reductions: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "top": lambda rows, desk: _largest(rows),
        "total": lambda rows, desk: rows.sum(1),
        "powers": lambda rows, desk: torch.clamp(rows, min=GEM_FLOOR, out=desk).pow_(power).sum(1),
        # Compared into floats: sums of booleans are slow.
        "used": lambda rows, desk: torch.ne(rows, 0, out=desk).sum(1),
        "across": lambda rows, desk: rows.sum(2),
    }
    rows = _rows(maps)
    length = max(1, BLOCK * rows.shape[1] // rows.numel()) if maps.device.type == "cpu" else rows.shape[1]
    blocks = rows.split(length, 1) if names else ()
    parts: dict[str, list[Tensor]] = {name: [] for name in names}
    desk = rows.new_empty(len(rows), length, rows.shape[2]) if {"powers", "used"} & {*names} else rows
    for block in blocks:
        for name in names:
            parts[name].append(reductions[name](block, desk[:, : block.shape[1]]))
    return {name: _joined(name, found, maps) for name, found in parts.items()}


def _rows(maps: Tensor) -> Tensor:
    """Maps (b, C, H, W) as (b, HW, C), without a copy in channels-last order."""
    return maps.flatten(2).transpose(1, 2)


def _joined(name: str, blocks: list[Tensor], maps: Tensor) -> Tensor:
    if name == "across":
        return torch.cat(blocks, 1).view(len(maps), 1, *maps.shape[2:])
    if len(blocks) == 1:
        return blocks[0]
    return torch.stack(blocks).amax(0) if name == "top" else torch.stack(blocks).sum(0)


def _largest(rows: Tensor) -> Tensor:
    """Maximum over positions. Torch takes `LANES` channels at a time and the rest of them one by one, so positions are
    laid side by side until none is left over."""
    batch, positions, channels = rows.shape
    beside = math.lcm(LANES, channels) // channels
    if beside == 1 or positions < 4 * beside or rows.stride()[1:] != (channels, 1):
        return rows.amax(1)
    whole = positions // beside * beside
    wide = rows[:, :whole].view(batch, whole // beside, beside * channels).amax(1)
    top = wide.view(batch, beside, channels).amax(1)
    return torch.maximum(top, rows[:, whole:].amax(1)) if whole < positions else top


def _weighted_sums(maps: Tensor, sums: Sums, specs: Sequence[Aggregation]) -> list[Tensor]:
    """Vectors (b, D) of each of `specs`, by one matrix product for all of them."""
    if not specs:
        return []
    weights = [WEIGHTED[spec.name].weights(maps, sums, **spec.parameters) for spec in specs]
    product = _product(torch.cat(weights, 2), _rows(maps))
    parts = product.split([one.shape[2] for one in weights], 1)
    return [
        WEIGHTED[spec.name].finish(part, one, maps, sums, **spec.parameters)
        for spec, part, one in zip(specs, parts, weights, strict=True)
    ]


def _product(weights: Tensor, rows: Tensor) -> Tensor:
    """Sums over positions (b, n, C) of weights (b, HW, n) times rows (b, HW, C).

    Of one image several parts are multiplied side by side: with two threads torch is then ten times as fast.
    """
    positions = rows.shape[1] // PARTS * PARTS
    if len(rows) > 1 or positions == 0:
        return weights.transpose(1, 2) @ rows
    parts = [one[0, :positions].reshape(PARTS, -1, one.shape[2]) for one in (weights, rows)]
    product = (parts[0].transpose(1, 2) @ parts[1]).sum(0, keepdim=True)
    return product + weights[:, positions:].transpose(1, 2) @ rows[:, positions:]


def _rarity(sums: Sums) -> Tensor:
    """CroW's weights of channels (b, C), of the numbers of positions at which they are not zero."""
    used = sums["used"]
    dead = used == 0
    return (used.sum(1, keepdim=True) / used.masked_fill(dead, 1)).log().masked_fill(dead, 0)


def _scda(product: Tensor, mask: Tensor, maps: Tensor, sums: Sums, **parameters: Any) -> Tensor:
    """Means and maxima over the mask, in which each image has positions of its own."""
    inside = mask[:, :, 0] > 0
    largest = torch.stack(
        [
            _largest(image.index_select(0, kept.nonzero()[:, 0])[None])[0]
            for image, kept in zip(_rows(maps), inside, strict=True)
        ]
    )
    mean = product[:, 0] / inside.sum(1, keepdim=True)
    return torch.cat([normalize(mean, dim=1), normalize(largest, dim=1)], dim=1)


def _cam(product: Tensor, weights: Tensor, maps: Tensor, sums: Sums, **parameters: Any) -> Tensor:
    return normalize(normalize(product * _rarity(sums)[:, None], dim=2).sum(1), dim=1)


def _proposals(maps: Tensor, sums: Sums, *, proposals: int, a: float, b: float, **parameters: Any) -> Tensor:
    """PWA's weights but for the norm, which `_pwa` divides the sums by: they are fewer."""
    chosen = proposal_channels(maps, proposals, learned=False, state=None)
    rows = _rows(maps)
    shares = torch.gather(rows, 2, chosen.expand(*rows.shape[:2], -1)).clamp_(min=0)
    top = sums["top"][:, None, chosen]
    shares /= top.masked_fill(top <= 0, 1)
    # The root as a power times the share, which keeps zeros: the root of zero takes ten times as long as others.
    return shares.clamp(min=TINY).pow_(1 / b - 1).mul_(shares)


def _pwa(product: Tensor, weights: Tensor, *rest: object, a: float, b: float, **parameters: Any) -> Tensor:
    norm = weights.pow(b).pow_(a).sum(1)[..., None]
    return (product * norm.masked_fill(norm == 0, 1).pow(-1 / (a * b))).flatten(1)


WEIGHTED: Mapping[str, Weighted] = {
    "spoc": Weighted(
        lambda maps, sums, **parameters: gaussian(maps).flatten(1)[..., None],
        lambda product, *rest, **parameters: product[:, 0],
    ),
    "crow": Weighted(
        lambda maps, sums, **parameters: crow_spatial(sums["across"], **parameters).flatten(1)[..., None],
        lambda product, weights, maps, sums, **parameters: product[:, 0] * _rarity(sums),
    ),
    "scda": Weighted(lambda maps, sums, **parameters: scda_mask(sums["across"]).flatten(1)[..., None], _scda),
    "pwa": Weighted(_proposals, _pwa),
    "cam": Weighted(
        lambda maps, sums, *, classes, **parameters: _rows(class_maps(sums["across"], classes, None)),
        _cam,
    ),
}
"""By name; the weights are those of the registered functions, computed from `Sums` where these read all channels."""
