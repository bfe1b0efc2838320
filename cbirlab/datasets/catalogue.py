"""Catalogue: the facts about each benchmark that need no file of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cbirlab.base.downloads import Source
from cbirlab.base.registry import Registry
from cbirlab.datasets.base import Dataset

DATASETS: Registry[Callable[..., Dataset]] = Registry("dataset")


@dataclass(frozen=True)
class Need:
    """Something that must lie in the benchmark's folder.

    Attributes
    ----------
    what : in words.
    patterns : globs relative to the folder; one file that matches one of them is enough to believe that it is there.
    shared : it is also looked for in the folders of `About.shares`.
    """

    what: str
    patterns: tuple[str, ...]
    shared: bool = False

    @property
    def where(self) -> str:
        """The patterns in words."""
        deep = {pattern.removeprefix("**/") for pattern in self.patterns if pattern.startswith("**/")}
        plain = [pattern for pattern in self.patterns if pattern.removeprefix("**/").removeprefix("*/") not in deep]
        return " or ".join([*(f"{one} in any folder" for one in self.patterns if one in deep), *plain])


@dataclass(frozen=True)
class About:
    """Facts about a benchmark.

    Attributes
    ----------
    protocol : name in `cbirlab.evaluation.PROTOCOLS`.
    images, queries : numbers of the complete benchmark; None if its publishers give no exact number.
    size : on disk, in words.
    licence : who may use it for what, in words.
    citation : the paper to cite.
    needs : what must be in its folder.
    sources : files that can be downloaded; empty if none are offered any more.
    page : where its publishers describe it.
    note : what one has to know before using it.
    folders : names under the data root at which it is looked for; the first is where downloads go.
    shares : benchmarks that have the same images.
    checksums : sha256 of published ground-truth files, by name.
    """

    protocol: str
    images: int | None
    queries: int | None
    size: str
    licence: str
    citation: str
    needs: tuple[Need, ...]
    sources: tuple[Source, ...] = ()
    page: str = ""
    note: str = ""
    folders: tuple[str, ...] = ()
    shares: tuple[str, ...] = ()
    checksums: tuple[tuple[str, str], ...] = ()


def add_benchmark(name: str, loader: str, about: About, *, title: str, reference: str) -> None:
    """Register a benchmark that has to be on the user's disk.

    Parameters
    ----------
    loader : ``"module:attribute"``; called with ``root=None`` and options, returns the `Dataset`.
    """
    DATASETS.add(
        name,
        loader,
        title=title,
        reference=reference,
        bundled=False,
        about=about,
        protocol=about.protocol,
        images=about.images or "",
        queries=about.queries or "",
        size=about.size,
        licence=about.licence,
        note=about.note,
    )


def anywhere(pattern: str) -> tuple[str, ...]:
    """Patterns that match in any folder; the first two also look through links to folders."""
    return pattern, f"*/{pattern}", f"**/{pattern}"


def about(name: str) -> About | None:
    """The facts about a registered benchmark; None for bundled datasets and for own images.

    Raises
    ------
    UnknownName : no dataset of that name.
    """
    return DATASETS.info(name).facts.get("about")
