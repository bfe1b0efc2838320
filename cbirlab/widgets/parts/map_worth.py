"""How far to trust a map, in words."""

from __future__ import annotations

from cbirlab.projection import PROJECTIONS, Projection


def honest_line(made: Projection, measured: dict[str, float]) -> str:
    """Say in one line how far to trust a map."""
    title = PROJECTIONS.info(made.method).title
    seed = f", seed {made.seed}" if PROJECTIONS.info(made.method).facts["seeded"] else ""
    unplaced = int((~made.placed).sum())
    apart = f" {unplaced} without a descriptor stand at the lower left." if unplaced else ""
    if not measured["k"]:
        return f"{title}{seed}: too few pictures to say what the map is worth.{apart}"
    kept = f"{measured['neighbour_agreement']:.0%} of the {measured['k']} nearest neighbours on the map"
    return (
        f"{title}{seed}: trustworthiness {measured['trustworthiness']:.2f}, {kept} are neighbours in the descriptors; "
        f"this is a picture, not the search.{apart}"
    )
