"""The panels that look into a method: see `cbirlab.looking` for what they show."""

from cbirlab.widgets.match_view import MatchView
from cbirlab.widgets.missed import Missed
from cbirlab.widgets.pooling_view import PoolingView
from cbirlab.widgets.whitening_lab import WhiteningLab
from cbirlab.widgets.win_loss import WinLoss

__all__ = ["MatchView", "Missed", "PoolingView", "WhiteningLab", "WinLoss"]
