"""Downloads of datasets and weights, which resume where they broke off and count only if their hash is right.

An app that serves other people downloads nothing (``CBIRLAB_DOWNLOADS=off``).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from cbirlab.base.progress import bar

try:
    import fcntl
except ImportError:  # Windows
    fcntl: Any = None

VARIABLE = "CBIRLAB_DOWNLOADS"
_OFF = ("off", "no", "false", "0")
ATTEMPTS = 4
"""How many times one address is tried again after a connection broke off and brought nothing new."""

_BLOCK = 1 << 20
_TIMEOUT_SECONDS = 60
_LOOK_SECONDS = 0.2
_PARTIAL, _NOT_SATISFIABLE = 206, 416

Pause = Callable[[float], Any]


@dataclass(frozen=True)
class Source:
    """A file that its publishers offer.

    Attributes
    ----------
    file : its name.
    urls : the publishers' address, then mirrors.
    into : sub-folder of the benchmark's folder in which the file belongs; archives are unpacked there.
    digest : "md5:...", "sha256:..." or the first digits of one; "" if none is known.
    digest_url : a text file that begins with the file's md5, if the publishers offer one.
    size_bytes : exact size, or None if it is not known.
    """

    file: str
    urls: tuple[str, ...]
    into: str = "."
    digest: str = ""
    digest_url: str = ""
    size_bytes: int | None = None


class DownloadError(OSError):
    """No address delivered the file; the message says why for each address."""


def allowed() -> bool:
    """Whether downloads are allowed, and with them opening files that visitors of an app name."""
    return os.environ.get(VARIABLE, "").strip().lower() not in _OFF


def check(what: str, error: type[Exception]) -> None:
    """Raise `error` if downloads are not allowed.

    Parameters
    ----------
    what : the thing to download, worded as the subject of a sentence.
    """
    if not allowed():
        raise error(
            f"{what} must be downloaded, but downloads are switched off here ({VARIABLE}=off); ask whoever runs this "
            "to download it first, or to start the app with --allow-downloads."
        )


def fetch(source: Source, folder: Path, *, progress: bool = True, pause: Pause = time.sleep) -> Path:
    """The file of `source` in `folder`, downloaded if it is not there yet.

    The bytes received so far stay in ``<file>.part`` until size and hash are right. A broken download resumes where it
    stopped, even in a later call, and from another address if the hash is known.

    Parameters
    ----------
    folder : created if it does not exist.
    pause : called with the seconds to wait before an address is tried again.

    Raises
    ------
    DownloadError : no address delivered the file; only the ``.part`` stays behind, for the next call to resume.
    """
    target = folder / source.file
    part = target.with_name(f"{target.name}.part")
    if target.is_file():
        return target
    check(source.file, DownloadError)
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(part, progress):
        if not target.is_file():  # else another process downloaded it meanwhile
            _try_all(source, part, progress, pause)
            os.replace(part, target)
    return target


def _try_all(source: Source, part: Path, progress: bool, pause: Pause) -> None:
    """Complete `part` from the first address that delivers it."""
    reasons, cause = [], None
    for url in source.urls:
        try:
            wanted = source.digest or _published_digest(source)
            _complete(url, part, source, resume=bool(wanted) or len(source.urls) == 1, progress=progress, pause=pause)
            return _check_digest(part, wanted)
        except (OSError, HTTPException, ValueError) as error:
            reasons.append(f"{url}: {error}")
            cause = error
    raise DownloadError(f"{source.file} could not be downloaded.\n  " + "\n  ".join(reasons)) from cause


@contextmanager
def _alone(part: Path, progress: bool) -> Iterator[None]:
    """Wait while another process downloads the same file, if the system has file locks; they end with their process."""
    if fcntl is None:
        yield
        return
    with part.open("ab") as held:
        if not _locked(held):
            with bar(total=1, desc=f"{part.stem}, by another process", unit="file", show=progress) as shown:
                while not _locked(held):
                    shown.update(0)
                    time.sleep(_LOOK_SECONDS)
        try:
            yield
        finally:
            if not _size(part):
                part.unlink(missing_ok=True)


def _locked(held: Any) -> bool:
    """Try to lock the file; return whether this process now holds the lock."""
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        pass
    return True


def digest_of(file: Path, kind: str) -> str:
    """Hexadecimal digest of a file; `kind` is "md5" or "sha256"."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()


