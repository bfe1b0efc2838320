"""Attention: how much each position or each channel of a map counts. In the order of the survey, 3.2.3.

`cbirlab.attention.weights` holds the weights that are computed from the map itself, `cbirlab.attention.modules` the
blocks whose parameters are trained; the latter load torch and are imported by name.
"""

from cbirlab.attention.base import ATTENTIONS, Attention, attention
from cbirlab.attention.weights import channel_sum, crow_channel, crow_spatial, gaussian, l2norm, scda_mask

__all__ = [
    "ATTENTIONS",
    "Attention",
    "attention",
    "channel_sum",
    "crow_channel",
    "crow_spatial",
    "gaussian",
    "l2norm",
    "scda_mask",
]
