"""Downloads from a server on this machine that breaks off, lies, and sends what it should not."""

from __future__ import annotations

import hashlib
import io
import re
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from cbirlab.backbones import load_backbone, weights
from cbirlab.backbones.weights import WeightsError
from cbirlab.base.downloads import ATTEMPTS, DownloadError, fetch
from cbirlab.base.progress import Cancelled, listening
from cbirlab.datasets import availability, getting
from cbirlab.datasets.archives import unpack
from cbirlab.datasets.catalogue import DATASETS, About, Need, Source, add_benchmark
from cbirlab.datasets.checking import check

CONTENT = bytes(range(256)) * 4000
MD5 = "md5:" + hashlib.md5(CONTENT).hexdigest()
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves `files`; how a path misbehaves is the first part of it. Keeps what was asked of it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {"x.bin": CONTENT}
        self.asked: list[tuple[str, str | None]] = []
        self.broken = 0

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        how, _, name = self.path.strip("/").rpartition("/")
        asked = self.headers.get("Range")
        self.server.asked.append((how, asked))
        content = self.server.files.get(name)
        if content is None or how == "gone":
            self.send_error(404)
        elif how == "busy" and len(self.server.asked) < 3:
            self.send_error(503)
        elif how == "slow":
            time.sleep(0.5)
            self.ranged(content, asked)
        elif how == "page":
            self.reply(200, b"<html>log in</html>", {"Content-Type": "text/html"})
        elif how == "wrong":
            self.ranged(bytes(reversed(content)), asked)
        elif how == "longer":
            self.ranged(content + b"more", asked)
        elif how == "no-length":
            self.reply(200, content + b"more", {}, length=None)
        elif how == "no-ranges":
            self.reply(200, content[: len(content) // 2] if len(self.server.asked) == 1 else content, {}, len(content))
        elif how == "other-part":
            self.reply(206, content[5:], {"Content-Range": f"bytes 5-{len(content) - 1}/{len(content)}"})
        elif how == "breaks":
            self.ranged(content, asked, most=300_000)
        elif how == "stuck":
            self.ranged(content, asked, most=0 if asked else 1000)
        else:
            self.ranged(content, asked)

    def ranged(self, content: bytes, asked: str | None, most: int | None = None) -> None:
        """All of it or the rest of it; of that `most` bytes, whatever the header says."""
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if start >= len(content):
            self.reply(416, b"", {"Content-Range": f"bytes */{len(content)}"})
            return
        rest = content[start:]
        headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if asked else {}
        self.reply(206 if asked else 200, rest[:most], headers, len(rest))

    def reply(self, code: int, body: bytes, headers: dict[str, str], length: int | None = -1) -> None:
        self.send_response(code)
        for name, value in {"Content-Type": "application/octet-stream", **headers}.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(len(body) if length < 0 else length))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def get(server: Server, folder: Path, *hows: str, digest: str = "", size: int | None = None, **more) -> Path:
    """`x.bin` from addresses that misbehave as said."""
    waits: list[float] = []
    source = Source("x.bin", tuple(server.url(f"{how}/x.bin") for how in hows), digest=digest, size_bytes=size, **more)
    return fetch(source, folder, progress=False, pause=waits.append)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


@pytest.mark.parametrize("digest", ["", MD5, SHA256])
@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_a_file_comes_whole(server: Server, digest: str, size: int | None, tmp_path: Path) -> None:
    file = get(server, tmp_path / "deep" / "er", "plain", digest=digest, size=size)
    assert file.read_bytes() == CONTENT
    assert left(tmp_path / "deep" / "er") == ["x.bin"]


def test_what_is_here_is_not_asked_for(server: Server, tmp_path: Path) -> None:
    get(server, tmp_path, "plain")
    get(server, tmp_path, "plain")
    assert len(server.asked) == 1


def test_a_download_that_breaks_off_goes_on_where_it_ended(server: Server, tmp_path: Path) -> None:
    file = get(server, tmp_path, "breaks", digest=SHA256)
    assert file.read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == [None, "bytes=300000-", "bytes=600000-", "bytes=900000-"]


def test_it_goes_on_in_a_later_call_and_from_a_mirror(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=rf"{ATTEMPTS} attempts brought nothing new, 1,000 bytes are kept"):
        get(server, tmp_path, "stuck", digest=SHA256)
    assert left(tmp_path) == ["x.bin.part"]
    assert get(server, tmp_path, "plain", digest=SHA256).read_bytes() == CONTENT
    assert server.asked[-1] == ("plain", "bytes=1000-")


def test_without_a_hash_a_mirror_begins_anew(server: Server, tmp_path: Path) -> None:
    assert get(server, tmp_path, "stuck", "plain").read_bytes() == CONTENT
    assert server.asked[-1] == ("plain", None)


def test_a_server_without_ranges_is_asked_for_all_of_it_again(server: Server, tmp_path: Path) -> None:
    assert get(server, tmp_path, "no-ranges", digest=SHA256).read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == [None, f"bytes={len(CONTENT) // 2}-"]


def test_a_complete_part_is_only_looked_at(server: Server, tmp_path: Path) -> None:
    (tmp_path / "x.bin.part").write_bytes(CONTENT)
    assert get(server, tmp_path, "plain", digest=SHA256, size=len(CONTENT)).read_bytes() == CONTENT
    assert not server.asked
    (tmp_path / "x.bin").rename(tmp_path / "x.bin.part")
    assert get(server, tmp_path, "plain", digest=SHA256).read_bytes() == CONTENT
    assert server.asked == [("plain", f"bytes={len(CONTENT)}-")]


def test_a_part_that_is_too_long_is_thrown_away(server: Server, tmp_path: Path) -> None:
    (tmp_path / "x.bin.part").write_bytes(CONTENT + b"old")
    assert get(server, tmp_path, "plain", digest=SHA256).read_bytes() == CONTENT


def test_a_damaged_part_does_not_spoil_the_file(server: Server, tmp_path: Path) -> None:
    (tmp_path / "x.bin.part").write_bytes(b"other" * 100)
    with pytest.raises(DownloadError, match="the sha256 must be"):
        get(server, tmp_path, "plain", digest=SHA256)
    assert left(tmp_path) == []
    (tmp_path / "x.bin.part").write_bytes(b"other" * 100)
    assert get(server, tmp_path, "plain", "plain", digest=SHA256).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("how", "more", "message"),
    [
        ("gone", {}, "HTTP Error 404"),
        ("wrong", {"digest": MD5}, "the md5 must be .* the downloaded file was deleted"),
        ("longer", {"size": len(CONTENT)}, "must have 1,024,000 bytes, the server says 1,024,004"),
        ("no-length", {"size": len(CONTENT)}, "must have 1,024,000 bytes, the server sends more"),
        ("page", {}, "a page instead of the file"),
        ("plain", {"size": 10**15}, "must have 1,000,000,000,000,000 bytes, the server says 1,024,000"),
    ],
)
def test_what_is_not_the_file_is_refused_and_a_mirror_tried(
    server: Server, how: str, more: dict, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DownloadError, match=message):
        get(server, tmp_path, how, **more)
    assert "x.bin" not in left(tmp_path)
    assert len(server.asked) == 1, "trying again would not help"
    if more.get("size", 0) < 10**15:
        assert get(server, tmp_path, how, "plain", **{"digest": SHA256, **more}).read_bytes() == CONTENT


