"""Backward fits: measurements of new sources in earlier images.

A new source is measured in the latest earlier images of every band; the settings limit their number, and unreadable
images are left out. TraP measures forward only and would have to search its database for each of these images. Here the
state keeps the meshes and the blind measurements of these few images.

A new source close to known ones is fitted jointly with them, since the earlier images may show all of them as one. If
they do, the known source was a blend: its light curve ends, and those of its parts begin in the earlier images.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from trap.association.groups import neighbours_of
from trap.association.new_sources import EarlierFluxes
from trap.catalogues import Associations, AssociationType, ExtractType, FitRequests, Measurements
from trap.config import DEFAULT_READING
from trap.dataset.records import BackwardFits
from trap.errors import ImageError
from trap.steps.forced_fitting import perform_forced_fits, with_reasons
from trap.steps.joint_photometry import group_limits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from trap.association.entries import LightCurveKey
    from trap.config import ReadingConfig, SourceExtractionConfig
    from trap.dataset.records import ImageRecord
    from trap.dataset.state import DatasetState, EarlierImage
    from trap.typing import Indices

__all__ = [
    "BackwardRequests",
    "EarlierFits",
    "associate_backward_fits",
    "get_backward_requests",
    "judge_again",
    "mean_fluxes",
    "perform_backward_fits",
]

REVEALED_SIGMA = 3.0
"""Significance, in σ, of the mean of earlier fits above which earlier images show a source at its position."""


@dataclass(frozen=True, slots=True)
class BackwardRequests:
    """Positions of new sources, and of known sources close to them, to be measured in one earlier image.

    Parameters
    ----------
    image
        The earlier image.
    positions
        Positions; their targets are rows of the running catalogue.
    is_new
        (n,) — whether a position is that of a new source.
    """

    image: EarlierImage
    positions: FitRequests
    is_new: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class EarlierFits:
    """Fits of new sources, and of known sources close to them, in one earlier image.

    Parameters
    ----------
    image, key
        Row number of the image, and its band and Stokes parameter.
    target
        (n,) — row of the running catalogue of each fit.
    is_new
        (n,) — whether the fit is a point of the light curve of its target.
    fits
        (n,) — the fits.
    """

    image: int
    key: LightCurveKey
    target: NDArray[np.int64]
    is_new: NDArray[np.bool_]
    fits: Measurements


def get_backward_requests(
    state: DatasetState,
    images: Sequence[ImageRecord],
    places: Mapping[int, tuple[float, float]] | None = None,
) -> list[BackwardRequests]:
    """List the positions of the new sources of a timestep, and of their neighbours, in the earlier images.

    Parameters
    ----------
    state
        State of the dataset after association of the whole timestep.
    images
        Associated images of the timestep.
    places
        deg — right ascension and declination of known sources by row, where they are not at their mean positions.

    Returns
    -------
    Requests band by band, earliest image first, without images that cover no new source.
    """
    catalogue = state.catalogue
    new = _new_entries(images)
    new = new[catalogue.entries["active"][new]]
    if not new.size or not state.earlier_images:
        return []
    beside, others = neighbours_of(catalogue, new, _group_distance(state, images))
    rows = np.concatenate([new, np.setdiff1d(others, new)])
    is_new = np.arange(len(rows)) < len(new)
    kind = np.where(~is_new | np.isin(rows, beside), int(ExtractType.JOINT), int(ExtractType.NULL_DETECTION))
    ra, dec = catalogue.entries["wm_ra"][rows], catalogue.entries["wm_dec"][rows]
    for place, row in enumerate(rows.tolist()):
        ra[place], dec[place] = (places or {}).get(row, (ra[place], dec[place]))
    requests = []
    for image in state.earlier_images:
        covered = state.regions[image.region].covers(ra, dec)
        if (covered & is_new).any():
            positions = FitRequests.of(ra=ra[covered], dec=dec[covered], kind=kind[covered], target=rows[covered])
            requests.append(BackwardRequests(image, positions, is_new[covered]))
    return requests


def _new_entries(images: Sequence[ImageRecord]) -> Indices:
    """Return the rows of the entries that the images of a timestep have created, in order."""
    points = [image.associations for image in images]
    new = [p.entry[p.type == AssociationType.NEW_SOURCE] for p in points]
    new += [image.members.entry[image.members.is_new] for image in images]
    return np.unique(np.concatenate([np.empty(0, np.int64), *new]))


def _group_distance(state: DatasetState, images: Sequence[ImageRecord]) -> float:
    """Return the distance below which the sources of a timestep are a group, in deg; 0 if the settings make none."""
    limits = [group_limits(image.result.metadata, state.config) for image in images]
    return max((one.distance for one in limits if one is not None), default=0.0)


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
    state: DatasetState, images: Sequence[ImageRecord], earlier: Sequence[EarlierFits]
) -> tuple[tuple[ImageRecord, ...], tuple[BackwardFits, ...]]:
    """Begin the light curves of new sources with the fits in earlier images.

    Parameters
    ----------
    state
        State of the dataset; updated.
    images
        Associated images of the timestep.
    earlier
        Fits in the earlier images that could be read.

    Returns
    -------
    images
        The images; V, η and the number of points of the new sources now include the earlier images.
    backward
        Fits of the new sources by image.
    """
    backward = [_backward_fits(fits) for fits in earlier]
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
    state: DatasetState, images: Sequence[ImageRecord], earlier: Sequence[EarlierFits]
) -> tuple[ImageRecord, ...]:
    """Repeat the test of new sources, now with their flux densities in earlier images.

    Parameters
    ----------
    state
        State of the dataset.
    images
        Associated images of the timestep.
    earlier
        Fits of their new sources in earlier images.

    Returns
    -------
    The images with their transient candidates after the test. The first point of a new source that is no candidate, and
    that its earlier images show, has the type ``REVEALED``.
    """
    return tuple(_judge_image(state, image, earlier) for image in images)


def _judge_image(state: DatasetState, image: ImageRecord, earlier: Sequence[EarlierFits]) -> ImageRecord:
    """Repeat the test of the new sources of one image with the fits in earlier images of its band."""
    points = image.associations
    is_new = points.type == AssociationType.NEW_SOURCE
    new = points.take(is_new)
    fits = [fit for fit in earlier if fit.key == image.key]
    if not len(new) or not (fits or image.members.is_new.any()):
        return image
    fluxes = mean_fluxes(new.entry, fits)
    candidates = state.looks.find_new_sources(
        image.key,
        new.entry,
        image.measurements,
        new.measurement,
        state.regions,
        chance=image.chance,
        earlier=fluxes if fits else None,
    )
    sign = np.sign(image.measurements.f_peak[new.measurement])
    is_shown = (fluxes.n > 0) & (sign * fluxes.mean > REVEALED_SIGMA * fluxes.error)
    kind = points.type.copy()
    kind[np.flatnonzero(is_new)[is_shown & ~np.isin(new.entry, candidates.entry)]] = AssociationType.REVEALED
    return replace(image, new_sources=candidates, associations=points.with_columns(type=kind))


def mean_fluxes(entries: NDArray[np.int64], earlier: Sequence[EarlierFits]) -> EarlierFluxes:
    """Compute the weighted mean peak flux densities of entries in earlier images of one band.

    Parameters
    ----------
    entries
        (n,) — rows of the running catalogue, each once.
    earlier
        Fits in these images.

    Returns
    -------
    (n,) — the means; ``n`` is 0 for an entry without a fit.
    """
    order = np.argsort(entries)
    n, weight, weighted = np.zeros(len(entries), np.int64), np.zeros(len(entries)), np.zeros(len(entries))
    for fit in earlier:
        usable = np.flatnonzero(fit.fits.is_measured & np.isin(fit.target, entries))
        rows = order[np.searchsorted(entries[order], fit.target[usable])]
        measured = fit.fits.take(usable)
        n[rows] += 1
        weight[rows] += measured.f_peak_err**-2.0
        weighted[rows] += measured.f_peak * measured.f_peak_err**-2.0
    # Entries without a fit get a zero with n = 0 instead of a division by zero.
    total = np.where(n > 0, weight, 1.0)
    return EarlierFluxes(n=n, mean=weighted / total, error=total**-0.5)


def _backward_fits(earlier: EarlierFits) -> BackwardFits:
    """Return the fits of new sources in one earlier image with their points; a failed fit makes no point."""
    fits, targets = earlier.fits.take(earlier.is_new), earlier.target[earlier.is_new]
    rows = np.flatnonzero(fits.is_measured)
    return BackwardFits(
        image=earlier.image,
        key=earlier.key,
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
