"""Protocols: every choice that moves a number, in one object that can be printed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cbirlab.evaluation.judgement import AP_METHODS
from cbirlab.registry import Registry


@dataclass(frozen=True)
class Level:
    """One list of positives to find.

    Attributes
    ----------
    name : key in `Evaluation.per_query`.
    positive : labels that count as right.
    junk : labels that are taken out of the ranking, as if those images were not in the database.
    suffix : what the names of its metrics end in: "_hard", or "" where there is one level only.
    """

    name: str
    positive: tuple[str, ...]
    junk: tuple[str, ...] = ()
    suffix: str = ""


@dataclass(frozen=True)
class Protocol:
    """How a ranking is judged.

    Attributes
    ----------
    name, title, reference : as in tables.
    levels : judged one by one; rows without a label of a level are wrong answers.
    metrics : computed at every level, names in `METRICS` with "@k" where they have a cut-off.
    average_precision : "trapezoid" or "finite-sum".
    own_image : what becomes of the query's own image where it is in the database: "dropped" takes it out as junk,
        "kept" leaves it under the label it has.
    crop : how the query box is used, in words; done when descriptors are extracted.
    ties : in words; done by the index.
    """

    name: str
    title: str
    levels: tuple[Level, ...]
    reference: str = ""
    metrics: tuple[str, ...] = ("map", "mp@1", "mp@5", "mp@10")
    average_precision: str = "trapezoid"
    own_image: str = "dropped"
    crop: str = "query cut to its box where it has one, at the scale of the whole image"
    ties: str = "equal scores in the order of the image index"

    def __post_init__(self) -> None:
        if self.average_precision not in AP_METHODS:
            raise ValueError(
                f"protocol {self.name!r}: average_precision must be one of {', '.join(AP_METHODS)}, "
                f"got {self.average_precision!r}."
            )
        if self.own_image not in ("dropped", "kept"):
            raise ValueError(f"protocol {self.name!r}: own_image must be 'dropped' or 'kept', got {self.own_image!r}.")

    def with_average_precision(self, method: str) -> Protocol:
        """The same protocol under the other definition of AP."""
        return replace(self, average_precision=method)

    def __str__(self) -> str:
        lines = [f"{self.title} ({self.name})" + (f", {self.reference}" if self.reference else "")]
        for level in self.levels:
            lines.append(
                f"  {level.name}: right = {_either(level.positive)}; ignored = {_either(level.junk)}; rest wrong"
            )
        lines += [
            f"  metrics: {', '.join(self.metrics)}",
            f"  average precision: {self.average_precision}",
            "  a query without a right answer at a level does not count there",
            f"  the query's own image in the database: {self.own_image}",
            f"  crop: {self.crop}",
            f"  ties: {self.ties}",
        ]
        return "\n".join(lines)


PROTOCOLS: Registry[Protocol] = Registry("protocol")

PROTOCOLS.add(
    "revisited",
    Protocol(
        name="revisited",
        title="Revisited Oxford and Paris",
        reference="Radenović et al., CVPR 2018",
        levels=(
            Level("easy", positive=("easy",), junk=("junk", "hard"), suffix="_easy"),
            Level("medium", positive=("easy", "hard"), junk=("junk",), suffix="_medium"),
            Level("hard", positive=("hard",), junk=("junk", "easy"), suffix="_hard"),
        ),
    ),
    title="Revisited Oxford and Paris",
    reference="Radenović et al., CVPR 2018",
)
PROTOCOLS.add(
    "retrieval",
    Protocol(
        name="retrieval",
        title="Retrieval of the same instance",
        levels=(Level("map", positive=("positive",), junk=("junk",)),),
    ),
    title="Retrieval of the same instance",
)


def _either(labels: tuple[str, ...]) -> str:
    return " or ".join(labels) or "nothing"
