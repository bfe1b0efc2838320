"""The commands `search`, `duplicates` and `advise`: ranked files, a page to look at, what fits."""

from __future__ import annotations

import argparse
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbirlab.cli.options import add_common, add_recipe_options, at_least_one, recipe_fields, size_bytes
from cbirlab.cli.output import write_table
from cbirlab.cli.saying import UsageError, say

if TYPE_CHECKING:
    import pandas as pd

    from cbirlab.pipeline import Recipe

THUMBNAIL = 240
WHITENING = "pca(power=0.25)"
"""Of `duplicates`, if none is asked for: without one, all cosines of a network's descriptors are near 1."""

LEFT_OUT = ("dataset", "depth")
"""Fields of a recipe that these commands decide themselves."""


def add_search(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``cbirlab search``."""
    parser.add_argument("pictures", nargs="+", metavar="PICTURE", help="a file")
    parser.add_argument("--in", dest="folder", required=True, metavar="FOLDER", help="a folder or a dataset")
    parser.add_argument("--top", type=at_least_one, default=20, metavar="K", help="results (default: 20)")
    _add_rest(parser, "setting", "network", "maps", "learning", "search")


def add_duplicates(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``cbirlab duplicates``."""
    parser.add_argument("folder", metavar="FOLDER", help="a folder or a dataset")
    parser.add_argument(
        "--threshold", type=float, default=0.95, metavar="COSINE", help="least cosine of two images (default: 0.95)"
    )
    _add_rest(parser, "setting", "network", "maps", "learning")


def add_advise(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``cbirlab advise``."""
    parser.add_argument("--images", type=int, required=True, metavar="N", help="how many there are")
    parser.add_argument("--memory", type=size_bytes, required=True, metavar="SIZE", help="for the index, as 8GB")
    parser.add_argument("--ms", type=float, required=True, metavar="MS", help="for a query that comes alone")
    parser.add_argument(
        "--dimensions", type=int, default=128, metavar="D", help="of descriptors, a multiple of 8 (default: 128)"
    )


def advise_command(given: Any) -> int:
    """Print what each code and index would take, those that fit first."""
    from cbirlab import tables
    from cbirlab.study.advice import advise

    frame = advise(given.images, given.memory, given.ms, given.dimensions)
    say(tables.to_text(frame), end="")
    say("Ratios and recall were measured at 100,000 rows of 128 dimensions; the rest is arithmetic.")
    return 0


def _add_rest(parser: Any, *decides: str) -> None:
    parser.add_argument("--page", metavar="FILE", help="write a page with the pictures (.html)")
    parser.later(lambda: add_recipe_options(parser, *decides, one=True, leave=LEFT_OUT))
    add_common(parser)


def search_command(given: Any) -> int:
    """Print the files that look most like each picture."""
    from cbirlab.live.folders import find_pictures

    recipe = replace(_recipe(given), depth=given.top)
    _tell(find_pictures(recipe, given.pictures, k=given.top, **_where(given)), given, "query", "nothing was found")
    return 0


def duplicates_command(given: Any) -> int:
    """Print groups of images that are nearly the same."""
    from cbirlab.live.folders import find_duplicates

    found = find_duplicates(_recipe(given, whitening=WHITENING), given.threshold, **_where(given))
    _tell(found, given, "group", f"no two images have a cosine of {given.threshold:g} or more")
    return 0


def _recipe(given: Any, **defaults: Any) -> Recipe:
    from cbirlab.cli import checks
    from cbirlab.pipeline import Recipe

    try:
        checks.table(given.out, columns=given.columns)
        if given.page:
            checks.page(given.page)
        checks.device(given.device)
        return Recipe(dataset=given.folder, **{**defaults, **recipe_fields(given)})
    except (ValueError, TypeError) as error:
        raise UsageError(str(error)) from error


def _where(given: Any) -> dict[str, Any]:
    from cbirlab.cli import output

    return {"store": output.store(given), "device": given.device, "progress": not given.quiet}


def _tell(frame: pd.DataFrame, given: Any, by: str, nothing: str) -> None:

    if not len(frame):
        say(f"{nothing}.")
    for name, rows in frame.groupby(by, sort=False):
        say(f"{by} {name}")
        for score, path in zip(rows["score"], rows["path"], strict=True):
            say(f"  {score:7.4f}  {path}")
    write_table(frame, given)
    if given.page:
        Path(given.page).write_text(page_of(frame, by), encoding="utf-8")
        say(f"written: {given.page}")


def page_of(frame: pd.DataFrame, by: str) -> str:
    """A page of HTML with all pictures in it, one gallery for each value of the column `by`."""
    parts = []
    for name, rows in frame.groupby(by, sort=False):
        asked = _figure(str(name), "query", " class=query") if by == "query" else ""
        shown = "".join(_figure(path, f"{score:.3f}") for score, path in zip(rows["score"], rows["path"], strict=True))
        parts.append(f"<h2>{escape(f'{by} {name}')}</h2>\n<div class=gallery>{asked}{shown}</div>")
    return _PAGE.replace("BODY", "\n".join(parts))


def _figure(path: str, text: str, extra: str = "") -> str:
    from base64 import b64encode

    from cbirlab import images

    name = escape(Path(path).name)
    try:
        jpeg = b64encode(images.thumbnail(path, THUMBNAIL)).decode()
        shown = f'<img src="data:image/jpeg;base64,{jpeg}" alt="{name}">'
    except (images.ImageError, OSError):
        shown = "<p>cannot be read</p>"
    return f'<figure{extra} title="{escape(path)}">{shown}<figcaption>{text}<br>{name}</figcaption></figure>'


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>cbirlab</title>
<style>
body { font: 14px system-ui, sans-serif; margin: 2em; background: Canvas; color: CanvasText; color-scheme: light dark }
h2 { font-size: 1em; overflow-wrap: anywhere }
.gallery { display: flex; flex-wrap: wrap; gap: 12px }
figure { margin: 0; width: 160px }
figure img { width: 160px; height: 120px; object-fit: contain; background: #8882 }
figure.query img { outline: 3px solid #c60 }
figcaption { font-size: 12px; overflow-wrap: anywhere }
</style>
BODY
</html>
"""
