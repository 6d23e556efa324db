"""Figures: light curves, and η against V. Drawn without a display; matplotlib is imported when one is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from trap.catalogues import ExtractType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from trap.typing import Array


__all__ = ["LightCurve", "plot_eta_v", "plot_light_curves", "save_figure"]

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""One a band: those of Okabe and Ito, which colour-blind people tell apart."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LightCurve:
    """The points of one source, of all bands, for a figure.

    Parameters
    ----------
    title
        What stands above it.
    time
        (n,) datetime64 in UTC.
    band_mhz
        (n,) MHz — central frequency of the band of each point.
    flux, error
        (n,) Jy — integrated flux density and its 1σ error.
    extract_type
        (n,) — codes of :class:`~trap.catalogues.ExtractType`.
    truth
        For each band in MHz the times and flux densities that were injected; empty for real data.
    """

    title: str
    time: NDArray[np.datetime64]
    band_mhz: Array
    flux: Array
    error: Array
    extract_type: NDArray[np.integer]
    truth: Mapping[float, tuple[NDArray[np.datetime64], Array]] = field(default_factory=dict)

    @classmethod
    def of_points(cls, title: str, points: Mapping[str, NDArray[Any]], **truth: Any) -> Self:  # noqa: ANN401
        """Make one of columns as :func:`trap.db.lightcurves.light_curve` returns them."""
        return cls(
            title=title,
            time=points["taustart_ts"],
            band_mhz=points["freq_central"] / 1e6,
            flux=points["f_int"],
            error=points["f_int_err"],
            extract_type=points["extract_type"],
            **truth,
        )


def plot_light_curves(curves: Sequence[LightCurve], *, columns: int = 3) -> Figure:
    """Draw light curves side by side, a colour for each band.

    Blind detections are filled, forced fits open, injected flux densities thin lines.

    Parameters
    ----------
    curves
        At least one.
    columns
        How many stand in a row, at most.
    """
    from matplotlib.figure import Figure

    columns = min(columns, len(curves))
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(3.6 * columns + 0.4, 2.1 * rows + 0.7), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
    bands = sorted({float(band) for curve in curves for band in [*curve.band_mhz, *curve.truth]})
    colours = {band: COLOURS[i % len(COLOURS)] for i, band in enumerate(bands)}
    for ax, curve in zip(axes, curves, strict=False):
        _draw_curve(ax, curve, colours)
    for ax in axes[len(curves) :]:
        ax.remove()
    for ax in axes[max(0, len(curves) - columns) : len(curves)]:
        ax.tick_params(labelbottom=True)
        _write_dates(ax)
    figure.supylabel("flux density (mJy)", fontsize=9)
    figure.legend(handles=_legend(colours, has_truth=any(curve.truth for curve in curves)),
                  loc="outside lower center", ncols=6, fontsize=8, frameon=False)  # fmt: skip
    return figure


def plot_eta_v(v_int: Array, eta_int: Array, labels: NDArray[np.str_] | None = None) -> Figure:
    """Draw η against V, the plane in which variables stand out.

    Parameters
    ----------
    v_int, eta_int
        (n,) dimensionless; rows that are not positive and finite cannot be drawn on logarithmic
        axes and are left out.
    labels
        (n,) — kind of each source, a colour each; None draws all alike.
    """
    from matplotlib.figure import Figure

    shown = np.isfinite(v_int) & np.isfinite(eta_int) & (v_int > 0) & (eta_int > 0)
    kinds = np.full(len(v_int), "source") if labels is None else labels
    figure = Figure(figsize=(5.2, 4.2), layout="constrained")
    ax = figure.subplots()
    for i, kind in enumerate(np.unique(kinds)):
        chosen = shown & (kinds == kind)
        ax.plot(v_int[chosen], eta_int[chosen], "o", ms=4, alpha=0.8, color=COLOURS[i % len(COLOURS)], label=str(kind))
    ax.set(xlabel="V (scatter over mean)", ylabel="η (reduced χ² of a constant)")
    if shown.any():
        # Without a point there is nothing that logarithmic axes could span.
        ax.set(xscale="log", yscale="log")
    if labels is not None and shown.any():
        ax.legend(fontsize=8, frameon=False)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure to a file, whose ending chooses the format.

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError
        If the ending is not that of a format that can be written.
    """
    figure.savefig(path, dpi=100)


def _draw_curve(ax: Axes, curve: LightCurve, colours: dict[float, str]) -> None:
    for band, (time, flux) in curve.truth.items():
        ax.plot(time, 1e3 * flux, "-", lw=0.8, alpha=0.6, color=colours[float(band)])
    is_blind = curve.extract_type == ExtractType.BLIND
    for band in np.unique(curve.band_mhz):
        for chosen, face in (
            ((curve.band_mhz == band) & is_blind, None),
            ((curve.band_mhz == band) & ~is_blind, "white"),
        ):
            colour = colours[float(band)]
            ax.errorbar(
                curve.time[chosen], 1e3 * curve.flux[chosen], 1e3 * curve.error[chosen], fmt="o", ms=3, lw=0.8,
                color=colour, mfc=face or colour, mew=0.8,
            )  # fmt: skip
    ax.axhline(0, color="0.7", lw=0.6, zorder=0)
    ax.set_title(curve.title, fontsize=8)
    ax.tick_params(labelsize=7)


def _write_dates(ax: Axes) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=2)  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    ax.xaxis.get_offset_text().set_fontsize(7)


def _legend(colours: dict[float, str], *, has_truth: bool) -> list[object]:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], marker="o", ls="", ms=4, color=colour, label=f"{band:.5g} MHz")
               for band, colour in colours.items()]  # fmt: skip
    handles.append(Line2D([], [], marker="o", ls="", ms=4, color="0.3", mfc="white", label="forced fit"))
    if has_truth:
        handles.append(Line2D([], [], lw=0.8, color="0.3", label="injected"))
    return list(handles)
