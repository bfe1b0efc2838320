"""TrainingPanel: a network learns in front of one's eyes: its curves, the map that moves, a query before and after."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from cbirlab.adaptation.learning import learning_pictures
from cbirlab.adaptation.training import HEAD, POOLING, Training
from cbirlab.backbones import load_backbone, usual_backbone
from cbirlab.datasets import Dataset, load_dataset
from cbirlab.store import Store
from cbirlab.widgets.panels.base_panel import PAUSE, Panel, side_by_side
from cbirlab.widgets.panels.live_training import ENDED, PREPARING, LiveTraining
from cbirlab.widgets.panels.sessions import offer_everywhere
from cbirlab.widgets.panels.training_views import BeforeAfter, MinedPairs, MovingMap
from cbirlab.widgets.panels.training_words import ended_words, fact_words, going_words, plain_call
from cbirlab.widgets.parts import training_charts, views
from cbirlab.widgets.parts.drawing import stack_pictures
from cbirlab.widgets.parts.gallery import Thumbnails, page_text
from cbirlab.widgets.parts.results import strip_of
from cbirlab.widgets.parts.tasks import Background, Stop
from cbirlab.widgets.parts.training_controls import TrainingButtons, TrainingControls, benchmark_box

if TYPE_CHECKING:
    from cbirlab.adaptation.learning import LearningPictures

STEPS = 40
PART = "train"
ABOUT = (
    "Identities held out choose the step that is kept; no picture of theirs is learned from. Charts and map are drawn "
    "anew ten times; the axes of the map are those of the start, so what moves has moved."
)


class TrainingPanel(Panel):
    """Train a network on pictures, watch what that does to a dataset, and keep the weights under a name.

    >>> TrainingPanel("toytown")

    Parameters
    ----------
    dataset : looked at while the network learns, by name, by folder, or loaded. Unless a `training` names other
        pictures, its train split is learned on, or about half of it.
    training : to start with: what moves, labels, loss, ...; the deepest tap moves by default.
    backbone, weights : where it starts, unless a `training` says so.
    store : keeps descriptors, from which labels are guessed.
    shown, pairs : results in each gallery, and pairs of pictures that the labels call the same.
    pause : as in `Panel`.

    Attributes
    ----------
    controls : of the training; `training` is what they say.
    buttons : what they do, `train`, `pause`, `stop` and `keep` do too.
    judges : tick box: also judge the benchmark while the network learns.
    running : the newest `LiveTraining`; None before the first.
    trained : what was kept last; None before that.

    Raises
    ------
    ValueError : the training is that of a head, whose work is over in a moment.
    """

    def __init__(
        self,
        dataset: str | Path | Dataset = "toytown",
        training: Training | None = None,
        *,
        backbone: str | None = None,
        weights: str | None = None,
        store: Store | None = None,
        shown: int = 12,
        pairs: int = 6,
        pause: float = PAUSE,
    ) -> None:
        self.dataset = load_dataset(dataset)
        self._loaded = isinstance(dataset, Dataset)
        training = training or self._usual(str(dataset), backbone, weights)
        if training.moves in (HEAD, POOLING):
            raise ValueError(
                f"TrainingPanel: training must move a tap or 'all', got moves {training.moves!r}; what is no network "
                "learns in a moment: call train(training)."
            )
        super().__init__(pause)
        training = replace(training, threads=training.threads or 1)
        network = load_backbone(training.backbone, training.weights, training.device)
        tap = training.tap or network.default_tap
        taps = [*network.taps][: [*network.taps].index(tap) + 1]
        self.store = store or Store()
        self.running: LiveTraining | None = None
        self.trained: Any = None
        self.controls = TrainingControls(training, taps, self.guard)
        self.tasks = Background(self.guard, in_turn=True, behind=True)
        self._what, self._asked = "", training
        self._build(shown, pairs)
        self._connect()
        self.ask()

    def _usual(self, dataset: str, backbone: str | None, weights: str | None) -> Training:
        """What is trained unless it is said."""
        on = self.dataset.name if self._loaded else dataset
        network = load_backbone(backbone := backbone or usual_backbone(on), weights)
        learned = f"{on}/{PART}" if self.dataset.train and not self._loaded else on
        given = {"backbone": backbone, "weights": weights, "moves": network.default_tap}
        return Training(on=learned, steps=STEPS, **given)

    @property
    def training(self) -> Training:
        """The training as the controls stand."""
        return self.controls.training

    def _build(self, shown: int, pairs: int) -> None:
        self.thumbnails = Thumbnails.of_dataset(self.dataset)
        title = "Choose a query" if self.dataset.queries else "Choose a picture"
        self.strip = strip_of(self.dataset, self.thumbnails, self.show_error, title=title)
        self.item = len(self.dataset.images) if self.dataset.queries else 0
        actions = {"train": self.train, "pause": self.pause, "stop": self.stop, "keep": self.keep}
        self.buttons = TrainingButtons(actions, self.guard)
        self.judges = benchmark_box()
        judged = bool(self.dataset.queries) and any(any(one.values()) for one in self.dataset.labels)
        self.judges.layout.display = None if judged else "none"
        self.status, self.curves, self.code = (widgets.HTML() for _ in range(3))
        self.map = MovingMap(self.dataset)
        self.mined = MinedPairs(pairs, self.show_error)
        self.before_after = BeforeAfter(self.dataset, self.thumbnails, shown, self.show_error)
        about = widgets.HTML(views.note(ABOUT))
        left = [self.controls, self.judges, self.buttons, self.status, self.note, about]
        style = widgets.HTML(f"<style>{page_text('widgets.css')}</style>", layout={"display": "none"})
        code = widgets.Accordion([self.code], titles=("The Python that trains the same",))
        for part, flex in ((self.map, "3 1 480px"), (self.mined, "2 1 290px")):
            part.layout.flex, part.layout.min_width = flex, "0"
        seen = [self.curves, widgets.HBox([self.map, self.mined], layout={"flex_flow": "row wrap"})]
        self.children = [style, self.error, side_by_side(left, seen), self.strip, self.before_after, code]

    def _connect(self) -> None:
        for control in self.controls.fields.values():
            self.guard.observe(control, "value", self._write_code)
        self.guard.observe(self.buttons.name, "value", self._write_code)
        self.guard.observe(self.strip, "clicks", lambda: self.pick(self.strip.picked))
        for gallery in self.before_after.galleries:
            self.guard.observe(gallery, "clicks", lambda gallery=gallery: self.pick(gallery.picked))

    # what the buttons do

    def train(self) -> None:
        """Begin, in a thread."""
        if self.busy:
            return
        self.error.value = ""
        self._asked = self.training
        given = {"learning": self._learning(), "judges": lambda: bool(self.judges.value)}
        live = LiveTraining(self._asked, self.dataset, self.store, **given)
        self.running, self._what = live, ""
        self._set_buttons(True)
        self._say()
        self.tasks.start(lambda stop: self._carry_out(live, stop))

    def _learning(self) -> LearningPictures | None:
        """The train split of a dataset that has no name of its own."""
        return learning_pictures(self.dataset) if self._loaded and self.training.on == self.dataset.name else None

    @property
    def busy(self) -> bool:
        """Whether a training is on its way."""
        return self.buttons.buttons["train"].disabled

    def pause(self) -> None:
        """Wait before the next step, or go on."""
        live = self.running
        if live is None or not self.busy:
            return
        if live.paused:
            live.go_on()
        else:
            live.pause()
        self._set_buttons(True)
        self._say()

    def stop(self) -> None:
        """End after the present step, with the best so far; before the first step nothing is left."""
        live = self.running
        if live is None or not self.busy:
            return
        if live.phase == PREPARING:
            self.tasks.stop.set()
        live.end()
        self._say()

    def keep(self) -> None:
        """Write the weights and give them the name, in a thread."""
        self.error.value = ""
        live, name, replacing = self.running, str(self.buttons.name.value), bool(self.buttons.replacing.value)
        if live is None or self.busy:
            raise ValueError("TrainingPanel: nothing has been learned yet that could be kept; train first, or stop.")
        self.buttons.buttons["keep"].disabled = True
        self.tasks.start(lambda _: self._keep(live, name, replacing))

    def wait(self, seconds: float = 60) -> bool:
        """Wait until nothing is left to do; returns whether that took less than `seconds`."""
        return self.tasks.wait(seconds)

    # in the thread

    def _carry_out(self, live: LiveTraining, stop: Stop) -> None:
        def tell(what: str, done: int, total: int) -> None:
            self._what = f"{what}, {done} of {total}"
            self._say()
            live.wait(stop)

        ended: list[bool] = []
        done = self.guard.run(lambda: ended.append(stop.run(lambda: live.carry_out(self._told, stop), tell)))
        self._set_buttons(False)
        self._say(failed=not done, cancelled=ended == [False])
        if self.live and done:
            self.ask()

    def _told(self) -> None:
        """After each step."""
        self._what = ""
        self._say()
        self.ask()

    def _keep(self, live: LiveTraining, name: str, replacing: bool) -> None:
        try:
            self.trained = live.keep(name, replacing=replacing)
        finally:
            self.buttons.buttons["keep"].disabled = False
        chosen = f"{self.trained.field}={self.trained.named(name)!r}"
        offer_everywhere(self.trained.training.backbone, self.trained.weights)
        self.note.value = views.note(f"Kept as {name}: Recipe({chosen}), and in the menu of each workbench.")

    # what is shown

    def pick(self, item: int) -> None:
        """Choose another picture as the query, by the id of its thumbnail."""
        self.item = item
        self.ask()

    def _draw(self) -> None:
        live = self.running
        steps, most = (live.steps, live.training.steps) if live else ([], int(self.training.steps))
        kept = live.loop.best[0] if live and live.loop and steps else None
        looks = [(one.step, one.benchmark) for one in live.looks] if live else []
        self._charts = [
            training_charts.score_chart(steps, most, looks, kept),
            training_charts.loss_chart(steps, most),
            training_charts.spread_chart(steps, most),
        ]
        words = [training_charts.curve_words(steps, kept), "Loss of each batch", "Mean distance of two pictures"]
        drawn = "".join(chart.svg(said) for chart, said in zip(self._charts, words, strict=True))
        self.curves.value = f"<div style='display:flex;flex-wrap:wrap;gap:4px 14px'>{drawn}</div>"
        self.map.show(live)
        self.mined.show(live)
        self.strip.current = self.item
        self.before_after.show(live, self.item)
        self._write_code()

    def _set_buttons(self, busy: bool) -> None:
        live = self.running
        over = live is not None and live.phase == ENDED
        self.buttons.show(busy=busy, paused=live is not None and live.paused, over=over)
        self.controls.lock(busy)

    def _say(self, *, failed: bool = False, cancelled: bool = False) -> None:
        """What is going on, in a few sentences."""
        live = self.running
        if live is None:
            self.status.value = ""
        elif failed:
            self.status.value = views.note(f"It failed at step {live.done}; nothing was written. The reason is above.")
        elif cancelled:
            self.status.value = views.note("Stopped before the first step: nothing was learned, nothing was written.")
        elif live.phase == ENDED:
            self.status.value = views.note(f"{ended_words(live)} {fact_words(live)}")
        else:
            self.status.value = views.waiting(f"{going_words(live, self._what)} {fact_words(live)}")

    def _write_code(self) -> None:
        try:
            training = self.training
        except (ValueError, TypeError) as error:
            self.code.value = views.error_box(error)
            return
        live = self.running
        ended = live is not None and live.early and training == self._asked
        early = f"ended by hand after step {live.done}; the call takes all steps" if live and ended else ""
        self.code.value = views.code_block(plain_call(training, str(self.buttons.name.value) or "mine", early))

    def _sheet(self) -> Any:
        sheets = [*(chart.image() for chart in self._charts), self.map.drawing.image(), *self.before_after.sheets()]
        return stack_pictures(sheets)

    def _leave(self) -> list[Any]:
        self.tasks.stop.set()
        if self.running is not None:
            self.running.end()
        return super()._leave()
