"""Several datasets of one database in Python, merged by position: light curves over many seasons."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from trap.errors import ConfigError, TrapError
from trap.report.text import megahertz, sky_position
from trap.results.access import choose_dataset, open_reader
from trap.results.curves import described_kinds
from trap.results.drawing import draw_curve
from trap.results.positions import DEFAULT_RADIUS, as_degrees, as_position, is_number, row_number
from trap.results.tables import LightCurve, as_results, as_series
from trap.selection import Cone, Selection
from trap.tables import Column

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from trap.db.engine import Connection
    from trap.db.merged import MergedDatasets
    from trap.db.reader import Reader
    from trap.results.positions import Angle, Frequencies, Letters, Place, Source
    from trap.results.tables import Results
    from trap.typing import Columns

__all__ = ["Seasons", "open_datasets"]

_GAIN_COLUMNS = {
    "dataset": ("", "Number of the dataset."),
    "freq_central": ("Hz", "Centre of the band."),
    "stokes": ("", "Stokes parameter, as a letter."),
    "gain": ("", "Flux scale of the dataset over the scale of the datasets before it; NaN if it was not measured."),
    "gain_err": ("", "1σ error of gain."),
    "n_matches": ("", "Number of sources that measure the gain."),
    "applied": ("", "Whether flux densities of the dataset are divided by the gain."),
    "note": ("", "Reason why the gain is not measured or not applied; empty if it is."),
}
"""Units and meanings of the columns of :meth:`Seasons.gains`."""


class Seasons:
    """Several datasets of one database, read as one; opened by :func:`open_datasets`. It is read-only.

    Sources are merged by position, and bands by frequency. The flux densities of each dataset are divided by its
    gain against the datasets before it (:meth:`gains`), if that is significant.

    Parameters
    ----------
    reader
        Reader of the database.
    numbers
        Numbers of the datasets, in the order of merging.
    """

    def __init__(self, reader: Reader, numbers: Sequence[int]) -> None:
        self._reader = reader
        self.numbers = tuple(numbers)
        """Numbers of the datasets."""

    @property
    def database(self) -> str:
        """URL of the database, without a password."""
        return str(self._reader)

    def sources(
        self,
        near: Place | None = None,
        radius: Angle = DEFAULT_RADIUS,
        *,
        band: Frequencies = None,
        stokes: Letters = None,
        candidates: bool = False,
        **limits: Any,  # noqa: ANN401 (numbers; a keyword that is none is refused)
    ) -> Results:
        """Return the merged sources with their variability over all datasets, one row for each band.

        Parameters
        ----------
        near
            Position: coordinates, text, or a pair (ra, dec) in degrees; None selects the whole sky.
        radius
            arcsec, or a quantity — largest distance from the position.
        band
            Frequency in MHz, or a quantity; None returns all bands.
        stokes
            Letter of the Stokes parameter; None returns all.
        candidates
            Whether only sources that are transient candidates in a dataset are returned.
        **limits
            ``min_COLUMN`` and ``max_COLUMN`` for any column of numbers, such as ``min_eta``.

        Raises
        ------
        ConfigError
            If a value has no meaning, or there is no such column.

        Examples
        --------
        >>> seasons.sources(min_eta=5, min_n_datasets=2)["source", "eta_int", "v_int"]  # doctest: +SKIP
        """
        cone = None if near is None else _cone(near, None, radius)
        selection = Selection.of(near=cone, band=band, stokes=stokes, candidates_only=candidates, **limits)
        with self._reader.read() as connection:
            rows = _read(connection, self._merged(connection), "sources", selection)
        return as_results(_described("sources", rows), self._about())

    def light_curve(
        self,
        source: Source,
        dec: Angle | None = None,
        *,
        radius: Angle = DEFAULT_RADIUS,
        band: Frequencies = None,
        stokes: Letters = None,
    ) -> LightCurve:
        """Return the light curve of a source over all datasets, in order of time.

        The columns are those of :meth:`trap.results.Dataset.light_curve`, with ``dataset``, ``runcat`` and
        ``dataset_gain``, the factor that flux densities were divided by.

        Parameters
        ----------
        source
            Number of an entry of any of the datasets, row of :meth:`sources`, or position: coordinates, text, or right
            ascension in degrees.
        dec
            Declination, if ``source`` is a right ascension.
        radius
            arcsec, or a quantity — largest distance from a position.
        band, stokes
            As for :meth:`sources`.

        Raises
        ------
        ConfigError
            If the call names no source, or an argument is impossible.
        TrapError
            If there is no such source.

        Examples
        --------
        >>> curve = seasons.light_curve(173.1367, 27.6989)  # doctest: +SKIP
        >>> curve["time", "dataset", "f_int", "f_int_err"].pprint()  # doctest: +SKIP
        """
        with self._reader.read() as connection:
            merged = self._merged(connection)
            if dec is None and is_number(source):
                number = row_number(source, ("source", "runcat", "entry"), "source")
                chosen, where = number, f"entry {number}"
            else:
                cone = _cone(source, dec, radius)
                near = merged.entries(connection, (cone.ra, cone.dec, cone.radius))
                chosen = int(near.source[0]) if len(near) else 0
                where = f"source within {3600 * cone.radius:.6g} arcsec of {sky_position(cone.ra, cone.dec)}"
            place = _read(connection, merged, "sources", Selection.of(entries=chosen))
            if not len(place["source"]):
                msg = f"datasets {', '.join(map(str, self.numbers))} have no {where}; .sources() lists them"
                raise TrapError(msg)
            points = _read(connection, merged, "lightcurves", Selection.of(entries=chosen, band=band, stokes=stokes))
        ra, dec_ = float(place["wm_ra"][0]), float(place["wm_decl"][0])
        about = {**self._about(), "source": int(place["source"][0]), "ra": ra, "dec": dec_}
        columns = {**_described("lightcurves", points), **described_kinds(points)}
        return as_series(LightCurve, points["taustart_ts"], points["tau_time"], columns, about)

    def plot_light_curve(
        self,
        source: Source,
        dec: Angle | None = None,
        *,
        ax: Axes | None = None,
        band: Frequencies = None,
        stokes: Letters = None,
    ) -> Axes:
        """Draw the light curve of a source over all datasets, as :meth:`trap.results.Dataset.plot_light_curve` does.

        Parameters
        ----------
        source, dec, band, stokes
            As for :meth:`light_curve`.
        ax
            Axes to draw on; None makes a figure.

        Returns
        -------
        The axes.

        Examples
        --------
        >>> ax = seasons.plot_light_curve("11h32m32.8s +27d41m56s")  # doctest: +SKIP
        """
        return draw_curve(self.light_curve(source, dec, band=band, stokes=stokes), ax)

    def gains(self) -> Results:
        """Return the flux scale of each dataset against the datasets before it.

        Examples
        --------
        >>> seasons.gains()["dataset", "freq_central", "gain", "gain_err", "applied"]  # doctest: +SKIP
        """
        with self._reader.read() as connection:
            rows = self._merged(connection).gain_table()
        columns = {name: (Column(values.dtype, *_GAIN_COLUMNS[name]), values) for name, values in rows.items()}
        return as_results(columns, self._about())

    def __repr__(self) -> str:
        return f"<Datasets {', '.join(map(str, self.numbers))} of {self.database}, merged by position>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<li>dataset {row['dataset']}, {megahertz(row['freq_central'].value)} MHz, Stokes {row['stokes']}: gain"
            f" {row['gain']:.4g} ± {row['gain_err']:.2g}{'' if row['applied'] else ', not applied'}</li>"
            for row in self.gains()
        )
        return f"<div><b>{html.escape(repr(self)[1:-1])}</b><ul>{rows}</ul></div>"

    def _merged(self, connection: Connection) -> MergedDatasets:
        return _merge(connection, self.numbers)

    def _about(self) -> dict[str, Any]:
        return {"database": self.database, "datasets": list(self.numbers)}


def open_datasets(database: str | Path, datasets: Sequence[int | str]) -> Seasons:
    """Open several datasets of one database for reading in Python, merged by position.

    Parameters
    ----------
    database
        As for :func:`~trap.results.open_dataset`.
    datasets
        Numbers or names of the datasets, in the order of merging; the first one sets the flux scale.

    Raises
    ------
    DatabaseError
        If the database does not exist, or cannot be reached.
    DatasetNotFoundError
        If it has no such dataset.
    TrapError
        If a dataset is named twice, or none is.

    Examples
    --------
    >>> from trap.results import open_datasets
    >>> seasons = open_datasets("trap.db", [1, 2, 3])  # doctest: +SKIP
    >>> curve = seasons.light_curve(173.1367, 27.6989)  # doctest: +SKIP
    """
    reader = open_reader(database)
    with reader.read() as connection:
        numbers = [choose_dataset(connection, dataset) for dataset in _several(datasets)]
        _merge(connection, numbers)  # refuses datasets that are named twice
        return Seasons(reader, numbers)


def _several(datasets: Sequence[int | str]) -> list[int | str]:
    """Return the datasets that a call names; one number or name is no list of datasets."""
    given: Any = datasets
    if isinstance(given, str) or not isinstance(given, Iterable):
        msg = f"datasets must be a list of numbers or names, got {datasets!r}; open_dataset opens one"
        raise ConfigError(msg)
    return list(given)


def _merge(connection: Connection, numbers: Sequence[int]) -> MergedDatasets:
    """Prepare the datasets to be read as one."""
    from trap.db.merging import merge_datasets  # association and scipy, which one dataset does not need

    return merge_datasets(connection, numbers)


def _read(connection: Connection, merged: MergedDatasets, table: str, selection: Selection) -> Columns:
    """Read the rows of a merged table."""
    from trap.db.merged_tables import read_merged_rows

    return read_merged_rows(connection, merged, table, selection)


def _cone(place: Any, dec: Angle | None, radius: Angle) -> Cone:  # noqa: ANN401 (a position in any form)
    ra, declination = as_position(place, dec)
    return Cone(ra=ra % 360, dec=declination, radius=as_degrees(radius, "radius"))


def _described(table: str, rows: Columns) -> dict[str, tuple[Column, Any]]:
    """Add units and meanings to the rows of a merged table."""
    from trap.db.merged_tables import MERGED_TABLES

    columns = MERGED_TABLES[table].columns
    return {
        name: (columns[name], np.ma.asarray(values) if np.ma.isMaskedArray(values) else values)
        for name, values in rows.items()
    }
