"""Small files of the store: JSON objects that carry their own checksum."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from cbirlab.store.files import FORMAT, DamagedEntry, digest, folders, unseal

KINDS = ("descriptors", "fitted", "projection", "index", "neighbours", "pictures", "graphs")
"""Kinds of entries: those that are listed, checked and pruned."""

NOTES = ("images", "orders", "views")
_CHECKSUM = ', "checksum": "'
_NOTES = {"dataset", "part", "weights", "skipped", "pass_ms", "key"}


def known(kind: str) -> str:
    """A kind of entries.

    Raises
    ------
    ValueError : it is not in `KINDS`.
    """
    if kind not in KINDS:
        raise ValueError(f"Store: kind must be one of {', '.join(map(repr, KINDS))}, got {kind!r}.")
    return kind


def seal_json(content: Mapping[str, Any]) -> str:
    """A JSON object whose last member is the checksum of everything before it."""
    body = json.dumps(content, allow_nan=False)
    return f'{body[:-1]}{_CHECKSUM}{sha256(body.encode()).hexdigest()}"}}'


def unseal_json(text: str) -> tuple[dict[str, Any], bool]:
    """The object that `sealed_json` wrote, and whether a checksum confirms it; older files have none.

    Raises
    ------
    ValueError : the text is not as it was written.
    """
    body, mark, checksum = text.rpartition(_CHECKSUM)
    if mark and checksum != f'{sha256(f"{body}}}".encode()).hexdigest()}"}}':
        raise ValueError("the checksum differs")
    found = json.loads(f"{body}}}" if mark else text)
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")
    return found, bool(mark)


def read_meta(folder: Path) -> dict[str, Any]:
    """Contents of an entry's meta.json, or DamagedEntry."""
    try:
        meta, sealed = unseal_json((folder / "meta.json").read_text(encoding="utf-8"))
        sound = meta["format"] == FORMAT and digest(meta["specification"]) == folder.name
        sound = sound and set(meta) == {"format", "specification", "notes", "arrays"}
        sound = sound and all({"bytes", "sha256"} == set(facts) for facts in meta["arrays"].values())
        sound = sound and (sealed or _sound_notes(meta["notes"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        sound = False
    if not sound:
        raise DamagedEntry("meta.json has changed since it was written.")
    return meta


def _sound_notes(notes: Mapping[str, Any]) -> bool:
    """Whether notes of an older version, which had no checksums, have the form that all of those had."""
    skipped, spent = notes.get("skipped", {}), notes.get("pass_ms")
    rows = all(row.isdecimal() and isinstance(reason, str) for row, reason in skipped.items())
    return set(notes) <= _NOTES and rows and (spent is None or isinstance(spent, int | float))


def read_note(path: Path) -> dict[str, Any]:
    """A small file kept for speed; empty if it is missing, or so old that it has no checksum.

    Raises
    ------
    DamagedEntry : the file is not as it was written.
    """
    try:
        text = path.read_text(encoding="utf-8")
        found, sealed = unseal_json(text)
    except OSError:
        return {}
    except ValueError as error:
        raise DamagedEntry("it has changed since it was written.") from error
    if not sealed and not text.endswith("]}"):  # the ending that all old ones had
        raise DamagedEntry("it has changed since it was written.")
    return found if sealed else {}


def small_files(store: Path) -> Iterator[tuple[Path, Callable[[], Any]]]:
    """Small files of a store that are not entries, each with a function that raises DamagedEntry if it is damaged."""
    for kind in NOTES:
        for path in _files(store / kind):
            yield path, partial(read_note, path)
    for run in folders(store / "partial"):
        for shard in folders(run):
            for path in _files(shard):
                yield path, partial(_check_shard, path)


def _files(folder: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(path for path in folder.iterdir() if path.is_file())
    return []


def _check_shard(path: Path) -> None:
    if unseal(path.read_bytes()) is None:
        raise DamagedEntry("it does not match its checksum.")
