"""A workbench in a file: how it is written, and how it is brought back."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
from traitlets import TraitError

from cbirlab.backbones import split_backbone
from cbirlab.base import plain
from cbirlab.base.aside import written_aside
from cbirlab.base.params import Choice
from cbirlab.pipeline import Recipe
from cbirlab.widgets.panels.sessions import shared
from cbirlab.widgets.parts.comparison import Pinned
from cbirlab.widgets.parts.download import Download, figure_buttons
from cbirlab.widgets.parts.question import Question
from cbirlab.widgets.parts.slow_download import SlowDownload
from cbirlab.widgets.parts.state import RetrievalState
from cbirlab.widgets.parts.tooltips import tooltip

if TYPE_CHECKING:
    from cbirlab.datasets import Dataset
    from cbirlab.live import Session

KIND = "cbirlab workbench"


def state_of(workbench: Any) -> dict[str, Any]:
    """Question, settings and pinned rows of a `Workbench` as plain data."""
    return {
        "kind": KIND,
        "dataset": workbench.dataset.name,
        "recipe": asdict(workbench.sessions.first.common),
        "backbones": workbench.sessions.weights,
        "question": workbench.question.to_json(),
        "a": workbench.a.to_json(),
        "b": workbench.b and workbench.b.to_json(),
        "compared": workbench.compared,
        "pinned": workbench.comparison.to_json(),
        "columns": workbench.comparison.columns,
    }


def bring_back(workbench: Any, state: Mapping[str, Any]) -> None:
    """Show in a `Workbench` what `state_of` kept, for the same dataset.

    Raises
    ------
    ValueError : something else, or a state of another dataset.
    """
    check_dataset(state, workbench.dataset)
    with workbench.held():
        for side in filter(None, (state["a"], state["b"])):
            workbench.sessions.open(workbench.sessions.offer(side["backbone"], side["weights"]))
        workbench.offer_more()
        workbench.question.from_json(state["question"])
        workbench.a.take_over(state["a"])
        workbench.compared = state["compared"]
        if state["b"]:
            workbench.side_b().take_over(state["b"])
        workbench.comparison.from_json(state["pinned"])
        workbench.comparison.choice.chosen = state.get("columns")  # none in files of earlier versions


def write(state: Mapping[str, Any], path: str | Path) -> Path:
    """Write a state to a file."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(target) as aside:
        aside.write_text(json.dumps(state), encoding="utf-8")
    return target


def write_page(workbench: Any, path: str | Path, options: dict[str, Any]) -> Path:
    """Write what a workbench shows, as far as it is of A's backbone, as a page that needs no kernel.

    Parameters
    ----------
    options : those of `cbirlab.widgets.shared_page.save_page`.
    """
    from cbirlab.widgets.shared_page import save_page

    sides = [side.setting for side in workbench.sides if side.session is workbench.session]
    shown = {"sides": sides, "compared": len(sides) > 1, "question": workbench.question.query}
    return save_page(path, workbench.session, **(shown | options))


def session_of(dataset: Any, backbone: str | None, options: Mapping[str, Any]) -> Session:
    """Take a session as it is, or open a new one on a dataset."""
    if hasattr(dataset, "rank_query"):
        return dataset
    from cbirlab.live import Session

    return Session(dataset, backbone, **options)


def read(path: str | Path) -> dict[str, Any]:
    """Read a state from a file.

    Raises
    ------
    ValueError : the file holds something else.
    """
    return parsed(Path(path).read_bytes().decode("utf-8", "replace"), str(path))


def parsed(text: str, name: str) -> dict[str, Any]:
    """Read a state from the text of a file.

    Raises
    ------
    ValueError : the text holds something else.
    """
    try:
        state = plain.parse_json(text)
    except ValueError:
        state = None
    if not isinstance(state, dict) or state.get("kind") != KIND:
        raise ValueError(f"{name}: expected a state that a workbench has saved, this file holds something else.")
    _check(state, name)
    return state


