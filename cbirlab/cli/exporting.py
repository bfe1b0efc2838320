"""``cbirlab export``: write the descriptors of a recipe to a file that other tools read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cbirlab.cli import checks, output
from cbirlab.cli.options import add_places, add_recipe_options, add_saved_recipe, recipe_fields
from cbirlab.cli.saying import UsageError, say

MORE = """
Options are those of run. The suffix of FILE decides the form: .npz, .h5, .parquet, .faiss or .index (with FILE.npz
beside it for names and queries), or .tsv, a folder for the Embedding Projector. Descriptors are those that an exact
search compares: whitened and normalised, before a code.
"""


def add_options(parser: Any) -> None:
    """Options of ``cbirlab export``."""
    parser.later(lambda: add_recipe_options(parser, one=True))
    add_saved_recipe(parser)
    parser.add_argument("--out", metavar="FILE", required=True, help=".npz, .h5, .parquet, .faiss, .index or .tsv")
    parser.add_argument("--replace", action="store_true", help="replace a file that is there")
    add_places(parser)


def export_command(given: Any) -> int:
    """Carry out ``cbirlab export``."""
    from cbirlab.exported_features import export_features
    from cbirlab.exported_features.exporting import check_free
    from cbirlab.exported_features.formats import writer
    from cbirlab.pipeline import Recipe

    try:
        recipe = output.recipe_of(
            output.read_recipe(given.recipe, given.row) if given.recipe else {}, recipe_fields(given)
        )
        if not isinstance(recipe, Recipe):
            raise ValueError("--recipe must be a single recipe, got a fusion; export its members one by one.")
        writer(Path(given.out))
        check_free([Path(given.out)], given.replace)
        checks.device(given.device)
    except (ValueError, TypeError, FileExistsError) as error:
        raise UsageError(str(error)) from error
    where = {"store": output.store(given), "device": given.device, "progress": not given.quiet}
    say(f"written: {export_features(recipe, given.out, replace=given.replace, **where)}")
    return 0
