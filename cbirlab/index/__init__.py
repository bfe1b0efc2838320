"""Indexes: descriptors in, rankings out. Larger scores are better; equal scores are always ordered by image index."""

from cbirlab.index.base import INDEXES, Index, IndexMethod, Rows
from cbirlab.index.exact import ExactIndex
from cbirlab.index.patches import PatchIndex
from cbirlab.index.ranking import Ranking, ranked
from cbirlab.index.rescoring import rescore
from cbirlab.index.words import WordIndex

__all__ = [
    "INDEXES",
    "ExactIndex",
    "Index",
    "IndexMethod",
    "PatchIndex",
    "Ranking",
    "Rows",
    "WordIndex",
    "ranked",
    "rescore",
]
