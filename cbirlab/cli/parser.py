"""The command line's grammar and its help, which should be enough to learn it by."""

from __future__ import annotations

import argparse
import textwrap
from typing import Any

from cbirlab import __version__
from cbirlab.cli.examples import EXAMPLES
from cbirlab.cli.grammar import Command
from cbirlab.cli.options import Several, add_common, add_grid, add_recipe_options, add_saved_recipe, add_timing
from cbirlab.cli.systems import add_system, add_systems


def build_parser() -> argparse.ArgumentParser:
    """The parser of ``cbirlab``."""
    parser = Command(
        prog="cbirlab",
        description="See how content-based image retrieval works, and decide with numbers.",
        epilog=textwrap.dedent(EXAMPLES),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"cbirlab {__version__}")
    parser.set_defaults(command=None, traceback=False)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for add in (
        _add_lab,
        _add_app,
        _add_list,
        _add_run,
        _add_compare,
        _add_searching,
        _add_extract,
        _add_train,
        _add_matrix,
        _add_index,
        _add_versus,
        _add_why,
        _add_evaluate,
        _add_published,
        _add_data,
        _add_store,
    ):
        add(commands)
    return parser


def _command(commands: Any, name: str, summary: str, more: str = "") -> Command:
    parser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.\n{textwrap.dedent(more)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--traceback", action="store_true", help="show where an error came from")
    return parser


def _add_lab(commands: Any) -> None:
    parser = _command(
        commands,
        "lab",
        "open the notebooks in JupyterLab",
        """
        The notebooks are copied to a working folder, so that the installed ones stay as they are; files that are there
        already are kept. In a checkout they are opened where they are. Put options for JupyterLab after --:

          cbirlab lab -- --no-browser --port 9999
        """,
    )
    parser.add_argument("--folder", help="working folder (default: ./cbirlab-notebooks, in a checkout its notebooks/)")
    parser.add_argument("jupyter", nargs="*", metavar="-- ARGUMENT", help="passed on to JupyterLab")


def _add_app(commands: Any) -> None:
    from cbirlab.cli import app, sharing

    parser = _command(commands, "app", "open the panel in the browser, without notebooks and cells", app.MORE)
    app.add_options(parser)
    page = _command(commands, "page", "write the panel as one HTML file, to send or to publish", sharing.MORE)
    page.later(lambda: sharing.add_options(page))


def _add_list(commands: Any) -> None:
    from cbirlab.cli.listing import KINDS

    kinds = [*KINDS, "taps", "trainings", "extensions"]
    parser = _command(commands, "list", "show what can be chosen")
    parser.add_argument("kind", nargs="?", choices=kinds, metavar="KIND", help=", ".join(kinds))
    parser.add_argument("name", nargs="?", metavar="NAME", help="one of its entries; for taps, the backbone")
    parser.add_argument("--markdown", action="store_true", help="print all of it as a Markdown table")


def _add_run(commands: Any) -> None:
    parser = _command(
        commands,
        "run",
        "run one recipe and print its numbers",
        """
        Options that are left out take the defaults of the dataset and the backbone. Descriptors are kept in the store,
        so a second run is fast.
        """,
    )
    add_system(parser)
    parser.later(lambda: add_recipe_options(parser, one=True))
    add_saved_recipe(parser)
    parser.add_argument("--save-ranking", metavar="FILE", help="write the ranking (.npz), for `cbirlab why --ranking`")
    add_timing(parser)
    add_common(parser)


def _add_compare(commands: Any) -> None:
    parser = _command(
        commands,
        "compare",
        "fill a table: one row per combination",
        """
        One pass of each image through each network fills the whole table. "all" stands for everything that is
        registered, but for backbones only for those whose weights are on this machine. Separate names by spaces or
        commas: --aggregation mac,gem(p=4) is --aggregation mac 'gem(p=4)'.
        """,
    )
    add_systems(parser)
    add_grid(parser, "encoding", "attention", "fusion")
    parser.add_argument(
        "--fusion-weights", choices=["learned"], help="learned on the train split (default: equal weights)"
    )
    parser.add_argument(
        "--published", action="store_true", help="add published numbers for the dataset below, with their settings"
    )
    parser.later(lambda: add_recipe_options(parser, one=False, leave=["weights"]))
    add_timing(parser)
    add_common(parser)


def _add_searching(commands: Any) -> None:
    from cbirlab.cli import searching

    more = """
    The folder is described once; from then on a search costs what describing the picture costs. Boxes of queries and
    ground truth play no part.
    """
    searching.add_search(_command(commands, "search", "find the images of a folder that look like a picture", more))
    more = """
    All pairs are compared by their full descriptors. Images that are chained by near ones form one group. Descriptors
    are whitened by pca(power=0.25) unless --whitening says otherwise, because without it nearly all cosines are large.
    """
    name = "group the images of a folder that are nearly the same"
    searching.add_duplicates(_command(commands, "duplicates", name, more))
    more = "Estimates, from figures that were measured at 100,000 rows of 128 dimensions."
    searching.add_advise(_command(commands, "advise", "tell which code and index fit a memory and a time", more))


def _add_extract(commands: Any) -> None:
    from cbirlab.cli import exporting, extracting

    more = """
        The options are those of compare. The descriptors go to the store, so that run and compare with the same options
        can search at once. On a cluster, all machines must see the images and the store under the same paths:

          cbirlab extract --dataset my/photos --aggregation gem --cluster tcp://host:8786 --store /shared/store

        Finished work is never computed again: after an interruption, run the command once more.
        """
    parser = _command(commands, "extract", "describe images for later, here or on the machines of a cluster", more)
    extracting.add_options(parser)
    parser.later(lambda: add_recipe_options(parser, one=False, leave=["weights"]))
    exporting.add_options(_command(commands, "export", "write descriptors for other tools", exporting.MORE))


def _add_train(commands: Any) -> None:
    from cbirlab.cli import training

    parser = _command(commands, "train", "train a network on other pictures", training.MORE)
    training.add_options(parser)
    parser.later(lambda: training.add_training_fields(parser))


def _add_matrix(commands: Any) -> None:
    from cbirlab.cli import matrix

    parser = _command(commands, "matrix", "learn on some pictures, judge on others", matrix.MORE)
    parser.later(lambda: matrix.add_options(parser))


def _add_index(commands: Any) -> None:
    from cbirlab.cli.collections import add_actions

    more = """
        Options are those of run; --index names the collection, and CBIRLAB_PGVECTOR holds the server's address, as
        postgresql://user:password@host:5432/database (pip install 'cbirlab[pgvector]'):

          cbirlab index push --dataset my/photos --index "pgvector(collection=photos)"
          cbirlab index search --dataset my/photos --index "pgvector(collection=photos)" --picture new.jpg
        """
    add_actions(_command(commands, "index", "keep descriptors in a database server: push, search", more))


def _add_versus(commands: Any) -> None:
    parser = _command(
        commands,
        "versus",
        "compare two rows of a table query by query",
        """
        Both rows are run again, with the descriptors that are in the store. The query on which A wins most comes first:
        to see where a hand-crafted descriptor beats a network, give its row as A.
        """,
    )
    parser.add_argument("table", metavar="TABLE", help="a table written by compare (.csv or .json)")
    parser.add_argument("a", type=int, metavar="A", help="row, from 0")
    parser.add_argument("b", type=int, metavar="B", help="row, from 0")
    parser.add_argument("--level", metavar="NAME", help="of the protocol (default: medium where there are several)")
    add_common(parser)


def _add_why(commands: Any) -> None:
    parser = _command(
        commands,
        "why",
        "show why numbers differ: what each choice changes, one at a time",
        """
        For a recipe, this tries all choices from the picture to the number; those marked in the column forward_pass
        send the pictures through the network once more. For a ranking, from any system, it tries the choices made in
        judging it:

          cbirlab why --ranking ranking.npz --dataset my/photos

        The file holds an array "images" (Q, K): rows of the database from 0, best first, one line per query. It may
        also hold "scores" (Q, K). `cbirlab run --save-ranking ranking.npz` writes such a file.
        """,
    )
    parser.add_argument(
        "--choice",
        "--choices",
        dest="choices",
        action=Several,
        metavar="NAME",
        help="e.g. crop junk results (default: all)",
    )
    parser.add_argument("--level", metavar="NAME", help="of the protocol (default: medium where there are several)")
    parser.add_argument("--ranking", metavar="FILE", help="an .npz with a ranking, instead of a recipe")
    add_saved_recipe(parser)
    parser.later(lambda: add_recipe_options(parser, one=True, leave=["metrics"]))
    add_common(parser)


def _add_data(commands: Any) -> None:
    from cbirlab.cli.data import add_actions

    more = """
        Each benchmark has a folder of its own name in the folder that CBIRLAB_DATA names.
        """
    add_actions(_command(commands, "data", "benchmarks on this machine: list, show, check, get", more))


def _add_evaluate(commands: Any) -> None:
    from cbirlab.cli.judging import add_evaluate

    more = """
        Database and queries may be two files, or two matrices in one file. The number of images tells N x D from D x N.
        Without --queries, the queries are rows of the database, if the dataset has them there.
        """
    parser = _command(commands, "evaluate", "judge descriptors that were computed elsewhere", more)
    add_evaluate(parser)
    parser.later(lambda: add_recipe_options(parser, "judging", one=True))


def _add_published(commands: Any) -> None:
    from cbirlab.cli.judging import add_published

    more = "They were measured with settings other than yours: compare with them, but do not expect to match them."
    add_published(
        _command(commands, "published", "show numbers from the literature, with their settings and sources", more)
    )


def _add_store(commands: Any) -> None:
    from cbirlab.cli.store import add_actions

    add_actions(_command(commands, "store", "look at, check or shrink the store of computed descriptors"))
