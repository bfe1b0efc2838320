"""Protocols: every choice that moves a number, in one object that can be printed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape

from cbirlab.base.registry import Registry
from cbirlab.evaluation.judgement import AP_METHODS
from cbirlab.evaluation.metrics import parse_metrics


@dataclass(frozen=True)
class Level:
    """One list of positives to find.

    Attributes
    ----------
    name : key in `Evaluation.per_query`.
    positive : labels that count as right.
    junk : labels whose images are taken out of the ranking, as if they were not in the database.
    suffix : ending of the names of its metrics: "_hard", or "" if there is only one level.
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
    metrics : computed at every level, names in `METRICS`, with "@k" if they have a cut-off. The first is the main one:
        it has intervals, and comparisons of queries use it.
    average_precision : "trapezoid" or "finite-sum".
    own_image : what to do with the query's own image if it is in the database: "dropped" takes it out as junk, "kept"
        leaves it under the label it has.
    crop : how the query box is used, in words; extraction does this.
    ties : how equal scores are ordered, in words; the index does this.
    remark : anything else worth knowing, in words.
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
    remark: str = ""

    def __post_init__(self) -> None:
        if self.average_precision not in AP_METHODS:
            raise ValueError(
                f"protocol {self.name!r}: average_precision must be one of {', '.join(AP_METHODS)}, "
                f"got {self.average_precision!r}."
            )
        if self.own_image not in ("dropped", "kept"):
            raise ValueError(f"protocol {self.name!r}: own_image must be 'dropped' or 'kept', got {self.own_image!r}.")
        if not self.levels or not self.metrics:
            raise ValueError(f"protocol {self.name!r}: levels and metrics must hold at least one each, got none.")

    @property
    def main(self) -> str:
        """The metric that has intervals and by which queries are compared."""
        return self.metrics[0]

    @property
    def of_query(self) -> str:
        """What tables call the main metric of one query: "ap", or its own name."""
        return "ap" if self.main.partition("@")[0] == "map" else self.main

    @property
    def headline(self) -> str:
        """The one number to quote, a key of `Evaluation.metrics`: the main metric, at the medium level if it exists."""
        return self.main + self.level().suffix

    def level(self, name: str | None = None, owner: str = "protocol") -> Level:
        """The level with this name; by default "medium", or the only one.

        Raises
        ------
        ValueError : no such level; the message begins with `owner`.
        """
        levels = {level.name: level for level in self.levels}
        chosen = name or ("medium" if "medium" in levels else self.levels[0].name)
        if chosen not in levels:
            raise ValueError(f"{owner}: level must be one of {', '.join(levels)}, got {chosen!r}.")
        return levels[chosen]

    def with_average_precision(self, method: str) -> Protocol:
        """The same protocol under the other definition of AP."""
        return replace(self, average_precision=method)

    def with_metrics(self, *metrics: str) -> Protocol:
        """The same protocol with further metrics after its own: ``with_metrics("recall@1", "hit@5")``.

        Raises
        ------
        UnknownName, TypeError, ValueError : no such metric, or an invalid cut-off.
        """
        return replace(self, metrics=tuple(dict.fromkeys((*self.metrics, *parse_metrics(metrics)))))

    def _repr_html_(self) -> str:
        """The protocol as a notebook shows it."""
        return f"<pre>{escape(str(self))}</pre>"

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
            f"  crop: {self.crop}; a recipe may have another",
            f"  ties: {self.ties}",
        ]
        lines += [f"  remark: {self.remark}"] if self.remark else []
        return "\n".join(lines)


PROTOCOLS: Registry[Protocol] = Registry("protocol")

WHOLE = "none: the whole query image"


def _register(protocol: Protocol) -> None:
    PROTOCOLS.add(protocol.name, protocol, title=protocol.title, reference=protocol.reference)


_register(
    Protocol(
        name="revisited",
        title="Revisited Oxford and Paris",
        reference="Radenović et al., CVPR 2018",
        levels=(
            Level("easy", positive=("easy",), junk=("junk", "hard"), suffix="_easy"),
            Level("medium", positive=("easy", "hard"), junk=("junk",), suffix="_medium"),
            Level("hard", positive=("hard",), junk=("junk", "easy"), suffix="_hard"),
        ),
    )
)
_register(
    Protocol(
        name="retrieval",
        title="Retrieval of the same instance",
        levels=(Level("map", positive=("positive",), junk=("junk",)),),
    )
)
_register(
    Protocol(
        name="classic",
        title="Oxford and Paris as first published",
        reference="Philbin et al., CVPR 2007; CVPR 2008",
        levels=(Level("map", positive=("good", "ok"), junk=("junk",)),),
        own_image="kept",
        remark="every query image is in the database and counts as a right answer; the revisited protocol removes it",
    )
)
_register(
    Protocol(
        name="holidays",
        title="INRIA Holidays",
        reference="Jégou, Douze and Schmid, ECCV 2008",
        levels=(Level("map", positive=("positive",)),),
        crop=WHOLE,
        remark="many published numbers were measured on images turned upright by hand",
    )
)
_register(
    Protocol(
        name="ukbench",
        title="UKBench, N-S score",
        reference="Nistér and Stewénius, CVPR 2006",
        levels=(Level("ns", positive=("positive",)),),
        metrics=("ns", "map"),
        own_image="kept",
        crop=WHOLE,
        remark="N-S goes from 0 to 4: each object has four images, with the query itself; do not mix it with mAP",
    )
)
_register(
    Protocol(
        name="instre",
        title="INSTRE",
        reference="Wang and Jiang, TOMM 2015; Iscen et al., CVPR 2017",
        levels=(Level("map", positive=("positive",)),),
    )
)
_register(
    Protocol(
        name="gldv2",
        title="Google Landmarks v2, retrieval",
        reference="Weyand et al., CVPR 2020",
        levels=(Level("map@100", positive=("positive",)),),
        metrics=("map@100",),
        average_precision="finite-sum",
        crop=WHOLE,
        remark="AP of the first 100, divided by min(positives, 100); a query that finds nothing counts as 0",
    )
)
_register(
    Protocol(
        name="gldv2_recognition",
        title="Google Landmarks v2, recognition",
        reference="Weyand et al., CVPR 2020",
        levels=(Level("microap", positive=("positive",)),),
        metrics=("microap", "hit@1"),
        average_precision="finite-sum",
        crop=WHOLE,
        remark="each query predicts the instance of its first image, with that score as confidence; predictions of "
        "queries without a right answer are wrong, and the sum is divided by the queries that have one",
    )
)
_register(
    Protocol(
        name="category",
        title="Metric learning: images of one class",
        reference="Song et al., CVPR 2016; Musgrave et al., ECCV 2020",
        levels=(Level("hit@1", positive=("positive",)),),
        metrics=(
            *("hit@1", "hit@2", "hit@4", "hit@8"),
            *("precision@1", "precision@10", "r_precision", "map_r", "map"),
        ),
        average_precision="finite-sum",
        crop=WHOLE,
        remark="hit@k is the recall@k of metric learning: 1 where any of the first k is right",
    )
)
_register(
    Protocol(
        name="places",
        title="Place recognition",
        reference="Arandjelović et al., CVPR 2016",
        levels=(Level("hit@1", positive=("positive",), junk=("junk",)),),
        metrics=("hit@1", "hit@5", "hit@10", "hit@20"),
        crop=WHOLE,
        remark="hit@k is the recall@N of place recognition: 1 where any of the first N shows the place",
    )
)


def _either(labels: tuple[str, ...]) -> str:
    return " or ".join(labels) or "nothing"
