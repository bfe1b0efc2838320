"""Datasets: frozen descriptions of benchmarks and of people's own folders."""

from cbirlab.datasets.base import Box, Dataset, Query
from cbirlab.datasets.catalogue import DATASETS, about
from cbirlab.datasets.loading import load_dataset, load_named
from cbirlab.datasets.roots import Availability, availability
from cbirlab.datasets.written import nameable

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
