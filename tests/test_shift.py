"""Distances of domains: against slow loops, near 0 for one distribution, and what they do not depend on."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from cbirlab import load_backbone, plots
from cbirlab.adaptation.distances import mmd, proxy_a_distance
from cbirlab.adaptation.shift import domain_rows, domain_shift
from cbirlab.base.registry import UnknownName
from cbirlab.datasets import Dataset, load_dataset
from cbirlab.store import Store
from cbirlab.widgets import DomainShift

SMALL: dict[str, Any] = {"images": 12, "image_size": 64, "weights": "random", "progress": False}


@pytest.fixture(scope="module")
def negatives(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn pictures as negatives, in a folder of their own."""
    folder = tmp_path_factory.mktemp("looks") / "negatives"
    for path in pictures.rglob("*.png"):
        copy = folder / path.relative_to(pictures)
        copy.parent.mkdir(parents=True, exist_ok=True)
        ImageOps.invert(Image.open(path).convert("RGB")).save(copy)
    return folder


def given(**more: Any) -> dict[str, Any]:
    """Arguments for small pictures, and others."""
    return SMALL | more


def clouds(seed: int = 0, a: int = 30, b: int = 24, width: int = 5, apart: float = 1.0) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    return random.normal(size=(a, width)), random.normal(size=(b, width)) + apart


