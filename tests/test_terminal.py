"""Terminal: whatever names, encodings and memory there are, the command line answers with text and an exit code."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from robustness.small import make_folder

from cbirlab import cli
from cbirlab.base.methods import Method, parse_method, split_names
from cbirlab.cli import listing, saying
from cbirlab.cli.parser import build_parser

NAMES = [b"caf\xe9", b"\x1b[2Jgone", b"\xff\xfe", "Kož, (a) 日本".encode(), b"=1+1", b'it\'s "$HOME"']


def run_in(folder: Path, *arguments: object, **environment: str) -> subprocess.CompletedProcess[bytes]:
    known = {name: value for name, value in os.environ.items() if not name.startswith(("LANG", "LC_", "PYTHON"))}
    known |= {"PYTHONPATH": str(Path(cli.__file__).parents[2]), "CBIRLAB_STORE": str(folder / "store"), **environment}
    command = [sys.executable, "-m", "cbirlab", *(os.fsencode(str(argument)) for argument in arguments)]
    return subprocess.run(command, capture_output=True, env=known, cwd=folder)


@pytest.fixture(scope="module")
def odd(tmp_path_factory) -> Path:
    """A folder with pictures in sub-folders of odd names, and one that cannot be read in each."""
    place = tmp_path_factory.mktemp("odd")
    plain = make_folder(place / "plain", 2)
    for name in NAMES:
        folder = os.path.join(os.fsencode(place), b"own \xe9", name)
        os.makedirs(folder)
        for number in range(2):
            shutil.copy(plain / "g0" / f"{number}.bmp", os.path.join(folder, name + b"%d.bmp" % number))
        with open(os.path.join(folder, name + b".png"), "wb") as file:
            file.write(b"\x89PNG no picture")
    return place


def test_names_of_any_bytes_are_run_and_shown_where_there_is_only_ascii(odd, monkeypatch, capsys):
    folder, out = os.fsdecode(b"own \xe9"), os.fsdecode(b"t\xe9.csv")
    shared = ("--whitening", "none", "--image-size", "48", "--quiet")
    ascii_alone = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    ran = run_in(
        odd, "compare", "--dataset", folder, "--aggregation", "mac,gem(p=4)", *shared, "--out", out, **ascii_alone
    )
    assert ran.returncode == 0, ran.stderr
    for stream in (ran.stdout, ran.stderr):
        assert b"Traceback" not in stream
        assert b"\x1b" not in stream
    assert b"written: t\\xe9.csv (2 rows)" in ran.stdout
    assert b"\\x1b[2Jgone.png" in ran.stderr
    monkeypatch.setenv("CBIRLAB_STORE", str(odd / "store"))
    monkeypatch.chdir(odd)
    assert cli.main(["run", "--recipe", out, "--row", "1"]) == 0
    assert "gem(p=4)" in capsys.readouterr().out


def test_every_table_of_odd_names_is_written(odd, monkeypatch, capsys):
    monkeypatch.setenv("CBIRLAB_STORE", str(odd / "store"))
    monkeypatch.chdir(odd)
    base = ["run", "--dataset", os.fsdecode(b"own \xe9"), "--whitening", "none", "--image-size", "48", "--quiet"]
    for suffix in ("csv", "md", "tex", "xlsx", "json"):
        assert cli.main([*base, "--out", f"t.{suffix}"]) == 0
        (odd / f"t.{suffix}").read_bytes().decode("latin-1" if suffix == "xlsx" else "utf-8")
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_what_is_said_is_written_in_any_encoding(monkeypatch, encoding):
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    monkeypatch.setattr(sys, "stdout", out)
    saying.prepare_streams()
    saying.say("Radenović\u2028 caf\udce9 \x1b[31m\nnext")
    written = out.buffer.getvalue().decode(encoding)
    assert written.count("\n") == 2
    assert r"\u2028 caf\xe9 \x1b[31m" in written


def test_what_is_listed_is_written_in_ascii(monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", out)
    assert cli.main(["list"]) == 0
    assert rb"Radenovi\u0107" in out.buffer.getvalue()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            MemoryError("Unable to allocate 3.2 GiB"),
            "memory ran out while .* (Unable to allocate 3.2 GiB); .*--image-size",
        ),
        (MemoryError(), "memory ran out while the table was filled; use a smaller"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "memory ran out"),
        (RecursionError("maximum recursion depth exceeded"), "nested too deeply"),
    ],
)
def test_too_little_memory_is_one_sentence(monkeypatch, capsys, error, told):
    def fails(*_, **__):
        raise error

    monkeypatch.setitem(cli.commands._COMMANDS, "compare", fails)
    assert cli.main(["compare"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("cbirlab compare: ")
    assert said.count("\n") == 1
    for part in told.split(" .* "):
        assert part.replace(".*", "") in said or part.partition(".*")[0] in said


@pytest.mark.skipif(sys.platform == "win32", reason="pipes are POSIX here")
@pytest.mark.parametrize("arguments", [["list"], ["--help"]])
def test_a_reader_who_leaves_early_is_no_error(arguments):
    """As `cbirlab list | head -0`: the pipe is closed before anything is written."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ran = subprocess.run([sys.executable, "-m", "cbirlab", *arguments], stdout=writing, stderr=subprocess.PIPE)
    finally:
        os.close(writing)
    assert b"BrokenPipe" not in ran.stderr
    assert b"Traceback" not in ran.stderr


