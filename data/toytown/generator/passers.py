"""What stands between camera and landmark for one picture only: cars, people, a tree, a pole; lamps at night."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from . import props, seeds
from .camera import Camera, Subject
from .mesh import Mesh
from .render import Lamp

_STOCK = {"car": 40, "person": 60, "tree": 16, "pole": 4}  # how many different ones all pictures choose from


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

    def stand(kind: str, wanted: int, along: tuple[float, float], across: float, least: float) -> int:
        count = 0
        for _ in range(wanted):
            spot = ground.spot(along, across, least)
            mesh, yaw = _drawn(rng, kind), float(rng.uniform(0, 2 * np.pi))
            if spot is not None:
                placed.append((mesh, yaw, spot))
                count += 1
        return count

    cars = stand("car", int(rng.poisson(0.7 if query else 1.6)), (0.35 if query else 0.25, 0.9), 0.5, 4.0)
    people = stand("person", int(rng.poisson(1.5 if query else 3.0)), (0.3 if query else 0.15, 0.95), 0.4, 2.5)
    tree = stand("tree", int(not query and rng.random() < 0.25), (0.3, 0.6), 0.25, 5.0) > 0
    pole = stand("pole", int(not query and rng.random() < 0.12), (0.06, 0.3), 0.15, 2.0) > 0
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


def _drawn(rng: np.random.Generator, kind: str) -> Mesh:
    return _in_stock(kind, int(rng.integers(_STOCK[kind])))


@lru_cache(maxsize=sum(_STOCK.values()))
def _in_stock(kind: str, number: int) -> Mesh:
    """An object from (kind, number) alone; building one takes as long as tracing a small picture, hence the stock."""
    rng = seeds.rng("passer", kind, number)
    if kind == "tree":
        return props.tree(rng, float(rng.uniform(3.5, 8.0)))
    return getattr(props, kind)(rng)


class _Ground:
    """Places between the camera and the subject."""

    def __init__(self, rng: np.random.Generator, camera: Camera, subject: Subject):
        self._rng, self._subject = rng, subject
        self._origin = np.array(camera.origin[:2])
        way = np.array(subject.centre) - self._origin
        self._way = way / max(float(np.hypot(*way)), 1e-6)
        self._side = np.array([-self._way[1], self._way[0]])
        self._reach = max(float(np.hypot(*way)) - 0.8 * subject.radius, 6.0)

    def spot(self, along: tuple[float, float], across: float, least: float) -> tuple[float, float, float] | None:
        """A place at a share `along` of the way, at least `least` metres off and up to `across` of the way aside.

        None when it falls on the subject.
        """
        forward = max(least, self._rng.uniform(*along) * self._reach)
        aside = self._rng.uniform(-across, across) * max(self._reach, 8.0)
        place = self._origin + forward * self._way + aside * self._side
        if np.hypot(*(place - self._subject.centre)) <= 0.75 * self._subject.radius:
            return None
        return float(place[0]), float(place[1]), 0.0
