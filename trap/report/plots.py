"""Figures of light curves, and of η against V. They need no display; matplotlib is imported when one is drawn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from trap.catalogues import ExtractType
from trap.config import stokes_letter
from trap.report.figures import DPI, own_style, write_title

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from trap.typing import Array


__all__ = [
    "LightCurve",
    "draw_eta_v",
    "draw_light_curve",
    "is_limit",
    "plot_eta_v",
    "plot_light_curves",
    "save_figure",
    "upper_limit",
    "write_dates",
]

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""Colours of the bands: the palette of Okabe and Ito, which colour-blind readers can distinguish."""
LIMIT_SIGMA = 3.0
"""σ — forced fits below this significance are drawn as upper limits, this far above the fit or above zero."""
SINGLE_SIZE = (6.4, 3.6)
"""inch — width and height of a figure of one light curve. The small panels are for figures of many."""
ENTRY_WIDTH = 1.2
"""inch — room for an entry of the legend."""
MARKERS = {1: "o", 2: "s", 3: "D", 4: "^"}
"""Markers of Stokes I, Q, U and V; any other Stokes parameter or correlation has a triangle that points down."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LightCurve:
    """The points of one source, in all bands, for a figure.

    Parameters
    ----------
    title
        Title of the panel.
    time
        (n,) datetime64 in UTC.
    band_mhz
        (n,) MHz — central frequency of the band of each point.
    flux, error
        (n,) Jy — integrated flux densities and their 1σ errors.
    extract_type
        (n,) — codes of :class:`~trap.catalogues.ExtractType`.
    stokes
        (n,) — Stokes parameters, as numbered in FITS; one number if it is the same for all points.
    truth
        Injected times and flux densities (Jy), by band in MHz; empty for real data.
    """

    title: str
    time: NDArray[np.datetime64]
    band_mhz: Array
    flux: Array
    error: Array
    extract_type: NDArray[np.integer]
    stokes: NDArray[np.integer] | int = 1
    truth: Mapping[float, tuple[NDArray[np.datetime64], Array]] = field(default_factory=dict)

    @classmethod
    def of_points(cls, title: str, points: Mapping[str, NDArray[Any]], **truth: Any) -> Self:  # noqa: ANN401
        """Make a light curve from columns of :func:`trap.db.lightcurves.light_curve`.

        Parameters
        ----------
        title
            Title of the panel.
        points
            (n,) values by name.
        **truth
            Field ``truth``, for simulated data.
        """
        return cls(
            title=title,
            time=points["taustart_ts"],
            band_mhz=points["freq_central"] / 1e6,
            flux=points["f_int"],
            error=points["f_int_err"],
            extract_type=points["extract_type"],
            stokes=points["stokes"],
            **truth,
        )


@own_style()
def plot_light_curves(curves: Sequence[LightCurve], *, columns: int = 3) -> Figure:
    """Draw light curves side by side, with a colour for each band and a marker for each Stokes parameter.

    Blind detections are filled, forced fits open, injected flux densities thin lines. Forced fits that are no detection
    are arrows that point down from the upper limit.

    Parameters
    ----------
    curves
        Light curves, at least one.
    columns
        Largest number of light curves in a row.
    """
    from matplotlib.figure import Figure

    columns = min(columns, len(curves))
    rows = -(-len(curves) // columns)
    size = (3.6 * columns + 0.4, 2.1 * rows + 0.7) if len(curves) > 1 else SINGLE_SIZE
    n_entries = min(6, int(size[0] / ENTRY_WIDTH))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
    colours = _colours(curves)
    for ax, curve in zip(axes, curves, strict=False):
        _draw_curve(ax, curve, colours)
    for ax in axes[len(curves) :]:
        ax.remove()
    for ax in axes[max(0, len(curves) - columns) : len(curves)]:
        ax.tick_params(labelbottom=True)
        write_dates(ax)
    figure.supylabel("flux density (mJy)", fontsize=9)
    handles = _legend(curves, colours)
    figure.legend(handles=handles, loc="outside lower center", ncols=n_entries, fontsize=8, frameon=False)
    return figure


def draw_light_curve(ax: Axes, curve: LightCurve) -> None:
    """Draw a light curve as :func:`plot_light_curves` does, with a legend.

    Parameters
    ----------
    ax
        Axes to draw on. Their style is not changed.
    curve
        Light curve, also one without points.
    """
    colours = _colours([curve])
    _draw_curve(ax, curve, colours)
    write_dates(ax)
    ax.set_ylabel("flux density (mJy)")
    ax.legend(handles=_legend([curve], colours), fontsize=8)


@own_style()
def plot_eta_v(v_int: Array, eta_int: Array, labels: NDArray[np.str_] | None = None) -> Figure:
    """Draw η against V. Variables stand out towards high values of both.

    Parameters
    ----------
    v_int, eta_int
        (n,) — V and η, dimensionless. Only positive and finite values are drawn, since the axes are logarithmic.
    labels
        (n,) — kind of each source, which sets its colour; None draws all sources alike.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 4.2), layout="constrained")
    draw_eta_v(figure.subplots(), v_int, eta_int, labels)
    return figure


