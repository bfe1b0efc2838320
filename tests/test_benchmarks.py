"""Each benchmark's importer, on a miniature of the real layout, on a damaged one, and on the traps that it has."""

from __future__ import annotations

import csv
import os
import re
import warnings
from pathlib import Path

import miniatures
import numpy as np
import pytest
from miniatures import MINIATURES, OXFORD_IMAGES, gld_id, picture, turned

from cbirlab import images
from cbirlab.datasets import DATASETS, Dataset, about, availability, load_dataset
from cbirlab.datasets.catalogue import Need, anywhere
from cbirlab.datasets.oxford_paris import CORRUPT_PARIS, distractor_images
from cbirlab.datasets.truth import read_truth
from cbirlab.evaluation import PROTOCOLS, evaluate
from cbirlab.index import Ranking

KNOWN = {
    *("classic", "revisited", "holidays", "ukbench", "instre", "gldv2", "gldv2_recognition", "category", "retrieval")
}
GIVEN = os.environ.get("CBIRLAB_TEST_DATA")
REAL = Path(GIVEN) / "benchmarks" if GIVEN else None
needs_data = pytest.mark.skipif(REAL is None or not REAL.is_dir(), reason="CBIRLAB_TEST_DATA names no benchmarks")


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data root."""
    monkeypatch.setenv("CBIRLAB_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def made(name: str, root: Path) -> Path:
    facts = about(name)
    assert facts is not None
    return MINIATURES[name](root / (facts.folders or (name,))[0])


def quietly(name: str, **options) -> Dataset:
    """A miniature has fewer images than the benchmark, which loading says."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return load_dataset(name, **options)


def labels_by_name(data: Dataset) -> list[dict[str, set[str]]]:
    return [{label: {data.images[row].stem for row in rows} for label, rows in one.items()} for one in data.labels]


# All of them


def test_there_is_a_miniature_of_every_benchmark() -> None:
    assert {name for name in DATASETS if about(name) is not None} == set(MINIATURES)


@pytest.mark.parametrize("name", MINIATURES)
def test_every_benchmark_says_what_it_is_and_what_it_takes(name: str) -> None:
    facts = about(name)
    assert facts is not None
    assert facts.protocol in KNOWN
    assert facts.citation.endswith(".")
    assert facts.licence.endswith(".")
    assert facts.needs
    assert all(re.match(r"(https?|ftp)://", url) for source in facts.sources for url in source.urls)
    assert all(re.fullmatch(r"|md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}", source.digest) for source in facts.sources)
    assert len({(source.into, source.file) for source in facts.sources}) == len(facts.sources)


@pytest.mark.parametrize("name", MINIATURES)
def test_the_miniature_is_found_under_the_data_root_and_loaded(name: str, root: Path) -> None:
    assert not availability(name).ready
    made(name, root)
    found = availability(name)
    assert (found.ready, found.missing, found.hint) == (True, (), "")
    data = quietly(name)
    facts = about(name)
    assert facts is not None
    assert all(path.is_file() for path in [*data.images, *data.train, *(query.path for query in data.queries)])
    assert all(0 <= row < len(data.images) for labels in data.labels for rows in labels.values() for row in rows)
    assert all(query.index is None or data.images[query.index] == query.path for query in data.queries)
    assert data.protocol == facts.protocol or name == "revisitop1m"


def perfect(data: Dataset) -> Ranking:
    """The query itself, what is right (the easy before the hard), the rest; surer where there is something right."""
    rows, scores = [], []
    for query, labels in zip(data.queries, data.labels, strict=True):
        right = [row for label in ("good", "ok", "easy", "hard", "positive") for row in labels.get(label, ())]
        own = [] if query.index is None else [query.index]
        rows.append(list(dict.fromkeys([*own, *right, *range(len(data.images))])))
        scores.append(np.linspace(1, 0.5, len(data.images)) * (1 if right else 0.1))
    return Ranking(np.array(rows), np.array(scores, dtype=np.float32))


