"""Aggregation: a map (B, C, H, W) becomes one vector per image. In the order of the survey, 3.2.1."""

from cbirlab.aggregation.base import AGGREGATIONS, Aggregation, pooling
from cbirlab.aggregation.basic import GEM_FLOOR, gem, gem_sweep, mac, spoc

__all__ = ["AGGREGATIONS", "GEM_FLOOR", "Aggregation", "gem", "gem_sweep", "mac", "pooling", "spoc"]
