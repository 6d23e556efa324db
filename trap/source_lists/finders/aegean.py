"""Components of Aegean (``comp``): CSV, FITS or VOTable.

Conventions, from AegeanTools' ``models``, ``flags`` and ``fitting``: the axes ``a`` and ``b`` are full widths at half
maximum in arcsec, ``pa`` is from north through east, fluxes are in Jy. ``err_ra`` and ``err_dec`` are in degrees, and
lengths on the sky: the error of the right ascension is a true angle. The files have no units.

Bits of ``flags``: 1 the island was too small for a fit of the shape, 2 an error in the fit, 4 the shape was fixed to
the beam, 8 it was fixed to a circle, 16 not fitted, 32 an error in the coordinates, 64 fitted at a given place. An
error of -1 means that there is none: after a failed fit, for a fixed parameter, and for all if none were computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.catalogues import Flag
from trap.source_lists.formats import ListColumn, ListFormat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from trap.typing import Array

__all__ = ["AEGEAN"]

FIT_ERROR, BEAM_SHAPE, NOT_FITTED, WCS_ERROR = 2, 4, 16, 32
"""Bits of Aegean's flags."""


def _flags(columns: Mapping[str, Array]) -> NDArray[np.int_]:
    """Flag components that were not fitted, and components with the shape of the beam."""
    bits = np.nan_to_num(columns["flags"], nan=0.0, posinf=0.0, neginf=0.0).astype(np.int64)
    flags = np.zeros(len(bits), int)
    flags[(bits & (FIT_ERROR | NOT_FITTED | WCS_ERROR)) > 0] += int(Flag.FIT_FAILED)
    flags[(bits & BEAM_SHAPE) > 0] += int(Flag.POINT_LIKE)
    return flags


AEGEAN = ListFormat(
    name="aegean",
    description="components (`comp`) of Aegean: CSV, FITS or VOTable",
    columns={
        "ra": ListColumn("ra", "deg"),
        "dec": ListColumn("dec", "deg"),
        "ew_fit_err": ListColumn("err_ra", "deg"),
        "ns_fit_err": ListColumn("err_dec", "deg"),
        "f_peak": ListColumn("peak_flux", "Jy/beam"),
        "f_peak_err": ListColumn("err_peak_flux", "Jy/beam"),
        "f_int": ListColumn("int_flux", "Jy"),
        "f_int_err": ListColumn("err_int_flux", "Jy"),
        "rms": ListColumn("local_rms", "Jy/beam"),
        "major": ListColumn("a", "arcsec"),
        "minor": ListColumn("b", "arcsec"),
        "pa": ListColumn("pa", "deg"),
        "island": ListColumn("island"),
    },
    marks=(("island", "source", "local_rms", "peak_flux", "int_flux", "err_ra", "a", "b"),),
    identities=(("island", "source"),),
    extra=("flags",),
    flags=_flags,
)
