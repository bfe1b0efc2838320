"""Systems by their names on the command line: ``cbirlab run r-mac``, ``cbirlab compare --systems all``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from cbirlab.cli import output
from cbirlab.cli.options import Several, recipe_fields
from cbirlab.cli.saying import UsageError, say

if TYPE_CHECKING:
    import pandas as pd

    from cbirlab.fusion import Fusion
    from cbirlab.pipeline import Recipe

_TRAIN = "let systems that learn for retrieval do so first"
_SHOWN = ("system", "year", "kind", "status")
_DECIDED = ("taps", "aggregations", "passes", "whitenings", "compressions", "indexes", "rescores", "rerankings")
_DECIDED += ("encodings", "attentions", "fusions")


def add_system(parser: argparse.ArgumentParser) -> None:
    """The name of a system in place of a recipe."""
    parser.add_argument(
        "system", nargs="?", metavar="SYSTEM", help="one of the survey's systems, see `cbirlab list systems`"
    )
    parser.add_argument("--train", action="store_true", help=_TRAIN)


def add_systems(parser: argparse.ArgumentParser) -> None:
    """Names of systems in place of a grid."""
    parser.add_argument(
        "--systems",
        action=Several,
        metavar="NAME",
        help="the survey's systems, or all, in place of a grid; with --backbone and --dimensions on an equal budget",
    )
    parser.add_argument("--train", action="store_true", help=_TRAIN)


def asked(given: Any) -> Recipe | Fusion:
    """What `cbirlab run` is to carry out: a system, trained first if it has to be, what a file holds, or a recipe.

    Raises
    ------
    UnknownName, ValueError, TypeError : no such system, or it cannot run; no recipe in the file; fields that are not
        allowed.
    """
    fields = recipe_fields(given)
    if not given.system:
        saved = output.read_recipe(given.recipe, given.row) if given.recipe else {}
        output.say_network(saved or fields.get("backbone"), str(fields.get("dataset", "toytown")), given)
        return output.recipe_of(saved, fields)
    from cbirlab.datasets import load_named
    from cbirlab.study.systems import SYSTEMS
    from cbirlab.study.systems.running import plan_of

    if given.recipe:
        raise ValueError(f"run: give a system or --recipe, got {given.system!r} and {given.recipe!r}.")
    system, (dataset, name) = SYSTEMS[given.system], load_named(fields.pop("dataset", "toytown"))
    about = {"store": output.store(given), "device": given.device, "progress": not given.quiet}
    return plan_of(system, dataset, name, train=given.train, **about, **fields)


def table(given: Any) -> pd.DataFrame:
    """The table of systems that the command line asks for.

    Raises
    ------
    UsageError : options of a grid beside it, or several networks or numbers of dimensions.
    """
    from cbirlab.study.systems import SYSTEMS, compare_systems

    beside = [name for name in _DECIDED if getattr(given, name, None) is not None]
    if beside:
        raise UsageError(f"compare: a system decides its {', '.join(beside)}; leave them out beside --systems.")
    fields = recipe_fields(given) | {"weights": given.weights}
    for name, plural in (("backbone", "backbones"), ("dimensions", "dimensions")):
        asked = getattr(given, plural, None) or [None]
        if len(asked) > 1:
            raise UsageError(f"compare: --systems take one of --{name}, got {', '.join(map(str, asked))}.")
        fields[name] = asked[0]
    names = "all" if given.systems == ["all"] else [SYSTEMS.info(one).name for one in given.systems]
    about = {"store": output.store(given), "device": given.device, "progress": not given.quiet}
    return compare_systems(fields.pop("dataset", "toytown"), names, train=given.train, **about, **fields)


def told(frame: pd.DataFrame) -> str:
    """A table of systems for the terminal: what each gave, and why those did not run that gave nothing."""
    metrics = [name for name in frame if name.startswith(("map", "ns")) and not name.endswith(("_low", "_high"))]
    names = [name for name in (*_SHOWN, "dim", *metrics) if name in frame]
    ran = frame.loc[frame["error"] == "", names]
    missing = frame.loc[frame["error"] != "", ["system", "error"]].to_numpy()
    return (output.frame_text(ran) if len(ran) else "") + "".join(
        f"{name}: {error.removeprefix(f'{name}: ')}\n" for name, error in missing
    )


def compare_command(given: Any) -> int:
    """Carry out ``cbirlab compare --systems``."""
    from cbirlab.cli import checks

    try:
        checks.table(given.out, columns=given.columns)
        checks.device(given.device)
    except (ValueError, TypeError) as error:
        raise UsageError(str(error)) from error
    frame = table(given)
    say(told(frame), end="")
    output.write_table(frame, given)
    return 0
