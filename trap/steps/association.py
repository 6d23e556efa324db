"""Association: the blind measurements of a timestep, image by image, joined to the running catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import structlog

from trap.catalogues import Associations, AssociationType, FitRequests, Flag, Measurements, NewSources
from trap.dataset.records import ImageRecord
from trap.dataset.state import as_utc64
from trap.steps.quality import reject_against_history

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trap.association.entries import LightCurveKey
    from trap.config import AssociationConfig
    from trap.dataset.records import ImageResult
    from trap.dataset.state import DatasetState
    from trap.images.image import ImageMetadata

__all__ = ["associate_extracted_sources"]

log = structlog.get_logger(__name__)


def associate_extracted_sources(state: DatasetState, results: Sequence[ImageResult]) -> tuple[ImageRecord, ...]:
    """Associate the images of one timestep, in the order given, and test what is new.

    Images that the quality history of their band speaks against are rejected here, where the
    history is known in its right order. Changes only the survey in memory.

    Parameters
    ----------
    survey
        The dataset's state; updated.
    results
        Measured images of the same time, lowest frequency first.

    Returns
    -------
    One record per image, without forced fits yet.
    """
    state.catalogue.begin_timestep()
    return tuple(_associate_image(state, number, result) for number, result in enumerate(results))


def _associate_image(state: DatasetState, number: int, result: ImageResult) -> ImageRecord:
    metadata = result.metadata
    result = reject_against_history(result, state)
    is_accepted = result.rejection is None
    key = state.light_curve_key(metadata, is_accepted=is_accepted)
    region = state.region_number(metadata, is_accepted=is_accepted)
    if not is_accepted:
        return _without_sources(result, key, region)
    state.remember(result)
    if result.findings:
        log.warning("image_doubtful", image=metadata.url, findings=[finding.text for finding in result.findings])
    found = result.measurements
    measured = found.take(_ordered(found, np.flatnonzero(found.is_measured & (found.flags & Flag.OUTSIDE == 0))))
    log.debug("image_associated", image=metadata.url, n_found=len(found), n_associated=len(measured))
    settings = state.config.association
    associations = state.catalogue.associate(
        measured,
        image=number,
        key=key,
        taustart=as_utc64(metadata.taustart_ts),
        search_radius=_search_radius(metadata, settings),
        max_radius=settings.deruiter_radius,
    )
    new = associations.take(associations.type == AssociationType.NEW_SOURCE)
    return ImageRecord(
        result=result,
        key=key,
        region=region,
        measurements=measured,
        associations=associations,
        new_sources=state.looks.find_new_sources(key, new.entry, measured, new.measurement, state.regions),
        forced=FitRequests.empty(),
        n_dropped=len(found) - len(measured),
    )


def _ordered(found: Measurements, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Put rows into an order of their own: whoever lists them otherwise gets the same rows of all tables."""
    order = np.argsort(found.dec[rows])
    if (np.diff(found.dec[rows][order]) == 0).any():
        order = np.lexsort([values[rows] for values in (found.f_int_err, found.f_int, found.ra, found.dec)])
    ordered: NDArray[np.intp] = rows[order]
    return ordered


def _without_sources(result: ImageResult, key: LightCurveKey, region: int) -> ImageRecord:
    return ImageRecord(
        result=result,
        key=key,
        region=region,
        measurements=Measurements.empty(),
        associations=Associations.empty(),
        new_sources=NewSources.empty(),
        forced=FitRequests.empty(),
    )


def _search_radius(metadata: ImageMetadata, settings: AssociationConfig) -> float:
    """Farthest distance of a pair, in deg; an image without a beam is rejected before it comes here."""
    beam = 0.0 if metadata.beam is None else metadata.beam.bmaj / 2
    return max(settings.beamwidths_limit * beam, settings.search_radius_floor_arcsec / 3600)
