"""``cbirlab matrix``: what is learned on some pictures, judged on others."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from cbirlab.cli import checks, output
from cbirlab.cli.options import Several, add_common, add_recipe_options, recipe_fields
from cbirlab.cli.saying import UsageError, say

if TYPE_CHECKING:
    import pandas as pd

DECIDED = ("dataset", "whitening", "whitening_set")
MORE = """
    Learns each whitening on each source, and judges it on each target:

      cbirlab matrix --sources toytown/train my/photos --targets toytown my/photos --whitenings pca lw

    A folder that is source and target is divided: one half is learned on, the other half is judged.
    """
SHOWN = ("source", "target", "whitening", "dimensions", "none", "value", "difference", "low", "high", "p", "clear")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``cbirlab matrix``, and the fields of a recipe that all cells share."""
    from cbirlab.adaptation.matrix import WAYS

    parser.add_argument(
        "--sources",
        action=Several,
        metavar="NAME",
        required=True,
        help="what to learn on, e.g. toytown/train, a dataset or a folder",
    )
    parser.add_argument(
        "--targets",
        action=Several,
        metavar="NAME",
        required=True,
        help="what to judge on: datasets or folders with ground truth",
    )
    parser.add_argument(
        "--whitenings",
        "--whitening",
        action=Several,
        metavar="NAME",
        default=[*WAYS],
        help=f"whitenings, each compared with none (default: {', '.join(WAYS)})",
    )
    add_recipe_options(parser, one=True, leave=DECIDED)
    add_common(parser)


def matrix_command(given: Any) -> int:
    """Carry out ``cbirlab matrix``."""
    from cbirlab.adaptation.matrix import matrix, shared_recipe
    from cbirlab.whitening import Whitening

    fields = recipe_fields(given)
    try:
        for way in given.whitenings:
            if Whitening.parse(way).name == "none":
                raise ValueError("--whitenings must be others than 'none', with which each of them is compared.")
        shared_recipe(given.sources, given.targets, given.whitenings, fields)
        checks.table(given.out, columns=given.columns)
        checks.device(given.device)
    except (ValueError, TypeError) as error:
        raise UsageError(str(error)) from error
    options = {"store": output.store(given), "device": given.device, "progress": not given.quiet}
    frame = matrix(given.sources, given.targets, ways=given.whitenings, **options, **fields)
    say(matrix_text(frame), end="")
    output.write_table(frame, given)
    return 0


def matrix_text(frame: pd.DataFrame) -> str:
    """The matrix for a terminal, below it what cannot be said in numbers, and what the columns mean."""
    from cbirlab import tables

    lines = [tables.to_text(frame.filter(items=SHOWN))]
    for row in frame.to_dict("records"):
        if said := row["error"] or row["leak"]:
            lines.append(f"{row['source']}, {row['whitening']}, on {row['target']}: {said}\n")
    lines.append(
        "difference: value less none, with its paired 95 % interval; clear: the interval excludes 0, and p is at most "
        "0.05.\n"
    )
    return "\n".join(lines)
