"""``cbirlab extract``: describe the images that later commands need, here or on a cluster."""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from cbirlab.cli import output
from cbirlab.cli.options import add_grid, add_places
from cbirlab.cli.saying import say

if TYPE_CHECKING:
    from cbirlab.extract.cluster import Cluster


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``cbirlab extract`` beside the fields of a recipe."""
    parser.add_argument(
        "--cluster",
        metavar="WHERE",
        help="Dask workers: local, or a scheduler as tcp://host:8786 (default: this process alone)",
    )
    add_grid(parser, "encoding", "attention")
    add_places(parser)


def cluster_of(given: Any) -> Cluster | None:
    """The cluster that the command line names, not yet connected.

    Raises
    ------
    ValueError : no address.
    """
    from cbirlab.extract.cluster import Cluster

    return Cluster(given.cluster) if given.cluster else None


def command(given: Any, dataset: str, cluster: Cluster | None, options: dict[str, Any]) -> int:
    """Carry out ``cbirlab extract``."""
    from cbirlab.datasets import load_dataset
    from cbirlab.study.grid import described

    store = output.store(given)
    before = len(store.entries())
    places = {"store": store, "device": given.device, "progress": not given.quiet, "weights": given.weights}
    with cluster or nullcontext():
        computing = cluster and cluster.compute
        for bench, recipes in described(load_dataset(dataset), dataset, computing=computing, **places, **options):
            for recipe in recipes:
                bench.whitening(recipe)
                bench.learned(recipe)
            say(f"{bench.backbone.name}: ready for {len(recipes)} recipes of {bench.dataset.name}")
    say(f"{len(store.entries()) - before} new entries in {store.path}")
    return 0
