"""Splits: the words that people use for parts of a dataset, and what each part is for."""

from __future__ import annotations

from collections.abc import Collection

_WORDS = {
    "train": "train training",
    "val": "val valid validation dev",
    "test": "test testing",
    "query": "query queries",
    "gallery": "gallery database db index",
    "distractors": "distractors distractor",
}
_PARTS = {word: part for part, words in _WORDS.items() for word in words.split()}

_SEARCHED = ("gallery", "test", "val", "train", "query", "distractors")
"""Which part is the database if there are several: the first of these."""

USED = {
    "both": "searched, each image a query",
    "database": "searched",
    "query": "the queries",
    "train": "learned on",
    "distractor": "searched, without instances",
    "": "left out",
}
"""How a part is used, in words, by its role."""


def part_of(word: str) -> str | None:
    """The part that a word names, in upper or lower case; None if it names none."""
    return _PARTS.get(word.strip().casefold())


def roles(parts: Collection[str]) -> dict[str, str]:
    """What each of `parts` is for, a key of `USED`: one part is searched, `train` is learned on if it is another.

    >>> roles(["train", "val"])
    {'train': 'train', 'val': 'both'}
    >>> roles(["train", "val", "query", "gallery"])
    {'train': 'train', 'val': '', 'query': 'query', 'gallery': 'database'}
    """
    searched = next(part for part in _SEARCHED if part in parts)
    asked = "database" if "query" in parts and searched != "query" else "both"
    fixed = {"query": "query", "train": "train", "distractors": "distractor"}
    return {part: asked if part == searched else fixed.get(part, "") for part in parts}
