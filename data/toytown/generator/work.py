"""Making many images: one landmark after another in each process, skipping what is there already."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from .sets import Item

_studio = None


def make(items: Sequence[Item], images: Path, work: Path, jobs: int) -> Iterator[int]:
    """Make the images that are missing; yields the number of images done each time a landmark is.

    Parameters
    ----------
    images : folder of the JPEG files.
    work : folder of one JSON row and one npz of surface patches per image.
    jobs : number of processes.
    """
    images.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    groups = [list(group) for _, group in groupby(items, key=_landmark_key)]
    tasks = []
    for group in groups:
        missing = [item for item in group if not _is_done(item, images, work)]
        if len(missing) < len(group):
            yield len(group) - len(missing)
        if missing:
            tasks.append((missing, str(images), str(work)))
    if jobs <= 1:
        yield from map(_make_group, tasks)
        return
    environment = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    for name, value in environment.items():
        os.environ.setdefault(name, value)
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap(_make_group, tasks)


def rows(items: Sequence[Item], work: Path) -> list[dict]:
    """Metadata rows of finished images, in the order of `items`."""
    return [json.loads((work / f"{item.name}.json").read_text(encoding="utf-8")) for item in items]


def load_patches(work: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Patch numbers (k,) and counts (k,) of a finished image."""
    with np.load(work / f"{name}.npz") as arrays:
        return arrays["ids"], arrays["counts"]


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file that is either complete or not there."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(data)
    temporary.replace(path)


def _landmark_key(item: Item) -> tuple:
    request = item.request
    return request.namespace, request.role == "street", request.landmark


def _is_done(item: Item, images: Path, work: Path) -> bool:
    parts = images / f"{item.name}.jpg", work / f"{item.name}.json", work / f"{item.name}.npz"
    return all(path.exists() for path in parts)


def _make_group(task: tuple[list[Item], str, str]) -> int:
    global _studio
    from .shots import Studio

    items, images, work = task[0], Path(task[1]), Path(task[2])
    if _studio is None:
        _studio = Studio()
    for item in items:
        shot = _studio.shoot(item.request)
        row = {
            "name": item.name, "split": item.split, "role": item.role, "landmark": item.landmark, **shot.metadata,
            "sha256": hashlib.sha256(shot.jpeg).hexdigest(),
        }  # fmt: skip
        temporary = work / f"{item.name}.{os.getpid()}.tmp.npz"
        np.savez_compressed(temporary, ids=shot.patch_numbers, counts=shot.patch_counts)
        temporary.replace(work / f"{item.name}.npz")
        write_atomically(work / f"{item.name}.json", json.dumps(row).encode())
        write_atomically(images / f"{item.name}.jpg", shot.jpeg)  # last: its presence says all is there
    return len(items)