def slow_mmd(a: np.ndarray, b: np.ndarray) -> float:
    rows = [*a, *b]
    between = [math.dist(x, y) for i, x in enumerate(rows) for y in rows[:i]]
    width = float(np.median([one for one in between if one > 0]))

    def k(x: np.ndarray, y: np.ndarray) -> float:
        return math.exp(-(math.dist(x, y) ** 2) / width**2)

    n, m = len(a), len(b)
    within_a = sum(k(a[i], a[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_b = sum(k(b[i], b[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within_a + within_b - 2 * sum(k(x, y) for x in a for y in b) / (n * m)


def slow_proxy(a: np.ndarray, b: np.ndarray, seed: int) -> float:
    """The folds one by one, and the classifier's own minimum by Newton's method."""
    from sklearn.model_selection import StratifiedKFold

    rows = np.concatenate([a, b])
    rows = rows - rows.mean(axis=0)
    rows = rows / math.sqrt(np.mean([row @ row for row in rows]))
    sides = np.array([0] * len(a) + [1] * len(b))
    errors = []
    for train, test in StratifiedKFold(4, shuffle=True, random_state=seed).split(rows, sides):
        x = np.column_stack([rows[train], np.ones(len(train))])
        penalty = np.eye(x.shape[1])
        penalty[-1, -1] = 0
        w = np.zeros(x.shape[1])
        for _ in range(50):
            p = 1 / (1 + np.exp(-x @ w))
            w -= np.linalg.solve(x.T * (p * (1 - p)) @ x + penalty, x.T @ (p - sides[train]) + penalty @ w)
        found = np.column_stack([rows[test], np.ones(len(test))]) @ w > 0
        errors.append(np.mean(found != sides[test]))
    return 2 * (1 - 2 * min(float(np.mean(errors)), 0.5))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("apart", [0.0, 0.5, 3.0])
def test_mmd_is_the_formula_in_loops(seed: int, apart: float) -> None:
    a, b = clouds(seed, apart=apart)
    assert mmd(a, b) == pytest.approx(slow_mmd(a, b), abs=1e-10)
    a[3:6] = a[2]  # equal rows have no say in the width
    assert mmd(a, b) == pytest.approx(slow_mmd(a, b), abs=1e-10)
    assert mmd(b, a) == pytest.approx(mmd(a, b), abs=1e-12)


def test_mmd_is_unbiased() -> None:
    """Its mean over many pairs of samples of one distribution is 0; that of the biased form is not."""
    found = np.array([mmd(*clouds(seed, 20, 20, apart=0)) for seed in range(300)])
    error = found.std() / math.sqrt(len(found))
    assert abs(found.mean()) < 3 * error
    assert (found < 0).any()
    assert error < 0.002
    assert mmd(*clouds(0, 20, 20, apart=1.0)) > 20 * error


def test_mmd_of_rows_that_are_all_equal_is_nothing() -> None:
    assert mmd(np.ones((4, 3)), np.ones((5, 3))) == 0
    assert mmd(np.zeros((4, 3)), np.ones((5, 3))) == pytest.approx(2 - 2 * math.exp(-1))


@pytest.mark.parametrize("distance", [mmd, proxy_a_distance])
def test_turning_moving_and_scaling_change_nothing(distance: Any) -> None:
    a, b = clouds(1, 40, 40, apart=0.4)
    turn, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(5, 5)))
    expected = distance(a, b)
    assert 0 < expected < 2
    for change in (lambda x: 1000 * x, lambda x: 1e-3 * x, lambda x: x @ turn, lambda x: x + 7.0):
        assert distance(change(a), change(b)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("apart", [0.0, 0.4, 1.0])
def test_proxy_a_is_the_formula_by_another_solver(apart: float) -> None:
    a, b = clouds(3, 40, 36, apart=apart)
    for seed in range(2):
        assert proxy_a_distance(a, b, seed) == pytest.approx(slow_proxy(a, b, seed), abs=1e-9)


def test_proxy_a_is_small_for_one_distribution_and_two_for_separate_ones() -> None:
    same = [proxy_a_distance(*clouds(seed, 80, 80, apart=0)) for seed in range(20)]
    assert min(same) == 0  # never below: worse than chance is chance
    assert np.mean(same) < 0.2
    assert proxy_a_distance(*clouds(0, 80, 80, apart=8)) == 2
    assert proxy_a_distance(np.zeros((8, 2)), np.zeros((8, 2))) == 0


@pytest.mark.parametrize("distance", [mmd, proxy_a_distance])
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda a, b: (a[:1], b), r"a must be \(n, D\) with at least [28] rows, got \(1, 5\)"),
        (lambda a, b: (a, b[0]), r"b must be \(n, D\)"),
        (lambda a, b: (a, b[:, :4]), r"equally wide, got \(30, 5\) and \(24, 4\)"),
        (lambda a, b: (a, np.where(b == b[7, 2], np.nan, b)), "row 7 of b is not finite"),
        (lambda a, b: (np.where(a == a[0, 0], np.inf, a), b), "row 0 of a is not finite"),
    ],
)
def test_what_is_no_sample_is_refused(distance: Any, spoil: Any, said: str) -> None:
    with pytest.raises(ValueError, match=f"{distance.__name__}: .*{said}"):
        distance(*spoil(*clouds()))


def test_a_row_for_each_tap_with_its_floors(pictures: Path, negatives: Path, warm: Store) -> None:
    found = domain_shift(pictures, negatives, store=warm, **SMALL)
    assert list(found.columns) == ["tap", "proxy_a", "proxy_a_floor", "mmd", "mmd_floor"]
    assert found["tap"].tolist() == list(load_backbone("toynet", "random").taps)
    assert found.attrs == {"one": "all/images", "other": "negatives/images", "images": 12}
    rows = domain_rows(str(pictures), negatives, store=warm, **SMALL)
    for line in found.to_dict("records"):
        one, other = rows.rows[line["tap"]]
        assert len(one) == len(other) == 24
        assert np.linalg.norm(np.concatenate([one, other]), axis=1) == pytest.approx(1, abs=1e-5)
        assert line["mmd"] == mmd(one[:12], other[:12])
        assert line["mmd_floor"] == max(mmd(one[:12], one[12:]), mmd(other[:12], other[12:]))
        floors = proxy_a_distance(one[:12], one[12:], 0), proxy_a_distance(other[:12], other[12:], 0)
        assert line["proxy_a_floor"] == max(floors)
    assert (found["mmd"] > found["mmd_floor"])[0]


def test_halves_of_one_domain_lie_on_the_floor(warm: Store) -> None:
    """Toytown against itself is nothing at any tap, and against its negatives something at every map."""
    same = domain_shift("toytown/train", "toytown", store=warm, progress=False, images=60, image_size=112)
    assert (same["mmd"].abs() < 0.01).all()
    assert (same["mmd_floor"].abs() < 0.02).all()
    assert (same["proxy_a"] < 0.5).all()


def test_domains_are_train_splits_where_there_are_any(things: Dataset, pictures: Path, warm: Store) -> None:
    common = given(store=warm, taps=["layer4"])
    rows = domain_rows(things, pictures, **common)
    assert rows.names[0].endswith("train")
    assert {*rows.paths[0]} <= {*things.train}
    assert {*rows.paths[1]} <= {*load_dataset(pictures).images}
    assert domain_rows("toytown/images", "toytown/train", **common).names == ("toytown/images", "toytown/train")
    again = domain_rows(things, pictures, **common)
    assert again.paths == rows.paths
    assert domain_rows(things, pictures, seed=1, **common).paths != rows.paths
    assert len(domain_rows(things, pictures, **given(store=warm, taps=["layer4"], images=500)).paths[0]) == len(
        things.train
    )


def test_pictures_that_cannot_be_read_are_left_out(pictures: Path, tmp_path: Path, warm: Store) -> None:
    for number, path in enumerate(sorted(pictures.rglob("*.png"))):
        (tmp_path / f"{number}.png").write_bytes(path.read_bytes() if number else b"no picture")
    broken = Dataset(name="broken", images=tuple(sorted(tmp_path.glob("*.png"))))
    with pytest.warns(UserWarning, match=r"0\.png"):
        rows = domain_rows(broken, pictures, store=warm, taps=["layer4"], **given(images=20))
    assert len(rows.paths[0]) == len(rows.rows["layer4"][0]) == 39
    assert rows.rows["layer4"][0].any(axis=1).all()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"images": 4}, "images must be a whole number of at least 8, got 4"),
        ({"images": True}, "images must be a whole number"),
        ({"aggregation": "vlad(k=4)"}, "aggregation must be a pooling that learns nothing"),
        ({"taps": []}, "taps must be taps of toynet"),
    ],
)
def test_what_cannot_be_measured_is_refused(pictures: Path, wrong: dict[str, Any], said: str, warm: Store) -> None:
    with pytest.raises(ValueError, match=f"domain_shift: {said}"):
        domain_shift(pictures, pictures, store=warm, **given(**wrong))


