"""Every reader returns or raises its own error, whatever the file: 300 trials each, or CBIRLAB_TRIALS of them."""

from __future__ import annotations

import os

import pytest
from fuzzing.readers import READERS
from fuzzing.trials import faults

TRIALS = int(os.environ.get("CBIRLAB_TRIALS", "300"))


@pytest.mark.parametrize("name", READERS)
def test_damaged_and_hostile_files_are_read_or_refused(name: str) -> None:
    assert [*faults(name, TRIALS)] == []