@pytest.mark.parametrize("name", sorted({*MINIATURES} - {"revisitop1m"}))
def test_a_perfect_ranking_has_the_best_score_that_the_protocol_knows(name: str, root: Path) -> None:
    made(name, root)
    data = quietly(name)
    if data.protocol not in PROTOCOLS:
        pytest.skip(f"the protocol {data.protocol} is not registered")
    result = evaluate(perfect(data), data)
    kept = {key: value for key, value in result.metrics.items() if not key.startswith(("precision@", "mp@"))}
    assert kept
    for key, value in kept.items():
        assert value == pytest.approx(4.0 if key.startswith("ns") else 1.0), key


@pytest.mark.parametrize("name", MINIATURES)
def test_the_miniature_is_loaded_from_any_folder(name: str, root: Path, tmp_path: Path) -> None:
    elsewhere = MINIATURES[name](tmp_path / "elsewhere" / (about(name).folders or (name,))[0])  # pyright: ignore
    if name.endswith("_1m"):
        miniatures.million(root / "revisitop1m")
    assert quietly(name, root=elsewhere).images
    assert not root.exists() or name.endswith("_1m")


@pytest.mark.parametrize("name", MINIATURES)
def test_what_is_not_here_is_said_with_what_to_do(name: str, root: Path) -> None:
    found, facts = availability(name), about(name)
    assert facts is not None
    assert found.missing == tuple(need.what for need in facts.needs)
    assert str(root) in found.hint
    with pytest.raises(FileNotFoundError, match=rf"{name.removesuffix('_1m')}.*not found in .*CBIRLAB_DATA"):
        load_dataset(name)
    assert ("cbirlab data get" in found.hint) == bool(facts.sources)


@pytest.mark.parametrize("name", sorted({*MINIATURES} - {"corel1k", "holidays", "holidays_upright", "smvs"}))
def test_a_missing_image_is_named(name: str, root: Path) -> None:
    made(name, root)
    data = quietly(name)
    rows = [row for labels in data.labels[:1] for label in labels.values() for row in label]
    lost = data.images[max(rows, default=-1)]
    lost.unlink()
    with pytest.raises(FileNotFoundError, match=re.escape(lost.stem)):
        load_dataset(name)


def test_a_part_of_a_benchmark_is_loaded_with_a_warning(root: Path) -> None:
    made("ukbench", root)
    with pytest.warns(UserWarning, match="8 of 10,200 images are here; metrics on them are not those of the benchmark"):
        load_dataset("ukbench")


def test_an_unknown_root_is_not_the_end_of_listing(root: Path) -> None:
    assert [availability(name).ready for name in DATASETS if about(name) is not None] == [False] * len(MINIATURES)
    assert availability("toytown").ready
    assert availability("folder").hint == "Give its path instead of a name."


def test_patterns_that_look_anywhere_also_look_behind_links(tmp_path: Path) -> None:
    picture(tmp_path / "far" / "x.jpg")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "jpg").symlink_to(tmp_path / "far")
    assert any(any((tmp_path / "own").glob(pattern)) for pattern in anywhere("x.jpg"))


def test_what_is_needed_is_said_in_words() -> None:
    assert Need("images", (*anywhere("*_query.txt"), "jpg/*.jpg")).where == "*_query.txt in any folder or jpg/*.jpg"
    assert Need("list", ("a.csv", "metadata/a.csv")).where == "a.csv or metadata/a.csv"


# Oxford and Paris, classic


def test_the_classic_protocol_keeps_the_query_in_the_database(root: Path) -> None:
    made("oxford5k", root)
    data = quietly("oxford5k")
    assert [path.stem for path in data.images] == OXFORD_IMAGES
    assert [(query.path.stem, query.index, query.box) for query in data.queries] == [
        ("all_souls_000000", 0, (1.5, 0.0, 7.0, 5.5)),
        ("oxford_000000", 6, (0.0, 1.0, 4.0, 6.0)),
    ]
    assert data.labels == (
        {"good": (0,), "ok": (1, 2), "junk": (3,)},
        {"good": (6,), "ok": (7,), "junk": ()},
    )
    assert data.instances == ("all_souls",) * 3 + ("",) * 3 + ("oxford",) * 2 + ("",) * 2
    assert (data.name, data.protocol, data.image_size) == ("oxford5k", "classic", 1024)


