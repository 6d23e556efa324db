"""Codes in the columns of tables: types of measurements and associations, grades, warnings, and rejections.

The numbers are stored and never change; TraP's codes keep TraP's numbers.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Self

__all__ = [
    "STOKES",
    "UNSOUND",
    "AssociationType",
    "ExtractType",
    "FitType",
    "Flag",
    "Grade",
    "RejectReason",
    "codes_text",
    "stokes_letter",
]

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
"""FITS codes of the Stokes parameters and correlations, by their letters."""
_LETTERS = {code: letter for letter, code in STOKES.items()}


class ExtractType(IntEnum):
    """Origin of a measurement (column ``extract_type``)."""

    BLIND = 0
    """Found by the search of the image."""
    NULL_DETECTION = 1
    """Forced fit at the position of a known source that the image does not show."""
    MONITORED = 2
    """Forced fit at a monitored position."""
    JOINT = 3
    """Fit of all members of a crowded group at once, at the positions of the catalogue."""


class FitType(IntEnum):
    """Method of a measurement (column ``fit_type``)."""

    MOMENTS = 0
    """Moments of the pixels, where the fit of a Gaussian failed."""
    GAUSSIAN = 1
    """Fit of a Gaussian, with a free shape or the shape of the beam."""


class AssociationType(IntEnum):
    """Reason why a measurement is a point of an entry's light curve (column ``assocxtrsource.type``)."""

    FORKED = 2
    """One of several measurements that matched one entry, with the method of TraP: each has an entry of its own."""
    ONE_TO_ONE = 3
    """Blind measurement that matched the entry."""
    NEW_SOURCE = 4
    """First point of a new entry."""
    INHERITED = 6
    """Earlier point of an entry that was forked, copied into the light curve of its successor."""
    NULL_DETECTION = 7
    """Forced fit in an image that does not show the entry."""
    MONITOR_FIRST = 8
    """First point of a monitored position."""
    MONITOR = 9
    """Further point of a monitored position."""
    PART = 10
    """First point of a part of a blend: an image shows a known entry as several sources."""
    BLEND = 11
    """First point of a blend: an image shows several known entries as one source."""
    BACKWARD = 12
    """Forced fit in an image earlier than the first detection of the entry."""
    JOINT = 13
    """Joint fit of the crowded group that the entry belongs to, where an image does not show the group one-to-one."""
    REVEALED = 14
    """First point of an entry that earlier images show too, where they were measured at its position."""


class Grade(IntEnum):
    """Grade of a transient candidate (column ``grade``)."""

    POSSIBLE = 0
    """Noise may have made the candidate."""
    LIKELY = 1
    """Noise hardly makes a peak as high in all images together: ``transient_search.max_false_likely``."""


class Flag(IntFlag):
    """Warnings about a measurement (column ``flags``)."""

    FIT_FAILED = 1
    """The Gaussian fit did not converge: the values are from moments, or NaN for a forced fit."""
    BLENDED = 2
    """Fitted together with other components of one island; for forced fits, together with a detected source nearby."""
    EDGE = 4
    """The island or the fitting box touches the edge of the measured area."""
    MASKED_PIXELS = 8
    """Pixels without a value lie within the island or the fitting box."""
    OUTSIDE = 16
    """The position lies outside the searched area: a forced fit has no flux (NaN), a blind one is not associated."""
    POINT_LIKE = 32
    """A fit with a free shape did not differ from the restoring beam by more than the noise: the beam was fitted."""
    REPLACED = 64
    """A joint fit of the crowded group takes the place of this blind measurement in the light curve."""


UNSOUND = Flag.FIT_FAILED | Flag.EDGE | Flag.MASKED_PIXELS | Flag.OUTSIDE
"""Flags of blind measurements that are not associated: sources without a fit, and sources with missing pixels.

The position of such a source may be a point on its wing; an entry there would be no source."""


class RejectReason(IntEnum):
    """A reason for leaving an image out: its number and its sentence in table ``rejectreason``.

    The reasons up to FLAT are TraP's. A number is never used again for another reason.
    """

    RMS = 0, "RMS invalid"
    BEAM = 1, "beam invalid"
    BRIGHT_SOURCE = 2, "bright source near"
    TAU_TIME = 3, "tau_time invalid"
    NAN = 4, "contains NaN"
    FLAT = 5, "data is flat"
    POINT_SPREAD = 6, "point-spread function"
    DATE = 7, "date invalid"
    NOT_GAUSSIAN = 8, "noise not Gaussian"
    NEGATIVE = 9, "negative sources"
    BEAM_JUMP = 10, "beam unlike earlier ones"
    FREQUENCY_JUMP = 11, "frequency unlike earlier ones"
    REPEATED = 12, "pixels of an earlier image"
    BEAM_SHAPE = 13, "beam elongated or undersampled"
    NEW_SOURCES = 14, "sources unlike earlier ones"
    FLUX_SCALE = 15, "flux scale unlike earlier ones"
    POSITIONS = 16, "positions scatter more than earlier ones"
    SMEARED = 17, "shapes of sources unlike earlier ones"
    PATCH = 18, "part of the field brighter or fainter"

    description: str

    def __new__(cls, code: int, description: str) -> Self:
        """Make a member from its number and its sentence."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.description = description
        return member


def codes_text(codes: type[IntEnum | IntFlag]) -> str:
    """List numbers and names of codes, as a sentence about a column needs them."""
    return ", ".join(f"{int(code)} {(code.name or '').lower().replace('_', ' ')}" for code in codes)


def stokes_letter(code: int) -> str:
    """Return the letter of a Stokes parameter or correlation: "V" for 4, or the number itself for any other code."""
    return _LETTERS.get(int(code), str(code))
