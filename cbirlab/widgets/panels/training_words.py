"""What the panel of a training says: how far it is, how it has ended, and the call that does without a panel."""

from __future__ import annotations

import math
from typing import Any

from cbirlab.adaptation.training import Training
from cbirlab.widgets.panels.live_training import PREPARING, LiveTraining, facts


def plain_call(training: Training, name: str, early: str = "") -> str:
    """The call that trains without a panel."""
    usual = {one: getattr(Training(), one) for one in training.__dataclass_fields__}
    given = {one: getattr(training, one) for one in usual if getattr(training, one) != usual[one]}
    lines = [f"    {one}={plain(value)!r},\n" for one, value in given.items()]
    remark = f"  # {early}" if early else ""
    return (
        "from cbirlab.adaptation.running import train\nfrom cbirlab.adaptation.training import Training\n\n"
        f"trained = train(Training(\n{''.join(lines)}), name={name!r}){remark}\ntrained.recipe()"
    )


def plain(value: Any) -> Any:
    """A method as its text."""
    return str(value) if isinstance(value, str) else value


def going_words(live: LiveTraining, what: str) -> str:
    """How far a training is."""
    if live.ending:
        return "Ending after the present step ..."
    paused = " Paused." if live.paused else ""
    if live.phase == PREPARING:
        return f"Preparing: {what}.{paused}" if what else f"Preparing ...{paused}"
    return f"Step {live.done} of {live.training.steps}.{paused}"


def ended_words(live: LiveTraining) -> str:
    """How a training has ended."""
    assert live.loop is not None
    kept, held = live.loop.best[0], [one.held_out for one in live.steps if not math.isnan(one.held_out)]
    said = f"Stopped after step {live.done}." if live.early else f"All {live.training.steps} steps are done."
    if not held or live.training.keep == "last":
        return f"{said} {'The last look' if held else 'Nothing is held out, so the last look'} counts: step {kept}."
    if not kept:
        return f"{said} No step was better than the start, {held[0]:.3f}, on what is held out, so the start is kept."
    return f"{said} Best is step {kept}: held-out mAP {live.loop.best[1]:.3f}, {held[0]:.3f} at the start."


def fact_words(live: LiveTraining) -> str:
    """Label precision, seconds per step, and p."""
    known, said = facts(live), []
    how = "clicked" if live.training.labels.name == "clicked" else "guessed"
    if live.training.labels.name == "given":
        said.append("The labels are the true ones.")
    elif not math.isnan(known["precision"]):
        said.append(f"Of the {how} pairs {known['precision']:.0%} are right.".replace("%", " %"))
    elif live.loop is not None:
        said.append(f"How many of the {how} pairs are right is not known.")
    if not math.isnan(known["step_seconds"]):
        said.append(f"{known['step_seconds']:.2f} s a step.")
    if not math.isnan(known["p"]):
        said.append(f"p of GeM is {known['p']:.2f}.")
    return " ".join(said)
