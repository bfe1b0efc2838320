"""`cbirlab app`: the notebook it writes, what Voilà is told, and what is said when something is missing."""

from __future__ import annotations

import asyncio
import io
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import nbformat
import pytest
from fake_session import draw_pictures
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado.web import HTTPError

from cbirlab import cli
from cbirlab.backbones import weights
from cbirlab.backbones.weights import WeightsError
from cbirlab.base import downloads
from cbirlab.cli import app
from cbirlab.cli.kernels import LimitedKernelManager
from cbirlab.cli.parser import build_parser
from cbirlab.live import Session
from cbirlab.store import Store
from cbirlab.widgets.panels import opening
from cbirlab.widgets.parts import tasks


@pytest.fixture
def served(monkeypatch):
    """Voilà that only keeps what it is asked to serve: (arguments, notebook)."""
    asked = []

    class Voila:
        downloads: ClassVar[list[bool]] = []

        @classmethod
        def launch_instance(cls, argv):
            asked.append((argv, nbformat.read(argv[0], as_version=4)))
            cls.downloads.append(downloads.allowed())

    module = ModuleType("voila.app")
    module.Voila = Voila
    monkeypatch.setitem(sys.modules, "voila", ModuleType("voila"))
    monkeypatch.setitem(sys.modules, "voila.app", module)
    return asked


def test_it_serves_one_cell_with_the_panel_and_passes_arguments_on(served, monkeypatch):
    checked = []
    monkeypatch.setattr(app, "check", lambda *given: checked.append(given))
    assert cli.main(["app", "--", "--no-browser", "--port", "9999"]) == 0
    ((arguments, notebook),) = served
    assert arguments[1:] == [*app.voila_arguments(Path(arguments[0]), [])[1:], "--no-browser", "--port", "9999"]
    nbformat.validate(notebook)
    (cell,) = notebook.cells
    assert cell.source.endswith(f"panel = {app.PANEL}('toytown')\npanel")
    assert checked == [("toytown", None, None)]
    assert notebook.metadata.title == "cbirlab: toytown"
    assert not Path(arguments[0]).exists(), "the folder is gone when the app has ended"


def test_a_folder_and_a_file_of_weights_are_named_in_full(served, tmp_path, monkeypatch):
    draw_pictures(tmp_path / "photos", views=1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CBIRLAB_STORE", str(tmp_path / "store"))
    assert cli.main(["app", "--dataset", "photos", "--backbone", "toynet", "--weights", "random"]) == 0
    assert not [*(tmp_path / "store").glob("descriptors/*")], "the page is there before anything is described"
    code = served[0][1].cells[0].source
    assert f"{app.PANEL}({str(tmp_path / 'photos')!r}, 'toynet', weights='random')" in code
    (tmp_path / "mine.pth").touch()
    assert str(tmp_path / "mine.pth") in app.notebook("photos", "toynet", "mine.pth")["cells"][0]["source"]


def test_the_cell_is_python_that_makes_the_panel(tmp_path, monkeypatch):
    source = app.notebook(str(tmp_path / "it's \\ here"), "toynet")["cells"][0]["source"]
    monkeypatch.setattr(opening, app.PANEL, lambda *given: given)
    names = {}
    exec(compile(source, "cell", "exec"), names)
    assert names["panel"] == (str((tmp_path / "it's \\ here").resolve()), "toynet")


def test_the_page_says_what_is_prepared_and_then_holds_the_workbench(tmp_path, monkeypatch):
    draw_pictures(tmp_path / "photos")
    monkeypatch.setenv("CBIRLAB_STORE", str(tmp_path / "store"))
    said = []
    monkeypatch.setattr(tasks, "BETWEEN_NOTES", 0.0)
    monkeypatch.setattr(opening.Opening, "_say", lambda self, text: said.append(text))
    page = opening.Opening(str(tmp_path / "photos"), "toynet", "random")
    assert "photos" in page.heading.value
    assert page.wait(120)
    assert page.children == (page.panel,)
    assert page.panel.error.value == ""
    assert said[0] == "Loading the network and the list of pictures"
    assert any(re.search(r"toynet.* on .*, \d+ of \d+", text) for text in said), said
    page.panel.close()


def test_what_goes_wrong_in_the_page_is_said_there_and_its_traceback_is_not(tmp_path, monkeypatch):
    log = io.StringIO()
    monkeypatch.setattr(sys, "__stderr__", log)
    page = opening.Opening(str(tmp_path / "<none>"))
    assert page.wait(60)
    assert "cbirlab-error" in page.note.value
    assert "&lt;none&gt;" in page.note.value
    assert "<none>" not in page.note.value + page.heading.value
    assert "Traceback" in log.getvalue()
    assert "Traceback" not in page.note.value


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.3, "about 1 s"), (47, "about 50 s"), (200, "about 3 min"), (7300, "about 2 h")]
)
def test_times_are_said_no_more_exactly_than_they_are_known(seconds, said):
    assert tasks.duration(seconds) == said


