"""The fits of a timestep, submitted to an executor together so that they run in parallel."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import structlog

from trap.catalogues import Measurements
from trap.steps import backward_fitting, forced_fitting, joint_photometry, parting
from trap.steps.backward_fitting import EarlierFits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trap.catalogues import FitRequests
    from trap.config import PipelineConfig
    from trap.dataset.records import BackwardFits, ImageRecord
    from trap.dataset.state import DatasetState
    from trap.typing import Indices
    from trap.workers.executors import Executor, Result

__all__ = ["fit_sources"]

log = structlog.get_logger(__name__)


def fit_sources(
    state: DatasetState, images: Sequence[ImageRecord], executor: Executor, config: PipelineConfig
) -> tuple[tuple[ImageRecord, ...], tuple[BackwardFits, ...]]:
    """Make the forced fits of associated images, and measure their new sources in earlier images.

    The order matters. Joint fits confirm the components of crowded groups; these are measured in earlier images
    together with their neighbours; then it is known which sources are new, and which were parts of a blend.

    Parameters
    ----------
    state
        State of the dataset, to which the fits are added; it holds the earlier images of each band.
    images
        Images of one timestep, after association.
    executor
        Runs the fits.
    config
        All settings.

    Returns
    -------
    images
        The images with their fits, and with the light curves and candidates after these.
    backward
        The fits of new sources in each earlier image.
    """
    images = [replace(image, n_unfitted=forced_fitting.count_unfitted(image, state)) for image in images]
    requests = [forced_fitting.get_forced_fit_requests(image, state) for image in images]
    fits = _fit(state, images, requests, executor, config)
    images, requests, fits = _confirm(state, images, requests, fits, executor, config)
    images = joint_photometry.create_confirmed(state, images)
    places = parting.displaced_members(state, images)
    earlier = _fit_earlier_images(state, images, places, executor, config)
    blends = parting.blended_members(images, earlier, places)
    if blends:
        places |= blends
        earlier = _fit_earlier_images(state, images, places, executor, config)
    images, earlier = parting.end_blends(state, images, earlier, places)
    images = forced_fitting.insert_and_associate_forced_fits(state, images, requests, fits)
    images, backward = backward_fitting.associate_backward_fits(state, images, earlier)
    return backward_fitting.judge_again(state, images, earlier), backward


def _fit(
    state: DatasetState,
    images: Sequence[ImageRecord],
    requests: Sequence[FitRequests],
    executor: Executor,
    config: PipelineConfig,
) -> list[Measurements]:
    """Fit the requests of each image, all images at once."""
    pending = [
        _submit_fits(image, positions, executor, config, state.calibrations.mean_shift(image.region))
        for image, positions in zip(images, requests, strict=True)
    ]
    return [Measurements.empty() if result is None else result.result() for result in pending]


def _confirm(
    state: DatasetState,
    images: Sequence[ImageRecord],
    requests: Sequence[FitRequests],
    fits: Sequence[Measurements],
    executor: Executor,
    config: PipelineConfig,
) -> tuple[list[ImageRecord], list[FitRequests], list[Measurements]]:
    """Drop the components that the joint fits do not confirm, and fit the rest of their groups again without them."""
    threshold = config.source_extraction.detection_threshold
    refused = [joint_photometry.refused_components(*one, threshold) for one in zip(images, requests, fits, strict=True)]
    if not any(image.members.is_new.any() for image in images):
        return list(images), list(requests), list(fits)
    confirmed, first, again = [], [], []
    for image, positions, found, is_refused in zip(images, requests, fits, refused, strict=True):
        n_members, group = len(is_refused), image.members.group
        stays = np.ones(len(positions), bool)
        stays[:n_members] = ~is_refused
        is_changed = np.zeros(len(positions), bool)
        is_changed[:n_members] = np.isin(group, group[is_refused])
        confirmed.append(joint_photometry.without_components(image, is_refused) if n_members else image)
        first.append((positions.take(stays), found.take(stays)))
        again.append(np.flatnonzero(is_changed[stays]))
    changed = [positions.take(rows) for (positions, _), rows in zip(first, again, strict=True)]
    second = _fit(state, confirmed, changed, executor, config)
    merged = [_replaced(found, rows, fit) for (_, found), rows, fit in zip(first, again, second, strict=True)]
    return confirmed, [positions for positions, _ in first], merged


def _replaced(fits: Measurements, rows: Indices, others: Measurements) -> Measurements:
    """Return fits with some rows replaced by others, unless these failed."""
    picked = rows[others.is_measured] if len(others) else rows[:0]
    order = np.arange(len(fits))
    order[picked] = len(fits) + np.flatnonzero(others.is_measured)
    return Measurements.concatenate([fits, others]).take(order)


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


def _fit_earlier_images(
    state: DatasetState,
    images: Sequence[ImageRecord],
    places: Mapping[int, tuple[float, float]],
    executor: Executor,
    config: PipelineConfig,
) -> list[EarlierFits]:
    """Measure the new sources of a timestep, and their neighbours, in the earlier images that can be read."""
    requests = backward_fitting.get_backward_requests(state, images, places)
    settings = (config.source_extraction, config.reading)
    pending = [
        executor.submit(backward_fitting.perform_backward_fits, request.positions, request.image, *settings)
        for request in requests
    ]
    fits = [result.result() for result in pending]
    earlier = [
        EarlierFits(request.image.id, request.image.key, request.positions.target, request.is_new, fit)
        for request, fit in zip(requests, fits, strict=True)
        if fit is not None
    ]
    if len(earlier) < len(requests):
        log.info("earlier_images_not_readable", n_images=len(requests) - len(earlier))
    return earlier
