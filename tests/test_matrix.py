"""Source x target: every cell is what two runs and a paired interval give; what cannot be done is said in its cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cbirlab import Recipe, plots, run, tables
from cbirlab.adaptation.matrix import WAYS, matrix, own_half
from cbirlab.base.progress import listening
from cbirlab.base.registry import UnknownName
from cbirlab.cli.commands import main
from cbirlab.datasets import Dataset, load_dataset
from cbirlab.evaluation import paired_difference
from cbirlab.exercises import domain_shift, judge, part_of, solution
from cbirlab.plots.canvas import COLOURS, INK
from cbirlab.store import Store

COLUMNS = [
    *("source", "target", "whitening", "dimensions", "metric", "queries", "none", "value", "difference", "low", "high"),
    *("p", "clear", "learned_on", "leak", "error"),
]
SMALL: dict[str, Any] = {"image_size": 64, "weights": "random", "progress": False}

pytestmark = pytest.mark.filterwarnings("ignore:.*(smallest variances|equal|groups):UserWarning")


@pytest.fixture(scope="module")
def town() -> Dataset:
    return part_of("toytown", queries=12, images=150, train=0)


def cell(frame: pd.DataFrame, source: str, target: str, way: str) -> Any:
    found = frame[(frame["source"] == source) & (frame["target"] == target) & frame["whitening"].str.startswith(way)]
    assert len(found) == 1
    return found.iloc[0]


def test_a_cell_is_two_runs_and_their_paired_interval(town: Dataset, pictures: Path, warm: Store) -> None:
    sources, targets, ways = ["toytown/train", str(pictures)], [town, pictures], ["pca(power=0.25)", "lw"]
    given: dict[str, Any] = {"image_size": 96, "dimensions": 12}
    found = matrix(sources, targets, ways=ways, store=warm, progress=False, **given)
    assert list(found.columns) == COLUMNS
    assert found["target"].tolist() == [town.name] * 4 + [str(pictures)] * 4
    assert found["source"].tolist() == [one for one in sources for _ in ways] * 2
    assert (found["error"] == "").all()
    for row in found.to_dict("records"):
        target = town if row["target"] == town.name else load_dataset(pictures)
        learned = row["source"] if target is town or row["source"] == sources[0] else "held_out"
        more = {"dataset": target.name, "whitening_set": learned, "image_size": 96}
        plain = run(Recipe(**more), dataset=target, store=warm, progress=False)
        changed = run(Recipe(whitening=row["whitening"], dimensions=12, **more), dataset=target, store=warm)
        assert plain.evaluation is not None
        assert changed.evaluation is not None
        level = plain.evaluation.protocol.level().name
        pair = [one.evaluation.per_query[level] for one in (changed, plain) if one.evaluation]
        expected = paired_difference(*pair, plain.evaluation.groups)
        assert [row["difference"], row["low"], row["high"]] == pytest.approx(list(expected), abs=1e-12)
        assert row["none"] == pytest.approx(plain.metrics[row["metric"]], abs=1e-12)
        assert row["value"] == pytest.approx(changed.metrics[row["metric"]], abs=1e-12)
        assert row["difference"] == pytest.approx(row["value"] - row["none"], abs=1e-12)
        assert row["queries"] == np.isfinite(pair[1]).sum()
        assert row["dimensions"] == changed.dim == 12
        assert row["clear"] == ((row["low"] > 0 or row["high"] < 0) and row["p"] <= 0.05)
        assert row["leak"] == changed.leak == ""
        assert row["learned_on"] == changed.recipe.whitening_set
    assert set(found["metric"]) == {"map_medium", "map"}


def test_a_source_that_is_the_target_is_divided(pictures: Path, things: Dataset, warm: Store) -> None:
    target = load_dataset(pictures)
    assert own_half(str(pictures), target) == "held_out"
    assert own_half(f"{pictures}/images", target) == f"{pictures}/images"
    assert own_half("toytown/train", target) == "toytown/train"
    assert own_half("train", things) == "train"
    found = matrix([str(pictures), "database"], [pictures], ways="pca(power=0.25)", store=warm, **SMALL)
    half, whole = (cell(found, source, str(pictures), "pca") for source in (str(pictures), "database"))
    assert half["learned_on"] == f"{target.name}/held_out"
    assert half["leak"] == ""
    assert "learned on 40 of the 40 evaluated images" in whole["leak"]
    assert half["queries"] < whole["queries"] == 40
    assert half["none"] != whole["none"]  # each is compared over its own queries


def test_what_cannot_be_learned_is_said_in_its_cell(pictures: Path, things: Dataset, warm: Store) -> None:
    flat = str(pictures.parent / "train")
    found = matrix([flat, "train"], [things, pictures], ways=["pca(power=0.25)", "lw"], store=warm, **SMALL)
    assert "instance" in cell(found, flat, "things", "lw")["error"]
    assert cell(found, flat, "things", "pca")["error"] == ""
    assert "needs a dataset with a train split" in cell(found, "train", str(pictures), "pca")["error"]
    wrong = found[found["error"] != ""]
    assert 0 < len(wrong) < len(found)
    assert wrong[["none", "value", "difference", "low", "high", "p"]].isna().all(axis=None)
    assert not wrong["clear"].any()
    assert found[found["error"] == ""][["none", "value", "difference", "low", "high"]].notna().all(axis=None)


def test_progress_counts_the_cells(pictures: Path, warm: Store) -> None:
    heard: list[tuple[str, int, int]] = []
    with listening(lambda *told: heard.append(told)):
        matrix([str(pictures)], [pictures], ways=WAYS[:2], store=warm, **SMALL)
    assert [told for told in heard if told[0] == "matrix"] == [("matrix", done, 2) for done in range(3)]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"sources": []}, "sources must be at least one, such as 'toytown/train', got none"),
        ({"targets": []}, "targets must be at least one"),
        ({"ways": []}, "ways must be at least one"),
        ({"sources": ["toytown", "toytown"]}, "sources must differ from each other, got toytown, toytown"),
        ({"ways": ["pca", "none"]}, "ways must be whitenings other than 'none'"),
        ({"whitening_set": "train"}, "whitening_set must be left out"),
        ({"dimensions": 0}, "dimensions"),
    ],
)
def test_what_is_no_matrix_is_refused(pictures: Path, warm: Store, given: dict[str, Any], said: str) -> None:
    asked: dict[str, Any] = {"sources": ["toytown/train"], "targets": [pictures], "store": warm} | given
    with pytest.raises(ValueError, match=said):
        matrix(**asked)


def test_wrong_names_are_refused_before_anything_is_computed(pictures: Path, warm: Store, monkeypatch: Any) -> None:
    monkeypatch.setattr("cbirlab.adaptation.matrix.load_backbone", None)
    for given in (
        {"sources": ["toytown/train", "toytwn"], "targets": [pictures]},
        {"sources": ["toytown/train"], "targets": ["nowhere"]},
        {"sources": ["toytown/train"], "targets": [pictures], "ways": ["pcca"]},
    ):
        with pytest.raises(UnknownName):
            matrix(**given, store=warm)
    with pytest.raises(TypeError, match="a source must be a text"):
        matrix([pictures], [pictures], store=warm)  # pyright: ignore[reportArgumentType]
    bare = load_dataset(pictures.parent / "train")
    with pytest.raises(ValueError, match=r"a target must have ground truth, and '.*train' has none"):
        matrix(["toytown/train"], [bare], store=warm)


def table(*rows: tuple[str, str, str, float, float, float, bool]) -> pd.DataFrame:
    names = ("source", "target", "whitening", "difference", "low", "high", "clear")
    return pd.DataFrame([dict(zip(names, row, strict=True)) | {"metric": "map", "leak": ""} for row in rows])


def test_the_figure_writes_each_difference_and_greys_what_cannot_be_told() -> None:
    frame = table(
        ("a", "a", "pca", 0.2, 0.1, 0.3, True),
        ("a", "/some/where/b", "pca", -0.1, -0.2, -0.05, True),
        ("b", "a", "pca", 0.05, -0.1, 0.2, False),
        ("b", "/some/where/b", "pca", float("nan"), float("nan"), float("nan"), False),
    )
    frame.loc[1, "leak"] = "learned on 1 of the 2 evaluated images"
    ax = plots.matrix(frame)
    from matplotlib.colors import to_hex

    gain, loss, even, none = ax.patches
    assert to_hex(gain.get_facecolor()) == COLOURS[0]
    assert to_hex(even.get_facecolor()) == INK
    red, _, blue, _ = loss.get_facecolor()
    assert red > blue
    assert to_hex(loss.get_facecolor()) != COLOURS[1]  # half as strong as the strongest
    assert none.get_hatch()
    texts = [text.get_text() for text in ax.texts]
    assert texts == [
        *("+0.200", "[+0.100, +0.300]", "-0.100", "[-0.200, -0.050] leak", "+0.050", "[-0.100, +0.200]", "none", "pca")
    ]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b"]
    assert "learned on against judged on; mAP" in plots.described(ax)
    with pytest.raises(ValueError, match="it lacks clear"):
        plots.matrix(frame.drop(columns="clear"))


def test_the_command_writes_the_matrix(pictures: Path, tmp_path: Path, capsys: Any) -> None:
    flat, out = pictures.parent / "train", tmp_path / "matrix.csv"
    words = ["matrix", "--sources", str(pictures), str(flat), "--targets", str(pictures), "--whitenings", "lw", "pca"]
    words += ["--weights", "random", "--image-size", "64", "--dimensions", "4", "--quiet", "--store", str(tmp_path)]
    assert main([*words, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "| source" in said
    assert "instance" in said
    assert "paired 95 % interval" in said
    found = tables.read(out)
    assert list(found.columns) == COLUMNS
    assert found["dimensions"].tolist() == [4, 4, 0, 4]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--whitenings", "none"], "--whitenings must be others than 'none'"),
        (["--whitenings", "pcca"], "Did you mean 'pca'"),
        (["--aggregation", "gam"], "Did you mean"),
        (["--out", "matrix.doc"], "--out must end in one of"),
        (["--targets", "nowhere"], "nowhere"),
        (["--sources", "toytown", "toytown"], "sources must differ from each other"),
    ],
)
def test_the_command_refuses_in_a_sentence(words: list[str], said: str, tmp_path: Path, capsys: Any) -> None:
    asked = ["matrix", "--sources", "toytown/train", "--targets", "toytown", "--store", str(tmp_path), *words]
    assert main(asked) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith("cbirlab matrix: ")
    assert said in complaint


def test_another_look_is_the_same_dataset_in_other_pictures(pictures: Path) -> None:
    from PIL import Image

    whole = load_dataset(pictures)
    for look in domain_shift.LOOKS:
        folder = domain_shift.another_look(pictures, look)
        assert folder == domain_shift.another_look(pictures, look)
        found = load_dataset(folder)
        assert found.name == look
        assert found.instances == whole.instances
        assert found.labels == whole.labels
        for one, other in zip(whole.images, found.images, strict=True):
            assert Image.open(one).size == Image.open(other).size
    negative = load_dataset(domain_shift.another_look(pictures, "negative"))
    before, after = (np.asarray(Image.open(one.images[3]), int) for one in (whole, negative))
    assert (before + after == 255).all()
    with pytest.raises(ValueError, match="look must be one of negative, grey, sketch, got 'blue'"):
        domain_shift.another_look(pictures, "blue")


def test_exercises_read_the_table() -> None:
    frame = table(
        ("a", "a", "lw(form='rank-safe')", -0.02, -0.04, -0.01, True),
        ("b", "a", "lw(form='rank-safe')", -0.06, -0.08, -0.03, True),
        ("a", "b", "lw(form='rank-safe')", 0.01, -0.01, 0.03, False),
        ("b", "b", "lw(form='rank-safe')", 0.09, 0.07, 0.12, True),
        ("b", "b", "pca", 0.09, 0.07, 0.12, True),
    )
    name = "16_domain_shift"
    assert solution(f"{name}.prediction", table=frame).answer == 1
    given: dict[str, Any] = {"table": frame, "source": "b", "target": "a"}
    assert judge(f"{name}.4", -0.06, **given).right is True
    assert "own kind" in judge(f"{name}.4", 0.09, **given).sentence
    assert "exchanged" in judge(f"{name}.4", 0.01, **given).sentence
    shift = pd.DataFrame({"tap": ["x", "y"], "mmd": [0.3, 0.1], "proxy_a": [1.0, 1.5]})
    assert judge(f"{name}.3", "y", shift=shift).right is True
