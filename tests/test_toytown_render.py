"""Toytown's generator: the same image whenever it is made, sun and sky agree, ground truth follows its rules."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TOYTOWN = Path(__file__).resolve().parent.parent / "data" / "toytown"
sys.path.insert(0, str(TOYTOWN))

from generator import groundtruth, light, measure, photo  # noqa: E402
from generator.camera import Camera, Subject, azimuth_deg, query_camera  # noqa: E402
from generator.mesh import Material, Mesh  # noqa: E402
from generator.stage import Stage  # noqa: E402


@pytest.fixture(scope="module")
def studio():
    """A studio, or a skip that says what is missing."""
    pytest.importorskip("mitsuba", reason="rendering needs mitsuba, which is not installed")
    from generator.backend import RenderUnavailable, load_mitsuba
    from generator.shots import Studio

    try:
        load_mitsuba()
    except RenderUnavailable as error:
        pytest.skip(str(error))
    return Studio()


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    error = np.mean((one.astype(float) - other.astype(float)) ** 2)
    return float("inf") if error == 0 else 10 * np.log10(255.0**2 / error)


def plate(y: float = 0.0, half: float = 2.0, texture: np.ndarray | None = None) -> Mesh:
    """A square in the plane y = `y` that faces -y, its texture once across, row 0 at the top."""
    corners = [[-half, y, 0], [half, y, 0], [half, y, 2 * half], [-half, y, 2 * half]]
    uv = [[0, 1], [1, 1], [1, 0], [0, 0]]
    page = np.full((8, 8, 3), 128, np.uint8) if texture is None else texture
    return Mesh(
        np.array([corners], np.float32),
        np.array([uv], np.float32),
        np.zeros(1, np.int32),
        [Material(page, "matte", 1.0)],
    )


class TestShippedImages:
    def test_rerender(self, studio):
        rows = TOYTOWN / "images.jsonl"
        if not rows.exists():
            pytest.skip("data/toytown/images.jsonl is not there yet: python data/toytown/make.py benchmark")
        from generator import sets

        items = {item.name: item for item in [*sets.benchmark(), *sets.train()]}
        found = [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()]
        for row in (found[3], found[len(found) // 2], found[-1]):
            folder = "train" if row["split"] == "train" else "images"
            with Image.open(TOYTOWN / folder / f"{row['name']}.jpg") as image:
                shipped = np.array(image.convert("RGB"))
            shot = studio.shoot(items[row["name"]].request)
            again = np.array(Image.open(io.BytesIO(shot.jpeg)))
            assert psnr(shipped, again) > 35.0, row["name"]
            for key in ("camera", "sun", "weather", "occluders", "photometric", "seeds", "context"):
                assert shot.metadata[key] == row[key], (row["name"], key)
            if row["measured"]:
                for key in ("fraction", "visible", "occlusion", "truncation"):
                    assert shot.metadata["measured"][key] == pytest.approx(row["measured"][key], abs=0.01)
                assert shot.metadata["measured"]["bbx"] == pytest.approx(row["measured"]["bbx"], abs=3.0)


class TestOneImageAlone:
    def test_same_after_others(self, studio):
        from generator.shots import Request, Studio

        wanted = Request("test", 3, 1, "any", 96, 1, (80, 80), "gate", 0)
        others = [
            Request("test", 5, 0, "query", 96, 1, (80, 80), "monument", 1),
            Request("test", 2, 0, "street", 96, 1, (80, 80)),
            Request("test", 3, 4, "any", 96, 1, (80, 80), "gate", 0),
        ]
        alone = Studio().shoot(wanted)
        for request in others:
            studio.shoot(request)
        after = studio.shoot(wanted)
        assert after.jpeg == alone.jpeg
        assert after.metadata == alone.metadata
        np.testing.assert_array_equal(after.patch_numbers, alone.patch_numbers)

    def test_shots_differ(self, studio):
        from generator.shots import Request

        shots = [studio.shoot(Request("test", 3, n, "any", 96, 1, (80, 80), "gate", 0)) for n in (0, 1)]
        assert shots[0].jpeg != shots[1].jpeg
        assert shots[0].metadata["camera"] != shots[1].metadata["camera"]


class TestTracing:
    def test_first_hit_and_texture_orientation(self, studio):
        from generator import render

        texture = np.zeros((8, 8, 3), np.uint8)
        texture[:4, :, 0] = 255  # red above, green to the right below
        texture[4:, 4:, 1] = 255
        stage = Stage.of(plate(texture=texture))
        studio._world.load(stage.corners)
        camera = Camera((0.0, -6.0, 2.0), (0.0, 0.0, 2.0), 30.0, 0.0, 40, 40)
        buffer = render.first_hits(studio._world, stage, camera)
        assert buffer.valid.all()
        np.testing.assert_allclose(buffer.points[:, 1], 0.0, atol=1e-4)
        np.testing.assert_allclose(buffer.normals, np.broadcast_to([0, -1, 0], buffer.normals.shape), atol=1e-6)
        uv = stage.texture_coordinates(buffer.triangle, buffer.barycentric)
        colour = stage.albedo(buffer.triangle // 2, uv, np.full(len(uv), 1e-3)).reshape(80, 80, 3)
        np.testing.assert_allclose(colour[10, 40], [1, 0, 0], atol=1e-6)
        np.testing.assert_allclose(colour[70, 70], [0, 1, 0], atol=1e-6)
        np.testing.assert_allclose(colour[70, 10], [0, 0, 0], atol=1e-6)

    @pytest.mark.parametrize("azimuth", [-90.0, -20.0, 160.0])
    def test_lit_side_faces_the_glow(self, studio, azimuth):
        """A plate is bright where the brightest part of the sky is in front of it, dark when that is behind."""
        from generator import render

        weather = light.Light(25.0, azimuth, False, 0.0, 0.3, False, 0.0)
        sky = light.sky_map(weather, np.random.default_rng(0))
        brightest = light.sky_directions().reshape(-1, 3)[sky.sum(axis=-1).argmax()]
        stage = Stage.of(plate())
        studio._world.load(stage.corners)
        levels = {}
        for side in (-1.0, 1.0):
            camera = Camera((0.0, 6.0 * side, 2.0), (0.0, 0.0, 2.0), 30.0, 0.0, 16, 16)
            buffer = render.first_hits(studio._world, stage, camera)
            rng = np.random.default_rng(1)
            levels[side] = render.render(studio._world, stage, camera, buffer, weather, sky, [], 2, rng).radiance.mean()
        bright = 1.0 if brightest[1] > 0 else -1.0
        assert levels[bright] > 1.5 * levels[-bright]

    def test_no_ray_is_no_crash(self, studio):
        assert len(studio._world.intersect(np.zeros(3), np.zeros((0, 3), np.float32)).valid) == 0
        assert len(studio._world.blocked(np.zeros((0, 3)), np.zeros((0, 3), np.float32))) == 0


class TestLight:
    @pytest.mark.parametrize(("elevation", "azimuth"), [(10.0, 0.0), (40.0, -120.0), (55.0, 170.0)])
    def test_glow_stands_where_the_sun_does(self, elevation, azimuth):
        weather = light.Light(elevation, azimuth, False, 0.0, 0.5, False, 0.0)
        sky = light.sky_map(weather, np.random.default_rng(0))
        glow = light.sky_directions().reshape(-1, 3)[sky.sum(axis=-1).argmax()]
        angle = np.degrees(np.arccos(np.clip(glow @ light.sun_direction(weather), -1, 1)))
        assert angle < 2.0

    def test_lookup_gives_cells_back(self):
        sky = np.random.default_rng(0).random((light.SKY_ROWS, light.SKY_COLUMNS, 3)).astype(np.float32)
        found = light.sky_lookup(sky, light.sky_directions())
        np.testing.assert_allclose(found[1:-1], sky[1:-1], atol=1e-4)

    def test_no_sun_when_overcast_or_at_night(self):
        assert light.sun_irradiance(light.Light(30.0, 0.0, True, 0.0, 0.5, False, 0.0)).sum() == 0
        assert light.sun_irradiance(light.Light(30.0, 0.0, False, 0.0, 0.5, True, 0.0)).sum() == 0
        assert light.sun_irradiance(light.Light(30.0, 0.0, False, 0.0, 0.5, False, 0.0)).min() > 1


class TestCamera:
    def test_rays_and_projection_agree(self):
        camera = Camera((3.0, -20.0, 1.7), (1.0, 2.0, 6.0), 50.0, 7.0, 32, 24)
        points = np.array(camera.origin) + 9.0 * camera.rays()
        column, row, depth = camera.project(points)
        np.testing.assert_allclose(column.reshape(24, 32), np.broadcast_to(np.arange(32) + 0.5, (24, 32)), atol=1e-3)
        np.testing.assert_allclose(
            row.reshape(24, 32), np.broadcast_to((np.arange(24) + 0.5)[:, None], (24, 32)), atol=1e-3
        )
        assert (depth > 0).all()

    def test_front_is_azimuth_zero(self):
        subject = Subject((2.0, 5.0), 8.0, 12.0)
        front = Camera((2.0, -30.0, 1.7), (2.0, 5.0, 5.0), 50.0, 0.0, 32, 24)
        right = Camera((40.0, 5.0, 1.7), (2.0, 5.0, 5.0), 50.0, 0.0, 32, 24)
        assert azimuth_deg(front, subject) == pytest.approx(0.0)
        assert azimuth_deg(right, subject) == pytest.approx(90.0)

    def test_cameras_keep_out_of_obstacles(self):
        subject = Subject((0.0, 0.0), 8.0, 12.0)
        obstacles = [(x, -22.0, 4.0) for x in (-12.0, 0.0, 12.0)]
        for seed in range(40):
            camera = query_camera(np.random.default_rng(seed), subject, 320, obstacles)
            away = [np.hypot(camera.origin[0] - x, camera.origin[1] - y) - r for x, y, r in obstacles]
            assert min(away) > 0.5


class TestMeasure:
    def test_overlap_is_the_share_of_the_first(self):
        numbers, counts = np.array([3, 7, 9], np.uint32), np.array([10, 20, 70], np.uint16)
        assert measure.overlap(numbers, counts, np.array([7, 9, 11], np.uint32)) == pytest.approx(0.9)
        assert measure.overlap(numbers, counts, np.zeros(0, np.uint32)) == 0.0
        assert measure.overlap(np.zeros(0, np.uint32), np.zeros(0, np.uint16), numbers) == 0.0

    def test_half_hidden_plate(self, studio):
        from generator import render

        target, wall = plate(), plate(y=-1.0, half=2.0)
        moved = Mesh(wall.corners + np.array([2.0, 0.0, 0.0], np.float32), wall.uv, wall.material, wall.materials)
        camera = Camera((0.0, -1000.0, 2.0), (0.0, 0.0, 2.0), 0.4, 0.0, 200, 200)
        stage = Stage.join([Stage.of(target), Stage.of(moved)])
        studio._world.load(stage.corners)
        studio._alone.load(target.corners)
        studio._alone_key = None
        mask = measure.landmark_mask(render.first_hits(studio._world, stage, camera), 1)
        found = measure.measure(camera, mask, studio._alone)
        assert found.occlusion == pytest.approx(0.5, abs=0.02)
        assert found.visible == pytest.approx(0.5, abs=0.02)
        assert found.truncation == pytest.approx(0.0, abs=0.02)
        x0, _, x1, _ = found.bbx
        assert x1 == pytest.approx(100.0, abs=2.0)
        assert x0 == pytest.approx(100.0 - np.sqrt(found.fraction * 2) * 100.0, abs=4.0)


class TestPhoto:
    def test_grey_stays_grey_and_jpeg_quality_counts(self):
        image = np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8)
        assert len(photo.encode(image, 92)) > len(photo.encode(image, 70))


def image_row(**changes) -> dict:
    row = {
        "camera": {"azimuth_deg": 0.0},
        "sun": {"elevation_deg": 40.0, "azimuth_deg": 0.0},
        "weather": {"night": False, "overcast": False, "haze": 0.0},
        "photometric": {"blur_px": 0.2},
        "measured": {
            "fraction": 0.3, "visible": 0.9, "occlusion": 0.0, "scale_px": 100.0, "contrast": 40.0, "bbx": [0, 0, 9, 9],
        },
    }  # fmt: skip
    for path, value in changes.items():
        part, key = path.split("__")
        row[part][key] = value
    return row


SAME = (np.array([1, 2, 3, 4]), np.array([10, 10, 10, 10]))


class TestGroundTruth:
    def judge(self, image: dict, patches=SAME) -> str:
        return groundtruth.label(groundtruth.compare(image_row(), image, SAME, patches), image)

    def test_clear_view_is_easy(self):
        assert self.judge(image_row()) == "easy"

    @pytest.mark.parametrize(
        "changes",
        [
            {"camera__azimuth_deg": 46.0},
            {"camera__azimuth_deg": -170.0},
            {"measured__scale_px": 230.0},
            {"measured__scale_px": 40.0},
            {"measured__visible": 0.4},
            {"measured__fraction": 0.05},
            {"weather__night": True},
            {"weather__haze": 0.01},
            {"photometric__blur_px": 1.2},
        ],
    )
    def test_one_severe_change_is_hard(self, changes):
        assert self.judge(image_row(**changes)) == "hard"

    @pytest.mark.parametrize(
        "changes", [{"measured__fraction": 0.01}, {"measured__visible": 0.04}, {"measured__contrast": 10.0}]
    )
    def test_unreadable_is_junk(self, changes):
        assert self.judge(image_row(**changes)) == "junk"

    def test_overlap_counts_both_ways(self):
        detail = (np.array([1]), np.array([500]))
        query = (np.array([1, 2]), np.array([1, 99]))
        image = image_row()
        relation = groundtruth.compare(image_row(), image, query, detail)
        assert relation["overlap"] == pytest.approx(0.01)
        assert relation["overlap_back"] == pytest.approx(1.0)
        assert groundtruth.label(relation, image) == "hard"
        apart = groundtruth.compare(image_row(), image, query, (np.array([8, 9]), np.array([5, 5])))
        assert groundtruth.label(apart, image) == "junk"

    def test_azimuth_wraps(self):
        relation = groundtruth.compare(
            image_row(camera__azimuth_deg=170.0), image_row(camera__azimuth_deg=-170.0), SAME, SAME
        )
        assert relation["viewpoint_deg"] == pytest.approx(20.0)

    def test_sun_difference_is_the_angle_between_directions(self):
        query = image_row(sun__elevation_deg=0.0, sun__azimuth_deg=170.0)
        image = image_row(sun__elevation_deg=0.0, sun__azimuth_deg=-150.0)
        assert groundtruth.sun_difference(query, image) == pytest.approx(40.0)
        overhead = image_row(sun__elevation_deg=90.0, sun__azimuth_deg=13.0)
        assert groundtruth.sun_difference(query, overhead) == pytest.approx(90.0)
        assert groundtruth.sun_difference(query, image_row(weather__overcast=True)) is None

    def test_build(self):
        def named(name, landmark, **changes):
            return {**image_row(**changes), "name": name, "landmark": landmark}

        database = [
            named("d", None),
            named("b", 1, weather__night=True),
            named("a", 1),
            named("c", 1, measured__contrast=3.0),
            named("e", 2),
        ]
        truth = groundtruth.build([named("q", 1)], database, lambda name: SAME)
        assert truth["imlist"] == ["d", "b", "a", "c", "e"]
        assert truth["qimlist"] == ["q"]
        (entry,) = truth["gnd"]
        assert (entry["easy"], entry["hard"], entry["junk"]) == ([2], [1], [3])
        assert entry["pairs"]["index"] == [1, 2]
        assert entry["pairs"]["illumination"] == ["sun to night", "sun to sun"]
        assert entry["pairs"]["sun_deg"] == [None, 0.0]
        assert {len(values) for values in entry["pairs"].values()} == {2}


class TestSets:
    def test_sizes_names_and_disjoint_landmarks(self):
        from generator import sets

        benchmark, train, val = sets.benchmark(), sets.train(), sets.val()
        roles = [item.role for item in benchmark]
        assert (roles.count("query"), roles.count("database"), roles.count("distractor")) == (96, 672, 328)
        assert len(train) >= 600
        names = [item.name for item in [*benchmark, *train, *val, *sets.network(20, 3)]]
        assert len(set(names)) == len(names)
        shown = {i.request.namespace for i in benchmark if i.landmark is not None}
        hidden = {i.request.namespace for i in [*train, *val, *sets.network(2, 2)]}
        hidden |= {i.request.namespace for i in benchmark if i.landmark is None}
        assert shown == {"benchmark"}
        assert not shown & hidden
