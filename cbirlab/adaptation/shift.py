"""How far two domains lie apart in the descriptors of a network, tap by tap, beside what chance alone gives.

A distance of domains is no forecast of mAP: it says that pictures can be told apart, not that searching suffers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.adaptation.distances import FEWEST, mmd, proxy_a_distance
from cbirlab.aggregation import Aggregation
from cbirlab.backbones import load_backbone, usual_backbone
from cbirlab.base.progress import bar
from cbirlab.datasets import Dataset
from cbirlab.extract import extract
from cbirlab.pipeline.fitting import check_cell
from cbirlab.pipeline.learning_sets import learning_part
from cbirlab.pipeline.tap_names import Taps
from cbirlab.pipeline.together import possible_aggregation
from cbirlab.store import Store
from cbirlab.whitening import normalise

if TYPE_CHECKING:
    import pandas as pd

    from cbirlab.backbones import Backbone

_NOBODY = Dataset(name="no dataset", images=(Path("none"),))


@dataclass(frozen=True, eq=False)
class DomainRows:
    """Descriptors of pictures of two domains.

    Attributes
    ----------
    names : of the domains, as "toytown/train".
    paths : the pictures of each, 2n of them, drawn at random; fewer if some cannot be read.
    rows : tap to the descriptors of each, (2n, D), L2-normalised; the first n and the last n are its two halves.
    deepest : the network's default tap, or the last one if it is not among them.
    """

    names: tuple[str, str]
    paths: tuple[tuple[Path, ...], tuple[Path, ...]]
    rows: Mapping[str, tuple[np.ndarray, np.ndarray]]
    deepest: str

    def measured(self, tap: str, seed: int = 0) -> dict[str, float]:
        """Both distances at a tap, and as their floors the larger of those between the halves of one domain."""
        halves = [np.array_split(rows, 2) for rows in self.rows[tap]]
        apart = {"proxy_a": lambda a, b: proxy_a_distance(a, b, seed), "mmd": mmd}
        found = {}
        for name, distance in apart.items():
            found[name] = distance(halves[0][0], halves[1][0])
            found[f"{name}_floor"] = max(distance(*own) for own in halves)
        return found


def domain_shift(
    one: str | Path | Dataset,
    other: str | Path | Dataset,
    *,
    backbone: str | None = None,
    weights: str | None = None,
    taps: Sequence[str] | None = None,
    images: int = 80,
    aggregation: str = "gem",
    image_size: int = 224,
    seed: int = 0,
    store: Store | None = None,
    progress: bool = True,
    device: str = "cpu",
) -> pd.DataFrame:
    """How far two kinds of pictures lie apart at each tap of a network.

    Parameters
    ----------
    one, other : a name, a folder, "toytown/train", "toytown/images", or a loaded dataset. Pictures are those of the
        train split, or of the database where there is none.
    taps : all to which the aggregation can be applied, by default.
    images : pictures of each side at most. Twice as many are described, since the floors compare halves of that size;
        if a domain has fewer, all sides are as large as half of it.
    aggregation : a pooling, which learns nothing.
    image_size : long side in pixels.
    seed : of the choice of pictures, and of folds.
    store : keeps the descriptors.

    Returns
    -------
    A row per tap, shallow to deep: "tap", "proxy_a" and "mmd" (`proxy_a_distance`, `mmd`), and in "proxy_a_floor" and
    "mmd_floor" the larger of the two values that the halves of one domain have. ``attrs["images"]`` is the size of each
    side.

    Raises
    ------
    UnknownName, WeightsError : no such dataset, network or tap.
    ValueError : too few pictures; an aggregation that learns, or that suits none of the taps.
    """
    import pandas as pd

    found = domain_rows(
        one,
        other,
        backbone=backbone,
        weights=weights,
        taps=taps,
        images=images,
        aggregation=aggregation,
        image_size=image_size,
        seed=seed,
        store=store,
        progress=progress,
        device=device,
    )
    rows = [
        {"tap": tap, **found.measured(tap, seed)}
        for tap in bar(list(found.rows), desc="domain shift", unit="tap", show=progress)
    ]
    frame = pd.DataFrame(rows)
    frame.attrs |= {"one": found.names[0], "other": found.names[1], "images": len(found.paths[0]) // 2}
    return frame


def domain_rows(
    one: str | Path | Dataset,
    other: str | Path | Dataset,
    *,
    backbone: str | None = None,
    weights: str | None = None,
    taps: Sequence[str] | None = None,
    images: int = 80,
    aggregation: str = "gem",
    image_size: int = 224,
    seed: int = 0,
    store: Store | None = None,
    progress: bool = True,
    device: str = "cpu",
) -> DomainRows:
    """Describe some pictures of two domains at each tap; parameters and errors are those of `domain_shift`."""
    domains = [_pictures(one), _pictures(other)]
    names = domains[0][0], domains[1][0]
    side = _side(domains, images)
    network = load_backbone(backbone or usual_backbone(*names), weights, device)
    spec = _pooling(aggregation)
    cells = _cells(network, taps, spec)
    given: dict[str, Any] = {"image_size": image_size, "store": store, "progress": progress}
    described = [
        _described(name, _drawn(paths, 2 * side, [seed, place]), network, cells, given)
        for place, (name, paths) in enumerate(domains)
    ]
    (paths, rows), (others, other_rows) = described
    deepest = network.default_tap if network.default_tap in cells else [*cells][-1]
    return DomainRows(names, (paths, others), {tap: (rows[tap], other_rows[tap]) for tap in cells}, deepest)


def _described(
    name: str, paths: tuple[Path, ...], network: Backbone, cells: Mapping[str, Aggregation], given: dict[str, Any]
) -> tuple[tuple[Path, ...], dict[str, np.ndarray]]:
    """The pictures that can be read, and tap by tap their descriptors, L2-normalised."""
    dataset, grid = Dataset(name=name, images=paths), {tap: [spec] for tap, spec in cells.items()}
    found = extract(dataset, network, taps=[*cells], aggregations=grid, parts=["images"], **given)
    kept = [row for row in range(len(paths)) if row not in found.skipped.get("images", {})]
    rows = {tap: normalise(found[tap, spec.key]["images"][kept]) for tap, spec in cells.items()}
    return tuple(paths[row] for row in kept), rows


def _pictures(given: str | Path | Dataset) -> tuple[str, tuple[Path, ...]]:
    """Name and pictures of a domain."""
    if isinstance(given, Dataset):
        owner, part = given, "train" if given.train else "images"
    else:
        owner, part = learning_part(str(given), _NOBODY)
    name = owner.train_name or f"{owner.name}/train" if part == "train" else f"{owner.name}/images"
    return name, owner.train if part == "train" else owner.images


def _side(domains: Sequence[tuple[str, tuple[Path, ...]]], images: int) -> int:
    """Pictures of each side: as many as asked for, or half of the smaller domain."""
    if isinstance(images, bool) or not isinstance(images, int) or images < FEWEST:
        raise ValueError(f"domain_shift: images must be a whole number of at least {FEWEST}, got {images!r}.")
    name, paths = min(domains, key=lambda domain: len(domain[1]))
    if len(paths) < 2 * FEWEST:
        raise ValueError(
            f"domain_shift: a domain must have at least {2 * FEWEST} pictures, got {len(paths)} of {name!r}; add some."
        )
    return min(images, len(paths) // 2)


def _drawn(paths: Sequence[Path], count: int, seed: Sequence[int]) -> tuple[Path, ...]:
    """Some of the pictures, without replacement."""
    return tuple(paths[row] for row in np.random.default_rng(seed).permutation(len(paths))[:count])


def _pooling(text: str) -> Aggregation:
    spec = Aggregation.parse(text)
    if spec.learns or spec.fact("similarity"):
        raise ValueError(f"domain_shift: aggregation must be a pooling that learns nothing, as 'gem', got {text!r}.")
    return spec


def _cells(network: Backbone, asked: Sequence[str] | None, spec: Aggregation) -> dict[str, Aggregation]:
    """The taps that were asked for, or all that the pooling can be applied to, each with the pooling."""
    wanted = [asked] if isinstance(asked, str) else list(network.taps) if asked is None else list(asked)
    cells = {tap: possible_aggregation(Taps(tap), spec, network) for tap in wanted}
    problems = {tap: check_cell(network, tap, pooling) for tap, pooling in cells.items()}
    possible = {tap: pooling for tap, pooling in cells.items() if not problems[tap]}
    if not possible or (asked is not None and len(possible) < len(cells)):
        problem = next(filter(None, problems.values()), "none was given")
        raise ValueError(f"domain_shift: taps must be taps of {network.name} that suit the aggregation ({problem}).")
    return possible