def test_unknown_names_and_few_pictures_are_refused(things: Dataset, pictures: Path, warm: Store) -> None:
    with pytest.raises(UnknownName, match="toytwn"):
        domain_shift("toytwn", pictures, store=warm)
    with pytest.raises(UnknownName, match="layer9"):
        domain_shift(pictures, pictures, taps=["layer9"], store=warm, **SMALL)
    with pytest.raises(ValueError, match="at least 16 pictures, got 10 of 'few/images'; add some"):
        domain_shift(pictures, Dataset(name="few", images=things.images[:10]), store=warm)


def test_figures_show_the_distances_and_the_map(pictures: Path, negatives: Path, warm: Store) -> None:
    found = domain_shift(pictures, negatives, store=warm, **SMALL)
    ax = plots.shift(found)
    left, right = ax.figure.axes  # pyright: ignore[reportOptionalMemberAccess]
    assert left.lines[0].get_ydata() == pytest.approx(found["proxy_a"])
    assert right.lines[0].get_ydata() == pytest.approx(found["mmd"])
    assert right.lines[1].get_ydata() == pytest.approx(found["mmd_floor"])
    assert "proxy A-distance" in plots.described(ax)
    assert "12 pictures a side" in plots.described(ax)
    with pytest.raises(ValueError, match="it lacks mmd"):
        plots.shift(found.drop(columns="mmd"))
    one, other = domain_rows(pictures, negatives, store=warm, **SMALL).rows["stem"]
    ax = plots.two_domains(one, other[:20], names=("as they are", "negatives"))
    assert [len(drawn.get_offsets()) for drawn in ax.collections] == [24, 20]  # pyright: ignore[reportArgumentType]
    assert plots.described(ax).endswith("as they are, negatives")
    with pytest.raises(ValueError, match="two_domains: one and other must be"):
        plots.two_domains(one, other[:, 1:])


def test_the_panel_follows_its_menu(pictures: Path, negatives: Path, warm: Store) -> None:
    panel = DomainShift(pictures, negatives, store=warm, pause=0, **SMALL)
    assert panel.tap.value == "layer4"
    assert len(panel.scatter.positions) == 48
    assert panel.scatter.names == ["all/images", "negatives/images"]
    found = domain_shift(pictures, negatives, store=warm, **SMALL).set_index("tap")
    for tap in ("stem", "layer4"):
        before = panel.scatter.positions.copy()
        panel.tap.value = tap
        assert panel.measured == found.loc[tap].to_dict()
        assert f"{found.loc[tap, 'mmd']:.3f} (floor" in panel.distances.value
        assert not np.array_equal(before, panel.scatter.positions)
    still = panel.still()
    assert still is not None
    assert still.startswith(b"\xff\xd8")
    assert not panel.error.value
    panel.close()


def test_the_panel_tells_a_domain_from_itself(pictures: Path, warm: Store) -> None:
    panel = DomainShift(pictures, pictures, store=warm, pause=0, tap="stem", **SMALL)
    assert panel.scatter.names == ["all/images", "all/images again"]
    assert panel.tap.value == "stem"
    panel.close()
