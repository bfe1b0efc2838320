"""Trained weights: what `cbirlab.adaptation` has learned, in a folder of files that are named by their training.

A file holds a plain state dict of the network, and in its header what it was trained by. Its label, "trained-" and
digits of the training's hash, stands in tables and in the keys of descriptors; names that people give are aliases.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cbirlab.base.aside import written_aside

FOLDER_VARIABLE = "CBIRLAB_TRAINED"
LABEL = "trained-"
TRAINED = "trained:"
"""Stands before the name of a whitening or an aggregation that was trained here."""

HEADS = "head"
"""Stands for the name of a network where heads over descriptors are kept."""

POOLED = "pooling"
"""Stands for the name of a network where poolings over maps are kept."""

DIGITS = 16
_ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HEADER_BYTES = 64 << 20


def trained_folder() -> Path:
    """``CBIRLAB_TRAINED``, or a folder among the user's data: unlike the store, it holds what cannot be remade."""
    given = os.environ.get(FOLDER_VARIABLE)
    if given:
        return Path(given).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir("cbirlab")) / "trained"


def folder_of(name: str) -> Path:
    """The folder of the network `name`."""
    return trained_folder() / re.sub("[:/]", "_", name)


def label_of(key: str) -> str:
    """The label of weights whose training has this hash."""
    return f"{LABEL}{key[:DIGITS]}"


def file_of(name: str, label: str) -> Path | None:
    """The file of trained weights of the network `name`, by label or alias; None if there is none."""
    label = resolve(name, label)
    path = folder_of(name) / f"{label}.safetensors"
    return path if label.startswith(LABEL) and path.is_file() else None


def resolve(name: str, label: str) -> str:
    """The label that an alias of the network `name` stands for; other labels come back as they are."""
    if not _ALIAS.fullmatch(label):
        return label
    try:
        found = (folder_of(name) / f"{label}.alias").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return label
    return found if found.startswith(LABEL) and _ALIAS.fullmatch(found) else label


def check_alias(name: str, alias: str, *, replace: bool = False) -> str:
    """Return an alias that may be given to trained weights of the network `name`.

    Raises
    ------
    ValueError : other characters than letters, digits, ".", "_" and "-"; "random" or a label that is published; an
        alias that stands for other weights, unless it shall `replace` them.
    """
    from cbirlab.backbones.catalogue import RANDOM
    from cbirlab.backbones.published_weights import releases

    if not _ALIAS.fullmatch(alias) or alias.startswith(LABEL):
        raise ValueError(
            f"name: must be at most 64 letters, digits, '.', '_' or '-', and not begin with {LABEL!r}, got {alias!r}."
        )
    if alias in (RANDOM, *releases(name)):
        raise ValueError(f"name: {alias!r} is the label of other weights of {name}; choose another.")
    if resolve(name, alias) != alias and not replace:
        raise ValueError(
            f"name: {alias!r} stands for {resolve(name, alias)} of {name} already; choose another, or replace it "
            "(replace=True, --replace)."
        )
    return alias


def give_alias(name: str, alias: str, label: str) -> None:
    """Let `alias` stand for trained weights of the network `name`, in one step."""
    path = folder_of(name) / f"{alias}.alias"
    with written_aside(path) as aside:
        aside.write_text(label, encoding="utf-8")


def aliases(name: str) -> dict[str, str]:
    """Alias to label, of the weights of the network `name` that are there."""
    found = sorted(folder_of(name).glob("*.alias"))
    named = {path.stem: resolve(name, path.stem) for path in found}
    return {alias: label for alias, label in named.items() if file_of(name, label)}


def record_of(path: Path) -> dict[str, Any]:
    """What the header of a file of weights says of their training; empty if it says nothing."""
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size)) if size <= _HEADER_BYTES else {}
        found = json.loads(header["__metadata__"]["cbirlab"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def trained_record(name: str, label: str | None) -> Mapping[str, Any]:
    """What is known of the training of weights, by label or alias; empty for weights that were not trained here."""
    path = file_of(name, label) if label else None
    return record_of(path) if path else {}
