"""From finished images to the files of a set: rows, ground truth, patches and checksums."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from . import groundtruth
from .sets import Item
from .work import load_patches, rows, write_atomically

CHECKED = ("images/*.jpg", "train/*.jpg", "gnd_toytown.json", "images.jsonl", "patches.npz", "contact_sheet.jpg")


def database_order(rows_: Sequence[dict]) -> list[dict]:
    """Database rows in an order that tells nothing about what they show: by the hash of their names."""
    return sorted(
        (row for row in rows_ if row["role"] != "query"),
        key=lambda row: hashlib.sha256(row["name"].encode()).hexdigest(),
    )


def write_groundtruth(items: Sequence[Item], work: Path, path: Path) -> dict:
    """Write and return the ground truth of a finished benchmark."""
    found = rows(items, work)
    queries = [row for row in found if row["role"] == "query"]
    truth = groundtruth.build(queries, database_order(found), lambda name: load_patches(work, name))
    write_atomically(path, json.dumps(truth, separators=(",", ":")).encode())
    return truth


def write_patches(items: Sequence[Item], work: Path, path: Path) -> None:
    """Write the patches of all images: names, and each one's slice of ids and counts between two offsets."""
    shown = [item.name for item in items if item.landmark is not None]
    parts = [load_patches(work, name) for name in shown]
    offsets = np.cumsum([0] + [len(ids) for ids, _ in parts])
    file = io.BytesIO()
    np.savez_compressed(
        file,
        names=np.array(shown),
        offsets=offsets.astype(np.int64),
        ids=np.concatenate([ids for ids, _ in parts]).astype(np.uint32),
        counts=np.concatenate([counts for _, counts in parts]).astype(np.uint16),
    )
    write_atomically(path, file.getvalue())


def write_rows(found: Sequence[dict], path: Path) -> None:
    """Write rows as JSON Lines."""
    lines = [json.dumps(row, separators=(",", ":")) for row in found]
    write_atomically(path, ("\n".join(lines) + "\n").encode())


def write_checksums(folder: Path) -> int:
    """Write SHA256SUMS over the published files; returns how many."""
    files = sorted(path for pattern in CHECKED for path in folder.glob(pattern))
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}" for path in files
    ]
    write_atomically(folder / "SHA256SUMS", ("\n".join(lines) + "\n").encode())
    return len(files)


def summary(truth: dict) -> str:
    """Mean numbers of easy, hard and junk images per query, and how many queries lack an easy one."""
    counts = {key: np.mean([len(entry[key]) for entry in truth["gnd"]]) for key in ("easy", "hard", "junk")}
    bare = sum(not entry["easy"] for entry in truth["gnd"])
    means = ", ".join(f"{value:.2f} {key}" for key, value in counts.items())
    return f"{len(truth['qimlist'])} queries, {len(truth['imlist'])} images: {means} per query; {bare} without easy"
