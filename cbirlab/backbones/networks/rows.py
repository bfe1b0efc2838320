"""Rows: taps written one per line, and networks with weights that torchvision publishes."""

from __future__ import annotations

from typing import Any

from cbirlab.backbones.catalogue import Tap, add_backbone

TRAINED_AT = (224, 224)


def taps(rows: str) -> dict[str, Tap]:
    """One tap per line: name, path, channels, stride or "vector".

    Then, if it applies, "signed" for values below 0, and the layout, "BHWC" or "BNC" (one token before the patches).
    """
    found = {}
    for row in rows.strip().splitlines():
        name, path, channels, stride, *words = row.split()
        kind, stride = ("vector", 0) if stride == "vector" else ("map", int(stride))
        layout = next((word for word in words if word != "signed"), "BCHW")
        found[name] = Tap(path, int(channels), stride, kind, "signed" in words, layout, int(layout == "BNC"))
    return found


def torchvision(name: str, title: str, reference: str, rows: str, *, builder: str = "", **facts: Any) -> None:
    """Register a network with weights that torchvision publishes: V1 by default, because V2 is worse for retrieval.

    V2 was trained with label smoothing and mixed images, which pulls near duplicates apart: in ResNet-50's V2 their
    cosine falls below 0.7, in V1 it stays above 0.95 (pytorch/vision, issue 8382). V2 is available by name.
    """
    add_backbone(
        name,
        builder or f"torchvision.models:{name}",
        title=title,
        reference=reference,
        taps=taps(rows),
        weights="IMAGENET1K_V1",
        licence="BSD-3-Clause (torchvision)",
        **facts,
    )
