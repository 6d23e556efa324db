"""Quality: which images are not searched, and the record of why."""

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


def examine(
    accessor: Image, rms_qc: float, job_config: PipelineConfig, *, now: datetime | None = None
) -> tuple[Finding, ...]:
    """Check an image by itself: its pixels, its noise, its beam, its date, and where it looks.

    Parameters
    ----------
    accessor
        The image; its pixels are read.
    rms_qc
        Jy/beam — noise of the central region.
    job_config
        All settings.
    now
        When the image is looked at; by default when this is called.

    Returns
    -------
    One finding a check, in the order in which the first that fails is recorded.
    """
    look = quality.Look(
        data=accessor.data, rms=rms_qc, metadata=accessor.metadata, config=job_config, now=now or datetime.now(UTC)
    )
    return quality.check_alone(look)


def examine_sources(accessor: Image, background: Background, job_config: PipelineConfig) -> tuple[Finding, ...]:
    """Check what there is in an image besides sources: artefacts that are negative."""
    settings = job_config.source_extraction
    mask = measured_mask(accessor.data, settings)
    n_negative = quality.count_negative(accessor.data, background, mask, settings.detection_threshold)
    return quality.check_sources(n_negative, accessor.metadata, job_config)


def reject_check(accessor: Image, rms_qc: float, job_config: PipelineConfig) -> Rejection | None:
    """Say what first speaks against an image by itself.

    TraP made only the first of these checks here and the others in the database; it took a nested
    dict of settings. For parameters see :func:`examine`.

    Returns
    -------
    The first reason against the image, or None.
    """
    return quality.first_rejection(examine(accessor, rms_qc, job_config))


def reject_against_history(result: ImageResult, state: DatasetState) -> ImageResult:
    """Compare an image with the latest accepted ones of its band, Stokes parameter and telescope.

    Returns
    -------
    The image with what speaks against it, rejected if any of that is a reason to; what rejected it
    before stays.
    """
    if result.rejection is not None:
        return result
    findings = quality.check_among_earlier(
        result.metadata,
        rms=result.rms_qc,
        pixel_hash=result.pixel_hash,
        key=state.history_key(result.metadata),
        earlier=state.accepted,
        config=state.config,
    )
    return result.found(findings)


def reject_image(connection: Connection, image_id: int, reason: RejectReason, comment: str) -> None:
    """Record why a stored image is rejected; within the caller's transaction (TraP committed at once)."""
    stored_images.reject(connection, image_id, reason, comment)
