"""Checks of a source list: impossible numbers, rows that appear twice, and lists of another image."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import numpy as np

from trap.errors import SourceListError
from trap.source_lists.tables import shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.images.metadata import ImageMetadata
    from trap.source_lists.columns import ListedSources
    from trap.source_lists.tables import ListTable
    from trap.typing import Array

__all__ = [
    "check_frame",
    "check_identities",
    "check_image",
    "check_number",
    "check_positions",
    "find_outside",
    "refuse_rows",
]

MAX_SHARE_OUTSIDE = 0.5
"""Largest share of sources off the image; a list with more is the list of another image."""
MAX_DEC, MAX_RA = 90.0, 360.0
OTHER_EQUINOX = re.compile(r"\s*B?(18|19)\d\d", re.IGNORECASE)
"""An equinox of the 19th or 20th century, such as B1950."""
OTHER_FRAMES = ("fk4", "galactic", "ecl")
"""Parts of the names of frames in VOTables, in lower case."""


def refuse_rows(
    listed: ListedSources, quantity: str, is_bad: NDArray[np.bool_], problem: str, advice: str = ""
) -> None:
    """Refuse a list if a condition is true in any row.

    Parameters
    ----------
    listed
        The sources of the list.
    quantity
        Quantity of the column.
    is_bad
        (n,) — the condition.
    problem
        Text about a value: "is no position".
    advice
        Text about the remedy; may be empty.

    Raises
    ------
    SourceListError
        With the first such row, its value, and the number of such rows.
    """
    rows = np.flatnonzero(is_bad)
    if not rows.size:
        return
    value = listed.values[quantity][rows[0]]
    more = f" ({rows.size} such rows)" if rows.size > 1 else ""
    msg = f"{listed.where(quantity, int(rows[0]))}: {value:g} {problem}{more}"
    raise SourceListError(f"{msg}; {advice}" if advice else msg)


def check_number(n_rows: int, metadata: ImageMetadata) -> None:
    """Refuse a list with more sources than the image has beam areas, or pixels if it has no beam.

    Parameters
    ----------
    n_rows
        Number of rows.
    metadata
        Size and beam of the image.

    Raises
    ------
    SourceListError
        If there are too many rows.
    """
    area = _area(metadata)
    if area <= 0:
        return
    limit, unit = math.inf, "beam areas"
    if metadata.beam is not None:
        limit = area / metadata.beam.solid_angle
    elif metadata.nx * metadata.ny:
        limit, unit = float(metadata.nx * metadata.ny), "pixels"
    if n_rows > max(limit, 1):
        msg = f"{n_rows} rows, more than the {limit:.0f} {unit} of the image of {metadata.nx} by {metadata.ny} pixels"
        raise SourceListError(f"{msg}; the list is not of this image")


def check_positions(listed: ListedSources) -> None:
    """Refuse positions that are not on the sky.

    Parameters
    ----------
    listed
        The sources of the list.

    Raises
    ------
    SourceListError
        If a position is missing or not finite, or beyond a pole or a turn.
    """
    ra, dec = listed.values["ra"], listed.values["dec"]
    for quantity, values in (("ra", ra), ("dec", dec)):
        refuse_rows(listed, quantity, ~np.isfinite(values), "is no position")
    refuse_rows(listed, "dec", np.abs(dec) > MAX_DEC, f"deg is beyond the limit of ±{MAX_DEC:g} deg")
    refuse_rows(listed, "ra", np.abs(ra) > MAX_RA, f"deg is beyond the limit of ±{MAX_RA:g} deg")


def check_frame(table: ListTable) -> None:
    """Refuse positions of another frame than ICRS or J2000, which differ by less than 0.03 arcsec.

    Parameters
    ----------
    table
        The table, whose notes may name an equinox or a frame.

    Raises
    ------
    SourceListError
        If the frame is another one.
    """
    equinox, frame = table.notes.get("equinox", ""), table.notes.get("frame", "")
    is_other = OTHER_EQUINOX.match(equinox) is not None or any(name in frame.lower() for name in OTHER_FRAMES)
    if is_other:
        named = f"the equinox {shown(equinox)}" if equinox else f"the frame {shown(frame)}"
        raise SourceListError(f"the positions have {named}; they must be in ICRS, or FK5 of J2000")


def check_image(listed: ListedSources) -> None:
    """Refuse measurements of several images in one list.

    Parameters
    ----------
    listed
        The sources of the list.

    Raises
    ------
    SourceListError
        If the list has measurements of two images, with both rows.
    """
    images = listed.extra.get("image")
    if images is None or not len(images):
        return
    others = np.flatnonzero((images != images[0]) & np.isfinite(images))
    if others.size and np.isfinite(images[0]):
        msg = f"{listed.place(0)} is of image {images[0]:.0f}, and {listed.place(int(others[0]))} of image "
        raise SourceListError(f"{msg}{images[others[0]]:.0f}; a list has the sources of one image")


def check_identities(listed: ListedSources, is_failed: NDArray[np.bool_]) -> None:
    """Refuse two rows with one name, or with equal numbers.

    Parameters
    ----------
    listed
        The sources of the list.
    is_failed
        (n,) — sources without a fit, to which finders give no names of their own.

    Raises
    ------
    SourceListError
        With both rows.
    """
    seen: dict[str, int] = {}
    is_unique = len(set(listed.identities)) == len(listed.identities)
    for row, identity in enumerate(() if is_unique else listed.identities):
        if not is_failed[row] and seen.setdefault(identity, row) != row:
            first, second = (listed.place(number) for number in (seen[identity], row))
            name = " and ".join(map(shown, listed.identity))
            raise SourceListError(f"{first} and {second} have the same {name}: '{shown(identity)}'")
    _check_rows(listed.take(~is_failed) if is_failed.any() else listed)


def _check_rows(listed: ListedSources) -> None:
    """Refuse two rows with equal numbers."""
    order = np.lexsort((listed.values["dec"], listed.values["ra"]))
    is_same = np.ones(max(len(order) - 1, 0), bool)
    for values in listed.values.values():
        ordered = values[order]
        is_same &= (ordered[1:] == ordered[:-1]) | (np.isnan(ordered[1:]) & np.isnan(ordered[:-1]))
    if is_same.any():
        place = int(np.flatnonzero(is_same)[0])
        first, second = sorted(int(row) for row in order[place : place + 2])
        msg = f"{listed.place(first)} and {listed.place(second)} are equal in all columns that are read"
        raise SourceListError(f"{msg}; a source may be listed only once")


def find_outside(listed: ListedSources, metadata: ImageMetadata, ra: Array, dec: Array) -> NDArray[np.bool_]:
    """Return which sources lie off the image.

    Parameters
    ----------
    listed
        The sources of the list.
    metadata
        Place and size of the image; an image without a size covers the sky.
    ra, dec
        (n,) deg — positions.

    Raises
    ------
    SourceListError
        If more than half of the sources lie off the image.
    """
    if _area(metadata) <= 0:
        return np.zeros(len(ra), bool)
    region = metadata.sky_region(0.0)
    outside: NDArray[np.bool_] = ~region.covers(ra, dec)
    if outside.sum() > MAX_SHARE_OUTSIDE * len(ra):
        row = int(np.flatnonzero(outside)[0])
        msg = f"{outside.sum()} of {len(ra)} positions are off the image, such as {listed.place(row)} at "
        msg += f"RA {ra[row]:.5f}, Dec {dec[row]:.5f} deg; the image has its middle at RA {metadata.centre_ra:.5f}, "
        msg += f"Dec {metadata.centre_dec:.5f} and a radius of {region.xtr_radius:.3g} deg"
        raise SourceListError(f"{msg}; the list is of another image")
    return outside


def _area(metadata: ImageMetadata) -> float:
    """Return the area of the image in deg²; 0 if it is unknown."""
    pixels = abs(metadata.nx * metadata.deltax * metadata.ny * metadata.deltay)
    return pixels or math.pi * metadata.reach**2
