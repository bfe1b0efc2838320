"""The sessions of a panel: one dataset, several backbones, each opened when it is first asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cbirlab.backbones import BACKBONES, availability, backbones_here
from cbirlab.widgets.controls import titled

if TYPE_CHECKING:
    from cbirlab.session import Session

SHARED = (
    "passes",
    "whitening_set",
    "image_size",
    "scales",
    "scale_pooling",
    "crop",
    "resize",
    "interpolation",
    "antialias",
    "precision",
    "index",
    "protocol",
)


class Sessions:
    """Sessions by the name of their backbone.

    Parameters
    ----------
    first : gives the dataset, the store and what all recipes share.
    offered : names of backbones, or names and their weights; by default all, those on this machine first.
    """

    def __init__(self, first: Session, offered: Sequence[str] | Mapping[str, str | None] | None = None) -> None:
        self.first = first
        self._open, self._left = {first.backbone: first}, False
        given = backbones_offered() if offered is None else offered
        weights = dict(given) if isinstance(given, Mapping) else dict.fromkeys(given)
        self.weights: dict[str, str | None] = {BACKBONES.info(name).name: weights[name] for name in weights}
        self.weights = {first.backbone: first.common.weights} | {
            name: weight for name, weight in self.weights.items() if name != first.backbone
        }

    @property
    def names(self) -> list[str]:
        """The backbones on offer, the first session's before the others."""
        return [*self.weights]

    def get(self, backbone: str) -> Session | None:
        """The session of a backbone, if it is open."""
        return self._open.get(backbone)

    def open(self, backbone: str) -> Session:
        """The session of a backbone, extracted now if it is new; slow, meant for a thread."""
        if backbone not in self._open:
            self._open[backbone] = self._opened(backbone)
        return self._open[backbone]

    def _opened(self, backbone: str) -> Session:
        from cbirlab.session import Session

        first = self.first
        shared: dict[str, Any] = {name: getattr(first.common, name) for name in SHARED}
        session = Session(
            first.dataset, backbone, self.weights[backbone], store=first.store, device=first.device, **shared
        )
        session.common = replace(session.common, dataset=first.common.dataset)
        session.prepare(progress=False)
        if not self._left:
            session.learn_ahead()
        return session

    def leave(self) -> None:
        """Nobody looks at them any more: they learn nothing ahead."""
        self._left = True
        for session in self._open.values():
            session.learn_no_more()


def backbones_offered() -> list[str]:
    """Names of all registered backbones, those on this machine first."""
    here = backbones_here()
    return here + [name for name in BACKBONES if name not in here]


def backbone_titles(names: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of title and name; of what is not on this machine the title says what it takes."""
    found = {name: availability(name) for name in names}
    return [
        (f"{title} (takes {found[name].takes})" if not found[name].here else title, name)
        for title, name in titled(names, lambda _: BACKBONES)
    ]
