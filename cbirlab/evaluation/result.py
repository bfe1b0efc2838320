"""Result: the numbers from judging a ranking, and the protocol behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from cbirlab.evaluation.judgement import Judged
from cbirlab.evaluation.protocols import Protocol


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The numbers from judging a ranking, and the protocol behind them.

    Attributes
    ----------
    protocol : prints every choice.
    metrics : means over queries, in [0, 1] except for N-S: "map_medium", "mp@10_medium", and intervals of the
        protocol's main metric, "map_medium_low" and "..._high"; without suffix if the protocol has one level ("map",
        "map_low", "mp@10"). NaN if no query has a positive.
    per_query : the main metric, mostly average precision, of every query (Q,) at every level; NaN if the query has no
        positive there.
    groups : (Q,) queries with the same number share an instance; for `bootstrap` and `paired_difference`.
    judged : level to the ranks of the positives.
    tied : by level, how much the main metric of each query (Q,) depends on the order of equal scores: its value under
        the best order minus that under the worst; 0 if the order changes nothing.
    """

    protocol: Protocol
    metrics: Mapping[str, float]
    per_query: Mapping[str, np.ndarray]
    groups: np.ndarray
    judged: Mapping[str, Judged] = field(default_factory=dict)
    tied: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """Bytes of its arrays."""
        arrays = [self.groups, *self.per_query.values(), *self.tied.values()]
        return sum(one.nbytes for one in arrays) + sum(one.size_bytes for one in self.judged.values())
