"""Extract: one forward pass per image fills the grid of all taps and all aggregations, through the store.

Entries are found by the hash of image bytes and boxes, weights, preprocessing, tap, aggregation, precision and of the
code that computes them. Only what is missing is computed; a run that was killed goes on at the shard where it was.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cbirlab.datasets.base import Dataset
from cbirlab.extract import moved
from cbirlab.extract.batches import BATCH_PIXELS, PARTS, part_items
from cbirlab.extract.cache_keys import Column, Part, State, column, plan_part
from cbirlab.extract.descriptors import SCALE_POOLING, Descriptors, exponent_of, over_scales
from cbirlab.extract.fingerprint import fingerprints, image_hashes
from cbirlab.extract.loop import MEMORY_BYTES, Filled, Filler, entry_values
from cbirlab.extract.memory import kept_memory
from cbirlab.extract.network import Network
from cbirlab.extract.sampling import Sampler
from cbirlab.extract.threads import spare_cores
from cbirlab.extract.views import views_of
from cbirlab.images import USUAL
from cbirlab.preprocessing import Resizing
from cbirlab.progress import bar
from cbirlab.store import Store, StoreUnwritable, digest
from cbirlab.store.shards import Shards

if TYPE_CHECKING:
    from cbirlab.aggregation import Aggregation
    from cbirlab.backbones import Backbone
    from cbirlab.passes import Passes

    _Aggregations = Sequence[Aggregation | Sampler] | Mapping[str, Sequence[Aggregation | Sampler]]

__all__ = [
    "BATCH_PIXELS",
    "PARTS",
    "SCALE_POOLING",
    "Descriptors",
    "Estimate",
    "Sampler",
    "State",
    "estimate",
    "extract",
    "image_hashes",
]


_Found = dict[str, Filled]
_States = Mapping[tuple[str, str], State]


class Estimate(NamedTuple):
    """What a run is going to cost.

    Attributes
    ----------
    images : forward passes of single images.
    size_bytes : that the store grows by.
    free_bytes : on the store's disk.
    """

    images: int
    size_bytes: int
    free_bytes: int


def extract(
    dataset: Dataset,
    backbone: Backbone,
    *,
    taps: Sequence[str],
    aggregations: _Aggregations,
    image_size: int | None = None,
    scales: Sequence[float] = (1.0,),
    scale_pooling: str = "mean",
    passes: Passes | None = None,
    states: _States | None = None,
    parts: Sequence[str] = PARTS,
    precision: str = "float32",
    crop: str = "box",
    resizing: Resizing = USUAL,
    store: Store | None = None,
    batch_pixels: int = BATCH_PIXELS,
    progress: bool = True,
) -> Descriptors:
    """Descriptors of a dataset at all `taps` and by all `aggregations`; what the store has is not computed again.

    Parameters
    ----------
    aggregations : of all taps, or by tap.
    image_size : long side in pixels, the dataset's own by default.
    scales : image sizes relative to `image_size`; with several, descriptors are pooled after L2-normalisation.
    scale_pooling : "mean", or "gem" with the exponent of the aggregation, which has to be GeM: only its values are
        not negative and know an exponent.
    passes : feedforward scheme, the crops of an image that go through the network; the whole image by default.
    states : (tap, aggregation key) to what an aggregation has learned at that tap, or needs of the network.
    parts : some of "images", "queries", "train".
    precision : "float32" or "bfloat16".
    crop : of the queries, see `cbirlab.preprocessing.CROP`.
    resizing : how pictures come to their size.
    batch_pixels : pixels of the images that go through the network together.
    progress : show a bar when it takes more than a second.

    Raises
    ------
    UnknownName, WeightsError : the backbone has no such tap.
    ValueError : none of the images of a part can be read.
    StoreUnwritable : the store cannot be written to and the results do not fit into memory.
    """
    started = time.perf_counter()
    store = store or Store()
    size = image_size or dataset.image_size
    options = {"image_size": size, "precision": precision, "batch_pixels": batch_pixels, "resizing": resizing}
    planned, views = _planned(dataset, backbone, scales, parts, crop, store, passes, progress, options)
    columns = {_name(part): _columns(part, backbone, taps, aggregations, states) for part in planned}
    found = _stored(store, [one for part in planned for one in columns[_name(part)]])
    for part in planned:
        found |= moved.taken(store, part, [one for one in columns[_name(part)] if one.key not in found])
    for part in planned:  # a run that was ended between its last entry and its clearing up has left them
        Shards(store, part.base).drop(
            [one.key for one in columns[_name(part)] if one.key in found], len(part.batches.shards)
        )
    computed = 0
    if any(one.key not in found for part in planned for one in columns[_name(part)]):
        computed = _fill(found, planned, columns, backbone, precision, store, progress)
    arrays: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    keys: dict[tuple[str, str], dict[str, str]] = {}
    pass_ms: dict[tuple[str, str], dict[str, float]] = {}
    for name in dict.fromkeys(part.name for part in planned):
        by_scale = zip(*(columns[_name(part)] for part in planned if part.name == name), strict=True)
        for same in by_scale:
            column_name = (same[0].tap, same[0].aggregation.key)
            filled = [found[one.key] for one in same]
            exponent = exponent_of(scale_pooling, same[0].aggregation)
            arrays.setdefault(column_name, {})[name] = over_scales([one.values for one in filled], exponent)
            keys.setdefault(column_name, {})[name] = digest({"scales": [one.key for one in same], "gem": exponent})
            spent = sum(one.pass_ms for one in filled) * views[name].sum() / max(1, len(views[name]))
            pass_ms.setdefault(column_name, {})[name] = float(spent)
    skipped = {
        part.name: _by_image(found[columns[_name(part)][0].key].skipped, views[part.name])
        for part in planned
        if columns[_name(part)]
    }
    _report_skipped(dataset, skipped)
    return Descriptors(arrays, keys, views, pass_ms, skipped, time.perf_counter() - started, computed)


def estimate(
    dataset: Dataset,
    backbone: Backbone,
    *,
    taps: Sequence[str],
    aggregations: _Aggregations,
    image_size: int | None = None,
    scales: Sequence[float] = (1.0,),
    passes: Passes | None = None,
    states: _States | None = None,
    parts: Sequence[str] = PARTS,
    precision: str = "float32",
    crop: str = "box",
    resizing: Resizing = USUAL,
    store: Store | None = None,
    batch_pixels: int = BATCH_PIXELS,
) -> Estimate:
    """What `extract` with the same arguments would still have to do; looks at every image's bytes, runs no network."""
    store = store or Store()
    size = image_size or dataset.image_size
    options = {"image_size": size, "precision": precision, "batch_pixels": batch_pixels, "resizing": resizing}
    planned, _ = _planned(dataset, backbone, scales, parts, crop, store, passes, False, options)
    images = size_bytes = 0
    counted: set[str] = set()
    for part in planned:
        columns = [one for one in _columns(part, backbone, taps, aggregations, states) if one.key not in counted]
        missing = [one for one in columns if not store.has("descriptors", one.specification)]
        counted |= {one.key for one in columns}
        images += len(part.items) if missing else 0
        size_bytes += sum(_column_bytes(part, one, backbone) for one in missing)
    return Estimate(images, size_bytes, store.free_bytes())


