"""Weights: where a network's numbers come from, and which of its taps they serve.

Nothing here unpickles code.
"""

from cbirlab.backbones.weights.finding import (
    FOLDER_VARIABLE,
    SUFFIXES,
    Found,
    Published,
    file_and_part,
    find,
    hub_folder,
    own_file,
    own_files,
    published_weights,
)
from cbirlab.backbones.weights.fitting import digest, fill, match_tensors, needed
from cbirlab.backbones.weights.reading import WeightsError, read

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
    "match_tensors",
    "needed",
    "own_file",
    "own_files",
    "published_weights",
    "read",
]
