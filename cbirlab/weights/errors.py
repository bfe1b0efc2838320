"""The error of everything that has to do with weights."""

from __future__ import annotations


class WeightsError(RuntimeError):
    """Weights that cannot be had, cannot be read, or do not fit; its message says what to do."""
