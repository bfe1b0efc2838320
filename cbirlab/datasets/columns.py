"""Columns: finds a list's columns by their names, and refuses names that could mean two things."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

from cbirlab.base.notices import notify
from cbirlab.base.text import printable
from cbirlab.datasets.lists import Sheet, number

_NAMES = {
    "path": "path file filename filepath image imagepath imagename imagefile img imgpath imgname picture photo",
    "instance": "instance instanceid instancename label labels class classid classname category identity object "
    "objectid landmark landmarkid product productid place placeid",
    "role": "role split evaluationstatus",
    "query": "query querypath queryimage queryfile",
    "label": "label labels judgement judgment relevance",
}
_FIELDS = {field: names.split() for field, names in _NAMES.items()}

_LEFT, _TOP = "x0 xmin minx left", "y0 ymin miny top"
_CORNERS = [
    *zip(_LEFT.split(), _TOP.split(), "x1 xmax maxx right".split(), "y1 ymax maxy bottom".split(), strict=True),
    ("x1", "y1", "x2", "y2"),
]
_SIZED = [
    (left, top, width, height)
    for left, top in (("left", "top"), ("xmin", "ymin"), ("minx", "miny"), ("x0", "y0"))
    for width, height in (("width", "height"), ("w", "h"))
]
_CENTRES = [(f"x{c}", f"y{c}") for c in ("center", "centre", "c")] + [
    (f"{c}x", f"{c}y") for c in ("center", "centre", "c")
]
_UNCLEAR = [("x", "y", *size) for size in (("w", "h"), ("width", "height"))] + [
    (*centre, *size) for centre in _CENTRES for size in (("w", "h"), ("width", "height"))
]
_BOX_WORDS = ("boundingbox", "bbox", "bbx", "box", "bb", "roi")
_WHOLE = ("", "es", "s", "xyxy", "xywh", "ltrb", "ltwh", "coordinates", "coords")
_EDGES = frozenset("x0 y0 x1 y1 x2 y2 xmin ymin xmax ymax minx miny maxx maxy left top right bottom".split())
_WANTED = "x0, y0, x1, y1 (corners in pixels) or left, top, width, height"


class Columns:
    """Which cell of a row holds which field.

    Parameters
    ----------
    sheet : the list.
    fields : those of `_NAMES` that are looked for.

    Raises
    ------
    ValueError : two columns for one field, or a box that could be read in two ways.
    """

    def __init__(self, sheet: Sheet, fields: Sequence[str]) -> None:
        self._sheet = sheet
        names = [_plain(name) for name in sheet.header]
        self.at = {field: place for field in fields if (place := _place(sheet, names, field)) is not None}
        if "instance" in fields and "instance" not in self.at and "id" in names and _repeats(sheet, names.index("id")):
            self.at["instance"] = names.index("id")
        self._box, self._sized = _box_places(sheet, names)
        self._lacking = [name for field in fields if field not in self.at for name in _FIELDS[field]]

    def __contains__(self, field: str) -> bool:
        return field in self.at

    def cell(self, row: Sequence[str], field: str) -> str:
        """The text of a field in a row; "" if the list has no such column."""
        return row[self.at[field]] if field in self.at else ""

    def warn_of_guesses(self) -> None:
        """Say which column is taken as the instance, if it is called otherwise."""
        name = self._sheet.header[self.at["instance"]] if "instance" in self.at else "instance"
        if not _plain(name).startswith("instance"):
            notify(
                f"{printable(self._sheet.file)}: the column {printable(name)!r} is taken as the instance, which says "
                "what an image shows; call it 'instance' if that is right."
            )

    @property
    def others(self) -> dict[str, int]:
        """Name and place of each column that is not used and not empty; one without a name is called ""."""
        used = {*self.at.values(), *self._box}
        return {
            name: place
            for place, name in enumerate(self._sheet.header)
            if place not in used and (name or _filled(self._sheet, place))
        }

    def warn_of_others(self, instead: str = "not used") -> None:
        """Warn of columns that are not used, and say what they may have been meant for and what becomes of them."""
        if unknown := [*self.others]:
            _warn_unknown(self._sheet, unknown, self._lacking + ([] if self._box else sorted(_EDGES)), instead)

    def box(self, line: int, row: Sequence[str]) -> tuple[float, float, float, float] | None:
        """The corners x0, y0, x1, y1 of a row, or None if its cells are empty.

        Raises
        ------
        ValueError : not four numbers, or an empty box.
        """
        edges = [row[place].strip() for place in self._box]
        if not any(edges):
            return None
        shown = ", ".join(self._sheet.header[place] for place in self._box)
        try:
            a, b, c, d = (number(edge, self._sheet.decimal_comma) for edge in edges)
        except ValueError:
            raise ValueError(f"{self._sheet.at(line)}: the box must be four numbers {shown}, got {edges}.") from None
        x0, y0, x1, y1 = (a, b, a + c, b + d) if self._sized else (a, b, c, d)
        if not (x0 < x1 and y0 < y1):
            raise ValueError(f"{self._sheet.at(line)}: the box must have x0 < x1 and y0 < y1, got {edges} for {shown}.")
        return x0, y0, x1, y1


def _plain(name: str) -> str:
    """A column's name reduced for comparison: no case, no spaces, no punctuation."""
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def _place(sheet: Sheet, names: Sequence[str], field: str) -> int | None:
    """The column of a field; the field's own name wins over its other names, of which only one may occur."""
    for own in ([name.casefold() for name in sheet.header], names):
        if own.count(field) == 1:
            return own.index(field)
    places = [place for place, name in enumerate(names) if name in _FIELDS[field]]
    if len(places) > 1:
        listed = " and ".join(repr(sheet.header[place]) for place in places)
        raise ValueError(
            f"{printable(sheet.file)}: the columns {listed} could both be the {field}; rename one of them to {field!r}."
        )
    return places[0] if places else None


