"""PoolingView: what a pooling looks at in one picture, while the user moves its sliders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from cbirlab.study.explain import Overlay, words
from cbirlab.study.explain.paint import OPACITY, beside, paint_map, paint_regions
from cbirlab.widgets.panels.base_panel import side_by_side
from cbirlab.widgets.panels.look_panel import LookPanel, opacity_slider, whole_slider
from cbirlab.widgets.parts import views
from cbirlab.widgets.parts.drawing import stack_pictures, titled_sheet
from cbirlab.widgets.parts.snapshot import picture_html

if TYPE_CHECKING:
    from PIL import Image

    from cbirlab.live import Session
    from cbirlab.widgets.parts.state import Setting

CHANNEL_SIDE = 150


class PoolingView(LookPanel):
    """A picture overlaid with what a pooling looked at: weights, regions, a mask, and the channels that count most.

    Parameters
    ----------
    session, given : as in `LookPanel`.

    Attributes
    ----------
    opacity : opacity of the heat map; 0 shows the picture alone.
    region : 0 for all regions, else the only one to show.
    seen : the `Overlay` that is shown.
    """

    def __init__(self, session: Session, **given: Any) -> None:
        self.opacity = opacity_slider(OPACITY)
        self.region = whole_slider("region", 0, 0, 0)
        self.picture, self.channels, self.facts = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.seen: Overlay | None = None
        self.moved = self.opacity, self.region
        super().__init__(session, **given)

    def _arranged(self) -> list[Any]:
        side = [*self.controls[:-2], self.region, self.opacity, self.facts, self.note]  # this panel does not whiten
        return [side_by_side(side, [self.picture, self.channels])]

    def _settings(self) -> Sequence[Setting]:
        return ()  # the network sees only one picture, which is worth waiting for

    def _draw(self) -> None:
        setting = self.state.setting
        if self.seen is None:
            self.note.value = views.waiting("The network runs once for this picture ...")
        self.seen = self.looker.overlay(self.item, setting.tap, setting.aggregation)
        self._offer_regions(len(self.seen.boxes))
        asked, cells = self.question.words, words(self.seen.cells)
        alt = f"{asked} under what {setting.aggregation} at {setting.tap} looks at: {cells}"
        self.picture.value = picture_html(self._painted(), alt, f"{asked}, as the network sees it")
        self.strip.current = self.item
        self.facts.value = views.note(facts(self.seen, setting.aggregation))
        self.note.value = ""

    def _draw_rest(self) -> None:
        """Show the channels that count most."""
        if self.seen is None:
            return
        maps = self._maps()
        figures = [
            picture_html(image, f"Channel {channel}: {words(maps[channel])}", f"channel {channel}: {weight:.3g}")
            for (channel, weight), image in zip(self.seen.channels, self._channel_pictures(), strict=True)
        ]
        head = views.note(channel_words(self.seen)) if figures else ""
        self.channels.value = f"{head}<div style='display:flex;flex-wrap:wrap;gap:8px'>{''.join(figures)}</div>"

    def _maps(self) -> Any:
        """The maps (C, h, w) of the picture that is shown."""
        return self.looker.maps(self.item, self.state.tap)[0].float().cpu().numpy()

    def _offer_regions(self, count: int) -> None:
        """Set up the slider for the regions; if the regions have changed, show all of them first."""
        self.region.layout.display = None if count > 1 else "none"
        if self.region.max != count:
            self.region.value, self.region.max = 0, count

    def _painted(self) -> Image.Image:
        if self.seen is None:
            raise ValueError("PoolingView: there is no picture yet; see the panel's message.")
        picture, opacity = self.looker.picture(self.item), self.opacity.value
        chosen = self.region.value if self.region.value <= len(self.seen.boxes) else 0
        return paint_regions(picture, self.seen, opacity=opacity, region=chosen - 1 if chosen else None)

    def _channel_pictures(self) -> list[Image.Image]:
        picture, maps = self.looker.picture(self.item), self._maps()
        channels = self.seen.channels if self.seen else ()
        return [
            paint_map(picture, maps[channel], opacity=self.opacity.value, side=CHANNEL_SIDE) for channel, _ in channels
        ]

    def _sheet(self) -> Image.Image | None:
        if self.seen is None:
            return None
        pictures = [self._painted(), *([beside(self._channel_pictures())] if self.seen.channels else [])]
        setting = self.state.setting
        title = f"{self.question.words}: what {setting.aggregation} at {setting.tap} looks at"
        return titled_sheet(stack_pictures(pictures), title, facts(self.seen, setting.aggregation))


def channel_words(seen: Overlay) -> str:
    """Say what the small pictures are."""
    if seen.weighs_channels:
        return "The channels with the largest weights, and where each is active:"
    return "No channel is weighed; the most active ones, by their means:"


def facts(seen: Overlay, aggregation: str) -> str:
    """Say in sentences what the colours mean."""
    height, width = seen.cells.shape
    if seen.cells.size == 1:
        return "This tap has a single place: whatever is pooled there, all of the picture counts."
    said = [f"The map has {height} x {width} places."]
    if seen.weighs:
        said.append(f"Bright places count most for {aggregation}: {words(seen.cells)}.")
    else:
        said.append(f"{aggregation} weighs no place more than another; bright is where the network is active.")
    if len(seen.boxes) > 1:
        said.append(f"{len(seen.boxes)} regions; bright places lie in many of them.")
    if seen.mask is not None:
        said.append(f"What is dark is left out; {seen.mask.mean():.0%} of the picture is kept.")
    return " ".join(said)
