"""Readers: every function of the package that reads files of others, with good files to damage and hostile ones."""

from __future__ import annotations

import json
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import miniatures
import numpy as np
import pandas as pd
import torch
from PIL import Image
from safetensors.torch import save_file
from scipy.io import savemat

from cbirlab import images, tables
from cbirlab.adaptation.judgements import Judgement, read_judgements, write_judgements
from cbirlab.backbones import weights
from cbirlab.backbones.weights import WeightsError
from cbirlab.base.registry import UnknownName
from cbirlab.datasets.archives import unpack
from cbirlab.datasets.files import MissingImages
from cbirlab.datasets.table import table
from cbirlab.datasets.truth import read_text_truth, read_truth
from cbirlab.fusion import Fusion
from cbirlab.imported_features import FeaturesError, import_features
from cbirlab.pipeline import Recipe
from cbirlab.store import Store
from cbirlab.study.choices import read_ranking
from cbirlab.widgets.panels import saved
from fuzzing import hostile

X = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
NAMES = np.array([f"{row}.jpg" for row in range(9)])


class File(NamedTuple):
    """A file to be damaged; a good one must be read as it is."""

    name: str
    content: bytes
    good: bool


@dataclass(frozen=True)
class Reader:
    """One reader.

    Attributes
    ----------
    read : takes the path of the damaged file.
    make : writes good files into a folder, with what must lie beside them.
    errors : what it may raise, and no subclass of these: its own.
    pattern : which of the files are damaged.
    hostile : files that someone made on purpose, by name.
    named : whether messages name the file.
    """

    read: Callable[[Path], Any]
    make: Callable[[Path], Any]
    errors: tuple[type[Exception], ...] = (ValueError,)
    pattern: str = "*"
    hostile: Callable[[], Mapping[str, bytes]] = dict
    named: bool = True

    def files(self, folder: Path) -> list[File]:
        """The good files, made in `folder`, and the hostile ones."""
        self.make(folder)
        good = [
            File(str(path.relative_to(folder)), path.read_bytes(), True)
            for path in sorted(folder.glob(self.pattern))
            if path.is_file()
        ]
        return good + [File(name, content, False) for name, content in self.hostile().items()]


READERS: dict[str, Reader] = {}


# pictures


def pictures(folder: Path) -> None:
    rng = np.random.default_rng(0)
    look = Image.fromarray(rng.integers(0, 256, (24, 32, 3), np.uint8)).resize((40, 30))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "text"
    saved = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "TIFF": "tif", "BMP": "bmp", "PPM": "ppm"}
    for form, suffix in saved.items():
        look.save(folder / f"plain.{suffix}", form)
    look.save(folder / "turned.jpg", exif=exif, progressive=True)
    look.save(folder / "turned.webp", exif=exif, lossless=True)
    look.save(folder / "frames.gif", save_all=True, append_images=[look.rotate(90)])
    look.convert("CMYK").save(folder / "cmyk.jpg")
    for mode in ("RGBA", "P", "LA", "1"):
        look.convert(mode).save(folder / f"{mode}.png", exif=exif)
    Image.fromarray(np.arange(700, dtype=np.uint16).reshape(20, 35) * 93).save(folder / "deep.png")
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "jpeg"):
        look.save(folder / f"{compression}.tif", compression=compression, exif=exif)
    Image.fromarray(np.linspace(0, 1, 700, dtype=np.float32).reshape(20, 35)).save(folder / "float.tif")


for name, look in {
    "images.size": images.size,
    "images.read": images.read,
    "images.pixels": lambda path: images.pixels(path, image_size=64),
    "images.thumbnail": lambda path: images.thumbnail(path, 32),
}.items():
    READERS[name] = Reader(look, pictures, (images.ImageError,), hostile=hostile.pictures)


# features and rankings of others


def npy(folder: Path) -> None:
    for kind in ("f4", "f8", "f2", "i1", ">f4"):
        np.save(folder / f"{kind.strip('>')}{len(kind)}.npy", np.asfortranarray((X * 10).astype(kind)))
    np.save(folder / "pooled.npy", X[:, :, None, None])


def npz(folder: Path) -> None:
    np.savez(folder / "plain.npz", X=X, names=NAMES)
    np.savez_compressed(folder / "small.npz", X=X, Q=X[:3])


def mat(folder: Path) -> None:
    for version in ("4", "5"):
        savemat(folder / f"{version}.mat", {"X": X.astype(float), "Q": X[:3].astype(float)}, format=version)
    savemat(folder / "small.mat", {"X": X, "names": NAMES.astype(object)}, do_compression=True)


