"""Calibrations of the accepted images of a dataset, in order of time: whether they vary, and their usual values."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable

    from trap.calibration.records import ImageCalibration
    from trap.typing import Array

__all__ = ["CalibrationHistory"]

N_RECENT = 100
"""Number of latest images whose values are kept, for comparison."""
MIN_IMAGES = 5
"""Number of images before which nothing is concluded from their scatter."""
MIN_EXCESS = 5.0
"""Significance, in σ, of a scatter of gains or shifts beyond their errors, from which the images vary."""


@dataclass(slots=True)
class _Scatter:
    """Weighted sum of squared deviations of values from their weighted mean, updated value by value (West 1979).

    The mean is free, since the image that sets the scale has an error of its own, which all others show.
    """

    n: int = 0
    weight: float = 0.0
    mean: float = 0.0
    chisq: float = 0.0

    def add(self, value: float, error: float) -> None:
        """Add the value of one image; NaN is left out."""
        if math.isfinite(value) and error > 0:
            # Its reference is the mean of the images before, which has an error of its own.
            weight = error**-2.0 / (1 + 1 / self.n if self.n else 1)
            self.n += 1
            self.weight += weight
            deviation = value - self.mean
            self.mean += deviation * weight / self.weight
            self.chisq += weight * deviation * (value - self.mean)


def _are_scattered(*scatters: _Scatter) -> bool:
    """Return whether values differ from their means by more than their errors."""
    if min(scatter.n for scatter in scatters) < MIN_IMAGES:
        return False
    freedom = sum(max(scatter.n - 1, 0) for scatter in scatters)
    chisq = sum(scatter.chisq for scatter in scatters)
    return chisq > freedom + MIN_EXCESS * math.sqrt(2 * freedom)


@dataclass(slots=True)
class _Series:
    """Calibrations of the images of one band and Stokes parameter."""

    gains: _Scatter = field(default_factory=_Scatter)
    shifts_ew: _Scatter = field(default_factory=_Scatter)
    shifts_ns: _Scatter = field(default_factory=_Scatter)
    recent: deque[ImageCalibration] = field(default_factory=lambda: deque(maxlen=N_RECENT))


class CalibrationHistory:
    """Calibrations of the accepted images so far, by band and Stokes parameter."""

    def __init__(self) -> None:
        self._series: dict[Hashable, _Series] = {}
        self._shifts: dict[int, tuple[int, float, float]] = {}

    def remember(self, key: Hashable, calibration: ImageCalibration, region: int = 0) -> None:
        """Add an accepted image.

        Parameters
        ----------
        key
            Band and Stokes parameter of the image.
        calibration
            Its calibration.
        region
            Number of its sky region.
        """
        series = self._series.setdefault(key, _Series())
        scale, astrometry = calibration.flux_scale, calibration.astrometry
        series.gains.add(scale.gain, scale.gain_err)
        series.shifts_ew.add(astrometry.shift_ew, astrometry.shift_ew_err)
        series.shifts_ns.add(astrometry.shift_ns, astrometry.shift_ns_err)
        series.recent.append(calibration)
        n, east, north = self._shifts.get(region, (0, 0.0, 0.0))
        if math.isfinite(astrometry.shift_ew) and math.isfinite(astrometry.shift_ns):
            self._shifts[region] = n + 1, east + astrometry.shift_ew, north + astrometry.shift_ns
        elif not n:  # the first image of a region without known sources sets the positions there
            self._shifts[region] = 1, 0.0, 0.0

    def mean_shift(self, region: int) -> tuple[float, float]:
        """Return the mean displacement of the images of a region from the running catalogue.

        The catalogue has the positions of the first image. If the images are right on average, it is displaced by the
        negative of this.

        Parameters
        ----------
        region
            Number of the sky region.

        Returns
        -------
        arcsec — to the east and to the north; 0 without images.
        """
        n, east, north = self._shifts.get(region, (1, 0.0, 0.0))
        return east / n, north / n

    def has_varying_gains(self, key: Hashable) -> bool:
        """Return whether the gains of a band and Stokes parameter scatter by more than their errors.

        Parameters
        ----------
        key
            Band and Stokes parameter.
        """
        return key in self._series and _are_scattered(self._series[key].gains)

    def has_varying_shifts(self, key: Hashable) -> bool:
        """Return whether the shifts of a band and Stokes parameter scatter by more than their errors.

        Parameters
        ----------
        key
            Band and Stokes parameter.
        """
        series = self._series.get(key)
        return series is not None and _are_scattered(series.shifts_ew, series.shifts_ns)

    def recent(self, key: Hashable, name: str) -> Array:
        """Return values of the latest images of a band and Stokes parameter, earliest first.

        Parameters
        ----------
        key
            Band and Stokes parameter.
        name
            Name of the value, with that of the part: ``"flux_scale.gain"``, ``"compactness"``.

        Returns
        -------
        (n,) — finite values.
        """
        recent = self._series[key].recent if key in self._series else ()
        values = np.array([attrgetter(name)(one) for one in recent], float)
        finite: Array = values[np.isfinite(values)]
        return finite
