"""Backward fits: what was at the position of a new source before it was found.

A new source is measured in the latest earlier images of every band, as many as the settings ask for
and as can still be read. TraP measures forward only; it would have had to search its database for
every one. Here the survey remembers what these few images need: their meshes and found sources.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import structlog

from trap.association.new_sources import EarlierFluxes
from trap.catalogues import AssociationType, ExtractType, FitRequests, Measurements
from trap.config import DEFAULT_READING
from trap.dataset.records import BackwardFits
from trap.errors import ImageError
from trap.images.image import read_image
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
    """Positions of new sources to be measured in one earlier image; targets are rows of the catalogue."""

    image: EarlierImage
    positions: FitRequests


def get_backward_requests(state: DatasetState, images: Sequence[ImageRecord]) -> list[BackwardRequests]:
    """List where the sources that are new in a timestep are to be measured in earlier images.

    Parameters
    ----------
    survey
        The dataset's state after association of the whole timestep.
    images
        The timestep's images, associated.

    Returns
    -------
    Band by band, the earliest image first; images whose sky region covers no new source are left out.
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
) -> Measurements | None:
    """Fit the beam at positions of new sources in an earlier image.

    Stateless, for worker processes.

    Returns
    -------
    One row per position, in order; None if the image is not there any more, or is another one now.
    """
    try:
        if read_image(image.url, reading).metadata.taustart_ts != image.taustart_ts:
            return None
        return perform_forced_fits(
            positions,
            image.url,
            extraction_params,
            background=image.background,
            neighbours=image.sources,
            reading=reading,
        )
    except ImageError:
        return None


def associate_backward_fits(
    state: DatasetState, requests: Sequence[BackwardRequests], fits: Sequence[Measurements | None]
) -> tuple[BackwardFits, ...]:
    """Add what new sources were before to their light curves.

    Parameters
    ----------
    survey
        The dataset's state; updated.
    requests, fits
        In the same order; None for an image that could not be read.
    """
    made = [(asked, found) for asked, found in zip(requests, fits, strict=True) if found is not None]
    if len(made) < len(requests):
        log.info("earlier_images_not_readable", n_images=len(requests) - len(made))
    return tuple(_associate(state, asked, found) for asked, found in made)


def judge_again(
    state: DatasetState, images: Sequence[ImageRecord], backward: Sequence[BackwardFits]
) -> tuple[ImageRecord, ...]:
    """Test what is new once more, now that earlier images tell how bright it was.

    Parameters
    ----------
    survey
        The dataset's state.
    images
        The timestep's images.
    backward
        What their new sources were before.

    Returns
    -------
    The images, with the transient candidates that this leaves or adds.
    """
    return tuple(_judge_image(state, image, backward) for image in images)


def _judge_image(state: DatasetState, image: ImageRecord, backward: Sequence[BackwardFits]) -> ImageRecord:
    new = image.associations.take(image.associations.type == AssociationType.NEW_SOURCE)
    fits = [one for one in backward if one.key == image.key]
    if not len(new) or not fits:
        return image
    found = state.looks.find_new_sources(
        image.key, new.entry, image.measurements, new.measurement, state.regions, earlier=_mean_fluxes(new.entry, fits)
    )
    return replace(image, new_sources=found)


def _mean_fluxes(entries: NDArray[np.int64], fits: Sequence[BackwardFits]) -> EarlierFluxes:
    """Weighted mean peak flux densities of entries in earlier images of one band."""
    row_of = {entry: row for row, entry in enumerate(entries.tolist())}
    n, weight, weighted = np.zeros(len(entries), np.int64), np.zeros(len(entries)), np.zeros(len(entries))
    for one in fits:
        usable = one.measurements.is_measured & np.isin(one.targets, entries)
        rows = np.array([row_of[target] for target in one.targets[usable].tolist()], int)
        measured = one.measurements.take(usable)
        n[rows] += 1
        weight[rows] += measured.f_peak_err**-2.0
        weighted[rows] += measured.f_peak * measured.f_peak_err**-2.0
    total = np.where(n > 0, weight, 1.0)
    return EarlierFluxes(n=n, mean=weighted / total, error=total**-0.5)


def _associate(state: DatasetState, requests: BackwardRequests, fits: Measurements) -> BackwardFits:
    rows = np.flatnonzero(fits.is_measured)
    targets = requests.positions.target
    points = state.catalogue.add_backward_fits(targets[rows], fits, rows, requests.image.key)
    return BackwardFits(
        image=requests.image.id,
        key=requests.image.key,
        measurements=with_reasons(fits),
        associations=points,
        targets=targets,
    )
