"""Engines: what can carry out the passes through a network: torch, which is the reference, and OpenVINO beside it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Any

from cbirlab.base.params import Choice

TORCH, OPENVINO, AUTO = "torch", "openvino", "auto"

ENGINE = Choice((AUTO, TORCH, OPENVINO))


def installed() -> bool:
    """Whether OpenVINO is installed."""
    return find_spec("openvino") is not None


def openvino() -> Any:
    """The package, imported so that it sends nothing about its use."""
    with _without("openvino_telemetry"):
        import openvino
    return openvino


@contextmanager
def _without(package: str) -> Iterator[None]:
    """Make the import of a package fail inside the block, unless it has been imported already."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # pyright: ignore[reportArgumentType]
    try:
        yield
    finally:
        with suppress(KeyError):
            del sys.modules[package]


def computes_in_bfloat16() -> bool:
    """Whether this processor has instructions for bfloat16, as OpenVINO sees it."""
    return "BF16" in openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
