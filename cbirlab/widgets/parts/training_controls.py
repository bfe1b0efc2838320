"""The controls of a training: what moves, labels, loss, miner, steps, rate, seed; the rest stays as it was given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from cbirlab.adaptation.labelling import Labels
from cbirlab.adaptation.training import ALL, Training
from cbirlab.base.params import Choice, Parameter
from cbirlab.pipeline.fields import each
from cbirlab.training.losses import Loss
from cbirlab.training.miners import Miner
from cbirlab.widgets.parts import views
from cbirlab.widgets.parts.controls import AUTO, UNSET, menu, set_option
from cbirlab.widgets.parts.guard import Guard
from cbirlab.widgets.parts.method_control import MethodControl, parameter_control
from cbirlab.widgets.parts.tooltips import titled

RATES = (1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 3e-4, 5e-4, 1e-3, 2e-3)
METHODS = {"labels": Labels, "loss": Loss, "miner": Miner}


class TrainingControls(widgets.VBox):
    """Controls of the fields of a training that a panel changes.

    Parameters
    ----------
    training : to start with; what has no control stays as it is.
    taps : of the network, the shallowest first.
    guard : runs the callbacks.

    Attributes
    ----------
    fields : control by the name of the field.
    """

    def __init__(self, training: Training, taps: Sequence[str], guard: Guard) -> None:
        self._given = training
        moves = [(f"from {tap} on", tap) for tap in reversed(taps)] + [("all of the network", ALL)]
        declared = dict(each(training))
        says = {name: one.help for name, one in declared.items()}
        chosen = menu(moves, description="moves", says=says["moves"], value=training.moves)
        self.fields: dict[str, Any] = {"moves": chosen}
        for name, kind in METHODS.items():
            value = getattr(training, name)
            self.fields[name] = MethodControl(name, kind, value.name, guard, says=says[name])
            self.fields[name].value = value
        for name in ("steps", "rate", "seed"):
            allowed = Choice((None, *RATES)) if name == "rate" else declared[name].offers
            usual = None if name == "rate" else getattr(training, name)
            self.fields[name] = parameter_control(Parameter(name, allowed, usual, says[name]))
        rates = [(AUTO, UNSET), *((f"{rate:g}", rate) for rate in RATES)]
        self.fields["rate"].options = rates
        if training.rate is not None:
            set_option(self.fields["rate"], f"{training.rate:g}", training.rate)
        super().__init__([widgets.HTML(views.note(f"Learned on: {_short(training.on)}")), *self.fields.values()])

    @property
    def training(self) -> Training:
        """The training as the controls stand.

        Raises
        ------
        ValueError, TypeError : fields that do not go together.
        """
        values = {name: control.value for name, control in self.fields.items()}
        return replace(self._given, **values | {"rate": values["rate"] or None})

    def lock(self, locked: bool) -> None:
        """Let the controls rest while a training runs, or be moved again."""
        for name, control in self.fields.items():
            for one in (control.menu, *control.parameters.values()) if name in METHODS else (control,):
                one.disabled = locked


def _short(on: str) -> str:
    """A folder without those that it lies in."""
    return "/".join(Path(on).parts[-2:]) if Path(on).is_absolute() else on


def benchmark_box() -> Any:
    """The tick box that lets a training judge its steps on the benchmark too."""
    says = "judge each step on the queries too; the step that is kept is chosen without them"
    return widgets.Checkbox(indent=False, **titled("also look at the benchmark: it is the test", says))


class TrainingButtons(widgets.VBox):
    """Train, Pause or Go on, Stop, and "Keep as" with a name.

    Parameters
    ----------
    actions : what is done when "train", "pause", "stop" and "keep" are pressed.
    guard : runs the callbacks.

    Attributes
    ----------
    buttons : by these names.
    name, replacing : of "Keep as": the name, and whether it may be taken from other weights.
    """

    def __init__(self, actions: Mapping[str, Callable[[], None]], guard: Guard) -> None:
        narrow, wrap = {"width": "auto"}, {"flex_flow": "row wrap", "align_items": "center"}
        looks = {"train": ("Train", "play"), "pause": ("Pause", "pause"), "stop": ("Stop", "stop")}
        looks |= {"keep": ("Keep as", "save")}
        self.buttons = {
            name: widgets.Button(description=words, icon=icon, layout=narrow) for name, (words, icon) in looks.items()
        }
        for name, button in self.buttons.items():
            guard.clicked(button, actions[name])
        self.name = widgets.Text("mine", placeholder="a name", layout={"width": "130px"})
        self.name.tooltip = "the name of the weights, as in Recipe(backbone='toynet@mine')"
        says = titled("replace", "take the name from other weights")
        self.replacing = widgets.Checkbox(indent=False, layout=narrow, **says)
        *run, keep = self.buttons.values()
        rows = [[*run], [keep, self.name, self.replacing]]
        super().__init__([widgets.HBox(row, layout=wrap) for row in rows])
        self.show(busy=False, paused=False, over=False)

    def show(self, *, busy: bool, paused: bool, over: bool) -> None:
        """Let those be pressed that do something: while a training is on its way, and once one is over."""
        self.buttons["train"].disabled = busy
        self.buttons["pause"].disabled = self.buttons["stop"].disabled = not busy
        self.buttons["keep"].disabled = busy or not over
        pause = self.buttons["pause"]
        pause.description, pause.icon = ("Go on", "play") if paused else ("Pause", "pause")
