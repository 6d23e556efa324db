"""Tables of a dataset: sources, candidates, measurements, images, coverage and calibrations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, overload

from trap.catalogues import VARIABLE_P
from trap.db.calibrations import calibrations
from trap.db.datasets import stored_config
from trap.db.meanings import describe_calibrations
from trap.db.result_tables import RESULT_TABLES, read_rows, stream_rows
from trap.errors import ConfigError
from trap.report.calibration import relative_calibrations
from trap.results.access import Access
from trap.results.positions import Angle, Filter, Frequencies, Letters, Place, as_degrees, as_position, whole_number
from trap.results.tables import Results, as_results
from trap.selection import SHORT_NAMES, Cone, Selection

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from trap.config import PipelineConfig
    from trap.typing import Columns

__all__ = ["Queries"]

MAX_CHUNK = 100_000_000
"""Largest number of rows of a chunk."""


class Queries(Access):
    """Tables of a dataset, selected by the database."""

    def sources(  # noqa: PLR0913 (one keyword for each filter)
        self,
        near: Place | None = None,
        radius: Angle | None = None,
        *,
        min_eta: float | None = None,
        min_v: float | None = None,
        max_p: float | None = None,
        band: Frequencies = None,
        stokes: Letters = None,
        candidates: bool = False,
        entries: int | Sequence[int] | None = None,
        columns: Sequence[str] | None = None,
        order: str | Sequence[str] = (),
        limit: int | None = None,
        **limits: Filter,
    ) -> Results:
        """Return the sources: entries of the running catalogue, with the variability in their brightest band.

        Parameters
        ----------
        near
            Position: coordinates, text, or a pair (ra, dec) in degrees; None selects the whole sky.
        radius
            arcsec, or a quantity — largest distance from the position; None is 30 arcsec.
        min_eta, min_v
            Smallest η and V.
        max_p
            Largest probability of an η as high if the source is constant.
        band
            Frequency in MHz, a quantity, or several.
        stokes
            Letters of Stokes parameters.
        candidates
            Whether only transient candidates are returned.
        entries
            Numbers of entries; by default all.
        columns
            Names of the columns; None returns all.
        order
            Columns that sort the rows; a minus before the name sorts from high to low.
        limit
            Largest number of rows.
        **limits
            ``min_COLUMN`` and ``max_COLUMN`` for any column of numbers, in its unit or as quantities, and ``since``,
            ``until`` for the first detection.

        Raises
        ------
        ConfigError
            If a value has no meaning, or there is no such column; the message lists similar names.

        Examples
        --------
        >>> bright = dataset.sources(min_eta=3, min_datapoints=10, order="-eta")  # doctest: +SKIP
        >>> dataset.sources("11h32m32.8s +27d41m56s", radius=60)["runcat", "wm_ra", "wm_decl"]  # doctest: +SKIP
        """
        limits |= {"min_eta": min_eta, "min_v": min_v, "max_p": max_p}
        selection = self._selection(
            "sources", near, radius, limits, band=band, stokes=stokes, candidates_only=candidates, entries=entries
        )
        return self._rows("sources", selection, columns, order, limit)

    def variables(
        self, *, max_p: float = VARIABLE_P, order: str | Sequence[str] = "-eta", **filters: Filter
    ) -> Results:
        """Return the variable sources, highest η first: sources that are hardly constant.

        Parameters
        ----------
        max_p
            Largest probability of an η as high if the source is constant.
        order, **filters
            As for :meth:`sources`.

        Examples
        --------
        >>> dataset.variables(min_v=0.1, limit=20)["runcat", "eta_int", "v_int"]  # doctest: +SKIP
        """
        return self.sources(max_p=max_p, order=order, **filters)

    def transients(
        self,
        near: Place | None = None,
        radius: Angle | None = None,
        *,
        columns: Sequence[str] | None = None,
        order: str | Sequence[str] = (),
        limit: int | None = None,
        **filters: Filter,
    ) -> Results:
        """Return the transient candidates, highest score first.

        Parameters
        ----------
        near, radius, columns, order, limit
            As for :meth:`sources`.
        **filters
            ``min_COLUMN``, ``max_COLUMN``, ``band``, ``stokes``, ``since`` and ``until`` as for :meth:`sources`, and
            ``without_flags`` as for :meth:`measurements`, of the detection.

        Examples
        --------
        >>> dataset.transients(min_score=0.5)["newsource", "runcat", "score", "signs"]  # doctest: +SKIP
        """
        return self._rows("transients", self._selection("transients", near, radius, filters), columns, order, limit)

    def images(
        self,
        near: Place | None = None,
        radius: Angle | None = None,
        *,
        columns: Sequence[str] | None = None,
        order: str | Sequence[str] = (),
        limit: int | None = None,
        **filters: Filter,
    ) -> Results:
        """Return the images, with their noise, calibration and the reasons of rejections.

        Parameters
        ----------
        near, radius
            Circle that the images overlap.
        columns, order, limit, **filters
            As for :meth:`transients`.

        Examples
        --------
        >>> dataset.images(band=1280)["image", "taustart_ts", "rms_qc", "reason"]  # doctest: +SKIP
        """
        return self._rows("images", self._selection("images", near, radius, filters), columns, order, limit)

    @overload
    def measurements(
        self, near: Place | None = ..., radius: Angle | None = ..., *, chunks: int, **filters: Filter
    ) -> Iterator[Results]: ...

    @overload
    def measurements(
        self, near: Place | None = ..., radius: Angle | None = ..., *, chunks: None = ..., **filters: Filter
    ) -> Results: ...

    def measurements(
        self,
        near: Place | None = None,
        radius: Angle | None = None,
        *,
        chunks: int | None = None,
        columns: Sequence[str] | None = None,
        order: str | Sequence[str] = (),
        limit: int | None = None,
        **filters: Filter,
    ) -> Results | Iterator[Results]:
        """Return the measurements of all images, blind and forced, at once or in chunks.

        Chunks take little memory at any size of the database, and are all of the same state of it: a run that goes on
        writing does not change them.

        Parameters
        ----------
        near, radius, columns, order, limit
            As for :meth:`sources`. Chunks come in the order of the images, without ``order`` and ``limit``.
        chunks
            Number of rows of a chunk, about; None returns one table.
        **filters
            As for :meth:`transients`; ``without_flags`` names flags, such as "edge, blended", whose measurements are
            left out.

        Examples
        --------
        >>> for chunk in dataset.measurements(chunks=50_000, columns=["ra", "decl", "f_int"]):  # doctest: +SKIP
        ...     histogram += np.histogram(chunk["f_int"].to_value("mJy"), edges)[0]
        """
        selection = self._selection("measurements", near, radius, filters)
        if chunks is None:
            return self._rows("measurements", selection, columns, order, limit)
        if order or limit is not None:
            msg = "chunks come in the order of the images: leave out order and limit, or chunks"
            raise ConfigError(msg)
        return self._streamed("measurements", selection, columns, chunks)

    @overload
    def light_curves(self, *, chunks: int, **filters: Filter) -> Iterator[Results]: ...

    @overload
    def light_curves(self, *, chunks: None = ..., **filters: Filter) -> Results: ...

    def light_curves(
        self,
        *,
        chunks: int | None = None,
        columns: Sequence[str] | None = None,
        **filters: Filter,
    ) -> Results | Iterator[Results]:
        """Return the points of many light curves, source by source and each in order of time, at once or in chunks.

        Parameters
        ----------
        chunks, columns
            As for :meth:`measurements`. A source whose points do not fit into a chunk goes on in the next one.
        **filters
            As for :meth:`measurements`; ``near`` and ``radius`` are compared with the mean position of the source, and
            ``entries`` has the numbers of sources.

        Examples
        --------
        >>> points = dataset.light_curves(entries=dataset.variables()["runcat"])  # doctest: +SKIP
        >>> for curve in points.group_by("runcat").groups:  # doctest: +SKIP
        ...     print(curve["runcat"][0], curve["f_int"].max())
        """
        near, radius = filters.pop("near", None), filters.pop("radius", None)
        selection = self._selection("lightcurves", near, radius, filters)
        if chunks is None:
            return self._rows("lightcurves", selection, columns, (), None)
        return self._streamed("lightcurves", selection, columns, chunks)

    def coverage(self, **filters: Filter) -> Results:
        """Return the coverage: how often, and how deeply, each part of the sky was searched in each band.

        Parameters
        ----------
        **filters
            As for :meth:`images`.

        Examples
        --------
        >>> dataset.coverage()  # doctest: +SKIP
        """
        return self._rows("coverage", self._selection("coverage", None, None, filters), None, (), None)

    def calibration(self) -> Results:
        """Return the gain and the displacement of each searched image, relative to the mean of its band.

        Examples
        --------
        >>> dataset.calibration()["image", "gain", "shift_ew", "shift_ns"]  # doctest: +SKIP
        """
        with self._read() as connection:
            columns = calibrations(connection, self.number)
        return as_results(describe_calibrations(relative_calibrations(columns)), self._about())

    @property
    def settings(self) -> PipelineConfig:
        """The settings that the dataset was made with: ``dataset.settings.source_extraction.detection_threshold``.

        Settings that affect no result have their defaults.
        """
        with self._read() as connection:
            return stored_config(connection, self.number)

    def _selection(
        self,
        table: str,
        near: Place | Cone | None,
        radius: Angle | None,
        limits: Mapping[str, Any],
        **filters: Filter,
    ) -> Selection:
        """Make the selection of rows of a table; positions and quantities may have any unit."""
        if near is not None and not isinstance(near, Cone):
            near = as_position(near)
            radius = None if radius is None else as_degrees(radius, "radius") * 3600
        described = RESULT_TABLES[table].columns
        filters |= {name: _in_unit(name, value, described) for name, value in limits.items()}
        given = {name: value for name, value in filters.items() if value is not None}
        return Selection.of(near=near, radius=radius, **given)

    def _rows(
        self,
        table: str,
        selection: Selection,
        columns: Sequence[str] | None,
        order: str | Sequence[str],
        limit: int | None,
    ) -> Results:
        """Read rows of a result table."""
        limit = None if limit is None else whole_number(limit, "limit", 0, MAX_CHUNK)
        with self._read() as connection:
            rows = read_rows(
                connection, table, self._numbers, selection, columns=_names(columns), order=_sorting(order),
                limit=limit,
            )  # fmt: skip
        return self._described(table, rows)

    def _streamed(
        self, table: str, selection: Selection, columns: Sequence[str] | None, chunk: int
    ) -> Iterator[Results]:
        """Check the filters of a stream of chunks, and register it, so that closing the dataset ends it."""
        size = whole_number(chunk, "chunks", 1, MAX_CHUNK)
        # An impossible filter is refused here, and not by the first step of the loop.
        self._rows(table, selection, columns, (), 0)
        stream = self._chunks(table, selection, columns, size)
        self._streams.add(stream)
        return stream

    def _chunks(
        self, table: str, selection: Selection, columns: Sequence[str] | None, chunk: int
    ) -> Generator[Results]:
        """Yield chunks of a result table. The transaction ends with the last one, or with the generator."""
        with self._read() as connection:
            stream = stream_rows(connection, table, self._numbers, selection, columns=_names(columns), chunk=chunk)
            for rows in stream:
                yield self._described(table, rows)

    def _described(self, table: str, rows: Columns) -> Results:
        """Add units, meanings and UCDs to rows of a result table."""
        described = RESULT_TABLES[table]
        columns = {name: (described.columns[name], values) for name, values in rows.items()}
        return as_results(columns, self._about(table=table, contents=described.description))


def _names(names: str | Sequence[str] | None) -> list[str] | None:
    """Return one name or several as a list; None stays None."""
    if names is None:
        return None
    chosen = _words("columns", names)
    if not chosen:
        msg = "columns is empty; None chooses all columns"
        raise ConfigError(msg)
    return chosen


def _sorting(order: str | Sequence[str]) -> list[str]:
    """Return the columns that sort rows by their full names, each with its minus."""
    words = [word.strip() for word in _words("order", order)]
    signs = ["-" if word.startswith("-") else "" for word in words]
    columns = [word.removeprefix("-") for word in words]
    return [sign + SHORT_NAMES.get(column, column) for sign, column in zip(signs, columns, strict=True)]


def _words(what: str, names: str | Sequence[str]) -> list[str]:
    """Return one name or several as a list."""
    given: Any = names
    words = [given] if isinstance(given, str) or not isinstance(given, Iterable) else list(given)
    if not all(isinstance(word, str) for word in words):
        msg = f"{what} must be the name of a column, or a list of names, got {names!r}"
        raise ConfigError(msg)
    return words


def _in_unit(name: str, value: Any, described: Mapping[str, Any]) -> Any:  # noqa: ANN401 (a number or a quantity)
    """Convert a quantity that limits a column to the unit of the column; other values stay."""
    kind, _, column = name.partition("_")
    column = SHORT_NAMES.get(column, column)
    if kind not in {"min", "max"} or column not in described or not hasattr(value, "to_value"):
        return value
    try:
        return float(value.to_value(described[column].unit))
    except (ValueError, TypeError) as error:  # astropy's errors of units are such
        unit = described[column].unit or "no unit"
        msg = f"{name}: {value} cannot be converted to the unit of column {column}, {unit}"
        raise ConfigError(msg) from error