@pytest.mark.parametrize(
    "write", [miniatures.classic_pickle, miniatures.classic_mat], ids=["from 0 in .pkl", "from 1 in .mat"]
)
def test_all_forms_of_the_classic_ground_truth_say_the_same(write, root: Path) -> None:
    made("oxford5k", root)
    texts = quietly("oxford5k")
    suffix = ".pkl" if write is miniatures.classic_pickle else ".mat"
    write(root / "oxford5k" / f"gnd_oxford5k{suffix}")
    data = quietly("oxford5k")
    assert (data.images, data.queries) == (texts.images, texts.queries)
    for labels, others in zip(data.labels, texts.labels, strict=True):
        assert labels["junk"] == others["junk"]
        assert set(labels["good"] + labels["ok"]) == set(others["good"] + others["ok"])


def test_paris_leaves_out_what_is_no_image_and_is_found_in_nested_folders(root: Path) -> None:
    made("paris6k", root)
    data = quietly("paris6k")
    assert len(data.images) == len(OXFORD_IMAGES)
    assert not {path.stem for path in data.images} & set(CORRUPT_PARIS)
    assert data.labels == (
        {"good": (0,), "ok": (1,), "junk": ()},
        {"good": (4,), "ok": (5, 6), "junk": (7,)},
    ), "eiffel comes first, 000136 is no right answer"
    assert len(CORRUPT_PARIS) == len(set(CORRUPT_PARIS)) == 20


def test_images_are_shared_between_the_protocols(root: Path) -> None:
    made("oxford5k", root)
    miniatures.pictures(root / "oxford5k" / "jpg", miniatures.REVISITED_QUERIES)
    miniatures.revisited_pickle(root / "roxford5k" / "gnd_roxford5k.pkl")
    assert availability("roxford5k").ready
    assert {*quietly("roxford5k").images} < {*quietly("oxford5k").images}
    (root / "roxford5k" / "jpg").symlink_to(root / "oxford5k" / "jpg")
    assert availability("roxford5k", root / "roxford5k").ready
    assert quietly("roxford5k").images[0] == root / "roxford5k" / "jpg" / "all_souls_000000.jpg"


def test_links_that_lead_back_do_not_keep_the_search_going(root: Path) -> None:
    folder = made("oxford5k", root)
    (folder / "jpg" / "again").symlink_to(folder)
    assert len(quietly("oxford5k").images) == len(OXFORD_IMAGES)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("all_souls_1_query.txt", "oxc1_all_souls_000000 1 2 3", "four numbers of its box"),
        ("all_souls_1_query.txt", "oxc1_all_souls_000000 5 2 3 4", "x0 < x1"),
        ("all_souls_1_query.txt", "oxc1_all_souls_000000 1 2 three 4", "must be four numbers"),
        ("all_souls_1_junk.txt", "all_souls_000000", "labels an image twice"),
    ],
)
def test_damaged_text_files_are_refused(file: str, text: str, message: str, root: Path) -> None:
    folder = made("oxford5k", root)
    (folder / "gt_files_170407" / file).write_text(text)
    with pytest.raises(ValueError, match=message):
        load_dataset("oxford5k")


def test_ground_truth_may_lie_in_any_folder(root: Path) -> None:
    folder = made("oxford5k", root)
    before = quietly("oxford5k")
    (folder / "lab").mkdir()
    (folder / "gt_files_170407").rename(folder / "lab" / "gt_files_170407")
    assert quietly("oxford5k") == before
    assert availability("oxford5k").ready


def test_a_missing_text_file_is_named(root: Path) -> None:
    folder = made("oxford5k", root)
    (folder / "gt_files_170407" / "oxford_2_ok.txt").unlink()
    with pytest.raises(ValueError, match=r"oxford_2_ok\.txt: missing"):
        load_dataset("oxford5k")


# Oxford and Paris as published


def names_in(file: Path) -> set[str]:
    return set(file.read_text().split())


