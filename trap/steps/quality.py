"""Quality control of images before the search, after it, and against earlier images."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from trap import quality
from trap.association.entries import LightCurveKey
from trap.association.negative_peaks import NegativePeaks
from trap.association.noise_peaks import NoiseChance
from trap.db import images as stored_images
from trap.extraction.celestial import beam_form
from trap.extraction.field import measured_mask

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

    from trap.association.noise_peaks import SearchedArea
    from trap.catalogues import Measurements
    from trap.config import PipelineConfig
    from trap.dataset.records import ImageResult
    from trap.dataset.state import DatasetState
    from trap.db.engine import Connection
    from trap.extraction.mesh import Background
    from trap.images.image import Image, ImageMetadata
    from trap.quality import Finding, Rejection, RejectReason
    from trap.typing import Array

__all__ = [
    "compare_calibration",
    "compare_with_others",
    "examine",
    "examine_list",
    "examine_sources",
    "measure_area",
    "reject_against_catalogue",
    "reject_against_history",
    "reject_check",
    "reject_image",
]

MIN_IMAGES = 2
"""Number of accepted images from which the catalogue can speak against an image. Two images that differ do not show
which of them is wrong, and the second must not be rejected because the first is displaced."""
MIN_CONFIRMED = 5
"""Number of confirmed catalogue entries in the field from which the catalogue can do so."""
MIN_CONFIRMED_POINTS = 2
"""Number of detections that confirm an entry."""


def examine(image: Image, rms_qc: float, config: PipelineConfig, *, now: datetime | None = None) -> tuple[Finding, ...]:
    """Check an image by itself: its pixels, its noise, its beam, its date and its pointing.

    Parameters
    ----------
    image
        The image; its pixels are read.
    rms_qc
        Jy/beam — noise of the central region.
    config
        All settings.
    now
        Time of the check, UTC; None is the present.

    Returns
    -------
    tuple of Finding
        A finding for each check that is made. The first that rejects the image is its recorded rejection.
    """
    inputs = quality.ImageInput(
        data=image.data,
        rms=rms_qc,
        metadata=image.metadata,
        config=config,
        now=now or datetime.now(UTC),
        off_sky=image.off_sky_share,
    )
    return quality.check_image(inputs)


def examine_list(
    metadata: ImageMetadata, rms: float, searched: SearchedArea, config: PipelineConfig, *, n_sources: int
) -> tuple[Finding, ...]:
    """Check a source list without an image, as far as no pixels are needed.

    Parameters
    ----------
    metadata
        Its metadata.
    rms
        Jy/beam — its noise.
    searched
        Its searched area.
    config
        All settings.
    n_sources
        Number of its sources.

    Returns
    -------
    tuple of Finding
        A finding for each check that is made.
    """
    inputs = quality.ImageInput(data=np.empty((0, 0)), rms=rms, metadata=metadata, config=config, now=datetime.now(UTC))
    sources = quality.SourceInput(
        metadata=metadata, config=config, n_negative=0, n_sources=n_sources, n_beams=float(searched.n_beams)
    )
    # The density of sources means nothing without an area.
    return (*quality.check_list(inputs), *(quality.check_sources(sources) if searched.n_beams else ()))


def examine_sources(
    image: Image, searched: SearchedArea, config: PipelineConfig, *, n_sources: int = 0
) -> tuple[Finding, ...]:
    """Check an image for artefacts that are negative, and for too many sources, after its sources are known.

    Parameters
    ----------
    image
        The image; its pixels are read.
    searched
        Its searched area.
    config
        All settings.
    n_sources
        Number of its sources.

    Returns
    -------
    tuple of Finding
        A finding for each check that is made.
    """
    a, b, c = _beam_of(image)
    n_beams = searched.n_pixels * np.sqrt(a * c - b**2) / (2 * np.pi)
    inputs = quality.SourceInput(
        metadata=image.metadata,
        config=config,
        n_negative=searched.n_negative,
        n_sources=n_sources,
        n_beams=float(n_beams),
    )
    return quality.check_sources(inputs)


def measure_area(image: Image, background: Background, config: PipelineConfig) -> tuple[SearchedArea, NegativePeaks]:
    """Measure the searched area of an image, and find the negative peaks in it.

    Parameters
    ----------
    image
        The image; its pixels are read.
    background
        Level and noise of its background.
    config
        All settings.
    """
    settings, data, beam = config.source_extraction, image.data, image.require_beam()
    mask, threshold = measured_mask(data, settings), settings.detection_threshold
    x, y, depth = quality.find_negative(data, background, mask, threshold)
    area = quality.measure_area(background, mask, threshold, beam=_beam_of(image), n_negative=len(depth))
    if not len(depth):
        return area, NegativePeaks.empty()
    ra, dec = image.wcs.all_pix2world(x, y, 0)
    return area, NegativePeaks.at(ra, dec, depth, beam=beam.bmaj)


def _beam_of(image: Image) -> Array:
    """Return the coefficients of the beam's exponent, (3,) pix⁻²."""
    return beam_form(image.require_beam(), image.wcs, image.data.shape)


