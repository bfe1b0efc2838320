"""From a stage, a camera and a light to linear radiance.

Texture is looked up in numpy on a 2 x 2 supersampled first-hit buffer; only what light falls on each point is traced:
sunlight with one shadow ray per supersample (sharp, free of noise) and skylight with a few cosine-distributed rays
and one bounce, which is smooth, so a small joint bilateral filter over normals and depth removes its noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .backend import Tracer
from .camera import Camera
from .light import SKY_COLUMNS, SKY_ROWS, Light, sky_lookup, sun_direction, sun_irradiance
from .stage import KINDS, Stage

PER_SIDE = 2  # supersamples per pixel side
_LIFT_M = 2e-3  # secondary rays start this far off the surface
_LEAF_THROUGH = 0.45  # share of sunlight that passes a leaf
_SECOND_BOUNCE = 0.35  # what a blocked second ray is taken to see, relative to the mean sky
_STEP = (0.7548776662466927, 0.5698402909980532)  # R2 low-discrepancy sequence
_GLASS, _LEAF = KINDS.index("glass"), KINDS.index("leaf")


@dataclass(frozen=True)
class Lamp:
    """A light at night: place (3,), what it points at (3,) or None for all round, linear RGB intensity."""

    place: tuple[float, float, float]
    towards: tuple[float, float, float] | None
    intensity: tuple[float, float, float]


@dataclass(frozen=True)
class Buffer:
    """First hits of all supersamples (s = height * 2 * width * 2, row by row).

    Attributes
    ----------
    valid : (s,) bool
    distance : (s,) float32, metres.
    triangle : (s,) int64
    barycentric : (s, 2) float32
    directions, points, normals : (s, 3) float32; normals face the camera.
    """

    valid: np.ndarray
    distance: np.ndarray
    triangle: np.ndarray
    barycentric: np.ndarray
    directions: np.ndarray
    points: np.ndarray
    normals: np.ndarray


@dataclass(frozen=True)
class Picture:
    """Linear image (h, w, 3), nearest-surface distance (h, w) and the share of each pixel that is sky (h, w)."""

    radiance: np.ndarray
    distance: np.ndarray
    sky: np.ndarray


def first_hits(tracer: Tracer, stage: Stage, camera: Camera) -> Buffer:
    """Trace the supersampled camera rays; the tracer must hold the stage's corners."""
    directions = camera.rays(PER_SIDE)
    hits = tracer.intersect(np.array(camera.origin), directions)
    points = np.asarray(camera.origin, np.float32) + hits.distance[:, None] * directions
    normals = stage.normals[hits.triangle]
    normals = normals * -np.sign(np.einsum("ij,ij->i", normals, directions) + 1e-9)[:, None]
    return Buffer(hits.valid, hits.distance, hits.triangle, hits.barycentric, directions, points, normals)


