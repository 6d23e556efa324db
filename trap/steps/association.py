"""Association of the blind measurements of a timestep with the running catalogue, image by image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import structlog

from trap.association.entries import LightCurveKey
from trap.association.hypotheses import ImageLimits
from trap.association.noise_peaks import NoiseChance
from trap.association.pairs import COINCIDENT
from trap.catalogues import Associations, AssociationType, FitRequests, Measurements, NewSources
from trap.dataset.dropped import count_dropped
from trap.dataset.records import ImageRecord
from trap.dataset.state import as_utc64
from trap.steps.joint_photometry import group_limits
from trap.steps.quality import compare_calibration, reject_against_catalogue, reject_against_history

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trap.config import AssociationConfig, PipelineConfig
    from trap.dataset.records import ImageResult
    from trap.dataset.state import DatasetState
    from trap.images.image import ImageMetadata

__all__ = ["associate_extracted_sources", "search_radius"]

log = structlog.get_logger(__name__)


def associate_extracted_sources(state: DatasetState, results: Sequence[ImageResult]) -> tuple[ImageRecord, ...]:
    """Associate the images of one timestep in order, and test new entries for transients.

    Images that fail the comparison with other images of their band, or with the catalogue, are rejected here, since
    the history is now in order of time. Only the state in memory is changed.

    Parameters
    ----------
    state
        State of the dataset; updated.
    results
        Measured images of one time, lowest frequency first.

    Returns
    -------
    One record per image, without forced fits.
    """
    state.catalogue.begin_timestep()
    records: list[ImageRecord] = []
    for number in range(len(results)):
        records.append(_associate_image(state, number, results, records))
    return tuple(records)


def _associate_image(
    state: DatasetState, number: int, results: Sequence[ImageResult], before: Sequence[ImageRecord]
) -> ImageRecord:
    """Compare an image with other images and the catalogue, and associate its measurements if it is accepted.

    ``before`` are the images of the timestep that were associated before.
    """
    result, settings = results[number], state.config.association
    metadata = result.metadata
    following = [other for other in results[number + 1 :] if other.rejection is None]
    result = reject_against_history(result, state, (*following, *state.following))
    if result.rejection is None:
        history = state.history_key(metadata)
        result = result.found(compare_calibration(result, state, LightCurveKey(history.band, history.stokes)))
    result = reject_against_catalogue(result, state, search_radius=search_radius(metadata, settings))
    is_accepted = result.rejection is None
    key = state.light_curve_key(metadata, is_accepted=is_accepted)
    region = state.region_number(metadata, is_accepted=is_accepted)
    if not is_accepted:
        return _without_sources(result, key, region)
    state.remember(result)
    if result.findings:
        log.warning("image_doubtful", image=metadata.url, findings=[finding.text for finding in result.findings])
    sources = result.measurements
    measured = sources.take(_ordered(sources, np.flatnonzero(sources.is_sound)))
    dropped = count_dropped(sources)
    log.debug("image_associated", image=metadata.url, n_found=len(sources), n_associated=len(measured), **dropped)
    associations, members = state.catalogue.associate(
        measured,
        image=number,
        key=key,
        taustart=as_utc64(metadata.taustart_ts),
        search_radius=search_radius(metadata, settings),
        max_radius=settings.deruiter_radius,
        limits=_limits(metadata, state.config),
        method=settings.method,
    )
    new = associations.take(associations.type == AssociationType.NEW_SOURCE)
    searched = (record.result.searched for record in before if record.key == key)
    chance = NoiseChance(
        image=result.searched,
        so_far=sum(searched, state.looks.searched(key) + result.searched),
        negative=result.negative,
        pixel_area=abs(metadata.deltax * metadata.deltay),
    )
    return ImageRecord(
        result=result,
        key=key,
        region=region,
        measurements=measured,
        associations=associations,
        new_sources=state.looks.find_new_sources(
            key, new.entry, measured, new.measurement, state.regions, chance=chance
        ),
        forced=FitRequests.empty(),
        dropped=dropped,
        members=members,
        chance=chance,
    )


def _ordered(sources: Measurements, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Sort rows by declination, so that the tables do not depend on the order of the measurements.

    Rows of equal declination are sorted by right ascension, flux density and its error.
    """
    order = np.argsort(sources.dec[rows])
    if (np.diff(sources.dec[rows][order]) == 0).any():
        order = np.lexsort([values[rows] for values in (sources.f_int_err, sources.f_int, sources.ra, sources.dec)])
    ordered: NDArray[np.intp] = rows[order]
    return ordered


def _limits(metadata: ImageMetadata, config: PipelineConfig) -> ImageLimits:
    """Return the limits of an image; widths of an unknown beam are 0."""
    threshold, beam = config.source_extraction.detection_threshold, metadata.beam
    if beam is None:
        return ImageLimits(0.0, threshold)
    return ImageLimits(beam.bmaj, threshold, COINCIDENT * beam.bmin, group_limits(metadata, config))


def _without_sources(result: ImageResult, key: LightCurveKey, region: int) -> ImageRecord:
    """Return the record of a rejected image."""
    return ImageRecord(
        result=result,
        key=key,
        region=region,
        measurements=Measurements.empty(),
        associations=Associations.empty(),
        new_sources=NewSources.empty(),
        forced=FitRequests.empty(),
    )


def search_radius(metadata: ImageMetadata, settings: AssociationConfig) -> float:
    """Return the largest distance of a pair, in deg.

    A missing beam counts as zero here, but an image without a beam is rejected before.

    Parameters
    ----------
    metadata
        Metadata of the image.
    settings
        Number of beam widths, and least distance.
    """
    beam = 0.0 if metadata.beam is None else metadata.beam.bmaj / 2
    return max(settings.beamwidths_limit * beam, settings.search_radius_floor_arcsec / 3600)
