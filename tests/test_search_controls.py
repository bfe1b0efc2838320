"""Search controls: made from declarations; what they set is in the ranking, the code, the table and the state file."""

from __future__ import annotations

import json
from html import unescape

import numpy as np
import pytest

from cbirlab.base.params import Choice, Parameter, Range, parameters
from cbirlab.compression import COMPRESSIONS, Compression
from cbirlab.compression.base import Code
from cbirlab.index import INDEXES, IndexMethod
from cbirlab.index.faiss_index import FaissIndex
from cbirlab.live import Session
from cbirlab.widgets import Workbench
from cbirlab.widgets.looking import WinLoss
from cbirlab.widgets.parts.guard import Guard
from cbirlab.widgets.parts.method_control import MethodControl, parameter_control
from cbirlab.widgets.parts.search_controls import SearchControls
from cbirlab.widgets.parts.state import RetrievalState

OPTIONS = {"backbones": {"toynet": "random"}, "prefetch": False, "pause": 0}

STOPS = [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192]
STOPS += [256, 320, 384, 512, 640, 768, 1024]


@pytest.fixture
def bench(session):
    made = Workbench(session, start={"whitening": "none", "tap": "layer2"}, **OPTIONS)
    made.map.method.value = "pca"
    yield made
    made.close()


def test_each_field_has_a_control_of_the_methods_of_its_registry_and_the_fold_is_closed():
    made = SearchControls(RetrievalState())
    assert [*made.fields] == ["compression", "index", "rescore", "rerank"]
    assert [name for _, name in made.fields["compression"].menu.options] == [*COMPRESSIONS]
    assert [name for _, name in made.fields["index"].menu.options] == [*INDEXES]
    assert made.selected_index is None
    assert made.titles == ("Search: exact",)
    assert made.fields["compression"].parameters == made.fields["index"].parameters == {}


@pytest.mark.parametrize(("kind", "name"), [*((Compression, one) for one in COMPRESSIONS),
                                            *((IndexMethod, one) for one in INDEXES)])  # fmt: skip
def test_every_method_shows_its_parameters_at_their_defaults(kind, name):
    made = MethodControl("field", kind, "none" if kind is Compression else "exact", Guard(None))
    made.menu.value = name
    assert made.value == kind(name)
    declared = parameters(kind.registry[name])
    assert {*declared} - {*made.parameters} <= {"block_mb"}
    assert all(widget.value is not None for widget in made.parameters.values())


def test_the_slider_of_probes_ends_at_the_number_of_lists():
    made = MethodControl("index", IndexMethod, "exact", Guard(None))
    made.menu.value = "ivf"
    lists, probes = made.parameters["lists"], made.parameters["probes"]
    assert [value for _, value in probes.options][1:] == STOPS
    probes.value = 64
    lists.value = 16
    assert made.value == "ivf(lists=16, probes=16)"
    assert [value for _, value in probes.options][1:] == [1, 2, 3, 4, 5, 6, 8, 10, 12, 16]
    made.value = IndexMethod.parse("ivf(lists=6, probes=5)")
    assert [value for _, value in probes.options][1:] == [1, 2, 3, 4, 5, 6]
    lists.value = 0
    assert made.value == "ivf(probes=5)"
    assert max(value for _, value in probes.options) == 1024


def test_a_method_is_left_and_found_again_as_it_was_set():
    made = MethodControl("compression", Compression, "none", Guard(None))
    made.menu.value = "itq"
    made.parameters["bits"].value = 128
    made.parameters["distance"].value = "asymmetric"
    made.menu.value = "pq"
    made.parameters["bits"].value = 8
    assert made.value == "pq(bits=8)"
    made.menu.value = "itq"
    assert made.value == "itq(bits=128, distance='asymmetric')"
    assert made.parameters["bits"].value == 128
    made.value = Compression.parse("pq(m=6)")
    assert (made.menu.value, made.parameters["m"].value, made.parameters["bits"].value) == ("pq", 6, 0)
    assert 6 in dict(made.parameters["m"].options).values(), "a value that lies between two stops"
    made.parameters["m"].value = 0
    assert made.value == "pq", "0 is 'auto'"


