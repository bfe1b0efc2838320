"""Text: names of any bytes become printable, escapes are read back exactly, lists are cut at their own commas."""

from __future__ import annotations

import os
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from cbirlab.base.text import escape, printable, split_list, unescape

ANY = st.text(st.characters(exclude_categories=()))
NAMES = st.binary().map(os.fsdecode)


@given(ANY | NAMES)
def test_what_is_printable_is_neither_obeyed_by_a_terminal_nor_refused_by_an_encoding(text):
    shown = printable(text)
    shown.encode("utf-8")
    assert not any(unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") for sign in shown)
    assert printable(shown) == shown
    assert len(shown.splitlines()) <= 1


def test_ordinary_names_stay_as_they_are():
    for name in ("café", "日本.jpg", "a b (2).png", "C:\\x\\y", "👨‍👩‍👧.jpg"):
        assert printable(name) == name
    assert printable("caf\udce9\x1b[31m\u202egpj.exe") == r"caf\xe9\x1b[31m\u202egpj.exe"
    assert printable("one\ntwo\x07", keep="\n") == "one\ntwo\\x07"


@given(ANY | NAMES | st.text("\\xu0123456789abcdef\x07"))
def test_an_escaped_text_is_given_back(text):
    escape(text).encode("utf-8")
    assert unescape(escape(text)) == text
    assert unescape(escape(text, keep="\n\t")) == text


@given(st.lists(st.sampled_from(["mac", "gem(p=4)", "vlad(k=32, intra=False)", "lw(form='a, b')", "a > b(c=[1, 2])"])))
def test_a_list_is_cut_at_its_own_commas_alone(parts):
    assert split_list(",".join(parts)) == parts
    assert split_list(" , ".join(parts) + ",") == parts


def test_brackets_that_do_not_match_leave_the_text_to_be_refused_whole():
    assert split_list("gem(p=4,mac") == ["gem(p=4,mac"]
    assert split_list("gem)p,mac") == ["gem)p", "mac"]