def test_another_part_than_asked_for_is_refused(server: Server, tmp_path: Path) -> None:
    (tmp_path / "x.bin.part").write_bytes(CONTENT[:10])
    with pytest.raises(DownloadError, match="a part of the file that was not asked for"):
        get(server, tmp_path, "other-part", digest=SHA256)


def test_a_full_disk_is_noticed_before(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cbirlab.base.downloads.shutil.disk_usage", lambda _: type("", (), {"free": 10})())
    with pytest.raises(DownloadError, match="1,024,000 bytes must still be downloaded, but only 10 are free"):
        get(server, tmp_path, "plain")


def test_a_busy_server_is_asked_again_and_every_failure_is_named(server: Server, tmp_path: Path) -> None:
    assert get(server, tmp_path, "busy").read_bytes() == CONTENT
    with pytest.raises(DownloadError) as caught:
        get(server, tmp_path / "other", "gone", "page")
    assert len(re.findall(r"http://127\.0\.0\.1:\d+/(gone|page)/x\.bin: ", str(caught.value))) == 2


def test_no_server_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"y\.bin could not be downloaded.*\n.*[Rr]efused"):
        fetch(Source("y.bin", ("http://127.0.0.1:9/y.bin",)), tmp_path, progress=False, pause=lambda _: None)


