"""Which two axes of an image are the sky, and which plane of the others is taken.

Files hold two to four axes (and more) in any order. Everything behind the readers sees one plane of
pixels, right ascension along x and declination along y, under a header whose first two axes they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from astropy.io import fits

from trap.errors import ImageError
from trap.images.headers.keywords import Keywords

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from trap.config import ReadingConfig

__all__ = ["STOKES", "Plane", "choose_plane"]

STOKES = {
    "I": 1,
    "Q": 2,
    "U": 3,
    "V": 4,
    "RR": -1,
    "LL": -2,
    "RL": -3,
    "LR": -4,
    "XX": -5,
    "YY": -6,
    "XY": -7,
    "YX": -8,
}
"""FITS codes of the Stokes parameters and correlations."""

_FREQUENCY = ("FREQ", "VOPT", "FELO", "VRAD", "VELO", "SPECLNMF")
_LONGITUDE = re.compile(r"(RA|[A-Z]LON|[A-Z]{2}LN)(-|$)")
_LATITUDE = re.compile(r"(DEC|[A-Z]LAT|[A-Z]{2}LT)(-|$)")
_OF_AXES = re.compile(r"(NAXIS|CTYPE|CRVAL|CRPIX|CDELT|CUNIT|CROTA|CNAME|PC|CD|PV|PS)([1-9])(?:(_)(\d+))?")
_MOST_AXES = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """One plane of an image.

    Parameters
    ----------
    order
        (n_axes,) — the axes of the file, counted from 0 as FITS does: longitude, latitude, then the rest.
    index
        (n_axes,) — plane along each axis of the file; 0 along the two of the sky.
    lengths
        (n_axes,) — of the axes of the file.
    """

    order: tuple[int, ...]
    index: tuple[int, ...]
    lengths: tuple[int, ...]

    @property
    def slices(self) -> tuple[int | slice, ...]:
        """What takes the plane out of pixels in the order of numpy, in which the last axis is the first of FITS."""
        sky = self.order[:2]
        return tuple(slice(None) if axis in sky else self.index[axis] for axis in reversed(range(len(self.lengths))))

    def of(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """(ny, nx) — the plane, of pixels with all axes in the order of numpy."""
        return self.turned(pixels[self.slices])

    def turned(self, plane: NDArray[Any]) -> NDArray[Any]:
        """(ny, nx) — a plane that was taken by :attr:`slices`, with latitude along y."""
        return plane.T if self.order[0] > self.order[1] else plane

    def header(self, header: fits.Header) -> fits.Header:
        """The header with the axes in our order, and what it says of planes said of this one."""
        if self.order == tuple(range(len(self.order))) and not any(self.index):
            return header.copy()
        new = {axis + 1: place for place, axis in enumerate(self.order, 1)}
        turned = fits.Header(list(_renumbered(header, new)))
        for axis in self.order[2:]:
            # The first plane is now this one.
            reference, place = header.get(f"CRPIX{axis + 1}", 1.0), new[axis + 1]
            turned[f"CRPIX{place}"] = reference - self.index[axis]
            turned[f"NAXIS{place}"] = 1
        return turned


def choose_plane(header: fits.Header, url: str, settings: ReadingConfig) -> Plane:
    """Find the two axes of the sky and choose a plane of the others.

    Parameters
    ----------
    header
        As the file has it.
    url
        The image, for messages.
    settings
        Which Stokes parameter and which channel; the first plane of any other axis is taken.

    Raises
    ------
    ImageError
        If the cube does not hold what the settings ask for, or an axis has an impossible length.
    """
    keywords = Keywords(header, url)
    n_axes = min(keywords.count("NAXIS") or 0, _MOST_AXES)
    lengths = tuple(keywords.length(f"NAXIS{axis}") for axis in range(1, n_axes + 1))
    kinds = [keywords.text(f"CTYPE{axis}").upper() for axis in range(1, n_axes + 1)]
    sky = _sky_axes(kinds)
    rest = tuple(axis for axis in range(n_axes) if axis not in sky)
    index = [0] * n_axes
    for axis in rest:
        if kinds[axis].startswith("STOKES") and settings.stokes:
            index[axis] = _stokes_plane(keywords, axis, lengths[axis], settings.stokes)
        elif kinds[axis].startswith(_FREQUENCY):
            index[axis] = _channel(lengths[axis], settings.channel, url)
    return Plane(order=(*sky, *rest), index=tuple(index), lengths=lengths)


def _sky_axes(kinds: list[str]) -> tuple[int, int]:
    """Longitude and latitude; the first two axes where they are not named, which the projection then tells."""
    found = [next((i for i, kind in enumerate(kinds) if form.match(kind)), -1) for form in (_LONGITUDE, _LATITUDE)]
    return (0, 1) if min(found) < 0 else (found[0], found[1])


def _stokes_plane(keywords: Keywords, axis: int, length: int, name: str) -> int:
    first, step = keywords.plane_values(axis + 1)
    codes = [round(first + plane * step) for plane in range(length)]
    wanted = STOKES.get(name.upper())
    if wanted in codes:
        return codes.index(wanted)
    names = {code: known for known, code in STOKES.items()}
    there = ", ".join(names.get(code, str(code)) for code in codes)
    msg = f"no Stokes {name} in the file, which holds {there}"
    raise ImageError(msg, keywords.url)


def _channel(length: int, channel: int, url: str) -> int:
    if channel < length:
        return channel
    msg = f"no channel {channel} in the file, which holds {length} along the frequency axis"
    raise ImageError(msg, url)


def _renumbered(header: fits.Header, new: dict[int, int]) -> Iterator[fits.Card]:
    """The cards of a header whose axes get new numbers; axes without pixels keep theirs."""
    for card in header.cards:
        match = _OF_AXES.fullmatch(card.keyword)
        if match is None:
            yield card
            continue
        name, first, between, second = match.groups(default="")
        # The second number of PV and PS is that of a parameter.
        axes = (first,) if name in ("PV", "PS") else (first, second)
        numbers = [str(new.get(int(axis), axis)) if axis else "" for axis in axes]
        keyword = f"{name}{numbers[0]}{between}{numbers[1] if len(numbers) == 2 else second}"
        yield fits.Card(keyword, card.value, card.comment)