@needs_data
@pytest.mark.usefixtures("root")
def test_the_220_text_files_and_the_mat_file_of_oxford_give_the_same_protocol(tmp_path: Path) -> None:
    assert REAL is not None
    published = REAL / "oxford_paris_gnd"
    mat = published / "gnd_oxford5k.mat"
    for folder, source in (("by_mat", mat), ("by_text", published / "oxford5k_gt_files_170407")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / source.name).symlink_to(source)
    (tmp_path / "by_mat" / "jpg").mkdir()
    for name in read_truth(mat).images:
        (tmp_path / "by_mat" / "jpg" / f"{name}.jpg").touch()
    (tmp_path / "by_text" / "jpg").symlink_to(tmp_path / "by_mat" / "jpg")
    by_mat, by_text = (load_dataset("oxford5k", root=tmp_path / folder) for folder in ("by_mat", "by_text"))
    assert len(by_mat.images) == len(by_text.images) == 5063
    assert len(by_mat.queries) == len(by_text.queries) == 55
    counts = {label: sum(len(labels[label]) for labels in by_text.labels) for label in ("good", "ok", "junk")}
    assert counts == {"good": 1360, "ok": 1480, "junk": 1495}

    def protocol(data: Dataset) -> set:
        return {
            (query.path.stem, query.box, frozenset(labels["good"] | labels["ok"]), frozenset(labels["junk"]))
            for query, labels in zip(data.queries, labels_by_name(data), strict=True)
        }

    assert protocol(by_mat) == protocol(by_text)
    texts = published / "oxford5k_gt_files_170407"
    for query, labels in zip(by_text.queries, labels_by_name(by_text), strict=True):
        mine = [file for file in texts.glob("*_query.txt") if query.path.stem in file.read_text()]
        boxes = [file for file in mine if tuple(map(float, file.read_text().split()[1:])) == query.box]
        assert any(
            labels == {label: names_in(Path(str(file).replace("query", label))) for label in labels} for file in boxes
        )
        assert query.index is not None
        assert query.path.stem in labels["good"] | labels["ok"]
    assert len(set(by_text.instances) - {""}) == 11


@needs_data
@pytest.mark.usefixtures("root")
def test_the_mat_file_of_paris_leaves_out_the_20_files_without_image(tmp_path: Path) -> None:
    assert REAL is not None
    source = REAL / "oxford_paris_gnd" / "gnd_paris6k.mat"
    names = read_truth(source).images
    assert len(names) == 6392
    assert not set(names) & set(CORRUPT_PARIS)
    (tmp_path / source.name).symlink_to(source)
    for name in (*names, *CORRUPT_PARIS):
        file = tmp_path / "paris" / name.split("_")[1] / f"{name}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    data = load_dataset("paris6k", root=tmp_path)
    assert (len(data.images), len(data.queries)) == (6392, 55)
    assert all(query.index in labels["ok"] for query, labels in zip(data.queries, data.labels, strict=True))
    assert len(set(data.instances) - {""}) == 11


# Revisited, and the distractors


@pytest.mark.parametrize("write", [miniatures.revisited_pickle, miniatures.revisited_mat], ids=["pkl", "mat"])
def test_the_revisited_protocol(write, root: Path) -> None:
    miniatures.pictures(root / "roxford5k" / "jpg", [*OXFORD_IMAGES, *miniatures.REVISITED_QUERIES])
    write(root / "roxford5k" / f"gnd_roxford5k{'.pkl' if write is miniatures.revisited_pickle else '.mat'}")
    data = quietly("roxford5k")
    assert [(query.path.stem, query.index, query.box) for query in data.queries] == [
        ("all_souls_000100", None, (0.5, 0.0, 5.0, 4.0)),
        ("oxford_000100", None, (1.0, 1.0, 8.0, 6.0)),
    ]
    assert data.labels == (
        {"easy": (0, 1), "hard": (2,), "junk": (3, 4)},
        {"easy": (), "hard": (6, 7), "junk": ()},
    )


def test_another_ground_truth_under_the_name_is_refused(root: Path) -> None:
    folder = made("oxford5k", root)
    miniatures.classic_pickle(folder / "gnd_roxford5k.pkl")
    with pytest.raises(ValueError, match="must have easy and hard labels and no query in the database"):
        load_dataset("roxford5k", root=folder)
    miniatures.pictures(folder / "jpg", miniatures.REVISITED_QUERIES)
    miniatures.revisited_pickle(folder / "gnd_oxford5k.pkl")
    with pytest.raises(ValueError, match="must be in the database"):
        load_dataset("oxford5k")


