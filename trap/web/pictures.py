"""Pictures of arrays: brightness as colours on a stated scale, as small PNG files.

A PNG file with a palette of 256 colours takes a thousandth of the time of a figure. Pixels without a value have a
colour that the map of the others does not have.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

from trap.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["COLOURS", "STRETCHES", "Scale", "as_png", "colour_stops", "source_scale", "statistics_scale"]

Stretch = Literal["linear", "asinh"]
STRETCHES = ("linear", "asinh")
LOW_SIGMA, HIGH_SIGMA = 3.0, 5.0
"""σ — depth below zero at which the scale begins, and height that it reaches at least: noise stays visible as noise."""
SOFT_SIGMA = 3.0
"""σ — brightness up to which an asinh scale is nearly linear."""
LEVELS = 255
"""Number of colours of values; the first colour of a palette, number 0, is for pixels without a value."""
COLOURS: Mapping[str, tuple[tuple[str, ...], str]] = {
    # Anchors of viridis, which is as bright as the value for every kind of colour vision. It has no grey.
    "viridis": (
        ("440154", "482475", "414487", "355f8d", "2a788e", "21918c", "22a884", "44bf70", "7ad151", "bddf26", "fde725"),
        "9a9a9a",
    ),
    "grey": (("000000", "ffffff"), "a8632f"),
}
"""Maps of colours: anchors from the faintest to the brightest, and the colour of pixels without a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Brightness of the faintest and of the brightest colour.

    Parameters
    ----------
    low, high
        Jy/beam — ends of the scale; values beyond them have the colours of the ends.
    stretch
        Whether colours follow the brightness, or its inverse hyperbolic sine, which shows faint next to bright.
    soft
        Jy/beam — brightness up to which the latter is nearly linear.

    Raises
    ------
    ConfigError
        If these numbers make no scale.
    """

    low: float
    high: float
    stretch: str = "linear"
    soft: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            msg = f"a scale needs low below high, got low = {self.low:g} and high = {self.high:g} Jy/beam"
            raise ConfigError(msg)
        if self.stretch not in STRETCHES:
            msg = f"stretch must be one of {', '.join(STRETCHES)}, got {self.stretch!r}"
            raise ConfigError(msg)
        if not (math.isfinite(self.soft) and self.soft > 0):
            msg = f"soft must be a brightness above 0, got {self.soft:g} Jy/beam"
            raise ConfigError(msg)

    def shares(self, values: Any) -> NDArray[np.float64]:  # noqa: ANN401 (a number or an array)
        """Return the places of values along the scale: 0 for its low end and 1 for its high end; NaN for NaN.

        Parameters
        ----------
        values
            Jy/beam — of any shape.
        """
        stretched = [np.asarray(each, float) for each in (values, self.low, self.high)]
        # Numbers of any size may come from an address.
        with np.errstate(all="ignore"):
            if self.stretch == "asinh":
                stretched = [np.arcsinh(each / self.soft) for each in stretched]
            given, low, high = stretched
            share = (given - low) / max(float(high - low), np.finfo(float).tiny)
        clipped: NDArray[np.float64] = np.clip(share, 0.0, 1.0)
        return clipped

    def query(self) -> str:
        """Return the scale as the query of an address."""
        return f"low={self.low:.6g}&high={self.high:.6g}&stretch={self.stretch}&soft={self.soft:.6g}"

    def ticks(self) -> list[tuple[float, float]]:
        """Return brightnesses [mJy/beam] to write along the scale, and their places from 0 to 1."""
        middle = 0.0 if self.low < 0 < self.high else (self.low + self.high) / 2
        half = middle + (self.high - middle) / 2 if self.stretch == "linear" else middle + self.soft
        values = [self.low, middle, min(half, self.high), self.high]
        places = self.shares(values).tolist()
        return [
            (1e3 * value, place)
            for i, (value, place) in enumerate(zip(values, places, strict=True))
            # Numbers need room: those that come too near to another one are left out, but never the ends.
            if i in (0, 3) or (place - places[0] > 0.15 and 1 - place > 0.15 and (i == 1 or place - places[1] > 0.15))
        ]


def source_scale(points: Mapping[str, NDArray[Any]], stretch: str = "linear") -> Scale:
    """Return one scale for the cut-outs of a source at all its epochs, from its noise and its brightest epoch.

    Images show brightness before calibration; flux densities are therefore taken before it too.

    Parameters
    ----------
    points
        (n,) columns of :func:`trap.db.lightcurves.light_curve`.
    stretch
        Stretch of the scale.
    """
    raw, peak = (np.asarray(points[name], float) for name in ("f_peak_raw", "f_peak"))
    peak = np.where(np.isfinite(raw), raw, peak)
    rms = np.asarray(points["rms"], float)
    rms = rms[np.isfinite(rms) & (rms > 0)]
    peak = peak[np.isfinite(peak)]
    brightest, deepest = (float(peak.max()), float(peak.min())) if peak.size else (0.0, 0.0)
    noise = float(np.median(rms)) if rms.size else max(abs(brightest), abs(deepest), 1e-30) / HIGH_SIGMA
    # Stokes Q, U and V may be negative: the scale then reaches down to them.
    low = min(-LOW_SIGMA * noise, deepest if deepest < -HIGH_SIGMA * noise else 0.0)
    return Scale(low=low, high=max(brightest, HIGH_SIGMA * noise), stretch=stretch, soft=SOFT_SIGMA * noise)


def statistics_scale(middle: float, noise: float, brightest: float, stretch: str = "asinh") -> Scale:
    """Return the scale of an image from its statistics.

    Parameters
    ----------
    middle, noise, brightest
        Jy/beam — median, noise and highest value.
    stretch
        Stretch of the scale.
    """
    if not all(map(math.isfinite, (middle, noise, brightest))):
        return Scale(low=0.0, high=1.0)
    noise = noise or abs(brightest - middle) / HIGH_SIGMA or abs(middle) or 1.0
    low = middle - LOW_SIGMA * noise
    return Scale(low=low, high=max(brightest, middle + HIGH_SIGMA * noise), stretch=stretch, soft=SOFT_SIGMA * noise)


def as_png(pixels: NDArray[Any], scale: Scale, colours: str = "viridis") -> bytes:
    """Draw an array as a PNG file, its first row at the bottom.

    Parameters
    ----------
    pixels
        (ny, nx) Jy/beam — NaN is drawn in a colour of its own.
    scale
        Brightness of the colours.
    colours
        Name of the map of colours.
    """
    share = scale.shares(pixels)
    is_known = np.isfinite(share)
    levels = np.zeros(share.shape, np.uint8)
    levels[is_known] = 1 + np.round(share[is_known] * (LEVELS - 1)).astype(np.uint8)
    picture = Image.fromarray(np.ascontiguousarray(levels[::-1]))
    picture.putpalette(_palette(colours))
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=3)
    return file.getvalue()


def colour_stops(colours: str) -> list[str]:
    """Return the colours of a map at equal distances, as a gradient of a style sheet needs them."""
    return [f"#{anchor}" for anchor in _anchors(colours)[0]]


def _anchors(colours: str) -> tuple[tuple[str, ...], str]:
    if colours not in COLOURS:
        msg = f"colours must be one of {', '.join(COLOURS)}, got {colours!r}"
        raise ConfigError(msg)
    return COLOURS[colours]


def _palette(colours: str) -> bytes:
    """Return the 256 colours of a map: first the one of pixels without a value."""
    anchors, missing = _anchors(colours)
    steps = np.linspace(0, len(anchors) - 1, LEVELS)
    parts = np.array([list(bytes.fromhex(anchor)) for anchor in anchors], float)
    mixed = np.stack([np.interp(steps, np.arange(len(anchors)), parts[:, i]) for i in range(3)], axis=1)
    return bytes.fromhex(missing) + np.round(mixed).astype(np.uint8).tobytes()
