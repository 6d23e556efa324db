"""Components of Selavy, the source finder of ASKAP: text, VOTable, and the CSV files of CASDA.

Conventions, from ASKAPsoft's ``CasdaComponent``: fitted axes are full widths at half maximum in arcsec, position
angles are from north through east, and fluxes are in mJy. The errors of both coordinates are errors in pixels times the
size of a pixel, so that the error of the right ascension is a true angle. The deconvolved axes are not used.

``fit_is_estimate`` marks components whose fit failed: their values are the estimate that the fit began with.
``flag_c4`` marks fits with a large χ². It is not used, since errors of calibration give every bright source a large χ².

The names of components (``component_name``) are positions, and two components may share one; ``component_id`` is
unique.
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

__all__ = ["SELAVY"]


def _flags(columns: Mapping[str, Array]) -> NDArray[np.int_]:
    """Flag components whose fit failed."""
    return np.where(columns["fit_is_estimate"] > 0, int(Flag.FIT_FAILED), 0)


SELAVY = ListFormat(
    name="selavy",
    description="components of Selavy (ASKAP): text, VOTable, or CSV of CASDA",
    columns={
        "ra": ListColumn("ra_deg_cont", "deg"),
        "dec": ListColumn("dec_deg_cont", "deg"),
        "ew_fit_err": ListColumn("ra_err", "arcsec"),
        "ns_fit_err": ListColumn("dec_err", "arcsec"),
        "f_peak": ListColumn("flux_peak", "mJy/beam"),
        "f_peak_err": ListColumn("flux_peak_err", "mJy/beam"),
        "f_int": ListColumn("flux_int", "mJy"),
        "f_int_err": ListColumn("flux_int_err", "mJy"),
        "rms": ListColumn("rms_image", "mJy/beam"),
        "major": ListColumn("maj_axis", "arcsec"),
        "minor": ListColumn("min_axis", "arcsec"),
        "pa": ListColumn("pos_ang", "deg"),
        "island": ListColumn("island_id"),
    },
    marks=(("component_id", "ra_deg_cont", "dec_deg_cont", "flux_peak", "flux_int", "maj_axis"),),
    identities=(("component_id",),),
    extra=("fit_is_estimate",),
    flags=_flags,
)
