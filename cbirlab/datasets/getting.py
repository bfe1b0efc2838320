"""Getting a benchmark: its files downloaded, checked and unpacked, one after the other."""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from cbirlab.base.downloads import Pause, fetch, file_names
from cbirlab.datasets.archives import is_archive, unpack
from cbirlab.datasets.catalogue import Source, about
from cbirlab.datasets.roots import hint, root_of


def chosen(name: str, only: Sequence[str] = ()) -> list[Source]:
    """The files of a benchmark that can be downloaded, or those whose names match one of the patterns in `only`.

    Raises
    ------
    UnknownName : no dataset of that name.
    ValueError : it is not offered for download, or nothing matches.
    """
    facts = about(name)
    if facts is None:
        raise ValueError(f"{name}: there is nothing to download, because it is bundled or your own.")
    if not facts.sources:
        raise ValueError(f"{name}: {hint(name)}")
    found = [source for source in facts.sources if not only or any(fnmatch.fnmatch(source.file, one) for one in only)]
    if not found:
        raise ValueError(f"{name}: no file matches {', '.join(only)}; its files are {file_names(facts.sources)}.")
    return found


def get(
    name: str,
    root: str | Path | None = None,
    *,
    only: Sequence[str] = (),
    mirror: str | None = None,
    keep_archives: bool = False,
    progress: bool = True,
    pause: Pause = time.sleep,
    told: Callable[[str], None] = lambda line: None,
) -> Path:
    """Download a benchmark into its folder; files that were finished before are not touched again.

    Parameters
    ----------
    root : as for the loaders.
    only : patterns of file names, such as "index.csv" or "test_*"; all files by default.
    mirror : an address that has the files under their names; tried before the publishers'.
    keep_archives : otherwise an archive is removed once it is unpacked.
    told : called with a line for each file that is finished.

    Returns
    -------
    The folder.

    Raises
    ------
    As `chosen`, `cbirlab.base.downloads.fetch` and `cbirlab.datasets.archives.unpack` do.
    """
    folder = root_of(name, root)
    for source in chosen(name, only):
        source, place = _mirrored(source, mirror), folder / source.into
        done = place / f".{source.file}.unpacked"
        if done.is_file():
            told(f"{source.file}: unpacked before")
            continue
        file = fetch(source, place, progress=progress, pause=pause)
        if not is_archive(source.file):
            told(f"{source.file}: {file.stat().st_size:,} bytes")
            continue
        _unpack(file, place)
        done.touch()
        if not keep_archives:
            file.unlink()
        told(f"{source.file}: unpacked into {place}")
    return folder


def _unpack(file: Path, place: Path) -> None:
    try:
        unpack(file, place)
    except ValueError as error:
        damaged = file.with_name(f"{file.name}.damaged")
        file.replace(damaged)
        raise ValueError(f"{error} It is kept as {damaged.name}; the next call downloads it again.") from error


def _mirrored(source: Source, mirror: str | None) -> Source:
    return replace(source, urls=(f"{mirror.rstrip('/')}/{source.file}", *source.urls)) if mirror else source
