"""The panel of a training, without a browser, on the drawn pictures: state, buttons, an end by hand, names, errors."""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from cbirlab import Recipe, run
from cbirlab.adaptation.running import train
from cbirlab.adaptation.training import Training
from cbirlab.backbones.names import choices_of
from cbirlab.cli import main
from cbirlab.datasets import load_dataset
from cbirlab.live import Session
from cbirlab.pipeline.fields import each
from cbirlab.widgets import TrainingPanel, Workbench
from cbirlab.widgets.panels.sessions import backbone_titles
from cbirlab.widgets.panels.training_views import spread
from cbirlab.widgets.parts.tasks import BEHIND
from cbirlab.widgets.parts.training_charts import Plane

STEPS, ROOM = 6, 150
"""Steps of a training that is done at once, and of one that is ended by hand."""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Trained weights of one test."""
    monkeypatch.setenv("CBIRLAB_TRAINED", str(tmp_path / "trained"))
    return tmp_path / "trained"


@pytest.fixture
def small(pictures) -> Training:
    """A training of the last stage on the drawn pictures, of which it learns on a half."""
    given = {"weights": "random", "loss": "siamese", "batch": "pk(classes=4, each=2)", "precision": "float32"}
    return Training(on=str(pictures), moves="layer4", steps=STEPS, image_size=64, augment="none", rate=1e-3, **given)


@pytest.fixture
def opened(pictures, small, warm):
    """Opens a panel; it is closed after the test, and its thread ends."""
    made = []

    def open_one(training=None, dataset=pictures, **options) -> TrainingPanel:
        panel = TrainingPanel(dataset, training or small, store=warm, pause=0, **options)
        made.append(panel)
        return panel

    yield open_one
    for panel in made:
        panel.close()
        assert panel.wait(30)


def press(panel, name):
    panel.buttons.buttons[name].click()


def pressable(panel):
    return {name for name, button in panel.buttons.buttons.items() if not button.disabled}


def until(true, seconds=30.0):
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.005)


def trained(panel):
    press(panel, "train")
    assert panel.wait(60)
    assert not panel.error.value, panel.error.value
    return panel


def begun(panel, steps=2):
    """A training in the middle of its steps, which waits."""
    press(panel, "train")
    until(lambda: panel.running.done >= steps)
    press(panel, "pause")
    return panel


def files(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []


def test_it_trains_and_shows_what_happened(opened, folder):
    panel = opened()
    assert pressable(panel) == {"train"}
    trained(panel)
    assert [step.step for step in panel.running.steps] == [*range(STEPS + 1)]
    assert f"All {STEPS} steps are done." in panel.status.value
    assert "The labels are the true ones." in panel.status.value
    assert "s a step" in panel.status.value
    assert "p of GeM is" in panel.status.value
    assert panel.curves.value.count("<svg") == 3
    assert "from where it began" in panel.map.value
    assert pressable(panel) == {"train", "keep"}
    assert panel.still().startswith(b"\xff\xd8")
    assert not files(folder)


def test_the_panel_gives_what_the_plain_call_gives(opened, small):
    panel = trained(opened())
    plain = train(panel.training, progress=False, store=panel.store)
    held = [[step.loss for step in panel.running.steps], plain.curve["loss"].tolist()]
    assert np.allclose(*held, equal_nan=True, rtol=0)
    names: dict = {}
    code = panel.code.value.split("<pre class='cbirlab-code'>")[1].split("</pre>")[0].replace("&#x27;", "'")
    exec(code.replace("train(Training(", "(Training(").replace(", name='mine')", ")").split("\ntrained.")[0], names)
    assert names["trained"] == panel.training


def test_the_controls_say_what_is_trained(opened, small):
    panel = opened(replace(small, rate=3e-3, labels="kmeans(each=4)"))
    assert panel.training == replace(small, rate=3e-3, labels="kmeans(each=4)", threads=1)
    fields = panel.controls.fields
    assert [value for _, value in fields["moves"].options][:2] == ["layer4", "layer3"]
    fields["moves"].value = "all"
    fields["loss"].menu.value = "triplet"
    fields["loss"].parameters["margin"].value = 0.3
    fields["rate"].value = 2e-4
    fields["steps"].value = 10
    fields["seed"].value = 3
    allowed = dict(each(small))["seed"].offers
    assert (fields["seed"].min, fields["seed"].max) == (allowed.low, allowed.high)
    wanted = replace(small, moves="all", loss="triplet(margin=0.3)", rate=2e-4, steps=10, seed=3)
    assert panel.training == replace(wanted, labels="kmeans(each=4)", threads=1)
    assert "moves=&#x27;all&#x27;" in panel.code.value


def test_it_waits_and_goes_on(opened, small):
    panel = begun(opened(replace(small, steps=ROOM)))
    until(lambda: "Paused." in panel.status.value)
    time.sleep(0.3)
    done = panel.running.done
    assert 2 <= done < ROOM
    time.sleep(0.3)
    assert panel.running.done == done
    assert panel.buttons.buttons["pause"].description == "Go on"
    assert pressable(panel) == {"pause", "stop"}
    assert panel.controls.fields["steps"].disabled
    press(panel, "pause")
    assert panel.wait(60)
    assert panel.running.done == ROOM


def test_stop_keeps_the_best_so_far_under_a_label_of_its_own(opened, small, folder, capsys):
    panel = begun(opened(replace(small, steps=ROOM)), steps=6)
    press(panel, "stop")
    assert panel.wait(30)
    done = panel.running.done
    assert done < ROOM
    assert f"Stopped after step {done}." in panel.status.value
    assert "ended by hand" in panel.code.value
    press(panel, "keep")
    assert panel.wait(30)
    assert not panel.error.value
    label = panel.trained.weights
    assert files(folder) == ["mine.alias", f"{label}.safetensors"]
    assert panel.running.work.finished() is None, "the training itself was never finished"
    assert panel.trained.ended == f"ended by hand at step {done} of {ROOM}"
    assert main(["list", "trainings"]) == 0
    assert panel.trained.ended in capsys.readouterr().out


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a priority of their own on Linux alone")
def test_a_moved_slider_goes_before_a_training(opened, small):
    panel = begun(opened(replace(small, steps=ROOM)))
    here, there = (
        os.getpriority(os.PRIO_PROCESS, one) for one in (threading.get_native_id(), panel.tasks.thread.native_id)
    )
    assert there == min(19, here + BEHIND)
    press(panel, "stop")
    assert panel.wait(30)


def test_stop_while_it_prepares_leaves_nothing(opened, folder, monkeypatch):
    from cbirlab.widgets.parts.watched import Watched

    prepare = Watched.prepare

    def slow(self):
        prepare(self)
        until(lambda: panel.running.ending)
        prepare(self)  # its bar says so

    monkeypatch.setattr(Watched, "prepare", slow)
    panel = opened()
    press(panel, "train")
    press(panel, "stop")
    assert panel.wait(30)
    assert "nothing was learned" in panel.status.value
    assert not panel.error.value
    assert pressable(panel) == {"train"}
    assert not files(folder)


def test_what_fails_is_said_in_a_sentence(opened, folder, monkeypatch):
    from cbirlab.adaptation.steps import Loop

    def breaks(self):
        raise FloatingPointError("the loss became infinite at step 0; take a smaller rate.")

    monkeypatch.setattr(Loop, "step", breaks)
    panel = opened()
    press(panel, "train")
    assert panel.wait(30)
    assert "It failed at step 0; nothing was written." in panel.status.value
    assert "take a smaller rate" in panel.error.value
    assert pressable(panel) == {"train"}
    assert not files(folder)


def test_fields_that_do_not_go_together_are_refused_at_once(opened):
    panel = opened()
    panel.controls.fields["labels"].menu.value = "views"
    press(panel, "train")
    assert "needs augment" in panel.error.value
    assert panel.running is None
    assert pressable(panel) == {"train"}
    assert "role='alert'" in panel.code.value


@pytest.mark.parametrize("moves", ["head", "pooling"])
def test_what_is_no_network_has_no_panel(pictures, moves):
    with pytest.raises(ValueError, match=f"must move a tap or 'all', got moves '{moves}'"):
        TrainingPanel(pictures, Training(on=str(pictures), moves=moves))


def test_what_is_kept_is_a_backbone_from_then_on(opened, pictures, warm):
    panel = trained(opened())
    session = Session(load_dataset(pictures), "toynet", "random", ["gem"], store=warm)
    bench = Workbench(session, backbones=["toynet"], prefetch=False, pause=0)
    before = bench.a.backbone.value
    press(panel, "keep")
    assert panel.wait(30)
    assert not panel.error.value, panel.error.value
    assert "Kept as mine" in panel.note.value
    assert "toynet@mine" in choices_of("toynet")
    assert "toynet, mine" in [title.lower() for title, _ in bench.a.backbone.options]
    assert bench.a.backbone.value == before
    bench.a.backbone.value = f"toynet@{panel.trained.weights}"
    assert bench.work.wait(60)
    assert bench.a.run().recipe.weights == panel.trained.weights
    bench.close()
    found = run(Recipe(dataset=str(pictures), backbone="toynet@mine"), store=warm, progress=False)
    assert found.recipe.weights == panel.trained.weights


def test_a_name_is_replaced_only_if_the_box_says_so(opened, small, folder):
    panel = trained(opened())
    press(panel, "keep")
    assert panel.wait(30)
    first = panel.trained.weights
    panel.controls.fields["seed"].value = 1
    trained(panel)
    press(panel, "keep")
    assert panel.wait(30)
    assert "stands for" in panel.error.value
    assert panel.trained.weights == first
    panel.buttons.name.value = "no way"
    press(panel, "keep")
    assert panel.wait(30)
    assert "must be at most 64 letters" in panel.error.value
    assert len(files(folder)) == 2
    panel.buttons.name.value, panel.buttons.replacing.value = "mine", True
    press(panel, "keep")
    assert panel.wait(30)
    assert not panel.error.value
    assert panel.trained.weights != first


def test_pairs_say_whether_they_truly_match(opened, small):
    panel = trained(opened(replace(small, labels="kmeans(each=4)")))
    gallery, pairs = panel.mined.gallery, panel.running.pairs
    given = panel.running.work.learning.given
    assert [pair.true for pair in pairs] == [
        "positive" if given[pair.one] == given[pair.other] else "wrong" for pair in pairs
    ]
    cosines = [pair.cosine for pair in pairs]
    assert cosines == sorted(cosines, reverse=True)
    rows = [row for pair in pairs for row in pair[:2]]
    assert len({*rows}) == len(rows)
    assert len(gallery.ids) == min(6, len(pairs))
    assert gallery.kinds == [pair.true for _, pair in spread(pairs, 6)]
    assert panel.mined.thumbnails[0].startswith(b"\xff\xd8")
    assert f"{100 * panel.running.loop.supervision.guess.precision:.0f} % are right" in panel.status.value


def test_pairs_are_some_of_the_first_and_some_of_the_rest():
    assert [place for place, _ in spread([*range(20)], 6)] == [1, 2, 3, 9, 14, 20]
    assert [place for place, _ in spread([*range(3)], 6)] == [1, 2, 3]


def test_a_query_before_and_after(opened, pictures, small):
    panel = trained(opened())
    before, after = panel.before_after.galleries
    live, dataset = panel.running, panel.dataset
    panel.pick(7)
    assert panel.strip.current == 7
    for gallery, look in ((before, live.looks[0]), (after, live.best)):
        scores = look.rows[: len(dataset.images)] @ look.rows[7]
        expected = [row for row in np.argsort(-scores, kind="stable").tolist() if row != 7]
        assert list(gallery.ids) == expected[: len(gallery.ids)]
    assert all(note[0] in "▲▼=n" for note in after.notes)


def test_the_start_is_described_as_a_run_describes_it(opened, pictures, warm):
    panel = trained(opened())
    recipe = Recipe(dataset=str(pictures), backbone="toynet", weights="random", image_size=64)
    found = run(recipe, store=warm, progress=False)
    images = found.ranking.images
    live = panel.running
    assert live.watched.benchmark(live.looks[0].rows) == pytest.approx(found.metrics["map"], abs=0.01)
    ours = live.watched.ranking(live.looks[0].rows, len(panel.dataset.images) + 1).images[0, :5]
    assert len({*ours.tolist()} & {*images[1, :6].tolist()}) >= 4


def test_the_benchmark_is_looked_at_only_if_it_is_asked_for(opened):
    panel = trained(opened())
    assert all(np.isnan(look.benchmark) for look in panel.running.looks)
    assert "benchmark" not in panel.curves.value
    panel.judges.value = True
    trained(panel)
    assert not any(np.isnan(look.benchmark) for look in panel.running.looks)
    assert "benchmark" in panel.curves.value


def test_without_identities_held_out_the_last_look_counts(opened, small):
    panel = trained(opened(replace(small, hold_out=0.0)))
    assert f"Nothing is held out, so the last look counts: step {STEPS}." in panel.status.value
    assert "nothing is held out" in panel.curves.value
    assert panel.running.best.step == STEPS
    panel = trained(opened(replace(small, keep="last")))
    assert f"counts: step {STEPS}." in panel.status.value


def test_the_whole_network_can_move(opened, small):
    panel = trained(opened(replace(small, moves="all", steps=2)))
    assert panel.running.done == 2
    assert len(panel.before_after.galleries[1].ids)


def test_a_loaded_dataset_is_learned_on_by_its_train_split(things, warm):
    panel = TrainingPanel(things, backbone="toynet", weights="random", store=warm, pause=0)
    assert panel.training.on == things.name
    assert panel.training.threads == 1
    panel.controls.fields["labels"].menu.value = "mutual"
    panel.controls.fields["steps"].value = 2
    trained(panel)
    assert len(panel.running.work.learning.paths) == len(things.train)
    panel.close()


def test_closing_ends_the_thread(opened, small, folder):
    panel = begun(opened(replace(small, steps=ROOM)))
    panel.close()
    assert panel.wait(20)
    assert panel.running.done < ROOM
    assert not files(folder)


def test_axes_are_those_of_the_start():
    random = np.random.default_rng(0)
    rows = random.normal(size=(30, 5)) * (30, 9, 1, 1, 1)
    rows[4] = 0
    plane = Plane(rows, ["a", "b", ""] * 10)
    assert len(plane.start) == 29
    assert np.allclose(np.abs(plane.axes[:, :2]), np.eye(2), atol=0.2)
    moved = rows + np.eye(5)[0]
    moved[4] = 0
    assert np.allclose(plane.points(moved) - plane.start, plane.axes[:, 0])
    assert "dashed" not in plane.chart(moved, "a title").svg("words")


def test_weights_whose_file_is_gone_do_not_break_the_menus():
    ((title, name),) = backbone_titles(["toynet@trained-0123456789abcdef"])
    assert name == "toynet@trained-0123456789abcdef"
    assert title.endswith("(takes its file, which is gone)")
