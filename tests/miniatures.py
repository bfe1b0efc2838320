"""The layouts of published benchmarks, a few tiny images each, as their publishers and users have them on disk."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.io import savemat

OXFORD_IMAGES = [f"all_souls_{number:06d}" for number in range(6)] + [f"oxford_{number:06d}" for number in range(4)]
REVISITED_QUERIES = ["all_souls_000100", "oxford_000100"]
INSTRE_IMAGES = [f"INSTRE-S1/01a_book/{number:03d}.jpg" for number in range(3)] + ["INSTRE-M/01/001.jpg"]
INSTRE_QUERIES = ["INSTRE-S1/01a_book/013.jpg", "INSTRE-S2/02_cup/001.jpg"]


def picture(path: Path, size: tuple[int, int] = (8, 6), **saved: Any) -> Path:
    """An image of `size` (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (len(path.name) * 9 % 256, 90, 90)).save(path, **saved)
    return path


def pictures(folder: Path, names: Iterable[str], suffix: str = ".jpg") -> list[Path]:
    return [picture(folder / f"{name}{suffix}") for name in names]


def turned(path: Path, orientation: int = 6) -> Path:
    """An image whose file says that it lies on its side."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return picture(path, exif=exif)


def classic_entries(first: int = 0) -> list[dict[str, Any]]:
    """Two queries on `OXFORD_IMAGES`: good and ok together, as all files but the text files have them."""
    rows = [{"ok": [0, 1, 2], "junk": [3]}, {"ok": [6, 7], "junk": []}]
    boxes = ([1.5, 0.0, 7.0, 5.5], [0.0, 1.0, 4.0, 6.0])
    entries = [{label: [row + first for row in given] for label, given in entry.items()} for entry in rows]
    return [entry | {"bbx": box} for entry, box in zip(entries, boxes, strict=True)]


def classic_texts(folder: Path, names: Sequence[str] = OXFORD_IMAGES, prefix: str = "oxc1_") -> None:
    """The same two queries as the original text files; of the right answers the first is good, the others ok."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, entry in enumerate(classic_entries()):
        stem = f"{names[entry['ok'][0]].rpartition('_')[0]}_{number + 1}"
        box = " ".join(f"{edge:g}" for edge in entry["bbx"])
        (folder / f"{stem}_query.txt").write_text(f"{prefix}{names[entry['ok'][0]]} {box}\n")
        for label, rows in (("good", entry["ok"][:1]), ("ok", entry["ok"][1:]), ("junk", entry["junk"])):
            (folder / f"{stem}_{label}.txt").write_text("".join(f"{names[row]}\n" for row in rows))


def classic_pickle(file: Path, names: Sequence[str] = OXFORD_IMAGES) -> Path:
    entries = classic_entries()
    queries = [names[entry["ok"][0]] for entry in entries]
    return dump(file, {"imlist": list(names), "qimlist": queries, "gnd": entries})


def classic_mat(file: Path, names: Sequence[str] = OXFORD_IMAGES) -> Path:
    """Cells of names, and indices from 1 in small unsigned integers."""
    entries = classic_entries(first=1)
    return mat(file, imlist=names, gnd=entries, qidx=np.array([[entry["ok"][0]] for entry in entries], np.uint16))


def revisited_entries(first: int = 0) -> list[dict[str, Any]]:
    rows = [{"easy": [0, 1], "hard": [2], "junk": [3, 4]}, {"easy": [], "hard": [6, 7], "junk": []}]
    boxes = ([0.5, 0.0, 5.0, 4.0], [1.0, 1.0, 8.0, 6.0])
    entries = [{label: [row + first for row in given] for label, given in entry.items()} for entry in rows]
    return [entry | {"bbx": box} for entry, box in zip(entries, boxes, strict=True)]


def revisited_pickle(file: Path, names: Sequence[str] = OXFORD_IMAGES) -> Path:
    return dump(file, {"imlist": list(names), "qimlist": REVISITED_QUERIES, "gnd": revisited_entries()})


