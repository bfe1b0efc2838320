"""Methods of re-ranking by name, chains of them, and how they are carried out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

from cbirlab.base.methods import Method, parse_method
from cbirlab.base.registry import Registry
from cbirlab.reranking.answers import Answers
from cbirlab.reranking.non_metric import learn as learn_nonmetric

RERANKERS: Registry[Any] = Registry("re-ranking")
"""Functions of `Answers` and their own parameters, that give other `Answers`. Facts: `needs`, what they read beside the
ranking: "vectors" of queries and database, "neighbours" of every image of it too, "pictures", or "maps" of the network;
`side`, "query" or, if they change the database, "database"; `transductive`, the parameter with which an answer depends
on the other queries; `published`, the published parameters where ours are others; `tried`, values of parameters that
are worth trying, all combined; `features`, the kind of features of the first `top` pictures that it compares; `learns`,
a function of the rows and the labels of the learning set, and of the method's parameters, that gives what the method
takes as `learned`, arrays by name."""

NONE, ARROW = "none", ">"


def _add(name: str, target: str, title: str, reference: str = "", *, needs: str = "vectors", **facts: Any) -> None:
    place = f"cbirlab.reranking.{target}"
    RERANKERS.add(name, place, title=title, reference=reference, needs=needs, **{"side": "query", **facts})


_add(NONE, "expansion:unchanged", "None", needs="nothing")
_add(
    "aqe",
    "expansion:aqe",
    "AQE: average query expansion",
    "Chum et al., ICCV 2007",
    published={"k": 10},
    tried={"k": (1, 2, 3, 5, 10)},
)
_add(
    "decay",
    "expansion:decay",
    "AQE with decay",
    "Gordo et al., IJCV 2017",
    needs="neighbours",
    published={"mutual": False},
    tried={"k": (3, 5, 10, 20), "mutual": (True, False)},
)
_add(
    "alpha_qe",
    "expansion:alpha_qe",
    "α-query expansion",
    "Radenović et al., TPAMI 2019",
    published={"k": 50},
    tried={"k": (2, 3, 5, 10), "alpha": (1.0, 3.0, 6.0)},
)
_add(
    "dba",
    "expansion:dba",
    "DBA: database-side augmentation",
    "Arandjelović and Zisserman, CVPR 2012",
    needs="neighbours",
    side="database",
    published={"k": 10},
    tried={"k": (2, 3, 5, 10), "alpha": (0.0, 3.0)},
)
_add(
    "k_reciprocal",
    "k_reciprocal:k_reciprocal",
    "k-reciprocal encoding",
    "Zhong et al., CVPR 2017",
    needs="neighbours",
    transductive="joint",
    published={"k1": 20, "k2": 6, "share": 0.3, "joint": True},
    tried={"k1": (6, 10, 15, 20), "k2": (2, 3, 6), "share": (0.3, 0.6)},
)
_add(
    "k_reciprocal_graph",
    "reciprocal_graph:k_reciprocal_graph",
    "k-reciprocal encoding as a graph",
    "Zhang et al., 2020",
    needs="neighbours",
    transductive="joint",
    published={"k1": 26, "k2": 7, "joint": True},
    tried={"k1": (6, 10, 15, 26), "k2": (2, 3, 7), "share": (0.1, 0.3)},
)
_add(
    "rank_neighbours",
    "ranks:rank_neighbours",
    "Ranks of neighbours",
    "Shen et al., CVPR 2012",
    tried={"k": (2, 5, 10, 20)},
)
_add(
    "diffusion",
    "diffusion:diffusion",
    "Diffusion",
    "Iscen et al., CVPR 2017",
    needs="neighbours",
    published={"k": 49, "kq": 10, "alpha": 0.99, "steps": 20},
    tried={"k": (10, 20, 49), "kq": (3, 5, 10), "alpha": (0.9, 0.99), "steps": (2, 3, 20)},
)
_add(
    "diffusion_offline",
    "inverse:diffusion_offline",
    "Diffusion by stored columns",
    "Yang et al., AAAI 2019",
    needs="neighbours",
    published={"k": 49, "kq": 10, "alpha": 0.99},
    tried={"k": (10, 20, 49), "kq": (3, 5), "alpha": (0.9, 0.99)},
)
_add(
    "diffusion_spectral",
    "inverse:diffusion_spectral",
    "Diffusion by eigenvectors",
    "Iscen et al., CVPR 2018",
    needs="neighbours",
    tried={"k": (10, 20, 50), "kq": (3, 5), "alpha": (0.9, 0.99)},
)
_add(
    "rdp",
    "diffusion:rdp",
    "RDP: regularised diffusion process",
    "Bai et al., AAAI 2017",
    needs="neighbours",
    tried={"k": (10, 20, 50), "kq": (3, 5), "steps": (3, 20)},
)
_add(
    "super_global",
    "super_global:super_global",
    "SuperGlobal",
    "Shao et al., ICCV 2023",
    published={"k": 9},
    tried={"top": (100, 400), "k": (3, 9)},
)
_add(
    "spatial",
    "spatial:spatial",
    "Spatial verification of keypoints",
    "Philbin et al., CVPR 2007",
    needs="pictures",
    features="keypoints",
    published={"order": "inliers"},
)
_add(
    "columns",
    "spatial:columns",
    "Spatial verification of map columns",
    "after Hausler et al., CVPR 2021",
    needs="maps",
    features="maps/{tap}",
    published={"order": "inliers"},
)
_add(
    "nonmetric",
    "non_metric:nonmetric",
    "Non-metric similarity",
    "Garcia and Vogiatzis, IVC 2019; survey, Eq. 12",
    learns=learn_nonmetric,
)


class Reranking(Method):
    """A method of re-ranking, or a chain of them, as recipes name it.

    >>> Reranking.parse("dba > aqe(k=5)")
    'dba > aqe(k=5)'

    Parameters
    ----------
    name : of the last method, in `RERANKERS`.
    before : those that come before it.

    Raises
    ------
    UnknownName, TypeError : as `Method`.
    ValueError : "none" in a chain, or a method that changes the database after one that does not.
    """

    registry: ClassVar[Registry[Any]] = RERANKERS
    terse: ClassVar[bool] = True
    before: tuple[Reranking, ...]

    def __new__(
        cls,
        name: str,
        params: Iterable[tuple[str, Any]] | Mapping[str, Any] = (),
        before: Iterable[Reranking] = (),
    ) -> Self:
        last, earlier = super().__new__(cls, name, params), tuple(before)
        self = str.__new__(cls, f" {ARROW} ".join([*earlier, last]))
        self.name, self.params, self.before = last.name, last.params, earlier
        if earlier and any(not step.used for step in self.steps):
            raise ValueError(f"rerank: a chain must be of methods, got 'none' in {str(self)!r}; leave it out.")
        sides = [step.fact("side") for step in self.steps]
        if sides != sorted(sides):
            raise ValueError(
                f"rerank: methods that change the database, as 'dba', must come before all others, got {str(self)!r}."
            )
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:
        return self.name, self.params, self.before

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``"decay"``, ``"aqe(k=5)"`` or ``"dba(k=3) > decay > spatial(top=50)"``.

        Raises
        ------
        ValueError, UnknownName, TypeError : as the class and `Method.parse` do.
        """
        if isinstance(text, cls):
            return text
        *earlier, last = (parse_method(cls.registry.kind, one) for one in str(text).split(ARROW))
        return cls(*last, [cls(*one) for one in earlier])

    @classmethod
    def chained(cls, steps: Sequence[Self]) -> Self:
        """The methods one after the other; "none" for none."""
        return cls(steps[-1].name, steps[-1].params, steps[:-1]) if steps else cls(NONE)

    @property
    def steps(self) -> tuple[Reranking, ...]:
        """The methods of the chain, each alone."""
        return (*self.before, type(self)(self.name, self.params)) if self.before else (self,)

    @property
    def used(self) -> bool:
        """Whether anything is re-ranked."""
        return self.name != NONE

    @property
    def needs(self) -> set[str]:
        """What its methods read, see `RERANKERS`."""
        return {step.fact("needs") for step in self.steps}

    @property
    def compares_pictures(self) -> bool:
        """Whether any of its methods looks at more than descriptors."""
        return bool(self.needs & {"pictures", "maps"})

    @property
    def learns(self) -> bool:
        """Whether any of its methods learns from the labels of the learning set."""
        return any(step.fact("learns") for step in self.steps)

    @property
    def changes_database(self) -> bool:
        """Whether its first method changes the database, which no index of the old one can search."""
        return self.steps[0].fact("side") == "database"

    @property
    def transductive(self) -> bool:
        """Whether an answer depends on which other queries are asked."""
        return any(step.parameters.get(step.fact("transductive", "")) is True for step in self.steps)


def rerank_answers(answers: Answers, method: str | Reranking) -> Answers:
    """Carry out a chain of methods.

    Raises
    ------
    ValueError : one of them learns, and nothing was learned for it.
    """
    for step in Reranking.parse(method).steps:
        learned = {"learned": answers.learned_by(step)} if step.learns else {}
        answers = step.target()(answers, **learned, **step.parameters)
    return answers
