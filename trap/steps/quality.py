"""Quality: which images are not searched, and the record of why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trap import quality
from trap.db import images as stored_images

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from trap.config import PipelineConfig
    from trap.images.image import Image, ImageMetadata
    from trap.quality import Rejection, RejectReason
    from trap.survey import Survey

__all__ = ["reject_against_history", "reject_check", "reject_image"]


def reject_check(accessor: Image, rms_qc: float, job_config: PipelineConfig) -> Rejection | None:
    """Check an image by itself: its pixels, its noise and its beam.

    TraP made only the first of these checks here and the others in the database; it took a nested
    dict of settings.

    Parameters
    ----------
    accessor
        The image; its pixels are read.
    rms_qc
        Jy/beam — noise of the central region.
    job_config
        All settings.

    Returns
    -------
    The first reason against the image, or None.
    """
    return quality.first_rejection(accessor.data, rms=rms_qc, metadata=accessor.metadata, config=job_config.quality)


def reject_against_history(metadata: ImageMetadata, rms: float, survey: Survey) -> Rejection | None:
    """Check the noise of an image against that of the latest accepted ones of its band and Stokes."""
    history = survey.rms_history_of(survey.light_curve_key(metadata))
    return quality.check_rms_history(rms, history, survey.config.quality)


def reject_image(connection: Connection, image_id: int, reason: RejectReason, comment: str) -> None:
    """Record why a stored image is rejected; within the caller's transaction (TraP committed at once)."""
    stored_images.reject(connection, image_id, reason, comment)
