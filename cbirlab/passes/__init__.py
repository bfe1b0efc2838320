"""Passes: which patches of an image go through the network, and how their vectors are combined. Survey 3.1.1."""

from cbirlab.passes.base import PASSES, Box, Combine, Magnify, Passes, View, scheme
from cbirlab.passes.combine import combined, learn_vlad, match
from cbirlab.passes.schemes import cnnaug, grid, proposals, single, spm, windows

__all__ = [
    "PASSES",
    "Box",
    "Combine",
    "Magnify",
    "Passes",
    "View",
    "cnnaug",
    "combined",
    "grid",
    "learn_vlad",
    "match",
    "proposals",
    "scheme",
    "single",
    "spm",
    "windows",
]
