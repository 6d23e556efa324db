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
MIN_EXCESS = 5.0
"""Significance, in σ, of a scatter of gains or shifts beyond their errors, from which the images vary."""


@dataclass(slots=True)
class _Excess:
    """Sum of squared deviations in units of their errors, and the number of deviations."""

    n: int = 0
    chisq: float = 0.0

    def add(self, deviation: float, error: float) -> None:
        if math.isfinite(deviation) and error > 0:
            self.n += 1
            self.chisq += (deviation / error) ** 2

    @property
    def is_significant(self) -> bool:
        return self.chisq > self.n + MIN_EXCESS * math.sqrt(2 * self.n)


@dataclass(slots=True)
class _Series:
    """Calibrations of the images of one band and Stokes parameter."""

    gains: _Excess = field(default_factory=_Excess)
    shifts: _Excess = field(default_factory=_Excess)
    recent: deque[ImageCalibration] = field(default_factory=lambda: deque(maxlen=N_RECENT))


class CalibrationHistory:
    """Calibrations of the accepted images so far, by band and Stokes parameter."""

    def __init__(self) -> None:
        self._series: dict[Hashable, _Series] = {}

    def remember(self, key: Hashable, calibration: ImageCalibration) -> None:
        """Add an accepted image.

        Parameters
        ----------
        key
            Band and Stokes parameter of the image.
        calibration
            Its calibration.
        """
        series = self._series.setdefault(key, _Series())
        scale, astrometry = calibration.flux_scale, calibration.astrometry
        series.gains.add(scale.gain - 1, scale.gain_err)
        series.shifts.add(astrometry.shift_ew, astrometry.shift_ew_err)
        series.shifts.add(astrometry.shift_ns, astrometry.shift_ns_err)
        series.recent.append(calibration)

    def has_varying_gains(self, key: Hashable) -> bool:
        """Return whether the gains of a band and Stokes parameter differ from 1 by more than their errors.

        Parameters
        ----------
        key
            Band and Stokes parameter.
        """
        return key in self._series and self._series[key].gains.is_significant

    def has_varying_shifts(self, key: Hashable) -> bool:
        """Return whether the shifts of a band and Stokes parameter differ from 0 by more than their errors.

        Parameters
        ----------
        key
            Band and Stokes parameter.
        """
        return key in self._series and self._series[key].shifts.is_significant

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
