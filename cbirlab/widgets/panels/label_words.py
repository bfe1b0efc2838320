"""What the panel of clicked labels says: how much was clicked, and what a head has learned from it."""

from __future__ import annotations

from typing import NamedTuple

from cbirlab.adaptation.trained import Trained
from cbirlab.fusion import versus
from cbirlab.pipeline import Run
from cbirlab.widgets.panels.clicks import Clicks
from cbirlab.widgets.parts import views


class Learned(NamedTuple):
    """What a head has learned from clicks.

    Attributes
    ----------
    trained : the head; `judgements` is how many taught it.
    before, after : runs on the benchmark; None without ground truth.
    """

    trained: Trained
    judgements: int
    before: Run | None
    after: Run | None


def count_words(clicks: Clicks) -> str:
    """How much was said, and where it is kept."""
    counts = clicks.judged.counts
    if not counts["pictures"]:
        return f"No judgements yet. They are kept in {clicks.file.name}."
    total = counts["same"] + counts["not"]
    return (
        f"{total} judgement{'s' * (total > 1)}: {counts['same']} the same, {counts['not']} not the same, of "
        f"{counts['pictures']} pictures. Kept in {clicks.file.name}."
    )


def result_words(learned: Learned, clicks: Clicks) -> str:
    """What was learned: the benchmark before and after, and whether there were clicks since."""
    record, counts = learned.trained.record, clicks.judged.counts
    said = f"A head has learned from {learned.judgements} judgements in {record['seconds']['train']:.1f} s."
    if counts != record["judgements"]:
        said += " You have clicked since: learn again."
    if learned.before is None or learned.after is None or learned.after.evaluation is None:
        return f"{said} Without ground truth nobody can say whether it is better: look at the order."
    frame = versus(learned.after, learned.before)
    metric = learned.after.evaluation.protocol.headline
    before, after = (one.metrics[metric] for one in (learned.before, learned.after))
    said += f" {frame.attrs['title']} on the benchmark: {before:.3f} before, {after:.3f} after; "
    leak = f" It has learned on what is judged: {learned.after.leak}." if learned.after.leak else ""
    return f"{said}{views.mean_difference(frame)}.{leak}"
