"""Oxford5k and Paris6k, classic and revisited, and the million distractors that go with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cbirlab.datasets.base import Dataset, Query
from cbirlab.datasets.files import by_stem, first, image_files, inside, locate, present
from cbirlab.datasets.roots import absent, places_of, root_of
from cbirlab.datasets.truth import Truth, instances, read_text_truth, read_truth

CORRUPT_PARIS = tuple(
    f"paris_{name}"
    for name in (
        "louvre_000136 louvre_000146 moulinrouge_000422 museedorsay_001059 notredame_000188 pantheon_000284 "
        "pantheon_000960 pantheon_000974 pompidou_000195 pompidou_000196 pompidou_000201 pompidou_000467 "
        "pompidou_000640 sacrecoeur_000299 sacrecoeur_000330 sacrecoeur_000353 triomphe_000662 triomphe_000833 "
        "triomphe_000863 triomphe_000867"
    ).split()
)
"""The 20 files of Paris6k that hold no image; its publishers list them, and every protocol leaves them out."""

Distractors = str | Path | None


def oxford5k(root: str | Path | None = None, *, distractors: Distractors = None, image_size: int = 1024) -> Dataset:
    """Oxford5k with its original protocol: good and ok are right, junk is ignored, the query stays in the database.

    Ground truth is read from ``gnd_oxford5k.pkl`` or ``.mat`` (which do not tell good from ok), or else from the
    original text files, in any folder below `root`. Images may lie in any folder too.

    Parameters
    ----------
    root : folder of the benchmark; by default as `cbirlab.datasets.roots.root_of` finds it.
    distractors : images added to the database: a folder, or one with ``revisitop1m.txt``.
    image_size : long side in pixels.

    Raises
    ------
    FileNotFoundError : ground truth or images are missing; says which and how to get them.
    ValueError : ground truth that is damaged or contradicts itself.
    """
    return _classic("oxford5k", root, distractors, image_size)


def paris6k(root: str | Path | None = None, *, distractors: Distractors = None, image_size: int = 1024) -> Dataset:
    """Paris6k with its original protocol, without its 20 files that hold no image; otherwise as `oxford5k`."""
    return _classic("paris6k", root, distractors, image_size)


def roxford5k(root: str | Path | None = None, *, distractors: Distractors = None, image_size: int = 1024) -> Dataset:
    """Revisited Oxford: easy, hard and junk images; queries are not in the database. Arguments as for `oxford5k`."""
    return _revisited("roxford5k", root, distractors, image_size)


def rparis6k(root: str | Path | None = None, *, distractors: Distractors = None, image_size: int = 1024) -> Dataset:
    """Revisited Paris; otherwise as `roxford5k`."""
    return _revisited("rparis6k", root, distractors, image_size)


def roxford5k_1m(root: str | Path | None = None, *, image_size: int = 1024) -> Dataset:
    """Revisited Oxford among the million distractors, which are looked for as the dataset ``revisitop1m``."""
    return replace(_revisited("roxford5k", root, root_of("revisitop1m"), image_size), name="roxford5k_1m")


def rparis6k_1m(root: str | Path | None = None, *, image_size: int = 1024) -> Dataset:
    """Revisited Paris among the million distractors, which are looked for as the dataset ``revisitop1m``."""
    return replace(_revisited("rparis6k", root, root_of("revisitop1m"), image_size), name="rparis6k_1m")


def revisitop1m(root: str | Path | None = None, *, image_size: int = 1024) -> Dataset:
    """The million distractors alone: images without queries and ground truth."""
    return Dataset("revisitop1m", images=distractor_images(root_of("revisitop1m", root)), image_size=image_size)


def distractor_images(folder: str | Path) -> tuple[Path, ...]:
    """The images that ``revisitop1m.txt`` lists below ``jpg``, or else every image in the folder.

    Raises
    ------
    FileNotFoundError : no image in it, or listed ones are missing (of a million images, only a sample is looked for).
    """
    folder = Path(folder).expanduser()
    listing = folder / "revisitop1m.txt"
    if listing.is_file():
        jpg = folder / "jpg"
        names = listing.read_text(encoding="utf-8").split()
        return present("revisitop1m", [inside(jpg, name) for name in names], folder)
    found = tuple(image_files(folder)) if folder.is_dir() else ()
    if not found:
        raise absent("revisitop1m", "revisitop1m.txt, or any image, was", folder)
    return found


def _classic(name: str, root: str | Path | None, distractors: Distractors, image_size: int) -> Dataset:
    found = by_stem(places_of(name, root))
    file = _truth_file(name, root)
    if file is None:
        ignored = CORRUPT_PARIS if name == "paris6k" else ()
        text = first(root_of(name, root), "*_query.txt")
        if text is None:
            raise absent(name, "ground truth (gnd_*.pkl, gnd_*.mat or *_query.txt) was", root)
        truth = read_text_truth(text.parent, sorted(stem for stem in found if stem not in ignored), ignored)
    else:
        truth = read_truth(file)
    for query, own, labels in zip(truth.queries, truth.own, truth.labels, strict=True):
        if own is None or own in labels.get("junk", ()):
            raise ValueError(
                f"{name}: {query} must be in the database and not be junk; this is the ground truth of another dataset."
            )
    return _dataset(name, truth, found, root, ("good", "ok"), "classic", distractors, image_size)


def _revisited(name: str, root: str | Path | None, distractors: Distractors, image_size: int) -> Dataset:
    file = _truth_file(name, root)
    if file is None:
        raise absent(name, f"ground truth (gnd_{name}.pkl or .mat) was", root)
    truth = read_truth(file)
    if any(own is not None for own in truth.own) or not all("easy" in labels for labels in truth.labels):
        raise ValueError(
            f"{file}: must have easy and hard labels and no query in the database, as the revisited protocol has."
        )
    found = by_stem(places_of(name, root))
    return _dataset(name, truth, found, root, ("easy", "hard"), "revisited", distractors, image_size)


def _dataset(
    name: str,
    truth: Truth,
    found: dict[str, Path],
    root: str | Path | None,
    positive: Sequence[str],
    protocol: str,
    distractors: Distractors,
    image_size: int,
) -> Dataset:
    folder = root_of(name, root)
    images = locate(name, [_stem(image) for image in truth.images], found, folder)
    paths = locate(name, [_stem(query) for query in truth.queries], found, folder)
    more = () if distractors is None else distractor_images(distractors)
    asked = zip(paths, truth.boxes, truth.own, strict=True)
    return Dataset(
        name=name if distractors is None else f"{name}+{Path(distractors).name}",
        images=(*images, *more),
        queries=tuple(Query(path, box, own) for path, box, own in asked),
        labels=tuple({label: labels.get(label, ()) for label in (*positive, "junk")} for labels in truth.labels),
        protocol=protocol,
        image_size=image_size,
        instances=(*instances(truth, positive), *("" for _ in more)),
    )


def _stem(name: str) -> str:
    """The bare name of an image: names are published without suffix, in Paris sometimes with their folder."""
    return name.removesuffix(".jpg").rpartition("/")[2]


def _truth_file(name: str, root: str | Path | None) -> Path | None:
    folder = root_of(name, root)
    return first(folder, f"gnd_{name}.pkl") or first(folder, f"gnd_{name}.mat")
