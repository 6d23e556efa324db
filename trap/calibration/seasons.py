"""The flux scales of datasets against each other, for light curves that join several seasons.

The images of a dataset are calibrated on its own first images, so that two datasets of one field may differ by a
factor. It is measured by the sources that both have, with the method for images (:mod:`trap.calibration.fluxes`), in
each band and Stokes parameter. The reference of a dataset is the mean flux density of a source over earlier datasets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from trap.calibration.calibrators import MAX_CALIBRATORS, MAX_RATIO, Matches
from trap.calibration.fluxes import solve_flux_scale
from trap.calibration.records import FluxScale
from trap.tables import ColumnTable, column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.config import CalibrationConfig
    from trap.typing import Array, Ids, Indices

__all__ = ["SeasonKey", "SeasonMeans", "season_gains"]


class SeasonKey(NamedTuple):
    """A flux scale: of one season in one band and Stokes parameter."""

    season: int
    band: int
    stokes: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeasonMeans(ColumnTable):
    """Mean flux densities of sources: one row for each source, season, band and Stokes parameter."""

    source: NDArray[np.int64] = column("i8", "", "Number of the source.")
    season: NDArray[np.int64] = column("i8", "", "Number of the season, in the order of merging.")
    band: NDArray[np.int64] = column("i8", "", "Number of the band, common to the seasons.")
    stokes: NDArray[np.int16] = column("i2", "", "Stokes parameter, as numbered in FITS.")
    f_int: NDArray[np.float64] = column("f8", "Jy", "Mean integrated flux density weighted by 1/σ².")
    f_int_err: NDArray[np.float64] = column("f8", "Jy", "1σ error of f_int.")
    f_peak: NDArray[np.float64] = column("f8", "Jy/beam", "Mean peak flux density weighted by 1/σ².")


def season_gains(means: SeasonMeans, settings: CalibrationConfig) -> dict[SeasonKey, FluxScale]:
    """Measure the gain of each season against the seasons before it.

    Parameters
    ----------
    means
        Mean flux densities of bright, isolated sources. A source has one row at most for each key.
    settings
        Least numbers and significance of calibrators, and whether gains are applied.

    Returns
    -------
    Gains of all seasons but the first of each band and Stokes parameter. A gain that is not applied has a note.
    """
    gains: dict[SeasonKey, FluxScale] = {}
    curves = np.unique(np.stack([means.band, means.stokes.astype(np.int64)]), axis=1).T
    for band, stokes in curves.tolist():
        rows = means.take((means.band == band) & (means.stokes == stokes))
        first, *later = np.unique(rows.season).tolist()
        reference = _Reference.of(rows.take(rows.season == first))
        for season in later:
            found = rows.take(rows.season == season)
            scale = _solve(found, reference, settings)
            gains[SeasonKey(season, band, stokes)] = scale
            reference = reference.with_season(found, scale.gain if scale.is_applied else 1.0)
    return gains


class _Reference(NamedTuple):
    """Mean flux densities over the earlier seasons, in order of the sources."""

    source: Ids
    flux: Array
    weight: Array

    @classmethod
    def of(cls, means: SeasonMeans) -> _Reference:
        order = np.argsort(means.source)
        return cls(means.source[order], means.f_int[order], means.f_int_err[order] ** -2.0)

    def rows_of(self, sources: Ids) -> tuple[Indices, NDArray[np.bool_]]:
        """Return the row of each source, and whether it has one; (n,) each."""
        rows = np.minimum(np.searchsorted(self.source, sources), max(len(self.source) - 1, 0))
        return rows, self.source[rows] == sources

    def with_season(self, means: SeasonMeans, gain: float) -> _Reference:
        """Return the means that include another season, on the scale of the reference."""
        source = np.concatenate([self.source, means.source])
        flux = np.concatenate([self.flux, means.f_int / gain])
        weight = np.concatenate([self.weight, (means.f_int_err / gain) ** -2.0])
        sources, number = np.unique(source, return_inverse=True)
        total = np.asarray(np.bincount(number, weight), float)
        return _Reference(sources, np.bincount(number, weight * flux) / total, total)


def _solve(means: SeasonMeans, reference: _Reference, settings: CalibrationConfig) -> FluxScale:
    """Fit the gain of a season by its brightest compact sources that the reference has too."""
    rows, is_known = reference.rows_of(means.source)
    usable = is_known & (means.f_int >= settings.min_signal_to_noise * means.f_int_err) & (means.f_peak > 0)
    ratio = np.where(usable, means.f_int / np.where(usable, means.f_peak, 1.0), np.nan)
    if usable.any():
        # Seasons of different resolution disagree on extended sources.
        usable &= ratio < MAX_RATIO * np.nanmedian(ratio)
    brightest = np.flatnonzero(usable)[np.argsort(-means.f_int[usable], kind="stable")][:MAX_CALIBRATORS]
    chosen, known = means.take(brightest), rows[brightest]
    zeros = np.zeros(len(chosen))
    matches = Matches.of(
        row=brightest,
        **dict.fromkeys(("u", "v", "d_u", "d_v", "var_u", "var_v", "ref_var_u", "ref_var_v"), zeros),
        f_int=chosen.f_int,
        f_int_err=chosen.f_int_err,
        ref_f_int=reference.flux[known],
        ref_f_int_err=reference.weight[known] ** -0.5,
    )
    return solve_flux_scale(matches, settings, reference="earlier datasets", is_varying=False)[0]
