"""Oxford and Paris, classic and revisited, and their million distractors."""

from __future__ import annotations

from dataclasses import replace

from cbirlab.datasets.catalogue import About, Need, Source, anywhere

_VGG = "https://www.robots.ox.ac.uk/~vgg/data"
_VGG_STORE = "https://thor.robots.ox.ac.uk/datasets"
_CMP = ("http://cmp.felk.cvut.cz/revisitop/data/datasets", "http://cmp.felk.cvut.cz/cnnimageretrieval/data/test")
_DISTRACTORS = "http://ptak.felk.cvut.cz/revisitop/revisitop1m"
_FLICKR = "No licence is stated; the photographs belong to their authors on Flickr: research use."
_BLURRED = (
    "Since 2022 the publishers offer the images with blurred faces (the -v1 archives); the original ones are gone."
)


def _vgg(city: str, file: str, into: str) -> Source:
    store = {"ox": "oxford", "paris": "paris"}[city]
    return Source(file, (f"{_VGG}/{city}buildings/{file}", f"{_VGG_STORE}/{store}-buildings/{file}"), into)


_OXFORD_IMAGES = (_vgg("ox", "oxbuild_images-v1.tgz", "jpg"),)
_PARIS_IMAGES = tuple(_vgg("paris", f"paris_{part}-v1.tgz", "jpg") for part in (1, 2))
_MILLION = (
    Source("revisitop1m.txt", (f"{_DISTRACTORS}/revisitop1m.txt",)),
    *(
        Source(f"revisitop1m.{part}.tar.gz", (f"{_DISTRACTORS}/jpg/revisitop1m.{part}.tar.gz",), "jpg")
        for part in range(1, 101)
    ),
)


def _revisited_truth(name: str) -> Source:
    return Source(f"gnd_{name}.pkl", tuple(f"{base}/{name}/gnd_{name}.pkl" for base in _CMP))


OXFORD = About(
    protocol="classic",
    images=5063,
    queries=55,
    size="1.9 GB",
    licence=_FLICKR,
    citation="Philbin, Chum, Isard, Sivic and Zisserman: Object retrieval with large vocabularies and fast spatial "
    "matching. CVPR 2007.",
    needs=(
        Need("ground truth", (*anywhere("gnd_oxford5k.*"), *anywhere("*_query.txt"))),
        Need("images", anywhere("all_souls_*.jpg"), shared=True),
    ),
    sources=(*_OXFORD_IMAGES, _vgg("ox", "gt_files_170407.tgz", "gt_files_170407")),
    page="https://www.robots.ox.ac.uk/~vgg/data/oxbuildings/",
    note=_BLURRED,
    shares=("roxford5k",),
    checksums=(("gnd_oxford5k.mat", "4860f051ead3168bde85bb3e7b466eeeed7a776f8f74e1837b3d6c7ac094f986"),),
)
PARIS = About(
    protocol="classic",
    images=6392,
    queries=55,
    size="2.5 GB",
    licence=_FLICKR,
    citation="Philbin, Chum, Isard, Sivic and Zisserman: Lost in quantization: improving particular object retrieval "
    "in large scale image databases. CVPR 2008.",
    needs=(
        Need("ground truth", (*anywhere("gnd_paris6k.*"), *anywhere("*_query.txt"))),
        Need("images", anywhere("paris_*.jpg"), shared=True),
    ),
    sources=(*_PARIS_IMAGES, _vgg("paris", "paris_120310.tgz", "paris_120310")),
    page="https://www.robots.ox.ac.uk/~vgg/data/parisbuildings/",
    note=f"{_BLURRED} 20 of the 6,412 files hold no image and are left out.",
    shares=("rparis6k",),
    checksums=(("gnd_paris6k.mat", "511d3a5d37a43469bea9bc611fadd77c4e1f6f26e3db55ce53322df2cd8c13b0"),),
)
REVISITED = About(
    protocol="revisited",
    images=4993,
    queries=70,
    size="1.9 GB",
    licence=_FLICKR,
    citation="Radenović, Iscen, Tolias, Avrithis and Chum: Revisiting Oxford and Paris: large-scale image retrieval "
    "benchmarking. CVPR 2018.",
    needs=(
        Need("ground truth", anywhere("gnd_roxford5k.*")),
        Need("images", anywhere("all_souls_*.jpg"), shared=True),
    ),
    sources=(*_OXFORD_IMAGES, _revisited_truth("roxford5k")),
    page="http://cmp.felk.cvut.cz/revisitop/",
    note=_BLURRED,
    shares=("oxford5k",),
)
REVISITED_PARIS = replace(
    REVISITED,
    images=6322,
    size="2.5 GB",
    needs=(
        Need("ground truth", anywhere("gnd_rparis6k.*")),
        Need("images", anywhere("paris_*.jpg"), shared=True),
    ),
    sources=(*_PARIS_IMAGES, _revisited_truth("rparis6k")),
    shares=("paris6k",),
)


def _with_million(facts: About, folder: str) -> About:
    return replace(
        facts,
        images=(facts.images or 0) + 1_001_001,
        size=f"{facts.size} and the distractors",
        needs=(*facts.needs, Need("distractors (dataset revisitop1m)", ("revisitop1m.txt",), shared=True)),
        note=f"{facts.note} The distractors are a download of their own: cbirlab data get revisitop1m.",
        folders=(folder,),
        shares=(*facts.shares, "revisitop1m"),
    )


MILLION = replace(
    REVISITED,
    images=1_001_001,
    queries=0,
    size="100 archives",
    needs=(Need("list", ("revisitop1m.txt",)), Need("images", ("jpg/*", "jpg/*/*.jpg"))),
    sources=_MILLION,
    note="Distractors for revisited Oxford and Paris: images without queries.",
    shares=(),
)
OXFORD_MILLION = _with_million(REVISITED, "roxford5k")
PARIS_MILLION = _with_million(REVISITED_PARIS, "rparis6k")
