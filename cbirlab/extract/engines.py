"""Engines: what can carry out the passes through a network: torch, which is the reference, and OpenVINO beside it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from cbirlab.base.params import Choice

TORCH, OPENVINO, AUTO = "torch", "openvino", "auto"

ENGINE = Choice((AUTO, TORCH, OPENVINO))


LEAST = (2026, 1)
"""The oldest version of OpenVINO that was tried; `pyproject.toml` has it too."""


def installed() -> bool:
    """Whether OpenVINO is installed, in a version that is new enough."""
    try:
        return tuple(map(int, version("openvino").split(".")[:2])) >= LEAST
    except (PackageNotFoundError, ValueError):
        return False


def check_settled(owner: str, engine: str) -> str:
    """The engine, if it is one that can carry out passes.

    Raises
    ------
    ValueError : it is not.
    """
    if engine in (TORCH, OPENVINO):
        return engine
    raise ValueError(
        f"{owner}: engine must be '{TORCH}' or '{OPENVINO}', got {engine!r}; `cbirlab.extract.settle_engine` says "
        f"which of the two '{AUTO}' is."
    )


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
