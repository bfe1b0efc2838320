"""Finding files by names that were written on another system: other slashes, another case, other bytes for accents."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path


class Finder:
    """Looks for files below a root, listing each folder once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._listed: dict[str, frozenset[str]] = {}
        self._alike: dict[str, Mapping[str, list[str]]] = {}

    def exact(self, name: str) -> Path | None:
        """The file with exactly this name."""
        path = self._root / name
        if path.name not in self._names(str(path.parent)):
            return None
        return (
            path if path.suffix or path.is_file() else None
        )  # a folder has no ending, and asking each file takes time

    def alike(self, name: str) -> Path | None:
        """The one file whose name another system would write like this; None if there is none, or several."""
        written = name.replace("\\", "/")
        if written != name and (found := self.exact(written)) is not None:
            return found
        places = ["/" if written.startswith("/") else str(self._root)]
        for part in written.split("/"):
            if part in ("", "."):
                continue
            if part == "..":
                places = [os.path.join(place, "..") for place in places]
            else:
                places = [os.path.join(place, found) for place in places for found in self._similar(place, part)]
        return Path(places[0]) if len(places) == 1 and places[0] != str(self._root) else None

    def _names(self, folder: str) -> frozenset[str]:
        if folder not in self._listed:
            try:
                self._listed[folder] = frozenset(os.listdir(folder))
            except (OSError, ValueError):  # no such folder, or a zero byte in its name
                self._listed[folder] = frozenset()
        return self._listed[folder]

    def _similar(self, folder: str, name: str) -> list[str]:
        if folder not in self._alike:
            groups: dict[str, list[str]] = defaultdict(list)
            for one in self._names(folder):
                groups[signs(one)].append(one)
            self._alike[folder] = groups
        return self._alike[folder].get(signs(name), [])


def signs(name: str) -> str:
    """The part of a name that is the same however it is written: its letters without case, accents composed."""
    raw = os.fsencode(name)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", "replace")
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