def render(
    tracer: Tracer, stage: Stage, camera: Camera, buffer: Buffer, light: Light, sky: np.ndarray,
    lamps: list[Lamp], samples: int, rng: np.random.Generator,
) -> Picture:  # fmt: skip
    """Shade a first-hit buffer.

    Parameters
    ----------
    sky : (SKY_ROWS, SKY_COLUMNS, 3) from `light.sky_map`.
    samples : sky rays per supersample (four supersamples make a pixel).
    """
    seen = np.flatnonzero(buffer.valid)
    points, normals = buffer.points[seen], buffer.normals[seen]
    lifted = points + normals * (_LIFT_M + 1e-4 * buffer.distance[seen, None])
    quad = buffer.triangle[seen] // 2
    kind = stage.kind[stage.material[quad]]
    uv = stage.texture_coordinates(buffer.triangle[seen], buffer.barycentric[seen])
    slant = np.abs(np.einsum("ij,ij->i", normals, buffer.directions[seen]))
    footprint = buffer.distance[seen] * camera.pixel_size / PER_SIDE / np.sqrt(np.maximum(slant, 0.1))
    albedo = stage.albedo(quad, uv, footprint)

    direct = _sunlight(tracer, lifted, normals, kind, light, rng) + _lamplight(tracer, lifted, normals, lamps)
    soft = _skylight(tracer, stage, lifted, normals, light, sky, samples, rng)
    albedo[kind == _GLASS] *= 0.25
    own = albedo * direct
    glass = np.flatnonzero(kind == _GLASS)
    if len(glass):
        own[glass] += _mirrored(
            tracer, stage, buffer, seen[glass], quad[glass], uv[glass], light, sky, soft.mean(axis=0)
        )
        if light.night:
            own[glass] += _lit_panes(quad[glass], uv[glass], rng)

    shape = (camera.height, camera.width)
    count = _to_pixels(buffer.valid.astype(np.float32)[:, None], shape)[..., 0]
    picture = _to_pixels(_scatter(own, buffer.valid), shape)
    flat = _to_pixels(_scatter(albedo, buffer.valid), shape)
    filled = np.maximum(count, 0.25 / PER_SIDE**2)[..., None]
    soft = _to_pixels(_scatter(soft, buffer.valid), shape) / filled
    guide = _to_pixels(_scatter(normals, buffer.valid), shape) / filled
    distance = _to_pixels(_scatter(buffer.distance[seen, None], buffer.valid), shape)[..., 0] / filled[..., 0]
    picture += flat * denoise(soft, guide, np.where(count > 0, distance, 1e4))
    backdrop = np.zeros_like(buffer.directions)
    beyond = buffer.directions[~buffer.valid]
    beyond[:, 2] = np.maximum(beyond[:, 2], 0.01)  # past the end of the ground lies the horizon's haze
    backdrop[~buffer.valid] = sky_lookup(sky, beyond)
    picture += _to_pixels(backdrop, shape)
    return Picture(picture, np.where(count > 0, distance, 1e4), 1.0 - count)


def denoise(soft: np.ndarray, normals: np.ndarray, distance: np.ndarray, reach: int = 3) -> np.ndarray:
    """Joint bilateral filter of skylight (h, w, 3) guided by normals (h, w, 3) and distance (h, w) in metres."""
    planes = [np.ascontiguousarray(p, np.float32) for p in np.moveaxis(normals * 5.0, -1, 0)]
    planes.append(np.log(np.maximum(distance, 0.1)).astype(np.float32) * 7.0)
    colour = np.ascontiguousarray(np.moveaxis(soft, -1, 0), np.float32)
    height, width = distance.shape
    total, weights = colour.copy(), np.ones((height, width), np.float32)
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            if (dy, dx) <= (0, 0):  # each pair of pixels once, from its earlier pixel
                continue
            here = slice(0, height - dy), slice(max(0, -dx), width - max(0, dx))
            there = slice(dy, height), slice(max(0, dx), width - max(0, -dx))
            unlike = sum((p[there] - p[here]) ** 2 for p in planes)
            weight = np.exp(-unlike - (dx * dx + dy * dy) / (0.9 * reach**2))
            total[(slice(None), *here)] += weight * colour[(slice(None), *there)]
            total[(slice(None), *there)] += weight * colour[(slice(None), *here)]
            weights[here] += weight
            weights[there] += weight
    return np.moveaxis(total / weights, 0, -1)


def _sunlight(tracer, points, normals, kind, light: Light, rng) -> np.ndarray:
    """Reflected share (k, 3) of direct sunlight per unit albedo."""
    energy, towards = sun_irradiance(light), sun_direction(light)
    result = np.zeros(points.shape, np.float32)
    if not energy.any():
        return result
    cosine = normals @ towards
    share = np.where(kind == _LEAF, np.where(cosine > 0, 1 - _LEAF_THROUGH, -_LEAF_THROUGH), 1.0) * cosine
    lit = np.flatnonzero(share > 0)
    disc = rng.normal(0.0, 0.004, (len(lit), 3))  # the sun is not a point
    rays = (towards + disc).astype(np.float32)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    start = points[lit] + np.where(cosine[lit] < 0, -2.5 * _LIFT_M, 0.0)[:, None] * normals[lit]
    free = ~tracer.blocked(start, rays)
    result[lit] = (share[lit] * free)[:, None] * energy / np.pi
    return result