@pytest.mark.parametrize(
    ("parameter", "stops"),
    [
        (Parameter("bits", Range(1, 4096, step=8, integer=True), 64), STOPS),
        (Parameter("m", Range(1, 4096, integer=True, optional=True), None), [0, *STOPS]),
        (Parameter("iterations", Range(1, 1000, integer=True), 50), sorted([*STOPS[:-1], 50])),
        (Parameter("bits", Choice((None, 4, 8)), None), [0, 4, 8]),
    ],
)  # fmt: skip
def test_wide_ranges_of_whole_numbers_have_few_stops(parameter, stops):
    assert [value for _, value in parameter_control(parameter).options] == stops


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_a_side_is_set_to_is_in_everything_the_workbench_shows(bench, session, tmp_path):
    bench.comparison.pin_button.click()
    assert "compression" not in bench.comparison.table.value
    bench.compared = True
    bench.b.search.fields["compression"].menu.value = "sq"
    bench.b.search.fields["compression"].parameters["bits"].value = 4
    bench.b.search.fields["rescore"].value = 5
    assert bench.work.wait()
    assert bench.error.value == ""
    assert bench.b.state.stages == {"compression": "sq(bits=4)", "rescore": 5}
    assert bench.a.state.stages == {}
    assert bench.b.search.titles == ("Search: sq(bits=4), rescore 5",)
    assert bench.b.title.endswith("sq(bits=4) · rescore 5")
    code = unescape(bench.code.value)
    assert "compression='sq(bits=4)',\n    rescore=5," in code
    assert "--compression 'sq(bits=4)' --rescore 5" in code
    bench.comparison.pin_button.click()
    table = bench.comparison.table.value
    assert "<th>compression</th><th>rescored</th><th>bytes</th>" in table
    assert "<td>sq(bits=4)</td><td>5</td>" in table
    run, plain = bench.b.run(), bench.a.run()
    np.testing.assert_array_equal(run.ranking.images[:, :3], session.rank(*bench.b.setting).ranking.images[:, :3])
    assert run.recipe.compression == "sq(bits=4)"
    assert run.bytes_per_image < plain.bytes_per_image
    bench.question.ask(image=3)
    assert "stages=[('compression', 'sq(bits=4)'), ('rescore', 5)]" in unescape(bench.code.value)
    saved = json.loads(bench.save(tmp_path / "state.json").read_text())
    assert saved["b"]["state"]["stages"] == {"compression": "sq(bits=4)", "rescore": 5}
    again = Workbench.restore(tmp_path / "state.json", session, **OPTIONS)
    assert again.b.search.fields["compression"].parameters["bits"].value == 4
    assert again.b.search.fields["rescore"].value == 5
    assert again.b.results.rows == bench.b.results.rows
    again.close()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_does_not_fit_is_said_and_the_next_choice_goes_on(bench):
    rows = list(bench.a.results.rows)
    bench.a.search.fields["index"].menu.value = "hamming"
    assert "index 'hamming' needs a binary compression" in unescape(bench.error.value)
    bench.a.search.fields["compression"].menu.value = "binary"
    bench.a.search.fields["compression"].parameters["distance"].value = "symmetric"
    assert bench.work.wait()
    assert bench.error.value == ""
    bench.a.search.fields["compression"].menu.value = "none"
    assert "needs a binary compression" in unescape(bench.error.value)
    bench.a.search.fields["index"].menu.value = "exact"
    assert bench.error.value == ""
    assert bench.a.results.rows == rows
    bench.a.search.fields["compression"].menu.value = "itq"
    bench.a.search.fields["compression"].parameters["bits"].value = 1024
    assert bench.work.wait()
    assert "bits must be at most" in bench.error.value
    assert bench.a.results.rows == rows


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_dials_fit_nothing_again(bench, session, monkeypatch):
    counted = {"code": 0, "index": 0}
    learn, fit = Code.fit, FaissIndex.fit

    def learned(self, X, y=None):
        counted["code"] += 1
        return learn(self, X, y)

    def fitted(self, X, code=None, train=None):
        counted["index"] += 1
        return fit(self, X, code, train)

    monkeypatch.setattr(Code, "fit", learned)
    monkeypatch.setattr(FaissIndex, "fit", fitted)
    fields = bench.a.search.fields
    fields["compression"].menu.value = "float16"
    fields["index"].menu.value = "hnsw"
    assert bench.work.wait()
    assert counted == {"code": 1, "index": 1}
    for ef in (16, 32, 128):
        fields["index"].parameters["ef"].value = ef
        assert not bench.work.busy, "a dial asks for nothing slow"
        assert bench.a.run().recipe.index.parameters["ef"] == ef
    for places in (5, 20, 0):
        fields["rescore"].value = places
        assert bench.a.run().recipe.rescore == places
    assert counted == {"code": 1, "index": 1}
    fields["index"].parameters["links"].value = 8
    assert bench.work.wait()
    assert counted["index"] == 2, "the number of links is no dial"
    assert bench.error.value == ""


def test_the_map_of_descriptors_does_not_change_with_the_search(session):
    plain, key = session.vectors("layer2", "gem")
    for stages in ([("rescore", 5)], [("compression", "sq(bits=8)")], [("index", "hnsw(ef=16)")]):
        vectors, other = session.vectors("layer2", "gem", stages=stages)
        assert other == key
        np.testing.assert_array_equal(vectors, plain)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_session_that_searches_by_codes_starts_its_panels_so(things, session):
    coded = Session(things, "toynet", "random", ["gem", "mac"], store=session.store, compression="float16")
    assert coded.rank("layer2", "gem").recipe.compression == "float16"
    assert coded.rank("layer2", "gem", stages=[]).recipe.compression == "none"
    bench = Workbench(coded, **OPTIONS)
    assert bench.a.search.fields["compression"].value == "float16"
    bench.a.search.fields["compression"].menu.value = "none"
    assert bench.a.run().recipe.compression == "none"
    bench.close()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_win_loss_sets_full_descriptors_against_codes(session):
    panel = WinLoss(session, start_a={"whitening": "none"}, start_b={"whitening": "none"}, pause=0)
    assert panel.frame["difference"].abs().max() == 0
    search = panel._own_controls(panel.other)[-1]
    search.fields["compression"].menu.value = "binary"
    assert panel.work.wait()
    assert panel.other.setting.stages == (("compression", "binary"),)
    assert panel.frame["difference"].abs().max() > 0
    assert panel.error.value == ""
    assert "binary" in panel.headings[1].value
    panel.close()
