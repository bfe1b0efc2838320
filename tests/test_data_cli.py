"""`check` and the command ``cbirlab data``: what is here, what is wrong with it, what it takes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import warnings
from pathlib import Path

import miniatures
import pytest
from miniatures import MINIATURES, picture
from PIL import Image

from cbirlab.cli import main
from cbirlab.datasets import DATASETS, about
from cbirlab.datasets.checking import Finding, check

GIVEN = os.environ.get("CBIRLAB_TEST_DATA")
needs_data = pytest.mark.skipif(not GIVEN, reason="CBIRLAB_TEST_DATA is not set")


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data root."""
    monkeypatch.setenv("CBIRLAB_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def found(report) -> dict[str, Finding]:
    return {finding.what: finding for finding in report.findings}


def wrong(report) -> set[str]:
    return {finding.what for finding in report.findings if not finding.ok}


def made(name: str, root: Path) -> Path:
    facts = about(name)
    assert facts is not None
    return MINIATURES[name](root / (facts.folders or (name,))[0])


# Checking


@pytest.mark.parametrize("name", MINIATURES)
def test_a_miniature_has_all_of_a_benchmark_but_its_number_of_images(name: str, root: Path) -> None:
    made(name, root)
    report = check(name, images="pixels", progress=False)
    assert wrong(report) <= {"number of images", "number of queries"}
    facts = about(name)
    assert facts is not None
    assert (not report.ok) == (facts.images is not None)
    assert {need.what for need in facts.needs} <= set(found(report))


@pytest.mark.parametrize("name", MINIATURES)
def test_an_empty_folder_lacks_everything(name: str, root: Path) -> None:
    (root / name).mkdir(parents=True)
    report = check(name, progress=False)
    facts = about(name)
    assert facts is not None
    assert wrong(report) == {*(need.what for need in facts.needs), "reading it"}
    assert "CBIRLAB_DATA" in found(report)["reading it"].found


def test_counts_are_compared_with_what_was_published(root: Path) -> None:
    made("ukbench", root)
    assert found(check("ukbench", progress=False))["number of images"].lines() == [
        "PROBLEM number of images: 8 of 10,200"
    ]


def test_images_that_cannot_be_opened_are_named(root: Path) -> None:
    folder = made("holidays", root)
    (folder / "jpg" / "100001.jpg").write_text("<html>")
    Image.effect_noise((200, 150), 80).save(folder / "jpg" / "100101.jpg")
    whole = (folder / "jpg" / "100101.jpg").read_bytes()
    (folder / "jpg" / "100101.jpg").write_bytes(whole[: len(whole) * 2 // 3])
    assert len(found(check("holidays", progress=False))["opening images"].details) == 1
    decoded = found(check("holidays", images="pixels", progress=False))["opening images"]
    assert decoded.found == "2 problems"
    assert ["100001.jpg" in decoded.details[0], "100101.jpg" in decoded.details[1]] == [True, True]
    assert "opening images" not in found(check("holidays", images="none", progress=False))


def test_boxes_outside_of_their_image_are_named(root: Path) -> None:
    folder = made("instre", root)
    miniatures.instre_mat(folder / "gnd_instre.mat", boxes=((1, 1, 5, 4), (90, 0, 95, 6)))
    (outside,) = found(check("instre", progress=False))["opening images"].details
    assert "lies outside its 8 x 6 pixels" in outside


def test_missing_images_of_very_many_are_all_found(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = made("revisitop1m", root)
    monkeypatch.setattr("cbirlab.datasets.files._MANY", 2)
    monkeypatch.setattr("cbirlab.datasets.files._SAMPLE", 2)
    (folder / "jpg" / "1" / "0001.jpg").unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert len(DATASETS["revisitop1m"]().images) == 6, "the sample does not meet it"
    files = found(check("revisitop1m", images="none", progress=False))["image files"]
    assert (files.found, files.details) == ("1 of 6 missing", (str(folder / "jpg" / "1" / "0001.jpg"),))


def test_every_missing_image_is_named_when_asked_for(root: Path, capsys) -> None:
    folder = made("roxford5k", root)
    for number in range(6):
        (folder / "jpg" / f"all_souls_{number:06d}.jpg").unlink()
    assert main(["data", "check", "roxford5k", "--quiet"]) == 1
    short = capsys.readouterr().out
    assert main(["data", "check", "roxford5k", "--quiet", "--all"]) == 1
    assert [text.count("\n    all_souls_") for text in (short, capsys.readouterr().out)] == [5, 6]


def test_checksums_are_compared(root: Path) -> None:
    folder = made("ukbench", root)
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  full/{path.name}" for path in (folder / "full").iterdir()
    ]
    (folder / "SHA256SUMS").write_text("\n".join(lines) + "\n")
    assert found(check("ukbench", progress=False))["SHA256SUMS"] == Finding(True, "SHA256SUMS", "8 files are as listed")
    picture(folder / "full" / "ukbench00003.jpg", (9, 9))
    differing = found(check("ukbench", progress=False))["SHA256SUMS"]
    assert (differing.found, differing.details) == ("1 of 8 files differ", ("full/ukbench00003.jpg",))
    (folder / "SHA256SUMS").write_text("0000  ../../etc/passwd\n")
    assert "must name files below" in found(check("ukbench", progress=False))["SHA256SUMS"].found


def test_another_ground_truth_than_the_published_one_is_noticed(root: Path) -> None:
    folder = made("oxford5k", root)
    miniatures.classic_mat(folder / "gnd_oxford5k.mat")
    assert found(check("oxford5k", progress=False))["gnd_oxford5k.mat"].found == "differs from the published file"


@needs_data
@pytest.mark.parametrize("name", ["oxford5k", "paris6k"])
def test_the_published_ground_truth_is_recognised(name: str, root: Path) -> None:
    (root / name).mkdir(parents=True)
    file = Path(str(GIVEN)) / "benchmarks" / "oxford_paris_gnd" / f"gnd_{name}.mat"
    (root / name / file.name).symlink_to(file)
    assert found(check(name, progress=False))[file.name].ok


@needs_data
def test_real_photographs_are_as_their_list_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CBIRLAB_DATA", str(Path(str(GIVEN)) / "benchmarks"))
    assert check("smvs", progress=False).ok
    assert wrong(check("corel1k", progress=False)) == {"number of images", "number of queries"}


def test_what_cannot_be_checked_is_said() -> None:
    with pytest.raises(ValueError, match="only published benchmarks"):
        check("toytown")
    with pytest.raises(ValueError, match="images must be headers, pixels or none, got 'all'"):
        check("ukbench", images="all")


# The command


def test_the_list_says_what_is_here_and_what_the_others_lack(root: Path, capsys) -> None:
    made("ukbench", root)
    assert main(["data", "list"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert {*DATASETS} <= set(lines)
    assert lines["ukbench"].endswith("here")
    assert lines["toytown"].endswith("here")
    assert lines["instre"].endswith("lacks ground truth, images")
    assert lines["folder"].endswith("by its path")


@pytest.mark.parametrize("name", ["toytown", "csv", *MINIATURES])
def test_every_dataset_is_shown(name: str, capsys) -> None:
    assert main(["data", "show", name]) == 0
    shown, facts = capsys.readouterr().out, about(name)
    assert DATASETS.info(name).title in shown
    if facts is not None:
        assert all(words in shown for words in (facts.licence, facts.citation, facts.protocol, facts.page))


def test_a_check_ends_with_1_where_something_is_wrong(root: Path, capsys) -> None:
    made("smvs", root)
    assert main(["data", "check", "smvs", "--quiet"]) == 0
    (root / "smvs" / "cd_covers" / "Canon" / "001.jpg").write_bytes(b"")
    assert main(["data", "check", "smvs", "--quiet", "--root", str(root / "smvs")]) == 1
    assert "PROBLEM opening images: 1 problems" in capsys.readouterr().out


def test_getting_shows_licence_and_citation_first(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    def get(name, root, *, told, **options):
        assert "licence: " in capsys.readouterr().out
        told("here it comes")
        return Path("there")

    monkeypatch.setattr("cbirlab.datasets.getting.get", get)
    assert main(["data", "get", "ukbench"]) == 0
    assert "here it comes\nin there" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["show", "oxfrod5k"], 2, "Did you mean 'oxford5k'"),
        (["get", "holidays_upright"], 1, "It is not offered for download"),
        (["get", "gldv2", "--only", "nothing"], 1, "no file matches nothing; its files are index.csv"),
        (["check", "toytown"], 1, "only published benchmarks"),
    ],
)
def test_what_goes_wrong_is_one_sentence(words: list[str], code: int, message: str, capsys) -> None:
    assert main(["data", *words]) == code
    assert message in capsys.readouterr().err


def test_a_benchmark_that_is_not_here_ends_a_run_with_what_to_do(capsys) -> None:
    assert main(["compare", "--dataset", "roxford5k", "--quiet"]) == 1
    assert "cbirlab data get roxford5k" in capsys.readouterr().err


def test_listing_loads_nothing_heavy() -> None:
    heavy = "torch", "scipy", "pandas", "sklearn", "PIL"
    probe = f"import sys, cbirlab.cli as c; c.main(['data', 'list']); print(*(n for n in {heavy} if n in sys.modules))"
    ran = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == ""
