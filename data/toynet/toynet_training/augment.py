"""Augmentation of whole batches at once: crops, and what photographs go through in colour, light and focus."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def uniform(count: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """`count` numbers from low to high."""
    return low + (high - low) * torch.rand(count, generator=generator)


def sample_boxes(extents: Tensor, subjects: Tensor, generator: torch.Generator) -> Tensor:
    """Random crops inside pictures of the given extents, about a point of their subjects as far as the frame allows.

    Parameters
    ----------
    extents : (B, 2), width and height in pixels.
    subjects : (B, 4), boxes (x0, y0, x1, y1) in pixels.

    Returns
    -------
    Tensor (B, 4) : centre x, centre y, width, height in pixels, inside the picture.
    """
    count = len(extents)
    side = uniform(count, 0.4, 1.1, generator) * extents.prod(1).sqrt()
    stretch = uniform(count, -0.25, 0.25, generator).exp()
    size = torch.minimum(torch.stack([side * stretch, side / stretch], 1), extents)
    about = torch.lerp(subjects[:, :2], subjects[:, 2:], torch.rand(count, 2, generator=generator))
    return torch.cat([torch.clamp(about, size / 2, extents - size / 2), size], 1)


def crop(
    canvases: Tensor, boxes: Tensor, size: int, angle: Tensor | None = None, shear: Tensor | None = None
) -> Tensor:
    """Cut boxes out of canvases, (B, 3, S, S) uint8 to (B, 3, size, size) float32 in 0..1.

    Parameters
    ----------
    boxes : (B, 4) as from `sample_boxes`.
    angle : (B,) turn of each box about its centre, in radians; none without it.
    shear : (B, 2) slant along x and along y, as a share of the box; none without it.
    """
    side = canvases.shape[-1]
    zero = torch.zeros(len(boxes), 1, 1)
    angle = zero if angle is None else angle.view(-1, 1, 1)
    along_x, along_y = (zero, zero) if shear is None else shear.T.reshape(2, -1, 1, 1)
    x, y, width, height = (boxes / side).T.reshape(4, -1, 1, 1)
    across = ((torch.arange(size) + 0.5) / size * 2 - 1).view(1, 1, -1)
    down = across.view(1, -1, 1)
    grid_x = 2 * x - 1 + (width * angle.cos()) * across + (along_x * width - height * angle.sin()) * down
    grid_y = 2 * y - 1 + (width * angle.sin() + along_y * height) * across + (height * angle.cos()) * down
    grid = torch.stack([grid_x, grid_y], -1).to(canvases.device)
    pixels = canvases.float().div_(255)
    return functional.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)


def turned_crop(canvases: Tensor, extents: Tensor, subjects: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Random crops, turned by about 6 degrees and sheared by up to a tenth."""
    boxes = sample_boxes(extents, subjects, generator)
    angle = torch.randn(len(extents), generator=generator) * 0.1
    shear = (torch.rand(len(extents), 2, generator=generator) - 0.5) * 0.2
    return crop(canvases, boxes, size, angle, shear)