def test_a_published_md5_is_fetched_with_the_file(server: Server, tmp_path: Path) -> None:
    server.files["md5.txt"] = f"{MD5[4:]}  x.bin\n".encode()
    assert get(server, tmp_path, "plain", digest_url=server.url("plain/md5.txt")).read_bytes() == CONTENT
    with pytest.raises(DownloadError, match="the md5 must be"):
        get(server, tmp_path / "other", "wrong", digest_url=server.url("plain/md5.txt"))
    server.files["md5.txt"] = b"none"
    with pytest.raises(DownloadError, match="holds no md5"):
        get(server, tmp_path / "third", "plain", digest_url=server.url("plain/md5.txt"))


def test_progress_is_told(server: Server, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    with listening(lambda *what: told.append(what)):
        get(server, tmp_path, "plain")
    assert told[-1] == ("x.bin", len(CONTENT), len(CONTENT))


def test_of_two_that_fetch_one_file_the_second_waits_and_takes_it(server: Server, tmp_path: Path) -> None:
    """As where several processes load the same weights at once."""
    with ThreadPoolExecutor(4) as pool:
        files = list(pool.map(lambda _: get(server, tmp_path, "slow", digest=SHA256).read_bytes(), range(4)))
    assert files == [CONTENT] * 4
    assert len(server.asked) == 1
    assert left(tmp_path) == ["x.bin"]


def test_an_address_that_nobody_answers_at_is_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"[Rr]efused"):
        fetch(Source("y.bin", ("http://127.0.0.1:9/y.bin",)), tmp_path, progress=False, pause=pytest.fail)
    assert left(tmp_path) == []


# Weights