def _check(state: Mapping[str, Any], name: str) -> None:
    """Make every part of a state that needs no session, so that an impossible state is refused before a panel changes.

    Raises
    ------
    ValueError : a part is missing, or is something else.
    """
    try:
        Recipe.from_json(state["recipe"])
        Question().from_json(state["question"])
        sides = [side for side in (state["a"], state["b"]) if side]
        if not state["a"] or len(sides) <= Choice((False, True)).check("state", "compared", state["compared"]):
            raise ValueError("a side is missing")
        for side in sides:
            RetrievalState().from_json(side["state"])
            split_backbone(_text(side["backbone"]), side.get("weights") and _text(side["weights"]))
        for backbone, weights in state["backbones"].items():
            split_backbone(_text(backbone), weights and _text(weights))
        pinned = [Pinned.from_json(one) for one in state["pinned"]]
        if len({(*one.per_query, *map(len, one.per_query.values())) for one in pinned if one.per_query}) > 1:
            raise ValueError("pinned rows are of other queries")
        columns = state.get("columns")
        if not isinstance(columns, list | None):
            raise TypeError(f"columns must be names, got {plain.shown(columns)}")
        for text in (state["dataset"], *(columns or ()), *(one.row["recipe"] for one in pinned)):
            _text(text)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, TraitError) as error:
        raise ValueError(f"{name}: the state is damaged ({type(error).__name__}: {error}).") from error


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text was expected, got {plain.shown(value)}")
    return value


def session_in(state: Mapping[str, Any], options: dict[str, Any], dataset: Any = None) -> Session:
    """Open the session that a saved state began with; takes the options of a session out of `options`.

    Parameters
    ----------
    dataset : used instead of the saved one; a session is taken as it is.

    Raises
    ------
    As `Session` does.
    """
    from cbirlab.live import Session

    options.setdefault("backbones", state["backbones"])
    if hasattr(dataset, "rank_query"):
        return dataset
    common = Recipe.from_json(state["recipe"])
    begun = {"backbone": common.backbone, "weights": common.weights, **shared(common)}
    begun |= {name: options.pop(name) for name in (*begun, "store", "device") if name in options}
    return Session(common.dataset if dataset is None else dataset, **begun)


def check_dataset(state: Mapping[str, Any], dataset: Dataset) -> None:
    """Check that a state belongs to this dataset.

    Raises
    ------
    ValueError : the state belongs to another dataset.
    """
    if not dataset.called(state["dataset"]):
        raise ValueError(
            f"the state was saved on the dataset {state['dataset']!r}, this workbench shows {dataset.name!r}; "
            "open it by Workbench.restore."
        )
    asked, queries, images = state["question"], len(dataset.queries), len(dataset.images)
    if asked["query"] >= max(1, queries) or max(asked["image"] or 0, *asked.get("images", ()), 0) >= images:
        raise ValueError(
            f"the state asks for query {asked['query']} and image {asked['image']}, and the dataset has {queries} and "
            f"{images}."
        )


def buttons(workbench: Any) -> Any:
    """Buttons that download a workbench's state, bring it back, and download the gallery and a page to share."""
    guard = workbench.guard
    download = Download(
        "Save state",
        name="workbench.json",
        mime="application/json",
        make=lambda: json.dumps(workbench.to_json()).encode("utf-8"),
        on_error=guard.show,
        tooltip=tooltip("Save state"),
    )
    page = SlowDownload(
        "Page to share",
        name="page.html",
        mime="text/html",
        make=lambda: page_bytes(workbench),
        on_error=guard.show,
        tooltip=tooltip("Page to share"),
    )
    looks = {"tooltip": tooltip("Load state"), "layout": {"width": "auto"}}
    upload = widgets.FileUpload(accept=".json", description="Load state", **looks)

    def load_all() -> None:
        for file in upload.value:
            workbench.from_json(parsed(bytes(file["content"]).decode("utf-8", "replace"), file["name"]))

    guard.observe(upload, "value", load_all)

    def figure(kind: str) -> bytes:
        file = io.BytesIO()
        workbench._sheet().save(file, format=kind)
        return file.getvalue()

    figures = figure_buttons("Gallery", "gallery", figure, guard.show)
    row = widgets.HBox([download, upload, *figures, page], layout={"flex_flow": "row wrap"})
    return widgets.VBox([row, page.work])


def page_bytes(workbench: Any) -> bytes:
    """The page that `Workbench.save_page` writes."""
    with tempfile.TemporaryDirectory() as folder:
        return write_page(workbench, Path(folder) / "page.html", {"progress": False}).read_bytes()
