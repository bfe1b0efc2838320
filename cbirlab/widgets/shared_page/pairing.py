"""Pairing: the draws and tosses of the paired test, so that a page tests A against B just as the package does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cbirlab.evaluation import title_of
from cbirlab.evaluation.intervals import draw_groups, toss_signs
from cbirlab.widgets.parts.views import LEVELS

MOST_GROUPS = 400
"""With more groups of queries, the draws would take more than a megabyte, and a page tells differences without them."""


def pairing(ap: Mapping[str, np.ndarray], groups: np.ndarray | None) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What a page needs to compare two settings query by query.

    Parameters
    ----------
    ap : level to (S, Q).
    groups : (Q,), queries of one group are drawn together.

    Returns
    -------
    For each level its title, the group of each query (-1 for one that does not count) and the number of groups, 0
    where there is no test; and arrays by name: "draws_G" (2000, G) uint8, and "tosses_G" (10,000, G) as bits.
    """
    levels, arrays = [], {}
    for level, values in ap.items():
        counted, own, names = ~np.isnan(values), np.full(values.shape[1], -1), []
        counted = counted[counted.any(axis=1)]  # the others are of settings that are impossible
        if groups is not None and len(counted) and (counted == counted[0]).all():
            names, own[counted[0]] = np.unique(groups[counted[0]], return_inverse=True)
        count = len(names) if len(names) <= MOST_GROUPS else 0
        levels.append({"title": LEVELS.get(f"map_{level}") or title_of(level), "groups": own.tolist(), "count": count})
        if count and f"draws_{count}" not in arrays:
            arrays[f"draws_{count}"] = np.concatenate([*draw_groups(count)]).astype(np.uint8)
            tosses = np.concatenate([*toss_signs(count)]) > 0
            arrays[f"tosses_{count}"] = np.packbits(tosses, axis=1)
    return levels, arrays
