"""A workbench in a file: what is written, and how it is brought back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from cbirlab.pipeline import Recipe
from cbirlab.widgets.download import Download
from cbirlab.widgets.sessions import SHARED

if TYPE_CHECKING:
    from cbirlab.session import Session
    from cbirlab.widgets.desk import Desk

KIND = "cbirlab workbench"


def session_of(dataset: Any, backbone: str, options: Mapping[str, Any]) -> Session:
    """A session as it is, or a new one of a dataset."""
    if hasattr(dataset, "rank_query"):
        return dataset
    from cbirlab.session import Session

    return Session(dataset, backbone, **options)


def to_json(workbench: Desk) -> dict[str, Any]:
    """Everything that a user has set, as plain data."""
    first = workbench.sessions.first
    return {
        "kind": KIND,
        "dataset": workbench.dataset.name,
        "recipe": asdict(first.common),
        "backbones": workbench.sessions.weights,
        "question": workbench.question.to_json(),
        "a": workbench.a.to_json(),
        "b": workbench.b and workbench.b.to_json(),
        "compared": workbench.compared,
        "pinned": workbench.comparison.to_json(),
    }


def write(workbench: Desk, path: str | Path) -> Path:
    """Write the state to a file."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(to_json(workbench)), encoding="utf-8")
    return target


def read(path: str | Path) -> dict[str, Any]:
    """A state from a file.

    Raises
    ------
    ValueError : the file holds something else.
    """
    return parsed(Path(path).read_text(encoding="utf-8"), str(path))


def parsed(text: str, name: str) -> dict[str, Any]:
    """A state from the text of a file.

    Raises
    ------
    ValueError : it is something else.
    """
    try:
        state = json.loads(text)
    except ValueError:
        state = None
    if not isinstance(state, dict) or state.get("kind") != KIND:
        raise ValueError(f"{name}: expected a state that a workbench has saved, this file holds something else.")
    return state


def session_in(state: Mapping[str, Any], options: dict[str, Any]) -> Session:
    """The session that a saved state began with; takes from `options` what is a session's.

    Raises
    ------
    As `Session` does.
    """
    from cbirlab.session import Session

    common = Recipe.from_json(state["recipe"])
    shared: dict[str, Any] = {name: getattr(common, name) for name in SHARED}
    own = {name: options.pop(name) for name in ("store", "device") if name in options}
    options.setdefault("backbones", state["backbones"])
    return Session(common.dataset, common.backbone, common.weights, **shared, **own)


def take_over(workbench: Desk, state: Mapping[str, Any]) -> None:
    """Bring a workbench to a saved state.

    Raises
    ------
    ValueError : the state is of another dataset.
    """
    if state["dataset"] != workbench.dataset.name:
        raise ValueError(
            f"the state was saved on the dataset {state['dataset']!r}, this workbench shows "
            f"{workbench.dataset.name!r}; open it by Workbench.restore."
        )
    live, workbench.live = workbench.live, False
    try:
        for side in filter(None, (state["a"], state["b"])):
            workbench.sessions.open(workbench.sessions.offer(side["backbone"], side["weights"]))
        workbench.question.from_json(state["question"])
        workbench.a.take_over(state["a"])
        workbench.compared = state["compared"]
        if state["b"]:
            workbench.side_b().take_over(state["b"])
        workbench.comparison.from_json(state["pinned"])
    finally:
        workbench.live = live


def buttons(workbench: Desk) -> widgets.HBox:
    """A button that downloads the state, and one that brings it back."""
    download = Download(
        "Save state",
        name="workbench.json",
        mime="application/json",
        make=lambda: json.dumps(to_json(workbench)).encode("utf-8"),
        on_error=workbench.show_error,
        tooltip="Query, settings and pinned rows as a file, for 'Load state' or Workbench.restore",
    )
    upload = widgets.FileUpload(accept=".json", description="Load state", layout={"width": "auto"})

    def load() -> None:
        for file in upload.value:
            workbench.from_json(parsed(bytes(file["content"]).decode("utf-8", "replace"), file["name"]))

    workbench.guard.observe(upload, "value", load)
    return widgets.HBox([download, upload], layout={"flex_flow": "row wrap"})
