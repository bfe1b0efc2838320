"""Toytown, the bundled benchmark: rendered landmarks, exact ground truth in the revisited Oxford/Paris form."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cbirlab.datasets.base import Dataset, Query
from cbirlab.datasets.bundled import data_folder

LABELS = ("easy", "hard", "junk")


def toytown(folder: str | Path | None = None, *, image_size: int = 320) -> Dataset:
    """The bundled benchmark, or another folder of the same form.

    The form: ``images/``, ``train/``, ``gnd_<name>.json`` and, for the metadata, ``images.jsonl``.

    Metadata: ``images``, ``queries`` and ``train`` hold one row per image (camera, sun, weather, occluders, measured
    visibility), in the order of the dataset; ``pairs`` holds per query the overlap, viewpoint, scale, light and
    occlusion of each easy and hard image.

    Parameters
    ----------
    folder : None for the bundled one.
    image_size : long side in pixels; the bundled images have 320.

    Raises
    ------
    FileNotFoundError : no such folder, no ground truth in it, or images that it names are missing.
    ValueError : a ground-truth file that is not in this form.
    """
    folder = data_folder() / "toytown" if folder is None else Path(folder).expanduser()
    truth_file = _truth_file(folder)
    truth = _read_truth(truth_file)
    names = [*truth["imlist"], *truth["qimlist"]]
    paths = dict(zip(names, _existing(folder / "images", names), strict=True))
    train = tuple(sorted((folder / "train").glob("*.jpg")))
    rows = _rows(folder / "images.jsonl")
    name = truth_file.stem.removeprefix("gnd_")
    return Dataset(
        name=name,
        images=tuple(paths[image] for image in truth["imlist"]),
        queries=tuple(
            Query(paths[image], _box(one)) for image, one in zip(truth["qimlist"], truth["gnd"], strict=True)
        ),
        labels=tuple({label: tuple(one[label]) for label in LABELS} for one in truth["gnd"]),
        protocol="revisited",
        train=train,
        train_name=f"{name}/train" if train else "",
        train_instances=tuple(_instance(rows.get(path.stem, {})) for path in train) if rows else (),
        image_size=image_size,
        instances=tuple(_instance(rows[image]) for image in truth["imlist"]) if rows else (),
        metadata={
            "images": [rows.get(image, {}) for image in truth["imlist"]],
            "queries": [rows.get(image, {}) for image in truth["qimlist"]],
            "train": [rows.get(path.stem, {}) for path in train],
            "pairs": [one.get("pairs", {}) for one in truth["gnd"]],
        },
    )


def _truth_file(folder: Path) -> Path:
    files = sorted(folder.glob("gnd_*.json"))
    if len(files) != 1:
        found = ", ".join(file.name for file in files) or "none"
        raise FileNotFoundError(f"{folder}: a folder in the Toytown form has exactly one gnd_*.json, found {found}.")
    return files[0]


def _read_truth(file: Path) -> Mapping[str, Any]:
    try:
        truth = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file}: not valid JSON ({error}).") from error
    if not isinstance(truth, dict) or not {"imlist", "qimlist", "gnd"} <= truth.keys():
        raise ValueError(f"{file}: ground truth needs the keys imlist, qimlist and gnd.")
    if len(truth["qimlist"]) != len(truth["gnd"]):
        raise ValueError(f"{file}: {len(truth['qimlist'])} queries but {len(truth['gnd'])} ground-truth entries.")
    for query, one in zip(truth["qimlist"], truth["gnd"], strict=True):
        rows = [row for label in LABELS for row in one[label]]
        if len(set(rows)) != len(rows) or any(not 0 <= row < len(truth["imlist"]) for row in rows):
            raise ValueError(f"{file}: {query} must label each database image at most once, by its index in imlist.")
    return truth


def _existing(folder: Path, names: Iterable[str]) -> list[Path]:
    present = {path.name for path in folder.glob("*.jpg")}
    missing = [name for name in names if f"{name}.jpg" not in present]
    if missing:
        raise FileNotFoundError(
            f"{folder}: {len(missing)} images named in the ground truth are missing, the first is {missing[0]}.jpg."
        )
    return [folder / f"{name}.jpg" for name in names]


def _rows(file: Path) -> dict[str, dict[str, Any]]:
    """The facts about each image, by its name; a benchmark without this file works, only its metadata stays empty."""
    if not file.is_file():
        return {}
    with file.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines if line.strip()]
    return {row["name"]: row for row in rows}


def _box(one: Mapping[str, Any]) -> tuple[float, float, float, float] | None:
    box = one.get("bbx")
    return None if box is None else (float(box[0]), float(box[1]), float(box[2]), float(box[3]))


def _instance(row: Mapping[str, Any]) -> str:
    return "" if row.get("landmark") is None else str(row["landmark"])
