"""Light curves, upper limits and cut-outs of a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from trap.db.datasets import stored_config
from trap.db.kept_pixels import find_pixels
from trap.db.meanings import describe_limits
from trap.db.overview import frequency_bands, image_table
from trap.db.result_tables import RESULT_TABLES, read_rows
from trap.errors import TrapError
from trap.report.plots import LIMIT_SIGMA, is_limit, upper_limit
from trap.report.plots import LightCurve as DrawnCurve
from trap.results.access import Access
from trap.results.positions import (
    DEFAULT_RADIUS,
    Angle,
    Choice,
    Frequencies,
    Letters,
    Source,
    as_position,
    find_entry,
    is_number,
    row_number,
    whole_number,
)
from trap.results.tables import LightCurve, Series, as_series, plain, stokes_codes
from trap.selection import Selection
from trap.tables import Column

if TYPE_CHECKING:
    from astropy.table import Row
    from numpy.typing import NDArray

    from trap.db.engine import Connection
    from trap.results.pixels import Cutouts, SourceCutout
    from trap.typing import Columns

__all__ = ["LightCurves", "described_kinds", "of_selection"]

MAX_CUTOUTS = 100_000
"""Largest number of cut-outs that a call may ask for."""
_SHOWN = ("image", "f_int", "f_int_err", "extract_type")
"""Columns of a light curve that the title of a cut-out shows."""
KINDS = np.array(["detection", "forced", "monitored", "joint"])
"""Kinds of points by codes of :class:`~trap.codes.ExtractType`."""


class LightCurves(Access):
    """Light curves of sources, and the images that they come from."""

    def light_curve(
        self,
        source: Source | None = None,
        dec: Angle | None = None,
        *,
        name: str | None = None,
        candidate: int | Row | None = None,
        radius: Angle = DEFAULT_RADIUS,
        band: Frequencies = None,
        stokes: Letters = None,
    ) -> LightCurve:
        """Return the light curve of a source in all bands, in order of time.

        ``time`` is the middle of each observation, or its start if its duration is unknown; ``taustart_ts`` is the
        start. ``kind`` is 'detection' for a source that the image shows, and otherwise 'forced', 'monitored' or 'joint'
        for a fit at a known position. Fits below 3 σ have ``is_limit``; their ``upper_limit`` is 3 σ above the fit, or
        above zero if the fit is negative.

        Parameters
        ----------
        source
            Number of the entry, row of :meth:`sources` or :meth:`transients`, or position: coordinates, text, or right
            ascension (deg, or a quantity).
        dec
            Declination, if ``source`` is a right ascension.
        name
            Name of a monitored position.
        candidate
            Number of a transient candidate.
        radius
            arcsec, or a quantity — largest distance from a position.
        band
            Frequency in MHz, or a quantity; None returns all bands.
        stokes
            Letter of the Stokes parameter; None returns all.

        Raises
        ------
        ConfigError
            If the call names no source, or two, or an argument is impossible.
        TrapError
            If there is no such source; the message names the nearest one.

        Examples
        --------
        >>> curve = dataset.light_curve(173.1367, 27.6989)  # doctest: +SKIP
        >>> curve["time", "f_int", "f_int_err", "kind"].pprint()  # doctest: +SKIP
        >>> curve.write("curve.ecsv")  # doctest: +SKIP
        """
        with self._read() as connection:
            entry = find_entry(
                connection, self.number, source, dec, name=name, candidate=candidate, radius=radius
            )  # fmt: skip
            selection = Selection.of(entries=int(entry["id"]), band=band, stokes=stokes)
            points = read_rows(connection, "lightcurves", self._numbers, selection, order=("taustart_ts", "freq_eff"))
        about = self._about(entry=int(entry["id"]), ra=float(entry["wm_ra"]), dec=float(entry["wm_decl"]))
        described = RESULT_TABLES["lightcurves"].columns
        columns = {name: (described[name], values) for name, values in points.items()} | described_kinds(points)
        return as_series(LightCurve, points["taustart_ts"], points["tau_time"], columns, about)

    def upper_limits(
        self,
        position: Source,
        dec: Angle | None = None,
        *,
        band: Frequencies = None,
        stokes: Letters = None,
    ) -> Series:
        """Return the upper limit of every accepted image at a position, with or without a source there.

        ``upper_limit`` is the detection threshold times ``rms``, the local noise.

        Parameters
        ----------
        position, dec
            Position, or the number or row of an entry, as for :meth:`light_curve`.
        band, stokes
            As for :meth:`light_curve`.

        Raises
        ------
        ConfigError
            If it is no position.
        TrapError
            If there is no such entry.

        Examples
        --------
        >>> dataset.upper_limits("11h32m32.8s +27d41m56s", band=1280)["time", "upper_limit"]  # doctest: +SKIP
        """
        from trap.db.limits import upper_limits  # HEALPix, which a light curve does not need

        with self._read() as connection:
            place = self._place(connection, position, dec)
            limits = upper_limits(connection, self.number, *place)
            images = image_table(connection, self.number)
            bands = frequency_bands(connection, self.number)
        selection = Selection.of(band=band, stokes=stokes)
        keep = of_selection(limits, bands, selection)
        limits = {name: values[keep] for name, values in limits.items()}
        duration = images["tau_time"][_rows_of(images["id"], limits["image"])]
        about = self._about(ra=place[0], dec=place[1])
        return as_series(Series, limits["taustart_ts"], duration, describe_limits(limits), about)

    def cutout(
        self,
        source: Source,
        image: int | Row,
        *,
        size: int | None = None,
    ) -> SourceCutout:
        """Return the pixels of an image around a source or a position, with projection and unit.

        Kept pixels are read if there are any, and otherwise the file of the image.

        Parameters
        ----------
        source
            Number or row of an entry, coordinates, text, or a pair (ra, dec) in degrees.
        image
            Number of the image, or row of :meth:`images` or :meth:`light_curve`.
        size
            pix — width and height; None is twelve beams.

        Raises
        ------
        TrapError
            If there is no such source or image, or its pixels cannot be read.

        Examples
        --------
        >>> cutout = dataset.cutout(1, curve[0])  # doctest: +SKIP
        >>> cutout.quantity.max(), cutout.wcs  # doctest: +SKIP
        >>> cutout.hdu.writeto("cutout.fits")  # doctest: +SKIP
        """
        from trap.results.pixels import read_cutouts, requested_size

        number, width = row_number(image, ("image", "id"), "image"), requested_size(size)
        with self._read() as connection:
            place = self._place(connection, source)
            images = image_table(connection, self.number)
            rows = np.flatnonzero(images["id"] == number)
            if not rows.size:
                msg = f"dataset {self.number} has no image {number}; .images() lists them"
                raise TrapError(msg)
            looks = {**{name: values[rows] for name, values in images.items()}, "image": images["id"][rows]}
            kept, settings = find_pixels(connection, [number]), stored_config(connection, self.number).reading
        return read_cutouts(looks, place, kept=kept, settings=settings, size=width)[0]

    def cutouts(
        self,
        source: Source | None = None,
        dec: Angle | None = None,
        *,
        limit: int | None = None,
        size: int | None = None,
        **choice: Unpack[Choice],
    ) -> Cutouts:
        """Return a cut-out of the image of each point of a light curve, as :meth:`cutout` does.

        Parameters
        ----------
        source, dec
            As for :meth:`light_curve`.
        limit
            Largest number of cut-outs, around the first detection; None returns all.
        size
            pix — width and height; None is twelve beams.
        **choice
            ``name``, ``candidate``, ``radius``, ``band`` and ``stokes``, as for :meth:`light_curve`.

        Returns
        -------
        A list in order of time; its attribute ``missing`` has the reason for each image that cannot be read.

        Raises
        ------
        ConfigError
            If an argument is impossible.
        TrapError
            If there is no such source, or none of its images can be read.

        Examples
        --------
        >>> for cutout in dataset.cutouts(1, limit=6):  # doctest: +SKIP
        ...     print(cutout.title, cutout.quantity.max())
        """
        from trap.report.epochs import select_epochs
        from trap.results.pixels import read_cutouts, requested_size

        width = requested_size(size)
        shown = None if limit is None else whole_number(limit, "limit", 1, MAX_CUTOUTS)
        curve = self.light_curve(source, dec, **choice)
        points = {name: plain(curve[name]) for name in _SHOWN}
        if shown is not None:
            points = dict(select_epochs(points, shown))
        with self._read() as connection:
            images = image_table(connection, self.number)
            kept = find_pixels(connection, points["image"].tolist())
            settings = stored_config(connection, self.number).reading
        rows = _rows_of(images["id"], points["image"])
        looks = {**points, **{name: images[name][rows] for name in ("url", "taustart_ts", "freq_eff", "stokes")}}
        position = curve.meta["ra"], curve.meta["dec"]
        return read_cutouts(looks, position, kept=kept, settings=settings, size=width)

    def _place(self, connection: Connection, source: Source, dec: Angle | None = None) -> tuple[float, float]:
        """Return the position that a call names, or the position of its entry; deg, ICRS."""
        if dec is not None or not is_number(source):
            return as_position(source, dec)
        entry = find_entry(connection, self.number, source)
        return float(entry["wm_ra"]), float(entry["wm_decl"])


def described_kinds(points: Columns) -> dict[str, tuple[Column, NDArray[Any]]]:
    """Make the columns of a light curve that distinguish detections, forced fits and limits.

    Parameters
    ----------
    points
        (n,) rows of the result table ``lightcurves``.

    Returns
    -------
    ``kind``, ``is_limit`` and ``upper_limit`` with their units and meanings.
    """
    curve = DrawnCurve.of_points("", {**points, "stokes": stokes_codes(points["stokes"])})
    limited = is_limit(curve)
    limits = np.where(limited, upper_limit(curve), np.nan)
    made = {
        "kind": ("", "Kind of the point: detection, forced, monitored or joint fit.", KINDS[points["extract_type"]]),
        "is_limit": ("", f"Whether the point is a forced fit below {LIMIT_SIGMA:g} σ.", limited),
        "upper_limit": ("Jy", f"{LIMIT_SIGMA:g} σ above the fit or zero; NaN unless is_limit.", limits),
    }
    return {name: (Column(values.dtype, unit, doc), values) for name, (unit, doc, values) in made.items()}


def of_selection(points: Columns, bands: Columns, selection: Selection) -> NDArray[np.bool_]:
    """Return which points are of the selected bands and Stokes parameters.

    Parameters
    ----------
    points
        (n,) values by name, with ``image``, ``band`` and ``stokes`` as a number.
    bands
        Columns of :func:`trap.db.overview.frequency_bands`.
    selection
        Bands and Stokes parameters.

    Returns
    -------
    (n,)
    """
    keep = np.ones(len(points["image"]), bool)
    if selection.stokes:
        keep &= np.isin(points["stokes"], selection.stokes)
    if selection.bands:
        within = [(bands["freq_low"] <= frequency) & (frequency <= bands["freq_high"]) for frequency in selection.bands]
        keep &= np.isin(points["band"], bands["id"][np.any(within, axis=0)])
    return keep


def _rows_of(ids: NDArray[Any], wanted: NDArray[Any]) -> NDArray[np.intp]:
    """Return the rows of ids in a table; all of them are there."""
    order = np.argsort(ids)
    return order[np.searchsorted(ids, wanted, sorter=order)]
