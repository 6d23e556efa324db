"""What an image shows at a position: a small piece of it, with the beam and the directions on the sky."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from numpy.typing import NDArray

    from trap.images.image import Image
    from trap.typing import Array


__all__ = ["CutOut", "plot_cutouts", "read_cutout"]

BEAMS = 6.0
"""Half the side of a cut-out, in major axes of the beam."""
HALF_MIN, HALF_MAX = 12, 100
"""Half the side in pixels, at least and at most."""
STEP_DEG = 1e-4
"""Small enough for the directions of north and east to be those at the position."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CutOut:
    """A piece of an image around a position.

    Parameters
    ----------
    title
        What stands above it.
    pixels
        (ny, nx) Jy/beam — NaN where there is no value.
    position
        x, y of the position among the pixels; the centre of the first pixel is 0.
    scale
        arcsec per pixel.
    north, east
        (2,) — unit vectors along the axes of the pixels.
    beam
        (n, 2) pixels — outline of the beam at half maximum around (0, 0); empty without a beam.
    """

    title: str
    pixels: NDArray[np.float32]
    position: tuple[float, float]
    scale: float
    north: Array
    east: Array
    beam: Array


def read_cutout(image: Image, ra: float, dec: float, title: str) -> CutOut | None:
    """Read the surroundings of a position from an image; the rest of it is not read where the file allows that.

    Parameters
    ----------
    image
        Of which nothing was read yet.
    ra, dec
        deg, ICRS.

    Returns
    -------
    None where the position is not on the image.

    Raises
    ------
    ImageError
        If the image cannot be read.
    """
    metadata, wcs = image.metadata, image.wcs
    x, y = (float(value) for value in wcs.all_world2pix(ra, dec, 0, quiet=True))
    if not (-0.5 <= x < metadata.nx - 0.5 and -0.5 <= y < metadata.ny - 0.5):
        return None
    scale = abs(metadata.deltay)
    wanted = HALF_MIN if metadata.beam is None else round(BEAMS * metadata.beam.bmaj / scale)
    half = int(np.clip(wanted, HALF_MIN, HALF_MAX))
    left, bottom = max(0, round(x) - half), max(0, round(y) - half)
    pixels = image.cutout(slice(bottom, round(y) + half + 1), slice(left, round(x) + half + 1))
    north = np.array(wcs.all_world2pix(ra, dec + STEP_DEG, 0, quiet=True)) - (x, y)
    north /= np.hypot(*north)
    handed = np.sign(metadata.deltax * metadata.deltay)
    east = handed * np.array([north[1], -north[0]])
    beam = np.empty((0, 2))
    if metadata.beam is not None:
        angle, phase = np.radians(metadata.beam.bpa), np.linspace(0, 2 * np.pi, 73)[:, None]
        major, minor = np.cos(angle) * north + np.sin(angle) * east, np.cos(angle) * east - np.sin(angle) * north
        beam = (
            metadata.beam.bmaj * np.cos(phase) * major + metadata.beam.bmin * np.sin(phase) * minor
        ) / (2 * scale)  # fmt: skip
    return CutOut(
        title=title, pixels=pixels, position=(x - left, y - bottom), scale=3600 * scale, north=north, east=east,
        beam=beam,
    )  # fmt: skip


def plot_cutouts(cutouts: list[CutOut]) -> Figure:
    """Draw cut-outs side by side, all in the same shades.

    Parameters
    ----------
    cutouts
        At least one; the shades are those of the first, from its noise to what is at the position.
    """
    from matplotlib.figure import Figure

    # Places are fixed: finding room for everything takes longer than drawing it.
    panel, left, bottom, gap, right = 2.6, 0.55, 0.5, 0.45, 0.85
    width, height = left + len(cutouts) * (panel + gap) - gap + right, bottom + panel + 0.35
    figure = Figure(figsize=(width, height))
    low, high = _shades(cutouts[0])
    pictures = [
        _draw(
            figure.add_axes(
                ((left + number * (panel + gap)) / width, bottom / height, panel / width, panel / height)
            ),
            cutout, low, high,
        )
        for number, cutout in enumerate(cutouts)
    ]  # fmt: skip
    place = ((width - right + 0.12) / width, bottom / height, 0.12 / width, panel / height)
    bar = figure.colorbar(pictures[0], cax=figure.add_axes(place))
    bar.set_label("mJy/beam", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return figure


def _shades(cutout: CutOut) -> tuple[float, float]:
    """Darkest and brightest shade in mJy/beam: a bright neighbour must not hide what is at the position."""
    pixels = 1e3 * cutout.pixels
    known = pixels[np.isfinite(pixels)]
    if not known.size:
        return 0.0, 1.0
    rows, columns = np.indices(pixels.shape)
    size = np.hypot(*cutout.beam.T).max() if len(cutout.beam) else 3.0
    near = pixels[np.hypot(columns - cutout.position[0], rows - cutout.position[1]) <= size]
    median = float(np.median(known))
    noise = 1.4826 * float(np.median(np.abs(known - median)))
    peak = float(np.nanmax(near)) if np.isfinite(near).any() else float(known.max())
    return median - 3 * noise, max(peak, median + 5 * noise)


def _draw(ax: Axes, cutout: CutOut, low: float, high: float) -> AxesImage:
    """Draw one, with north and east, the beam, and the position in the middle of a gap."""
    (ny, nx), (x, y), scale = cutout.pixels.shape, cutout.position, cutout.scale
    extent = ((-0.5 - x) * scale, (nx - 0.5 - x) * scale, (-0.5 - y) * scale, (ny - 0.5 - y) * scale)
    picture = ax.imshow(1e3 * cutout.pixels, origin="lower", extent=extent, cmap="viridis", vmin=low, vmax=high)
    side = max(map(abs, extent))
    ax.set(xlim=(-side, side), ylim=(-side, side), facecolor="0.6")
    ax.set_title(cutout.title, fontsize=8)
    ax.tick_params(labelsize=7)
    ax.set_xlabel("arcsec", fontsize=8)
    for along in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        gap, reach = np.outer((0.22, 0.4), along) * side
        ax.plot((gap[0], reach[0]), (gap[1], reach[1]), "-", color="w", lw=1.0)
    corner = np.array([0.72, -0.86]) * side
    for name, direction in (("N", cutout.north), ("E", cutout.east)):
        x_tip, y_tip = corner + 0.24 * side * direction
        ax.annotate("", (x_tip, y_tip), tuple(corner), arrowprops={"arrowstyle": "-|>", "color": "w", "lw": 0.8})
        x_name, y_name = corner + 0.32 * side * direction
        ax.text(x_name, y_name, name, color="w", fontsize=7, ha="center", va="center")
    if len(cutout.beam):
        size = scale * np.abs(cutout.beam).max()
        ax.fill(*(scale * cutout.beam - side + 1.6 * size).T, fc="none", ec="w", lw=1.0)
    return picture