def test_distractors_come_after_the_database_and_carry_no_label(root: Path, tmp_path: Path) -> None:
    made("roxford5k_1m", root)
    plain, more = quietly("roxford5k"), quietly("roxford5k_1m")
    assert more.images[: len(plain.images)] == plain.images
    assert [path.name for path in more.images[len(plain.images) :]] == [f"{number:04d}.jpg" for number in range(6)]
    assert (more.labels, more.queries) == (plain.labels, plain.queries)
    assert (more.name, len(more.instances)) == ("roxford5k_1m", len(more.images))
    picture(tmp_path / "flickr" / "deep" / "a.jpg")
    flickr = quietly("roxford5k", distractors=tmp_path / "flickr")
    assert (flickr.name, flickr.images[-1].name) == ("roxford5k+flickr", "a.jpg")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"revisitop1m\.txt, or any image, was not found"):
        load_dataset("roxford5k", distractors=tmp_path / "empty")


def test_a_list_of_distractors_cannot_name_files_elsewhere(root: Path) -> None:
    folder = made("revisitop1m", root)
    with (folder / "revisitop1m.txt").open("a") as file:
        file.write("../../../etc/passwd\n")
    with pytest.raises(ValueError, match="must name files below its own folder"):
        load_dataset("revisitop1m")


