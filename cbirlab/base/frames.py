"""Frames: tables in memory, whatever the names of files are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def frame_of(rows: Any) -> pd.DataFrame:
    """A DataFrame of rows.

    Its texts are kept by Python: where pyarrow is installed, pandas would hand them to it, and it refuses names of
    files that are no UTF-8.
    """
    import pandas as pd

    with pd.option_context("mode.string_storage", "python"):
        return pd.DataFrame(rows)
