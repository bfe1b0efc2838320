"""How a result is marked: one frame, one symbol and one word per kind, so that nothing relies on colour alone."""

from __future__ import annotations

from dataclasses import dataclass

FRAME_PIXELS = 4


@dataclass(frozen=True)
class Mark:
    """A frame and the words that go with it.

    Attributes
    ----------
    symbol, short : printed on the picture.
    label : the sentence of the legend, read out by screen readers.
    colour : CSS colour of the frame.
    line : CSS line style; each kind has its own.
    """

    symbol: str
    short: str
    label: str
    colour: str
    line: str

    def to_page(self) -> dict[str, str]:
        """The values that the page needs to draw the mark."""
        border = f"{FRAME_PIXELS}px {self.line} {self.colour}"
        return {"symbol": self.symbol, "short": self.short, "label": self.label, "border": border}


MARKS = {
    "easy": Mark("✓", "easy", "easy: right, clearly visible", "#2e7d32", "solid"),
    "hard": Mark("◆", "hard", "hard: right, difficult to see", "#00838f", "dashed"),
    "good": Mark("✓", "good", "good: right, clearly visible", "#2e7d32", "solid"),
    "ok": Mark("◆", "ok", "ok: right, at least a quarter of it visible", "#00838f", "dashed"),
    "positive": Mark("✓", "right", "right: same instance", "#2e7d32", "solid"),
    "junk": Mark("○", "junk", "junk: ignored by the protocol", "#757575", "dotted"),
    "wrong": Mark("✗", "wrong", "wrong", "#c62828", "double"),
}
