"""``cbirlab train``: train a network, under a name that every other command takes."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from cbirlab.cli import checks, output
from cbirlab.cli.listing import align
from cbirlab.cli.options import add_fields, recipe_fields
from cbirlab.cli.saying import UsageError, say

if TYPE_CHECKING:
    from cbirlab.adaptation import Trained

MORE = """
Learns on the train split of a dataset, on half of a folder's instances, or, with --labels, on pictures without any.
What is learned is a backbone by name, with --moves pooling an aggregation, and a head is a whitening:

  cbirlab train --on my/photos --moves layer4 --name mine
  cbirlab run --dataset my/photos --backbone toynet@mine --whitening-set held_out

A training that was stopped or killed goes on where it was when the command is run again.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``cbirlab train`` beside the fields of a training."""
    parser.add_argument("--name", metavar="NAME", help="for the weights: --backbone toynet@NAME (default: their hash)")
    parser.add_argument("--replace", action="store_true", help="take the name from other weights")
    parser.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="go on from a checkpoint, or take finished weights (default: on)",
    )
    parser.add_argument("--control", action="store_true", help="train on shuffled labels too, twice")
    parser.add_argument("--out", metavar="FILE", help="write the curve: .csv, .md, .tex, .xlsx or .json")
    parser.add_argument("--store", metavar="FOLDER", help="where descriptors are kept (default: CBIRLAB_STORE)")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")


def add_training_fields(parser: argparse.ArgumentParser) -> None:
    """The fields of a training, as declared."""
    from cbirlab.adaptation.training import Training

    add_fields(parser.add_argument_group("training"), Training)


def train_command(given: Any) -> int:
    """Carry out ``cbirlab train``."""
    from cbirlab import tables
    from cbirlab.adaptation import Training, train
    from cbirlab.backbones.trained import check_alias

    try:
        training = Training(**recipe_fields(given))
        if given.name is not None:
            check_alias(training.family, given.name, replace=given.replace)
        checks.table(given.out)
        checks.device(training.device)
    except (ValueError, TypeError) as error:
        raise UsageError(str(error)) from error
    done = train(
        training,
        name=given.name,
        replacing=given.replace,
        resume=given.resume,
        control=given.control,
        store=output.store(given),
        progress=not given.quiet,
    )
    say(report(done, given.name))
    if given.out:
        say(f"written: {tables.write(done.curve, given.out)} ({len(done.curve)} rows)")
    return 0


def report(done: Trained, name: str | None) -> str:
    """What a training gave, for a terminal."""
    start, kept = done.held_out
    chosen = f"mAP {start:.3f} at the start, {kept:.3f} at step {done.kept}" if kept == kept else "no identities"
    rows = [
        [done.field, done.named(name)],
        ["held out", chosen],
        [
            "labels",
            "not known" if done.label_precision != done.label_precision else f"{done.label_precision:.0%} right",
        ],
        ["seconds", f"{done.record['seconds']['prepare']:.0f} + {done.record['seconds']['train']:.0f}"],
        ["file", str(done.path)],
    ]
    for one in done.controls:
        rows.append([f"shuffled labels, seed {one.training.seed}", one.named()])
    return align(rows)
