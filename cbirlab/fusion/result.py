"""Result: what a fusion gave, and its row in a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cbirlab.fusion.recipe import Fusion
from cbirlab.pipeline import Recipe, Run, table_row
from cbirlab.pipeline.learning_sets import train_name
from cbirlab.pipeline.recipe import right_of_maps
from cbirlab.pipeline.result import Outcome, count_left_out

COSTS = ("forward_passes", "ms_per_image")
"""Columns that say what it costs to describe an image; members of one bench share the passes."""


@dataclass(frozen=True, eq=False, kw_only=True)
class FusedRun(Outcome):
    """What a fusion gave; reads like a `Run`.

    Its steps are "load", "extract" (and search of the members), "balance" (and whitening of what is joined), "search"
    (the fusion) and "evaluate"; its bytes are those of one index, or of the indexes of all members.

    Attributes
    ----------
    recipe : the fusion, its members resolved, so that it can be run again.
    members : the run of each member.
    member_weights : one per member, as used.
    """

    recipe: Fusion
    members: tuple[Run, ...]
    member_weights: tuple[float, ...]

    @property
    def weights(self) -> str:
        """What tables call the weights of the networks."""
        return str(_joined([member.weights for member in self.members]))

    @property
    def ms_per_query(self) -> float:
        """Milliseconds of search per query, including the members' own searches if the fusion needs them."""
        own, early = super().ms_per_query, self.recipe.method.stage == "descriptors"
        if early or any(member.ranking.complete is not None for member in self.members):
            return own  # lists that are not kept are searched again during the fusion
        return own + sum(member.ms_per_query for member in self.members)


def fused_row(result: FusedRun) -> dict[str, Any]:
    """The row of a table: the columns of `cbirlab.pipeline.table_row`, and "fusion" and "fusion_weights".

    Values that the members share appear once, values in which they differ as "a + b".
    """
    rows = [table_row(run) for run in result.members]
    row = {name: _joined([one[name] for one in rows]) for name in rows[0]}
    row |= {name: value for name, value in result.metrics.items() if name in row}
    if result.recipe.whitening != "none":
        sets = [*(one["whitening_set"] for one in rows), train_name(result.dataset)]
        row |= {"whitening": f"{row['whitening']} > {result.recipe.whitening}", "whitening_set": _joined(sets)}
    row |= {name: getattr(result, name) for name in ("dim", "ms_per_query", "bytes_per_image", "leak")}
    row["build_seconds"] = round(result.build_seconds, 3)
    row |= {name: _cost([one[name] for one in rows], result.recipe.members) for name in COSTS if name in row}
    row["best_of"] = 1 + len(result.searches)
    row |= count_left_out(result)
    del row["recipe"]
    weights = " + ".join(f"{weight:.3g}" for weight in result.member_weights)
    return {**row, "fusion": str(result.recipe.method), "fusion_weights": weights, "recipe": result.recipe.to_json()}


def same_maps(members: Sequence[Recipe]) -> list[list[int]]:
    """Groups of members, by position, that take their descriptors from the same maps."""
    groups: dict[str, list[int]] = {}
    for place, recipe in enumerate(members):
        groups.setdefault(repr(recipe.without(*right_of_maps())), []).append(place)
    return list(groups.values())


def _cost(values: Sequence[float], members: Sequence[Recipe]) -> float:
    """Costs added up; members that share their passes count once."""
    return sum(max(values[place] for place in places) for places in same_maps(members))


def _joined(values: Sequence[Any]) -> Any:
    """One value if all agree, else "a + b"."""
    told = [value for value in values if value not in ("", None)]
    return told[0] if told and len({*told}) == 1 else " + ".join(map(str, told))