def _complete(url: str, part: Path, source: Source, *, resume: bool, progress: bool, pause: Pause) -> None:
    """Download `part` to its full size from one address, however often the connection breaks."""
    if not resume:
        part.unlink(missing_ok=True)
    left, began = ATTEMPTS, _size(part)
    while True:
        before = _size(part)
        try:
            if _receive(url, part, source.size_bytes, source.file, progress):
                return
            reason = "the connection was closed too early"
        except (OSError, HTTPException) as error:
            unreachable = type(error) is urllib.error.URLError and before == began  # no connection was ever made
            if unreachable or isinstance(error, _Refused) or 400 <= getattr(error, "code", 0) < 500:
                raise
            reason = str(error)
        left = ATTEMPTS if _size(part) > before else left - 1
        if left <= 0:
            raise OSError(f"{reason}; {ATTEMPTS} attempts brought nothing new, {_size(part):,} bytes are kept.")
        pause(2.0 ** (ATTEMPTS - left - 1))


class _Refused(OSError):
    """The server offers something other than the file; trying again would not help."""


def _receive(url: str, part: Path, size: int | None, label: str, progress: bool) -> bool:
    """Make one request; return whether the file is complete after it."""
    have = _size(part)
    if size is not None and have == size:
        return True
    request = urllib.request.Request(url, headers={"User-Agent": "cbirlab", "Accept-Encoding": "identity"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code != _NOT_SATISFIABLE:
            raise
        if error.headers.get("Content-Range") == f"bytes */{have}":
            return True
        part.unlink(missing_ok=True)  # longer than the file that is there
        return False
    with answer:
        start, total = _extent(answer, have)
        if size is not None and total is not None and total != size:
            raise _Refused(f"the file must have {size:,} bytes, the server says {total:,}.")
        if answer.headers.get_content_type() == "text/html":
            raise _Refused("the server sends a page instead of the file.")
        total = total if size is None else size
        _check_space(part, (total or 0) - start)
        return _write(answer, part, start, total, label, progress)


def _extent(answer: Any, have: int) -> tuple[int, int | None]:
    """The offset at which the arriving bytes belong, and the size of the whole file."""
    length = answer.headers.get("Content-Length")
    if getattr(answer, "status", None) == _PARTIAL:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
        if found and int(found[1]) == have:
            return have, None if found[2] == "*" else int(found[2])
        raise _Refused("the server sends a part of the file that was not asked for.")
    return 0, int(length) if length else None


def _write(answer: Any, part: Path, start: int, total: int | None, label: str, progress: bool) -> bool:
    with (
        part.open("r+b" if start else "wb") as file,
        bar(total=max(0, (total or 0) - start), desc=label, unit="B", show=progress) as shown,
    ):
        file.seek(start)
        file.truncate()
        while block := answer.read(_BLOCK):
            file.write(block)
            shown.update(len(block))
            if total is not None and file.tell() > total:
                raise _Refused(f"the file must have {total:,} bytes, the server sends more.")
        return total is None or file.tell() == total


def _check_space(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise _Refused(f"{needed:,} bytes must still be downloaded, but only {free:,} are free in {part.parent}.")


def _published_digest(source: Source) -> str:
    if not source.digest_url:
        return ""
    with urllib.request.urlopen(source.digest_url, timeout=_TIMEOUT_SECONDS) as answer:
        words = answer.read(_BLOCK).decode("utf-8", errors="replace").split()
    found = next((word for word in words if re.fullmatch(r"[0-9a-f]{32}", word)), None)
    if found is None:
        raise _Refused(f"{source.digest_url} holds no md5.")
    return f"md5:{found}"


def _check_digest(part: Path, wanted: str) -> None:
    kind, _, value = wanted.partition(":")
    if not wanted:
        return
    found = digest_of(part, kind)
    if not found.startswith(value):
        part.unlink()
        whole = "be" if len(value) == len(found) else "begin with"
        raise _Refused(f"the {kind} must {whole} {value}, got {found}; the downloaded file was deleted.")


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def file_names(sources: Sequence[Source]) -> str:
    """Names of files for a message, the first few."""
    shown = [source.file for source in sources[:3]]
    return ", ".join(shown) + (f" and {len(sources) - 3} more" if len(sources) > 3 else "")
