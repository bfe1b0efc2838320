"""Datasets: frozen descriptions of benchmarks and of people's own folders."""

from cbirlab.datasets.base import Box, Dataset, Query
from cbirlab.datasets.catalogue import DATASETS, about
from cbirlab.datasets.given import nameable
from cbirlab.datasets.loading import load_dataset, load_named
from cbirlab.datasets.roots import Availability, availability

__all__ = [
    "DATASETS",
    "Availability",
    "Box",
    "Dataset",
    "Query",
    "about",
    "availability",
    "load_dataset",
    "load_named",
    "nameable",
]
