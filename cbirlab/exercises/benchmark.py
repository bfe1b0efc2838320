"""Exercises of notebook 11: which descriptor is best, and how sure are we?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cbirlab.evaluation import told_apart
from cbirlab.exercises.base import Solution, exercise, score


@exercise("11_benchmark.prediction", title="The choice that counts most")
def prediction(effects: Mapping[str, float]) -> Solution:
    """`effects`: the range of the means over the values of each choice."""
    return Solution(
        answer=max(effects, key=lambda name: effects[name]),
        why="Ranges of the means: " + ", ".join(f"{name} {value:.3f}" for name, value in effects.items()) + ".",
        hints=("Look into `effects`.",),
    )


@exercise("11_benchmark.1", title="Intervals that overlap")
def overlap(table: Any) -> Solution:
    """`table`: the best row first."""
    count = int(_overlaps(table).sum())
    return Solution(
        answer=count,
        why=f"These are {count} of {len(table) - 1} rows; the intervals alone do not say whether they are worse.",
        hints=(
            f'Compare the column "{score(table)}_high" of each row with "{score(table)}_low" of the first.',
            "The best row itself does not count.",
        ),
        mistakes=((count + 1, "The best row overlaps with itself; it does not count."),),
    )


@exercise("11_benchmark.2", title="Told apart, query by query")
def told_apart_paired(table: Any, paired: Any) -> Solution:
    """`table`: the best row first; `paired`: the differences of the best row and each row, in the same order."""
    apart = np.array([told_apart(*row) for row in paired[["low", "high", "p"]].to_numpy()[1:]])
    count, of_all = int((apart & _overlaps(table)).sum()), int(apart.sum())
    return Solution(
        answer=count,
        why=f"These are {count} of {int(_overlaps(table).sum())} rows whose intervals overlap; of all rows, {of_all}.",
        hints=(
            'The best row is told apart from another one if "low" is above 0 and "p" is at most 0.05.',
            "Count only the rows of exercise 1, whose intervals overlap.",
        ),
        mistakes=((of_all, "That counts all rows: count only those of exercise 1."),) if of_all != count else (),
    )


@exercise("11_benchmark.3", title="Differences that are none")
def false_alarms(tests: int = 20, error: float = 0.05) -> Solution:
    """How many of the tests find, on average, a difference that is not there."""
    return Solution(
        answer=tests * error,
        why=f"With {tests} tests, about one finding is expected by chance: dividing the error by their number "
        "(Bonferroni) is the simplest guard.",
        hints=("Each test errs in 5 % of the cases.", "The mean is the same whether or not the tests are independent."),
        mistakes=(
            (error, "That is the number for one test."),
            (
                1 - (1 - error) ** tests,
                "That is the chance of at least one false finding, if the tests were independent.",
            ),
        ),
    )


@exercise("11_benchmark.4", title="Rows worth considering")
def worth_considering(table: Any) -> Solution:
    """Rows that no other row beats in both mAP and bytes per image."""
    value, size = table[score(table)].to_numpy(), table["bytes_per_image"].to_numpy()
    better = (value[None] >= value[:, None]) & (size[None] <= size[:, None])
    strictly = (value[None] > value[:, None]) | (size[None] < size[:, None])
    count = int((~(better & strictly).any(axis=1)).sum())
    return Solution(
        answer=count,
        why="They lie on the steps of the figure; all others are dominated (Pareto).",
        hints=(
            "Count the rows at which the steps rise.",
            "For each number of bytes, take the best row if it beats all rows with fewer bytes.",
        ),
    )


@exercise("11_benchmark.5", title="The same number again")
def again(table: Any, again: Any) -> Solution:
    """`table`: read from a file; `again`: its first row, carried out once more."""
    name = score(table)
    return Solution(
        answer=float(again.metrics[name] - table[name][0]),
        why="The recipe says everything that the number depends on, and its descriptors come from the store.",
        hints=("Subtract the first row of `read` from `again.metrics`.",),
    )


def _overlaps(table: Any) -> np.ndarray:
    """Whether the interval of each row after the first overlaps with that of the first row, which is the best."""
    name = score(table)
    return (table[f"{name}_high"] >= table[f"{name}_low"].iloc[0]).to_numpy()[1:]
