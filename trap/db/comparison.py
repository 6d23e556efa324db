"""Comparison of two datasets. Row numbers and the order of rows are ignored.

Images are matched by content. Entries are matched by position and number of points; the light curves of matched
entries must then agree point by point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial import cKDTree
from sqlalchemy import func, select

from trap import angles
from trap.dataset.dropped import DROP_REASONS
from trap.db.bulk import is_among, read_columns
from trap.db.calibrations import CALIBRATION_COLUMNS
from trap.db.datasets import find_dataset, processed_hashes, stored_config
from trap.db.models import (
    AssocXtrSource,
    Calibration,
    ExtractedSource,
    Image,
    NewSource,
    Rejection,
    RunningCatalog,
    Timestep,
    VarMetric,
)
from trap.db.overview import dataset_summary
from trap.db.ratings import differing_ratings
from trap.db.shared_errors import read_correlations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from trap.typing import Columns

    Sides = tuple["Side", "Side"]

__all__ = ["Contents", "Side", "Tolerances", "compare_contents", "compare_datasets"]

ROUNDING = 1e-12
MAX_SHOWN = 5
"""Number of differences of one kind that are listed; further ones are only counted."""
PIECE = 2_000
"""Number of entries with light curves in memory at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerances:
    """Largest differences between equal datasets.

    Parameters
    ----------
    position_arcsec
        arcsec — distance of mean positions.
    relative
        Relative difference of flux densities, V and η.
    """

    position_arcsec: float = 0.1
    relative: float = 1e-6


@dataclass(frozen=True, slots=True)
class Side:
    """One of two compared datasets.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    """

    connection: Connection
    dataset_id: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contents:
    """The contents of two datasets, compared as a whole.

    Parameters
    ----------
    summaries
        Rows of :func:`trap.db.overview.dataset_summary` for both datasets.
    n_common_images
        Number of images with the same content in both datasets.
    radius_arcsec
        arcsec — largest distance of matched entries.
    n_matched
        Number of entries of the first dataset that have a partner in the second.
    flux_ratio
        (n,) — mean flux density in the second dataset over that in the first, of matched entries.
    removed, added
        Entries with a transient candidate in the first dataset only, and in the second only: number, and position in
        deg.
    settings
        Settings that differ, with both values: "… is A instead of B", where A belongs to the first dataset.
    """

    summaries: tuple[dict[str, Any], dict[str, Any]]
    n_common_images: int
    radius_arcsec: float
    n_matched: int
    flux_ratio: NDArray[np.float64]
    removed: tuple[tuple[int, float, float], ...]
    added: tuple[tuple[int, float, float], ...]
    settings: tuple[str, ...]


def compare_datasets(first: Side, second: Side, tolerances: Tolerances | None = None) -> list[str]:
    """Compare two datasets, which may be in two databases.

    Parameters
    ----------
    first, second
        The datasets.
    tolerances
        Largest differences that are ignored; None for the default ones.

    Returns
    -------
    Differences, as sentences; empty if the catalogues are equal within the tolerances.

    Raises
    ------
    DatasetNotFoundError
        If one of the datasets does not exist.
    """
    allowed = tolerances or Tolerances()
    sides = (first, second)
    for side in sides:
        find_dataset(side.connection, side.dataset_id)
    return [
        *_settings(sides),
        *_keyed(sides, "timestep", _timesteps),
        *_keyed(sides, "image", _images),
        *_limited(_differing_calibrations(sides, allowed.relative)),
        *_catalogues(sides, allowed),
        *_shared_errors(sides, allowed.relative),
        *_limited(differing_ratings(*((side.connection, side.dataset_id) for side in sides))),
    ]


