"""The panel of clicked labels, without a browser: clicks, their file, undo, proposals, a head that learns, errors."""

from __future__ import annotations

import numpy as np
import pytest
from fake_session import write_toytown_form

from cbirlab import run
from cbirlab.adaptation import Judgement, Training, read_judgements, train, write_judgements
from cbirlab.datasets import load_dataset
from cbirlab.widgets import LabelPanel
from cbirlab.widgets.panels.clicks import Clicks, least_alike, ranked


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CBIRLAB_TRAINED", str(tmp_path / "trained"))
    return tmp_path


@pytest.fixture(scope="module")
def towers(tmp_path_factory):
    """A dataset with a train split, in the form of Toytown."""
    return write_toytown_form(tmp_path_factory.mktemp("towers"), scenes=6, views=5)


@pytest.fixture
def opened(pictures, folder, warm):
    """Opens a panel on the drawn pictures, which is closed after the test."""
    made = []

    def open_one(dataset=pictures, file=None, **options) -> LabelPanel:
        given = {"weights": "random", "image_size": 64, "steps": 6}
        training = options.pop("training", None) or Training(on=str(dataset), **given)
        panel = LabelPanel(dataset, training, file=file or folder / "clicks.csv", store=warm, pause=0, **options)
        made.append(panel)
        return panel

    yield open_one
    for panel in made:
        panel.close()
        assert panel.wait(30)


def press(panel, item, said):
    """What the page sends when a button of a picture is pressed."""
    panel.gallery._handle_custom_msg({"judged": item, "said": said}, [])


def truly(panel, rows):
    """Call rows the same as the query or not, by the truth: folders of things, or names of towers."""
    truth = [(path.parent, path.stem.partition("_")[0] if "_" in path.stem else "") for path in panel.pictures.paths]
    for row in rows:
        press(panel, row, "same" if truth[row] == truth[panel.query] else "not")


def instructed(panel, queries=4):
    for _ in range(queries):
        truly(panel, list(panel.gallery.ids))
        panel.propose()
    return panel


# what is kept


def test_a_click_is_in_the_file_at_once_and_a_second_one_takes_it_back(opened, folder):
    panel = opened()
    assert "No judgements yet" in panel.counts.value
    assert not (folder / "clicks.csv").exists()
    one, other = panel.gallery.ids[:2]
    press(panel, one, "same")
    press(panel, other, "not")
    name = panel.clicks.names
    assert set(read_judgements(folder / "clicks.csv")) == {
        Judgement(*sorted((name[panel.query], name[row])), same) for row, same in ((one, True), (other, False))
    }
    assert panel.gallery.said[:3] == ["same", "not", ""]
    assert "2 judgements: 1 the same, 1 not the same, of 3 pictures" in panel.counts.value
    press(panel, one, "same")
    assert panel.gallery.said[:2] == ["", "not"]
    press(panel, other, "same")
    assert panel.gallery.said[:2] == ["", "same"]
    assert [one.same for one in read_judgements(folder / "clicks.csv")] == [True]


def test_undo_goes_back_click_by_click_to_the_query_of_each(opened, folder):
    panel = opened()
    first, (one, *_) = panel.query, panel.gallery.ids
    press(panel, one, "same")
    press(panel, one, "not")
    panel.propose()
    assert panel.query != first
    other = panel.gallery.ids[0]
    press(panel, other, "same")
    panel.pick(first)
    panel.buttons["undo"].click()
    assert panel.query in (other, panel.clicks._before[-1][0][0]) or panel.query != first
    assert len(panel.clicks.judged.pairs) == 1
    panel.buttons["undo"].click()
    assert panel.clicks.said(first, one) == "same"
    for _ in range(3):
        panel.buttons["undo"].click()
    assert not len(panel.clicks.judged.pairs)
    assert read_judgements(folder / "clicks.csv") == ()
    assert not panel.error.value


def test_clicks_of_another_day_count(opened, folder):
    before = opened()
    item = before.gallery.ids[3]
    press(before, item, "not")
    after = opened()
    assert after.gallery.said[3] == "not"
    assert after.clicks.judged.digest == before.clicks.judged.digest


def test_what_the_page_makes_up_does_nothing(opened):
    panel = opened(shown=3)
    hidden = next(row for row in range(len(panel.pictures.paths)) if row not in [*panel.gallery.ids, panel.query])
    for content in (
        {"judged": hidden, "said": "same"},
        {"judged": panel.gallery.ids[0], "said": "maybe"},
        {"judged": "0", "said": "same"},
        {"judged": None},
        {"said": "same"},
    ):
        panel.gallery._handle_custom_msg(content, [])
    assert not len(panel.clicks.judged.pairs)
    assert not panel.error.value


# proposals and rankings


@pytest.mark.parametrize("seed", range(5))
def test_rankings_and_proposals_are_those_of_loops(seed):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(20, 4)).astype(np.float32)
    rows[[3, 9]] = 0
    rows[11] = rows[12]
    order, scores = ranked(rows, 5)
    able = [row for row in range(20) if row not in (3, 5, 9)]
    assert order.tolist() == sorted(able, key=lambda row: (-np.float32(rows[row] @ rows[5]), row))
    np.testing.assert_allclose(scores, [rows[row] @ rows[5] for row in order], rtol=1e-5, atol=1e-6)
    assert not len(ranked(rows, 3)[0])
    seen = [1, 3, 7]
    left = [row for row in [*able, 5] if row not in seen]
    assert least_alike(rows, seen) == min(left, key=lambda row: max(rows[row] @ rows[one] for one in seen))
    assert least_alike(rows, []) == 0
    assert least_alike(rows, list(range(20))) == 0


