"""A contact sheet: queries with their boxes and some of their easy, hard and junk images, and distractors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from . import seeds

_ROWS, _CELL, _GAP, _LABEL = 8, 160, 6, 14
# label, colour, frame width: told apart by text and width as well, not by colour alone
_STYLES = {
    "query": ("#1f5fbf", 5),
    "easy": ("#1a8f3c", 3),
    "hard": ("#e08a00", 3),
    "junk": ("#808080", 1),
    "distractor": ("#c02020", 1),
}
_PLAN = (("easy", 2), ("hard", 3), ("junk", 1), ("distractor", 1))


def write(folder: Path, path: Path) -> None:
    """Draw the sheet of the benchmark in `folder`; a row has a query, 2 easy, 3 hard, 1 junk and 1 distractor."""
    truth = json.loads((folder / "gnd_toytown.json").read_text(encoding="utf-8"))
    rng = seeds.rng("contact sheet")
    full = [i for i, entry in enumerate(truth["gnd"]) if all(len(entry[k]) >= n for k, n in _PLAN[:3])]
    chosen = [full[i] for i in np.linspace(0, len(full) - 1, min(_ROWS, len(full))).astype(int)]
    others = [name for name in truth["imlist"] if name.startswith("distractor")]
    columns = 1 + sum(n for _, n in _PLAN)
    step = _CELL + _GAP
    page = Image.new("RGB", (columns * step + _GAP, len(chosen) * (step + _LABEL) + _GAP), "white")
    for row, query in enumerate(chosen):
        entry = truth["gnd"][query]
        cells = [("query", truth["qimlist"][query])]
        for kind, count in _PLAN:
            pool = others if kind == "distractor" else [truth["imlist"][i] for i in entry[kind]]
            cells += [(kind, pool[i]) for i in rng.choice(len(pool), count, replace=False)]
        for column, (kind, name) in enumerate(cells):
            box = entry["bbx"] if kind == "query" else None
            place = _GAP + column * step, _GAP + row * (step + _LABEL)
            _draw(page, folder / "images" / f"{name}.jpg", place, kind, box)
    page.save(path, quality=80, optimize=True)


def _draw(page: Image.Image, file: Path, place: tuple[int, int], kind: str, box) -> None:
    colour, frame = _STYLES[kind]
    with Image.open(file) as image:
        scale = (_CELL - 2 * frame) / max(image.size)
        small = image.convert("RGB").resize((round(image.width * scale), round(image.height * scale)))
    draw = ImageDraw.Draw(page)
    x, y = place
    draw.text((x, y), kind, fill=colour)
    y += _LABEL
    draw.rectangle((x, y, x + small.width + 2 * frame - 1, y + small.height + 2 * frame - 1), fill=colour)
    page.paste(small, (x + frame, y + frame))
    if box is not None:
        corners = [x + frame + box[0] * scale, y + frame + box[1] * scale]
        corners += [x + frame + box[2] * scale, y + frame + box[3] * scale]
        draw.rectangle(corners, outline="#ffd400", width=2)