def _planned(
    dataset: Dataset,
    backbone: Backbone,
    scales: Sequence[float],
    parts: Sequence[str],
    crop: str,
    store: Store,
    passes: Passes | None,
    progress: bool,
    options: Mapping[str, Any],
) -> tuple[list[Part], dict[str, np.ndarray]]:
    """All parts at all scales, and how many views each image of a part has."""
    if not scales or any(not 0.05 <= scale <= 8 for scale in scales):
        raise ValueError(f"extract: scales must be one or more numbers in [0.05, 8], got {tuple(scales)}.")
    images = {name: part_items(dataset, name, crop) for name in parts}
    prints = fingerprints([item.path for rows in images.values() for item in rows], store)
    items, views = {}, {}
    for name, rows in images.items():
        items[name], views[name] = views_of(rows, prints, passes, store, progress=progress)
    planned = [
        plan_part(name, dataset.name, rows, prints, backbone, scale=scale, **options)
        for name, rows in items.items()
        if rows
        for scale in scales
    ]
    return planned, views


def _name(part: Part) -> tuple[str, float]:
    """What tells a part from the others; the rows of two can be the same."""
    return part.name, part.scale


def _columns(
    part: Part, backbone: Backbone, taps: Sequence[str], aggregations: _Aggregations, states: _States | None
) -> list[Column]:
    from cbirlab.backbones import check_tap

    for tap in taps:
        check_tap(backbone, tap)
    by_tap = aggregations if isinstance(aggregations, Mapping) else dict.fromkeys(taps, aggregations)
    known = states or {}
    return [column(part, tap, spec, known.get((tap, spec.key))) for tap in taps for spec in by_tap[tap]]


