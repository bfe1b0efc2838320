"""Local weights: whether a network's weights are on this machine, and what it takes to get them if they are not.

File names alone decide this, without loading torch, so that menus and lists can ask for every network.
"""

from __future__ import annotations

from dataclasses import dataclass

from cbirlab.backbones.catalogue import BACKBONES, NO_WEIGHTS, RANDOM, Source, lacking
from cbirlab.backbones.published_weights import Release, releases
from cbirlab.backbones.trained import file_of
from cbirlab.backbones.weights import FOLDER_VARIABLE, WeightsError, hub_folder, own_file, own_files
from cbirlab.datasets.bundled import bundled_file, how_to_get


@dataclass(frozen=True)
class Availability:
    """One set of weights of a network.

    Attributes
    ----------
    here : it can be loaded without a download.
    where : if here, the place in words: "bundled", a file, "no weights needed".
    takes : if not here, what it takes to get them; short enough for a menu.
    instructions : the same, with everything that one needs to know.
    """

    here: bool
    where: str = ""
    takes: str = ""
    instructions: str = ""

    def __str__(self) -> str:
        return self.where if self.here else self.takes


def availability(name: str, weights: str | None = None) -> Availability:
    """Whether `load_backbone` has these weights of the network `name` without a download; no file is opened.

    Parameters
    ----------
    weights : None for the default ones, a label of `releases`, or "random".

    Raises
    ------
    UnknownName : no network of that name.
    WeightsError : no weights with that label.
    """
    facts = BACKBONES.info(name).facts
    published = releases(name)
    if weights is None and facts["weights"] == NO_WEIGHTS:
        return Availability(True, "no weights needed")
    if weights is None and facts["bundled"]:
        there, get = bundled_file(facts["bundled"]).is_file(), how_to_get(facts["bundled"])
        return Availability(there, "bundled", get, get)
    if extra := lacking(name):
        return Availability(False, takes=f"{facts['requires']} ({extra})", instructions=f"{extra} first")
    try:
        own_files()
    except WeightsError as error:
        return Availability(False, takes="a folder that exists", instructions=str(error))
    if weights == RANDOM:
        return Availability(True, "random, nothing is loaded")
    if weights is not None and (trained := file_of(name, weights)):
        return Availability(True, str(trained))
    if weights is not None:
        return _of_release(_known(name, weights, published))
    default = published.get(facts["weights"])
    if default is not None and (found := _of_release(default)).here:
        return found
    own = _own(name, published)
    if own.here or own.takes:
        return own
    return _of_release(default) if default is not None else _of_source(facts["source"])


def backbones_here() -> list[str]:
    """Names of the registered networks that need no download."""
    return [name for name in BACKBONES if availability(name).here]


def _known(name: str, label: str, published: dict[str, Release]) -> Release:
    if label not in published:
        options = ", ".join(published) or "none"
        raise WeightsError(f"{name}: weights must be one of its published sets ({options}), got {label!r}.")
    return published[label]


def _of_release(release: Release) -> Availability:
    cached = hub_folder() / release.file
    found = next((path for path in [*own_files(), cached] if path.name == release.file and path.is_file()), None)
    if found is not None:
        return Availability(True, str(found))
    return Availability(
        False,
        takes=f"a download of {release.megabytes:.0f} MB",
        instructions=f"{release.file} is fetched at first use ({release.megabytes:.0f} MB); without a network put it "
        f"into the folder that {FOLDER_VARIABLE} names, or into {cached.parent}",
    )


def _own(name: str, published: dict[str, Release]) -> Availability:
    """A file of the user's; if several could be meant, `takes` says so."""
    try:
        found = own_file(name, [one.file for one in published.values()])
    except WeightsError as error:
        return Availability(False, takes="the path of one file", instructions=str(error))
    return Availability(found is not None, str(found.path) if found else "")


def _of_source(source: Source | None) -> Availability:
    if source is None:
        return Availability(False, takes="a file of yours", instructions="none are published: pass the path of a file")
    if source.here():
        return Availability(True, source.label)
    return Availability(False, takes=source.takes, instructions=f"takes {source.takes}")
