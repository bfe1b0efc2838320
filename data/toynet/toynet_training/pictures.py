"""The pictures toynet learns from, held in memory: rendered landmarks of the `network` set, and flat collages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

MINIMUM_FRACTION = 0.03  # of the frame that the landmark fills; less is too little to learn it from
MINIMUM_VISIBLE = 0.15  # of the landmark that no occluder and no frame hides


@dataclass(frozen=True)
class Pictures:
    """Labelled pictures on square canvases.

    Attributes
    ----------
    pixels : (N, 3, S, S) uint8; a picture fills the top left corner, its mirror image fills the rest.
    extents : (N, 2) float32, width and height of each picture in pixels.
    subjects : (N, 4) float32, box (x0, y0, x1, y1) of what the label names, in pixels.
    labels : (N,) int64, class of each picture, 0 .. n_classes - 1.
    classes : name of each class.
    """

    pixels: Tensor
    extents: Tensor
    subjects: Tensor
    labels: Tensor
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def digest(self) -> str:
        """SHA-256 over pixels and labels: the same pictures in the same order give the same digest."""
        total = hashlib.sha256()
        for tensor in (self.pixels, self.extents, self.subjects, self.labels):
            total.update(np.ascontiguousarray(tensor.numpy()).data)
        return total.hexdigest()


def read_network_set(folder: Path, canvas: int = 160, progress: bool = True) -> Pictures:
    """Read the rendered pictures below `folder` whose metadata say that their landmark can be seen.

    A picture's metadata is a row of an ``images.jsonl`` or a JSON file of its own (so that an unfinished set will do):
    its `name`, its `landmark`, and under `measured` its `fraction`, `visible` and `bbx`.

    Parameters
    ----------
    folder : searched with all its sub-folders.
    canvas : side of the square canvas in pixels; larger pictures are shrunk to it.

    Raises
    ------
    ValueError : no usable picture lies below `folder`.
    """
    files = {path.stem: path for path in sorted(folder.rglob("*.jpg"))}
    rows = {row["name"]: row for row in _metadata(folder) if _can_be_learnt(row)}
    names = sorted(rows.keys() & files.keys())
    if not names:
        raise ValueError(
            f"read_network_set: images must be a folder with rendered .jpg files and their metadata, got {folder} "
            f"({len(files)} .jpg files, {len(rows)} usable metadata rows); make it with data/toytown/make.py."
        )
    opened = (Image.open(files[name]).convert("RGB") for name in tqdm(names, "read", disable=not progress))
    boxes = [rows[name]["measured"]["bbx"] for name in names]
    return gather(opened, [_class_name(rows[name]) for name in names], canvas, boxes)


def gather(
    images: Iterable[Image.Image],
    classes: Sequence[str],
    canvas: int = 160,
    boxes: Sequence[Sequence[float]] | None = None,
) -> Pictures:
    """Put images onto canvases of `canvas` pixels; `boxes` of their subjects are the whole images if not given."""
    arrays, extents, subjects = [], [], []
    for number, image in enumerate(images):
        box = (0, 0, *image.size) if boxes is None else boxes[number]
        before = image.width
        image.thumbnail((canvas, canvas))
        subjects.append([value * image.width / before for value in box])
        pixels = np.asarray(image)
        height, width = pixels.shape[:2]
        below, right = canvas - height, canvas - width
        arrays.append(np.pad(pixels, ((0, below), (0, right), (0, 0)), mode="symmetric").transpose(2, 0, 1))
        extents.append((width, height))
    known = sorted(set(classes))
    number = {name: position for position, name in enumerate(known)}
    return Pictures(
        torch.from_numpy(np.stack(arrays)),
        torch.tensor(extents, dtype=torch.float32),
        torch.tensor(subjects, dtype=torch.float32),
        torch.tensor([number[name] for name in classes]),
        tuple(known),
    )


def join(first: Pictures, second: Pictures) -> Pictures:
    """Both sets, the classes of `second` numbered after those of `first`."""
    return Pictures(
        torch.cat([first.pixels, second.pixels]),
        torch.cat([first.extents, second.extents]),
        torch.cat([first.subjects, second.subjects]),
        torch.cat([first.labels, second.labels + len(first.classes)]),
        first.classes + second.classes,
    )


def _metadata(folder: Path) -> Iterator[dict[str, Any]]:
    """Metadata rows below `folder`; files of other shapes (a ground truth, say) are passed over."""
    for path in sorted(folder.rglob("*.jsonl")):
        yield from (json.loads(line) for line in path.read_text().splitlines() if line.strip())
    for path in sorted(folder.rglob("*.json")):
        content = json.loads(path.read_text())
        rows = content if isinstance(content, list) else [content]
        yield from (row for row in rows if isinstance(row, dict) and "measured" in row)


def _can_be_learnt(row: dict[str, Any]) -> bool:
    if row.get("landmark") is None:
        return False
    measured = row["measured"]
    return measured["fraction"] >= MINIMUM_FRACTION and measured["visible"] >= MINIMUM_VISIBLE


def _class_name(row: dict[str, Any]) -> str:
    return f"landmark-{int(row['landmark']):04d}"
