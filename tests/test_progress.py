"""Progress: bars and stopwatches appear where work takes long, tell a listener instead, and leave nothing."""

from __future__ import annotations

import re
import time

import pytest

from cbirlab.base.progress import Cancelled, bar, listening, showing, stopwatch


def test_a_stopwatch_shows_the_seconds_of_work_that_tells_nothing(capsys):
    with stopwatch("UMAP compiles", delay=0.0):
        time.sleep(1.3)
    shown = capsys.readouterr().err
    assert len(re.findall(r"UMAP compiles: 00:0\d", shown)) >= 2  # at the start and after a second
    assert shown.split("\r")[-1].strip() == ""  # wiped out at the end


def test_work_that_is_soon_done_shows_no_stopwatch(capsys):
    with stopwatch("soon done"):
        pass
    assert "soon" not in capsys.readouterr().err


def test_no_stopwatch_runs_on_after_an_error_or_where_bars_are_hidden(capsys):
    with pytest.raises(ValueError, match="broken"), stopwatch("breaks", delay=0.0):
        raise ValueError("broken")
    capsys.readouterr()
    with showing(False), stopwatch("hidden", delay=0.0):
        time.sleep(0.01)
    time.sleep(1.2)
    assert capsys.readouterr().err == ""


def test_a_listener_hears_the_start_and_end_of_a_stopwatch_and_can_end_it():
    heard = []
    with listening(lambda *told: heard.append(told)), stopwatch("compiles"):
        assert heard == [("compiles", 0, 1)]
    assert heard[-1] == ("compiles", 1, 1)

    def stop(*told: object) -> None:
        raise Cancelled("enough")

    with listening(stop), pytest.raises(Cancelled), stopwatch("compiles"):
        raise AssertionError("the work was not to begin")


def test_a_bar_in_a_terminal_says_what_how_many_and_how_long(capsys):
    for _ in bar(range(3), desc="epochs", unit="epoch", delay=0.0):
        time.sleep(0.15)
    assert re.search(r"epochs:.*3/3 \[.*epoch", capsys.readouterr().err)
