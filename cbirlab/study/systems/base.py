"""System: a method of the survey's tables by its name, as recipes, a fusion or a training; and where it departs.

A part is the fields of a recipe, with the network and the tap of the paper. On another network a tap is taken that has
the same place in it: `tap_in_place_of`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

from cbirlab.backbones import BACKBONES, split_backbone, taps_of
from cbirlab.base.registry import Registry
from cbirlab.datasets import Dataset
from cbirlab.fusion import Fusion
from cbirlab.pipeline import Recipe
from cbirlab.pipeline.learning_sets import HELD_OUT

if TYPE_CHECKING:
    from cbirlab.adaptation import Training

HAND_CRAFTED = "handcrafted"
AVERAGE = "spoc"
"""Pools what stands in place of a fully connected layer: the mean of a map is what such a layer sees."""

_BIBLIOGRAPHY = Path(__file__).with_name("systems.bib")
_ACCENTED, _MARKS = re.compile(r"\{\\(['^v])\{?(\w)\}?\}"), {"'": "\u0301", "^": "\u0302", "v": "\u030c"}


@dataclass(frozen=True, kw_only=True)
class System:
    """One row of the survey's tables.

    Attributes
    ----------
    name, title : as one types it, and as the survey prints it.
    cite, year : key in `systems.bib`, and when it was published.
    table : of the survey.
    kind : "single pass", "multiple passes", "supervised", "unsupervised" or "diffusion".
    parts : fields of one recipe each; several are fused.
    fusion : fields of the fusion beside its members.
    training : fields of the training that comes first; none for an off-the-shelf system.
    departs : how it differs from the paper here, and why.
    stand_in : which part of the paper's is replaced, in a few words; "" if none is.
    out : why it is listed only; "" for a system that runs.
    published : its name in the survey's table, see `cbirlab.published`.
    """

    name: str
    title: str
    cite: str
    year: int
    table: int
    kind: str
    parts: tuple[Mapping[str, Any], ...] = ()
    fusion: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    departs: str = ""
    stand_in: str = ""
    out: str = ""
    published: str = ""

    @property
    def status(self) -> str:
        """ "runs", "runs with a stand-in" or "out"."""
        return "out" if self.out else "runs with a stand-in" if self.stand_in else "runs"

    @property
    def networks(self) -> tuple[str, ...]:
        """The networks of the paper, or what stands in for them."""
        return tuple(dict.fromkeys(part["backbone"] for part in self.parts))

    @property
    def bibtex(self) -> str:
        """The entry of its paper."""
        return _entries()[self.cite]

    @property
    def paper(self) -> str:
        """Its paper in a few words: "Tolias et al., ICLR 2016"."""
        fields = dict(re.findall(r"^  (\w+) = \{(.*)\},?$", self.bibtex, flags=re.MULTILINE))
        authors = [_ACCENTED.sub(_accented, one.split(",")[0]) for one in fields["author"].split(" and ")]
        named = (
            authors[0] if len(authors) == 1 else " and ".join(authors) if len(authors) == 2 else f"{authors[0]} et al."
        )
        where = next(fields[key] for key in ("booktitle", "journal", "howpublished") if key in fields)
        short = re.search(r"\(([^)]*)\)", where)
        return f"{named}, {short.group(1) if short else where} {fields['year']}"

    def plan(self, dataset: Dataset, name: str, backbone: str | None = None, **given: Any) -> Recipe | Fusion:
        """The recipe, or the fusion, that it is.

        Parameters
        ----------
        dataset, name : what is searched, and how recipes name it.
        backbone : in place of every network of the paper, "toynet" or "toynet@mine"; taps are then those in the same
            place.
        given : fields of a recipe that replace those of each part; None is as if it were not given. `dimensions` are
            those of the whole system, with a PCA where it had no whitening.

        Raises
        ------
        ValueError : it stays out.
        """
        if self.out:
            raise ValueError(f"{self.name}: it is listed only: {self.out}")
        given = {key: value for key, value in given.items() if value is not None}
        dimensions = given.pop("dimensions", None)
        if dataset.learns_on_itself:  # all systems are judged on the same half
            given = {"whitening_set": HELD_OUT} | given
        parts: list[dict[str, Any]] = []
        for part in self.parts:
            own = {key: value for key, value in given.items() if part["backbone"] != HAND_CRAFTED or key != "weights"}
            parts.append(self._placed(part, backbone) | own | {"dataset": name})
        if len(parts) == 1:
            return Recipe(**_at(parts[0], dimensions))
        members = tuple(Recipe(**part) for part in parts)
        if self.fusion["method"] == "early":
            return Fusion(members=members, **_at(dict(self.fusion), dimensions))
        return Fusion(members=tuple(_at_once(one, dimensions) for one in members), **self.fusion)

    def learning(self, dataset: Dataset, name: str, backbone: str | None = None, **given: Any) -> Training:
        """The training that comes first, on the train split, or on what is held out.

        Parameters
        ----------
        given : fields of a training that replace those of the system; None is as if it were not given.
        """
        from cbirlab.adaptation import Training

        placed = self._placed(self.parts[0], backbone)
        fields = {key: placed[key] for key in ("backbone", "tap", "image_size") if key in placed} | dict(self.training)
        moves = fields["moves"]
        if moves in taps_of(self.parts[0]["backbone"]):
            fields["moves"] = _stage(tap_in_place_of(moves, self.parts[0]["backbone"], fields["backbone"]), fields)
        fields["on"] = f"{name}/train" if dataset.train else name
        return Training(**fields | {key: value for key, value in given.items() if value is not None})

    def _placed(self, part: Mapping[str, Any], backbone: str | None) -> dict[str, Any]:
        """A part on another network."""
        if backbone is None or part["backbone"] == HAND_CRAFTED:
            return dict(part)
        tap = tap_in_place_of(part["tap"], part["backbone"], backbone)
        placed = {**part, "backbone": backbone, "tap": tap}
        was, now = (taps_of(one)[at].kind for one, at in ((part["backbone"], part["tap"]), (_network(backbone), tap)))
        return placed | {"aggregation": AVERAGE} if (was, now) == ("vector", "map") else placed


SYSTEMS: Registry[System] = Registry("system")


def tap_in_place_of(tap: str, network: str, backbone: str) -> str:
    """The tap of a backbone that has the place of `tap` in another network.

    A fully connected layer is replaced by the first vector of the backbone, by its class scores if it has no other, and
    by the default map if it has none; a map by the one that stands as many places before the default map.
    """
    there, here = taps_of(network), taps_of(_network(backbone))
    maps, default = [name for name, one in here.items() if one.kind == "map"], _default(_network(backbone))
    if there[tap].kind == "vector":
        return next((name for name, one in here.items() if one.kind == "vector"), default)
    theirs = [name for name, one in there.items() if one.kind == "map"]
    before = max(0, theirs.index(_default(network)) - theirs.index(tap))
    return maps[max(0, maps.index(default) - before)]


def _stage(tap: str, fields: Mapping[str, Any]) -> str:
    """The tap whose stage learns in place of that of `tap`: a vector as wide as the last map, such as the mean of that,
    has no parameters of its own."""
    here = taps_of(_network(fields["backbone"]))
    maps = [name for name, one in here.items() if one.kind == "map"]
    return maps[-1] if here[tap].kind == "vector" and here[tap].channels == here[maps[-1]].channels else tap


def _network(backbone: str) -> str:
    return split_backbone(backbone)[0]


def _default(network: str) -> str:
    """The default map of a network."""
    facts = BACKBONES.info(network).facts
    maps = [name for name, one in facts["taps"].items() if one.kind == "map"]
    return facts["default_tap"] if facts["default_tap"] in maps else maps[-1]


def _at(fields: dict[str, Any], dimensions: int | None) -> dict[str, Any]:
    """Fields of a recipe or a fusion, cut to so many dimensions."""
    if dimensions is None:
        return fields
    whitening = fields.get("whitening", "none")
    return fields | {"dimensions": dimensions, "whitening": "pca" if whitening == "none" else whitening}


def _at_once(recipe: Recipe, dimensions: int | None) -> Recipe:
    return replace(recipe, **_at({"whitening": recipe.whitening}, dimensions))


def _accented(found: re.Match[str]) -> str:
    """The letter that BibTeX writes as an accent and a letter."""
    return normalize("NFC", found[2] + _MARKS[found[1]])


@cache
def _entries() -> dict[str, str]:
    """The bibliography by key."""
    blocks = _BIBLIOGRAPHY.read_text(encoding="utf-8").strip().split("\n\n")
    return {block.split("{", 1)[1].split(",", 1)[0]: block for block in blocks}


def add(title: str, **about: Any) -> None:
    """Register a system; its name is its title in small letters, with hyphens, unless it is given."""
    name = about.pop("name", title.lower().replace(" ", "-"))
    system = System(name=name, title=title, published=about.pop("published", title), **about)
    SYSTEMS.add(name, system, title=title, reference=f"{system.paper}; survey, Table {system.table}")
