"""Projections: descriptors laid out in the plane, to be looked at and not to be searched.

A map keeps some neighbours and loses others, distances between far groups mean little, and areas mean nothing.
`honesty` and `seed_stability` say how much of a map can be believed; rankings come from the descriptors alone.

Rows are L2-normalised first, so that Euclidean distances order pairs as cosines do. Rows of zeros have no direction:
they are laid side by side below the left corner of the map.
"""

from cbirlab.projection.projecting import PROJECTIONS, Projection, cached, project, seed_stability
from cbirlab.projection.trust import honesty, shared_neighbours

__all__ = ["PROJECTIONS", "Projection", "cached", "honesty", "project", "seed_stability", "shared_neighbours"]
