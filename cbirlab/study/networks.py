"""Networks: the backbones and the taps that the names of a grid stand for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from cbirlab.backbones import BACKBONES, check_tap, load_backbone, split_backbone, taps_of
from cbirlab.base.methods import split_names
from cbirlab.base.notices import notify
from cbirlab.base.registry import Info, Registry
from cbirlab.pipeline.tap_names import Taps

if TYPE_CHECKING:
    from cbirlab.backbones import Backbone

Names = str | Sequence[str]


def names_of(given: Names, registry: Registry[Any]) -> list[str]:
    """The names in a list or in a text with commas; "all" is what the registry has and works without a server.

    What was trained here fits one network and one tap, and is not among all. Methods whose extra is not installed are
    left out, with a warning; networks are so when they are loaded.
    """
    if given == "all":
        infos = [registry.info(name) for name in registry]
        here = [one.name for one in infos if not (one.facts.get("server") or one.facts.get("trained"))]
        lacking = [name for name in here if registry is not BACKBONES and _is_missing(registry.info(name))]
        if lacking:
            notify(f"{registry.kind} {', '.join(lacking)} left out: pip install 'cbirlab[train]' to have them.")
        return [name for name in here if name not in lacking]
    return split_names(given) if isinstance(given, str) else list(given)


def _is_missing(info: Info) -> bool:
    """Whether the module that a method needs is not installed."""
    module = info.facts.get("requires")
    return bool(module) and find_spec(module) is None


def taps_at(given: Names | None, backbone: Backbone) -> list[Taps]:
    """The taps of one backbone; in a grid of several backbones, each takes those of the names that it has."""
    if given is None:
        return [Taps(backbone.default_tap)]
    if given == "all":
        return [Taps(tap) for tap in backbone.taps]
    wanted = [Taps(tap) for tap in (split_names(given) if isinstance(given, str) else given)]
    known = [tap for tap in wanted if all(member in backbone.taps for _, member in tap.members)]
    if not known:
        for _, member in wanted[0].members:
            check_tap(backbone, member)
    return known


def networks_of(given: Names, weights: str | Mapping[str, str | None] | None) -> list[tuple[str, str | None]]:
    """Name and weights of each backbone; a name may include its weights, "resnet50@IMAGENET1K_V2"."""
    pairs = []
    for text in names_of(given, BACKBONES):
        beside = weights.get(split_backbone(text)[0]) if isinstance(weights, Mapping) else weights
        pairs.append(split_backbone(text, beside))
    return pairs


def loaded_ones(
    networks: Sequence[tuple[str, str | None]], device: str, *, all_of_them: bool
) -> Iterator[tuple[Backbone, str | None]]:
    """Yield backbones one by one, so that only one is in memory; for "all", a warning at the end names the missing."""
    from cbirlab.backbones.weights import WeightsError

    absent = []
    for name, weight in networks:
        try:
            loaded = load_backbone(name, weight, device)
        except WeightsError as error:
            if not all_of_them:
                raise
            absent.append(f"{name}: {error}")
        else:
            yield loaded, weight
    if absent:
        listed = "\n  ".join(absent)
        notify(f"compare: {len(absent)} backbones are left out:\n  {listed}")


def check_taps(taps: Names | None, backbones: Sequence[str]) -> None:
    """Refuse a tap that none of the backbones has, before anything is computed."""
    if taps is None or taps == "all":
        return
    known: Registry[str] = Registry(f"tap of {', '.join(backbones)}")
    for backbone in backbones:
        for tap in taps_of(backbone):
            if tap not in known:
                known.add(tap, backbone, title=tap)
    for tap in split_names(taps) if isinstance(taps, str) else taps:
        for _, member in Taps(tap).members:
            known.info(member)
