"""Passes: which patches of an image go through the network, and how their vectors are combined. Survey 3.1.1."""

from cbirlab.base.renamed import renamed
from cbirlab.passes.base import PASSES, Box, Combine, Magnify, Passes, View, scheme
from cbirlab.passes.combine import combine_patches, learn_codebook, match
from cbirlab.passes.schemes import cnnaug, grid, proposals, single, spm, windows

__getattr__ = renamed(__name__, {"combined": "combine_patches", "learn_vlad": "learn_codebook"})

__all__ = [
    "PASSES",
    "Box",
    "Combine",
    "Magnify",
    "Passes",
    "View",
    "cnnaug",
    "combine_patches",
    "grid",
    "learn_codebook",
    "match",
    "proposals",
    "scheme",
    "single",
    "spm",
    "windows",
]
