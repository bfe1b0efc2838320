"""One photograph: image, measures and patches from (namespace, landmark, shot) alone, whatever was made before it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace

import numpy as np

from . import camera as cameras
from . import light as lights
from . import measure, passers, photo, render, seeds
from .backend import Tracer
from .camera import Camera, Subject
from .landmarks import landmark
from .mesh import Mesh
from .stage import Stage
from .surroundings import surroundings

VERSION = "1.0"
CONTEXTS = 3  # surroundings a landmark is seen in; number 0 most of the time
_TRIES = 4
_CLOSE_M = 5.0
_MOST_CLOSE = 0.30  # share of the frame that things other than the ground closer than `_CLOSE_M` may cover
_MOST_HAZE = 1.1  # optical depth between camera and landmark
_KEPT_STAGES = 6
_STREET = Subject((0.0, 0.0), 3.0, 7.0)  # what street pictures take for their subject


@dataclass(frozen=True)
class Request:
    """What to photograph.

    Parameters
    ----------
    namespace : seed namespace, "benchmark", "train", ...
    landmark : number of the landmark, or of the street for role "street".
    shot : number of the shot.
    role : "query" (clean front view), "any", or "street" (no landmark).
    long_side : pixels.
    samples : sky rays per supersample.
    quality : inclusive range of the JPEG quality.
    template, family : of the landmark; empty and -1 for a street.
    """

    namespace: str
    landmark: int
    shot: int
    role: str
    long_side: int
    samples: int
    quality: tuple[int, int] = (70, 92)
    template: str = ""
    family: int = -1


@dataclass(frozen=True)
class Shot:
    """A finished photograph: JPEG bytes, metadata, patch numbers and counts."""

    jpeg: bytes
    metadata: dict
    patch_numbers: np.ndarray
    patch_counts: np.ndarray


@dataclass(frozen=True)
class _Scene:
    """Everything fixed before the light falls: what stands where and what the camera hits first."""

    stage: Stage
    camera: Camera
    kind: str
    passers: passers.Passers
    buffer: render.Buffer
    mask: np.ndarray
    measured: measure.Measured | None


class Studio:
    """Makes photographs; keeps the last landmark and surroundings it built."""

    def __init__(self):
        self._world, self._alone = Tracer(), Tracer()
        self._alone_key: tuple | None = None
        self._stages: OrderedDict[tuple, tuple] = OrderedDict()

    def shoot(self, request: Request) -> Shot:
        """Make one photograph; views that show too little are drawn again, up to four times."""
        street = request.role == "street"
        for attempt in range(_TRIES):
            rng = seeds.rng(request.namespace, "shot", request.role, request.landmark, request.shot, attempt)
            context = 0 if street or rng.random() < 0.55 else int(rng.integers(CONTEXTS))
            scene = self._compose(request, context, rng)
            if _acceptable(scene, request.role):
                break
        image, settings, light = self._expose(scene, request, rng)
        measured = measure.with_contrast(scene.measured, image, scene.mask) if scene.measured else None
        numbers, counts = np.zeros(0, np.uint32), np.zeros(0, np.uint16)
        if not street:
            low, high = self._landmark(request)[0].bounds
            numbers, counts = measure.patches(scene.buffer, scene.mask, low, high)
        sun, weather = light.metadata()
        metadata = {
            "family": request.family if not street else None,
            "template": request.template if not street else "street",
            "seeds": {
                "namespace": request.namespace, "role": request.role, "landmark": request.landmark,
                "shot": request.shot, "attempt": attempt,
            },
            "context": context,
            "camera": _camera_metadata(scene, None if street else self._subject(request)),
            "sun": sun,
            "weather": weather,
            "occluders": scene.passers.metadata(),
            "photometric": settings.metadata(),
            "measured": measured.metadata() if measured else None,
            "width": scene.camera.width,
            "height": scene.camera.height,
            "generator": VERSION,
        }  # fmt: skip
        return Shot(photo.encode(image, settings.jpeg_quality), metadata, numbers, counts)

    def _compose(self, request: Request, context: int, rng: np.random.Generator) -> _Scene:
        street = request.role == "street"
        if street:
            around, around_stage = self._around(request, context, None)
            camera, kind = cameras.street_camera(rng, request.long_side, around.obstacles), "street"
            towards = np.array(camera.origin[:2]) + 25.0 * camera.frame()[0][:2]
            subject, parts, quads = Subject(tuple(towards.tolist()), 3.0, 7.0), [around_stage], 0
        else:
            subject = self._subject(request)
            mesh, stage, _ = self._landmark(request)
            around, around_stage = self._around(request, context, subject)
            if request.role == "query":
                camera, kind = cameras.query_camera(rng, subject, request.long_side, around.obstacles), "query"
            else:
                camera, kind = cameras.any_camera(rng, subject, request.long_side, around.obstacles)
            parts, quads = [stage, around_stage], len(mesh.corners)
        people = passers.sample_passers(rng, camera, subject, request.role == "query")
        if people.mesh is not None:
            parts = [*parts, Stage.of(people.mesh)]
        whole = Stage.join(parts)
        self._world.load(whole.corners)
        buffer = render.first_hits(self._world, whole, camera)
        mask = measure.landmark_mask(buffer, quads)
        measured = None if street else measure.measure(camera, mask, self._tracer_alone(request))
        return _Scene(whole, camera, kind, people, buffer, mask, measured)

    def _expose(self, scene: _Scene, request: Request, rng: np.random.Generator):
        query = request.role == "query"
        light = lights.query_light(rng) if query else lights.any_light(rng)
        if request.role != "street":  # however far the camera, the landmark must show through the haze
            away = float(np.hypot(*np.subtract(self._subject(request).centre, scene.camera.origin[:2])))
            light = replace(light, haze=min(light.haze, _MOST_HAZE / away))
        sky = lights.sky_map(light, rng)
        subject = _STREET if request.role == "street" else self._subject(request)
        lamps = passers.night_lamps(rng, subject) if light.night else []
        picture = render.render(
            self._world, scene.stage, scene.camera, scene.buffer, light, sky, lamps, request.samples, rng
        )
        settings = photo.sample_photometry(rng, query, light.night, request.quality, request.long_side)
        return photo.develop(picture, light, settings, rng), settings, light

    def _landmark(self, request: Request) -> tuple[Mesh, Stage, Subject]:
        key = ("landmark", request.namespace, request.landmark, request.template, request.family)

        def build():
            mesh = landmark(request.namespace, request.landmark, request.template, request.family)
            return mesh, Stage.of(mesh), Subject.of(*mesh.bounds)

        return self._kept(key, build)

    def _around(self, request: Request, context: int, subject: Subject | None):
        key = ("around", request.namespace, request.role == "street", request.landmark, context)

        def build():
            # streets take numbers of their own so that none is the surroundings of a landmark
            number = request.landmark if subject else 100_000 + request.landmark
            place = (subject.centre, subject.radius) if subject else ()
            found = surroundings(request.namespace, number, context, *place)
            return found, Stage.of(found.mesh)

        return self._kept(key, build)

    def _subject(self, request: Request) -> Subject:
        return self._landmark(request)[2]

    def _tracer_alone(self, request: Request) -> Tracer:
        key = (request.namespace, request.landmark, request.template, request.family)
        if self._alone_key != key:
            self._alone.load(self._landmark(request)[0].corners)
            self._alone_key = key
        return self._alone

    def _kept(self, key: tuple, build):
        if key not in self._stages:
            self._stages[key] = build()
            while len(self._stages) > _KEPT_STAGES:
                self._stages.popitem(last=False)
        self._stages.move_to_end(key)
        return self._stages[key]


def _acceptable(scene: _Scene, role: str) -> bool:
    """Whether a view shows enough of its landmark and no near thing fills the frame."""
    near = scene.buffer.valid & (scene.buffer.distance < _CLOSE_M) & ~scene.mask & (scene.buffer.points[:, 2] > 0.3)
    if near.mean() > _MOST_CLOSE:
        return False
    found = scene.measured
    if found is None:
        return scene.buffer.valid.mean() > 0.35
    if role == "query":
        return found.fraction > 0.08 and found.visible > 0.75 and found.occlusion < 0.15
    return found.fraction > 0.015 and found.occlusion < 0.75


def _camera_metadata(scene: _Scene, subject: Subject | None) -> dict:
    camera = scene.camera
    values = {
        "kind": scene.kind,
        "origin": [round(v, 3) for v in camera.origin],
        "target": [round(v, 3) for v in camera.target],
        "fov_deg": round(camera.fov_deg, 2),
        "roll_deg": round(camera.roll_deg, 2),
    }
    if subject is not None:
        offset = np.array([*subject.centre, subject.height / 2]) - camera.origin
        flat = float(np.hypot(*offset[:2]))
        values["azimuth_deg"] = round(cameras.azimuth_deg(camera, subject), 1)
        values["elevation_deg"] = round(float(np.degrees(np.arctan2(-offset[2], flat))), 1)
        values["distance_m"] = round(flat, 2)
    return values
