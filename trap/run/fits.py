"""The fits of a timestep, submitted to an executor together so that they run in parallel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trap.catalogues import Measurements
from trap.steps import backward_fitting, forced_fitting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trap.catalogues import FitRequests
    from trap.config import PipelineConfig
    from trap.dataset.records import BackwardFits, ImageRecord
    from trap.dataset.state import DatasetState
    from trap.workers.executors import Executor, Result

__all__ = ["fit_earlier_images", "fit_images"]


def fit_images(
    state: DatasetState, images: Sequence[ImageRecord], executor: Executor, config: PipelineConfig
) -> tuple[ImageRecord, ...]:
    """Make the forced fits of associated images.

    Parameters
    ----------
    state
        State of the dataset, to which the fits are added.
    images
        Images of one timestep, after association.
    executor
        Runs the fits.
    config
        All settings.

    Returns
    -------
    The images with their fits.
    """
    requests = [forced_fitting.get_forced_fit_requests(image, state) for image in images]
    pending = [
        _submit_fits(image, positions, executor, config, state.calibrations.mean_shift(image.region))
        for image, positions in zip(images, requests, strict=True)
    ]
    fits = [Measurements.empty() if result is None else result.result() for result in pending]
    return forced_fitting.insert_and_associate_forced_fits(state, images, requests, fits)


def _submit_fits(
    image: ImageRecord,
    requests: FitRequests,
    executor: Executor,
    config: PipelineConfig,
    mean_shift: tuple[float, float],
) -> Result[Measurements] | None:
    """Submit the fits of an image; None if there is nothing to fit, which costs no task then."""
    if image.result.background is None or not len(requests):
        return None
    calibration, measurements = image.result.calibration, image.result.measurements
    return executor.submit(
        forced_fitting.perform_forced_fits,
        calibration.requests_in_image(requests, mean_shift),
        image.result.metadata.url,
        config.source_extraction,
        background=image.result.background,
        start=image.result.metadata.taustart_ts,
        reading=config.reading,
        # Sources that were not associated contribute flux all the same.
        neighbours=calibration.as_in_image(measurements.take(measurements.is_measured)),
    )


def fit_earlier_images(
    state: DatasetState, images: Sequence[ImageRecord], executor: Executor, config: PipelineConfig
) -> tuple[tuple[ImageRecord, ...], tuple[BackwardFits, ...]]:
    """Measure the new sources of a timestep in earlier images, and test their newness again.

    Parameters
    ----------
    state
        State of the dataset; it holds the earlier images of each band.
    images
        Images of one timestep, with their new sources.
    executor, config
        As for :func:`fit_images`.

    Returns
    -------
    images
        The images, with the light curves and candidates after the fits.
    backward
        The fits of each earlier image.
    """
    requests = backward_fitting.get_backward_requests(state, images)
    settings = (config.source_extraction, config.reading)
    pending = [
        executor.submit(backward_fitting.perform_backward_fits, request.positions, request.image, *settings)
        for request in requests
    ]
    fits = [result.result() for result in pending]
    images, backward = backward_fitting.associate_backward_fits(state, images, requests, fits)
    return backward_fitting.judge_again(state, images, backward), backward
