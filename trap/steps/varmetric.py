"""Variability metrics: the summary of every light curve, refreshed for what a timestep touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.catalogues import VarMetrics
from trap.variability import FLUX_STATISTICS, modulation_v, weighted_eta

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trap.records import ImageRecord
    from trap.survey import Survey

__all__ = ["execute_store_varmetric", "summarise_touched"]


def summarise_touched(survey: Survey, images: Sequence[ImageRecord]) -> VarMetrics:
    """Summarise the light curves that got a point in this timestep.

    As in TraP, an entry is described by the band in which it is brightest at its latest time.
    Unlike TraP's, the choice is unique: of equal flux densities the first band wins.

    Returns
    -------
    One row per entry that is in the catalogue.
    """
    entries = np.concatenate([np.empty(0, np.int64), *(image.associations.entry for image in images)])
    fluxes = np.concatenate([np.empty(0), *(im.measurements.f_int[im.associations.measurement] for im in images)])
    numbers = np.repeat(np.arange(len(images)), [len(image.associations) for image in images])
    order = np.lexsort((numbers, -fluxes, entries))
    entries, first = np.unique(entries[order], return_index=True)
    numbers = numbers[order][first]
    active = survey.catalogue.entries["active"][entries]
    entries, numbers = entries[active], numbers[active]
    curves = np.zeros(len(entries), FLUX_STATISTICS)
    for number, image in enumerate(images):
        chosen = numbers == number
        curves[chosen] = survey.catalogue.fluxes(image.key)[entries[chosen]]
    return VarMetrics(
        entry=entries,
        band=np.array([image.key.band for image in images], np.int64)[numbers],
        v_int=modulation_v(curves),
        eta_int=weighted_eta(curves),
        lightcurve_max=curves["max_f_int"],
        lightcurve_avg=curves["mean_f_int"],
    )
