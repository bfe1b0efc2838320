"""``cbirlab list``: the available methods, from the registries, without loading a network."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cbirlab.base.methods import plain
from cbirlab.base.registry import Info, Registry
from cbirlab.base.text import printable

if TYPE_CHECKING:
    from cbirlab.backbones import Tap
    from cbirlab.study.systems import System

KINDS = {
    "datasets": "cbirlab.datasets:DATASETS",
    "backbones": "cbirlab.backbones:BACKBONES",
    "passes": "cbirlab.passes:PASSES",
    "attentions": "cbirlab.attention:ATTENTIONS",
    "aggregations": "cbirlab.aggregation:AGGREGATIONS",
    "encodings": "cbirlab.encoding:ENCODINGS",
    "whitenings": "cbirlab.whitening:WHITENINGS",
    "losses": "cbirlab.training.losses:LOSSES",
    "miners": "cbirlab.training.miners:MINERS",
    "labels": "cbirlab.adaptation.labelling:PSEUDO",
    "learnable-poolings": "cbirlab.aggregation.learnable:POOLINGS",
    "compressions": "cbirlab.compression:COMPRESSIONS",
    "fusions": "cbirlab.fusion:FUSIONS",
    "indexes": "cbirlab.index:INDEXES",
    "rerankings": "cbirlab.reranking:RERANKERS",
    "protocols": "cbirlab.evaluation:PROTOCOLS",
    "metrics": "cbirlab.evaluation:METRICS",
    "systems": "cbirlab.study.systems:SYSTEMS",
}


def registry(kind: str) -> Registry[Any]:
    """The registry of a kind."""
    module, name = KINDS[kind].split(":")
    return getattr(import_module(module), name)


def text(kind: str | None = None, name: str | None = None) -> str:
    """Everything, one kind, or one entry, for a terminal.

    Raises
    ------
    UnknownName : no entry of that name.
    """
    if kind is None:
        return "\n\n".join(f"{one}\n{_indented(_entries(one))}" for one in KINDS)
    if kind == "taps":
        return _taps(name)
    if kind == "extensions":
        return _extensions()
    if kind == "trainings":
        return _trainings()
    return _entries(kind) if name is None else _details(kind, name)


def markdown() -> str:
    """The table of every method, for METHODS.md."""
    rows = []
    for kind in KINDS:
        entries = registry(kind)
        for name in entries:
            info = entries.info(name)
            if info.facts.get("trained"):
                continue
            rows.append([kind, f"`{_signature(kind, name)}`", info.title, info.reference])
    lines = ["| stage | name | title | reference |", "| --- | --- | --- | --- |"]
    return "\n".join(lines + ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows])


def _entries(kind: str) -> str:
    entries = registry(kind)
    infos = [entries.info(name) for name in entries]
    rows = [[_signature(kind, info.name), info.title, info.reference, *_here(kind, info.name)] for info in infos]
    families = [[f"{prefix}...", title, *[""] * (len(rows[0]) - 2)] for prefix, title in entries.families.items()]
    return align(rows + families)


def _here(kind: str, name: str) -> list[str]:
    """Whether a network's weights are on this machine, or else how large the download is."""
    if kind != "backbones":
        return []
    from cbirlab.backbones import availability

    found = availability(name)
    return ["here" if found.here else f"takes {found.takes}"]


def _signature(kind: str, name: str) -> str:
    """Functions with their parameters; for estimators only the name, because loading them takes time."""
    if kind not in ("passes", "attentions", "aggregations"):
        return name
    given = ", ".join(f"{one.name}={_bare(one.default)}" for one in _parameters(kind, name).values())
    return f"{name}({given})" if given else name


def _parameters(kind: str, name: str) -> Mapping[str, Any]:
    from cbirlab.base.params import parameters

    entry = registry(kind)[name]
    return parameters(entry) if callable(entry) else {}


