"""Toytown's world: the same key gives the same geometry; every template builds; siblings are alike but not equal."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "data" / "toytown"))

from generator import props
from generator.builder import Builder, lay_flat
from generator.decals import DECALS, decal
from generator.landmarks import TEMPLATES, family_of, landmark
from generator.mesh import KINDS, Material, Mesh
from generator.noise import FIELDS, hsv, noise
from generator.seeds import rng
from generator.style import draw_palette
from generator.surroundings import surroundings
from generator.textures import PAINTERS, material

LANDMARK_QUADS = 16_000
SURROUNDINGS_QUADS = 16_000


def assert_sound(mesh: Mesh) -> None:
    """Shapes, types and values are what the camera relies on."""
    count = len(mesh)
    assert mesh.corners.shape == (count, 4, 3)
    assert mesh.corners.dtype == np.float32
    assert mesh.uv.shape == (count, 4, 2)
    assert mesh.uv.dtype == np.float32
    assert mesh.material.shape == (count,)
    assert mesh.material.dtype == np.int32
    assert np.isfinite(mesh.corners).all()
    assert np.isfinite(mesh.uv).all()
    assert mesh.material.min() >= 0
    assert mesh.material.max() < len(mesh.materials)
    for item in mesh.materials:
        assert item.texture.dtype == np.uint8
        assert item.texture.ndim == 3
        assert item.texture.shape[2] == 3
        assert item.kind in KINDS
        assert item.tile_m > 0


def same(first: Mesh, second: Mesh) -> bool:
    """Whether two meshes agree to the last bit, textures included."""
    if len(first) != len(second) or len(first.materials) != len(second.materials):
        return False
    arrays = all(np.array_equal(getattr(first, name), getattr(second, name)) for name in ("corners", "uv", "material"))
    pairs = zip(first.materials, second.materials, strict=True)
    return arrays and all(np.array_equal(one.texture, other.texture) for one, other in pairs)


def wall_tone(sibling: int, family: int, template: str) -> np.ndarray:
    """Mean colour of a wall of one sibling of one family."""
    palette = draw_palette(rng("tone", sibling, family), rng("tone family", family), template, {"wall"})
    return palette["wall"].texture.reshape(-1, 3).mean(0)


def test_rng_depends_on_the_key_alone():
    first = rng("a", 1).random()
    rng("b", 2).random()
    assert rng("a", 1).random() == first
    assert rng("a", 2).random() != first
    assert rng("a", "1").random() != first
    assert rng(1, "a").random() != first
    # A golden value: it must be the same in every process and numpy version.
    assert rng("toytown", 7).integers(1_000_000) == 32537


def test_rng_refuses_numpy_scalars():
    with pytest.raises(TypeError, match="plain int or str"):
        rng("a", np.int64(3))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("index", [0, 1, 2])
def test_every_template_builds(template, index):
    mesh = landmark("test", index, template, 0)
    assert_sound(mesh)
    low, high = mesh.bounds
    assert 250 <= len(mesh) <= LANDMARK_QUADS
    assert -0.2 <= low[2] <= 0.05, "it must stand on the ground"
    assert 5 <= high[2] <= 80
    assert np.all(high[:2] - low[:2] < 70)
    assert low[1] < 1, "its front must be near y = 0"


def test_landmark_is_deterministic_in_any_order():
    first = landmark("test", 3, "palace", 1)
    landmark("test", 4, "church", 0)
    assert same(first, landmark("test", 3, "palace", 1))
    assert not same(first, landmark("test", 3, "palace", 2)), "the family must matter"
    assert not same(first, landmark("other", 3, "palace", 1)), "the namespace must matter"


@pytest.mark.parametrize("template", TEMPLATES)
def test_siblings_differ_in_shape_and_decoration(template):
    start = TEMPLATES.index(template) * 4
    siblings = [landmark("benchmark", start + number, template, start // 4) for number in range(4)]
    shapes = {(len(mesh), *np.round(mesh.bounds[1], 2).tolist()) for mesh in siblings}
    assert len(shapes) == 4
    decorations = [{item.texture.tobytes() for item in mesh.materials} for mesh in siblings]
    assert not decorations[0] & decorations[1], "no texture is shared to the last pixel"


def test_siblings_walls_are_closer_in_colour_than_strangers():
    tones = np.array([[wall_tone(sibling, family, "church") for sibling in range(3)] for family in range(12)])
    own = np.linalg.norm(tones[:, 0] - tones[:, 1], axis=1).mean()
    others = np.linalg.norm(tones[:, 0] - np.roll(tones[:, 1], 1, axis=0), axis=1).mean()
    assert own < 0.6 * others


def test_family_of():
    assert family_of(0, "benchmark") == family_of(3, "benchmark")
    assert family_of(3, "benchmark") != family_of(4, "benchmark")
    counted = [family_of(index, "benchmark") for index in range(48)]
    assert sorted({template for template, _ in counted}) == sorted(TEMPLATES)
    assert all(counted.count(pair) == 4 for pair in counted)
    trained = [family_of(index, "train") for index in range(48)]
    assert len(set(trained)) == 48
    with pytest.raises(ValueError, match="0 to 47"):
        family_of(48, "benchmark")


def test_unknown_template_is_named():
    with pytest.raises(ValueError, match="template must be one of"):
        landmark("test", 0, "igloo", 0)


@pytest.mark.parametrize("index", range(4))
def test_surroundings_leave_the_landmark_its_ground(index):
    centre, radius = (1.0, 6.0), 12.0
    scene = surroundings("test", index, 0, centre, radius)
    assert_sound(scene.mesh)
    assert len(scene.mesh) <= SURROUNDINGS_QUADS
    assert scene.obstacles
    for x, y, size in scene.obstacles:
        assert np.hypot(x - centre[0], y - centre[1]) > radius - 1.0
        assert size > 0
    tall = scene.mesh.corners[scene.mesh.corners[..., 2].max(1) > 1.5].reshape(-1, 3)
    assert np.hypot(tall[:, 0] - centre[0], tall[:, 1] - centre[1]).min() > radius - 1.0


def test_surroundings_change_with_context_only():
    first = surroundings("test", 0, 0, (0.0, 5.0), 10.0)
    again = surroundings("test", 0, 0, (0.0, 5.0), 10.0)
    assert same(first.mesh, again.mesh)
    assert first.obstacles == again.obstacles
    assert not same(first.mesh, surroundings("test", 0, 1, (0.0, 5.0), 10.0).mesh)


def test_plain_street_has_no_landmark():
    assert_sound(surroundings("test", 0, 0).mesh)
    with pytest.raises(ValueError, match="both centre_xy and radius"):
        surroundings("test", 0, 0, (0.0, 0.0))


@pytest.mark.parametrize("number", range(5))
def test_props_stand_on_the_ground_at_life_size(number):
    sizes = {"car": (3.0, 2.2), "person": (1.2, 2.0), "lamp": (2.0, 8.0), "pole": (1.3, 9.1)}
    for name, (broad, high) in sizes.items():
        mesh = getattr(props, name)(rng("prop", name, number))
        assert_sound(mesh)
        low, top = mesh.bounds
        assert abs(low[2]) < 0.05
        assert 1.2 < top[2] < high
        assert np.max(top[:2] - low[:2]) < broad + 2.5
    tree = props.tree(rng("prop", number), 8.0)
    assert_sound(tree)
    assert 6.0 < tree.bounds[1][2] < 10.5
    leaves = np.array([tree.materials[index].kind == "leaf" for index in tree.material])
    assert leaves.mean() > 0.8
    cards = tree.corners[leaves][-500:]
    assert np.median(np.linalg.norm(cards[:, 2] - cards[:, 0], axis=1)) < 0.7, "leaf cards must be small"


@pytest.mark.parametrize("name", PAINTERS)
def test_textures_are_full_size_and_repeatable(name):
    first, again = (material(rng("texture", name), name, hsv(0.1, 0.3, 0.5)) for _ in range(2))
    assert first.texture.shape == (256, 256, 3)
    assert np.array_equal(first.texture, again.texture)
    assert first.texture.std() > 1
    assert not np.array_equal(first.texture, material(rng("else", name), name, hsv(0.1, 0.3, 0.5)).texture)


@pytest.mark.parametrize("name", DECALS)
def test_decals_differ_from_one_another(name):
    pictures = [decal(rng("decal", number), name).texture for number in range(3)]
    assert pictures[0].shape == (192, 192, 3)
    assert np.abs(pictures[0].astype(int) - pictures[1]).mean() > 3
    assert np.abs(pictures[1].astype(int) - pictures[2]).mean() > 3


@pytest.mark.parametrize("name", FIELDS)
def test_noise_wraps_without_a_seam(name):
    field = noise(rng("noise"), name)
    inside = np.abs(np.diff(field, axis=1)).mean()
    assert np.abs(field[:, 0] - field[:, -1]).mean() < 1.5 * inside
    assert abs(field.mean()) < 1e-3
    assert field.std() == pytest.approx(1, abs=1e-3)


def test_box_faces_point_outward():
    builder = Builder()
    builder.boxes("wall", (0, 0, 0), (2, 3, 4))
    corners = builder.slots["wall"][0][0]
    normal = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    outward = corners.mean(1) - np.array([1, 1.5, 2])
    assert len(corners) == 5
    assert np.all((normal * outward).sum(1) > 0)


def test_flat_coordinates_are_metres_across_and_down():
    wall = np.array([[[0, 0, 0], [2, 0, 0], [2, 0, 3], [0, 0, 3]]], float)  # faces -y
    uv = lay_flat(wall)[0]
    assert np.allclose(uv[1] - uv[0], [2, 0])
    assert np.allclose(uv[3] - uv[0], [0, -3])


def test_build_divides_by_the_tile_and_names_a_missing_material():
    builder = Builder()
    builder.quads("wall", [[(0, 0, 0), (8, 0, 0), (8, 0, 4), (0, 0, 4)]])
    with pytest.raises(KeyError, match="wall"):
        builder.build({})
    mesh = builder.build({"wall": Material(np.zeros((2, 2, 3), np.uint8), "matte", 4.0)})
    assert np.allclose(np.ptp(mesh.uv[0], axis=0), [2, 1])


def test_stamped_panes_keep_apart():
    pane, wall = Builder(), Builder()
    pane.panel("glass", (0, 0, 0), np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), 1, 1)
    wall.stamp(pane, np.eye(3), [(0, 0, 0), (2, 0, 0), (4, 0, 0)])
    uv = wall.slots["glass"][0][1]
    numbers = np.floor(uv[..., 0])
    assert np.all(numbers == numbers[:, :1]), "one pane, one number"
    assert len(set(numbers[:, 0])) == 3


def test_join_turns_moves_and_shares_materials():
    item = Material(np.zeros((2, 2, 3), np.uint8), "matte", 1.0)
    builder = Builder()
    builder.boxes("wall", (0, 0, 0), (1, 2, 3))
    mesh = builder.build({"wall": item})
    joined = Mesh.join([(mesh, 0.0, (0, 0, 0)), (mesh, np.pi / 2, (10, 0, 1))])
    assert len(joined) == 2 * len(mesh)
    assert joined.materials == [item]
    assert np.allclose(joined.bounds[1], [10, 2, 4], atol=1e-5)
    assert len(Mesh.join([])) == 0
    with pytest.raises(ValueError, match="no bounds"):
        _ = Mesh.join([]).bounds
