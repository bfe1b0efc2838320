"""Text for people and files: names may hold any byte, a terminal, a page or a table may not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

_CONTROLS = "\x00-\x1f\x7f-\x9f"  # of a terminal: escapes, bells, ends of lines
_TURNING = "\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"  # ends of lines, and marks that reorder a line
_NO_TEXT = "\ud800-\udfff\ufffe\uffff"  # half of a character, such as a byte of a name that is not UTF-8
_HIDDEN = re.compile(f"[{_CONTROLS}{_TURNING}{_NO_TEXT}]")
_ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4}))")
_LOOKS_ESCAPED = re.compile(r"\\(?=x[0-9a-f]{2}|u[0-9a-f]{4})")


def printable(text: object, keep: str = "") -> str:
    r"""`text` with an escape in place of each character that a terminal or a page would obey or could not show.

    A byte of a file's name that is not UTF-8 shows as that byte.

    >>> printable("caf\udce9\n\x1b[2J")
    'caf\\xe9\\x0a\\x1b[2J'

    Parameters
    ----------
    keep : characters that stay, such as the line ends of a message.
    """
    return _HIDDEN.sub(lambda found: found[0] if found[0] in keep else _shown(ord(found[0])), str(text))


def escape(text: str, keep: str = "") -> str:
    r"""Like `printable`, but `unescaped` gives back exactly `text`: anything that looks like an escape is escaped too.

    >>> escaped("a\x07"), escaped(r"a\x07")
    ('a\\x07', 'a\\x5cx07')
    """
    told = _LOOKS_ESCAPED.sub(r"\\x5c", text)
    return _HIDDEN.sub(lambda found: found[0] if found[0] in keep else _exact(ord(found[0])), told)


def unescape(text: str) -> str:
    """The text that `escaped` was given."""
    return _ESCAPE.sub(lambda found: chr(int(found[1] or found[2], 16)), text)


def split_list(text: str) -> list[str]:
    """The parts of a list separated by commas; commas in brackets and quotes do not separate.

    >>> split_list("mac, vlad(k=32, intra=False),spoc")
    ['mac', 'vlad(k=32, intra=False)', 'spoc']
    """
    return [part for part in map(str.strip, split_outside(text, ",")) if part]


def split_outside(text: str, separator: str) -> list[str]:
    """`text` cut at each `separator` that is outside brackets and quotes."""
    parts, depth, quote = [""], 0, ""
    for sign in text:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        else:
            depth = max(0, depth + (sign in "([{") - (sign in ")]}"))
        if sign == separator and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += sign
    return parts


def did_you_mean(name: str, known: Iterable[str], *, most: int = 1, cutoff: float = 0.6) -> str:
    """A sentence that ends an error: the known names nearest to a wrong one, whatever its case; empty if none is near.

    >>> did_you_mean("gme", ["mac", "gem"])
    " Did you mean 'gem'?"

    Parameters
    ----------
    most : this many names at most.
    cutoff : how like they must be, from 0 to 1 (the same).
    """
    names = {one.lower(): one for one in known}
    near = get_close_matches(name.lower(), names, n=most, cutoff=cutoff)
    return f" Did you mean {' or '.join(repr(names[one]) for one in near)}?" if near else ""


def first_line(error: BaseException) -> str:
    """The first line of what an error says, or its class if it says nothing, without a full stop."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(". ")


def _shown(code: int) -> str:
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else _exact(code)


def _exact(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