def _details(kind: str, name: str) -> str:
    info = registry(kind).info(name)
    does = "" if kind == "backbones" else _summary(registry(kind)[name])  # a network would load torch
    rows = [["title", info.title], ["does", does], ["reference", info.reference], *_facts(info)]
    if kind not in ("datasets", "backbones", "protocols", "systems"):
        for one in _parameters(kind, name).values():
            allowed = f"{one.domain.describe()}, default {_plain(one.default)}"
            rows += [[f"parameter {one.name}", f"{allowed}: {one.says}" if one.says else allowed]]
    described = f"{name}\n{_indented(align([row for row in rows if row[1]]))}"
    if kind == "backbones":
        described += f"\n  weights\n{_indented(_weights(info), 4)}\n  taps\n{_indented(_taps(name), 4)}"
    beyond = {"protocols": str, "systems": _system}.get(kind)
    return described + (f"\n\n{beyond(registry(kind)[name])}" if beyond else "")


def _system(system: System) -> str:
    """What a system is here, where it departs from its paper, and how the paper is cited."""
    rows = [["kind", system.kind], ["status", system.status], ["networks", ", ".join(system.networks)]]
    for part in system.parts:
        rows.append(["recipe", ", ".join(f"{key}={value}" for key, value in part.items())])
    for title, fields in (("fusion", system.fusion), ("training", system.training)):
        rows += [[title, ", ".join(f"{key}={value}" for key, value in fields.items())]] if fields else []
    rows += [["stand-in", system.stand_in], ["departs", system.departs], ["out", system.out]]
    return f"{_indented(align([row for row in rows if row[1]]))}\n\n{system.bibtex}"


def _summary(entry: Any) -> str:
    """The first paragraph of the docstring of a function or class."""
    text = inspect.getdoc(entry) if inspect.isroutine(entry) or inspect.isclass(entry) else ""
    return " ".join((text or "").split("\n\n")[0].split())


def _facts(info: Info) -> list[list[str]]:
    return [
        [key, _plain(value)]
        for key, value in info.facts.items()
        if isinstance(value, str | int | float | tuple) and value != "" and value is not False
    ]


def _weights(info: Info) -> str:
    """The weights of a network: how good they are, how they were trained, and whether they are on this machine."""
    from cbirlab.backbones import availability, releases

    rows = []
    for label, release in releases(info.name).items():
        found = availability(info.name, label)
        rows.append(
            [
                label + (" (default)" if label == info.facts["weights"] else ""),
                f"{release.megabytes:.0f} MB",
                "top-1 unknown" if release.accuracy != release.accuracy else f"top-1 {release.accuracy:.1f} %",
                f"{release.trained_at} x {release.trained_at}, {release.interpolation}",
                " ".join(f"{which} {_colour(getattr(release, which))}" for which in ("mean", "std")),
                f"here: {found.where}" if found.here else f"not here: {release.file}",
            ]
        )
    found = availability(info.name)
    default = f"default: {found.where}" if found.here else found.instructions
    return f"{align(rows)}\n{default}" if rows else default


def _colour(values: Sequence[float]) -> str:
    return " ".join(f"{value:.3g}" for value in values)


def _taps(name: str | None) -> str:
    info = registry("backbones").info(str(name))
    mark = {info.facts["default_tap"]: "default"}
    rows = [
        [tap, f"{entry.channels} channels", _where(entry), entry.path, mark.get(tap, "")]
        for tap, entry in info.facts["taps"].items()
    ]
    return align(rows)


def _extensions() -> str:
    from cbirlab.base.extensions import EXTENSIONS

    return align([[one.name, one.package, one.target, one.error or "loaded"] for one in EXTENSIONS])


def _trainings() -> str:
    from cbirlab.adaptation.trained import all_trained

    rows = []
    for done, names in all_trained():
        training = done.training
        told = [f"on {training.on}", f"moves {training.moves}", f"step {done.kept}", done.ended]
        rows += [[done.field, done.named(name), done.weights if name else "", *told] for name in names or (None,)]
    return align(rows)


def _where(tap: Tap) -> str:
    return (f"stride {tap.stride}" if tap.kind == "map" else tap.kind) + (", signed" if tap.signed else "")


def align(rows: Sequence[Sequence[str]]) -> str:
    """Columns of text, two spaces apart."""
    rows = [[printable(cell) for cell in row] for row in rows]
    if not rows:
        return "none"
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)


def _indented(block: str, spaces: int = 2) -> str:
    return "\n".join(" " * spaces + line for line in block.splitlines())


def _bare(value: Any) -> str:
    """A default as it may be written in a method: words need no quotes."""
    return value if isinstance(value, str) else plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
