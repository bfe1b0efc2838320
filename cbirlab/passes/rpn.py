"""The region proposal network of torchvision's Faster R-CNN (Ren et al., NeurIPS 2015), from a weights file.

Its objectness knows no classes; the heads that name objects are never run, and a file may lack them.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchvision.models import get_model

from cbirlab.backbones import weights
from cbirlab.store.files import state_of

# The quickest comes first: the first detector with a file is used.
DETECTORS = (
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "fasterrcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_resnet50_fpn_v2",
    "fasterrcnn_resnet50_fpn",
)


@torch.inference_mode()
def score(pixels: np.ndarray) -> np.ndarray:
    """Boxes (n, 4) in pixels of `pixels`, uint8 (H, W, 3); the highest objectness first.

    Raises
    ------
    WeightsError : no weights file, several that could be meant, or one that does not fit.
    """
    name, path = weights_file()
    detector = _detector(name, path, state_of(path.stat()))
    image = torch.tensor(pixels).permute(2, 0, 1) / 255
    images, _ = detector.transform([image])
    boxes = detector.rpn(images, detector.backbone(images.tensors))[0][0]
    (height, width), (seen_height, seen_width) = pixels.shape[:2], images.image_sizes[0]
    across, down = width / seen_width, height / seen_height
    return boxes.double().numpy() * [across, down, across, down]


def weights_file() -> tuple[str, Path]:
    """Name of the detector and its weights file in the folder that ``CBIRLAB_WEIGHTS`` names.

    Raises
    ------
    WeightsError : none, or several of one detector.
    """
    folder = os.environ.get(weights.FOLDER_VARIABLE, "")
    files = sorted(Path(folder).rglob("fasterrcnn_*")) if folder else []
    files = [path for path in files if path.suffix.lower() in weights.SUFFIXES]
    for name in DETECTORS:
        mine = [path for path in files if _detector_of(path) == name]
        if len(mine) > 1:
            raise weights.WeightsError(
                f"proposals(method='rpn'): {weights.FOLDER_VARIABLE} must hold one file of {name}, "
                f"got {', '.join(map(str, mine))}; move the others away."
            )
        if mine:
            return name, mine[0]
    raise weights.WeightsError(
        f"proposals(method='rpn') needs the weights of a detector of torchvision in the folder that "
        f"{weights.FOLDER_VARIABLE} names (now {folder or 'not set'}): a file whose name begins with "
        f"{' or '.join(DETECTORS)}; without one take method='ward'."
    )


def _detector_of(path: Path) -> str | None:
    """The longest detector name with which the file's name begins: ..._fpn_v2 is not ..._fpn."""
    return max((name for name in DETECTORS if path.name.startswith(name)), key=len, default=None)


@lru_cache(maxsize=1)
def _detector(name: str, path: Path, changed: str) -> Any:
    """The detector with the file's weights; `changed` makes sure that a replaced file is read again."""
    detector: Any = get_model(name, weights=None, weights_backbone=None)
    state = weights.match_tensors(weights.read(path), detector.state_dict(), name)
    for part in ("backbone", "rpn"):
        own = {key.removeprefix(f"{part}."): value for key, value in state.items() if key.startswith(f"{part}.")}
        if not own:
            raise weights.WeightsError(f"{path}: weights of {name} must have tensors named {part}.*, got none.")
        missing = weights.fill(getattr(detector, part), own, f"{name}, {part}")
        if missing:
            raise weights.WeightsError(f"{path}: {len(missing)} tensors of {name} are missing, one is {min(missing)}.")
    return detector.eval()
