"""JupyterLab on a free port with folders of its own, and headless Chromium to look at it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat

REPOSITORY = Path(__file__).parents[2]
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or ""
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
}
# Asked of JupyterLab's models, since cells out of sight are not in the page.
CODE_CELLS = """window.jupyterapp.shell.currentWidget.content.widgets
    .filter(cell => cell.model.type === "code" && cell.model.sharedModel.source)"""
DONE = f"() => {CODE_CELLS}.every(cell => cell.model.executionCount)"
ERRORS = f"""() => {CODE_CELLS}.flatMap(cell => cell.model.outputs.toJSON())
    .filter(output => output.output_type === "error").map(error => error.ename + ": " + error.evalue)"""


def write_notebook(path: Path, *cells: str) -> None:
    """Code cells and a kernel's name."""
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}}
    code = [nbformat.v4.new_code_cell(cell) for cell in cells]
    nbformat.write(nbformat.v4.new_notebook(cells=code, metadata=kernel), path)


def why_not() -> str:
    """Why the browser tests cannot run here, or "" if they can."""
    if not CHROMIUM:
        return "needs Chromium: install the system package 'chromium', or name the program in CHROMIUM"
    try:
        import playwright  # noqa: F401
    except ImportError:
        return "needs playwright: pip install 'cbirlab[test]'"
    return ""


def expect(locator: Any) -> Any:
    """Playwright's assertions, which wait for what the page may reach later; on a busy machine that takes a while."""
    from playwright import sync_api

    sync_api.expect.set_options(timeout=30_000)
    return sync_api.expect(locator)


APPS = {"jupyterlab": ("LabApp", "doc/tree"), "notebook": ("JupyterNotebookApp", "notebooks")}
"""Name of the options, and address of a notebook, of JupyterLab and of Notebook 7."""


@contextlib.contextmanager
def running_lab(root: Path, scratch: Path, app: str = "jupyterlab") -> Iterator[str]:
    """JupyterLab serving `root`; gives an address with `{path}` to fill in. Everything it writes lies in `scratch`."""
    port, token = _free_port(), secrets.token_hex(16)
    settings = scratch / "application-settings"
    settings.mkdir(parents=True)
    (settings / "overrides.json").write_text(json.dumps(SETTINGS))
    log = scratch / "lab.log"
    with log.open("wb") as stream:
        server = subprocess.Popen(
            _command(root, settings, port, token, app),
            env=_environment(scratch),
            stdout=stream,
            stderr=stream,
            cwd=root,
        )
        try:
            _wait_for(server, f"http://127.0.0.1:{port}/api/status", token, log)
            yield f"http://127.0.0.1:{port}/{APPS[app][1]}/{{path}}?token={token}&reset"
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()


def _command(root: Path, settings: Path, port: int, token: str, app: str) -> list[str]:
    named = APPS[app][0]
    command = [
        *(sys.executable, "-m", app, "--no-browser", "--ip=127.0.0.1", f"--port={port}"),
        *("--ServerApp.port_retries=0", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={root}"),
        *(f"--{named}.expose_app_in_browser=True", f"--{named}.app_settings_dir={settings}"),
        *("--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"),
    ]
    return [*command, "--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else command


def _environment(scratch: Path) -> dict[str, str]:
    folders = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    own = {name: str(scratch / folder) for name, folder in folders.items()}
    paths = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]))
    return os.environ | own | {"PYTHONPATH": paths}


def _wait_for(server: subprocess.Popen[bytes], address: str, token: str, log: Path, seconds: float = 90) -> None:
    request = urllib.request.Request(address, headers={"Authorization": f"token {token}"})
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise RuntimeError(f"JupyterLab ended: {log.read_text()[-2000:]}")
        with contextlib.suppress(OSError):
            urllib.request.urlopen(request, timeout=2).close()
            return
        time.sleep(0.25)
    raise TimeoutError(f"JupyterLab did not answer within {seconds:g} s: {log.read_text()[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


_OPEN: list[Any] = []  # one browser for all: Playwright starts but once in a thread


@contextlib.contextmanager
def running_browser() -> Iterator[Any]:
    """Headless Chromium; who asks while it runs gets the same one."""
    from playwright.sync_api import sync_playwright

    if _OPEN:
        yield _OPEN[0]
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, headless=True)
        _OPEN.append(browser)
        try:
            yield browser
        finally:
            _OPEN.clear()
            browser.close()


class OpenNotebook:
    """One notebook in one page; `problems` collects what the page complains about."""

    def __init__(self, page: Any, address: str) -> None:
        self.page = page
        self.problems: list[str] = []
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", lambda message: self.problems.append(message.text) if message.type == "error" else None)
        page.goto(address)
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        self.wait_until_idle()

    def wait_until_idle(self, milliseconds: int = 180_000) -> None:
        self.page.wait_for_function(
            """() => { const session = window.jupyterapp?.shell.currentWidget?.sessionContext;
                       return session?.isReady && session.session?.kernel?.status === "idle"; }""",
            timeout=milliseconds,
        )

    def run_all(self, milliseconds: int = 240_000) -> None:
        """Run all cells from the menu; the kernel is idle for a moment before that, so wait for the numbers first."""
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        self._wait_until_run(milliseconds)

    def _wait_until_run(self, milliseconds: int) -> None:
        try:
            self.page.wait_for_function(f"() => ({ERRORS})().length || ({DONE})()", timeout=milliseconds)
        except Exception as error:
            where = Path(tempfile.gettempdir()) / "cbirlab-unfinished.png"
            self.page.screenshot(path=where)
            raise TimeoutError(f"not all cells ran within {milliseconds / 1000:g} s; see {where}") from error
        self.wait_until_idle()
        errors = self.page.evaluate(ERRORS)
        if errors:
            raise RuntimeError("\n".join(errors))

    def run_again(self, command: str, milliseconds: int = 240_000) -> None:
        """Run all cells by a command that asks first, such as one that restarts the kernel."""
        self.page.evaluate(f"() => {{ window.jupyterapp.commands.execute('{command}'); }}")
        self.page.locator(".jp-Dialog .jp-mod-accept").click()
        # The numbers of the first run stand until the kernel has gone.
        self.page.wait_for_function(f"() => !({DONE})()", timeout=milliseconds)
        self._wait_until_run(milliseconds)

    def save(self) -> None:
        """Save the notebook with its outputs."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        self.page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")

    def scroll_to(self, cell: int) -> None:
        """Bring a cell into view: those far out of sight are not in the page."""
        self.page.evaluate("(i) => window.jupyterapp.shell.currentWidget.content.scrollToItem(i)", cell)

    def theme(self, name: str) -> None:
        """ "JupyterLab Light" or "JupyterLab Dark"; waits until colours no longer fade."""
        self.page.evaluate("(theme) => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", name)
        self.page.wait_for_function(
            "(light) => document.body.dataset.jpThemeLight === light", arg=str(name.endswith("Light")).lower()
        )
        self.page.wait_for_timeout(600)

    def complaints(self) -> list[str]:
        """What the page complained about."""
        return [problem for problem in self.problems if "favicon" not in problem]

    def close(self) -> None:
        """End the kernel, then the page."""
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        self.page.context.close()

    def cells(self) -> int:
        return self.page.evaluate("() => window.jupyterapp.shell.currentWidget.content.widgets.length")