LISTS = {
    "--aggregation": ("aggregations", ["mac", "gem(p=4)", "vlad(k=32, intra=False)"]),
    "--taps": ("taps", ["layer3", "layer4", "layer3+0.5*layer4"]),
    "--whitening": ("whitenings", ["none", "pca(power=0.25)", "lw"]),
    "--backbones": ("backbones", ["toynet", "resnet50@IMAGENET1K_V2"]),
    "--passes": ("passes", ["single", "spm(levels=3)", "grid(rows=1, columns=2, whole=False)"]),
    "--attention": ("attentions", ["none", "crow_spatial > crow_channel"]),
    "--encodings": ("encodings", ["bow", "vlad(k=64)"]),
    "--fusion": ("fusions", ["rrf", "sum"]),
    "--dimensions": ("dimensions", [64, 128]),
}


@pytest.mark.parametrize("option", LISTS)
def test_lists_may_have_commas(option):
    name, values = LISTS[option]
    words = [str(value) for value in values]
    for given_words in ([",".join(words)], [", ".join(words)], words, [f"{words[0]},", *words[1:]]):
        assert getattr(build_parser().parse_args(["compare", option, *given_words]), name) == values


def test_lists_of_other_commands_may_have_commas():
    assert build_parser().parse_args(["why", "--choice", "crop,junk", "level"]).choices == ["crop", "junk", "level"]
    assert build_parser().parse_args(["run", "--scales", "1,0.7"]).options.scales == [1.0, 0.7]
    assert build_parser().parse_args(["data", "get", "x", "--only", "a*,b"]).only == ["a*", "b"]


@pytest.mark.parametrize("words", [["--aggregation", ","], ["--dimensions", "64,x"], ["--dimensions", ""]])
def test_a_list_of_nothing_and_a_wrong_number_are_wrong_usage(words, capsys):
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args(["compare", *words])
    assert ended.value.code == 2
    assert f"argument {words[0]}" in capsys.readouterr().err


def test_a_comma_in_a_file_that_is_there_separates_nothing(tmp_path):
    path = tmp_path / "a,b.pth"
    assert split_names(f"toynet@{path}") == [f"toynet@{tmp_path / 'a'}", "b.pth"]
    path.touch()
    assert split_names(f"toynet@{path}") == [f"toynet@{path}"]


