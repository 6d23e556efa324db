"""Read a source list of another finder as the measurements of an image."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from trap.angles import wrap_ra
from trap.catalogues import ExtractType, FitType, Flag, Measurements
from trap.errors import SourceListError, UnreadableImageError, out_of_memory
from trap.images.formats.files import is_folder, reading
from trap.images.patterns import path_of
from trap.source_lists.checks import (
    check_frame,
    check_identities,
    check_image,
    check_number,
    check_positions,
    find_outside,
    refuse_rows,
)
from trap.source_lists.columns import has_columns, read_columns
from trap.source_lists.content import open_tables, read_content
from trap.source_lists.errors import complete_errors
from trap.source_lists.finders import LIST_FORMATS, recognise
from trap.source_lists.islands import number_islands
from trap.source_lists.limits import check_codes, check_values
from trap.source_lists.profiles import fill_noise, find_profiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trap.config import SourceListConfig
    from trap.images.metadata import ImageMetadata
    from trap.source_lists.columns import ListedSources
    from trap.source_lists.formats import ListFormat
    from trap.source_lists.profiles import NoiseAt
    from trap.source_lists.tables import ListTable
    from trap.typing import Array

__all__ = ["SourceList", "read_source_list"]

FAILED = "fit failed, by the finder"
OUTSIDE = "off the image"
FORCED = "forced fits"
"""Reasons of sources that are not associated, or not read."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceList:
    """The sources of a list, as measurements of an image.

    Parameters
    ----------
    measurements
        (n,) — sources in our units. Positions in pixels are NaN if the list has none. Systematic errors are zero,
        unless the list is our own. Sources off the image have the flag OUTSIDE.
    finder
        Name of the format: the finder, or ``table``.
    content_hash
        BLAKE2b of the file, hexadecimal.
    left_out
        Number of sources that are not associated or not read, by reason.
    notices
        A sentence about each assumption and each replaced value.
    """

    measurements: Measurements
    finder: str
    content_hash: str
    left_out: Mapping[str, int] = field(default_factory=dict)
    notices: tuple[str, ...] = ()


def read_source_list(
    path: str, settings: SourceListConfig, metadata: ImageMetadata, *, noise: NoiseAt | None = None
) -> SourceList:
    """Read the sources that another finder found in an image.

    Parameters
    ----------
    path
        Path of the list, which gzip may have compressed.
    settings
        Settings of source lists.
    metadata
        Metadata of the image. An image with ``nx`` and ``reach`` zero has an unknown size, which is not checked.
    noise
        Function that returns the local noise in Jy/beam at positions in deg, such as the noise of a map, for lists
        without noise; it may return NaN.

    Raises
    ------
    SourceListError
        If the list cannot be used; the message names the file, the column, the row, the value and the setting.
    UnreadableImageError
        If the file is missing or cannot be read.
    TransientError
        If the file system failed, and a retry may succeed.
    """
    file = path_of(path)
    if is_folder(file):
        raise UnreadableImageError("a folder is no source list", str(path))
    try:
        with reading(file):
            content, content_hash = read_content(file)
        # A damaged number may be too large for the formulas; it is refused by its value.
        with np.errstate(all="ignore"):
            found = _read(content, settings, metadata, noise)
    except SourceListError as error:
        raise SourceListError(error.message, str(path)) from error.__cause__
    except MemoryError as error:
        raise SourceListError(out_of_memory(error), str(path)) from error
    return replace(found, content_hash=content_hash)


def _read(content: bytes, settings: SourceListConfig, metadata: ImageMetadata, noise: NoiseAt | None) -> SourceList:
    """Read the sources of a list from its content."""
    table, form = _choose(content, settings)
    check_number(table.n_rows, metadata)
    empty = SourceList(measurements=Measurements.empty(), finder=form.name, content_hash="")
    if not table.n_rows and form.is_empty(table):
        return empty
    check_frame(table)
    listed = read_columns(table, form, settings)
    check_image(listed)
    check_codes(listed)
    listed, left_out = _blind(listed)
    if not len(listed):
        return replace(empty, left_out=left_out)
    check_positions(listed)
    flags = np.asarray(form.flags({"ra": listed.values["ra"], **listed.extra}), np.int32)
    profiles = find_profiles(listed, flags, metadata.beam, noise)
    for quantity in ("f_peak", "f_int"):
        if quantity in listed.values:
            is_bad = ~np.isfinite(listed.values[quantity]) & ~profiles.is_failed
            refuse_rows(listed, quantity, is_bad, "is no flux density")
    check_values(listed, profiles)
    check_identities(listed, profiles.is_failed)
    errors, notices = complete_errors(listed, profiles, settings, metadata.beam)
    rms, unknown = fill_noise(profiles, errors)
    ra, dec = wrap_ra(listed.values["ra"]), listed.values["dec"]
    is_outside = find_outside(listed, metadata, ra, dec)
    flags |= np.where(profiles.is_failed, int(Flag.FIT_FAILED), 0) | np.where(is_outside, int(Flag.OUTSIDE), 0)
    island, is_blended = number_islands(listed)
    flags |= np.where(is_blended, int(Flag.BLENDED), 0)
    for reason, is_marked in ((FAILED, profiles.is_failed), (OUTSIDE, is_outside)):
        left_out |= {reason: int(is_marked.sum())} if is_marked.any() else {}
    columns = {
        "x": listed.values.get("x", np.nan),
        "y": listed.values.get("y", np.nan),
        "significance": _significance(listed, profiles.f_peak, rms),
        **listed.carried,
        "fit_type": np.nan_to_num(listed.carried.get("fit_type", np.nan), nan=int(FitType.GAUSSIAN)),
    }
    measurements = Measurements.of(
        ra=ra,
        dec=dec,
        f_peak=profiles.f_peak,
        f_int=profiles.f_int,
        rms=rms,
        semimajor=profiles.semimajor,
        semiminor=profiles.semiminor,
        pa=profiles.pa,
        island=island,
        flags=flags,
        extract_type=int(ExtractType.BLIND),
        **errors,
        **columns,
    )
    return replace(empty, measurements=measurements, left_out=left_out, notices=(*profiles.notices, *notices, *unknown))


def _choose(content: bytes, settings: SourceListConfig) -> tuple[ListTable, ListFormat]:
    """Return the first table of a file with the columns of a list, and its format; or the first table."""
    chosen: tuple[ListTable, ListFormat] | None = None
    for table in open_tables(content):
        form = recognise(table) if settings.format == "auto" else LIST_FORMATS[settings.format]
        if has_columns(table, form, settings) or form.is_empty(table):
            return table, form
        chosen = chosen or (table, form)
    if chosen is None:
        raise SourceListError("a file without a table")
    return chosen


def _blind(listed: ListedSources) -> tuple[ListedSources, dict[str, int]]:
    """Return the sources that were found blindly; our own lists may have forced fits, which the pipeline repeats."""
    if "extract_type" not in listed.extra:
        return listed, {}
    is_forced = listed.extra["extract_type"] > int(ExtractType.BLIND)
    n_forced = int(is_forced.sum())
    return (listed.take(~is_forced), {FORCED: n_forced}) if n_forced else (listed, {})


def _significance(listed: ListedSources, f_peak: Array, rms: Array) -> Array:
    """Return the significances of the list, or else the absolute peaks over the local noise."""
    ratio: Array = np.abs(f_peak) / rms
    given = listed.values.get("significance")
    return ratio if given is None else np.where(np.isfinite(given), given, ratio)