class Photographer:
    """Random changes of exposure, colour, light, focus and noise.

    The noise comes from a bank drawn once, at a random offset for each batch: fresh noise costs a tenth of a step.
    """

    def __init__(self, seed: int, device: torch.device, side: int = 192, count: int = 16) -> None:
        self.device = device
        self.noise = torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(seed)).to(device)

    def expose(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Change images (B, 3, H, W) in 0..1; the result stays in 0..1."""
        count = len(images)
        images = self._colours(images, generator)
        gamma = uniform(count, -0.3, 0.3, generator).exp()
        images = images.clamp_(1e-3, 1).pow(self._column(gamma))
        images = images * self._light(count, images.shape[-2:], generator)
        images = self._focus(images, generator)
        strength = uniform(count, 0, 0.03, generator)
        return torch.addcmul(images, self._grain(images, generator), self._column(strength)).clamp_(0, 1)

    def occlude(self, images: Tensor, generator: torch.Generator, probability: float = 0.4) -> Tensor:
        """Cover a rectangle of some images (B, 3, H, W) with the same rectangle of another image of the batch."""
        count, _, height, width = images.shape
        columns = _span(count, width, 0.45, generator)[:, None, None, :]
        rows = _span(count, height, 0.60, generator)[:, None, :, None]
        chosen = torch.rand(count, generator=generator) < probability
        inside = (rows & columns & chosen[:, None, None, None]).to(self.device)
        return torch.where(inside, images.roll(1 + count // 3, 0), images)

    def _colours(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Gain, colour cast, contrast and saturation: one 3 x 3 matrix and one offset per image."""
        count = len(images)
        gain = uniform(count, 0.7, 1.3, generator)
        cast = (torch.randn(count, 3, generator=generator) * 0.06).exp()
        contrast = uniform(count, 0.7, 1.3, generator)
        saturation = uniform(count, 0.4, 1.25, generator)
        saturation[torch.rand(count, generator=generator) < 0.07] = 0
        keep = saturation[:, None, None] * torch.eye(3) + (1 - saturation[:, None, None]) / 3
        matrix = (keep * cast[:, None, :] * (gain * contrast)[:, None, None]).to(self.device)
        flat = images.flatten(2)
        brightness = flat.mean(dim=(1, 2), keepdim=True)
        offset = brightness * ((1 - contrast) * gain).to(self.device)[:, None, None]
        return torch.baddbmm(offset.expand(-1, 3, 1), matrix, flat).view_as(images)

    def _light(self, count: int, shape: torch.Size, generator: torch.Generator) -> Tensor:
        """Smooth field of illumination, (B, 1, H, W), one for half of the images."""
        field = 0.7 + 0.6 * torch.rand(count, 1, 3, 3, generator=generator)
        field[torch.rand(count, generator=generator) < 0.5] = 1
        return functional.interpolate(field.to(self.device), size=tuple(shape), mode="bilinear")

    def _focus(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Blend with a 3 x 3 average: blur where the weight is positive, sharpening where it is negative."""
        weight = uniform(len(images), -0.5, 1.0, generator)
        weight[torch.rand(len(images), generator=generator) < 0.5] = 0
        return torch.lerp(images, _average(images), self._column(weight))

    def _grain(self, images: Tensor, generator: torch.Generator) -> Tensor:
        count, _, height, width = images.shape
        limit = min(self.noise.shape[-2] - height, self.noise.shape[-1] - width)
        row, column = torch.randint(limit + 1, (2,), generator=generator).tolist()
        which = torch.randint(len(self.noise), (count,), generator=generator).to(self.device)
        return self.noise[:, :, row : row + height, column : column + width].index_select(0, which)

    def _column(self, values: Tensor) -> Tensor:
        return values.to(self.device)[:, None, None, None]


def _span(count: int, length: int, longest: float, generator: torch.Generator) -> Tensor:
    """(B, length) bool: a run of true of random place, a tenth to `longest` of the length long."""
    extent = uniform(count, 0.1, longest, generator)[:, None] * length
    start = uniform(count, 0, 0.9, generator)[:, None] * length
    position = torch.arange(length)
    return (position >= start) & (position < start + extent)


def _average(images: Tensor) -> Tensor:
    """Mean over 3 x 3 pixels, the border repeated: ten times as fast as torch's pooling of this layout on a CPU."""
    rows = images.clone()
    rows[..., 1:-1, :] += images[..., :-2, :] + images[..., 2:, :]
    rows[..., :1, :] += images[..., :1, :] + images[..., 1:2, :]
    rows[..., -1:, :] += images[..., -1:, :] + images[..., -2:-1, :]
    mean = rows.clone()
    mean[..., 1:-1] += rows[..., :-2] + rows[..., 2:]
    mean[..., :1] += rows[..., :1] + rows[..., 1:2]
    mean[..., -1:] += rows[..., -1:] + rows[..., -2:-1]
    return mean.div_(9)
