"""Aside: a file is there whole or as it was, and nothing else is left."""

from __future__ import annotations

import pytest

from cbirlab.base.aside import written_aside


def test_a_file_is_put_in_its_place_whole(tmp_path):
    place = tmp_path / "page.html"
    place.write_text("before")
    with written_aside(place) as aside:
        aside.write_text("after")
        assert place.read_text() == "before"
    assert (place.read_text(), [*tmp_path.iterdir()]) == ("after", [place])


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt])
def test_what_fails_half_way_changes_nothing(tmp_path, error):
    place = tmp_path / "page.html"
    place.write_text("before")

    def write():
        with written_aside(place) as aside:
            aside.write_text("hal")
            raise error

    with pytest.raises(error):
        write()
    assert (place.read_text(), [*tmp_path.iterdir()]) == ("before", [place])
