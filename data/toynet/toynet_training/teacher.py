"""The teacher: MobileNetV2's features of fixed crops, computed once, whitened, and kept for the whole training.

MobileNetV2: Sandler et al., CVPR 2018. Its features are whitened, so that a few strong directions do not rule the
cosine which the student is asked to raise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from .augment import crop, sample_boxes
from .pictures import Pictures

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_LOCAL_LAYER = 13  # deepest layer at stride 16, that of toynet's deepest map
_SAMPLE = 2048  # crops from which the principal components are learned


@dataclass(frozen=True)
class TeacherOptions:
    """What the teacher sees and says.

    Attributes
    ----------
    crops : fixed crops of each picture.
    size : side of the square that the teacher sees, in pixels.
    pooled : principal components kept of the average of the last map (stride 32).
    local : principal components kept of each 2 x 2 cells of the last map at stride 16.
    """

    crops: int = 4
    size: int = 192
    pooled: int = 192
    local: int = 96


@dataclass(frozen=True)
class Lessons:
    """What the teacher said of K fixed crops of N pictures.

    Attributes
    ----------
    boxes : (N, K, 4) float32, as from `augment.sample_boxes`.
    pooled : (N, K, P) float16, unit vectors.
    local : (N, K, L, H, W) float16, unit vectors along L.
    """

    boxes: Tensor
    pooled: Tensor
    local: Tensor


class Whitener:
    """Principal components to unit variance, then to unit length."""

    def __init__(self, samples: Tensor, dimensions: int) -> None:
        self.mean = samples.mean(0)
        _, spread, directions = torch.linalg.svd(samples - self.mean, full_matrices=False)
        kept = min(dimensions, len(spread))
        scale = len(samples) ** 0.5 / spread[:kept].clamp(min=1e-6 * float(spread[0]))
        self.projection = directions[:kept].T * scale

    def __call__(self, vectors: Tensor) -> Tensor:
        """Whiten the rows of (N, D) to unit vectors (N, dimensions)."""
        return functional.normalize((vectors - self.mean) @ self.projection, dim=1)


def read_teacher(path: Path, device: torch.device) -> nn.Sequential:
    """The convolutional part of MobileNetV2 with the state dict of `path`, ready to be asked."""
    from torchvision.models import mobilenet_v2

    network = mobilenet_v2(weights=None)
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), strict=True)
    return network.features.eval().to(device, memory_format=torch.channels_last)


def ask_teacher(
    path: Path,
    pictures: Pictures,
    cache: Path,
    options: TeacherOptions,
    seed: int,
    device: torch.device,
    precision: torch.dtype,
) -> Lessons:
    """Lessons of the teacher at `path` on `pictures`, from the file `cache` if it holds these, else computed and kept.

    The pooled features and each cell are L2-normalised, whitened and normalised again.
    """
    key = _key(path, pictures, options, seed, precision)
    if cache.exists():
        kept = torch.load(cache, weights_only=True, mmap=True)
        if kept["key"] == key:
            return Lessons(kept["boxes"], kept["pooled"], kept["local"])
    generator = torch.Generator().manual_seed(seed)
    extents, subjects = (one.repeat_interleave(options.crops, 0) for one in (pictures.extents, pictures.subjects))
    boxes = sample_boxes(extents, subjects, generator).view(len(pictures), options.crops, 4)
    lessons = _teach(read_teacher(path, device), pictures, boxes, options, generator, device, precision)
    unfinished = cache.with_suffix(".unfinished")
    torch.save({"key": key, "boxes": boxes, "pooled": lessons.pooled, "local": lessons.local}, unfinished)
    unfinished.replace(cache)
    return lessons


def _teach(
    teacher: nn.Sequential,
    pictures: Pictures,
    boxes: Tensor,
    options: TeacherOptions,
    generator: torch.Generator,
    device: torch.device,
    precision: torch.dtype,
) -> Lessons:
    """Features of all crops, whitened by components that a random sample of the crops gives."""
    count, crops = boxes.shape[:2]

    def features(order: Tensor, title: str) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for some in tqdm(order.split(32), title, mininterval=5):
            canvases = pictures.pixels[some // crops].to(device)
            pixels = _normalise(crop(canvases, boxes.view(-1, 4)[some], options.size))
            with torch.inference_mode(), torch.autocast(device.type, precision, enabled=precision != torch.float32):
                middle = teacher[: _LOCAL_LAYER + 1](pixels)
                pooled = teacher[_LOCAL_LAYER + 1 :](middle).mean((2, 3)).float().cpu()
                cells = functional.avg_pool2d(middle.float(), 2).cpu()
            yield some, functional.normalize(pooled, dim=1), functional.normalize(cells, dim=1)

    sample = torch.randperm(count * crops, generator=generator)[:_SAMPLE]
    pooled, local = zip(*((one, _rows(two)[::7]) for _, one, two in features(sample, "teacher, sample")), strict=True)
    whiten_pooled = Whitener(torch.cat(pooled), options.pooled)
    whiten_local = Whitener(torch.cat(local), options.local)
    said_pooled: list[Tensor] = []
    said_local: list[Tensor] = []
    for _, one, two in features(torch.arange(count * crops), "teacher"):
        said_pooled.append(whiten_pooled(one).half())
        cells = whiten_local(_rows(two)).view(len(two), *two.shape[2:], -1)
        said_local.append(cells.permute(0, 3, 1, 2).half())
    return Lessons(boxes, *(torch.cat(said).unflatten(0, (count, crops)) for said in (said_pooled, said_local)))


def _rows(maps: Tensor) -> Tensor:
    """Cells (B * H * W, C) of maps (B, C, H, W)."""
    return maps.permute(0, 2, 3, 1).flatten(0, 2)


def _normalise(images: Tensor) -> Tensor:
    mean, std = (torch.tensor(values, device=images.device).view(1, 3, 1, 1) for values in (_MEAN, _STD))
    return ((images - mean) / std).contiguous(memory_format=torch.channels_last)


def _key(path: Path, pictures: Pictures, options: TeacherOptions, seed: int, precision: torch.dtype) -> str:
    weights = hashlib.sha256(path.read_bytes()).hexdigest()
    facts = (weights, pictures.digest(), asdict(options), seed, str(precision))
    return hashlib.sha256(repr(facts).encode()).hexdigest()
