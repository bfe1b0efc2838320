"""``cbirlab store list | verify | prune``: the results that were computed and kept."""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Sequence
from typing import Any

from cbirlab.cli.listing import align
from cbirlab.cli.options import days, size_bytes
from cbirlab.cli.saying import say
from cbirlab.store import Entry, Store

PICTURES = "pictures"


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
        rows = [_entry_row(entry) for entry in entries if entry.kind != PICTURES] + _picture_rows(entries)
        say(align(rows) if rows else "no entries")
        say(f"{len(entries)} entries, {_size(kept.size())} in {kept.path}")
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


def _entry_row(entry: Entry) -> list[str]:
    facts, notes = entry.specification, entry.notes
    if entry.kind == "fitted":
        names = ("whitening", "aggregation", "codebook", "compression")
        what = [next((str(facts[name]) for name in names if facts.get(name)), ""), "", "", "", ""]
    elif entry.kind == "projection":
        what = [f"{facts.get('method', '')} map, seed {facts.get('seed', '')}", "", "", "", ""]
    elif entry.kind == "index":
        what = [str(facts.get("index", "")), str(facts.get("compression", "")), "", "", ""]
    elif entry.kind == "neighbours":
        of = "copies" if "copies" in facts else f"{facts.get('k', '')} of each image"
        what = [of, "", "", "", ""]
    else:
        what = [
            f"{notes.get('dataset', '')}/{notes.get('part', '')}",
            f"{facts.get('backbone', '')} ({notes.get('weights', '')})",
            str(facts.get("tap", "")),
            str(facts.get("aggregation", "")),
            f"{facts.get('image_size', '')} px",
        ]
    return [entry.key[:12], _day(entry), _size(entry.size_bytes), entry.kind, *what]


def _picture_rows(entries: Sequence[Entry]) -> list[list[str]]:
    """One row for all pictures of a dataset that have the same features: each picture is an entry of its own."""
    groups: dict[tuple[str, ...], list[Entry]] = {}
    for entry in entries:
        if entry.kind == PICTURES:
            facts = entry.specification
            what = [f"{facts.get(name, '')}" for name in ("backbone", "tap", "features")]
            groups.setdefault(
                (f"{entry.notes.get('dataset', '')}", *what, f"{facts.get('image_size', '')} px"), []
            ).append(entry)
    return [
        [f"{len(group)} entries", _day(group[0]), _size(sum(entry.size_bytes for entry in group)), PICTURES, *what]
        for what, group in groups.items()
    ]


def _day(entry: Entry) -> str:
    return datetime.datetime.fromtimestamp(entry.used).strftime("%Y-%m-%d %H:%M")


def _size(size_bytes: int) -> str:
    size = float(size_bytes)
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