def test_of_very_many_distractors_a_sample_is_looked_for(tmp_path: Path) -> None:
    names = [f"{number % 100}/{number:07d}.jpg" for number in range(120_001)]
    folders = {tmp_path / "jpg" / str(number) for number in range(100)}
    for folder in folders:
        folder.mkdir(parents=True)
    for name in names[:: len(names) // 200]:
        (tmp_path / "jpg" / name).touch()
    (tmp_path / "revisitop1m.txt").write_text("\n".join(names))
    assert len(distractor_images(tmp_path)) == 120_001
    (tmp_path / "jpg" / names[0]).unlink()
    with pytest.raises(FileNotFoundError, match="1 of 201 images are missing"):
        distractor_images(tmp_path)


# Holidays


def test_the_number_of_a_holiday_photo_tells_its_group(root: Path) -> None:
    made("holidays", root)
    data = quietly("holidays")
    assert [query.path.stem for query in data.queries] == ["100000", "100100"]
    assert [query.index for query in data.queries] == [0, 3]
    assert data.labels == ({"positive": (1, 2)}, {"positive": (4,)})
    assert data.instances == ("1000", "1000", "1000", "1001", "1001")


def test_the_list_of_holidays_says_what_has_to_be_there(root: Path) -> None:
    folder = made("holidays", root)
    (folder / "eval_holidays").mkdir()
    listing = folder / "eval_holidays" / "holidays_images.dat"
    listing.write_text("100000.jpg\n100001.jpg\n100002.jpg\n100100.jpg\n100101.jpg\n")
    complete = quietly("holidays")
    assert len(complete.images) == 5
    complete.images[4].unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of 5 images are missing .*100101"):
        load_dataset("holidays")


def test_a_group_without_its_query_is_named(root: Path) -> None:
    folder = made("holidays", root)
    (folder / "jpg" / "100100.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"100100\.jpg \(of 1 groups without one\)"):
        load_dataset("holidays")


def test_photos_that_lie_on_their_side_are_read_upright_and_upright_ones_are_not_turned_twice(root: Path) -> None:
    for name in ("holidays", "holidays_upright"):
        made(name, root)
        turned(root / name / "jpg" / "100001.jpg")
    original = quietly("holidays")
    assert [images.read(path).size for path in original.images[:2]] == [(8, 6), (6, 8)]
    with pytest.raises(ValueError, match=r"1 of 5 images have an EXIF orientation .*100001\.jpg"):
        load_dataset("holidays_upright")
    picture(root / "holidays_upright" / "jpg" / "100001.jpg", (6, 8))
    assert quietly("holidays_upright").name == "holidays_upright"


# UKBench


def test_the_four_images_of_an_object_include_the_query(root: Path) -> None:
    made("ukbench", root)
    data = quietly("ukbench")
    assert len(data.images) == len(data.queries) == 8
    assert [query.index for query in data.queries] == list(range(8))
    assert [labels["positive"] for labels in data.labels] == [(0, 1, 2, 3)] * 4 + [(4, 5, 6, 7)] * 4


def test_thumbnails_are_not_taken_for_the_images(root: Path) -> None:
    folder = made("ukbench", root)
    (folder / "full").rename(folder / "ukbench")
    miniatures.pictures(folder / "thumbnails", [f"ukbench{number:05d}" for number in range(8)])
    assert {path.parent.name for path in quietly("ukbench").images} == {"ukbench"}


# INSTRE


def test_instre_counts_from_1_and_its_boxes_are_two_corners(root: Path) -> None:
    made("instre", root)
    data = quietly("instre")
    assert data.labels == ({"positive": (0, 1, 2, 3)}, {"positive": (3,)}), "the last image is reached, and the first"
    assert [query.box for query in data.queries] == [(1.0, 1.0, 5.0, 4.0), (2.0, 0.0, 7.0, 6.0)]
    assert all(query.index is None for query in data.queries)
    assert data.instances == ("INSTRE-S1/01a_book",) * 3 + ("INSTRE-M/01",)


def test_boxes_written_as_corner_width_and_height_are_noticed(root: Path) -> None:
    folder = made("instre", root)
    miniatures.instre_mat(folder / "gnd_instre.mat", boxes=((5, 1, 4, 3), (2, 0, 7, 6)))
    with pytest.raises(ValueError, match=r"the box of INSTRE-S1/01a_book/013\.jpg must be \(x0, y0, x1, y1\)"):
        load_dataset("instre")


def test_indices_from_0_in_a_mat_file_are_noticed(root: Path) -> None:
    folder = made("instre", root)
    entries = [{"ok": [0, 1], "bbx": [0, 0, 2, 2]}, {"ok": [3], "bbx": [0, 0, 2, 2]}]
    miniatures.mat(
        folder / "gnd_instre.mat", imlist=miniatures.INSTRE_IMAGES, qimlist=miniatures.INSTRE_QUERIES, gnd=entries
    )
    with pytest.raises(ValueError, match=r"must label images from 1 to 4 \(a \.mat counts from 1\), got 0 to 1"):
        load_dataset("instre")


@pytest.mark.parametrize(
    "name", ["../../secret.jpg", "/etc/passwd", "a\\..\\b.jpg", "C:/x.jpg", "INSTRE-S1/../../x.jpg"]
)
def test_ground_truth_cannot_name_files_elsewhere(name: str, root: Path) -> None:
    folder = made("instre", root)
    picture(root / "secret.jpg")
    miniatures.mat(folder / "gnd_instre.mat", imlist=[name], qimlist=[name], gnd=[{"ok": [1], "bbx": [0, 0, 2, 2]}])
    with pytest.raises(ValueError, match="must name files below its own folder"):
        load_dataset("instre")


# Google Landmarks


def test_ignored_queries_are_left_out_and_usage_chooses(root: Path) -> None:
    made("gldv2", root)
    private, public, both = (quietly("gldv2", usage=usage) for usage in ("private", "public", "all"))
    assert [path.stem for path in private.images] == [gld_id(number) for number in (1, 2, 3, 4)]
    assert [query.path.stem for query in private.queries] == [gld_id(11)]
    assert private.labels == ({"positive": (1, 0)},)
    assert public.labels == ({"positive": (3,)},)
    assert both.labels == private.labels + public.labels
    assert quietly("gldv2") == private
    with pytest.raises(ValueError, match="usage must be one of private, public, all, got 'test'"):
        load_dataset("gldv2", usage="test")


def test_distractors_stay_without_a_right_answer(root: Path) -> None:
    made("gldv2", root)
    data = quietly("gldv2_recognition", usage="all")
    assert data.instances == ("7", "7", "8", "8")
    assert [labels["positive"] for labels in data.labels] == [(0, 1), (), (0, 1, 2, 3), (2, 3)]
    clean = quietly("gldv2_recognition", usage="all", clean=True)
    assert [labels["positive"] for labels in clean.labels] == [(0, 1), (), (0, 1), ()]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("index.csv", "image\n", "must have the columns id, got image"),
        ("index.csv", "id\n../../../../etc/pass\n", "16 hexadecimal digits"),
        ("retrieval_solution_v2.1.csv", "id,images,Usage\n0000000000000000,ffffffffffffffff,Private\n", "not in index"),
        ("retrieval_solution_v2.1.csv", "id,images,Usage\n0000000000000000\n", "line 2: must have 3 columns, got 1"),
    ],
)
def test_damaged_tables_are_refused(file: str, text: str, message: str, root: Path) -> None:
    folder = made("gldv2", root)
    table = folder / "metadata" / file
    kept = table.read_text() if file == "index.csv" and "16" in message else ""
    table.write_text(text + "".join(kept.splitlines(keepends=True)[1:]))
    with pytest.raises(ValueError, match=message):
        load_dataset("gldv2")


