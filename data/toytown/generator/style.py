"""The taste of one building: what siblings of a family share, and what each decides alone."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from .decals import decal
from .mesh import Material
from .noise import hsv
from .textures import material

WALLS = ("brick", "ashlar", "rubble", "stripes", "stucco", "concrete", "marble", "halftimber")
MODERN_WALLS = ("concrete", "panels", "mosaic", "stucco", "marble")
SMOOTH = ("stucco", "ashlar", "marble", "plain")
ROOF_COLOURS = (
    (0.03, 0.6, 0.5),
    (0.05, 0.5, 0.35),
    (0.6, 0.15, 0.3),
    (0.42, 0.25, 0.5),
    (0.0, 0.0, 0.25),
    (0.08, 0.3, 0.4),
)
DOME_COLOURS = ((0.42, 0.3, 0.55), (0.12, 0.5, 0.6), (0.6, 0.3, 0.45), (0.05, 0.4, 0.45), (0.55, 0.05, 0.75))
METAL_COLOURS = ((0.4, 0.2, 0.35), (0.08, 0.3, 0.25), (0.1, 0.05, 0.15), (0.12, 0.5, 0.5))
FRAME_COLOURS = ((0.1, 0.02, 0.8), (0.08, 0.5, 0.2), (0.4, 0.3, 0.2), (0.6, 0.3, 0.3))
ACCENT_HUES = (0.01, 0.06, 0.1, 0.3, 0.38, 0.45, 0.57, 0.62)
HEADS = ("flat", "round", "point", "segment")
ROOFS = ("gable_x", "hip", "mansard", "balustrade", "battlement", "flat")


@dataclass(frozen=True)
class Opening:
    """A window, door or arch inside its cell of wall; `width`, `height`, `sill` are fractions of the cell."""

    width: float
    height: float
    sill: float
    head: str
    depth_m: float
    panes: tuple[int, int]
    surround_m: float = 0.0
    hood: str = "none"  # "none", "ledge", "pediment"
    balcony: bool = False
    shutters: bool = False
    glass: str = "glass"  # slot behind the opening; "" leaves a hole
    wall: str = "wall"


@dataclass(frozen=True)
class Style:
    """Everything about a building that is not its massing."""

    windows: tuple[Opening, ...]  # one per storey from the ground, repeating
    door: Opening
    belfry: Opening
    belfry_columns: int
    courses: bool
    pilasters: bool
    quoins: bool
    plinth_m: float
    plinth_slot: str
    cornice_m: float
    dentils: bool
    roof: str
    pitch: float
    dormers: bool
    chimneys: int
    dome: str
    spire: float
    spire_sides: int
    slits: int
    flag: bool
    flag_slot: str = "decal2"

    def but(self, **changes: object) -> Style:
        """Return a copy with some fields changed."""
        return replace(self, **changes)  # pyright: ignore[reportArgumentType]


def pick(random: np.random.Generator, *options):
    """Return one of the options."""
    return options[int(random.integers(len(options)))]


def window(random: np.random.Generator, head: str) -> Opening:
    """Draw a kind of window."""
    return Opening(
        width=random.uniform(0.28, 0.55),
        height=random.uniform(0.5, 0.72),
        sill=random.uniform(0.14, 0.26),
        head=head if random.random() < 0.7 else pick(random, "flat", "round", "segment"),
        depth_m=random.uniform(0.18, 0.4),
        panes=(int(random.integers(1, 4)), int(random.integers(1, 5))),
        surround_m=pick(random, 0.0, 0.12, 0.2, 0.3),
        hood=pick(random, "none", "none", "ledge", "pediment"),
        balcony=random.random() < 0.12,
        shutters=random.random() < 0.2,
    )


def draw_style(random: np.random.Generator, family: np.random.Generator) -> Style:
    """Draw a style; the family fixes the favourite window head, roof and dome, and a sibling may stray."""
    family_head, family_roof = pick(family, *HEADS), pick(family, *ROOFS)
    family_dome = pick(family, "round", "tall", "onion", "low")
    head = family_head if random.random() < 0.6 else pick(random, *HEADS)
    door_size = (random.uniform(0.5, 0.75), random.uniform(0.75, 0.92))
    belfry_size = (random.uniform(0.4, 0.7), random.uniform(0.6, 0.8))
    return Style(
        windows=tuple(window(random, head) for _ in range(3)),
        door=Opening(*door_size, 0.0, pick(random, *HEADS), 0.5, (2, 1), 0.3, glass="door"),
        belfry=Opening(*belfry_size, 0.1, head, 0.5, (1, 4), 0.15, glass="louvre"),
        belfry_columns=int(random.integers(1, 4)),
        courses=random.random() < 0.6,
        pilasters=random.random() < 0.35,
        quoins=random.random() < 0.4,
        plinth_m=random.uniform(0.4, 1.4),
        plinth_slot=pick(random, "base", "trim", "wall2"),
        cornice_m=random.uniform(0.15, 0.6),
        dentils=random.random() < 0.3,
        roof=family_roof if random.random() < 0.5 else pick(random, *ROOFS),
        pitch=random.uniform(0.25, 0.6),
        dormers=random.random() < 0.4,
        chimneys=int(random.integers(0, 4)),
        dome=family_dome if random.random() < 0.5 else pick(random, "round", "tall", "onion", "low"),
        spire=random.uniform(1.2, 3.2),
        spire_sides=pick(random, 4, 8),
        slits=int(random.integers(3, 7)),
        flag=random.random() < 0.7,
    )


def draw_palette(
    random: np.random.Generator, family: np.random.Generator, template: str, slots: Collection[str]
) -> dict[str, Material]:
    """Paint the materials of some slots.

    The family decides wall kind, hue, tone and roof; siblings differ in one or two colours and in their decals.
    """
    wall_kind = pick(family, *(MODERN_WALLS if template == "modern" else WALLS))
    hue = float(family.choice([0.03, 0.06, 0.09, 0.11, 0.13, 0.58]))
    saturation = family.uniform(0.3, 0.65) if wall_kind == "brick" else family.uniform(0.05, 0.45)
    value = family.uniform(0.45, 0.8)
    roof_kind, roof_colour = pick(family, "rooftile", "rooftile", "seam"), hsv(*pick(family, *ROOF_COLOURS))
    trim_tone = family.uniform(0.03, 0.2)
    wall = hsv(hue + random.normal(0, 0.012), saturation * random.uniform(0.8, 1.2), value * random.uniform(0.9, 1.1))
    trim = hsv(0.1 + random.normal(0, 0.02), trim_tone, random.uniform(0.5, 0.8))
    second = np.clip(wall * random.uniform(0.8, 1.2) + random.normal(0, 0.04, 3), 0.05, 0.9)
    frame = hsv(*pick(random, *FRAME_COLOURS))
    accent = hsv(float(random.choice(ACCENT_HUES)), random.uniform(0.25, 0.6), random.uniform(0.2, 0.5))
    recipe = {
        "wall": (wall_kind, wall),
        "wall2": (wall_kind if random.random() < 0.4 else pick(random, *WALLS[:7]), second),
        "trim": (pick(random, *SMOOTH), trim),
        "roof": (roof_kind, np.clip(roof_colour * random.uniform(0.85, 1.15), 0, 1)),
        "base": ("ashlar", trim * 0.8),
        "paving": (pick(random, "slabs", "cobble", "gravel"), trim * random.uniform(0.55, 0.75)),
        "dome": (pick(random, "seam", "rooftile", "mosaic", "stucco"), hsv(*pick(random, *DOME_COLOURS))),
        "metal": ("plain", hsv(*pick(random, *METAL_COLOURS))),
        "statue": ("stucco", pick(random, trim * 0.9, hsv(0.42, 0.25, 0.42), hsv(0.08, 0.35, 0.25))),
        "glass": ("glass", np.array([0.1, 0.12, 0.15]) * random.uniform(0.5, 1.6)),
        "frame": ("plain", frame),
        "shutter": ("planks", accent),
        "door": ("planks", hsv(float(random.choice(ACCENT_HUES)), 0.45, 0.32)),
        "louvre": ("planks", hsv(0.08, 0.2, 0.16)),
    }
    palette = {slot: material(random, kind, colour) for slot, (kind, colour) in recipe.items() if slot in slots}
    decals = {
        "decal0": "rose" if template == "church" else pick(random, "rose", "clock", "clock"),
        "decal1": pick(random, "sign", "sign", "mural"),
        "decal2": pick(random, "banner", "mural", "banner"),
        "clock": "clock",
    }
    return palette | {slot: decal(random, name) for slot, name in decals.items() if slot in slots}