def test_the_time_left_is_that_of_the_step_so_far(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(tasks.time, "monotonic", lambda: now[0])
    left = tasks.TimeLeft()
    assert left.due("describing", 30, 230), "a new step is said at once; thirty were there already"
    assert left.text("describing", 30, 230) == "describing, 30 of 230"
    now[0] += 0.1
    assert not left.due("describing", 31, 230)
    now[0] += 9.9
    assert left.due("describing", 80, 230)
    assert left.text("describing", 80, 230) == "describing, 80 of 230, about 30 s left"
    assert left.due("whitening", 0, 4), "the next step counts anew"
    assert left.text("whitening", 0, 4) == "whitening, 0 of 4"


def test_without_voila_the_pip_line_is_said(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "voila.app", None)
    assert cli.main(["app"]) == 1
    assert "pip install 'cbirlab[app]'" in capsys.readouterr().err


def test_what_cannot_be_loaded_is_said_before_anything_is_served(served, capsys):
    assert cli.main(["app", "--dataset", "toytwon"]) == 2
    assert "Did you mean 'toytown'" in capsys.readouterr().err
    assert cli.main(["app", "--backbone", "toynat"]) == 2
    assert served == []


def test_the_panel_it_names_exists():
    assert callable(getattr(opening, app.PANEL))


def manager_of(*arguments):
    """Voilà's configuration and the manager of its kernels for a command line of `cbirlab app`."""
    pytest.importorskip("voila")
    from voila.app import Voila
    from voila.configuration import VoilaConfiguration

    given = build_parser().parse_args(["app", *arguments])
    served = Voila()
    served.parse_command_line(app.voila_arguments(Path("x.ipynb"), given.voila, given.visitors, given.idle_minutes)[1:])
    settings = VoilaConfiguration(parent=served)
    return settings, settings.multi_kernel_manager_class(parent=served)


def test_visitors_are_limited_idle_ones_are_let_go_and_tracebacks_stay_here():
    settings, manager = manager_of()
    assert not settings.show_tracebacks
    assert isinstance(manager, LimitedKernelManager)
    assert manager.most == app.VISITORS
    assert manager.cull_idle_timeout == 60 * app.IDLE_MINUTES
    assert 0 < manager.cull_interval <= 60
    assert manager.cull_connected
    settings, manager = manager_of("--visitors", "3", "--idle-minutes", "5", "--", "--show_tracebacks=True")
    assert (manager.most, manager.cull_idle_timeout, settings.show_tracebacks) == (3, 300, True)


def test_no_more_kernels_are_started_than_may_be(monkeypatch):
    _, manager = manager_of("--visitors", "2")
    running, release = {}, asyncio.Event()

    async def start(self, *given, **options):
        await release.wait()
        running[len(running)] = True
        return str(len(running))

    monkeypatch.setattr(AsyncMappingKernelManager, "start_kernel", start)
    monkeypatch.setattr(AsyncMappingKernelManager, "__len__", lambda self: len(running))

    async def visit():
        first = [asyncio.ensure_future(manager.start_kernel()) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(HTTPError, match="All 2 places are taken"):
            await manager.start_kernel()
        release.set()
        await asyncio.gather(*first)
        with pytest.raises(HTTPError, match="503"):
            await manager.start_kernel()
        running.popitem()
        assert await manager.start_kernel() == "2"

    with ThreadPoolExecutor(1) as thread:  # this thread may hold the loop of the browser tests
        thread.submit(asyncio.run, visit()).result()


@pytest.mark.parametrize(("arguments", "allowed"), [((), False), (("--allow-downloads",), True)])
def test_what_is_served_downloads_only_where_that_was_said(served, monkeypatch, arguments, allowed):
    monkeypatch.setattr(app, "check", lambda *_: None)
    monkeypatch.delenv(downloads.VARIABLE, raising=False)
    assert cli.main(["app", *arguments]) == 0
    assert sys.modules["voila.app"].Voila.downloads[-1] is allowed
    assert downloads.allowed(), "the environment is as it was"


def test_where_nothing_may_be_fetched_nothing_is(tmp_path, monkeypatch):
    from cbirlab.backbones import from_hub, from_timm
    from cbirlab.base.downloads import DownloadError, fetch
    from cbirlab.datasets.catalogue import Source

    monkeypatch.setenv(downloads.VARIABLE, "off")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(weights.finding, "hub_folder", lambda: tmp_path / "checkpoints")
    monkeypatch.delenv(weights.FOLDER_VARIABLE, raising=False)
    monkeypatch.setattr(from_timm, "cached", lambda repository: None)
    monkeypatch.setattr(from_hub, "hub_folder", lambda: tmp_path / "hub" / "checkpoints")
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("something was fetched"))
    asked = {
        "resnet18": lambda: weights.find("resnet18", None, default="IMAGENET1K_V1"),
        "timm:resnet18": lambda: from_timm._pretrained("timm:resnet18", "resnet18", "timm/resnet18.a1_in1k"),
        "hub:o/r:e": lambda: from_hub._built("hub:o/r:e", from_hub.Address("o/r", "e")),
        "a.zip": lambda: fetch(Source("a.zip", ("https://example.org/a.zip",)), tmp_path),
    }
    for name, ask in asked.items():
        with pytest.raises((WeightsError, DownloadError), match=rf"{name}.* must be downloaded, but downloads are"):
            ask()
    (tmp_path / "hub" / "o_r_main").mkdir(parents=True)
    assert from_hub._fetched("o/r")
    assert not from_hub._fetched("o/q")


def test_a_state_that_a_visitor_brings_opens_nothing_that_is_not_on_offer(tmp_path, monkeypatch):
    from cbirlab.widgets.panels.sessions import Sessions

    draw_pictures(tmp_path / "photos", views=1)
    session = Session(tmp_path / "photos", "toynet", "random", store=Store(tmp_path / "store"))
    (tmp_path / "mine.pth").touch()
    sessions = Sessions(session, ["toynet", "mobilenet_v2"])
    monkeypatch.setenv(downloads.VARIABLE, "off")
    assert sessions.offer("mobilenet_v2") == "mobilenet_v2"
    for name, label in (("resnet18", None), ("mobilenet_v2", "IMAGENET1K_V1")):
        with pytest.raises(ValueError, match="is not on offer here"):
            sessions.offer(name, label)
    for name in ("mobilenet_v2", "toynet"):
        assert sessions.weights[sessions.offer(name, str(tmp_path / "mine.pth"))] in (None, "random"), "not the file"
    monkeypatch.setenv(downloads.VARIABLE, "on")
    assert sessions.offer("resnet18") == "resnet18"
