"""Settling: which engine carries out the passes of a recipe, before anything is computed or looked up."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from cbirlab.base.notices import notify
from cbirlab.base.text import first_line
from cbirlab.extract.engines import AUTO, LEAST, OPENVINO, TORCH, computes_in_bfloat16, installed
from cbirlab.store import Store

if TYPE_CHECKING:
    from cbirlab.backbones import Backbone
    from cbirlab.datasets import Dataset

WORTH = 2000
"""Pictures of a dataset from which on "auto" takes OpenVINO. To convert a network takes 1 to 5 s; then OpenVINO takes 1
to 30 ms less than torch for a picture. Pictures that the store has count too: a recipe always has the same engine."""

_refusals: WeakKeyDictionary[Backbone, str] = WeakKeyDictionary()
_said: WeakKeyDictionary[Backbone, set[str]] = WeakKeyDictionary()


def settle_engine(
    asked: str, backbone: Backbone, dataset: Dataset, *, precision: str = "float32", store: Store | None = None
) -> str:
    """The engine that will be used, "torch" or "openvino", for one that is asked for.

    Where OpenVINO cannot carry out the passes of this network, torch does, and a notice says why.

    Parameters
    ----------
    asked : "torch"; "openvino"; or "auto", OpenVINO where it is installed and the dataset has `WORTH` pictures.
    precision : of the passes.
    store : keeps the converted network; the usual one by default.

    Raises
    ------
    ValueError : "openvino", and it is not installed.
    """
    pictures = len(dataset.images) + len(dataset.queries) + len(dataset.train)
    if asked == TORCH or (asked == AUTO and (pictures < WORTH or not installed())):
        return TORCH
    if not installed():
        raise ValueError(
            f"engine 'openvino' needs the package openvino, {'.'.join(map(str, LEAST))} or newer, which is not here; "
            "run 'pip install \"cbirlab[openvino]\"', or choose 'torch' or 'auto'."
        )
    try:
        obstacle = _obstacle(backbone, precision)
        if not obstacle:
            obstacle = _refused(backbone, store or Store())
            asked = OPENVINO  # to convert it was worth a try, so that it failed is worth a sentence
    except ImportError as error:  # a package that is there in part
        obstacle, asked = f"it cannot be imported ({first_line(error)}); install it again", OPENVINO
    said = _said.setdefault(backbone, set())
    if obstacle and asked == OPENVINO and obstacle not in said:
        said.add(obstacle)
        notify(f"{backbone.name}: torch carries out the passes, not OpenVINO: {obstacle}.")
    return TORCH if obstacle else OPENVINO


def _obstacle(backbone: Backbone, precision: str) -> str:
    """Why OpenVINO is not even tried for a network; empty if it is."""
    if hasattr(backbone.module, "read"):
        return "it has no forward pass"
    if backbone.device.type != "cpu":
        return f"it is on {backbone.device}"
    if backbone.precision != "float32":
        return (
            f"its weights are rounded to {backbone.precision}; load it in float32, and give the precision of the pass"
        )
    if precision != "float32" and not computes_in_bfloat16():
        return f"this processor has no instructions for {precision}"
    return ""


def _refused(backbone: Backbone, store: Store) -> str:
    """Why a network cannot be converted; empty if it can."""
    from cbirlab.extract.graph import NotConverted, graph_of

    if backbone not in _refusals:
        try:
            graph_of(backbone, store)
            _refusals[backbone] = ""
        except NotConverted as error:
            _refusals[backbone] = str(error)
    return _refusals[backbone]
