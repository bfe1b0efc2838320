"""No error of a panel goes unseen: each callback of each panel is made to fail, and the alert says so."""

from __future__ import annotations

import ast
import gc
import logging
import tempfile
import time
from pathlib import Path

import pytest
from fake_session import FakeSession, with_pairs, write_toytown_form

import cbirlab.widgets
from cbirlab.adaptation.training import Training
from cbirlab.datasets import load_dataset
from cbirlab.live import Session
from cbirlab.store import Store
from cbirlab.widgets import (
    CodeBeside,
    DialLab,
    DomainShift,
    Explorer,
    HammingBall,
    ITQSteps,
    JudgingLab,
    LabelPanel,
    ParetoExplorer,
    PQCells,
    TrainingPanel,
    Workbench,
)
from cbirlab.widgets.panels.base_panel import Panel
from cbirlab.widgets.parts.guard import Guard, Guarded
from cbirlab.widgets.parts.tasks import Work

ROOM = Path(cbirlab.widgets.__file__).parent
WAYS_IN = {"observe", "on_click", "on_msg", "on_submit", "Thread", "Timer", "interactive", "interact"}


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Session:
    towers = load_dataset(write_toytown_form(tmp_path_factory.mktemp("towers"), scenes=4, views=5), image_size=48)
    made = Session(
        with_pairs(towers), "toynet", "random", ["gem", "spoc"], store=Store(tmp_path_factory.mktemp("store"))
    )
    made.prepare(progress=False)
    return made


def workbench(session):
    bench = Workbench(FakeSession(session.dataset), backbones=["toynet"], prefetch=False, pause=0)
    bench.compared = True
    return bench


def judging(session):
    return JudgingLab(session.rank("layer4", "gem").ranking, session.dataset, pause=0)


def labels(session):
    file = Path(tempfile.mkdtemp()) / "clicks.csv"
    training = Training(on=session.dataset.name, weights="random", image_size=48)
    return LabelPanel(session.dataset, training, file=file, store=session.store, pause=0)


def shifted(session):
    given = {"images": 8, "image_size": 48, "weights": "random", "store": session.store, "progress": False}
    return DomainShift(session.dataset, session.dataset, pause=0, **given)


def training(session):
    return TrainingPanel(session.dataset, weights="random", store=session.store, pause=0)


def looking(kind):
    return lambda session: kind(session, pause=0)


def coded(kind, compression):
    def opened(session):
        panel = kind(session, compression=compression, pause=0)
        assert panel.work.wait()
        return panel

    return opened


def measured(kind):
    def opened(session):
        panel = kind(session, pause=0)
        assert panel.work.wait()
        return panel

    return opened


CODED = {HammingBall: "itq(bits=8)", PQCells: "pq(m=16, bits=4)", ITQSteps: "itq(bits=2)", CodeBeside: "itq(bits=8)"}
KINDS = [one for one in map(cbirlab.widgets.__getattr__, cbirlab.widgets.__all__) if isinstance(one, type)]
OPENED = {  # those that do not open on a session alone
    Explorer: lambda session: Explorer(FakeSession(session.dataset), prefetch=False, pause=0),
    Workbench: workbench,
    JudgingLab: judging,
    LabelPanel: labels,
    DomainShift: shifted,
    TrainingPanel: training,
    **{kind: coded(kind, compression) for kind, compression in CODED.items()},
    **{kind: measured(kind) for kind in (ParetoExplorer, DialLab)},
}
PANELS = {kind.__name__: OPENED.get(kind, looking(kind)) for kind in KINDS if issubclass(kind, Panel)}
"""Every panel that there is."""


def guarded() -> list[Guarded]:
    gc.collect()
    return [one for one in gc.get_objects() if type(one) is Guarded]


def alerts(widget) -> str:
    own = str(getattr(widget, "value", ""))
    return (own if "role='alert'" in own else "") + "".join(map(alerts, getattr(widget, "children", ())))


@pytest.mark.parametrize("name", PANELS)
def test_an_error_in_any_callback_reaches_the_alert(name, session):
    others = {id(one) for one in guarded()}
    panel = PANELS[name](session)
    assert not alerts(panel)
    callbacks = [one for one in guarded() if id(one) not in others]
    assert len(callbacks) > 3
    for number, callback in enumerate(callbacks):

        def fail(*_event, number=number):
            raise LookupError(f"callback {number} has failed on purpose")

        action, callback.action = callback.action, fail
        callback(None)
        callback.action = action
        assert f"LookupError: callback {number} has failed on purpose" in alerts(panel), action
    panel.close()


@pytest.mark.parametrize("name", [name for name in PANELS if name != "JudgingLab"])
def test_an_error_while_it_draws_reaches_the_alert_and_goes_again(name, session):
    panel = PANELS[name](session)
    for part in ("_action", "_afterwards"):
        whole = getattr(panel._update, part)
        setattr(panel._update, part, lambda part=part: {}[part])
        panel._update()
        assert f"KeyError: &#x27;{part}&#x27;" in alerts(panel)
        setattr(panel._update, part, whole)
        panel._update()
        assert not alerts(panel)
    panel.close()


@pytest.mark.parametrize("path", sorted(ROOM.rglob("*.py")), ids=lambda path: path.name)
def test_nothing_gets_in_but_by_the_guard(path):
    """Whoever listens to the page, or starts a thread, does so in guard.py."""
    called = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    ways = [one for one in called if getattr(one, "attr", getattr(one, "id", "")) in WAYS_IN]
    by_guard = [one for one in ways if isinstance(one, ast.Attribute) and ast.unparse(one.value).endswith("guard")]
    assert path.name == "guard.py" or by_guard == ways, [ast.unparse(one) for one in ways if one not in by_guard]


def test_threads_and_timers_are_guarded_and_the_traceback_is_logged(caplog):
    seen = []
    guard = Guard(seen.append)
    with caplog.at_level(logging.ERROR):
        guard.thread(lambda: 1 / 0).join(5)
        guard.later(0, lambda: {}["timer"])
        for _ in range(500):
            if len(seen) == 2:
                break
            time.sleep(0.01)
    assert [type(one) for one in seen] == [ZeroDivisionError, KeyError]
    assert "Traceback" in caplog.text
    with pytest.raises(ZeroDivisionError):
        Guard(None).run(lambda: 1 / 0)


def test_work_goes_on_after_an_error_in_what_follows_a_task():
    seen, done = [], iter([lambda: 1 / 0, lambda: seen.append("done")])
    work = Work(lambda: next(done)(), seen.append, lambda: 1 / 0)
    for key in ("one", "two"):
        work.start(key, key, lambda: None)
        assert work.wait(5)
    assert isinstance(seen[0], ZeroDivisionError)
    assert seen[1:] == ["done"]
    assert not work.busy