# Stanford Mobile Visual Search


def test_phones_ask_for_reference_pictures_of_the_same_number_and_category(root: Path) -> None:
    made("smvs", root)
    data = quietly("smvs")
    names = [path.relative_to(root / "smvs").as_posix() for path in data.images]
    assert names == [
        f"{kind}/Reference/{number}.jpg" for kind in ("cd_covers", "dvd_covers") for number in ("001", "002")
    ]
    asked = [query.path.relative_to(root / "smvs").as_posix() for query in data.queries]
    found = dict(zip(asked, (names[labels["positive"][0]] for labels in data.labels), strict=True))
    assert len(found) == 6
    assert found["dvd_covers/Palm/002.jpg"] == "dvd_covers/Reference/002.jpg"
    (root / "smvs" / "cd_covers" / "Reference" / "002.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"the reference picture of 2 photos, the first is .*002\.jpg"):
        load_dataset("smvs")


@needs_data
def test_real_photos_of_dvd_covers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert REAL is not None
    monkeypatch.setenv("CBIRLAB_DATA", str(REAL))
    data = load_dataset("smvs")
    assert (len(data.images), len(data.queries)) == (100, 400)
    assert all(
        data.images[row].stem == query.path.stem and len(labels["positive"]) == 1
        for query, labels in zip(data.queries, data.labels, strict=True)
        for row in labels["positive"]
    )


# Category level


def test_the_number_of_a_corel_image_tells_its_class(root: Path) -> None:
    made("corel1k", root)
    data = quietly("corel1k")
    assert data.instances == ("africans", "africans", "africans", "beaches", "food", "food")
    assert data.labels[0] == {"positive": (1, 2)}
    assert data.labels[3] == {"positive": ()}
    assert [query.index for query in data.queries] == list(range(6))


@needs_data
def test_real_corel_images_are_labelled_as_their_list_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert REAL is not None
    monkeypatch.setenv("CBIRLAB_DATA", str(REAL))
    data = quietly("corel1k")
    with (REAL / "corel1k" / "groundtruth.csv").open() as text:
        listed = {row["path"]: row["category"] for row in csv.DictReader(text)}
    found = {
        path.relative_to(REAL / "corel1k").as_posix(): name
        for path, name in zip(data.images, data.instances, strict=True)
    }
    assert found == listed
    assert len(found) == 400


def test_birds_are_searched_in_the_second_half_of_the_classes(root: Path) -> None:
    made("cub200", root)
    data = quietly("cub200")
    assert data.instances == ("101.Bird", "101.Bird")
    assert data.train_instances == ("001.Bird",) * 2 + ("100.Bird",) * 2
    assert data.train_name == "cub200/train"
    (root / "cub200" / "CUB_200_2011" / "image_class_labels.txt").write_text("1 1\n")
    with pytest.raises(ValueError, match="must list the same images in the same order"):
        load_dataset("cub200")


def test_products_are_searched_in_the_test_list(root: Path) -> None:
    made("sop", root)
    data = quietly("sop")
    assert (data.instances, data.train_instances) == (("11", "11", "12", "12"), ("1", "1", "2", "2"))
    assert [labels["positive"] for labels in data.labels] == [(1,), (0,), (3,), (2,)]
    with (root / "sop" / "Ebay_test.txt").open("a") as file:
        file.write("5 13 1\n")
    with pytest.raises(ValueError, match="line 6: must have 4 columns"):
        load_dataset("sop")


# Own images by a CSV file


def write_table(folder: Path, *lines: str, header: str = "path,instance,role") -> Path:
    for name in ("a", "b", "c", "d"):
        picture(folder / f"{name}.jpg")
    file = folder / "mine.csv"
    file.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return file


def test_a_table_says_what_images_show_and_what_they_are_for(tmp_path: Path) -> None:
    file = write_table(
        tmp_path,
        "a.jpg,cup,database",
        "b.jpg,cup,both",
        "c.jpg,,database",
        "d.jpg,cup,query",
        header="path,instance,role",
    )
    data = load_dataset(file)
    assert [path.name for path in data.images] == ["a.jpg", "b.jpg", "c.jpg"]
    assert [(query.path.name, query.index) for query in data.queries] == [("b.jpg", 1), ("d.jpg", None)]
    assert data.labels == ({"positive": (0,)}, {"positive": (0, 1)})
    assert (data.name, data.protocol, data.instances) == ("mine", "retrieval", ("cup", "cup", ""))


def test_a_table_without_roles_is_as_a_folder_with_sub_folders(tmp_path: Path) -> None:
    file = write_table(tmp_path, "a.jpg,cup", "b.jpg,cup", "c.jpg,", header="\ufeffpath,instance")
    data = load_dataset(str(file), name="mugs", image_size=64)
    assert [query.index for query in data.queries] == [0, 1, 2]
    assert data.labels == ({"positive": (1,)}, {"positive": (0,)}, {"positive": ()})
    assert (data.name, data.image_size) == ("mugs", 64)


def test_a_table_without_instances_has_no_ground_truth(tmp_path: Path) -> None:
    data = load_dataset(write_table(tmp_path, "a.jpg,", "b.jpg,", header="path,instance"))
    assert (data.labels, data.instances, len(data.queries)) == ((), (), 2)


def test_boxes_and_train_images_of_a_table(tmp_path: Path) -> None:
    header = "path,instance,role,x0,y0,x1,y1"
    file = write_table(
        tmp_path, "a.jpg,cup,database,,,,", "b.jpg,cup,query,1,0,5.5,4", "c.jpg,pot,train,,,,", header=header
    )
    data = load_dataset(file)
    assert data.queries[0].box == (1.0, 0.0, 5.5, 4.0)
    assert (data.train, data.train_name, data.train_instances) == ((tmp_path / "c.jpg",), "mine/train", ("pot",))


def test_a_table_may_lie_elsewhere_than_its_images(tmp_path: Path) -> None:
    write_table(tmp_path / "images")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "some.csv").write_text("path,instance\nimages/a.jpg,x\n")
    assert len(load_dataset(tmp_path / "lists" / "some.csv", root=tmp_path).images) == 1


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a.jpg,cup,dog"], "line 2: role must be one of both, database, query, train, got 'dog'"),
        (["a.jpg,cup,query"], "at least one image must have the role database or both"),
        (["a.jpg,cup,both", "a.jpg,cup,both"], "1 images are listed more than once"),
        ([",cup,both"], "line 2: the path is empty"),
    ],
)
def test_a_table_that_cannot_be_is_refused(lines: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        load_dataset(write_table(tmp_path / "in", *lines))


@pytest.mark.parametrize("path", ["../a.jpg", "/etc/passwd", "..\\a.jpg", "C:/a.jpg"])
def test_a_table_that_came_with_a_dataset_names_nothing_outside_of_it(path: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"line 2: .* must name files below its own folder"):
        DATASETS["csv"](write_table(tmp_path / "in", f"{path},cup,both"), published=True)


def test_more_that_a_table_can_lack(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"1 of 1 images are missing, the first is .*z\.jpg"):
        load_dataset(write_table(tmp_path, "z.jpg,cup,both"))
    with pytest.raises(ValueError, match="must have the columns path and instance, got"):
        load_dataset(write_table(tmp_path, "a.jpg", header="path"))
    with pytest.raises(ValueError, match="x0 < x1"):
        load_dataset(write_table(tmp_path, "a.jpg,cup,5,0,1,1", header="path,instance,x0,y0,x1,y1"))
    with pytest.raises(ValueError, match="four numbers"):
        load_dataset(write_table(tmp_path, "a.jpg,cup,5,0,,1", header="path,instance,x0,y0,x1,y1"))
    (tmp_path / "binary.csv").write_bytes(b"path,instance\n\xff\xfe\x00,x\n")
    with pytest.raises(ValueError, match="cannot be read as CSV in UTF-8"):
        load_dataset(tmp_path / "binary.csv")
