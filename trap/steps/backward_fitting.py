"""Backward fits: what was at the position of a new source before it was found.

A new source is measured in the latest earlier images of every band, as many as the settings ask for
and as can still be read. TraP measures forward only; it would have had to search its database for
every one. Here the survey remembers what these few images need: their meshes and found sources.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import structlog

from trap.catalogues import Association, ExtractType, FitRequests, Measurements
from trap.config import ReadingConfig
from trap.errors import ImageError
from trap.images.image import read_image
from trap.records import BackwardFits
from trap.steps.forced_fitting import perform_forced_fits, with_reasons

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trap.config import SourceExtractionConfig
    from trap.records import ImageRecord
    from trap.survey import EarlierImage, Survey

__all__ = ["BackwardRequests", "associate_backward_fits", "get_backward_requests", "perform_backward_fits"]

log = structlog.get_logger(__name__)

_FIRST = ReadingConfig()


@dataclass(frozen=True, slots=True)
class BackwardRequests:
    """Positions of new sources to be measured in one earlier image; targets are rows of the catalogue."""

    image: EarlierImage
    positions: FitRequests


def get_backward_requests(survey: Survey, images: Sequence[ImageRecord]) -> list[BackwardRequests]:
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
    catalogue = survey.catalogue
    points = [image.associations for image in images]
    new = np.concatenate([np.empty(0, np.int64), *(p.entry[p.type == Association.NEW_SOURCE] for p in points)])
    new = new[catalogue.entries["active"][new]]
    entries = catalogue.entries[new]
    requests = []
    for image in survey.earlier_images:
        covered = survey.regions[image.region].covers(entries["wm_ra"], entries["wm_dec"])
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
    reading: ReadingConfig = _FIRST,
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
    survey: Survey, requests: Sequence[BackwardRequests], fits: Sequence[Measurements | None]
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
    return tuple(_associate(survey, asked, found) for asked, found in made)


def _associate(survey: Survey, requests: BackwardRequests, fits: Measurements) -> BackwardFits:
    rows = np.flatnonzero(fits.is_measured)
    targets = requests.positions.target
    points = survey.catalogue.add_backward_fits(targets[rows], fits, rows, requests.image.key)
    return BackwardFits(image=requests.image.id, measurements=with_reasons(fits), associations=points, targets=targets)