def revisited_mat(file: Path, names: Sequence[str] = OXFORD_IMAGES) -> Path:
    return mat(file, imlist=names, qimlist=REVISITED_QUERIES, gnd=revisited_entries(first=1))


def instre_mat(file: Path, boxes: Sequence[Sequence[int]] = ((1, 1, 5, 4), (2, 0, 7, 6))) -> Path:
    """Rows of names, as INSTRE has them; the last image is a right answer, which only an index from 1 reaches."""
    entries = [{"ok": [1, 2, 3, 4], "bbx": boxes[0]}, {"ok": [4], "bbx": boxes[1]}]
    return mat(file, imlist=INSTRE_IMAGES, qimlist=INSTRE_QUERIES, gnd=entries)


def instre(folder: Path) -> Path:
    pictures(folder, [*INSTRE_IMAGES, *INSTRE_QUERIES], suffix="")
    for name in INSTRE_QUERIES:
        (folder / name).with_suffix(".txt").write_text("1 1 4 3\n")  # corner, width and height
    instre_mat(folder / "gnd_instre.mat")
    return folder


def holidays(folder: Path, groups: Sequence[int] = (3, 2)) -> Path:
    for group, size in enumerate(groups):
        pictures(folder / "jpg", [f"{1000 + group}{number:02d}" for number in range(size)])
    return folder


def ukbench(folder: Path, objects: int = 2) -> Path:
    pictures(folder / "full", [f"ukbench{number:05d}" for number in range(4 * objects)])
    return folder


def gld_id(number: int) -> str:
    return f"{number * 0x123456789ABC % 16**16:016x}"


def google(folder: Path) -> Path:
    """Four index, four test and four train images, and the tables."""
    ids = {
        split: [gld_id(10 * part + number + 1) for number in range(4)]
        for part, split in enumerate(("index", "test", "train"))
    }
    for split, names in ids.items():
        pictures(folder / split, [f"{name[0]}/{name[1]}/{name[2]}/{name}" for name in names])
    index, test, train = ids.values()
    tables = {
        "index.csv": ["id", *index],
        "train.csv": [
            "id,url,landmark_id",
            *(f'{one},"http://x/a,b.jpg",{7 + row // 2}' for row, one in enumerate(train)),
        ],
        "train_clean.csv": ["landmark_id,images", f"7,{train[0]} {train[1]}"],
        "retrieval_solution_v2.1.csv": [
            "id,images,Usage",
            f"{test[0]},{index[1]} {index[0]},Private",
            f"{test[1]},None,Private",
            f"{test[2]},{index[3]},Public",
        ],
        "recognition_solution_v2.1.csv": [
            "id,landmarks,Usage",
            f"{test[0]},7,Private",
            f"{test[1]},,Private",
            f"{test[2]},7 8,Public",
            f"{test[3]},8,Private",
        ],
    }
    (folder / "metadata").mkdir(parents=True)
    for name, lines in tables.items():
        (folder / "metadata" / name).write_text("\n".join(lines) + "\n")
    return folder


def smvs(folder: Path) -> Path:
    for category in ("dvd_covers", "cd_covers"):
        for camera in ("Reference", "Canon", "Palm"):
            pictures(folder / category / camera, ["001", "002"] if camera != "Palm" else ["002"])
    return folder


def cub(folder: Path) -> Path:
    """Classes 1, 100 and 101, two images each."""
    home = folder / "CUB_200_2011"
    names = [(f"{label:03d}.Bird/Bird_{number}", label) for label in (1, 100, 101) for number in range(2)]
    pictures(home / "images", [name for name, _ in names])
    (home / "images.txt").write_text("".join(f"{row} {name}.jpg\n" for row, (name, _) in enumerate(names, 1)))
    (home / "image_class_labels.txt").write_text("".join(f"{row} {label}\n" for row, (_, label) in enumerate(names, 1)))
    return folder


def sop(folder: Path) -> Path:
    for part, (file, first) in enumerate((("Ebay_train.txt", 1), ("Ebay_test.txt", 11))):
        names = [f"chair_final/{100 + first + number // 2}_{number}.JPG" for number in range(4)]
        pictures(folder, names, suffix="")
        rows = [f"{number + 1} {first + number // 2} {part + 1} {name}\n" for number, name in enumerate(names)]
        (folder / file).write_text("image_id class_id super_class_id path\n" + "".join(rows))
    return folder


