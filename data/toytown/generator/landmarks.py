"""Landmarks: one building each, from (namespace, index, template, family) alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .builder import Builder
from .mesh import Mesh
from .seeds import rng
from .style import Style, draw_palette, draw_style
from .templates_civic import palace, station, townhall
from .templates_eastern import mosque, pagoda
from .templates_fortified import castle, towerhouse
from .templates_memorial import gate, monument
from .templates_modern import modern
from .templates_sacred import church, temple

BUILD: dict[str, Callable[[np.random.Generator, Style], Builder]] = {
    "church": church,
    "townhall": townhall,
    "gate": gate,
    "palace": palace,
    "castle": castle,
    "temple": temple,
    "monument": monument,
    "modern": modern,
    "towerhouse": towerhouse,
    "pagoda": pagoda,
    "mosque": mosque,
    "station": station,
}
TEMPLATES: tuple[str, ...] = tuple(BUILD)
SIBLINGS = 4


def family_of(index: int, namespace: str) -> tuple[str, int]:
    """Return (template, family) of a landmark.

    The benchmark has one family of four siblings per template; other namespaces take the templates in turn, a new
    family each round, so nobody has siblings.

    Raises
    ------
    ValueError
        If the index is negative, or beyond the benchmark's 48 landmarks.
    """
    limit = len(TEMPLATES) * SIBLINGS
    if index < 0 or (namespace == "benchmark" and index >= limit):
        raise ValueError(f"family_of: index must be 0 to {limit - 1} in 'benchmark' and >= 0 elsewhere, got {index}.")
    if namespace == "benchmark":
        return TEMPLATES[index // SIBLINGS], index // SIBLINGS
    return TEMPLATES[index % len(TEMPLATES)], index // len(TEMPLATES)


def landmark(namespace: str, index: int, template: str, family: int) -> Mesh:
    """Build a landmark standing around x = 0 with its front near y = 0.

    Siblings, of the same namespace, template and family, share wall kind, hue and roof; shapes, windows and decals
    are each one's own.

    Raises
    ------
    ValueError
        If the template is unknown.
    """
    if template not in BUILD:
        raise ValueError(f"landmark: template must be one of {', '.join(TEMPLATES)}, got {template!r}.")
    style = draw_style(rng(namespace, "style", index), rng(namespace, "family style", template, family))
    builder = BUILD[template](rng(namespace, "shape", index, template), style)
    family_taste = rng(namespace, "family", template, family)
    return builder.build(draw_palette(rng(namespace, "palette", index), family_taste, template, builder.slots))
