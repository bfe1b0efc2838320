"""`cbirlab app` in Chromium: a page without cells, with a panel that answers."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time

import pytest
from fake_session import write_toytown_form

from browser import lab
from browser.test_tour import GRID, PANEL, choose, ids


def wait_for(server, port, log, seconds=180):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise RuntimeError(f"the app ended: {log.read_text()[-2000:]}")
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=2).close()
            return
        time.sleep(0.25)
    raise TimeoutError(f"the app did not answer within {seconds} s: {log.read_text()[-2000:]}")


@contextlib.contextmanager
def running_app(folder, *arguments):
    """The app on a few towers, with folders of its own; gives its address and its log."""
    towers, port, log = write_toytown_form(folder / "towers"), lab._free_port(), folder / "app.log"
    command = [sys.executable, "-m", "cbirlab", "app", "--dataset", "towers", "--", "--no-browser", f"--port={port}"]
    environment = lab._environment(folder) | {"CBIRLAB_STORE": str(folder / "store")}
    with log.open("wb") as stream:
        server = subprocess.Popen(
            [*command, *arguments], env=environment, stdout=stream, stderr=stream, cwd=towers.parent,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background ignores it
        )  # fmt: skip
        try:
            wait_for(server, port, log)
            yield f"http://127.0.0.1:{port}/", log
        finally:
            server.send_signal(signal.SIGINT)
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The app's page with its gallery; a kernel's start, torch and the first descriptions take some seconds."""
    with running_app(tmp_path_factory.mktemp("app")) as (address, log), lab.running_browser() as browser:
        opened = browser.new_context(viewport={"width": 1440, "height": 1300}).new_page()
        opened.problems = []
        opened.on("pageerror", lambda error: opened.problems.append(str(error)))
        opened.goto(address, timeout=120_000)
        try:
            opened.wait_for_selector(f"{GRID}[data-state=ready]", timeout=120_000)
        except Exception as error:
            raise TimeoutError(f"no gallery: {opened.inner_text('body')[-1500:]}\n{log.read_text()[-2000:]}") from error
        yield opened


def test_the_page_shows_a_gallery_and_no_cell(page, shot):
    assert page.title() == "cbirlab: towers"
    page.wait_for_function(
        f"() => [...document.querySelectorAll('{GRID} img')].every(image => image.complete && image.naturalWidth > 0)"
    )
    assert len(ids(page)) > 0
    assert page.locator(".jp-InputArea-editor:visible, .jp-InputPrompt:visible").count() == 0
    text = page.inner_text("body")
    assert "Workbench(" not in text
    assert "Error" not in text
    shot(page, "app")


def test_the_panel_answers(page):
    before = ids(page)
    choose(page, "pooling", "MAC")
    choose(page, "whitening", "None")
    assert ids(page) != before
    page.locator(f"{GRID} .cbirlab-tile").nth(3).click()
    page.wait_for_function(
        f"() => document.querySelector('{GRID} .cbirlab-title').innerText.includes('Database image')"
    )
    assert page.locator(f"{PANEL} .cbirlab-error").count() == 0


def test_the_page_complains_of_nothing(page):
    assert page.problems == []


def test_the_app_stops_when_it_is_told_to_and_leaves_nothing_behind(tmp_path, monkeypatch):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    with running_app(tmp_path):
        assert [*temporary.glob("cbirlab-app-*/cbirlab.ipynb")]
        assert len([*temporary.iterdir()]) == 1, "what Voilà writes lies in the app's folder too"
    assert not [*temporary.iterdir()]
