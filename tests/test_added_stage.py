"""A stage declared once, here, is in the recipe, both commands, tables, panels and code without another edit."""

from __future__ import annotations

from html import unescape
from typing import Annotated, ClassVar

import numpy as np
import pytest
from traitlets import TraitError

from cbirlab import Recipe, compare, run
from cbirlab.base.methods import Method
from cbirlab.base.params import Range
from cbirlab.base.registry import Registry, UnknownName
from cbirlab.cli import main
from cbirlab.datasets import load_dataset
from cbirlab.index import Ranking
from cbirlab.live import Session
from cbirlab.pipeline import STAGES, Stage, add_stage, remove_stage
from cbirlab.tables import read, read_recipe, write
from cbirlab.widgets import Workbench
from cbirlab.widgets.parts.reproduce import to_command, to_python
from cbirlab.widgets.parts.state import RetrievalState

PLAIN = Recipe(weights="random", tap="layer2", aggregation="gem")
BEFORE = PLAIN.to_json(), PLAIN.key(), repr(PLAIN), hash(PLAIN)

BLURS: Registry = Registry("blur")
SWAPS: Registry = Registry("swap")


class Blur(Method):
    registry: ClassVar[Registry] = BLURS


class Swap(Method):
    registry: ClassVar[Registry] = SWAPS


@BLURS.register("rounding", title="Rounded rows")
def rounding(rows, *, digits: Annotated[int, Range(0, 6, integer=True)] = 1):
    return np.round(rows, digits)


@SWAPS.register("reverse", title="The best ones reversed")
def reverse(ranking, asked, *, best: Annotated[int, Range(1, 100, integer=True)] = 5):
    assert len(asked.queries) == len(asked.own) == len(ranking)
    assert len(asked.images) == len(asked.dataset.images)
    images = ranking.images.copy()
    images[:, :best] = images[:, :best][:, ::-1]
    return Ranking(images, ranking.scores)


@pytest.fixture
def toys():
    add_stage(Stage("blur", Blur, "rows", "blurs"))
    add_stage(Stage("swap", Swap, "rankings", "swaps"))
    yield
    for name in ("blur", "swap"):
        if name in STAGES:
            remove_stage(name)


@pytest.mark.usefixtures("toys")
def test_it_is_a_field_of_the_recipe_and_of_its_json():
    one = Recipe(blur="rounding(digits=2)", swap="reverse")
    assert (one.blur, one.swap, Recipe().blur) == ("rounding(digits=2)", "reverse(best=5)", "none")
    assert Recipe.from_json(one.to_json()) == one != Recipe()
    assert len({one, Recipe(), Recipe(blur="rounding")}) == 3
    assert "blur='rounding(digits=2)'" in repr(one)
    for wrong, error in (("rounding(digits=7)", ValueError), ("roundin", UnknownName), ("rounding(n=1)", TypeError)):
        with pytest.raises(error):
            Recipe(blur=wrong)
    with pytest.raises(ValueError, match="a recipe has a field 'blur' already"):
        add_stage(Stage("blur", Blur, "rows", "blurs"))
    with pytest.raises(ValueError, match="place must be 'rows' or 'rankings', got 'maps'"):
        add_stage(Stage("other", Blur, "maps", "others"))


def test_recipes_without_it_are_what_they_were_and_it_goes_without_a_trace(toys):
    plain = Recipe(**PLAIN.without())
    assert (plain.to_json(), plain.key(), plain) == (*BEFORE[:2], PLAIN)
    for name in ("blur", "swap"):
        remove_stage(name)
    assert (PLAIN.to_json(), PLAIN.key(), repr(PLAIN), hash(PLAIN)) == BEFORE
    with pytest.raises(TypeError, match="blur"):
        Recipe(blur="rounding")
    with pytest.raises(TypeError, match="unknown field 'blur'"):
        Recipe.from_json({"blur": "rounding"})
    with pytest.raises(AttributeError):
        PLAIN.tap = "x"  # frozen as before


@pytest.mark.usefixtures("toys")
def test_it_changes_the_ranking_as_it_says(things, warm):
    def ranked(**fields):
        return run(Recipe(**{**PLAIN.without(), **fields}), dataset=things, store=warm, progress=False)

    plain, swapped, both = ranked(), ranked(swap="reverse(best=3)"), ranked(swap="reverse(best=3)", blur="rounding")
    np.testing.assert_array_equal(swapped.ranking.images[:, :3], plain.ranking.images[:, :3][:, ::-1])
    np.testing.assert_array_equal(swapped.ranking.images[:, 3:], plain.ranking.images[:, 3:])
    blurred = ranked(blur="rounding(digits=0)")
    assert not np.array_equal(blurred.ranking.scores, plain.ranking.scores)
    assert not np.array_equal(both.ranking.images, swapped.ranking.images)