@pytest.fixture
def offered_weights(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """A network whose weights the server offers, in the way that is said; gives the place of torch's own cache."""
    monkeypatch.delenv(weights.FOLDER_VARIABLE, raising=False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    state = load_backbone("squeezenet1_1", "random", seed=5).module.state_dict()
    torch.save(dict(state), tmp_path / "x.pth")
    content = (tmp_path / "x.pth").read_bytes()
    name = f"squeezenet1_1-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    server.files[name] = content

    def offer(how: str) -> Path:
        release = weights.Published("IMAGENET1K_V1", server.url(f"{how}/{name}"), (0.1,) * 3, (0.2,) * 3)
        monkeypatch.setattr(weights.finding, "published_weights", lambda _: {"IMAGENET1K_V1": release})
        return tmp_path / "hub" / "checkpoints" / name

    return offer


def test_weights_go_on_where_their_download_was_broken_off(server: Server, offered_weights, monkeypatch) -> None:
    place = offered_weights("breaks")
    assert load_backbone("squeezenet1_1").weights == "IMAGENET1K_V1"
    assert left(place.parent) == [place.name], "where torch.hub keeps it, and finds it too"
    assert [asked for _, asked in server.asked][:2] == [None, "bytes=300000-"]
    count = len(server.asked)
    load_backbone("squeezenet1_1")
    assert len(server.asked) == count, "the second time it comes from the cache"


def test_weights_that_arrive_damaged_are_refused(offered_weights) -> None:
    place = offered_weights("wrong")
    with pytest.raises(WeightsError, match=r"could not be downloaded \(the sha256 must begin with .* get it from http"):
        load_backbone("squeezenet1_1")
    assert left(place.parent) == []


def test_a_download_of_weights_that_is_cancelled_keeps_what_has_come(server: Server, offered_weights) -> None:
    def stop(what: str, done: int, total: int) -> None:
        assert what == place.name
        if done:
            raise Cancelled

    place = offered_weights("plain")
    with listening(stop), pytest.raises(Cancelled):
        load_backbone("squeezenet1_1")
    assert left(place.parent) == [f"{place.name}.part"]
    have = (place.parent / f"{place.name}.part").stat().st_size
    assert have == 1 << 20
    assert load_backbone("squeezenet1_1").weights == "IMAGENET1K_V1"
    assert server.asked[-1] == ("plain", f"bytes={have}-")


# Archives


def tar_of(*members: tuple[str, bytes | str], mode: str = "w:gz") -> bytes:
    """Files by name and content, links by name and "->target"."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as packed:  # pyright: ignore
        for name, content in members:
            entry = tarfile.TarInfo(name)
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content.removeprefix("->")
                packed.addfile(entry)
            else:
                entry.size = len(content)
                packed.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def zip_of(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name, content in members:
            packed.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize("form", ["a.tar.gz", "a.tgz", "a.tar", "a.zip"])
def test_archives_are_unpacked_into_what_is_there(form: str, tmp_path: Path) -> None:
    files = (("jpg/1.jpg", b"one"), ("jpg/deep/2.jpg", b"two"))
    raw = zip_of(*files) if form.endswith("zip") else tar_of(*files, mode="w" if form == "a.tar" else "w:gz")
    (tmp_path / form).write_bytes(raw)
    (tmp_path / "jpg").mkdir()
    (tmp_path / "jpg" / "0.jpg").write_bytes(b"zero")
    (tmp_path / "jpg" / "1.jpg").write_bytes(b"old")
    unpack(tmp_path / form, tmp_path)
    found = {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*.jpg")}
    assert found == {"jpg/0.jpg": b"zero", "jpg/1.jpg": b"one", "jpg/deep/2.jpg": b"two"}
    assert left(tmp_path) == [form, "jpg"]


@pytest.mark.parametrize(
    ("form", "raw"),
    [
        ("a.tgz", tar_of(("../out.txt", b"x"))),
        ("a.tgz", tar_of(("fine.txt", b"x"), ("/tmp/out.txt", b"x"), ("deep/../../out.txt", b"x"))),
        ("a.tgz", tar_of(("link", "->../.."), ("link/out.txt", b"x"))),
        ("a.tgz", tar_of(("link", "->/etc/passwd"))),
        ("a.zip", zip_of(("fine.txt", b"x"), ("../out.txt", b"x"))),
        ("a.zip", zip_of(("/out.txt", b"x"))),
        ("a.zip", b"no archive"),
        ("a.tgz", b"no archive"),
        ("a.tgz", tar_of(("fine.txt", bytes(range(256)) * 1000))[:700]),
    ],
    ids=["up", "absolute", "link up", "link away", "zip up", "zip absolute", "no zip", "no tar", "cut"],
)
def test_archives_that_lead_out_of_their_folder_or_are_damaged_leave_nothing(
    form: str, raw: bytes, tmp_path: Path
) -> None:
    folder = tmp_path / "deep" / "er"
    folder.mkdir(parents=True)
    (tmp_path / form).write_bytes(raw)
    with pytest.raises(ValueError, match="cannot be unpacked"):
        unpack(tmp_path / form, folder)
    assert left(folder) == []
    assert sorted(left(tmp_path)) == sorted([form, "deep"])


# A whole benchmark


@pytest.fixture
def offered(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A benchmark of Corel's form that the server offers as two archives and a list."""
    from miniatures import picture

    monkeypatch.setenv("CBIRLAB_DATA", str(tmp_path / "data"))
    photo = picture(tmp_path / "photo.jpg").read_bytes()
    server.files |= {
        "one.tgz": tar_of(("images/0.jpg", photo), ("images/1.jpg", photo)),
        "two.zip": zip_of(("images/100.jpg", photo)),
        "list.txt": b"nothing",
    }
    sources = tuple(Source(name, (server.url(f"plain/{name}"),)) for name in ("one.tgz", "two.zip", "list.txt"))
    facts = About("category", 3, 3, "3 MB", "Free.", "Nobody: Nothing.", (Need("images", ("*/*.jpg",)),), sources)
    add_benchmark("offered", "cbirlab.datasets.category:corel1k", facts, title="Offered", reference="nobody")
    yield server
    DATASETS.remove("offered")


@pytest.mark.usefixtures("offered")
def test_a_benchmark_is_got_whole(tmp_path: Path) -> None:
    told: list[str] = []
    folder = getting.get("offered", progress=False, told=told.append)
    assert folder == tmp_path / "data" / "offered"
    assert sorted(path.name for path in folder.rglob("*.jpg")) == ["0.jpg", "1.jpg", "100.jpg"]
    assert [line.split(":")[0] for line in told] == ["one.tgz", "two.zip", "list.txt"]
    assert not list(folder.glob("*.tgz"))
    assert availability("offered").ready
    assert check("offered", folder, progress=False).ok


def test_what_was_finished_is_not_got_again(offered: Server) -> None:
    getting.get("offered", progress=False, only=["*.tgz", "list*"])
    before = len(offered.asked)
    assert before == 2
    getting.get("offered", progress=False)
    assert [how for how, _ in offered.asked[before:]] == ["plain"]


def test_a_damaged_archive_is_kept_aside_and_got_again(offered: Server, tmp_path: Path) -> None:
    whole, offered.files["two.zip"] = offered.files["two.zip"], b"no archive"
    with pytest.raises(ValueError, match=r"kept as two\.zip\.damaged; the next call downloads it again"):
        getting.get("offered", progress=False)
    offered.files["two.zip"] = whole
    getting.get("offered", progress=False, keep_archives=True)
    assert (tmp_path / "data" / "offered" / "images" / "100.jpg").is_file()
    assert (tmp_path / "data" / "offered" / "two.zip").is_file()


def test_a_mirror_of_ones_own_is_tried_first(offered: Server) -> None:
    getting.get("offered", progress=False, only=["list.txt"], mirror=offered.url("mine/"))
    assert [how for how, _ in offered.asked] == ["mine"]


def test_a_zip_that_does_not_fit_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.zip").write_bytes(zip_of(("a.txt", b"twenty bytes of text")))
    monkeypatch.setattr("cbirlab.datasets.archives.shutil.disk_usage", lambda _: type("", (), {"free": 10})())
    with pytest.raises(ValueError, match="its content takes 20 bytes, but only 10 are free"):
        unpack(tmp_path / "a.zip", tmp_path)


@pytest.mark.usefixtures("offered")
def test_what_cannot_be_got_is_said() -> None:
    with pytest.raises(ValueError, match=r"no file matches three; its files are one\.tgz, two\.zip, list\.txt"):
        getting.get("offered", only=["three"])
    with pytest.raises(ValueError, match="It is not offered for download: put it into"):
        getting.get("holidays_upright")
    with pytest.raises(ValueError, match="nothing to download"):
        getting.get("toytown")


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, OSError])
@pytest.mark.parametrize("form", ["a.zip", "a.tar", "a.tgz"])
def test_whatever_is_raised_nothing_of_an_archive_stays(form: str, error, tmp_path: Path, monkeypatch) -> None:
    """At the third file while unpacking, and while what was unpacked is moved to its place."""
    folder = tmp_path / "data"
    (folder / "in").mkdir(parents=True)
    (folder / "in" / "0.txt").write_text("mine")
    _archive(tmp_path / form, {f"in/{number}.txt": f"theirs {number}" for number in range(5)} | {"new/1.txt": "x"})
    for module, name in (("shutil", "copyfileobj"), ("os", "replace")):
        real, calls = getattr(sys.modules[module], name), []

        def failing(*given, real=real, calls=calls, **more):
            calls.append(given)
            if len(calls) == 3:
                raise error("pulled")
            return real(*given, **more)

        with monkeypatch.context() as patched:
            patched.setattr(f"cbirlab.datasets.archives.{module}.{name}", failing)
            with pytest.raises((error, ValueError)):
                unpack(tmp_path / form, folder)
        assert len(calls) >= 3
        assert {path.relative_to(folder).as_posix() for path in folder.rglob("*")} == {"in", "in/0.txt"}
        assert (folder / "in" / "0.txt").read_text() == "mine"


@pytest.mark.parametrize("there", ["file", "folder"])
def test_a_file_and_a_folder_of_one_name_are_refused(there: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "a" if there == "folder" else folder).mkdir(parents=True)
    if there == "file":
        (folder / "a").write_text("mine")
    _archive(tmp_path / "a.zip", {"0": "theirs", "a/b" if there == "file" else "a": "theirs"})
    before = sorted(folder.rglob("*"))
    with pytest.raises(ValueError, match=r"a\.zip: cannot be put into"):
        unpack(tmp_path / "a.zip", folder)
    assert sorted(folder.rglob("*")) == before


def _archive(path: Path, files: dict[str, str]) -> None:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as made:
            for name, text in files.items():
                made.writestr(name, text)
        return
    with tarfile.open(path, "w:gz" if path.suffix == ".tgz" else "w") as made:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            made.addfile(entry, io.BytesIO(text.encode()))
