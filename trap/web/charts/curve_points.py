"""The points of a light curve as a chart shows them: the choice of flux density, of limits, and of the axis of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from trap.codes import ExtractType
from trap.report.plots import LIMIT_SIGMA, LightCurve, is_limit, upper_limit
from trap.web.charts.style import milliseconds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.typing import Array, Columns, Indices

__all__ = ["CurveOptions", "ShownPoints", "shown_points"]

DAY = np.timedelta64(1, "D") / np.timedelta64(1, "us")


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveOptions:
    """Choices of a light curve.

    Attributes
    ----------
    flux
        Integrated or peak flux densities.
    calibrated
        Flux densities after the correction of each image, or before it.
    limits
        Whether limits are drawn.
    forced
        Whether fits at known positions are drawn; limits have their own choice.
    bands
        Row numbers of the bands that are drawn; empty draws all.
    stokes
        Stokes parameters that are drawn, as FITS numbers them; empty draws all.
    snr
        Signal-to-noise ratio below which a fit at a known position is drawn as an upper limit.
    time
        Dates, or days since the first detection.
    axis
        Scale of the flux densities. A logarithmic one has no place for values that are not positive.
    """

    flux: Literal["int", "peak"] = "int"
    calibrated: Literal["corrected", "raw"] = "corrected"
    limits: bool = True
    forced: bool = True
    bands: tuple[int, ...] = ()
    stokes: tuple[int, ...] = ()
    snr: float = LIMIT_SIGMA
    time: Literal["date", "days"] = "date"
    axis: Literal["linear", "log"] = "linear"

    @property
    def limit_sigma(self) -> float:
        """Number of errors between a fit, or zero, and its upper limit."""
        return max(self.snr, LIMIT_SIGMA)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShownPoints:
    """The points that are drawn.

    Attributes
    ----------
    rows
        (n,) — their rows among all points.
    x
        (n,) ms since 1970, or days since ``start``.
    start
        Time of the first detection; None if x are dates.
    flux, error
        (n,) mJy, or mJy/beam.
    y, low, high
        (n,) mJy — place of the mark and ends of its bar: of the error, or of the arrow down from a limit.
    is_limit
        (n,)
    n_without_flux, n_without_place
        Number of points without a flux density, and of points that a logarithmic axis has no place for.
    """

    rows: Indices
    x: Array
    start: np.datetime64 | None
    flux: Array
    error: Array
    y: Array
    low: Array
    high: Array
    is_limit: NDArray[np.bool_]
    n_without_flux: int
    n_without_place: int


def shown_points(points: Columns, options: CurveOptions) -> ShownPoints:
    """Choose the points that are drawn, and their places.

    Parameters
    ----------
    points
        Columns of :func:`trap.db.lightcurves.light_curve`.
    options
        Choices.
    """
    flux, error = _fluxes(points, options)
    curve = LightCurve(
        title="",
        time=_middle(points),
        band_mhz=points["freq_central"] / 1e6,
        flux=1e3 * flux,
        error=1e3 * error,
        extract_type=points["extract_type"],
        stokes=points["stokes"],
    )
    limited = is_limit(curve, options.snr)
    limit = upper_limit(curve, options.limit_sigma)
    y = np.where(limited, limit, curve.flux)
    # The arrow of a limit is as long as an error bar, as in figures in files.
    low = np.where(limited, limit - 2 * curve.error, curve.flux - curve.error)
    high = np.where(limited, limit, curve.flux + curve.error)
    chosen = _is_chosen(points, options, limited)
    has_flux = np.isfinite(y)
    has_place = (y > 0) | (options.axis == "linear")
    rows = np.flatnonzero(chosen & has_flux & has_place)
    x, start = _times(curve, options)
    lowest = low[rows] if options.axis == "linear" else np.where(low[rows] > 0, low[rows], y[rows] / 10)
    return ShownPoints(
        rows=rows,
        x=x[rows],
        start=start,
        flux=curve.flux[rows],
        error=curve.error[rows],
        y=y[rows],
        low=lowest,
        high=high[rows],
        is_limit=limited[rows],
        n_without_flux=int((chosen & ~has_flux).sum()),
        n_without_place=int((chosen & has_flux & ~has_place).sum()),
    )


def _middle(points: Columns) -> NDArray[np.datetime64]:
    """Return the middle of each observation, (n,); its start if the duration is unknown."""
    half = np.round(5e5 * np.nan_to_num(np.asarray(points["tau_time"], float))).astype("m8[us]")
    middle: NDArray[np.datetime64] = points["taustart_ts"].astype("M8[us]") + half
    return middle


def _fluxes(points: Columns, options: CurveOptions) -> tuple[Array, Array]:
    """Return flux densities and errors [Jy], (n,); a correction has divided both by the same gain."""
    name = f"f_{options.flux}"
    flux, error = (np.asarray(points[column], float) for column in (name, f"{name}_err"))
    if options.calibrated == "corrected":
        return flux, error
    stored = np.asarray(points[f"{name}_raw"], float)
    raw = np.where(np.isfinite(stored), stored, flux)
    gain = np.divide(raw, flux, out=np.ones_like(raw), where=np.isfinite(stored) & (flux != 0))
    return raw, error * np.abs(gain)


def _is_chosen(points: Columns, options: CurveOptions, limited: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return whether points, (n,), are of a chosen kind, band and Stokes parameter."""
    chosen = np.ones(len(limited), bool)
    if options.bands:
        chosen &= np.isin(points["band"], options.bands)
    if options.stokes:
        chosen &= np.isin(points["stokes"], options.stokes)
    if not options.limits:
        chosen &= ~limited
    if not options.forced:
        chosen &= limited | (points["extract_type"] == ExtractType.BLIND)
    return chosen


def _times(curve: LightCurve, options: CurveOptions) -> tuple[Array, np.datetime64 | None]:
    """Return the values on the axis of time, (n,), and the time of zero days; None for dates."""
    if options.time == "date" or not len(curve.time):
        return milliseconds(curve.time), None
    is_blind = curve.extract_type == ExtractType.BLIND
    start = (curve.time[is_blind] if is_blind.any() else curve.time).min()
    days: Array = (curve.time - start).astype("m8[us]").astype(float) / DAY
    return days, start
