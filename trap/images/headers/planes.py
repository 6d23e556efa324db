"""Selection of a plane from an image with further axes than the two of the sky.

Files hold two to four axes, or more, in any order. All code after the readers handles one plane of pixels,
with right ascension along x and declination along y, and a header with these as the first two axes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from astropy.io import fits

from trap.config import stokes_letter
from trap.errors import ImageError
from trap.images.headers.keywords import Keywords

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from trap.config import ReadingConfig

__all__ = ["Plane", "choose_plane", "place_of"]

_FREQUENCY = ("FREQ", "VOPT", "FELO", "VRAD", "VELO", "SPECLNMF")
_LONGITUDE = re.compile(r"(RA|[A-Z]LON|[A-Z]{2}LN)(-|$)")
_LATITUDE = re.compile(r"(DEC|[A-Z]LAT|[A-Z]{2}LT)(-|$)")
_OF_AXES = re.compile(r"(NAXIS|CTYPE|CRVAL|CRPIX|CDELT|CUNIT|CROTA|CNAME|PC|CD|PV|PS)([1-9])(?:(_)(\d+))?")
_MAX_AXES = 9
"""Axes beyond this number are ignored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """A plane of an image.

    Parameters
    ----------
    order
        (n_axes,) — axes of the file in a new order: longitude, latitude, then the others; axis 0 is the first of FITS.
    index
        (n_axes,) — number of the plane along each axis of the file; 0 along the two axes of the sky.
    lengths
        (n_axes,) — lengths of the axes of the file.
    """

    order: tuple[int, ...]
    index: tuple[int, ...]
    lengths: tuple[int, ...]

    @property
    def slices(self) -> tuple[int | slice, ...]:
        """Indices that select the plane from pixels in the order of numpy, whose last axis is the first of FITS."""
        sky = self.order[:2]
        return tuple(slice(None) if axis in sky else self.index[axis] for axis in reversed(range(len(self.lengths))))

    def of(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Select the plane (ny, nx) from pixels with all axes, in the order of numpy."""
        return self.turned(pixels[self.slices])

    def turned(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Transpose a plane that was selected by :attr:`slices` if latitude is not along y; return it as (ny, nx)."""
        return plane.T if self.order[0] > self.order[1] else plane

    def header(self, header: fits.Header) -> fits.Header:
        """Return a header with the axes in the new order, and with the reference pixels and lengths of this plane."""
        if self.order == tuple(range(len(self.order))) and not any(self.index):
            return header.copy()
        new_numbers = {axis + 1: number for number, axis in enumerate(self.order, 1)}
        reordered = fits.Header(list(_renumbered(header, new_numbers)))
        for axis in self.order[2:]:
            # The plane becomes the first and only one along the axis.
            reference, number = Keywords(header, "").number(f"CRPIX{axis + 1}"), new_numbers[axis + 1]
            reordered[f"CRPIX{number}"] = (1.0 if reference is None else reference) - self.index[axis]
            reordered[f"NAXIS{number}"] = 1
        return reordered


def choose_plane(header: fits.Header, url: str, settings: ReadingConfig) -> Plane:
    """Find the two axes of the sky, and choose a plane along the others.

    Parameters
    ----------
    header
        Header of the file, with all axes.
    url
        Path of the image, for messages.
    settings
        Settings of reading: Stokes parameter and channel. The first plane along any other axis is chosen.

    Raises
    ------
    ImageError
        If the image has no such Stokes parameter or channel, a Stokes parameter is given for a cube of several, or an
        axis has an impossible length.
    """
    keywords = Keywords(header, url)
    n_axes = min(keywords.count("NAXIS") or 0, _MAX_AXES)
    lengths = tuple(keywords.length(f"NAXIS{axis}") for axis in range(1, n_axes + 1))
    kinds = [keywords.text(f"CTYPE{axis}").upper() for axis in range(1, n_axes + 1)]
    sky = _sky_axes(kinds)
    rest = tuple(axis for axis in range(n_axes) if axis not in sky)
    index = [0] * n_axes
    for axis in rest:
        if kinds[axis].startswith(_FREQUENCY):
            index[axis] = _channel(lengths[axis], settings.channel, url)
    stokes_axis = next((axis for axis in rest if kinds[axis].startswith("STOKES")), None)
    number = _stokes_plane(keywords, stokes_axis, lengths, settings)
    if stokes_axis is not None:
        index[stokes_axis] = number
    return Plane(order=(*sky, *rest), index=tuple(index), lengths=lengths)


def place_of(plane: Plane, header: fits.Header) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the place of a plane along the axes of frequency and of Stokes parameters.

    Parameters
    ----------
    plane
        The plane.
    header
        Header of the file, with all axes.

    Returns
    -------
    channel, stokes
        For each axis the number of the plane, from 0, and the length of the axis; 0 and 1 without the axis.
    """
    keywords = Keywords(header, "")
    places = [(0, 1), (0, 1)]
    for axis, place in enumerate(zip(plane.index, plane.lengths, strict=True)):
        kind = keywords.text(f"CTYPE{axis + 1}").upper()
        if kind.startswith((*_FREQUENCY, "STOKES")):
            places[kind.startswith("STOKES")] = place
    return places[0], places[1]


def _sky_axes(kinds: list[str]) -> tuple[int, int]:
    """Return the axes of longitude and latitude.

    If they are not named, these are the first two axes; the projection then rejects the image with a reason.
    """
    longitude, latitude = (
        next((axis for axis, kind in enumerate(kinds) if pattern.match(kind)), -1)
        for pattern in (_LONGITUDE, _LATITUDE)
    )
    return (0, 1) if min(longitude, latitude) < 0 else (longitude, latitude)


def _stokes_plane(keywords: Keywords, axis: int | None, lengths: tuple[int, ...], settings: ReadingConfig) -> int:
    """Return the number of the plane along the axis of Stokes parameters; 0 without such an axis among the pixels."""
    given = settings.given_for(keywords.url).stokes
    if not (settings.stokes or given):
        return 0
    number, length = ((keywords.find_axis("STOKES") or (0,))[0], 1) if axis is None else (axis + 1, lengths[axis])
    # An image without the axis is of Stokes I.
    first, step = keywords.plane_values(number) if number else (1.0, 0.0)
    held = [stokes_letter(round(first + plane * step)) for plane in range(length)]
    if given is not None and length > 1:
        msg = f"reading.given has Stokes {given} for a cube of {', '.join(held)}; choose a plane by reading.stokes"
        raise ImageError(msg, keywords.url)
    held = held if given is None else [given]
    if not settings.stokes or settings.stokes in held:
        return held.index(settings.stokes or held[0])
    msg = f"no Stokes {settings.stokes} in the file, which holds {', '.join(held)}"
    raise ImageError(msg, keywords.url)


def _channel(length: int, channel: int, url: str) -> int:
    """Return the channel, which must be on the axis."""
    if channel < length:
        return channel
    msg = f"no channel {channel} in the file, which holds {length} along the frequency axis"
    raise ImageError(msg, url)


def _renumbered(header: fits.Header, new_numbers: dict[int, int]) -> Iterator[fits.Card]:
    """Yield the cards of a header with new numbers of axes; axes without pixels keep their numbers."""
    for card in header.cards:
        match = _OF_AXES.fullmatch(card.keyword)
        if match is None:
            yield card
            continue
        name, first, between, second = match.groups(default="")
        # The second number of PV and PS counts parameters, not axes.
        axes = (first,) if name in ("PV", "PS") else (first, second)
        numbers = [str(new_numbers.get(int(axis), axis)) if axis else "" for axis in axes]
        keyword = f"{name}{numbers[0]}{between}{numbers[1] if len(numbers) == 2 else second}"
        if keyword == card.keyword:
            yield card
        else:
            yield fits.Card(keyword, _value(card), card.comment)


def _value(card: fits.Card) -> Any:  # noqa: ANN401 (text or a number)
    """Return the value of a card, as text if astropy cannot parse it."""
    try:
        return card.value
    except (fits.VerifyError, ValueError):
        return Keywords(fits.Header([card]), "").text(card.keyword)