def draw_eta_v(ax: Axes, v_int: Array, eta_int: Array, labels: NDArray[np.str_] | None = None) -> int:
    """Draw η against V as :func:`plot_eta_v` does.

    Parameters
    ----------
    ax
        Axes to draw on. Their style is not changed.
    v_int, eta_int, labels
        As for :func:`plot_eta_v`.

    Returns
    -------
    Number of the sources that are not drawn, since logarithmic axes have no place for them.
    """
    shown = np.isfinite(v_int) & np.isfinite(eta_int) & (v_int > 0) & (eta_int > 0)
    kinds = np.full(len(v_int), "source") if labels is None else labels
    for i, kind in enumerate(np.unique(kinds)):
        in_kind = shown & (kinds == kind)
        ax.plot(
            v_int[in_kind], eta_int[in_kind], "o", ms=4, alpha=0.8, color=COLOURS[i % len(COLOURS)], label=str(kind)
        )
    ax.set(xlabel="V (scatter over mean)", ylabel="η (reduced χ² of a constant)")
    if shown.any():
        # Logarithmic axes without a point have no limits.
        ax.set(xscale="log", yscale="log")
    if labels is not None and shown.any():
        ax.legend(fontsize=8, frameon=False)
    return int(len(v_int) - shown.sum())


def is_limit(curve: LightCurve, sigma: float = LIMIT_SIGMA) -> NDArray[np.bool_]:
    """Return whether points, (n,), are forced fits without a detection.

    Parameters
    ----------
    curve
        Light curve.
    sigma
        Number of errors that a detection has at least.
    """
    is_forced: NDArray[np.bool_] = curve.extract_type != ExtractType.BLIND
    return is_forced & (_brightness(curve) < sigma * curve.error)


def upper_limit(curve: LightCurve, sigma: float = LIMIT_SIGMA) -> Array:
    """Return the upper limits of points, (n,) Jy: some errors above zero, and above a positive fit.

    Parameters
    ----------
    curve
        Light curve.
    sigma
        Number of errors.
    """
    return np.maximum(_brightness(curve), 0.0) + sigma * curve.error


@own_style()
def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure to a file.

    Parameters
    ----------
    figure
        Figure to write.
    path
        File to write; its ending selects the format: .png, .pdf, .svg and others.

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError
        If the ending belongs to no known format.
    """
    figure.savefig(path, dpi=DPI)


def write_dates(ax: Axes) -> None:
    """Write the dates of a time axis once, with short ticks.

    Parameters
    ----------
    ax
        Axes with times along x.
    """
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=2)  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    ax.xaxis.get_offset_text().set_fontsize(7)


def _draw_curve(ax: Axes, curve: LightCurve, colours: dict[float, str]) -> None:
    """Draw one light curve: blind points filled, forced points open, injected flux densities as lines."""
    for band, (time, flux) in curve.truth.items():
        ax.plot(time, 1e3 * flux, "-", lw=0.8, alpha=0.6, color=colours[float(band)])
    is_blind = curve.extract_type == ExtractType.BLIND
    has_limit = is_limit(curve)
    stokes = np.broadcast_to(curve.stokes, curve.time.shape)
    for band, code in sorted(set(zip(curve.band_mhz.tolist(), stokes.tolist(), strict=True))):
        in_curve = (curve.band_mhz == band) & (stokes == code)
        for rows, face in ((in_curve & is_blind, None), (in_curve & ~is_blind & ~has_limit, "white")):
            colour = colours[band]
            ax.errorbar(
                curve.time[rows], 1e3 * curve.flux[rows], 1e3 * curve.error[rows], fmt=MARKERS.get(code, "v"), ms=3,
                lw=0.8, color=colour, mfc=face or colour, mew=0.8,
            )  # fmt: skip
        rows = in_curve & has_limit
        if rows.any():
            error = 1e3 * curve.error[rows]
            limit = 1e3 * upper_limit(curve)[rows]
            ax.errorbar(
                curve.time[rows], limit, 2 * error, fmt="_", ms=5, lw=0.8, mew=0.8, color=colours[band], uplims=True
            )
    ax.axhline(0, color="0.7", lw=0.6, zorder=0)
    write_title(ax, curve.title, 8)
    ax.tick_params(labelsize=7)


def _brightness(curve: LightCurve) -> Array:
    """Return flux densities of Stokes I, and absolute ones of Q, U and V, which may be negative."""
    return np.where(np.equal(curve.stokes, 1), curve.flux, np.abs(curve.flux))


def _colours(curves: Sequence[LightCurve]) -> dict[float, str]:
    """Return a colour for each band of light curves, by its frequency in MHz."""
    bands = sorted({float(band) for curve in curves for band in [*curve.band_mhz, *curve.truth]})
    return {band: COLOURS[i % len(COLOURS)] for i, band in enumerate(bands)}


def _legend(curves: Sequence[LightCurve], colours: dict[float, str]) -> list[object]:
    """Return the entries of the legend: bands, Stokes parameters, forced fits, limits and truths if any."""
    from matplotlib.lines import Line2D

    parameters = sorted({int(code) for curve in curves for code in np.unique(curve.stokes)})
    handles = [Line2D([], [], marker="o", ls="", ms=4, color=colour, label=f"{band:.5g} MHz")
               for band, colour in colours.items()]  # fmt: skip
    handles += [Line2D([], [], marker=MARKERS.get(code, "v"), ls="", ms=4, color="0.3",
                       label=f"Stokes {stokes_letter(code)}") for code in parameters]  # fmt: skip
    handles.append(Line2D([], [], marker="o", ls="", ms=4, color="0.3", mfc="white", label="forced fit"))
    if any(is_limit(curve).any() for curve in curves):
        handles.append(Line2D([], [], marker="$\\downarrow$", ls="", ms=6, color="0.3", label="upper limit"))
    if any(curve.truth for curve in curves):
        handles.append(Line2D([], [], lw=0.8, color="0.3", label="injected"))
    return list(handles)