def compare_contents(first: Side, second: Side, *, radius_arcsec: float = 2.0) -> Contents:
    """Compare the contents of two datasets as a whole: images, sources, flux densities, candidates and settings.

    Parameters
    ----------
    first, second
        The datasets.
    radius_arcsec
        arcsec — largest distance of two entries that are the same source.

    Raises
    ------
    DatasetNotFoundError
        If one of the datasets does not exist.
    """
    sides = (first, second)
    first_summary, second_summary = (dataset_summary(side.connection, side.dataset_id) for side in sides)
    hashes = [processed_hashes(side.connection, side.dataset_id) for side in sides]
    ours, theirs = (_entries(side) for side in sides)
    rows, partners = _match(ours, theirs, radius_arcsec)
    fluxes = ours["lightcurve_avg"][rows], theirs["lightcurve_avg"][partners]
    is_positive = (fluxes[0] > 0) & (fluxes[1] > 0)
    in_both = (ours["candidate"][rows] >= 0) & (theirs["candidate"][partners] >= 0)
    return Contents(
        summaries=(first_summary, second_summary),
        n_common_images=len(hashes[0] & hashes[1]),
        radius_arcsec=radius_arcsec,
        n_matched=len(rows),
        flux_ratio=fluxes[1][is_positive] / fluxes[0][is_positive],
        removed=_candidates_but(ours, rows[in_both]),
        added=_candidates_but(theirs, partners[in_both]),
        settings=tuple(difference.removeprefix("setting ") for difference in _settings(sides)),
    )


def _candidates_but(entries: Columns, kept: NDArray[np.intp]) -> tuple[tuple[int, float, float], ...]:
    """Return number and position of the entries with a candidate, without some rows."""
    rows = np.setdiff1d(np.flatnonzero(entries["candidate"] >= 0), kept)
    columns = (entries[name][rows].tolist() for name in ("id", "wm_ra", "wm_decl"))
    return tuple(zip(*columns, strict=True))


def _settings(sides: Sides) -> Iterator[str]:
    first, second = (stored_config(side.connection, side.dataset_id) for side in sides)
    yield from (f"setting {difference}" for difference in first.differences(second))


def _timesteps(side: Side) -> dict[Any, tuple[Any, ...]]:
    """Return the counts of all timesteps by start time."""
    step = Timestep
    rows = select(
        *(step.taustart_ts, step.state, step.n_images, step.n_accepted, step.n_rejected, step.n_measured),
        *(step.n_new_entries, step.n_newsources, step.n_forced_requested, step.n_forced_measured),
        *(getattr(step, name) for name in DROP_REASONS),
    ).where(step.dataset == side.dataset_id)
    return {row[0].isoformat(): tuple(row[1:]) for row in side.connection.execute(rows)}


def _images(side: Side) -> dict[Any, tuple[Any, ...]]:
    """Return the properties of all images by content."""
    n = select(func.count()).where(ExtractedSource.image == Image.id).correlate(Image).scalar_subquery()
    rows = (
        select(Image.content_hash, Image.taustart_ts, Image.stokes, Image.late, Rejection.rejectreason, n)
        .outerjoin(Rejection, Rejection.image == Image.id)
        .where(Image.dataset == side.dataset_id)
    )
    return {row[0]: tuple(row[1:]) for row in side.connection.execute(rows)}


def _differing_calibrations(sides: Sides, relative: float) -> Iterator[str]:
    """Compare the numbers of the calibrations of the images that both datasets hold.

    Displacements are compared by their effects on positions; notes are sentences, which versions change.
    """
    words = {"displacement", "position_note", "flux_note"}
    compared = [column for column in CALIBRATION_COLUMNS if column.name not in words]
    rows = select(Image.content_hash, *compared).join(Calibration, Calibration.image == Image.id)
    first, second = (
        read_columns(side.connection, rows.where(Image.dataset == side.dataset_id).order_by(Image.id)) for side in sides
    )
    common, ours, theirs = np.intersect1d(first["content_hash"], second["content_hash"], return_indices=True)
    for column in compared:
        a, b = first[column.name][ours], second[column.name][theirs]
        for row in np.flatnonzero(~_same(a, b, relative)):
            yield f"{column.name} of the calibration of image {common[row]} is {a[row]}, in the second {b[row]}"


