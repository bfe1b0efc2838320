"""Notices about files: one line, no line of code, and still warnings that a program can catch."""

from __future__ import annotations

import subprocess
import sys
import warnings

import pytest

from cbirlab.base.notices import notify
from cbirlab.datasets.walking import FilesLeftOut


def test_a_notice_is_one_line_without_code():
    notice = "notify('photos: 2 files end in .heic')"
    code = f"from cbirlab.base.notices import notify\n{notice}\n{notice}"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr
    assert told == "<cbirlab>:1: UserWarning: photos: 2 files end in .heic\n", "once, on one line"


def test_a_notice_is_a_warning_of_its_kind():
    with pytest.warns(FilesLeftOut, match="2 files") as caught:
        notify(FilesLeftOut("2 files", []))
    assert caught[0].message.files == ()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="broken"):
            notify("broken")
