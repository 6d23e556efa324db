"""Figures of a dataset, drawn on the axes of the caller or on new ones. Nothing is shown: the notebook does that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from astropy.timeseries import TimeSeries

from trap.catalogues import VARIABLE_P
from trap.errors import ConfigError
from trap.report.figures import write_title
from trap.report.plots import LightCurve as DrawnCurve
from trap.report.plots import draw_eta_v, draw_light_curve
from trap.report.text import count, sky_position
from trap.results.curves import LightCurves
from trap.results.positions import Angle, Choice, Filter, Source
from trap.results.queries import Queries
from trap.results.tables import plain, stokes_codes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

__all__ = ["Drawing", "draw_curve"]

MAX_PANELS = 12
"""Largest number of cut-outs in a new figure, unless the caller gives axes."""


class Drawing(LightCurves, Queries):
    """Figures of light curves, of variability and of cut-outs."""

    def plot_light_curve(
        self,
        source: Source | TimeSeries | None = None,
        dec: Angle | None = None,
        *,
        ax: Axes | None = None,
        **choice: Unpack[Choice],
    ) -> Axes:
        """Draw the light curve of a source, with a colour for each band and a marker for each Stokes parameter.

        Detections are filled, forced fits open; forced fits below 3 σ are arrows from their upper limit.

        Parameters
        ----------
        source, dec
            As for :meth:`light_curve`; or a light curve, which is drawn as it is, also one that was read from a file.
        ax
            Axes to draw on; None makes a figure.
        **choice
            ``name``, ``candidate``, ``radius``, ``band`` and ``stokes``, as for :meth:`light_curve`.

        Returns
        -------
        The axes.

        Examples
        --------
        >>> ax = dataset.plot_light_curve(1)  # doctest: +SKIP
        >>> ax.figure.savefig("curve.png")  # doctest: +SKIP
        """
        curve = source if isinstance(source, TimeSeries) else self.light_curve(source, dec, **choice)
        return draw_curve(curve, ax)

    def plot_eta_v(self, *, ax: Axes | None = None, max_p: float = VARIABLE_P, **selection: Filter) -> Axes:
        """Draw η against V of the sources, on logarithmic axes. Variables stand out towards high values of both.

        A note counts the sources without a positive η and V, for which such axes have no place.

        Parameters
        ----------
        ax
            Axes to draw on; None makes a figure.
        max_p
            Sources whose η is at most as probable for a constant source have the colour of variables.
        **selection
            Filters, as for :meth:`sources`.

        Returns
        -------
        The axes.

        Examples
        --------
        >>> ax = dataset.plot_eta_v(min_datapoints=5)  # doctest: +SKIP
        """
        names = ("v_int", "eta_int", "eta_p_value", "newsource")
        table = self.sources(**selection, columns=names)
        v_int, eta_int, p_value, candidate = (plain(table[name]) for name in names)
        labels = np.where(p_value <= max_p, "variable", "other sources")
        labels[~np.ma.getmaskarray(candidate)] = "candidate"
        ax = _axes(1, (5.2, 4.2))[0] if ax is None else ax
        n_left_out = draw_eta_v(ax, v_int, eta_int, labels)
        if n_left_out:
            note = f"{count(n_left_out, 'source')} without positive η and V"
            ax.text(0.02, 0.98, note, transform=ax.transAxes, va="top", fontsize=8)
        return ax

    def plot_cutouts(
        self,
        source: Source | None = None,
        dec: Angle | None = None,
        *,
        axes: Sequence[Axes] | NDArray[Any] | Axes | None = None,
        size: int | None = None,
        **choice: Unpack[Choice],
    ) -> NDArray[Any]:
        """Draw cut-outs of the images of a light curve, all in the same shades.

        Parameters
        ----------
        source, dec, size, **choice
            As for :meth:`cutouts`.
        axes
            Axes to draw on, one for each cut-out, of any shape; fewer axes show the images around the first detection,
            and axes that are left over are hidden. None makes a figure of at most twelve.

        Returns
        -------
        The axes with cut-outs, (n,).

        Raises
        ------
        ConfigError
            If there are no axes.
        TrapError
            If no image of the source can be read.

        Examples
        --------
        >>> axes = dataset.plot_cutouts(1)  # doctest: +SKIP
        """
        from trap.report.cutouts import draw_cutouts

        given = None if axes is None else np.atleast_1d(np.asarray(axes, object)).ravel()
        if given is not None and not given.size:
            msg = "axes has no axes; leave it out to make a figure"
            raise ConfigError(msg)
        limit = MAX_PANELS if given is None else given.size
        cutouts = self.cutouts(source, dec, limit=limit, size=size, **choice)
        places = _axes(len(cutouts), (2.6, 2.9)) if given is None else given
        pictures = draw_cutouts(places[: len(cutouts)].tolist(), [cutout.drawing for cutout in cutouts])
        for ax in places[len(cutouts) :]:
            ax.set_visible(False)
        if given is None:
            bar = places[0].figure.colorbar(pictures[0], ax=places.tolist(), shrink=0.8)
            bar.set_label("mJy/beam")
        return places[: len(cutouts)]


def draw_curve(curve: TimeSeries, ax: Axes | None = None) -> Axes:
    """Draw a light curve.

    Parameters
    ----------
    curve
        The light curve, with its position and the number of its entry, or of its merged source, in ``meta``.
    ax
        Axes to draw on; None makes a figure.

    Returns
    -------
    The axes.
    """
    ax = _axes(1, (6.4, 3.6))[0] if ax is None else ax
    name = next(f"{kind} {curve.meta[kind]}" for kind in ("entry", "source") if kind in curve.meta)
    title = f"{name}, {sky_position(curve.meta['ra'], curve.meta['dec'])}"
    draw_light_curve(ax, _drawn(curve, title))
    write_title(ax, title, 10)
    return ax


def _drawn(curve: TimeSeries, title: str) -> DrawnCurve:
    """Convert a light curve to the values that figures need. Points are drawn at the middle of their images."""
    return DrawnCurve(
        title=title,
        time=curve["time"].to_value("datetime64").astype("M8[us]"),
        band_mhz=plain(curve["freq_central"]) / 1e6,
        flux=plain(curve["f_int"]),
        error=plain(curve["f_int_err"]),
        extract_type=plain(curve["extract_type"]),
        stokes=stokes_codes(plain(curve["stokes"])),
    )


def _axes(n: int, size: tuple[float, float], columns: int = 4) -> NDArray[Any]:
    """Make the axes of a new figure, (n,), each of a size in inches."""
    from matplotlib import pyplot as plt

    columns = min(n, columns)
    rows = -(-n // columns)
    figure, grid = plt.subplots(
        rows, columns, squeeze=False, figsize=(columns * size[0], rows * size[1]), layout="constrained"
    )
    places = grid.ravel()
    for ax in places[n:]:
        figure.delaxes(ax)
    return np.asarray(places[:n])
