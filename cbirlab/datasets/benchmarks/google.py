"""Google Landmarks Dataset v2."""

from __future__ import annotations

from dataclasses import replace

from cbirlab.datasets.catalogue import About, Need, Source

_GLD = "https://s3.amazonaws.com/google-landmark"


def _gld(split: str, parts: int) -> tuple[Source, ...]:
    return tuple(
        Source(
            f"{split}_images_{part:03d}.tar",
            (f"{_GLD}/{split}/images_{part:03d}.tar",),
            split,
            digest_url=f"{_GLD}/md5sum/{split}/md5.images_{part:03d}.txt",
        )
        for part in range(parts)
    )


def _gld_table(folder: str, file: str) -> Source:
    return Source(file, (f"{_GLD}/{folder}/{file}",), "metadata")


def _gld_needs(table: str, solution: str, split: str) -> tuple[Need, ...]:
    return (
        *(Need(file, (file, f"*/{file}")) for file in (table, solution)),
        Need(f"{split} images", (f"{split}/?/?/?/*.jpg",)),
        Need("test images", ("test/?/?/?/*.jpg",)),
    )


GLDV2 = About(
    protocol="gldv2",
    images=761_757,
    queries=None,
    size="about 100 GB",
    licence="Annotations CC BY 4.0; test images CC0 or public domain; index images by their own licences.",
    citation="Weyand, Araujo, Cao and Sim: Google Landmarks Dataset v2: a large-scale benchmark for instance-level "
    "recognition and retrieval. CVPR 2020.",
    needs=_gld_needs("index.csv", "retrieval_solution_v2.1.csv", "index"),
    sources=(
        _gld_table("metadata", "index.csv"),
        _gld_table("ground_truth", "retrieval_solution_v2.1.csv"),
        *_gld("test", 20),
        *_gld("index", 100),
    ),
    page="https://github.com/cvdfoundation/google-landmark",
    note="The private queries, which papers report; usage='public' or 'all' takes the others.",
    folders=("gldv2",),
)
GLDV2_RECOGNITION = replace(
    GLDV2,
    protocol="gldv2_recognition",
    images=4_132_914,
    size="about 500 GB",
    licence="Annotations CC BY 4.0; train images CC BY; test images CC0 or public domain.",
    needs=_gld_needs("train.csv", "recognition_solution_v2.1.csv", "train"),
    sources=(
        _gld_table("metadata", "train.csv"),
        _gld_table("metadata", "train_clean.csv"),
        _gld_table("ground_truth", "recognition_solution_v2.1.csv"),
        *_gld("test", 20),
        *_gld("train", 500),
    ),
)
