"""Forced fits: measurements at known positions in images without a detection there.

Requests are collected after all bands of a timestep are associated, so that a fork in one band cannot invalidate a
request of another band. TraP loses the timestep in that case.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from trap.association.groups import NO_ROW
from trap.catalogues import Associations, AssociationType, ExtractType, FitRequests, Flag, Measurements
from trap.config import DEFAULT_READING
from trap.dataset.state import as_utc64
from trap.extraction.forced import fit_positions
from trap.images.image import read_image
from trap.steps.joint_photometry import add_joint_points, joint_requests, scaled_to_extent, without_members

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from trap.association.entries import LightCurveKey
    from trap.config import ReadingConfig, SourceExtractionConfig
    from trap.dataset.records import ImageRecord
    from trap.dataset.state import DatasetState
    from trap.extraction.mesh import Background
    from trap.typing import Indices

__all__ = [
    "associate_monitored",
    "count_unfitted",
    "get_forced_fit_requests",
    "insert_and_associate_forced_fits",
    "perform_forced_fits",
    "with_reasons",
]

_Rows = TypeVar("_Rows", FitRequests, Measurements)


def get_forced_fit_requests(image: ImageRecord, state: DatasetState) -> FitRequests:
    """List the positions of an image for forced fits: members of groups, null detections, monitored positions.

    TraP returned two parallel lists, of positions and of tagged ids; here they are a table, and the expiration is a
    setting of the dataset. Monitored positions beyond the image are left out; positions on it but outside the searched
    area are included, and their fits have no flux density.

    Parameters
    ----------
    image
        An associated image.
    state
        State of the dataset after association of the whole timestep.

    Returns
    -------
    Requests; empty for a rejected image, and for a source list without an image.
    """
    if image.result.rejection is not None or not image.result.metadata.has_pixels:
        return FitRequests.empty()
    catalogue, metadata = state.catalogue, image.result.metadata
    missed = _missed(image, state)
    monitors = state.monitors
    watched = np.flatnonzero(metadata.sky_region(0).covers(monitors.ra, monitors.dec))
    entries = catalogue.entries[missed]
    others = FitRequests(
        ra=np.concatenate([entries["wm_ra"], monitors.ra[watched]]),
        dec=np.concatenate([entries["wm_dec"], monitors.dec[watched]]),
        kind=np.repeat([ExtractType.NULL_DETECTION, ExtractType.MONITORED], [len(missed), len(watched)]),
        target=np.concatenate([missed, watched]),
    )
    return FitRequests.concatenate([joint_requests(image, state), others])


def count_unfitted(image: ImageRecord, state: DatasetState) -> int:
    """Count the null detections of a source list without an image, which has no pixels for forced fits.

    Parameters
    ----------
    image, state
        As for :func:`get_forced_fit_requests`.

    Returns
    -------
    Their number; 0 for an image.
    """
    is_list = image.result.rejection is None and not image.result.metadata.has_pixels
    return len(_missed(image, state)) if is_list else 0


def _missed(image: ImageRecord, state: DatasetState) -> Indices:
    """Return the rows of the entries that an image covers and does not show."""
    metadata, members = image.result.metadata, image.members.entry
    return state.catalogue.null_detections(
        # The image's own circle, since its sky region may be the circle of a slightly different pointing.
        metadata.sky_region(state.config.source_extraction.extraction_radius_pix),
        taustart=as_utc64(metadata.taustart_ts),
        associated=np.concatenate([image.associations.entry, members[members != NO_ROW]]),
        expiration=state.config.source_extraction.expiration,
    )


def perform_forced_fits(
    requests: FitRequests,
    url: str,
    extraction_params: SourceExtractionConfig,
    *,
    background: Background,
    neighbours: Measurements,
    start: datetime | None = None,
    reading: ReadingConfig = DEFAULT_READING,
) -> Measurements:
    """Fit the beam at fixed positions of an image.

    The function is stateless, for worker processes: pixels are read as small cut-outs, background and noise come from
    the mesh of the blind search. TraP returned successful fits only.

    Parameters
    ----------
    requests
        Positions, with the reason for each fit.
    url
        Path of the image.
    extraction_params
        Size of the fitting box, systematic errors.
    background
        Mesh of background and noise of this image.
    neighbours
        Blind measurements of this image, whose flux is excluded from the fits.
    start
        Start of the image when it was measured; None if the file cannot have been replaced.
    reading
        Settings of image reading.

    Returns
    -------
    One row per request, in order; a failed fit has NaN flux densities and a flag.

    Raises
    ------
    ImageError
        If the file cannot be read, or holds an image of another time.
    """
    if not len(requests):
        return Measurements.empty()
    image = read_image(url, reading)
    if start is not None:
        image.require_start(start)
    fit = partial(
        fit_positions,
        image,
        background=background,
        neighbours=without_members(neighbours, requests, image.require_beam().bmaj),
        config=extraction_params,
    )
    fits = fit(requests.ra, requests.dec)
    is_watched = requests.kind == ExtractType.MONITORED
    if is_watched.any() and not is_watched.all():
        # No light curve of a source depends on the positions that happen to be monitored near it.
        sources = requests.take(~is_watched)
        order = np.arange(len(requests))
        order[~is_watched] = len(requests) + np.arange(len(sources))
        fits = Measurements.concatenate([fits, fit(sources.ra, sources.dec)]).take(order)
    return fits.with_columns(extract_type=requests.kind)


def insert_and_associate_forced_fits(
    state: DatasetState,
    images: Sequence[ImageRecord],
    requests: Sequence[FitRequests],
    fits: Sequence[Measurements],
) -> tuple[ImageRecord, ...]:
    """Add the forced fits of a timestep to the light curves of their entries.

    TraP did this image by image in the database; here it is done in memory, and the measurements are stored with the
    rest of the timestep.

    Parameters
    ----------
    state
        State of the dataset; updated.
    images, requests, fits
        Images, their requests and their fits in the same order; ``fits`` has one row per request.

    Returns
    -------
    The records of the images, with forced fits.

    Raises
    ------
    ValueError
        If the numbers of requests and fits of an image differ.
    """
    completed = tuple(
        _associate_fits(state, number, image, image_requests, image_fits)
        for number, (image, image_requests, image_fits) in enumerate(zip(images, requests, fits, strict=True))
    )
    missed = [image.forced.target[_is_null(image) & image.forced_measurements.is_measured] for image in completed]
    detected = [image.associations.entry for image in images]
    threshold = state.config.source_extraction.detection_threshold
    for image in completed:
        joint = image.associations.take(image.associations.type == AssociationType.JOINT)
        measured = image.measurements.take(joint.measurement)
        # A member of a group is detected by its joint fit too, though blind extraction may never part it.
        is_found = np.abs(measured.f_peak) >= threshold * measured.f_peak_err
        is_shown = image.members.measurement != NO_ROW
        missed.append(np.setdiff1d(joint.entry[~is_found], image.members.entry[is_shown]))
        detected += [joint.entry[is_found], image.members.entry[is_shown]]
    state.catalogue.count_forced_fits(_joined(missed), _joined(detected))
    return completed


def _associate_fits(
    state: DatasetState, number: int, image: ImageRecord, requests: FitRequests, fits: Measurements
) -> ImageRecord:
    """Add the forced fits of one image to its measurements and to light curves."""
    if len(requests) != len(fits):
        msg = f"{image.result.metadata.url}: {len(fits)} forced fits for {len(requests)} requests"
        raise ValueError(msg)
    if not len(requests):
        return replace(image, measurements=_marked(image.measurements, image.associations))
    # A part of an ended blend takes its blind measurement, so that it has no fit here.
    requests, fits = _with_entries(image, _without_parts(image, requests)), _without_parts(image, fits)
    fits = image.result.calibration.correct_fits(scaled_to_extent(image, fits, state), requests)
    usable = fits.is_measured
    measurements = Measurements.concatenate([image.measurements, with_reasons(fits)])
    rows = np.arange(len(image.measurements), len(measurements))
    missed = usable & (requests.kind == ExtractType.NULL_DETECTION)
    watched = usable & (requests.kind == ExtractType.MONITORED)
    points = [
        image.associations,
        *add_joint_points(state, number, image, measurements),
        state.catalogue.add_null_detections(requests.target[missed], measurements, rows[missed], image.key),
    ]
    if watched.any():
        points += associate_monitored(
            state,
            requests.target[watched],
            measurements,
            rows[watched],
            image=number,
            key=image.key,
            taustart=as_utc64(image.result.metadata.taustart_ts),
        )
    associations = Associations.concatenate(points)
    return replace(image, measurements=_marked(measurements, associations), associations=associations, forced=requests)


def _without_parts(image: ImageRecord, rows: _Rows) -> _Rows:
    """Leave out the rows of members whose point is a blind measurement; the members come first."""
    members = image.members
    stays = np.ones(len(rows), bool)
    stays[: len(members)] = ~members.is_blind
    return rows.take(stays)


def _with_entries(image: ImageRecord, requests: FitRequests) -> FitRequests:
    """Set the targets of the members of groups, which all have entries by now."""
    target = requests.target.copy()
    entries = image.members.entry[~image.members.is_blind]
    target[: len(entries)] = entries
    return requests.with_columns(target=target)


def _marked(measurements: Measurements, associations: Associations) -> Measurements:
    """Flag blind measurements without a light curve: joint fits have replaced them."""
    is_replaced = measurements.extract_type == ExtractType.BLIND
    is_replaced[associations.measurement] = False
    if not is_replaced.any():
        return measurements
    return measurements.with_columns(flags=measurements.flags | np.where(is_replaced, int(Flag.REPLACED), 0))


def associate_monitored(
    state: DatasetState,
    monitors: NDArray[np.int64],
    measurements: Measurements,
    rows: NDArray[np.intp],
    *,
    image: int,
    key: LightCurveKey,
    taustart: np.datetime64,
) -> list[Associations]:
    """Create the entries of monitored positions that are fitted for the first time, and add all points.

    Parameters
    ----------
    state
        State of the dataset; updated.
    monitors
        (n,) — rows of the monitored positions.
    measurements, rows
        Measurements of the image, and (n,) — rows of the fits at these positions.
    image, key, taustart
        Number of the image within its timestep, its band and Stokes parameter, and its start in UTC.

    Returns
    -------
    New points of light curves, first measurements first.
    """
    first = state.monitor_entries[monitors] < 0
    state.monitor_entries[monitors[first]] = state.catalogue.create_monitored(
        measurements, rows[first], image=image, taustart=taustart
    )
    entries = state.monitor_entries[monitors]
    return [
        state.catalogue.add_monitored(entries[picked], measurements, rows[picked], key, first=is_first)
        for picked, is_first in ((first, True), (~first, False))
    ]


def with_reasons(fits: Measurements) -> Measurements:
    """Flag forced fits without a flux density as failed, unless they have a flag of another reason."""
    is_unexplained = ~fits.is_measured & (fits.flags & Flag.OUTSIDE == 0)
    return fits.with_columns(flags=fits.flags | np.where(is_unexplained, Flag.FIT_FAILED, 0))


def _is_null(image: ImageRecord) -> NDArray[np.bool_]:
    null: NDArray[np.bool_] = image.forced.kind == ExtractType.NULL_DETECTION
    return null


def _joined(rows: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate([np.empty(0, np.int64), *rows])
