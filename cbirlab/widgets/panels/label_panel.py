"""LabelPanel: say of results whether they are the same as the query, and let a head learn from what was said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import numpy as np

from cbirlab.adaptation.learning import learning_pictures
from cbirlab.adaptation.running import torch_threads
from cbirlab.adaptation.trained import Trained
from cbirlab.adaptation.training import HEAD, Training
from cbirlab.adaptation.work import Work
from cbirlab.datasets import Dataset, load_dataset
from cbirlab.datasets.base import HELD_OUT
from cbirlab.pipeline import Recipe, Run, run
from cbirlab.store import Store
from cbirlab.whitening.methods import learn, whiten
from cbirlab.widgets.panels.base_panel import PAUSE, Panel, side_by_side
from cbirlab.widgets.panels.clicks import Clicks, least_alike, ranked
from cbirlab.widgets.panels.label_words import Learned, count_words, result_words
from cbirlab.widgets.panels.training_words import plain_call
from cbirlab.widgets.parts import views
from cbirlab.widgets.parts.gallery import Gallery, Thumbnails, page_text
from cbirlab.widgets.parts.judged_gallery import JudgedGallery
from cbirlab.widgets.parts.snapshot import picture_sheet
from cbirlab.widgets.parts.tasks import Background, Stop

if TYPE_CHECKING:
    from cbirlab.adaptation.learning import LearningPictures

STEPS, PART, CLICKED = 20, "train", "clicked"
ABOUT = (
    "Say of each result whether it shows the same as the query: by its buttons, or by S and N. The same button once "
    "more takes it back. What is only called not the same stands alone, and different groups count as different."
)


class LabelPanel(Panel):
    """Click labels in a ranked gallery, and see what a head learns from them in a second.

    >>> LabelPanel("toytown", file="clicks.csv")

    Parameters
    ----------
    dataset : by name, by folder, or loaded. Queries and results are the pictures that are learned on: its train split,
        or about half of it, so that its benchmark judges what was learned on other instances; all of it without ground
        truth.
    training : of a head, to change what is learned on, the loss, the steps, ...; labels and judgements are the panel's.
    file : a CSV file where each click is kept at once, see `cbirlab.adaptation.judgements`; if it is there, its
        judgements count.
    backbone, weights : the network, unless a `training` says so.
    store : keeps descriptors.
    shown : results in the gallery.
    pause : as in `Panel`.

    Attributes
    ----------
    clicks : what was said so far.
    query : row of the picture that is asked for, among those that are learned on.
    buttons : "next", "undo" and "learn"; the methods `propose`, `undo` and `learn` do the same.
    learned : what the clicks taught last; None before that.

    Raises
    ------
    ValueError : the training moves more than a head; a file that is damaged, or names other pictures.
    """

    def __init__(
        self,
        dataset: str | Path | Dataset = "toytown",
        training: Training | None = None,
        *,
        file: str | Path = "clicks.csv",
        backbone: str = "toynet",
        weights: str | None = None,
        store: Store | None = None,
        shown: int = 12,
        pause: float = PAUSE,
    ) -> None:
        self.dataset = load_dataset(dataset)
        self._named, self.shown, self.store = str(dataset), shown, store or Store()
        if isinstance(dataset, Dataset):
            self._named = dataset.name
        training = training or self._usual(isinstance(dataset, Dataset), backbone, weights)
        if training.moves != HEAD:
            raise ValueError(
                f"LabelPanel: training must be that of a head, got moves {training.moves!r}; click here, and give "
                "the file to Training(labels='clicked', judgements=...)."
            )
        super().__init__(pause)
        own = isinstance(dataset, Dataset) and training.on == dataset.name
        self._learning = learning_pictures(self.dataset, leak=training.leak) if own else None
        work = Work.of(replace(training, labels="given", judgements=None), self.store, self._learning)
        self.pictures: LearningPictures = work.learning
        self.start_rows = self.rows = work.described()
        self.clicks = Clicks(self.pictures.paths, file)
        self.training = replace(training, labels=CLICKED, judgements=str(file))
        self.learned: Learned | None = None
        self.query = least_alike(self.start_rows, [])
        self._asked = {self.query}
        self.tasks = Background(self.guard, in_turn=True)
        self._build()
        self.ask()

    def _usual(self, loaded: bool, backbone: str, weights: str | None) -> Training:
        on = f"{self._named}/{PART}" if self.dataset.train and not loaded else self._named
        return Training(on=on, backbone=backbone, weights=weights, steps=STEPS)

    def _build(self) -> None:
        thumbnails = Thumbnails(self.pictures.paths)
        options = {"on_error": self.show_error}
        self.asked = Gallery(thumbnails, side=150, **options)
        self.gallery = JudgedGallery(thumbnails, self.judge, **options)
        self.strip = Gallery(thumbnails, arrangement="strip", side=92, **options)
        count = len(self.pictures.paths)
        self.strip.show(range(count), title=f"{count} pictures of {self.pictures.name}: choose a query", ahead=False)
        looks = {
            "next": ("Next query", "step-forward", "the picture that is least like all that you have seen"),
            "undo": ("Undo", "undo", "take the last click back"),
            "learn": ("Learn", "play", "train a head on what you have said, and order the gallery anew"),
        }
        narrow, actions = {"width": "auto"}, {"next": self.propose, "undo": self.undo, "learn": self.learn}
        self.buttons = {
            name: widgets.Button(description=words, icon=icon, tooltip=tip, layout=narrow)
            for name, (words, icon, tip) in looks.items()
        }
        for name, button in self.buttons.items():
            self.guard.clicked(button, actions[name])
        self.guard.observe(self.strip, "clicks", lambda: self.pick(self.strip.picked))
        self.counts, self.result, self.code = (widgets.HTML() for _ in range(3))
        row = widgets.HBox([*self.buttons.values()], layout={"flex_flow": "row wrap"})
        about = widgets.HTML(views.note(ABOUT))
        left = [self.asked, row, self.counts, self.result, self.note, about]
        style = widgets.HTML(f"<style>{page_text('widgets.css')}</style>", layout={"display": "none"})
        code = widgets.Accordion([self.code], titles=("The Python that learns the same",))
        self.children = [style, self.error, side_by_side(left, [self.gallery]), self.strip, code]

    # what the buttons do

    def judge(self, item: int, same: bool) -> None:
        """Say of a picture whether it is the same as the query; said once more, it is taken back."""
        self.clicks.judge(self.query, item, same)
        self.ask()

    def undo(self) -> None:
        """Take the last click back, and show the query that it was about."""
        pair = self.clicks.undo()
        if pair is not None and self.query not in pair:
            self.query = pair[0]
        self.ask()

    def pick(self, row: int) -> None:
        """Choose the query."""
        self.query = int(row)
        self._asked.add(self.query)
        self.ask()

    def propose(self) -> None:
        """Choose the picture that is least like all that were queries, or were judged."""
        seen = sorted(self._asked | {*self.clicks.judged.pairs.ravel().tolist()})
        self.pick(least_alike(self.start_rows, seen))

    def learn(self) -> None:
        """Train a head on the clicks, in a thread, and order the gallery anew."""
        self.error.value = ""
        if not len(self.clicks.judged.pairs):
            raise ValueError(
                "LabelPanel: nothing has been judged yet; call some results the same, others not the same."
            )
        self.buttons["learn"].disabled = True
        self.note.value = views.waiting("Learning ...")
        self.tasks.start(self._learn)

    def wait(self, seconds: float = 60) -> bool:
        """Wait until nothing is left to do; returns whether that took less than `seconds`."""
        return self.tasks.wait(seconds)

    # in the thread

    def _learn(self, stop: Stop) -> None:
        try:
            with torch_threads(self.training.threads or 1):
                work = Work.of(self.training, self.store, self._learning)
                done = work.finished() or work.train_head()
                head = learn(done.recipe().whitening, self.start_rows)
                rows = np.zeros((len(self.start_rows), head.n_components_), np.float32)
                able = self.start_rows.any(axis=1)
                rows[able] = whiten(head, self.start_rows[able])
                before, after = self._judged(done)
        finally:
            self.buttons["learn"].disabled = False
            self.note.value = ""
        stop.check()
        count = len(work.judged.pairs) if work.judged else 0
        self.rows, self.learned = rows, Learned(done, count, before, after)
        self.ask()

    def _judged(self, done: Trained) -> tuple[Run | None, Run | None]:
        """The benchmark before and after."""
        if not self.dataset.queries or not any(any(one.values()) for one in self.dataset.labels):
            return None, None
        shared: dict[str, Any] = {"dataset": self._named, "image_size": done.training.image_size}
        if self.pictures.name == f"{self.dataset.name}/{HELD_OUT}":
            shared["whitening_set"] = HELD_OUT
        after = done.recipe(**shared)
        plain = replace(after, whitening="none")
        return self._run(plain), self._run(after)

    def _run(self, recipe: Recipe) -> Run:
        return run(recipe, dataset=self.dataset, store=self.store, progress=False)

    # what is shown

    def _draw(self) -> None:
        names, query = self.clicks.names, self.query
        order, scores = ranked(self.rows, query)
        some = order[: self.shown].tolist()
        notes = self._moves(some) if self.learned else []
        said = [self.clicks.said(query, one) for one in some]
        captions = [f"{place}  ·  {score:.3f}" for place, score in enumerate(scores[: self.shown], start=1)]
        when = "as learned" if self.learned else "before learning"
        title = f"First {len(some)} results, {when}" if some else "No results, because the picture has no descriptor"
        self.asked.show([query], captions=[names[query]], title="The query")
        self.gallery.show(some, captions=captions, said=said, notes=notes, title=title)
        self.strip.current = query
        self.counts.value = views.note(count_words(self.clicks))
        self.result.value = views.note(result_words(self.learned, self.clicks)) if self.learned else ""
        self.code.value = views.code_block(plain_call(self.training, "clicked"))

    def _moves(self, rows: list[int]) -> list[str]:
        """How far each has moved since before learning."""
        before = {row: place for place, row in enumerate(ranked(self.start_rows, self.query)[0].tolist())}
        moved = [before.get(row, place) - place for place, row in enumerate(rows)]
        return [f"▲{one}" if one > 0 else f"▼{-one}" if one < 0 else "=" for one in moved]

    def _sheet(self) -> Any:
        marks = {"same": "positive", "not": "wrong", "": ""}
        pictures = [
            (self.gallery.thumbnails[item], marks[said])
            for item, said in zip(self.gallery.ids, self.gallery.said, strict=True)
        ]
        return picture_sheet(pictures, title=self.gallery.title) if pictures else None

    def _leave(self) -> list[Any]:
        self.tasks.stop.set()
        return super()._leave()