def test_proposals_come_to_every_picture_once(opened):
    panel = opened()
    asked = [panel.query]
    for _ in range(len(panel.pictures.paths) - 1):
        panel.buttons["next"].click()
        asked.append(panel.query)
    assert sorted(asked) == list(range(len(panel.pictures.paths)))


# learning


def test_it_learns_and_orders_anew_as_the_plain_call_does(opened, towers, folder, warm):
    training = Training(on=f"{towers}/train", weights="random", image_size=48, steps=20)
    panel = instructed(opened(str(towers), training=training), 6)
    before = panel.gallery.ids
    panel.buttons["learn"].click()
    assert panel.wait(60)
    assert not panel.error.value, panel.error.value
    assert panel.learned is not None
    plain = train(panel.training, store=warm, progress=False)
    assert plain.key == panel.learned.trained.key
    found = run(plain.recipe(dataset=str(towers), image_size=48), store=warm, progress=False)
    metric = found.evaluation.protocol.headline
    assert panel.learned.after.metrics[metric] == found.metrics[metric]
    assert f"{found.metrics[metric]:.3f} after; mean difference" in panel.result.value
    assert "95 % interval" in panel.result.value
    assert panel.gallery.title.endswith("as learned")
    assert len(panel.gallery.notes) == len(panel.gallery.ids)
    was, now = ranked(panel.start_rows, panel.query)[0].tolist(), ranked(panel.rows, panel.query)[0].tolist()
    assert was[: panel.shown] == before
    for place, (row, note) in enumerate(zip(panel.gallery.ids, panel.gallery.notes, strict=True)):
        assert now[place] == row
        moved = was.index(row) - place
        assert note == ("=" if not moved else f"▲{moved}" if moved > 0 else f"▼{-moved}")
    assert "clicked since" not in panel.result.value
    truly(panel, panel.gallery.ids[:1])
    assert "You have clicked since" in panel.result.value


def test_without_ground_truth_it_says_that_nobody_knows(opened, towers):
    panel = opened(str(towers / "train"))
    assert (panel.pictures.given == -1).all()
    query = panel.query
    one, other, third = panel.gallery.ids[:3]
    for item, said in ((one, "same"), (other, "not"), (third, "not")):
        press(panel, item, said)
    panel.learn()
    assert panel.wait(60)
    assert not panel.error.value, panel.error.value
    assert "Without ground truth" in panel.result.value
    assert panel.query == query


def test_a_loaded_dataset_is_learned_on_too(opened, pictures):
    panel = instructed(opened(load_dataset(str(pictures)), training=small(pictures)))
    panel.learn()
    assert panel.wait(60)
    assert not panel.error.value, panel.error.value
    assert panel.learned is not None


def small(pictures):
    return Training(on=load_dataset(str(pictures)).name, weights="random", image_size=64, steps=6)


# errors


def test_a_contradiction_is_refused_with_the_chain_and_the_click_is_not_kept(opened):
    panel = opened()
    query, (one, other, *_) = panel.query, panel.gallery.ids
    press(panel, one, "same")
    press(panel, other, "same")
    panel.pick(one)
    assert other in panel.gallery.ids
    press(panel, other, "not")
    for row in (query, one, other):
        assert panel.clicks.names[row] in panel.error.value
    assert "must not contradict each other" in panel.error.value
    assert panel.clicks.said(one, other) == ""
    assert len(read_judgements(panel.clicks.file)) == 2
    press(panel, other, "same")
    assert not panel.error.value


def test_learning_too_early_gets_a_sentence(opened):
    panel = opened()
    panel.buttons["learn"].click()
    assert "nothing has been judged yet" in panel.error.value
    press(panel, panel.gallery.ids[0], "not")
    panel.buttons["learn"].click()
    assert panel.wait(30)
    assert "two pictures called the same, and one that is not" in panel.error.value
    assert not panel.buttons["learn"].disabled


def test_files_and_trainings_that_do_not_fit_get_a_sentence(opened, pictures, folder):
    file = write_judgements(folder / "other.csv", [Judgement("a.jpg", "b.jpg", True)])
    with pytest.raises(ValueError, match=r"other.csv: 2 names are those of no picture"):
        opened(file=file)
    file.write_text("picture,other\n")
    with pytest.raises(ValueError, match="same is missing"):
        opened(file=file)
    with pytest.raises(ValueError, match="training must be that of a head, got moves 'layer4'"):
        LabelPanel(pictures, Training(on=str(pictures), moves="layer4", weights="random"), file=folder / "c.csv")
    panel = opened(file=folder / "nowhere" / "clicks.csv")
    press(panel, panel.gallery.ids[0], "same")
    assert "cannot be written" in panel.error.value


def test_clicks_refuse_a_file_that_contradicts_itself(folder):
    paths = [folder / f"{name}.jpg" for name in "abc"]
    said = [Judgement("a.jpg", "b.jpg", True), Judgement("b.jpg", "c.jpg", True), Judgement("a.jpg", "c.jpg", False)]
    with pytest.raises(ValueError, match=r"'a.jpg' = 'b.jpg' = 'c.jpg'"):
        Clicks(paths, write_judgements(folder / "clicks.csv", said))


def test_a_still_picture_shows_what_was_said(opened):
    panel = opened()
    press(panel, panel.gallery.ids[0], "same")
    assert panel._sheet().size[0] > 100
