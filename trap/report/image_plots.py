"""Figure of an image with its sources and its searched area, for the inspection before a run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from trap.report.figures import own_style, write_title

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from trap.catalogues import Measurements
    from trap.typing import Map

__all__ = ["plot_image"]

MAX_SIDE = 1000
"""Largest number of drawn pixels along an axis; larger images are drawn at every n-th pixel."""
CIRCLE = 3.0
"""Radius of the circle around a source, in semi-major axes at half maximum: the source itself stays visible."""


@own_style()
def plot_image(title: str, data: Map, mask: NDArray[np.bool_], sources: Measurements, *, pixel_arcsec: float) -> Figure:
    """Draw an image, with a circle around each source and a shade over the area that is not searched.

    Parameters
    ----------
    title
        Title of the figure.
    data
        (ny, nx) Jy/beam — pixels.
    mask
        (ny, nx) — True where the image is not searched.
    sources
        (n,) — measurements of the sources.
    pixel_arcsec
        arcsec — size of a pixel.
    """
    # Without pyplot, whose figures stay in memory and which looks for a display.
    from matplotlib.figure import Figure

    step = max(1, math.ceil(max(data.shape) / MAX_SIDE))
    ny, nx = data.shape
    shown = 1e3 * np.where(np.isfinite(data), data, np.nan)[::step, ::step]
    low, high = _shades(shown)
    extent = (-0.5, nx - 0.5, -0.5, ny - 0.5)
    figure = Figure(figsize=(7.5, 6.5), layout="constrained")
    axes = figure.add_subplot()
    picture = axes.imshow(
        shown, origin="lower", extent=extent, cmap="gray_r", vmin=low, vmax=high, interpolation="nearest"
    )
    shade = np.zeros((*mask[::step, ::step].shape, 4))
    shade[mask[::step, ::step]] = (0.84, 0.37, 0.0, 0.25)
    axes.imshow(shade, origin="lower", extent=extent, interpolation="nearest")
    radius = CIRCLE * sources.semimajor / pixel_arcsec
    for x, y, size in zip(sources.x, sources.y, np.maximum(radius, 3.0), strict=True):
        around = np.linspace(0.0, 2 * np.pi, 49)
        axes.plot(x + size * np.cos(around), y + size * np.sin(around), "-", color="#0072b2", lw=1.0)
    axes.set(xlim=extent[:2], ylim=extent[2:], xlabel="pixel", ylabel="pixel")
    write_title(axes, title, 9)
    figure.colorbar(picture, ax=axes, label="mJy/beam")
    return figure


def _shades(pixels: NDArray[np.floating]) -> tuple[float, float]:
    """Return the brightest and the darkest shade, from three times the noise below the median to ten times above it."""
    finite = pixels[np.isfinite(pixels)]
    if not finite.size:
        return 0.0, 1.0
    median = float(np.median(finite))
    noise = 1.4826 * float(np.median(np.abs(finite - median)))
    return median - 3 * noise, median + (10 * noise or 1.0)