def methods() -> list[tuple[str, type[Method]]]:
    from cbirlab.aggregation import Aggregation
    from cbirlab.attention import Attention
    from cbirlab.fusion import FusionMethod
    from cbirlab.passes import Passes
    from cbirlab.whitening import Whitening

    kinds = {
        "passes": Passes,
        "attentions": Attention,
        "aggregations": Aggregation,
        "encodings": Aggregation,
        "whitenings": Whitening,
        "fusions": FusionMethod,
    }
    return list(kinds.items())


@pytest.mark.parametrize(("kind", "reader"), methods())
def test_every_line_that_is_listed_is_read_back(kind, reader):
    registry = listing.registry(kind)
    lines = listing.text(kind).splitlines()[: len(registry)]  # families of names follow
    for name, line in zip(registry, lines, strict=True):
        text = line.split("  ")[0]
        method = reader.parse(text)
        assert method.name == name
        assert method == reader.parse(name), "what is listed are the defaults"
        assert reader.parse(method.key) == method
        words = method.key.replace("'", "").replace('"', "")
        assert reader.parse(words) == method, "words need no quotes"
        assert reader.parse(words).key == method.key


@given(st.text(max_size=20) | st.text("gem(p=4,)'\" [{]}x-.", max_size=20))
def test_any_text_is_a_method_or_a_sentence(text):
    with contextlib.suppress(ValueError):
        name, parameters = parse_method("aggregation", text)
        assert isinstance(name, str)
        assert all(isinstance(parameter, str) for parameter in parameters)


NO_METHODS = ["gem(", "gem(4)", "gem(p)", "gem(p=4", "gem(p=4)x", "gem(p=4, p=5)", "gem(p=)", "gem(**p)", "gem(p==4)"]


@pytest.mark.parametrize("text", [*NO_METHODS, "gem(p=(((", "gem(p=1,,q=2)", f"gem(p={'(' * 5000})"])
def test_what_is_no_method_is_refused(text):
    with pytest.raises(ValueError, match="expected a form like"):
        parse_method("aggregation", text)


@pytest.mark.parametrize(("text", "parameters"), [
    ("head(loss=multisim)", {"loss": "multisim"}),
    ("qe(k1=auto, k2=6)", {"k1": "auto", "k2": 6}),
    ("lw(form=rank-safe)", {"form": "rank-safe"}),
    ("x(a='b, c', d=[1, 2], e=None, f=True, g=-1.5e3)", {"a": "b, c", "d": [1, 2], "e": None, "f": True, "g": -1500.0}),
    ("x()", {}),
    ("x(a=1,)", {"a": 1}),
])  # fmt: skip
def test_words_are_texts_and_values_are_pythons(text, parameters):
    assert parse_method("method", text)[1] == parameters


def test_wrong_levels_and_choices_are_wrong_usage_before_anything_is_computed(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CBIRLAB_STORE", str(tmp_path / "store"))
    folder = str(make_folder(tmp_path / "own"))
    monkeypatch.setattr("cbirlab.extract.extract", lambda *_, **__: pytest.fail("something was computed"))
    (tmp_path / "r.json").write_text(json.dumps({"dataset": folder}))
    (tmp_path / "t.json").write_text(json.dumps([{"recipe": {"dataset": folder}}] * 2))
    (tmp_path / "x.npy").touch()
    for words in (
        ["why", "--dataset", folder, "--level", "hrad"],
        ["why", "--dataset", folder, "--choice", "crop,jnk"],
        ["versus", str(tmp_path / "t.json"), "0", "1", "--level", "hrad"],
        ["run", "--recipe", str(tmp_path / "r.json"), "--tap", "layr4"],
        ["evaluate", "--dataset", folder, "--features", str(tmp_path / "x.npy"), "--average-precision", "trapez"],
    ):
        assert cli.main(words) == 2, words
        assert capsys.readouterr().err.count("\n") == 1
