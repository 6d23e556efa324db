"""Backward fits: measurements of new sources in earlier images.

A new source is measured in the latest earlier images of every band; the settings limit their number, and unreadable
images are left out. TraP measures forward only and would have to search its database for each of these images. Here the
state keeps the meshes and the blind measurements of these few images.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import structlog

from trap.association.new_sources import EarlierFluxes
from trap.catalogues import Associations, AssociationType, ExtractType, FitRequests, Measurements
from trap.config import DEFAULT_READING
from trap.dataset.records import BackwardFits
from trap.errors import ImageError
from trap.steps.forced_fitting import perform_forced_fits, with_reasons

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trap.config import ReadingConfig, SourceExtractionConfig
    from trap.dataset.records import ImageRecord
    from trap.dataset.state import DatasetState, EarlierImage

__all__ = [
    "BackwardRequests",
    "associate_backward_fits",
    "get_backward_requests",
    "judge_again",
    "perform_backward_fits",
]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BackwardRequests:
    """Positions of new sources to be measured in one earlier image.

    Parameters
    ----------
    image
        The earlier image.
    positions
        Positions; their targets are rows of the running catalogue.
    """

    image: EarlierImage
    positions: FitRequests


def get_backward_requests(state: DatasetState, images: Sequence[ImageRecord]) -> list[BackwardRequests]:
    """List the positions of the new sources of a timestep in the earlier images that cover them.

    Parameters
    ----------
    state
        State of the dataset after association of the whole timestep.
    images
        Associated images of the timestep.

    Returns
    -------
    Requests band by band, earliest image first, without images that cover no new source.
    """
    catalogue = state.catalogue
    points = [image.associations for image in images]
    new = np.concatenate([np.empty(0, np.int64), *(p.entry[p.type == AssociationType.NEW_SOURCE] for p in points)])
    new = new[catalogue.entries["active"][new]]
    entries = catalogue.entries[new]
    requests = []
    for image in state.earlier_images:
        covered = state.regions[image.region].covers(entries["wm_ra"], entries["wm_dec"])
        if covered.any():
            positions = FitRequests.of(
                ra=entries["wm_ra"][covered],
                dec=entries["wm_dec"][covered],
                kind=int(ExtractType.NULL_DETECTION),
                target=new[covered],
            )
            requests.append(BackwardRequests(image, positions))
    return requests


def perform_backward_fits(
    positions: FitRequests,
    image: EarlierImage,
    extraction_params: SourceExtractionConfig,
    reading: ReadingConfig = DEFAULT_READING,
    mean_shift: tuple[float, float] = (0.0, 0.0),
) -> Measurements | None:
    """Fit the beam at positions of new sources in an earlier image, and correct the fits by its calibration.

    The function is stateless, for worker processes.

    Parameters
    ----------
    positions
        Positions.
    image
        The earlier image, with its mesh, blind measurements and calibration.
    extraction_params
        Size of the fitting box, systematic errors.
    reading
        Settings of image reading.
    mean_shift
        arcsec — mean displacement of the images before it from the catalogue, for monitored positions.

    Returns
    -------
    One row per position, in order; None if the image is missing or has been replaced by one of another time.
    """
    try:
        fits = perform_forced_fits(
            image.calibration.requests_in_image(positions, mean_shift),
            image.url,
            extraction_params,
            background=image.background,
            neighbours=image.sources,
            start=image.taustart_ts,
            reading=reading,
        )
    except ImageError:
        return None
    return image.calibration.correct_fits(fits, positions)


def associate_backward_fits(
    state: DatasetState,
    images: Sequence[ImageRecord],
    requests: Sequence[BackwardRequests],
    fits: Sequence[Measurements | None],
) -> tuple[tuple[ImageRecord, ...], tuple[BackwardFits, ...]]:
    """Begin the light curves of new sources with the fits in earlier images.

    Parameters
    ----------
    state
        State of the dataset; updated.
    images
        Associated images of the timestep.
    requests, fits
        Requests and their fits in the same order; None for an unreadable image.

    Returns
    -------
    images
        The images; V, η and the number of points of the new sources now include the earlier images.
    backward
        Fits by image, without unreadable images.
    """
    pairs = [(request, fit) for request, fit in zip(requests, fits, strict=True) if fit is not None]
    if len(pairs) < len(requests):
        log.info("earlier_images_not_readable", n_images=len(requests) - len(pairs))
    backward = [_backward_fits(request, fit) for request, fit in pairs]
    if not backward:
        return tuple(images), ()
    entries = np.unique(np.concatenate([fit.associations.entry for fit in backward]))
    points = [(fit.key, fit.measurements, fit.associations) for fit in backward]
    points += [(image.key, image.measurements, image.associations) for image in images]
    rebuilt = state.catalogue.rebuild_light_curves(entries, points)
    return (
        tuple(replace(image, associations=new) for image, new in zip(images, rebuilt[len(backward) :], strict=True)),
        tuple(replace(fit, associations=new) for fit, new in zip(backward, rebuilt, strict=False)),
    )


def judge_again(
    state: DatasetState, images: Sequence[ImageRecord], backward: Sequence[BackwardFits]
) -> tuple[ImageRecord, ...]:
    """Repeat the test of new sources, now with their flux densities in earlier images.

    Parameters
    ----------
    state
        State of the dataset.
    images
        Associated images of the timestep.
    backward
        Fits of their new sources in earlier images.

    Returns
    -------
    The images with their transient candidates after the test.
    """
    return tuple(_judge_image(state, image, backward) for image in images)


def _judge_image(state: DatasetState, image: ImageRecord, backward: Sequence[BackwardFits]) -> ImageRecord:
    """Repeat the test of the new sources of one image with the fits in earlier images of its band."""
    new = image.associations.take(image.associations.type == AssociationType.NEW_SOURCE)
    fits = [fit for fit in backward if fit.key == image.key]
    if not len(new) or not fits:
        return image
    candidates = state.looks.find_new_sources(
        image.key,
        new.entry,
        image.measurements,
        new.measurement,
        state.regions,
        n_beams=image.result.metadata.n_beams(state.config.source_extraction.extraction_radius_pix),
        earlier=_mean_fluxes(new.entry, fits),
    )
    return replace(image, new_sources=candidates)


def _mean_fluxes(entries: NDArray[np.int64], fits: Sequence[BackwardFits]) -> EarlierFluxes:
    """Return the weighted mean peak flux densities of entries in earlier images of one band."""
    row_of = {entry: row for row, entry in enumerate(entries.tolist())}
    n, weight, weighted = np.zeros(len(entries), np.int64), np.zeros(len(entries)), np.zeros(len(entries))
    for fit in fits:
        usable = fit.measurements.is_measured & np.isin(fit.targets, entries)
        rows = np.array([row_of[target] for target in fit.targets[usable].tolist()], int)
        measured = fit.measurements.take(usable)
        n[rows] += 1
        weight[rows] += measured.f_peak_err**-2.0
        weighted[rows] += measured.f_peak * measured.f_peak_err**-2.0
    # Entries without a fit get a zero with n = 0 instead of a division by zero.
    total = np.where(n > 0, weight, 1.0)
    return EarlierFluxes(n=n, mean=weighted / total, error=total**-0.5)


def _backward_fits(requests: BackwardRequests, fits: Measurements) -> BackwardFits:
    """Return the fits in one earlier image with their points; fits without a flux density make no point."""
    rows = np.flatnonzero(fits.is_measured)
    targets = requests.positions.target
    return BackwardFits(
        image=requests.image.id,
        key=requests.image.key,
        measurements=with_reasons(fits),
        associations=Associations.of(
            entry=targets[rows],
            measurement=rows,
            type=int(AssociationType.BACKWARD),
            de_ruiter_radius=0.0,
            distance_arcsec=0.0,
            v_int=0.0,
            eta_int=0.0,
            f_datapoints=0,
        ),
        targets=targets,
    )
