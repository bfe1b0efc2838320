"""Exercises of notebook 16: does what was learned on one kind of picture help on another?"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image, ImageFilter, ImageOps

from cbirlab.datasets import load_dataset
from cbirlab.exercises.base import Solution, exercise


def _edges(image: Image.Image) -> Image.Image:
    found = image.convert("L").filter(ImageFilter.GaussianBlur(1)).filter(ImageFilter.FIND_EDGES)
    return ImageOps.invert(ImageOps.autocontrast(found))


LOOKS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "negative": ImageOps.invert,
    "grey": ImageOps.grayscale,
    "sketch": _edges,
}
"""What can be done to all pictures of a dataset: dark and light exchanged, no colour, edges alone."""


def another_look(dataset: str | Path, look: str = "negative") -> str:
    """All pictures of a dataset in another look, written to a folder that vanishes with this process.

    They show the same instances from the same places, so the ground truth is the same. Real domains differ in what
    their pictures show as well.

    Parameters
    ----------
    dataset : "toytown", another dataset in its form, or a folder with a sub-folder per instance.
    look : a name in `LOOKS`.

    Returns
    -------
    The folder, named like the look.

    Raises
    ------
    ValueError : no such look.
    """
    if look not in LOOKS:
        raise ValueError(f"another_look: look must be one of {', '.join(LOOKS)}, got {look!r}.")
    return str(_written(str(dataset), look))


@cache
def _written(dataset: str, look: str) -> Path:
    loaded = load_dataset(dataset)
    paths = {*loaded.images, *(query.path for query in loaded.queries), *loaded.train}
    root = Path(os.path.commonpath([path.parent for path in paths]))
    folder = Path(_room().name) / str(len(os.listdir(_room().name))) / look
    for path in sorted(paths):
        copy = folder / path.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
        LOOKS[look](upright).convert("RGB").save(copy, quality=90)
    for truth in root.glob("gnd_*.json"):
        shutil.copy(truth, folder / f"gnd_{look}.json")
    for facts in root.glob("images.jsonl"):
        shutil.copy(facts, folder)
    return folder


@cache
def _room() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="cbirlab-looks-")


def cell(table: Any, source: str, target: str, whitening: str = "lw") -> Any:
    """The row of a table of `cbirlab.adaptation.matrix.matrix` for a source, a target and a whitening's name."""
    named = table["whitening"].map(lambda text: str(text).partition("(")[0] == whitening)
    return table[(table["source"] == source) & (table["target"] == target) & named].iloc[0]


@exercise("16_domain_shift.prediction", title="Cells that clearly gain")
def prediction(table: Any, whitening: str = "lw") -> Solution:
    """`table`: of `cbirlab.adaptation.matrix.matrix`, two sources and two targets."""
    rows = table[table["whitening"].map(lambda text: str(text).partition("(")[0] == whitening)]
    gains = rows[rows["clear"] & (rows["difference"] > 0)]
    losses = int((rows["clear"] & (rows["difference"] < 0)).sum())
    own = int((gains["source"] == gains["target"]).sum())
    return Solution(
        answer=len(gains),
        why=f"{own} of them learned on its own kind of picture; {losses} cells clearly lose, and of "
        f"{len(rows) - len(gains) - losses} one cannot tell.",
        hints=(f"Count the blue cells of {whitening}.", "Grey cells hold 0 in their interval; orange ones lose."),
    )


@exercise("16_domain_shift.1", title="Proxy A-distance by hand")
def proxy_a(right: int = 90, rows: int = 100) -> Solution:
    """Of so many unseen rows, so many were put on the right side."""
    error = 1 - right / rows
    return Solution(
        answer=2 * (1 - 2 * error),
        why="Half of the rows are right by chance, so only what is beyond counts.",
        hints=("The error is a share, 1 in 10.", "2 (1 - 2 e); with e = 1/2 it is 0."),
        mistakes=(
            (1 - 2 * error, "That is half of it: it goes up to 2."),
            (2 * (1 - error), "An error of 1/2 must give 0: take 2 e from 1."),
            (2 * right / rows - 1, "That is half of it: it goes up to 2."),
        ),
    )


@exercise("16_domain_shift.2", title="MMD by hand")
def mmd(within: Sequence[float] = (0.9, 0.8), between: float = 0.5) -> Solution:
    """Squared MMD of the mean similarities within two samples and between them."""
    found = sum(within) - 2 * between
    return Solution(
        answer=found,
        why="It is 0 if rows are as alike between the samples as within them.",
        hints=("Add the two within, and take away twice that between.",),
        mistakes=((sum(within) - between, "The similarity between them counts twice."),),
    )


@exercise("16_domain_shift.3", title="The tap at which the domains are nearest")
def nearest_tap(shift: Any) -> Solution:
    """`shift`: of `cbirlab.adaptation.shift.domain_shift`."""
    rows = shift.set_index("tap")
    near, told = str(rows["mmd"].idxmin()), str(rows["proxy_a"].idxmin())
    also = "The classifier agrees" if told == near else f"By the classifier it is {told}: the two need not agree"
    return Solution(
        answer=near,
        why=f"{rows['mmd'][near]:.3f}, and {rows['mmd'].max():.3f} at {rows['mmd'].idxmax()}. {also}, and neither "
        "says what happens to mAP.",
        hints=("The smallest value of the column mmd.",),
    )


@exercise("16_domain_shift.4", title="What was forgotten")
def forgotten(table: Any, source: str, target: str, whitening: str = "lw") -> Solution:
    """`table`: of `cbirlab.adaptation.matrix.matrix`; learned on `source`, judged on the other pictures, `target`."""
    row = cell(table, source, target, whitening)
    value, gained = float(row["difference"]), float(cell(table, source, source, whitening)["difference"])
    back = float(cell(table, target, source, whitening)["difference"])
    others = ((gained, "That is on its own kind of picture."), (back, "Source and target are exchanged."))
    return Solution(
        answer=value,
        why=f"The interval is [{row['low']:+.3f}, {row['high']:+.3f}]; on its own kind it has {gained:+.3f}.",
        hints=("Find the row of the source and the column of the target.", "The sign counts: a loss is negative."),
        mistakes=tuple((wrong, said) for wrong, said in others if abs(wrong - value) > 0.05 * abs(value)),
        tolerance=0.01,
    )
