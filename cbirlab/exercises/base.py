"""What an exercise is, and how an answer is judged.

An exercise is one function of what the notebook has measured; it gives the right answer, why it is right, hints, and
the wrong answers whose cause is known::

    @exercise("2_pooling.1", title="GeM by hand")
    def gem_by_hand() -> Solution:
        return Solution(9 ** (1 / 3), "the mean of the cubes is 9", hints=("Three steps: power, mean, root.",))
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from cbirlab import evaluation
from cbirlab.base.registry import Registry

CLOSE = 0.05
"""Relative error up to which a number is called close, though not right."""


@dataclass(frozen=True, kw_only=True)
class Solution:
    """The right answer of an exercise, and what to say about other answers.

    Attributes
    ----------
    answer : a number, a word, a list of numbers, or a set of words.
    why : what to say after "Right."
    hints : one for each wrong answer in turn; the last one stays.
    mistakes : wrong answers whose cause is known, and what to say about them.
    tolerance : largest relative error of a number; integers, which are counted, must be exact.
    """

    answer: Any
    why: str
    hints: tuple[str, ...]
    mistakes: tuple[tuple[Any, str], ...] = ()
    tolerance: float = 0.005


class Verdict(NamedTuple):
    """Whether an answer is right, None if there is none yet; and the sentence to print."""

    right: bool | None
    sentence: str


EXERCISES: Registry[Callable[..., Solution]] = Registry("exercise")
"""All exercises by notebook and number, "2_pooling.1"; the title says what the exercise is about."""

_wrong: defaultdict[str, dict[str, int]] = defaultdict(dict)
"""For each exercise, the wrong answers given so far and the hint that each one got."""


def exercise(name: str, *, title: str) -> Callable[[Callable[..., Solution]], Callable[..., Solution]]:
    """Register a function as an exercise."""
    return EXERCISES.register(name, title=title)


def solution(name: str, **given: Any) -> Solution:
    """The solution of an exercise, for lecturers and for tests.

    Parameters
    ----------
    name : in `EXERCISES`.
    given : tables and runs of the notebook that the solution follows from.

    Raises
    ------
    UnknownName : no such exercise.
    TypeError : the exercise needs something that was not given.
    """
    return EXERCISES[name](**given)


def check(name: str, answer: Any, **given: Any) -> None:
    """Print whether an answer is right, or a hint.

    Parameters
    ----------
    answer : ``...`` as long as there is none.
    name, given : as in `solution`.
    """
    seen = _wrong[name]
    key = repr(answer)
    verdict = judge(name, answer, tried=seen.get(key, len(seen)), **given)
    if verdict.right is False:
        seen.setdefault(key, len(seen))
    print(verdict.sentence)


def judge(name: str, answer: Any, *, tried: int = 0, **given: Any) -> Verdict:
    """Whether an answer is right, as data.

    Parameters
    ----------
    tried : number of wrong answers before this one; it chooses the hint.
    name, given : as in `solution`.
    """
    expected = solution(name, **given)
    if answer is ... or answer is None:
        return Verdict(None, "Not answered yet: put your answer in place of the dots, and run it again.")
    wanted, kind = expected.answer, _kind(answer, expected.answer)
    if kind == _kind(wanted, wanted) and _same(answer, wanted, expected.tolerance):
        return Verdict(True, f"Right. {expected.why}")
    for mistake, sentence in expected.mistakes:
        if kind == _kind(mistake, wanted) and _same(answer, mistake, expected.tolerance):
            return Verdict(False, f"Not yet. {sentence}")
    if kind != _kind(wanted, wanted):
        return Verdict(False, f"Not yet: the answer is {_kind(wanted, wanted)}, got {answer!r:.60}.")
    if isinstance(wanted, float) and _same(answer, wanted, CLOSE):
        return Verdict(False, "Not yet, but close: give one more digit.")
    return Verdict(False, f"Not yet. {expected.hints[min(tried, len(expected.hints) - 1)]}")


def _kind(value: Any, like: Any) -> str:
    """What a value is, in words; an answer that should be a set may come as a list or as one word."""
    if isinstance(value, bool | np.bool_):
        return "yes or no, as a word"
    if isinstance(value, int | float | np.number):
        return "a number"
    if isinstance(like, set | frozenset) and _words(value) is not None:
        return "a list of words"
    if isinstance(value, str):
        return "a word"
    if isinstance(value, list | tuple | np.ndarray) and all(_kind(part, like) == "a number" for part in value):
        return f"a list of {len(value)} numbers"
    return "something else"


def _same(answer: Any, wanted: Any, tolerance: float) -> bool:
    if isinstance(wanted, set | frozenset):
        return _words(answer) == _words(wanted)
    if isinstance(wanted, str):
        return isinstance(answer, str) and _word(answer) == _word(wanted)
    given, right = np.asarray(answer, float), np.asarray(wanted)
    tolerance = 0 if right.dtype.kind == "i" else tolerance  # counts are not rounded
    return given.shape == right.shape and bool(np.allclose(given, right, rtol=tolerance, atol=1e-9))


def _words(value: Any) -> frozenset[str] | None:
    """A set of words; None if it is something else."""
    members = [value] if isinstance(value, str) else value
    if not isinstance(members, list | tuple | set | frozenset) or not all(isinstance(one, str) for one in members):
        return None
    return frozenset(_word(one) for one in members)


def _word(text: str) -> str:
    """A name without capitals, and a method without its parameters: "GeM" is "gem(p=3)"."""
    return text.strip().casefold().partition("(")[0]


def score(table: Any) -> str:
    """The column by which a table of `cbirlab.compare` is judged: Medium, or the only level."""
    others = (name for name in table if f"{name}_low" in table and name != "difference")
    return "map_medium" if "map_medium" in table else next(others, "map")


def best(table: Any, column: str) -> Any:
    """The value of `column` in the row with the highest mAP."""
    return table[column].iloc[int(np.nanargmax(table[score(table)]))]


def told_apart(wins: Any) -> tuple[str, str]:
    """Whether the first of two runs is better, "yes", "no" or "cannot tell", and the interval and p behind it.

    Parameters
    ----------
    wins : from `cbirlab.versus`.
    """
    low, high, mean = (float(wins.attrs[name]) for name in ("low", "high", "mean_difference"))
    p = float(wins.attrs.get("p", np.nan))
    word = ("yes" if low > 0 else "no") if evaluation.told_apart(low, high, p) else "cannot tell"
    return word, f"{mean:+.3f} with the 95 % interval [{low:+.3f}, {high:+.3f}] and p {p:.2g}"
