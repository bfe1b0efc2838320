"""Saving: what a page would hold is planned, refused if it is too large, then prepared and written in one step."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.base.aside import written_aside
from cbirlab.projection import PROJECTIONS
from cbirlab.widgets.parts.gallery import Thumbnails
from cbirlab.widgets.parts.state import Setting, usual_start
from cbirlab.widgets.shared_page.choosing import Plan, choose, lay_out
from cbirlab.widgets.shared_page.packing import TEXT_PER_BYTE
from cbirlab.widgets.shared_page.preparing import draw_maps, prepare, questions_of
from cbirlab.widgets.shared_page.writing import html_of

if TYPE_CHECKING:
    from cbirlab.live import Session

SHOWN, SIDE, LIMIT_MB = 50, 144, 40
MOST_SETTINGS = 5000
_SAMPLE = 24  # thumbnails that are made to tell the size of all
_SCRIPTS = 150_000


def save_page(
    path: str | Path,
    session: Session,
    *,
    taps: Iterable[str] | None = None,
    aggregations: Iterable[str] | None = None,
    whitenings: Iterable[str] | None = None,
    dimensions: Iterable[int | None] | None = None,
    codes: Iterable[str] | None = None,
    rerankings: Iterable[str] | None = None,
    shown: int = SHOWN,
    maps: Sequence[str] = ("pca",),
    side: int = SIDE,
    limit_mb: float = LIMIT_MB,
    sides: Sequence[Setting] = (),
    question: int = 0,
    compared: bool = False,
    progress: bool = True,
) -> Path:
    """Write a page that shows these settings without server and kernel: one HTML file, to be opened or sent as it is.

    Every combination of the values is ranked for every query. The page has a slider or a menu for each argument that
    has several values, and opens on `sides`.

    >>> save_page("page.html", Session("toytown"), aggregations=["gem"], whitenings=["none", "pca"])

    Parameters
    ----------
    taps : all of the network by default.
    aggregations : poolings and encodings; a bare name such as "gem" stands for every stop of its sliders. By default
        MAC, SPoC and GeM.
    whitenings : "none" and "pca" by default.
    dimensions : numbers of dimensions kept after whitening; None is all of them, the default.
    codes, rerankings : none by default.
    shown : results of each list.
    maps : projections, each of every setting; PCA takes a few hundredths of a second each, UMAP some seconds. Empty for
        no map, and then only pictures that some list shows are in the page.
    side : long side of the thumbnails in pixels.
    limit_mb : a page that would be larger is refused before anything is ranked.
    sides : one or two settings to open on; their values are added to those that are not given.
    question : row of the queries to open on, or of the images if the dataset has no queries.
    compared : whether the page opens with both sides.

    Returns
    -------
    The path. The file is written aside and put in its place in one step; a file that was there is replaced. Settings
    that turn out to be impossible, such as a code of more bits than there are dimensions, are named in a warning, and
    the page says why where they are chosen.

    Raises
    ------
    ValueError : no value for a control; no such tap; no setting is possible; too many settings, or too large a page.
    UnknownName, TypeError : a method that is not registered, or a parameter that it lacks.
    """
    target = Path(path).expanduser()
    _check_numbers(shown, side)
    for name in maps:
        PROJECTIONS.info(name)
    values: dict[str, Any] = {"taps": taps, "aggregations": aggregations, "whitenings": whitenings}
    values |= {"dimensions": dimensions, "codes": codes, "rerankings": rerankings}
    plan = lay_out(session, choose(session, sides, values))
    thumbnails = Thumbnails.of_dataset(session.dataset, side=side)
    _check_size(session, plan, thumbnails, shown, maps, limit_mb)
    made = prepare(session, plan.settings, shown, progress=progress)
    draw_maps(made, session, plan.settings, maps, progress=progress)
    start = {"question": question, "compared": compared, "sides": _positions(session, plan, made.impossible, sides)}
    html = html_of(made, session, plan, thumbnails, start).encode("utf-8")
    target.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(target) as aside:
        aside.write_bytes(html)
    return target


def _check_numbers(shown: int, side: int) -> None:
    for name, value, low, high in (("shown", shown, 1, 1000), ("side", side, 32, 1024)):
        if not low <= value <= high:
            raise ValueError(f"save_page: {name} must be a whole number in [{low}, {high}], got {value!r}.")


def _check_size(
    session: Session, plan: Plan, thumbnails: Thumbnails, shown: int, maps: Sequence[str], limit_mb: float
) -> None:
    """Refuse a page of too many settings, or one that may become larger than the limit; nothing is ranked before."""
    count, images = len(plan.settings), len(session.dataset.images)
    if count > MOST_SETTINGS:
        raise ValueError(
            f"save_page: there can be {MOST_SETTINGS:,} settings at most, these are {count:,}; name fewer taps, "
            "aggregations (a bare name stands for all stops of its sliders), whitenings or dimensions."
        )
    questions, first = len(questions_of(session)), min(shown, images)
    sample = [*range(len(thumbnails))][:: max(1, len(thumbnails) // _SAMPLE)]
    listed = len(thumbnails) if maps else min(len(thumbnails), questions * (1 + count * first))
    parts = {
        "rankings": questions * count * first * (2 if images < 2**16 else 4) * 2,
        "maps": 4 * len(maps) * count * len(thumbnails),
        "thumbnails": listed * sum(len(thumbnails[item]) for item in sample) // max(1, len(sample)),
    }
    size = (TEXT_PER_BYTE * sum(parts.values()) + _SCRIPTS) / 1e6
    if size <= limit_mb:
        return
    largest = max(parts, key=lambda name: parts[name])
    smaller = {
        "rankings": "fewer settings (taps, aggregations, whitenings, dimensions) or a smaller shown",
        "maps": "fewer settings, or maps=() for none",
        "thumbnails": "a smaller side, or maps=() for only the pictures that some list shows",
    }
    written = ", ".join(f"{name} {TEXT_PER_BYTE * number / 1e6:.1f} MB" for name, number in parts.items())
    raise ValueError(
        f"save_page: {count:,} settings of {questions:,} queries would make a page of up to {size:.1f} MB ({written}), "
        f"and limit_mb is {limit_mb:g}; what makes it smaller is {smaller[largest]}. Or give a larger limit_mb."
    )


def _positions(session: Session, plan: Plan, impossible: Container[int], sides: Sequence[Setting]) -> list[list[int]]:
    """Where the controls of A and B stand when the page opens: as on `sides`, or as panels start."""
    wanted = [place for place in map(plan.place, sides) if place and plan.numbers[tuple(place)] not in impossible]
    if not wanted:
        usual = usual_start(session, "pca")
        possible = [number for number in range(len(plan.settings)) if number not in impossible]
        start = next((one for one in possible if _is_usual(plan.settings[one], usual)), possible[0])
        wanted = [[int(at) for at in np.argwhere(plan.numbers == start)[0]]]
    return [wanted[0], wanted[-1]]


def _is_usual(one: Setting, usual: dict[str, Any]) -> bool:
    default = type(one.aggregation).parse(usual["aggregation"])
    return (one.tap, one.aggregation, one.whitening.name) == (usual["tap"], default, usual["whitening"])