def hdf5(folder: Path) -> None:
    with h5py.File(folder / "plain.h5", "w") as file:
        file["X"] = X
        file["group/names"] = [name.encode() for name in NAMES]
    with h5py.File(folder / "small.hdf5", "w", libver="latest") as file:
        file.create_dataset("X", data=X, chunks=(3, 4), compression="gzip", shuffle=True, fletcher32=True)
    with h5py.File(folder / "seven.mat", "w", userblock_size=512) as file:
        file["X"] = X.T
    with open(folder / "seven.mat", "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: none".ljust(124) + b"\x00\x02IM")


def parquet(folder: Path) -> None:
    frame = pd.DataFrame({"name": NAMES, "vector": [*X]})
    frame.to_parquet(folder / "lists.parquet")
    frame.assign(part=["images"] * 9).to_parquet(folder / "parts.parquet", compression="gzip")
    pd.DataFrame(X, columns=[*"abcd"]).to_parquet(folder / "wide.parquet", compression=None)


def ranking(folder: Path) -> None:
    rows = np.argsort(X @ X.T)[:, ::-1]
    np.savez(folder / "plain.npz", images=rows, scores=np.sort(X @ X.T)[:, ::-1])
    np.savez_compressed(folder / "rows.npz", images=rows.astype(np.int32))


for name, make, bombs in (
    ("npy", npy, hostile.npy),
    ("npz", npz, hostile.npz),
    ("mat", mat, hostile.mat),
    ("hdf5", hdf5, hostile.hdf5),
    ("parquet", parquet, hostile.parquet),
):
    READERS[name] = Reader(lambda path: import_features(path, key=None, count=9), make, (FeaturesError,), hostile=bombs)
READERS["ranking"] = Reader(read_ranking, ranking, hostile=hostile.npz)


# data sets


def pickled(folder: Path) -> None:
    miniatures.classic_pickle(folder / "classic.pkl")
    miniatures.revisited_pickle(folder / "revisited.pkl")
    arrays = [{"ok": np.arange(3), "bbx": np.ones(4) * [0, 0, 2, 2]}]
    truth = {"imlist": np.array(list("abcd"), dtype=object), "qidx": np.array([0]), "gnd": arrays}
    for protocol in (0, 2, 5):
        miniatures.dump(folder / f"arrays{protocol}.pkl", truth, protocol)


def matlab(folder: Path) -> None:
    miniatures.classic_mat(folder / "classic.mat")
    miniatures.revisited_mat(folder / "revisited.mat")
    miniatures.instre_mat(folder / "instre.mat")


def listed(folder: Path) -> None:
    for name in ("a/1.jpg", "a/2.jpg", "b/3.jpg"):
        miniatures.picture(folder / name)
    (folder / "plain.csv").write_text("path,instance\na/1.jpg,a\na/2.jpg,a\nb/3.jpg,\n")
    head = "path,instance,role,x0,y0,x1,y1\n"
    (folder / "spread.csv").write_text("\ufeffid;path\nx;a/1.jpg\nx;a/2.jpg\ny;b/3.jpg\n", encoding="utf-8")
    (folder / "boxes.csv").write_text(
        f'{head}a/1.jpg,"a, b",both,0,0,8,6\na/2.jpg,a,query,1,1,7.5,6\nb/3.jpg,,train,,,,\n'
    )


READERS["truth.pkl"] = Reader(read_truth, pickled, hostile=hostile.pickles)
READERS["truth.mat"] = Reader(read_truth, matlab, hostile=hostile.mat)
READERS["truth.txt"] = Reader(
    lambda path: read_text_truth(path.parent, miniatures.OXFORD_IMAGES),
    miniatures.classic_texts,
    (ValueError, FileNotFoundError),
    named=False,  # what is wrong may show in the file beside it
)
READERS["csv"] = Reader(
    table, listed, (ValueError, FileNotFoundError, MissingImages), pattern="*.csv", hostile=hostile.lists
)


def packed(folder: Path) -> None:
    miniatures.picture(folder / "in" / "jpg" / "a.jpg")
    (folder / "in" / "b.txt").write_text("b" * 3000)
    for suffix in ("tar", "tar.gz"):
        with tarfile.open(folder / f"x.{suffix}", "w:gz" if suffix == "tar.gz" else "w") as made:
            made.add(folder / "in", "in")
    with zipfile.ZipFile(folder / "x.zip", "w", zipfile.ZIP_DEFLATED) as made:
        for path in sorted((folder / "in").rglob("*")):
            made.write(path, path.relative_to(folder))


def unpacked(path: Path) -> None:
    """Whatever comes of it, it stays in its folder, and what is refused leaves nothing there."""
    around = path.parent / "around"
    place = around / "place"
    place.mkdir(parents=True, exist_ok=True)
    try:
        unpack(path, place)
    except ValueError:
        assert not [*place.iterdir()], f"stays behind: {[*place.iterdir()]}"
        raise
    finally:
        assert [*around.iterdir()] == [place], f"lies outside: {[*around.iterdir()]}"
        assert not [one for one in place.rglob("*") if one.is_symlink() or not (one.is_file() or one.is_dir())]
        hostile.remove(place)