def _keyed(sides: Sides, kind: str, read: Any) -> Iterator[str]:  # noqa: ANN401 (one of the functions above)
    """Compare rows by key: missing rows on either side, then differing values."""
    first, second = (read(side) for side in sides)
    yield from _limited(f"{kind} {key} is in the first only" for key in first if key not in second)
    yield from _limited(f"{kind} {key} is in the second only" for key in second if key not in first)
    yield from _limited(
        f"{kind} {key} differs: {values} and {second[key]}"
        for key, values in first.items()
        if key in second and values != second[key]
    )


def _shared_errors(sides: Sides, relative: float) -> Iterator[str]:
    """Compare the errors that neighbouring epochs share, by frequency of the band, Stokes parameter and lag."""
    first, second = (read_correlations(side.connection, side.dataset_id) for side in sides)
    keys = sorted(first | second)
    ours, theirs = (np.array([side.get(key, 0.0) for key in keys]) for side in (first, second))
    yield from _limited(
        "correlation of epochs {2} apart at {0:g} Hz, Stokes {1}, ".format(*keys[row])
        + f"is {ours[row]}, in the second {theirs[row]}"
        for row in np.flatnonzero(~_same(ours, theirs, relative))
    )


def _limited(differences: Iterator[str]) -> Iterator[str]:
    """Yield the first differences, and the number of the others."""
    n = 0
    for n, difference in enumerate(differences, start=1):
        if n <= MAX_SHOWN:
            yield difference
    if n > MAX_SHOWN:
        yield f"… and {n - MAX_SHOWN} more such"


def _catalogues(sides: Sides, allowed: Tolerances) -> Iterator[str]:
    """Match the entries of both catalogues, then compare their values and light curves."""
    first, second = (_entries(side) for side in sides)
    rows, partners = _match(first, second, allowed.position_arcsec)
    for name, columns, matched in (("first", first, rows), ("second", second, partners)):
        alone = np.setdiff1d(np.arange(len(columns["id"])), matched)
        yield from _limited(f"{_called(columns, row)} is in the {name} only" for row in alone)
    yield from _limited(_differing_entries(first, second, rows, partners, allowed.relative))
    yield from _limited(_differing_curves(sides, first["id"][rows], second["id"][partners], allowed.relative))


def _called(entries: Columns, row: int) -> str:
    return f"entry {entries['id'][row]} at {entries['wm_ra'][row]:.5f} {entries['wm_decl'][row]:+.5f}"


def _entries(side: Side) -> dict[str, NDArray[Any]]:
    """Return the entries of a dataset with their metrics and number of points."""
    entry, metric = RunningCatalog, VarMetric
    points = select(func.count()).where(AssocXtrSource.runcat == entry.id).correlate(entry).scalar_subquery()
    kinds = select(func.max(NewSource.newsource_type)).where(NewSource.runcat == entry.id)
    kind = kinds.correlate(entry).scalar_subquery()
    rows = (
        select(
            *(entry.id, entry.wm_ra, entry.wm_decl, entry.datapoints, entry.mon_src, points.label("points")),
            *(func.coalesce(kind, -1).label("candidate"), metric.v_int, metric.eta_int),
            *(metric.lightcurve_max, metric.lightcurve_avg, metric.lightcurve_median),
        )
        .outerjoin(metric, metric.runcat == entry.id)
        .where(entry.dataset == side.dataset_id)
        .order_by(entry.id)
    )
    return read_columns(side.connection, rows)