def _repeats(sheet: Sheet, place: int) -> bool:
    """Whether a value occurs more than once in a column: numbers of rows do not."""
    values = [row[place].strip() for _, row in sheet.rows if row[place].strip()]
    return len({*values}) < len(values)


def _box_places(sheet: Sheet, names: Sequence[str]) -> tuple[tuple[int, ...], bool]:
    """Columns of the box, and whether the last two are its size."""
    bare = [_without_box(name) for name in names]
    for sized, forms in ((False, _CORNERS), (True, _SIZED)):
        found = [form for form in forms if all(bare.count(edge) == 1 for edge in form)]
        if len(found) == 1:
            return tuple(bare.index(edge) for edge in found[0]), sized
    unclear = next((form for form in _UNCLEAR if {*form} <= {*bare}), ())
    whole = [
        head for head, name, rest in zip(sheet.header, names, bare, strict=True) if rest != name and rest in _WHOLE
    ]
    edges = [head for head, rest in zip(sheet.header, bare, strict=True) if rest in _EDGES]
    wrong = [sheet.header[bare.index(edge)] for edge in unclear] or whole or edges
    if whole or len(wrong) > 1:
        why = "could be read in two ways" if unclear or whole else "do not make up a box"
        raise ValueError(
            f"{printable(sheet.file)}: the columns {', '.join(wrong)} {why}. Write the box as the columns {_WANTED}."
        )
    return (), False


def _without_box(name: str) -> str:
    """A name without the word "box" before or after it."""
    for word in _BOX_WORDS:
        if name.startswith(word):
            return name.removeprefix(word)
        if name.endswith(word):
            return name.removesuffix(word)
    return name


def _filled(sheet: Sheet, place: int) -> bool:
    return any(row[place].strip() for _, row in sheet.rows)


def _warn_unknown(sheet: Sheet, unknown: Sequence[str], known: Sequence[str], instead: str) -> None:
    hints = {name: get_close_matches(_plain(name), known, n=1, cutoff=0.8) for name in unknown}
    listed = ", ".join(
        (repr(printable(name)) if name else "without a name")
        + (f" (did you mean {hints[name][0]!r}?)" if hints[name] else "")
        for name in unknown
    )
    one = len(unknown) == 1
    notify(
        f"{printable(sheet.file)}: the column{'' if one else 's'} {listed} {'has' if one else 'have'} no meaning here "
        f"and {'is' if one else 'are'} {instead}."
    )
