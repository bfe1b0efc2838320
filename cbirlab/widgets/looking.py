"""The panels that look into a method, a code or re-ranking: see `cbirlab.study.explain` for what they show."""

from cbirlab.widgets.panels.code_beside import CodeBeside
from cbirlab.widgets.panels.diffusion_heat import DiffusionHeat
from cbirlab.widgets.panels.hamming_ball import HammingBall
from cbirlab.widgets.panels.inlier_view import InlierView
from cbirlab.widgets.panels.itq_steps import ITQSteps
from cbirlab.widgets.panels.match_view import MatchView
from cbirlab.widgets.panels.missed import Missed
from cbirlab.widgets.panels.mutual_grid import MutualGrid
from cbirlab.widgets.panels.pooling_view import PoolingView
from cbirlab.widgets.panels.pq_cells import PQCells
from cbirlab.widgets.panels.query_path import QueryPath
from cbirlab.widgets.panels.rerank_beside import RerankBeside
from cbirlab.widgets.panels.whitening_lab import WhiteningLab
from cbirlab.widgets.panels.win_loss import WinLoss

__all__ = [
    "CodeBeside",
    "DiffusionHeat",
    "HammingBall",
    "ITQSteps",
    "InlierView",
    "MatchView",
    "Missed",
    "MutualGrid",
    "PQCells",
    "PoolingView",
    "QueryPath",
    "RerankBeside",
    "WhiteningLab",
    "WinLoss",
]