def dump(file: Path, values: Any, protocol: int = 2) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(pickle.dumps(values, protocol=protocol))
    return file


def mat(file: Path, *, gnd: Sequence[Mapping[str, Any]], imlist: Sequence[str], **more: Any) -> Path:
    """Names as cells, ground truth as an array of structures, numbers in small unsigned integers."""
    file.parent.mkdir(parents=True, exist_ok=True)
    structures = np.zeros((1, len(gnd)), dtype=[(name, object) for name in gnd[0]])
    for column, entry in enumerate(gnd):
        for name, given in entry.items():
            numbers = np.array([given], dtype=np.uint16 if name != "bbx" else np.float64).reshape(1, -1)
            structures[0, column][name] = numbers
    cells = {name: _cells(given) if isinstance(given[0], str) else given for name, given in more.items()}
    savemat(file, {"imlist": _cells(imlist), "gnd": structures, **cells})
    return file


def _cells(names: Sequence[str]) -> np.ndarray:
    cells = np.zeros((len(names), 1), dtype=object)
    cells[:, 0] = names
    return cells


def oxford(folder: Path) -> Path:
    pictures(folder / "jpg", OXFORD_IMAGES)
    classic_texts(folder / "gt_files_170407")
    return folder


def paris(folder: Path) -> Path:
    """Nested folders, files that hold no image, and no prefix in the query files."""
    names = [name.replace("all_souls", "paris_louvre").replace("oxford", "paris_eiffel") for name in OXFORD_IMAGES]
    for name in names:
        picture(folder / "jpg" / "paris" / name.split("_")[1] / f"{name}.jpg")
    for name in ("paris_louvre_000136", "paris_pompidou_000640"):
        (folder / "jpg" / "paris" / name.split("_")[1]).mkdir(exist_ok=True)
        (folder / "jpg" / "paris" / name.split("_")[1] / f"{name}.jpg").write_text("<html>302 Found</html>")
    classic_texts(folder / "paris_120310", names, prefix="")
    with (folder / "paris_120310" / "paris_louvre_1_ok.txt").open("a") as file:
        file.write("paris_louvre_000136\n")
    return folder


def revisited(folder: Path) -> Path:
    pictures(folder / "jpg", [*OXFORD_IMAGES, *REVISITED_QUERIES])
    revisited_pickle(folder / f"gnd_{folder.name}.pkl")
    return folder


def revisited_paris(folder: Path) -> Path:
    pictures(folder / "jpg", [*OXFORD_IMAGES, *REVISITED_QUERIES, "paris_louvre_000001"])
    revisited_mat(folder / "gnd_rparis6k.mat")
    return folder


def million(folder: Path) -> Path:
    names = [f"{number % 2}/{number:04d}.jpg" for number in range(6)]
    pictures(folder / "jpg", names, suffix="")
    (folder / "revisitop1m.txt").write_text("\n".join(names) + "\n")
    return folder


def corel(folder: Path) -> Path:
    for number in (0, 1, 99, 100, 900, 999):
        picture(folder / "image.orig" / f"{number}.jpg")
    return folder


def with_million(folder: Path) -> Path:
    million(folder.parent / "revisitop1m")
    return revisited(folder) if folder.name == "roxford5k" else revisited_paris(folder)


MINIATURES = {
    "oxford5k": oxford,
    "paris6k": paris,
    "roxford5k": revisited,
    "rparis6k": revisited_paris,
    "roxford5k_1m": with_million,
    "rparis6k_1m": with_million,
    "revisitop1m": million,
    "holidays": holidays,
    "holidays_upright": holidays,
    "ukbench": ukbench,
    "instre": instre,
    "gldv2": google,
    "gldv2_recognition": google,
    "smvs": smvs,
    "corel1k": corel,
    "cub200": cub,
    "sop": sop,
}
"""What makes each benchmark's miniature in a folder."""
