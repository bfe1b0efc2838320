"""The page to share: what it holds, what it refuses, and that names from outside are nothing but text in it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from fake_session import write_toytown_form

from cbirlab.aggregation import Aggregation
from cbirlab.cli import main
from cbirlab.evaluation import paired
from cbirlab.evaluation.intervals import draw_groups
from cbirlab.live import Session
from cbirlab.store import Store
from cbirlab.whitening import Whitening
from cbirlab.widgets import Workbench
from cbirlab.widgets.parts.question import Question
from cbirlab.widgets.parts.state import Setting
from cbirlab.widgets.shared_page import save_page
from cbirlab.widgets.shared_page.choosing import NOT_THERE, choose, lay_out
from cbirlab.widgets.shared_page.packing import join, narrow, on_grid, pack, thousandths
from cbirlab.widgets.shared_page.pairing import pairing
from cbirlab.widgets.shared_page.preparing import prepare

FEW = {"taps": ["layer3", "layer4"], "aggregations": ["gem(p=1)", "gem(p=3)", "mac"], "whitenings": ["none", "pca"]}
HOSTILE = "</script><img src=x onerror=alert(1)>"
DTYPES = {"Uint8Array": "u1", "Uint16Array": "u2", "Int16Array": "i2", "Uint32Array": "u4", "Int32Array": "i4"}
DTYPES |= {"Float32Array": "f4"}


@pytest.fixture(scope="module")
def towers(tmp_path_factory) -> Path:
    return write_toytown_form(tmp_path_factory.mktemp("shared") / "towers")


@pytest.fixture(scope="module")
def session(towers) -> Session:
    return Session(towers, "toynet", "random", ["mac", "gem(p=1)", "gem(p=3)"], store=Store(towers.parent / "store"))


def parts_of(path: Path) -> dict[str, str]:
    """The text of each script by its id, the one that runs as ""."""
    html = path.read_text(encoding="utf-8")
    return dict(re.findall(r'<script(?: type="[^"]*" id="(\w+)")?>(.*?)</script>', html, re.S))


def unpack(parts: dict[str, str]) -> dict[str, np.ndarray]:
    """What the page reads, read as it reads it."""
    data = zlib.decompress(base64.b64decode(parts["arrays"]), -zlib.MAX_WBITS)
    return {
        name: np.frombuffer(data, f"<{DTYPES[about['type']]}", about["length"], about["at"]).reshape(about["shape"])
        for name, about in json.loads(parts["layout"]).items()
    }


def texts_of(arrays: dict[str, np.ndarray]) -> dict:
    return json.loads(arrays["texts"].tobytes().decode("utf-8"))


# Packing


def test_what_is_packed_is_read_back():
    arrays = {
        "odd": np.arange(5, dtype=np.uint8),
        "rows": np.arange(24, dtype=np.uint16).reshape(2, 3, 4),
        "scores": np.array([[-5, 7]], np.int16),
        "ap": np.array([np.nan, 0.25], np.float32),
        "big": np.array([2**31], ">u4"),
        "none": np.zeros((0, 7, 2), np.uint16),
    }
    layout, text = pack(arrays)
    found = unpack({"layout": json.dumps(layout), "arrays": text})
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert layout[name]["at"] % 8 == 0, "a typed array of a page must begin there"
    with pytest.raises(ValueError, match=r"rows must be of one of the types .* got int64"):
        pack({"rows": np.arange(3)})


def test_pictures_are_found_between_their_ends():
    ends, text = join([b"one", b"", b"three"])
    data = base64.b64decode(text)
    assert [data[a:b] for a, b in pairwise(ends)] == [b"one", b"", b"three"]


def test_numbers_become_as_small_as_they_can():
    assert narrow(np.array([0, 65535])).dtype == np.uint16
    assert narrow(np.array([65536])).dtype == np.uint32
    assert narrow(np.zeros(0, np.int64)).dtype == np.uint16
    assert thousandths(np.array([0.12349, -1.0])).tolist() == [123, -1000]
    assert thousandths(np.array([40.0])).dtype == np.int32
    assert thousandths(np.array([1e30])).tolist() == [2**31 - 1]
    scores = np.random.default_rng(0).uniform(-1, 1, 2000).astype(np.float32)
    assert [f"{one / 1000:.3f}" for one in thousandths(scores)] == [
        f"{one:.3f}".replace("-0.000", "0.000") for one in scores
    ]


def test_a_map_keeps_its_shape_on_the_grid():
    points = np.random.default_rng(0).normal(size=(50, 2)) * (3, 1)
    grid = on_grid(points).astype(np.float64)
    scale = np.ptp(points, axis=0).max() / 65535
    np.testing.assert_allclose(grid * scale + points.min(axis=0), points, atol=scale)
    assert on_grid(np.zeros((3, 2))).tolist() == [[0, 0]] * 3
    assert on_grid(np.zeros((0, 2))).shape == (0, 2)


# Which settings


def test_every_combination_has_a_setting_and_equal_recipes_share_one(session):
    plan = lay_out(session, choose(session, values=FEW | {"dimensions": [None, 8, 10_000]}))
    assert plan.numbers.shape == (2, 3, 2, 2 + 1, 1, 1)
    assert plan.choices.dimensions == (8, 10_000, None)
    plain, whitened = plan.numbers[:, :, 0, :, 0, 0], plan.numbers[:, :, 1, :, 0, 0]
    assert (plain == plain[..., :1]).all(), "without a whitening there are no dimensions to leave out"
    assert (whitened[..., 1] == whitened[..., 2]).all(), "more dimensions than there are is all of them"
    assert (whitened[..., 0] != whitened[..., 2]).all()
    assert len(plan.settings) == plan.numbers.max() + 1 == 2 * 3 * 3
    for place in np.ndindex(plan.numbers.shape):
        setting = plan.settings[plan.numbers[place]]
        assert setting.tap == plan.choices.taps[place[0]]
        assert setting.aggregation == plan.choices.aggregations[place[1]]


def test_at_a_tap_without_positions_all_poolings_are_one_setting_and_encodings_are_none(session):
    plan = lay_out(
        session, choose(session, values={"taps": ["layer4", "logits"], "aggregations": ["gem(p=1)", "mac", "bow(k=8)"]})
    )
    logits = plan.numbers[1, :, 0, 0, 0, 0]
    assert logits[0] == logits[1]
    assert (plan.numbers[1, 2] == NOT_THERE).all()
    with pytest.raises(ValueError, match="none of these poolings is possible"):
        lay_out(session, choose(session, values={"taps": ["logits"], "aggregations": ["bow(k=8)"]}))


def test_a_bare_name_stands_for_its_slider_and_the_page_gets_that_slider(session):
    choices = choose(session, values={"aggregations": ["mac", "gem"]})
    assert len(choices.aggregations) == 1 + 19
    mac, gem = choices.to_page()["pooling"]
    assert mac["sliders"] == []
    assert mac["places"] == [0]
    assert gem["sliders"][0]["stops"][:3] == ["1", "1.5", "2"]
    assert gem["sliders"][0]["stops"][gem["sliders"][0]["start"]] == "3"
    assert [choices.aggregations[place] for place in gem["places"]][4] == "gem(p=3)"


def test_what_is_on_show_is_added_to_the_usual_values_and_not_to_given_ones(session):
    crow = Aggregation.parse("crow")
    side = Setting("layer3", crow, Whitening.parse("pca(power=0.25)"), 16, (("rerank", "aqe(k=5)"),))
    usual = choose(session, [side])
    assert crow in usual.aggregations
    assert usual.whitenings == ("none", "pca", "pca(power=0.25)")
    assert usual.dimensions == (16, None)
    assert usual.rerankings == ("none", "aqe(k=5)")
    plan = lay_out(session, choose(session, [side], {"taps": ["layer3"], "aggregations": ["crow"]}))
    at = plan.place(side)
    assert at is not None
    found = plan.settings[plan.numbers[tuple(at)]]
    assert (found.dimensions, found.whitening, found.searched) == (16, "pca(power=0.25)", ["aqe(k=5)"])
    assert plan.place(side._replace(tap="stem")) is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"taps": ["layer9"]}, "taps must be among stem, .* got 'layer9'"),
        ({"taps": []}, "taps must hold at least one value"),
        ({"dimensions": [0]}, "dimensions must be whole numbers >= 1"),
        ({"aggregations": ["gemm"]}, "gemm"),
        ({"whitenings": ["pcs"]}, "pcs"),
        ({"shown": 0}, "shown must be a whole number in"),
        ({"side": 10}, "side must be a whole number in"),
        ({"maps": ["globe"]}, "globe"),
    ],
)
def test_what_is_no_page_is_refused(session, tmp_path, given, message):
    with pytest.raises((ValueError, KeyError), match=message):
        save_page(tmp_path / "page.html", session, **given)
    assert not list(tmp_path.iterdir())


def test_a_page_that_is_too_large_is_refused_before_anything_is_ranked(session, tmp_path, monkeypatch):
    monkeypatch.setattr(session, "rank", lambda *_: pytest.fail("nothing must be ranked"))
    with pytest.raises(
        ValueError, match=r"12 settings of 6 queries .* up to 0\.\d MB \(rankings .* thumbnails .* limit_mb"
    ):
        save_page(tmp_path / "page.html", session, **FEW, limit_mb=0.1)
    with pytest.raises(ValueError, match=r"thumbnails 0\.\d MB.* is a smaller side, or maps=\(\)"):
        save_page(tmp_path / "page.html", session, **FEW, limit_mb=0.1)
    monkeypatch.setattr("cbirlab.widgets.shared_page.saving.MOST_SETTINGS", 5)
    with pytest.raises(ValueError, match="there can be 5 settings at most, these are 12; name fewer taps"):
        save_page(tmp_path / "page.html", session, **FEW)
    assert not list(tmp_path.iterdir())


def test_a_page_that_fails_leaves_the_old_one(session, tmp_path, monkeypatch):
    target = save_page(tmp_path / "page.html", session, **FEW, progress=False)
    target.write_text("old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save_page(target, session, **FEW, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert target.read_text() == "old"


# What is in it


def test_the_lists_are_those_of_the_galleries(session):
    plan = lay_out(session, choose(session, values=FEW | {"rerankings": ["none", "aqe(k=3)"]}))
    made = prepare(session, plan.settings, 10, progress=False)
    for place, setting in enumerate(plan.settings):
        for query in range(len(session.dataset.queries)):
            question = Question(query=query)
            expected = question.results(session.dataset, question.rank(session, setting), shown=10)
            count = made.counts[query, place]
            assert made.rows[query, place, :count].tolist() == list(expected.rows)
            np.testing.assert_allclose(made.scores[query, place, :count] / 1000, expected.scores, atol=6e-4)
            assert made.legends[query] == expected.legend
        run = session.rank(*setting)
        for level, ap in run.evaluation.per_query.items():
            np.testing.assert_allclose(made.ap[level][place], ap, rtol=1e-6)


def test_impossible_settings_are_told_once_and_what_is_said_of_many_is_said_once(session):
    plan = lay_out(session, choose(session, values=FEW | {"codes": ["none", "itq(bits=64)", "lsh(bits=8)"]}))
    with pytest.warns(UserWarning, match="settings are impossible") as told:
        made = prepare(session, plan.settings, 10, progress=False)
    said = [str(one.message) for one in told]
    assert len(made.impossible) == 12
    assert sum("12 of 36 settings are impossible; the page says why, as: ITQ: bits" in one for one in said) == 1
    assert sum("equal scores" in one for one in said) == 1
    assert set(made.heads) == set(range(36)) - set(made.impossible)
    with pytest.raises(ValueError, match="none of the 12 settings is possible; the first says: ITQ"):
        prepare(session, [plan.settings[place] for place in made.impossible], 10, progress=False)


def test_the_draws_of_the_paired_test_are_in_the_page(session):
    plan = lay_out(session, choose(session, values=FEW))
    made = prepare(session, plan.settings, 10, progress=False)
    levels, arrays = pairing(made.ap, made.groups)
    count = levels[0]["count"]
    assert [level["title"] for level in levels] == ["Easy", "Medium", "Hard"]
    np.testing.assert_array_equal(arrays[f"draws_{count}"], np.concatenate([*draw_groups(count)]))
    a, b = (session.rank(*plan.settings[place]).evaluation for place in (0, 4))
    sums = np.zeros(count)
    np.add.at(sums, levels[1]["groups"], b.per_query["medium"] - a.per_query["medium"])
    signs = 2.0 * np.unpackbits(arrays[f"tosses_{count}"], axis=1, count=count) - 1
    reached = (np.abs(signs @ sums) >= abs(sums.sum()) * (1 - 1e-12)).sum()
    assert (reached + 1) / (len(signs) + 1) == paired(b, a, "medium").p
    assert pairing({}, None) == ([], {})
    assert pairing(made.ap, None)[0][0]["count"] == 0


def test_queries_that_do_not_count_are_left_out_of_the_test():
    ap = {"easy": np.array([[0.5, np.nan, 0.25], [0.25, np.nan, 0.5]])}
    levels, arrays = pairing(ap, np.array([7, 7, 9]))
    assert levels[0]["groups"] == [0, -1, 1]
    assert set(arrays) == {"draws_2", "tosses_2"}
    ap["easy"][1, 0] = np.nan
    assert pairing(ap, np.array([7, 7, 9]))[0][0]["count"] == 0, "the two are judged on other queries"


def test_the_page_allows_its_own_script_and_style_and_nothing_else(session, tmp_path):
    html = save_page(tmp_path / "page.html", session, **FEW, progress=False).read_bytes().decode("utf-8")
    policy = dict(one.split(" ", 1) for one in re.search(r'Policy" content="([^"]*)"', html)[1].split("; "))
    script = html[html.rindex("<script>") + len("<script>") : html.rindex("</script>")]
    style = re.search(r"<style>(.*?)</style>", html, re.S)[1]
    for text, name in ((script, "script-src"), (style, "style-src")):
        assert policy[name] == f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
    assert policy["default-src"] == "'none'"
    assert policy["img-src"] == "data: blob:"
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", html), "there is no other address in the page"
    assert " style=" not in html
    assert " on" + "click=" not in html


def test_names_from_outside_are_text(towers, tmp_path):
    folder = tmp_path / "<b>bold</b>"
    shutil.copytree(towers, folder)
    truth = json.loads((folder / "gnd_towers.json").read_text())
    old, names = truth["imlist"][0], (folder / "images.jsonl").read_text()
    (folder / "images" / f"{old}.jpg").rename(folder / "images" / f"{HOSTILE.replace('/', '∕')}.jpg")
    truth["imlist"][0] = HOSTILE.replace("/", "∕")
    (folder / "gnd_towers.json").write_text(json.dumps(truth))
    (folder / "images.jsonl").write_text(
        names.replace(old, HOSTILE.replace("/", "∕")).replace('"landmark": 1', f'"landmark": "{HOSTILE}"')
    )
    made = save_page(
        tmp_path / "page.html", Session(folder, "toynet", "random", store=Store(tmp_path / "store")), **FEW
    )
    html = made.read_text(encoding="utf-8")
    assert "<b>bold" not in html
    assert "<img" not in html
    assert len(re.findall("</script>", html)) == len(re.findall("<script", html)) == 4
    texts = texts_of(unpack(parts_of(made)))
    assert any(HOSTILE in name for name in texts["scatter"]["names"])
    assert texts["scatter"]["labels"][0] == HOSTILE.replace("/", "∕")


def test_without_a_map_only_the_pictures_that_a_list_shows_are_in_the_page(session, tmp_path):
    made = save_page(tmp_path / "page.html", session, **FEW, shown=2, maps=(), progress=False)
    arrays = unpack(parts_of(made))
    listed = {int(row) for row in arrays["rows"].ravel()}
    queries = len(session.dataset.images) + np.arange(len(session.dataset.queries))
    assert arrays["pictures"].tolist() == sorted(listed | set(queries.tolist()))
    assert len(arrays["ends"]) == len(arrays["pictures"]) + 1
    jpegs = base64.b64decode(parts_of(made)["thumbnails"])
    assert jpegs[arrays["ends"][3] :][:2] == b"\xff\xd8"


def test_a_dataset_without_queries_asks_for_each_of_its_images(towers, tmp_path):
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in sorted((towers / "images").iterdir())[:7]:
        shutil.copy(path, flat)
    session = Session(flat, "toynet", "random", store=Store(tmp_path / "store"))
    made = save_page(tmp_path / "page.html", session, taps=["layer4"], aggregations=["mac"], progress=False)
    arrays = unpack(parts_of(made))
    texts = texts_of(arrays)
    assert len(texts["questions"]) == 7
    assert (arrays["counts"] == 6).all(), "the picture itself is no result"
    assert texts["levels"] == []
    assert "no ground truth" in texts["tables"]["0"]


def test_a_workbench_saves_what_it_shows(session, tmp_path):
    bench = Workbench(session, prefetch=False, pause=0.0)
    try:
        bench.state.from_json(bench.state.to_json() | {"tap": "layer3", "aggregation": "mac", "whitening": "pca"})
        bench.pick(len(session.dataset.images) + 2)
        made = bench.save_page(tmp_path / "page.html", taps=["layer3", "layer4"], progress=False)
    finally:
        bench.close()
    texts = texts_of(unpack(parts_of(made)))
    assert texts["start"]["question"] == 2
    assert not texts["start"]["compared"]
    tap, pooling, whitening, *_ = texts["start"]["sides"][0]
    assert texts["choices"]["tap"][tap] == "layer3"
    assert pooling in next(one for one in texts["choices"]["pooling"] if "MAC" in one["label"])["places"]
    assert texts["choices"]["whitening"][whitening].startswith("PCA")


def test_the_command_writes_a_page_and_says_how_large_it_is(towers, tmp_path, capsys):
    where = [
        "--dataset",
        str(towers),
        "--backbone",
        "toynet",
        "--weights",
        "random",
        "--store",
        str(tmp_path / "store"),
    ]
    values = ["--taps", "layer4", "--aggregations", "mac", "spoc", "--dimensions", "8", "all", "--maps", "none"]
    assert main(["page", *where, *values, "--out", str(tmp_path / "p.html"), "--quiet"]) == 0
    assert re.search(r"written: .*p\.html \(0\.\d MB\)", capsys.readouterr().out)
    assert texts_of(unpack(parts_of(tmp_path / "p.html")))["shape"] == [1, 2, 2, 2, 1, 1]
    assert main(["page", *where, "--out", str(tmp_path / "p.txt"), "--quiet"]) == 2
    assert "--out must end in .html" in capsys.readouterr().err
    assert main(["page", *where, "--taps", "layer7", "--out", str(tmp_path / "q.html"), "--quiet"]) == 1
    assert "taps must be among" in capsys.readouterr().err
