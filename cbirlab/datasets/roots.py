"""Where benchmarks lie on this machine, and which of them are there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cbirlab.datasets.catalogue import DATASETS, About, Need, about

FOLDER_VARIABLE = "CBIRLAB_DATA"


@dataclass(frozen=True)
class Availability:
    """Whether a dataset can be loaded here.

    Attributes
    ----------
    name, title : as in the registry.
    ready : everything that it needs seems to be there (`check` looks closely).
    folder : where it is, or where it is looked for; None for bundled datasets and for own images.
    missing : what is not there, in words.
    hint : what to do about it, one sentence; "" if it is ready.
    """

    name: str
    title: str
    ready: bool
    folder: Path | None = None
    missing: tuple[str, ...] = ()
    hint: str = ""


def data_root() -> Path:
    """``CBIRLAB_DATA``, or the platform's folder for user data."""
    given = os.environ.get(FOLDER_VARIABLE)
    if given:
        return Path(given).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir("cbirlab")) / "datasets"


def root_of(name: str, root: str | Path | None = None) -> Path:
    """The folder of a benchmark: `root` if given, or the one that exists under `data_root`, or its place there."""
    if root is not None:
        return Path(root).expanduser()
    facts = about(name)
    folders = (facts.folders if facts else ()) or (name,)
    places = [data_root() / folder for folder in folders]
    return next((place for place in places if place.is_dir()), places[0])


def places_of(name: str, root: str | Path | None = None) -> list[Path]:
    """Folders in which the images of a benchmark are looked for: its own, then those of benchmarks that share them.

    The search for the latter goes through the folder that holds its own, and through `data_root`.
    """
    own, facts = root_of(name, root), about(name)
    shared = [place for other in (facts.shares if facts else ()) for place in (own.parent / other, root_of(other))]
    return [place for place in dict.fromkeys([own, *shared]) if place.is_dir()]


def missing(name: str, facts: About, root: str | Path | None = None) -> list[Need]:
    """The needs of a benchmark of which nothing is found here; opens no file."""
    own = [place for place in [root_of(name, root)] if place.is_dir()]
    shared = places_of(name, root)
    return [need for need in facts.needs if not _there(need, shared if need.shared else own)]


def availability(name: str, root: str | Path | None = None) -> Availability:
    """Whether a dataset can be loaded here, and what it takes if not; cheap, meant for menus.

    Raises
    ------
    UnknownName : no dataset of that name.
    """
    info, facts = DATASETS.info(name), about(name)
    if facts is None:
        bundled = bool(info.facts.get("bundled"))
        return Availability(name, info.title, bundled, hint="" if bundled else "Give its path instead of a name.")
    lacking = tuple(need.what for need in missing(name, facts, root))
    folder = root_of(name, root)
    return Availability(name, info.title, not lacking, folder, lacking, hint(name, root) if lacking else "")


def hint(name: str, root: str | Path | None = None) -> str:
    """What to do to get a benchmark, in one sentence."""
    facts = about(name)
    where = f"put it into {root_of(name, root)}, set {FOLDER_VARIABLE} to the folder that holds it, or pass root"
    if facts is not None and facts.sources:
        return f"Download it with `cbirlab data get {name}`, or {where}; `cbirlab data show {name}` lists its files."
    return f"It is not offered for download: {where}; `cbirlab data show {name}` lists its files."


def absent(name: str, what: str, root: str | Path | None = None) -> FileNotFoundError:
    """The error for a benchmark that lacks something here; `what` is worded as in "images were"."""
    return FileNotFoundError(f"{name}: {what} not found in {root_of(name, root)}. {hint(name, root)}")


def _there(need: Need, places: list[Path]) -> bool:
    return any(next(place.glob(pattern), None) is not None for place in places for pattern in need.patterns)