def _by_image(skipped: Mapping[int, str], views: np.ndarray) -> dict[int, str]:
    """Reasons by image, of reasons by view; an image is skipped when none of its views could be used."""
    owner = np.repeat(np.arange(len(views)), views)
    reasons = {int(owner[row]): reason for row, reason in skipped.items()}
    lost = np.bincount(owner[list(skipped)], minlength=len(views)) if skipped else np.zeros(len(views), np.int64)
    return {image: reason for image, reason in reasons.items() if lost[image] == views[image]}


def _stored(store: Store, columns: Sequence[Column]) -> _Found:
    found = {}
    for one in columns:
        if one.key not in found and (entry := store.get("descriptors", one.specification)) is not None:
            found[one.key] = entry_values(entry)
    return found


def _fill(
    found: _Found,
    planned: Sequence[Part],
    columns: Mapping[tuple[str, float], Sequence[Column]],
    backbone: Backbone,
    precision: str,
    store: Store,
    progress: bool,
) -> int:
    """Complete `found`; returns the number of images that went through the network."""
    missing: dict[str, dict[str, Column]] = {}  # queries may be the database images again, described otherwise
    for part in planned:
        lacking = {one.key: one for one in columns[_name(part)] if one.key not in found}
        missing[part.base] = missing.get(part.base, {}) | lacking
    parts = {part.base: part for part in planned if missing[part.base]}
    total = sum(len(part.items) for part in parts.values())
    size_bytes = sum(
        _column_bytes(part, one, backbone) for base, part in parts.items() for one in missing[base].values()
    )
    _check_space(size_bytes, store)
    label = f"{backbone.name} on {planned[0].dataset}, {size_bytes / 1e6:.0f} MB"
    with bar(total=total, desc=label, unit="image", show=progress) as shown:
        image_size = int(planned[0].specification["image_size"])
        network = Network(backbone, precision=precision)
        with kept_memory(), spare_cores() as look:

            def advance(images: int) -> None:
                shown.update(images)
                look()

            filler = Filler(network, store, image_size=image_size, advance=advance)
            for base, part in parts.items():
                found |= filler.fill(part, [*missing[base].values()])
                moved.remember(store, part)
    return filler.computed_images


def _column_bytes(part: Part, one: Column, backbone: Backbone) -> int:
    """Size of a matrix that is not computed yet."""
    return 4 * len(part.items) * one.aggregation.width(backbone.taps[one.tap].channels)


def _check_space(size_bytes: int, store: Store) -> None:
    """Refuse a run that fits neither on the disk nor into memory before it begins."""
    free = store.free_bytes()
    if size_bytes > max(free, MEMORY_BYTES):
        raise StoreUnwritable(
            f"Store {store.path}: {size_bytes / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free; make room, "
            "choose fewer taps or aggregations, or set CBIRLAB_STORE to a larger disk."
        )


def _report_skipped(dataset: Dataset, skipped: dict[str, dict[int, str]]) -> None:
    reasons = list(dict.fromkeys(reason for rows in skipped.values() for reason in rows.values()))
    if reasons:
        shown = "\n  ".join(reasons[:20] + (["..."] if len(reasons) > 20 else []))
        warnings.warn(
            f"{dataset.name}: {len(reasons)} images cannot be used; their descriptors are zero and score 0:\n  {shown}",
            stacklevel=3,
        )
