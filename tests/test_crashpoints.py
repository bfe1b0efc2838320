"""Crash points: kills at a few of a run's writes; all of them by `python tests/robustness/crashpoints.py`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "robustness" / "crashpoints.py"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a run is killed in a forked process")
@pytest.mark.parametrize("every", [17, pytest.param(1, marks=pytest.mark.robustness)])
def test_a_run_that_is_killed_leaves_nothing_wrong_and_nothing_behind(every):
    ran = subprocess.run([sys.executable, str(SCRIPT), "--every", str(every)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    kills, wrong = (int(word) for word in ran.stdout.split() if word.isdecimal())
    assert kills >= 10
    assert wrong == 0