@pytest.mark.usefixtures("toys")
def test_compare_makes_a_row_of_each_and_the_table_runs_again(things, warm, tmp_path):
    frame = compare(
        things, taps="layer2", aggregations="gem", whitenings="none", weights="random", store=warm, progress=False,
        blurs=["none", "rounding(digits=0)"], swaps="none,reverse",
    )  # fmt: skip
    assert frame[["blur", "swap"]].to_numpy().tolist() == [
        ["none", "none"], ["none", "reverse(best=5)"],
        ["rounding(digits=0)", "none"], ["rounding(digits=0)", "reverse(best=5)"],
    ]  # fmt: skip
    write(frame, tmp_path / "table.csv")
    row = read(tmp_path / "table.csv").iloc[3]
    again = run(Recipe.from_json(read_recipe(row.to_dict())), dataset=things, store=warm, progress=False)
    assert again.metrics["map"] == pytest.approx(row["map"])


@pytest.mark.usefixtures("toys")
def test_both_commands_and_the_code_have_it(pictures, warm, capsys, tmp_path):
    here = [
        "--dataset",
        str(pictures),
        "--weights",
        "random",
        "--image-size",
        "64",
        "--store",
        str(warm.path),
        "--quiet",
    ]
    assert main(["run", *here, "--blur", "rounding(digits=0)", "--tap", "layer2"]) == 0
    assert "rounding(digits=0)" in capsys.readouterr().out
    words = ["--tap", "layer2", "--aggregation", "gem", "--whitening", "none", "--swaps", "none", "reverse"]
    assert main(["compare", *here, *words]) == 0
    assert "reverse(best=5)" in capsys.readouterr().out
    assert main(["compare", *here, "--swap", "revers"]) == 2
    assert "Did you mean 'reverse'" in capsys.readouterr().err
    one = Recipe(dataset=str(pictures), blur="rounding")
    assert "blur='rounding(digits=1)'" in to_python(one)
    assert "--blur 'rounding(digits=1)'" in to_command(one)
    assert load_dataset(pictures).images


@pytest.mark.usefixtures("toys")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_both_sides_of_the_workbench_and_a_state_file_have_it(things, warm, tmp_path):
    session = Session(things, "toynet", "random", ["gem", "mac"], store=warm)
    options = {"backbones": {"toynet": "random"}, "prefetch": False, "pause": 0}
    bench = Workbench(session, start={"whitening": "none", "tap": "layer2"}, **options)
    bench.map.method.value = "pca"
    plain = list(bench.a.results.rows)
    bench.compared = True
    bench.b.search.fields["swap"].menu.value = "reverse"
    assert bench.work.wait()
    assert bench.error.value == ""
    assert bench.b.state.stages == {"swap": "reverse(best=5)"}
    assert bench.b.results.rows[:4] != plain[:4]
    assert sorted(bench.b.results.rows[:4]) == sorted(plain[:4]), "the query's own picture is left out"
    assert "swap='reverse(best=5)'" in unescape(bench.code.value)
    assert "reverse(best=5)" in bench.b.title
    bench.state.stages = {"blur": "rounding(digits=0)"}
    assert bench.a.search.fields["blur"].value == "rounding(digits=0)"
    bench.save(tmp_path / "state.json")
    again = Workbench.restore(tmp_path / "state.json", session, **options)
    assert again.b.state.stages == {"swap": "reverse(best=5)"}
    assert again.a.state.stages == {"blur": "rounding(digits=0)"}
    assert again.b.results.rows == bench.b.results.rows
    bench.question.ask(image=3)
    assert bench.error.value == ""
    with pytest.raises(
        TraitError, match=r"unknown stage .blurr.; stages: compression, index, rescore, rerank, blur, swap"
    ):
        bench.state.stages = {"blurr": "rounding"}
    again.close()
    bench.close()


def test_a_state_from_before_is_read():
    saved = RetrievalState().to_json()
    del saved["stages"]
    assert RetrievalState.of(saved).setting.stages == ()
