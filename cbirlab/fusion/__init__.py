"""Fusion: several representations of one image set, searched as one. Survey 3.1.3, layer level and model level alike.

FUSIONS         how: early (descriptors), late (scores), rank, re-ranking; each a function of arrays
fuse            the ranking of several members, each with its descriptors and its own ranking
balance         find weights on a train split
Fusion          several recipes and how they are fused, as plain data; `run_fusion` carries it out
complementarity which representations are worth fusing; `versus`: on which queries one beats the other
"""

from cbirlab.base.renamed import renamed
from cbirlab.fusion.members import Member, fuse, own_rows
from cbirlab.fusion.methods import FUSIONS, FusionMethod, borda, cascade, early, minmax, rrf, znorm
from cbirlab.fusion.recipe import Fusion
from cbirlab.fusion.reports import complementarity, versus
from cbirlab.fusion.result import FusedRun, fused_row
from cbirlab.fusion.running import run_fusion
from cbirlab.fusion.weighing import Balance, balance

__all__ = [
    "FUSIONS",
    "Balance",
    "FusedRun",
    "Fusion",
    "FusionMethod",
    "Member",
    "balance",
    "borda",
    "cascade",
    "complementarity",
    "early",
    "fuse",
    "fused_row",
    "minmax",
    "own_rows",
    "rrf",
    "run_fusion",
    "versus",
    "znorm",
]

__getattr__ = renamed(__name__, {"rerank": "cascade"})