def _match(first: Columns, second: Columns, arcsec: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Match entries one to one: entries with equal counts first, then by distance."""
    chord = 2 * np.sin(np.radians(arcsec / 3600) / 2)
    trees = [cKDTree(angles.unit_vectors(side["wm_ra"], side["wm_decl"])) for side in (first, second)]
    pairs = [(i, j) for i, near in enumerate(trees[0].query_ball_tree(trees[1], chord)) for j in near]
    if not pairs:
        return np.empty(0, np.intp), np.empty(0, np.intp)
    rows, partners = np.array(pairs, np.intp).T
    differs = np.stack(
        [first[name][rows] != second[name][partners] for name in ("mon_src", "points", "datapoints")]
    ).sum(axis=0)
    distance = angles.separation(
        *(first["wm_ra"][rows], first["wm_decl"][rows], second["wm_ra"][partners], second["wm_decl"][partners])
    )
    taken: tuple[set[int], set[int]] = (set(), set())
    kept = []
    # The flux decides between entries at the same position.
    flux = np.abs(first["lightcurve_avg"][rows] - second["lightcurve_avg"][partners])
    for pair in np.lexsort((partners, flux, distance, differs)):
        row, partner = int(rows[pair]), int(partners[pair])
        if row not in taken[0] and partner not in taken[1]:
            taken[0].add(row)
            taken[1].add(partner)
            kept.append(pair)
    matched = np.sort(np.array(kept))
    return rows[matched], partners[matched]


def _differing_entries(
    first: Columns, second: Columns, rows: NDArray[np.intp], partners: NDArray[np.intp], relative: float
) -> Iterator[str]:
    """Compare the values of matched entries."""
    for name in first:
        if name in {"id", "wm_ra", "wm_decl"}:
            continue
        ours, theirs = first[name][rows], second[name][partners]
        for row in np.flatnonzero(~_same(ours, theirs, relative)):
            yield f"{name} of entry {first['id'][rows[row]]} is {ours[row]}, in the second {theirs[row]}"


def _same(ours: NDArray[Any], theirs: NDArray[Any], relative: float) -> NDArray[np.bool_]:
    same: NDArray[np.bool_] = ours == theirs
    if ours.dtype.kind == "f":
        # V and η of a constant source are rounding errors.
        same = same | np.isclose(ours, theirs, rtol=relative, atol=ROUNDING, equal_nan=True)
    return same


def _differing_curves(
    sides: Sides, ours: NDArray[np.int64], theirs: NDArray[np.int64], relative: float
) -> Iterator[str]:
    """Compare the light curves of matched entries, piece by piece."""
    for start in range(0, len(ours), PIECE):
        piece = slice(start, start + PIECE)
        first, second = (_points(side, ids[piece]) for side, ids in zip(sides, (ours, theirs), strict=True))
        for entry, (a, b) in enumerate(zip(first, second, strict=True), start=start):
            if a.shape != b.shape or not (a["hash"] == b["hash"]).all():
                yield f"light curve of entry {ours[entry]} has points from other images in the second"
                continue
            for name in a.dtype.names or ():
                if name != "hash" and not _same(a[name], b[name], relative).all():
                    yield f"{name} along the light curve of entry {ours[entry]} differs"


POINT = np.dtype(
    [
        *(("hash", "U64"), ("type", "i8"), ("extract_type", "i8"), ("flags", "i8"), ("f_int", "f8")),
        *((name, "f8") for name in ("f_int_err", "f_peak", "ra", "decl", "v_int", "eta_int", "f_int_raw", "gain_err")),
    ]
)


def _points(side: Side, ids: NDArray[np.int64]) -> list[NDArray[Any]]:
    """Return the light curve of each entry, with points in an order that does not depend on row numbers."""
    point, source = AssocXtrSource, ExtractedSource
    rows = (
        select(
            *(point.runcat, Image.content_hash.label("hash"), point.type, source.extract_type, source.f_int),
            *(source.f_int_err, source.f_peak, source.ra, source.decl, source.flags, point.v_int, point.eta_int),
            *(source.f_int_raw, source.gain_err),
        )
        .join(source, source.id == point.xtrsrc)
        .join(Image, Image.id == source.image)
        .where(is_among(side.connection, point.runcat, ids))
    )
    columns = read_columns(side.connection, rows)
    points = np.zeros(len(columns["runcat"]), POINT)
    for name in POINT.names or ():
        points[name] = columns[name]
    order = np.lexsort((points["f_int"], points["type"], points["extract_type"], points["hash"], columns["runcat"]))
    runcat, points = columns["runcat"][order], points[order]
    return [points[slice(*np.searchsorted(runcat, [number, number + 1]))] for number in ids.tolist()]
