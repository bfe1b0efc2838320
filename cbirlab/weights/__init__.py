"""Weights: where a network's numbers come from, and which of its taps they serve.

Nothing here unpickles code.
"""

from cbirlab.weights.errors import WeightsError
from cbirlab.weights.finding import (
    FOLDER_VARIABLE,
    SUFFIXES,
    Found,
    Published,
    file_and_part,
    find,
    hub_folder,
    own_file,
    own_files,
    published,
)
from cbirlab.weights.fitting import digest, fill, needed
from cbirlab.weights.matching import matched
from cbirlab.weights.reading import read

__all__ = [
    "FOLDER_VARIABLE",
    "SUFFIXES",
    "Found",
    "Published",
    "WeightsError",
    "digest",
    "file_and_part",
    "fill",
    "find",
    "hub_folder",
    "matched",
    "needed",
    "own_file",
    "own_files",
    "published",
    "read",
]
