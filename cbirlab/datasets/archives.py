"""Archives, unpacked beside their place first and moved there when all is well; none can write outside of it."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
import zipfile
from pathlib import Path

from cbirlab.datasets.files import inside

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".zip")


def is_archive(name: str) -> bool:
    """Whether a file of that name is to be unpacked."""
    return name.lower().endswith(SUFFIXES)


def unpack(archive: Path, folder: Path) -> None:
    """Put what is in the archive into `folder`; what is there under the same name is replaced.

    Raises
    ------
    ValueError : a damaged archive, or one with a path or a link that leads out of it; nothing of it is kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=folder) as scratch:
        try:
            (_unzip if archive.name.lower().endswith(".zip") else _untar)(archive, Path(scratch))
        except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, ValueError) as error:
            raise ValueError(f"{archive}: cannot be unpacked ({type(error).__name__}: {error}).") from error
        _merge(Path(scratch), folder)


def _untar(archive: Path, scratch: Path) -> None:
    with tarfile.open(archive) as packed:
        packed.extractall(scratch, filter="data")


def _unzip(archive: Path, scratch: Path) -> None:
    with zipfile.ZipFile(archive) as packed:
        for name in packed.namelist():  # zipfile would quietly write them elsewhere
            inside(scratch, name)
        needed, free = sum(entry.file_size for entry in packed.infolist()), shutil.disk_usage(scratch).free
        if needed > free:
            raise ValueError(f"{needed:,} bytes are in it and {free:,} are free")
        packed.extractall(scratch)


def _merge(scratch: Path, folder: Path) -> None:
    for here, _, files in os.walk(scratch):
        there = folder / Path(here).relative_to(scratch)
        there.mkdir(parents=True, exist_ok=True)
        for file in files:
            shutil.move(os.path.join(here, file), there / file)
