"""``cbirlab page``: the panel as one HTML file that needs no server and no Python."""

from __future__ import annotations

import argparse
from typing import Any

from cbirlab.backbones.names import USUAL
from cbirlab.cli import checks, output
from cbirlab.cli.options import Several, add_places, at_least_one
from cbirlab.cli.saying import UsageError, say

MORE = """
Every combination of the values is ranked for every query, and the page shows them by sliders and menus:

  cbirlab page --dataset my/photos --aggregations gem --whitenings none pca --dimensions 32 128 all --out page.html

A pooling without parameters stands for all stops of its sliders. The page asks no server for anything: open it, send it
or put it on a web server as it is. It holds the dataset's pictures as thumbnails, so share it only where you may share
them.
"""
VALUES = {
    "taps": "places in the network (default: all)",
    "aggregations": "poolings and encodings (default: mac spoc gem)",
    "whitenings": "whitenings (default: none pca)",
    "dimensions": "numbers of dimensions kept after whitening, or all (default: all)",
    "codes": "compressions of the descriptors (default: none)",
    "rerankings": "re-rankings (default: none)",
    "maps": "projections of the map, or none (default: pca)",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``cbirlab page``."""
    from cbirlab.widgets.shared_page.saving import LIMIT_MB, SHOWN, SIDE

    parser.add_argument("--dataset", metavar="NAME", default="toytown", help="a name or a folder (default: toytown)")
    parser.add_argument("--backbone", metavar="NAME", help=f"(default: {USUAL})")
    parser.add_argument("--weights", metavar="WEIGHTS", help="'random', a label of torchvision, or a file")
    for name, help in VALUES.items():
        each = _dimensions if name == "dimensions" else str
        parser.add_argument(f"--{name}", action=Several, each=each, metavar="NAME", help=help)
    parser.add_argument("--shown", type=at_least_one, metavar="N", help=f"results of each list (default: {SHOWN})")
    parser.add_argument("--side", type=at_least_one, metavar="N", help=f"pixels of the thumbnails (default: {SIDE})")
    parser.add_argument("--limit-mb", type=float, metavar="N", help=f"refuse a larger page (default: {LIMIT_MB})")
    parser.add_argument("--out", metavar="FILE", required=True, help=".html")
    add_places(parser)


def page_command(given: Any) -> int:
    """Carry out ``cbirlab page``."""
    from cbirlab.live import Session
    from cbirlab.widgets.shared_page import save_page

    options = {name: getattr(given, name) for name in (*VALUES, "shown", "side", "limit_mb")}
    options = {name: value for name, value in options.items() if value is not None}
    if options.get("maps") == ["none"]:
        options["maps"] = ()
    try:
        checks.page(given.out, "--out")
        checks.device(given.device)
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error
    output.say_network(given.backbone, given.dataset, given)
    session = Session(given.dataset, given.backbone, given.weights, store=output.store(given), device=given.device)
    written = save_page(given.out, session, progress=not given.quiet, **options)
    say(f"written: {written} ({written.stat().st_size / 1e6:.1f} MB)")
    return 0


def _dimensions(text: str) -> int | None:
    return None if text == "all" else at_least_one(text)
