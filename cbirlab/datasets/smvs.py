"""Stanford Mobile Visual Search: clean pictures of covers, paintings and buildings, searched with phone photos."""

from __future__ import annotations

from pathlib import Path

from cbirlab.datasets.base import Dataset, Query
from cbirlab.datasets.files import image_files
from cbirlab.datasets.roots import absent, root_of
from cbirlab.datasets.table import table

REFERENCE = "Reference"


def smvs(root: str | Path | None = None, *, image_size: int = 640) -> Dataset:
    """Database of reference pictures; the photos of every camera are the queries, each with one right answer.

    If there is a ``groundtruth.csv``, it is read (`cbirlab.datasets.table.table`). Otherwise the published layout gives
    the answers: ``<category>/<camera>/001.jpg`` shows ``<category>/Reference/001.jpg``.

    Parameters
    ----------
    root : folder with the categories, or one of them.
    image_size : long side in pixels.

    Raises
    ------
    FileNotFoundError : no reference pictures at all, or none for some photo.
    """
    folder = root_of("smvs", root)
    if (folder / "groundtruth.csv").is_file():
        return table(folder / "groundtruth.csv", name="smvs", image_size=image_size, published=True)
    shown = list(image_files(folder)) if folder.is_dir() else []
    images = [path for path in shown if path.parent.name == REFERENCE]
    if not images:
        raise absent("smvs", f"a folder {REFERENCE} with images was", root)
    rows = {_object(path): row for row, path in enumerate(images)}
    categories = {path.parent.parent for path in images}
    photos = [path for path in shown if path.parent.parent in categories and path.parent.name != REFERENCE]
    lost = [path for path in photos if _object(path) not in rows]
    if lost:
        raise absent("smvs", f"the reference picture of {len(lost)} photos, the first is {lost[0]}, was", root)
    return Dataset(
        name="smvs",
        images=tuple(images),
        queries=tuple(Query(path) for path in photos),
        labels=tuple({"positive": (rows[_object(path)],)} for path in photos),
        protocol="retrieval",
        image_size=image_size,
        instances=tuple(_object(path) for path in images),
    )


def _object(path: Path) -> str:
    return f"{path.parent.parent.name}/{path.stem}"
