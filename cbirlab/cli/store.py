"""``cbirlab store list | verify | prune``: the results that were computed and kept."""

from __future__ import annotations

import argparse
import datetime
import re
from collections.abc import Iterable, Sequence
from typing import Any

from cbirlab.cli.listing import align
from cbirlab.cli.options import days, size_bytes
from cbirlab.cli.saying import say
from cbirlab.store import Entry, Store


def add_actions(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="list what is in it, the most recently used first")
    verify = actions.add_parser(
        "verify", help="read everything and compare checksums; exit code 1 if something is damaged"
    )
    verify.add_argument(
        "--repair", action="store_true", help="remove what is damaged; it is computed again when needed"
    )
    prune = actions.add_parser("prune", help="remove runs left unfinished a day ago, and what the options say")
    prune.add_argument(
        "--keep",
        type=size_bytes,
        metavar="SIZE",
        help="keep the most recently used up to this size, e.g. 2GB; 0 empties the store",
    )
    prune.add_argument("--older-than", type=days, metavar="DAYS", help="remove what was not used for so many days")
    for action in (listing, verify, prune):
        action.add_argument("--store", metavar="FOLDER", help="(default: CBIRLAB_STORE or the platform's cache folder)")


def command(given: Any) -> int:
    """Carry out ``cbirlab store``."""
    kept = Store(given.store)
    if given.action == "list":
        entries = kept.entries()
        if entries:
            say(f"{_listing(entries)}\n\n{_totals(entries, kept.size())}\n")
        say(f"{len(entries) or 'no'} entries in {kept.path}")
        return 0
    if given.action == "verify":
        damaged = kept.verify(repair=given.repair)
        for name, problem in damaged.items():
            say(f"{name}: {problem}" + (" Removed." if given.repair else ""))
        say(f"{len(kept.entries())} entries are sound, {len(damaged)} damaged in {kept.path}")
        return 1 if damaged and not given.repair else 0
    freed = kept.prune(keep_bytes=given.keep, older_than_days=given.older_than)
    say(f"{_size(freed)} freed, {_size(kept.size())} left in {kept.path}")
    return 0


_HEAD = ["last used", "size", "entries", "kind", "dataset", "backbone", "weights", "tap", "picture", "what"]
_BRACKETS = re.compile(r"\([^()]*\)")
_METHODS = ("whitening", "aggregation", "features", "codebook", "compression", "rerank")


def _listing(entries: Sequence[Entry]) -> str:
    """A table of what is kept, the most recently used first: one line for all methods and parts at one tap."""
    groups: dict[tuple[str, ...], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((entry.kind, *_maker(entry)), []).append(entry)
    rows = []
    for maker, group in groups.items():
        used = datetime.datetime.fromtimestamp(max(entry.used for entry in group)).strftime("%Y-%m-%d %H:%M")
        size = _size(sum(entry.size_bytes for entry in group))
        rows.append([used, f"{size:>8}", f"{len(group):>7}", *maker, _methods(map(_method, group))])
    return align([_HEAD, *rows])


def _maker(entry: Entry) -> tuple[str, ...]:
    """What descriptors and pictures are of, and what made them; other entries do not say."""
    facts, notes = entry.specification, entry.notes
    if "backbone" not in facts:
        return ("",) * 5
    weights = str(notes.get("weights") or "").partition("@")[0]
    size = f"{facts.get('image_size', '')} px"
    return str(notes.get("dataset", "")), str(facts["backbone"]), weights, str(facts.get("tap", "")), size


def _method(entry: Entry) -> str:
    facts = entry.specification
    if entry.kind == "projection":
        return f"{facts.get('method', '')}(seed={facts.get('seed', '')})"
    if entry.kind == "index":
        return " of ".join(str(facts[name]) for name in ("index", "compression") if facts.get(name))
    if entry.kind == "neighbours":
        return "copies" if "copies" in facts else f"{facts.get('k', '')} of each image"
    return next((str(facts[name]) for name in _METHODS if facts.get(name)), "")


def _methods(texts: Iterable[str]) -> str:
    """Methods in one line: a slider leaves twenty settings of one, which only count."""
    settings: dict[str, set[str]] = {}
    for text in texts:
        settings.setdefault(_BRACKETS.sub("", text), set()).add(text)
    return ", ".join(
        f"{name} ({len(several)} settings)" if len(several) > 1 else min(several) for name, several in settings.items()
    )


def _totals(entries: Sequence[Entry], whole_bytes: int) -> str:
    """Number and size of the entries of each kind, and of what is no entry."""
    sizes: dict[str, list[int]] = {}
    for entry in entries:
        sizes.setdefault(entry.kind, []).append(entry.size_bytes)
    rows = [[kind, f"{len(own):>7}", f"{_size(sum(own)):>8}"] for kind, own in sizes.items()]
    rest = whole_bytes - sum(entry.size_bytes for entry in entries)
    rows.append(["notes and unfinished runs", "", f"{_size(max(0, rest)):>8}"])
    return align([*rows, ["together", f"{len(entries):>7}", f"{_size(whole_bytes):>8}"]])


def _size(size_bytes: int) -> str:
    size = float(size_bytes)
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
