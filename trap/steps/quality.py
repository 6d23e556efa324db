"""Quality control of images before the search, after it, and against earlier images."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from trap import quality
from trap.db import images as stored_images
from trap.extraction.field import measured_mask

if TYPE_CHECKING:
    from trap.config import PipelineConfig
    from trap.dataset.records import ImageResult
    from trap.dataset.state import DatasetState
    from trap.db.engine import Connection
    from trap.extraction.mesh import Background
    from trap.images.image import Image
    from trap.quality import Finding, Rejection, RejectReason

__all__ = ["examine", "examine_sources", "reject_against_history", "reject_check", "reject_image"]


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
        data=image.data, rms=rms_qc, metadata=image.metadata, config=config, now=now or datetime.now(UTC)
    )
    return quality.check_image(inputs)


def examine_sources(image: Image, background: Background, config: PipelineConfig) -> tuple[Finding, ...]:
    """Check an image for artefacts that are negative, after its background is known.

    Parameters
    ----------
    image
        The image; its pixels are read.
    background
        Level and noise of the background.
    config
        All settings.

    Returns
    -------
    tuple of Finding
        A finding for each check that is made.
    """
    settings = config.source_extraction
    mask = measured_mask(image.data, settings)
    n_negative = quality.count_negative(image.data, background, mask, settings.detection_threshold)
    inputs = quality.SourceInput(metadata=image.metadata, config=config, n_negative=n_negative)
    return quality.check_sources(inputs)


def reject_against_history(result: ImageResult, state: DatasetState) -> ImageResult:
    """Compare an image with the latest accepted images of its band, Stokes parameter and telescope.

    Parameters
    ----------
    result
        The measured image. It is returned unchanged if it is rejected already.
    state
        State of the dataset, with the values of its accepted images.

    Returns
    -------
    ImageResult
        The image with the findings that it fails, and rejected if one of them rejects it.
    """
    if result.rejection is not None:
        return result
    image = quality.EarlierInput(
        metadata=result.metadata,
        config=state.config,
        rms=result.rms_qc,
        pixel_hash=result.pixel_hash,
        key=state.history_key(result.metadata),
        earlier=state.accepted,
    )
    return result.found(quality.check_against_earlier(image))


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
