"""Streamed statistics of light curves: columns in memory and in the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.tables import Column

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FLUX_COLUMNS", "FLUX_STATISTICS"]

_DOUBLE = np.dtype("f8")


def _moments(name: str, meaning: str, unit: str, squared: str, weight: str) -> dict[str, Column]:
    """Describe the streamed moments of one kind of flux density: I, with weights w = 1/σ²."""
    return {
        f"mean_{name}": Column(_DOUBLE, unit, f"Mean {meaning} flux density I."),
        f"m2_{name}": Column(_DOUBLE, squared, f"Sum of squared deviations of I from its mean, {meaning}."),
        f"wsum_{name}": Column(_DOUBLE, weight, f"Sum of the weights w = 1/σ², {meaning}."),
        f"wmean_{name}": Column(_DOUBLE, unit, f"Mean of I weighted by w, {meaning}."),
        f"wm2_{name}": Column(
            _DOUBLE, "", f"Weighted sum of squared deviations of I from its weighted mean, {meaning}."
        ),
    }


FLUX_COLUMNS: Mapping[str, Column] = {
    "n": Column(np.dtype("i4"), "", "Number of flux points, forced fits included."),
    **_moments("f_peak", "peak", "Jy/beam", "Jy2/beam2", "beam2/Jy2"),
    **_moments("f_int", "integrated", "Jy", "Jy2", "Jy-2"),
    "max_f_int": Column(_DOUBLE, "Jy", "Highest integrated flux density."),
    "err2_f_int": Column(_DOUBLE, "Jy2", "Sum of the squared errors of the integrated flux density."),
    "vs_f_int": Column(_DOUBLE, "", "Largest step of the integrated flux density over its error, as vs_max."),
    "m_f_int": Column(_DOUBLE, "", "The same step over the average of the two, as m_max; infinite if that is zero."),
}
"""Statistics of a light curve that are updated with every point, in the order of :data:`FLUX_STATISTICS`.

Table ``runningcatalog_flux`` stores them to the last bit, and takes units and sentences from here."""

FLUX_STATISTICS = np.dtype([(name, spec.dtype) for name, spec in FLUX_COLUMNS.items()])
"""State of one light curve: a record of :data:`FLUX_COLUMNS`."""