def _lamplight(tracer, points, normals, lamps: list[Lamp]) -> np.ndarray:
    """Reflected share (k, 3) of lamps per unit albedo, with shadows."""
    result = np.zeros(points.shape, np.float32)
    for lamp in lamps:
        offset = np.asarray(lamp.place, np.float32) - points
        reach = np.linalg.norm(offset, axis=1)
        towards = offset / reach[:, None]
        share = np.einsum("ij,ij->i", normals, towards) / (reach**2 + 1.0)
        if lamp.towards is not None:
            axis = np.subtract(lamp.towards, lamp.place)
            axis = axis / np.linalg.norm(axis)
            share = share * np.clip(-(towards @ axis) * 1.6 - 0.5, 0.0, 1.0) ** 1.5
        lit = np.flatnonzero(share * max(lamp.intensity) > 1e-3)
        free = ~tracer.blocked(points[lit], towards[lit], 0.97 * reach[lit] - 0.1)
        result[lit] += (share[lit] * free)[:, None] * np.asarray(lamp.intensity, np.float32)
    return result


def _skylight(tracer: Tracer, stage: Stage, points, normals, light, sky, samples, rng) -> np.ndarray:
    """Mean radiance (k, 3) arriving over the cosine-weighted hemisphere: sky, or one bounce off what is in the way."""
    if not len(points):
        return np.zeros((0, 3), np.float32)
    mi, dr = tracer.mi, tracer.dr
    start, normal = tracer.vectors(points), tracer.vectors(normals)
    sky_table = tracer.vectors(sky.reshape(-1, 3))
    table_normals = tracer.vectors(stage.normals)
    table_colours = tracer.vectors(np.repeat(stage.colours[stage.material], 2, axis=0))
    energy = sun_irradiance(light) / np.pi
    sun = mi.Vector3f(*[dr.opaque(mi.Float, float(v)) for v in sun_direction(light)])
    energy = mi.Color3f(*[dr.opaque(mi.Float, float(v)) for v in energy])
    ambient = mi.Color3f(*[dr.opaque(mi.Float, float(v) * _SECOND_BOUNCE) for v in sky[: SKY_ROWS // 2].mean((0, 1))])
    offset = rng.random((4, len(points)), np.float32)
    total = mi.Color3f(0.0)
    for number in range(samples):
        u = [mi.Float(np.mod(o + np.float32(number * _STEP[i % 2]), 1.0)) for i, o in enumerate(offset)]
        way = mi.Frame3f(normal).to_world(mi.warp.square_to_cosine_hemisphere(mi.Point2f(u[0], u[1])))
        hit = tracer.scene.ray_intersect_preliminary(mi.Ray3f(mi.Point3f(start), way))
        met = hit.is_valid()
        facing = mi.Normal3f(dr.gather(mi.Vector3f, table_normals, hit.prim_index, met))
        facing = dr.select(dr.dot(facing, way) > 0, -facing, facing)
        place = mi.Point3f(start) + way * dr.select(met, hit.t, 0.0) + facing * _LIFT_M
        cosine = dr.dot(facing, sun)
        sunny = met & (cosine > 0) & (energy.x > 0)
        sunny &= ~tracer.scene.ray_test(mi.Ray3f(place, sun), sunny)
        again = mi.Frame3f(facing).to_world(mi.warp.square_to_cosine_hemisphere(mi.Point2f(u[2], u[3])))
        open_sky = ~tracer.scene.ray_test(mi.Ray3f(place, again), met)
        second = dr.select(open_sky, _sky_value(tracer, sky_table, again), mi.Vector3f(ambient))
        second += dr.select(sunny, mi.Vector3f(energy) * cosine, mi.Vector3f(0.0))
        second *= dr.gather(mi.Vector3f, table_colours, hit.prim_index, met)
        found = dr.select(met, second, _sky_value(tracer, sky_table, way))
        total = total + mi.Color3f(found)
        dr.eval(total)
    return np.array(total).T.reshape(-1, 3).astype(np.float32) / samples


def _sky_value(tracer: Tracer, table, way):
    """Nearest cell of the sky map in a Dr.Jit direction."""
    mi, dr = tracer.mi, tracer.dr
    row = dr.clip(mi.Int32((0.5 - dr.asin(dr.clip(way.z, -1, 1)) / dr.pi) * SKY_ROWS), 0, SKY_ROWS - 1)
    column = dr.clip(mi.Int32((dr.atan2(way.y, way.x) / (2 * dr.pi) + 0.5) * SKY_COLUMNS), 0, SKY_COLUMNS - 1)
    return dr.gather(mi.Vector3f, table, mi.UInt32(row * SKY_COLUMNS + column))


def _mirrored(tracer, stage, buffer: Buffer, where, quad, uv, light, sky, mean_light) -> np.ndarray:
    """What panes of glass reflect (k, 3); each pane is tilted by its own fraction of a degree, as real ones are."""
    tilt = _pane_noise(quad, uv, 3) * 0.03
    normals = buffer.normals[where] + tilt
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    cosine = np.einsum("ij,ij->i", normals, buffer.directions[where])
    ways = (buffer.directions[where] - 2 * cosine[:, None] * normals).astype(np.float32)
    start = buffer.points[where] + buffer.normals[where] * 0.01
    hits = tracer.intersect(start, ways)
    seen = sky_lookup(sky, ways)
    seen[hits.valid] = stage.colours[stage.material[hits.triangle[hits.valid] // 2]] * mean_light
    fresnel = 0.07 + 0.93 * (1.0 - np.clip(np.abs(cosine), 0.0, 1.0)) ** 5
    return seen * np.minimum(2.0 * fresnel, 1.0)[:, None]  # two faces of the pane


def _lit_panes(quad, uv, rng) -> np.ndarray:
    """Light from rooms at night (k, 3): about two windows in five, in warm or cold tones."""
    noise = _pane_noise(quad, uv, 3, int(rng.integers(1 << 30))) + 0.5
    warm, cold = np.array([1.0, 0.62, 0.28]), np.array([0.75, 0.85, 1.0])
    colour = np.where(noise[:, 1:2] < 0.75, warm, cold)
    return (colour * (0.25 + 0.9 * noise[:, 2:]) * (noise[:, :1] < 0.4)).astype(np.float32)


def _pane_noise(quad, uv, columns: int, seed: int = 0) -> np.ndarray:
    """Numbers (k, columns) in [-0.5, 0.5) that are the same all over one pane."""
    pane = np.floor(uv[:, 0]).astype(np.int64)
    key = (quad.astype(np.uint64) * np.uint64(1000003) + pane.astype(np.uint64)) ^ np.uint64(seed)
    result = np.empty((len(quad), columns), np.float32)
    for column in range(columns):
        mixed = (key + np.uint64(column + 1)) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
        result[:, column] = (mixed >> np.uint64(40)).astype(np.float32) / 2**24 - 0.5
    return result


def _scatter(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Values of the valid supersamples back in place, zero elsewhere."""
    result = np.zeros((len(valid), values.shape[1]), np.float32)
    result[valid] = values
    return result


def _to_pixels(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Mean over the supersamples of each pixel: (s, c) to (h, w, c)."""
    height, width = shape
    return values.reshape(height, PER_SIDE, width, PER_SIDE, -1).mean(axis=(1, 3))
