"""Files of trainings: finished weights and checkpoints, each written aside and put in its place in one step."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbirlab.backbones.trained import folder_of, record_of
from cbirlab.base.aside import written_aside
from cbirlab.base.notices import notify
from cbirlab.store import StoreUnwritable

if TYPE_CHECKING:
    from torch import Tensor


def weights_path(backbone: str, label: str) -> Path:
    """Where finished weights are."""
    return folder_of(backbone) / f"{label}.safetensors"


def checkpoint_path(backbone: str, label: str) -> Path:
    """Where a training that is not finished is kept."""
    return folder_of(backbone) / f"{label}.checkpoint"


def write(path: Path, tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> None:
    """Write tensors with a record in their header.

    Raises
    ------
    StoreUnwritable : no space, or no permission; nothing is left behind.
    """
    from safetensors.torch import save_file

    make_room(path)
    try:
        with written_aside(path) as aside:
            save_file(dict(tensors), aside, metadata={"cbirlab": json.dumps(dict(record))})
    except Exception as error:  # safetensors has an error of its own for a full disk
        raise _unwritable(path, error) from error


def make_room(path: Path) -> None:
    """Make the folder of a file; called before training too, so that no hour is lost on one that cannot be made.

    Raises
    ------
    StoreUnwritable : it cannot be made, or not be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(path.parent, os.W_OK):
            raise PermissionError("no permission")
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: Exception) -> StoreUnwritable:
    return StoreUnwritable(
        f"{path}: cannot be written ({error}); free some space, or set CBIRLAB_TRAINED to a folder that is writable."
    )


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Tensors and record of a checkpoint; None if there is none, and, with a warning, if it is damaged."""
    if not path.is_file():
        return None
    from safetensors.torch import load_file

    try:
        tensors, record = load_file(path), record_of(path)
    except Exception as error:  # damaged bytes raise nearly anything
        notify(f"{path}: the checkpoint is damaged, so training begins anew: {error}")
        return None
    return (tensors, record) if record else None
