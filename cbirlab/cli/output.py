"""What commands read and print."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbirlab.cli.listing import aligned
from cbirlab.store import Entry, Store

if TYPE_CHECKING:
    import pandas as pd

    from cbirlab.pipeline import Run


def store(given: Any) -> Store:
    """The store that the command line names."""
    return Store(given.store)


def check_out(out: str | None) -> None:
    """Refuse a table of unknown format before anything is computed."""
    from cbirlab import tables

    if out and Path(out).suffix.lower() not in tables.suffixes():
        raise ValueError(f"--out must end in one of {', '.join(tables.suffixes())}, got {out!r}.")


def saved_recipe(path: str, row: int) -> dict[str, Any]:
    """The recipe in a file: a recipe, a row, or a table of rows.

    Raises
    ------
    ValueError : no such row, or no recipe in it.
    """
    from cbirlab import tables

    if Path(path).suffix.lower() == ".json":
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return tables.read_recipe(found) if "recipe" in found else found
    frame = tables.read(path)
    if not 0 <= row < len(frame):
        raise ValueError(f"--row must be in [0, {len(frame) - 1}] for {path}, got {row}.")
    return tables.read_recipe(frame.iloc[row].to_dict())


ALSO_NONE = ("aggregations", "encodings")


def checked_names(given: Any) -> dict[str, Any]:
    """Names for `compare`; unknown ones raise before anything is computed."""
    from cbirlab.aggregation import Aggregation
    from cbirlab.attention import Attention
    from cbirlab.backbones import BACKBONES
    from cbirlab.passes import Passes
    from cbirlab.pipeline import NO_ATTENTION
    from cbirlab.whitening import Whitening

    readers = {
        "backbones": BACKBONES.info,
        "aggregations": Aggregation.parse,
        "encodings": Aggregation.parse,
        "attentions": lambda text: [Attention.parse(one) for one in text.split(">") if text != NO_ATTENTION],
        "passes": Passes.parse,
        "whitenings": Whitening.parse,
    }
    names = {
        name: "all" if chosen == ["all"] else [] if chosen == ["none"] and name in ALSO_NONE else chosen
        for name in (*readers, "taps")
        if (chosen := getattr(given, name)) is not None
    }
    for name, read in readers.items():
        for text in names[name] if names.get(name, "all") != "all" else ():
            read(text)
    return names


def run_text(result: Run, recipe: Mapping[str, Any]) -> str:
    """Recipe, numbers and times of a run."""
    rows = [[name, str(value)] for name, value in recipe.items() if value is not None]
    rows += [["weights", result.weights], ["dim", str(result.dim)]]
    rows += [["forward_passes", f"{result.forward_passes:g}"], ["ms_per_image", f"{result.extract_ms:.2f}"]]
    rows += [[name, f"{value:.4f}"] for name, value in result.metrics.items()]
    rows += [[f"{stage}_seconds", f"{seconds:.3f}"] for stage, seconds in result.seconds.items()]
    rows += [["leak", result.leak]] if result.leak else []
    return aligned(rows)


def frame_text(frame: pd.DataFrame) -> str:
    """A table for the terminal; some columns are left out where they say the same in every row."""
    from cbirlab import tables

    hidden = (
        "dataset",
        "whitening_set",
        "image_size",
        "leak",
        "skipped",
        "bytes_per_image",
        "passes",
        "forward_passes",
    )
    same = [name for name in hidden if name in frame.columns and len(set(frame[name])) == 1]
    return tables.to_markdown(frame.drop(columns=same))


def store_command(given: Any) -> int:
    """``cbirlab store list | verify | prune``."""
    kept = store(given)
    if given.action == "list":
        entries = kept.entries()
        print(aligned([_entry_row(entry) for entry in entries]) if entries else "no entries")
        print(f"{len(entries)} entries, {_size(kept.size())} in {kept.path}")
        return 0
    if given.action == "verify":
        damaged = kept.verify(repair=given.repair)
        for name, problem in damaged.items():
            print(f"{name}: {problem}" + (" Removed." if given.repair else ""))
        print(f"{len(kept.entries())} entries are sound, {len(damaged)} damaged in {kept.path}")
        return 1 if damaged and not given.repair else 0
    freed = kept.prune(keep_bytes=given.keep, older_than_days=given.older_than)
    print(f"{_size(freed)} freed, {_size(kept.size())} left in {kept.path}")
    return 0


def _entry_row(entry: Entry) -> list[str]:
    facts, notes = entry.specification, entry.notes
    used = datetime.datetime.fromtimestamp(entry.used).strftime("%Y-%m-%d %H:%M")
    if entry.kind == "fitted":
        what = [str(facts.get("whitening") or facts.get("aggregation") or facts.get("codebook", "")), "", "", "", ""]
    else:
        what = [
            f"{notes.get('dataset', '')}/{notes.get('part', '')}",
            f"{facts.get('backbone', '')} ({notes.get('weights', '')})",
            str(facts.get("tap", "")),
            str(facts.get("aggregation", "")),
            f"{facts.get('image_size', '')} px",
        ]
    return [entry.key[:12], used, _size(entry.size_bytes), entry.kind, *what]


def _size(size_bytes: int) -> str:
    size = float(size_bytes)
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