READERS["archive"] = Reader(unpacked, packed, pattern="x.*", hostile=hostile.archives)


# weights


def states(folder: Path) -> None:
    state = {"conv.weight": torch.arange(12.0).reshape(3, 4), "conv.bias": torch.ones(3), "n": torch.tensor(3)}
    torch.save({"state_dict": {f"module.{name}": value for name, value in state.items()}, "epoch": 3}, folder / "a.pth")
    torch.save(state, folder / "old.pth", _use_new_zipfile_serialization=False)
    save_file(state, folder / "b.safetensors")


def weights_used(path: Path) -> None:
    module = torch.nn.ModuleDict({"conv": torch.nn.Linear(4, 3)})
    weights.fill(module, weights.match_tensors(weights.read(path), module.state_dict(), path.name), path.name)


READERS["weights"] = Reader(weights_used, states, (WeightsError,), hostile=hostile.states)


# recipes, tables, states of panels


def recipes(folder: Path) -> None:
    (folder / "plain.json").write_text(Recipe().to_json())
    one = Recipe(
        tap="layer3+0.5*layer4", aggregation="crow_spatial > gem(p=4)", passes="grid", whitening="pca(power=0.25)",
        dimensions=64, image_size=320, scales="down", protocol="retrieval", whitening_set="toytown/train",
    )  # fmt: skip
    (folder / "full.json").write_text(one.to_json())


def fusions(folder: Path) -> None:
    members = (Recipe(tap="layer3"), Recipe(tap="layer4", aggregation="mac"))
    (folder / "plain.json").write_text(Fusion(members=members).to_json())
    full = Fusion(members=members, method="rrf(k=30)", weights=(0.3, 0.7))
    (folder / "full.json").write_text(full.to_json())


def table_files(folder: Path) -> None:
    row = {"backbone": "toynet", "map": 0.5, "leak": "", "recipe": Recipe().to_json()}
    for suffix in ("csv", "json", "xlsx"):
        tables.write(pd.DataFrame([row, row | {"map": None}]), folder / f"x.{suffix}")


def table_rows(path: Path) -> None:
    for row in tables.read(path).to_dict("records"):
        tables.read_recipe({str(name): value for name, value in row.items()})


def panel(folder: Path) -> None:
    state = {
        "kind": saved.KIND,
        "dataset": "toytown",
        "recipe": asdict(Recipe()),
        "backbones": {"toynet": None},
        "question": {"query": 0, "image": None, "own": None, "box": [1, 2, 30, 40]},
        "a": {"backbone": "toynet", "weights": None, "state": {"tap": "layer4", "aggregation": "gem", "query": 0}},
        "b": None,
        "compared": False,
        "pinned": [{"row": {"map": 0.5, "recipe": "{}"}, "per_query": {"map": [0.5, None]}, "groups": [0, 1]}],
    }
    (folder / "plain.json").write_text(json.dumps(state))


OF_RECIPES = (ValueError, TypeError, UnknownName)
READERS["recipe"] = Reader(
    lambda path: Recipe.from_json(path.read_text(errors="replace")),
    recipes,
    OF_RECIPES,
    hostile=hostile.texts,
    named=False,
)
READERS["fusion"] = Reader(
    lambda path: Fusion.from_json(path.read_text(errors="replace")),
    fusions,
    OF_RECIPES,
    hostile=hostile.texts,
    named=False,
)
READERS["table"] = Reader(table_rows, table_files, hostile=hostile.tables, named=False)
READERS["panel"] = Reader(saved.read, panel, hostile=hostile.texts)


# judgements


def judgements(folder: Path) -> None:
    said = [Judgement("a/0.jpg", "a/1.jpg", True), Judgement("a/0.jpg", 'b, "c"/2.jpg', False)]
    write_judgements(folder / "clicks.csv", said)
    (folder / "spread.csv").write_text("other;same;picture;note\nb.jpg;YES;a.jpg;clear\nc.jpg;no;a.jpg;\n")


READERS["judgements"] = Reader(read_judgements, judgements, hostile=hostile.tables)


# the store, whose disk may be bad


HELD = {"of": "fuzzing"}


def entry(folder: Path) -> None:
    store = Store(folder / "store")
    store.put("descriptors", HELD, {"x": X}, seconds=1.5)
    store.write_note("images", "a", {"height": 3})


def stored(path: Path) -> None:
    """A damaged entry is removed, so it is tried on a copy."""
    shutil.rmtree("copy", ignore_errors=True)
    store = Store(shutil.copytree("store", "copy"))
    store.entries()
    store.verify()
    held = store.get("descriptors", HELD)
    if held is not None:
        np.testing.assert_array_equal(held.arrays["x"], X)
    store.read_note("images", "a")


READERS["store"] = Reader(stored, entry, (), pattern="store/**/*")

del name, look, make, bombs