def reject_against_history(
    result: ImageResult, state: DatasetState, following: Sequence[ImageResult] = ()
) -> ImageResult:
    """Compare an image with the latest accepted images of its band, Stokes parameter and telescope.

    Parameters
    ----------
    result
        The measured image. It is returned unchanged if it is rejected already.
    state
        State of the dataset, with the values of its accepted images.
    following
        Images that follow in the run, of any group. They are compared with if the accepted images are few.

    Returns
    -------
    ImageResult
        The image with the findings that it fails, and rejected if one of them rejects it.
    """
    if result.rejection is not None:
        return result
    return result.found(compare_with_others(result, state, following))


def compare_with_others(
    result: ImageResult, state: DatasetState, following: Sequence[ImageResult] = ()
) -> tuple[Finding, ...]:
    """Make the checks that compare an image with other images of its band, Stokes parameter and telescope.

    Parameters
    ----------
    result, state, following
        As for :func:`reject_against_history`; the image is not rejected.
    """
    others = [other for other in following if state.are_comparable(other.metadata, result.metadata)]
    beams = [other.metadata.beam for other in others]
    image = quality.EarlierInput(
        metadata=result.metadata,
        config=state.config,
        rms=result.rms_qc,
        pixel_hash=result.pixel_hash,
        key=state.history_key(result.metadata),
        earlier=state.accepted,
        following_rms=np.array([other.rms_qc for other in others], float),
        following_beams=np.array([(b.bmaj, b.bmin) for b in beams if b is not None], float).reshape(-1, 2),
    )
    return quality.check_against_earlier(image)


def compare_calibration(result: ImageResult, state: DatasetState, key: Hashable) -> tuple[Finding, ...]:
    """Make the checks that compare the calibration of an image with the images before it.

    Parameters
    ----------
    result
        The measured image, with its calibration.
    state
        State of the dataset, with the calibrations of its accepted images.
    key
        Band and Stokes parameter of the image.

    Returns
    -------
    tuple of Finding
        A finding for each check that is made; the image is not rejected.
    """
    image = quality.CalibrationInput(
        metadata=result.metadata,
        config=state.config,
        calibration=result.calibration,
        history=state.calibrations,
        key=key,
    )
    return quality.check_calibration(image)


def reject_against_catalogue(result: ImageResult, state: DatasetState, *, search_radius: float) -> ImageResult:
    """Compare the sources of an image with the running catalogue, before they are associated.

    The decision depends on the stored dataset and on the image alone. The first images of a field are not compared.
    Images where the catalogue has fewer than :data:`MIN_CONFIRMED` confirmed entries are doubtful if they show many
    times as many sources.

    Parameters
    ----------
    result
        The measured image. It is returned unchanged if it is rejected already.
    state
        State of the dataset; not changed.
    search_radius
        deg — largest distance of a source from its entry.

    Returns
    -------
    ImageResult
        The image with the findings that it fails, and rejected if one of them rejects it.
    """
    config, group = state.config, state.history_key(result.metadata)
    is_off = config.quality.check_new_sources == config.quality.check_crowding == "off"
    if is_off or result.rejection is not None or state.accepted.rms(group).size < MIN_IMAGES:
        return result
    sources = result.measurements.take(result.measurements.is_sound)
    is_known = _is_known(state, sources, search_radius)
    unknown = np.flatnonzero(~is_known)
    if not quality.may_be_too_many(unknown.size, config.quality):
        # Nearly every image ends here, before the entries of the whole field are read.
        return result
    radius = config.source_extraction.extraction_radius_pix
    covered, _ = state.catalogue.within(result.metadata.sky_region(radius))
    n_confirmed = np.count_nonzero(state.catalogue.entries["datapoints"][covered] >= MIN_CONFIRMED_POINTS)
    key = LightCurveKey(group.band, group.stokes)
    chance = NoiseChance(image=result.searched, so_far=state.looks.searched(key) + result.searched)
    new = state.looks.find_new_sources(key, unknown, sources, unknown, state.regions, chance=chance)
    image = quality.CatalogueInput(
        metadata=result.metadata, config=config, n_known=int(np.count_nonzero(is_known)), n_new=len(new)
    )
    if n_confirmed < MIN_CONFIRMED:
        return result.found(quality.check_against_small_catalogue(image))
    return result.found(quality.check_against_catalogue(image))


def _is_known(state: DatasetState, sources: Measurements, radius: float) -> NDArray[np.bool_]:
    """Return which sources, (n,), have an entry of the catalogue within a radius [deg]."""
    rows, _ = state.catalogue.near(sources.ra, sources.dec, radius)
    is_known = np.zeros(len(sources), bool)
    is_known[rows] = True
    return is_known


# TraP's interface, kept for scripts written for TraP. The pipeline does not call these functions.


def reject_check(accessor: Image, rms_qc: float, job_config: PipelineConfig) -> Rejection | None:
    """Return the first reason to reject an image by itself, or None.

    TraP's function of this name took a nested dict of settings and made some of these checks in the database.

    Parameters
    ----------
    accessor
        The image; its pixels are read.
    rms_qc
        Jy/beam — noise of the central region.
    job_config
        All settings.
    """
    return quality.first_rejection(examine(accessor, rms_qc, job_config))


def reject_image(connection: Connection, image_id: int, reason: RejectReason, comment: str) -> None:
    """Record the rejection of a stored image within the caller's transaction; TraP committed at once.

    Parameters
    ----------
    connection
        Connection of the caller's transaction.
    image_id
        Row number of the image.
    reason
        Reason of the rejection.
    comment
        Values that led to it, as text.
    """
    stored_images.reject(connection, image_id, reason, comment)
