"""Figures of methods: a whitening's spectrum, cosines before and after it, what a pooling looked at, pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.plots.canvas import COLOURS, HATCHES, LINES, ink, legend, new_axes, plain, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def spectrum(whitening: Any, *, ax: Axes | None = None) -> Axes:
    """The eigenvalues that a fitted whitening found, as shares of the variance, and how many dimensions it keeps.

    Raises
    ------
    ValueError : a whitening that is not fitted, or that has no spectrum.
    """
    values = getattr(whitening, "spectrum_", None)
    if values is None:
        raise ValueError(
            f"spectrum: whitening must be fitted and have eigenvalues, as 'pca', got {type(whitening).__name__}."
        )
    values = np.asarray(values, float)
    positive = values > 0
    ax = ax or new_axes()
    shares = 100 * values / values[positive].sum()
    ax.semilogy(np.flatnonzero(positive) + 1, shares[positive], color=COLOURS[0], linewidth=1.8, zorder=3)
    kept = int(getattr(whitening, "n_components_", len(values)))
    ax.axvline(kept, color=COLOURS[1], linestyle="--", linewidth=1.4, label=f"{kept} of {len(values)} dimensions kept")
    ax.set_xlabel("dimension, by its eigenvalue")
    ax.set_ylabel("share of the variance (%)")
    legend(ax, 1)
    return tidy(ax, grid="y")


def cosines(matching: Any, other: Any, *, title: str = "", ax: Axes | None = None) -> Axes:
    """Histograms of the cosines of matching and of other pairs, each with an area of one; apart is good.

    Parameters
    ----------
    matching, other : cosines in [-1, 1], any shape.
    title : a title such as "before whitening".

    Raises
    ------
    ValueError : one of the two is empty.
    """
    ax = ax or new_axes()
    groups = {"matching pairs": np.ravel(matching).astype(float), "other pairs": np.ravel(other).astype(float)}
    for name, values in groups.items():
        if not len(values):
            raise ValueError(f"cosines: {name} must be at least one, got none.")
    both = np.concatenate([*groups.values()])
    edges = np.linspace(min(both.min(), 0), max(both.max(), 1), 51)
    for place, (name, values) in enumerate(groups.items()):
        looks: dict[str, Any] = {"color": COLOURS[place], "linestyle": LINES[place], "hatch": HATCHES[place]}
        label = f"{name}: {len(values)}, mean {values.mean():.2f}"
        ax.hist(values, edges, density=True, histtype="step", linewidth=1.8, label=label, zorder=3 - place, **looks)
    ax.set_xlabel("cosine")
    ax.set_ylabel("density")
    ax.set_title(plain(title), color=ink(ax))
    legend(ax, 1)
    return tidy(ax, grid="y")


def overlay(
    image: Any,
    weights: Any = None,
    boxes: Sequence[Sequence[float]] = (),
    *,
    cells: tuple[int, int] | None = None,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Show what a pooling looked at, over the picture: how much each place counts, or boxes.

    Parameters
    ----------
    image : a Pillow image, or (H, W, 3).
    weights : (h, w), >= 0, for the cells of a map that covers the picture; bright places count much.
    boxes : each (top, left, bottom, right), in cells of that map.
    cells : (h, w) of the map, if there are boxes without weights; by default boxes are in pixels.
    title : a title such as the name of the method.

    Raises
    ------
    ValueError : weights that are not (h, w), or a box that does not have four numbers.
    """
    from matplotlib.patches import Rectangle

    pixels = np.asarray(image)
    height, width = pixels.shape[:2]
    ax = ax or new_axes(width=5.0, height=0.3 + 4.8 * height / width)
    ax.imshow(pixels, extent=(0, width, height, 0))
    if weights is not None:
        heat = np.asarray(weights, float)
        if heat.ndim != 2:
            raise ValueError(f"overlay: weights must be (h, w), got {heat.shape}.")
        cells = cells or (heat.shape[0], heat.shape[1])
        drawn = ax.imshow(heat, extent=(0, width, height, 0), cmap="viridis", alpha=0.55, interpolation="bilinear")
        _scale(ax, drawn)
    down, across = (height / cells[0], width / cells[1]) if cells else (1.0, 1.0)
    for place, box in enumerate(boxes):
        if len(box) != 4:
            raise ValueError(f"overlay: a box must be (top, left, bottom, right), got {tuple(box)}.")
        top, left, bottom, right = (edge * step for edge, step in zip(box, (down, across) * 2, strict=True))
        looks: dict[str, Any] = {
            "edgecolor": COLOURS[place % len(COLOURS)],
            "linestyle": LINES[place // len(COLOURS) % len(LINES)],
        }
        for line, over in (
            (4.0, {**looks, "edgecolor": "white"}),
            (2.0, looks),
        ):  # a white rim is visible on any picture
            ax.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, linewidth=line, **over))
    ax.set_axis_off()
    ax.set_title(plain(title), color=ink(ax))
    return ax


def pictures(shown: Mapping[str, Any], *, ax: Axes | None = None) -> Axes:
    """Pictures side by side at one scale, pixel for pixel, each under its name and size.

    Parameters
    ----------
    shown : name to a Pillow image, or (H, W, 3).

    Raises
    ------
    ValueError : no picture.
    """
    if not shown:
        raise ValueError("pictures: shown must hold at least one picture, got none.")
    arrays = [np.asarray(picture) for picture in shown.values()]
    room = max(max(array.shape[1] for array in arrays) // 10, 4)
    starts = np.cumsum([0, *(array.shape[1] + room for array in arrays)])
    height = max(array.shape[0] for array in arrays)
    width = 10.0
    ax = ax or new_axes(width=width, height=0.6 + width * height / starts[-1])
    for start, (name, array) in zip(starts, zip(shown, arrays, strict=True), strict=False):
        ax.imshow(array, extent=(start, start + array.shape[1], array.shape[0], 0), interpolation="nearest")
        label = f"{plain(name)}\n{array.shape[0]} x {array.shape[1]}"
        ax.text(start, -room / 2, label, va="bottom", fontsize=8, color=ink(ax))
    ax.set_xlim(0, starts[-1])
    ax.set_ylim(height, -room / 2)
    ax.set_axis_off()
    return ax


def _scale(ax: Axes, drawn: Any) -> None:
    """Add a bar that says what the colours mean."""
    bar = ax.figure.figure.colorbar(drawn, ax=ax, shrink=0.8)  # pyright: ignore[reportOptionalMemberAccess]
    bar.set_label("weight", color=ink(ax))
    bar.ax.tick_params(colors=ink(ax))
    bar.outline.set_visible(False)
