"""The sessions of a panel: one dataset, several backbones; a session opens when its backbone is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from cbirlab.backbones import BACKBONES, Availability, availability, choices_of, in_one_word, split_backbone
from cbirlab.backbones.trained import aliases
from cbirlab.backbones.weights import WeightsError
from cbirlab.base import downloads
from cbirlab.pipeline.added import search_fields
from cbirlab.pipeline.recipe import OF_SETTING, Recipe

if TYPE_CHECKING:
    from cbirlab.backbones import Availability
    from cbirlab.live import Session


def shared(recipe: Recipe) -> dict[str, Any]:
    """What the sessions of a panel share apart from their dataset: all but the backbone's and the setting's fields."""
    return recipe.without("dataset", "backbone", "weights", *OF_SETTING, *search_fields())


_EVERYWHERE: WeakSet[Sessions] = WeakSet()


class Sessions:
    """Sessions by their backbone, "resnet50" or "resnet50@IMAGENET1K_V2".

    Parameters
    ----------
    first : the session that gives the dataset, the store and what all recipes share.
    offered : names of backbones, with or without their weights; by default all, those on this machine first.

    Attributes
    ----------
    told : called when a backbone has come on offer that was not there before.
    """

    def __init__(self, first: Session, offered: Sequence[str] | Mapping[str, str | None] | None = None) -> None:
        self.first = first
        self._open, self._left = {key_of(first): first}, False
        self.told: list[Callable[[], None]] = []
        _EVERYWHERE.add(self)
        given = backbones_offered() if offered is None else offered
        weights = dict(given) if isinstance(given, Mapping) else dict.fromkeys(given)
        self.weights: dict[str, str | None] = {key_of(first): first.common.weights}
        for text, beside in weights.items():
            self._add(*split_backbone(text, beside))

    def offer(self, backbone: str, weights: str | None = None) -> str:
        """Put a backbone on offer, unless it is already; return its key here.

        Raises
        ------
        ValueError : a saved state asks for it in an app whose visitors may not name files or download anything.
        """
        name, label = split_backbone(backbone, weights)
        if not downloads.allowed() and in_one_word(name, label) not in self.weights:
            raise ValueError(f"backbone {in_one_word(name, label)!r} is not on offer here; its menu has all that are.")
        return self._add(name, label)

    def _add(self, name: str, label: str | None) -> str:
        self.weights.setdefault(key := in_one_word(name, label), label)
        return key

    @property
    def names(self) -> list[str]:
        """The backbones on offer, that of the first session first."""
        return [*self.weights]

    def get(self, backbone: str) -> Session | None:
        """The session of a backbone; None if it is not open."""
        return self._open.get(backbone)

    def open(self, backbone: str) -> Session:
        """The session of a backbone; if it is new, extract it now. Slow, meant for a thread."""
        if backbone not in self._open:
            self._open[backbone] = self._opened(backbone)
        return self._open[backbone]

    def _opened(self, backbone: str) -> Session:
        from cbirlab.live import Session

        first = self.first
        session = Session(
            first.dataset,
            backbone,
            self.weights[backbone],
            dataset_name=first.common.dataset,
            store=first.store,
            device=first.device,
            **shared(first.common),
        )
        session.prepare(progress=False)
        if not self._left:
            session.learn_ahead()
        return session

    def leave(self) -> None:
        """Stop learning ahead, because nobody looks at these sessions any more."""
        self._left = True
        for session in self._open.values():
            session.learn_no_more()


def offer_everywhere(backbone: str, weights: str) -> None:
    """Put new weights on offer in every open panel that has this network on offer, and tell the panels."""
    for sessions in [*_EVERYWHERE]:
        known = [split_backbone(one)[0] for one in sessions.names]
        if backbone in known and in_one_word(backbone, weights) not in sessions.weights:
            sessions.offer(backbone, weights)
            for tell in [*sessions.told]:
                tell()


def key_of(session: Session) -> str:
    """The backbone of a session as menus name it, with its weights if they are chosen by name."""
    return in_one_word(session.backbone, session.common.weights)


def backbones_offered() -> list[str]:
    """All registered backbones with every set of weights that is published, those on this machine first."""
    return sorted((one for name in BACKBONES for one in choices_of(name)), key=lambda one: not _available(one).here)


def backbone_titles(names: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of title and name; the title of a backbone that is not on this machine says how large its download is."""
    pairs = []
    for text in names:
        (name, weights), found = split_backbone(text), _available(text)
        named = next((alias for alias, label in aliases(name).items() if label == weights), weights)
        title = BACKBONES.info(name).title + (f", {named}" if named else "")
        pairs.append((title if found.here else f"{title} (takes {found.takes})", text))
    return pairs


def backbone_options(names: Sequence[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """What a menu of backbones needs: pairs of title and name, and the names of those on this machine."""
    return backbone_titles(names), [name for name in names if _available(name).here]


def _available(text: str) -> Availability:
    """Of weights that were trained here and whose file has gone since, the menu says so."""
    try:
        return availability(*split_backbone(text))
    except WeightsError:
        return Availability(False, takes="its file, which is gone")


def on_dataset(dataset: str, like: Session) -> Session:
    """A session on another dataset, with the backbone, the store and the device of `like`."""
    from cbirlab.live import Session

    return Session(dataset, like.backbone, like.common.weights, store=like.store, device=like.device)
