"""The panels that look into a method: see `cbirlab.study.explain` for what they show."""

from cbirlab.widgets.panels.match_view import MatchView
from cbirlab.widgets.panels.missed import Missed
from cbirlab.widgets.panels.pooling_view import PoolingView
from cbirlab.widgets.panels.whitening_lab import WhiteningLab
from cbirlab.widgets.panels.win_loss import WinLoss

__all__ = ["MatchView", "Missed", "PoolingView", "WhiteningLab", "WinLoss"]
