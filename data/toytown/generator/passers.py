"""What stands between camera and landmark for one picture only: cars, people, a tree, a pole; lamps at night."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import props
from .camera import Camera, Subject
from .mesh import Mesh
from .render import Lamp

_CLEARANCE_M = 1.2  # nothing stands closer to the lens than this


@dataclass(frozen=True)
class Passers:
    """Objects of one picture: their mesh, or None, and how many of each there are."""

    mesh: Mesh | None
    cars: int
    people: int
    front_tree: bool
    front_pole: bool

    def metadata(self) -> dict:
        """The `occluders` part of an image's row."""
        return {
            "cars": self.cars,
            "people": self.people,
            "front_tree": self.front_tree,
            "front_pole": self.front_pole,
        }


def sample_passers(rng: np.random.Generator, camera: Camera, subject: Subject, query: bool) -> Passers:
    """Draw the objects of a picture; queries get fewer of them and none right in front."""
    ground = _Ground(rng, camera, subject)
    placed: list[tuple[Mesh, float, tuple[float, float, float]]] = []
    cars = int(rng.poisson(0.7 if query else 1.6))
    people = int(rng.poisson(1.5 if query else 3.0))
    for _ in range(cars):
        ground.place(placed, props.car(rng), (0.35 if query else 0.25, 0.9), 0.5, 4.0, rng.uniform(0, 2 * np.pi))
    for _ in range(people):
        ground.place(placed, props.person(rng), (0.3 if query else 0.15, 0.95), 0.4, 2.5, rng.uniform(0, 2 * np.pi))
    tree = not query and bool(rng.random() < 0.25)
    if tree:
        ground.place(placed, props.tree(rng, float(rng.uniform(3.5, 8.0))), (0.3, 0.6), 0.25, 5.0, 0.0)
    pole = not query and bool(rng.random() < 0.12)
    if pole:
        ground.place(placed, props.pole(rng), (0.06, 0.3), 0.15, 2.0, 0.0)
    return Passers(Mesh.join(placed) if placed else None, cars, people, tree, pole)


def night_lamps(rng: np.random.Generator, subject: Subject) -> list[Lamp]:
    """Floodlights that stand before the landmark and point up at it, and warm street lamps around."""
    lamps = []
    tint = np.array([1.0, 0.74, 0.42]) if rng.random() < 0.7 else np.array([0.8, 0.92, 1.0])
    middle = (subject.centre[0], subject.centre[1], 0.55 * subject.height)
    away = 0.75 * subject.radius + 0.35 * subject.height + 3.0
    for angle in (-0.75, 0.0, 0.75, np.pi - 0.6, np.pi + 0.6):
        turn = -0.5 * np.pi + angle + rng.normal(0.0, 0.12)
        place = (subject.centre[0] + away * np.cos(turn), subject.centre[1] + away * np.sin(turn), 0.6)
        power = rng.uniform(0.10, 0.26) * (away**2 + (0.5 * subject.height) ** 2)
        lamps.append(Lamp(place, middle, tuple((tint * power).tolist())))
    for _ in range(int(rng.integers(3, 7))):
        turn, far = rng.uniform(0, 2 * np.pi), subject.radius + rng.uniform(4.0, 20.0)
        place = (subject.centre[0] + far * np.cos(turn), subject.centre[1] + far * np.sin(turn), 5.2)
        lamps.append(Lamp(place, None, tuple((np.array([1.0, 0.68, 0.36]) * rng.uniform(3.0, 7.0)).tolist())))
    return lamps


class _Ground:
    """Places between the camera and the subject."""

    def __init__(self, rng: np.random.Generator, camera: Camera, subject: Subject):
        self._rng, self._subject = rng, subject
        self._origin = np.array(camera.origin[:2])
        way = np.array(subject.centre) - self._origin
        self._way = way / max(float(np.hypot(*way)), 1e-6)
        self._side = np.array([-self._way[1], self._way[0]])
        self._reach = max(float(np.hypot(*way)) - 0.8 * subject.radius, 6.0)

    def place(self, placed: list, mesh: Mesh, along: tuple[float, float], across: float, least: float, yaw: float):
        """Stand a mesh at a share `along` of the way, up to `across` of the way aside, `least` metres off or more."""
        forward = max(least, self._rng.uniform(*along) * self._reach)
        aside = self._rng.uniform(-across, across) * max(self._reach, 8.0)
        spot = self._origin + forward * self._way + aside * self._side
        off = float(np.hypot(*(spot - self._subject.centre)))
        if off > 0.75 * self._subject.radius and forward > _CLEARANCE_M:
            placed.append((mesh, float(yaw), (float(spot[0]), float(spot[1]), 0.0)))
