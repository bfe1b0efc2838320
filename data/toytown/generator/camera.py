"""Cameras: where a photographer stands and what the lens sees.  Metres, degrees, z up, fronts facing -y."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

EYE_HEIGHT_M = 1.7
_FRONT = -0.5 * np.pi  # direction from the landmark to a camera before its main front, radians


@dataclass(frozen=True)
class Camera:
    """A pinhole camera.

    Parameters
    ----------
    origin, target : (x, y, z) in metres.
    fov_deg : field of view along the long side.
    roll_deg : rotation about the viewing axis.
    width, height : pixels.
    """

    origin: tuple[float, float, float]
    target: tuple[float, float, float]
    fov_deg: float
    roll_deg: float
    width: int
    height: int

    def frame(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Forward, right and up unit vectors."""
        forward = np.subtract(self.target, self.origin)
        forward = forward / np.linalg.norm(forward)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        up = np.cross(right, forward)
        roll = np.radians(self.roll_deg)
        return forward, right * np.cos(roll) - up * np.sin(roll), up * np.cos(roll) + right * np.sin(roll)

    @property
    def pixel_size(self) -> float:
        """Side of a pixel at distance 1 on the image plane."""
        return 2.0 * np.tan(np.radians(self.fov_deg) / 2.0) / max(self.width, self.height)

    def rays(self, per_side: int = 1) -> np.ndarray:
        """Unit directions (height * per_side * width * per_side, 3), row by row, float32."""
        forward, right, up = self.frame()
        x = ((np.arange(self.width * per_side) + 0.5) / per_side - self.width / 2) * self.pixel_size
        y = (self.height / 2 - (np.arange(self.height * per_side) + 0.5) / per_side) * self.pixel_size
        directions = forward + x[None, :, None] * right + y[:, None, None] * up
        directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
        return directions.reshape(-1, 3).astype(np.float32)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pixel column, row and depth (metres along the axis) of (n, 3) points."""
        forward, right, up = self.frame()
        offset = np.asarray(points) - np.asarray(self.origin)
        depth = offset @ forward
        safe = np.maximum(depth, 1e-6) * self.pixel_size
        return self.width / 2 + offset @ right / safe, self.height / 2 - offset @ up / safe, depth


@dataclass(frozen=True)
class Subject:
    """What is photographed: centre (x, y) on the ground, radius around it and height, in metres."""

    centre: tuple[float, float]
    radius: float
    height: float

    @classmethod
    def of(cls, low: np.ndarray, high: np.ndarray) -> Subject:
        """Subject of a bounding box."""
        middle = (low[:2] + high[:2]) / 2
        return cls((float(middle[0]), float(middle[1])), float(np.hypot(*(high[:2] - low[:2])) / 2), float(high[2]))


def azimuth_deg(camera: Camera, subject: Subject) -> float:
    """Direction of the camera seen from the subject: 0 before its main front, positive towards +x."""
    x, y = camera.origin[0] - subject.centre[0], camera.origin[1] - subject.centre[1]
    return float((np.degrees(np.arctan2(y, x) - _FRONT) + 180.0) % 360.0 - 180.0)


def query_camera(rng: np.random.Generator, subject: Subject, long_side: int, obstacles) -> Camera:
    """A clean view near the front with all of the subject in the frame."""
    width, height = _frame_size(rng, subject, long_side)
    return _aim(
        rng, subject, width, height, obstacles,
        azimuth=_FRONT + rng.normal(0.0, 0.35), fov=rng.uniform(34.0, 66.0), fill=rng.uniform(0.85, 1.08),
        eye=EYE_HEIGHT_M if rng.random() < 0.75 else rng.uniform(3.0, 12.0), wander=0.05, roll=rng.normal(0.0, 1.2),
    )  # fmt: skip


def any_camera(rng: np.random.Generator, subject: Subject, long_side: int, obstacles) -> tuple[Camera, str]:
    """Any other view: mostly ordinary, some from behind, some details, some from afar.  Returns camera and kind."""
    kind = str(rng.choice(["plain", "around", "detail", "far"], p=[0.50, 0.15, 0.17, 0.18]))
    width, height = _frame_size(rng, subject, long_side, other=0.25)
    azimuth = _FRONT + (rng.uniform(-np.pi, np.pi) if kind == "around" else rng.normal(0.0, 0.72))
    fill = {"detail": (1.6, 2.6), "far": (0.26, 0.5)}.get(kind, (0.6, 1.25))
    camera = _aim(
        rng, subject, width, height, obstacles,
        azimuth=azimuth, fov=rng.uniform(24.0, 70.0), fill=rng.uniform(*fill),
        eye=EYE_HEIGHT_M if rng.random() < 0.7 else rng.uniform(3.0, 22.0),
        wander=0.3 if kind == "detail" else 0.12,
        roll=rng.normal(0.0, 1.6) if rng.random() < 0.9 else rng.uniform(-13.0, 13.0),
    )  # fmt: skip
    return camera, kind


def street_camera(rng: np.random.Generator, long_side: int, obstacles) -> Camera:
    """A view of a street without a landmark, towards one of its buildings (the larger obstacles)."""
    width, height = _frame_size(rng, Subject((0.0, 0.0), 1.0, 1.0), long_side, other=0.3)
    eye = EYE_HEIGHT_M if rng.random() < 0.75 else rng.uniform(3.0, 12.0)
    buildings = [o for o in obstacles if o[2] >= 4.0 and np.hypot(o[0], o[1]) < 70.0] or [(0.0, 25.0, 6.0)]
    x, y, radius = buildings[int(rng.integers(len(buildings)))]
    towards_middle = np.arctan2(-y, -x) + rng.normal(0.0, 0.5)
    away = radius + rng.uniform(9.0, 26.0)
    place = _clear(np.array([x, y]) + away * np.array([np.cos(towards_middle), np.sin(towards_middle)]), obstacles, eye)
    aim = np.array([x, y]) + rng.normal(0.0, 0.5, 2) * radius
    target = (float(aim[0]), float(aim[1]), float(rng.uniform(3.0, 7.5)))
    origin = (float(place[0]), float(place[1]), float(eye))
    return Camera(origin, target, float(rng.uniform(42.0, 72.0)), float(rng.normal(0.0, 1.5)), width, height)


def _frame_size(rng, subject: Subject, long_side: int, other: float = 0.1) -> tuple[int, int]:
    """Portrait for slender subjects, landscape for wide ones, the other way round with probability `other`."""
    portrait = subject.height > 1.7 * subject.radius
    if rng.random() < other:
        portrait = not portrait
    short = long_side * 3 // 4
    return (short, long_side) if portrait else (long_side, short)


def _aim(rng, subject, width, height, obstacles, azimuth, fov, fill, eye, wander, roll) -> Camera:
    """Stand where the subject fills the share `fill` of the frame, then look at it a little off centre."""
    half = np.tan(np.radians(fov) / 2)
    short = half * min(width, height) / max(width, height)
    across, upward = (half, short) if width >= height else (short, half)
    needed = max(1.5 * subject.radius / (2 * across), 1.08 * subject.height / (2 * upward)) / fill
    distance = float(np.clip(needed + 0.45 * subject.radius, 0.95 * subject.radius + 3.5, 130.0))
    away = np.array([np.cos(azimuth), np.sin(azimuth)])
    centre = np.array(subject.centre)
    place = _clear(centre + distance * away, obstacles, eye)
    side = np.array([-away[1], away[0]])
    aim = centre + rng.normal(0.0, wander) * subject.radius * side
    middle = subject.height * 0.5 + rng.normal(0.0, 0.6 * wander) * subject.height
    # a photographer at eye level keeps some ground in the frame but cannot tilt to the zenith
    steepest = eye + np.tan(np.radians(38.0)) * max(np.hypot(*(place - aim)), 1.0)
    target = (float(aim[0]), float(aim[1]), float(min(middle, steepest)))
    return Camera((float(place[0]), float(place[1]), float(eye)), target, float(fov), float(roll), width, height)


def _clear(place: np.ndarray, obstacles, eye: float) -> np.ndarray:
    """Push a standing place out of obstacles (x, y, radius); cameras above the roofs may stay."""
    place = np.array(place, float)
    if eye > 20.0:
        return place
    for _ in range(4):
        for x, y, radius in obstacles:
            offset = place - (x, y)
            distance = float(np.hypot(*offset))
            if distance < radius + 1.2:
                way = offset / distance if distance > 1e-6 else np.array([0.0, -1.0])
                place = np.array([x, y]) + way * (radius + 1.8)
    return place
