"""The signs of the candidates of a timestep, after its fits: the images with candidates are examined in parallel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trap.steps import vetting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trap.config import PipelineConfig
    from trap.dataset.records import ImageRecord
    from trap.dataset.state import DatasetState
    from trap.steps.vetting import Examined, VettingRequest
    from trap.workers.executors import Executor, Result

__all__ = ["vet_images"]


def vet_images(
    state: DatasetState, images: Sequence[ImageRecord], executor: Executor, config: PipelineConfig
) -> tuple[ImageRecord, ...]:
    """Examine the surroundings of the candidates of a timestep, and add their signs and scores.

    Parameters
    ----------
    state
        State of the dataset; not changed.
    images
        Images of one timestep, with their candidates.
    executor, config
        As for :func:`~trap.run.fits.fit_sources`.

    Returns
    -------
    The images; the same ones if there is no candidate.
    """
    requests = vetting.get_vetting_requests(state, images)
    pending = [_submit(image, request, executor, config) for image, request in zip(images, requests, strict=True)]
    if not any(request is not None for request in requests):
        return tuple(images)
    examined = [None if result is None else result.result() for result in pending]
    return vetting.vet_candidates(state, images, requests, examined)


def _submit(
    image: ImageRecord, request: VettingRequest | None, executor: Executor, config: PipelineConfig
) -> Result[Examined | None] | None:
    """Submit the examination of an image; None if there is nothing to examine."""
    background, measurements = image.result.background, image.result.measurements
    if request is None or background is None:
        return None
    # Flux densities of the file, not the corrected ones.
    shown = image.result.calibration.as_in_image(measurements.take(measurements.is_measured))
    return executor.submit(
        vetting.examine_candidates,
        request,
        image.result.metadata.url,
        config.source_extraction,
        background=background,
        neighbours=shown,
        start=image.result.metadata.taustart_ts,
        reading=config.reading,
    )
