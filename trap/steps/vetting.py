"""The signs of artefacts of the candidates of a timestep.

Signs that need no pixels are computed from the tables in memory. For the others, an image with candidates is read again
in small cut-outs, in a worker process. A timestep without candidates costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from trap import angles
from trap.association.noise_peaks import noise_peaks
from trap.catalogues import AssociationType, ExtractType, FitRequests, Measurements
from trap.config import DEFAULT_READING
from trap.errors import ImageError
from trap.extraction.forced import fit_positions
from trap.images.image import read_image
from trap.signs import Signs
from trap.variability.summary import total_errors
from trap.vetting.consistency import BandFluxes, absence, local_gains, shape_significance
from trap.vetting.cutouts import Surroundings, Targets, look_around
from trap.vetting.neighbours import BrightNeighbours, edge_distance, find_bright
from trap.vetting.score import score_candidates
from trap.vetting.surroundings import reach_of_source

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from trap.config import ReadingConfig, SourceExtractionConfig
    from trap.dataset.records import ImageRecord
    from trap.dataset.state import DatasetState
    from trap.extraction.mesh import Background
    from trap.typing import Array, Indices

__all__ = ["VettingRequest", "examine_candidates", "get_vetting_requests", "vet_candidates"]

MIN_RATIO = 10.0
"""Least ratio of a bright source to a candidate for which its ring is examined: no image with sidelobes above a tenth
is worth a search."""
MIN_CALIBRATOR = 10.0
"""Least signal-to-noise ratio of a steady source whose brightening is measured."""
STEADY_SHARE = 0.5
"""Least ratio of the earlier mean of a source to its flux density now, for a source that stays out of rings: sidelobes
come and go at the same places."""

Examined = tuple[Surroundings, Measurements]
"""The pixels around the candidates of an image, and the fits at candidates of other bands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VettingRequest:
    """Places to examine in one image.

    Parameters
    ----------
    targets, bright
        Candidates of the image, and their bright sources.
    known
        (3, m) — columns and rows in pix, and reach in beams, of the steady sources, which are left out of rings.
    positions
        Candidates of other bands of the same time, where the image shows them; their targets are rows of the running
        catalogue.
    """

    targets: Targets
    bright: BrightNeighbours
    known: Array
    positions: FitRequests


def get_vetting_requests(state: DatasetState, images: Sequence[ImageRecord]) -> list[VettingRequest | None]:
    """List the places of a timestep to examine.

    Parameters
    ----------
    state
        State of the dataset, after all fits of the timestep.
    images
        Associated images of the timestep.

    Returns
    -------
    One request per image; None for an image without candidates of its own or of other bands to examine.
    """
    if not any(len(image.new_sources) for image in images):
        return [None] * len(images)
    return [_request(state, image, images) for image in images]


def _request(state: DatasetState, image: ImageRecord, images: Sequence[ImageRecord]) -> VettingRequest | None:
    """Return the places to examine in one image."""
    metadata = image.result.metadata
    # A source list without an image has the signs that need no pixels.
    is_searched = image.result.background is not None or (image.result.rejection is None and not metadata.has_pixels)
    if not is_searched or metadata.beam is None:
        return None
    positions = _elsewhere(state, image, images)
    if not len(image.new_sources) and not len(positions):
        return None
    blind = _as_shown(image, image.measurements)
    rows = image.new_sources.measurement
    bright = _bright(image)
    everything = _as_shown(image, image.result.measurements)
    is_dangerous = bright.ratio >= MIN_RATIO
    source = np.where(is_dangerous, bright.row, 0)
    targets = Targets(
        x=blind.x[rows],
        y=blind.y[rows],
        peak=blind.f_peak[rows],
        bright_x=np.where(is_dangerous, everything.x[source], np.nan) if len(rows) else np.empty(0),
        bright_y=np.where(is_dangerous, everything.y[source], np.nan) if len(rows) else np.empty(0),
    )
    steady = blind.take(_known_sources(state, image))
    beam = metadata.beam
    size = np.maximum(steady.semimajor / beam.bmaj, steady.semiminor / beam.bmin) * 2 / 3600
    known = np.array([steady.x, steady.y, reach_of_source(steady.significance, size)])
    return VettingRequest(targets=targets, bright=bright, known=known, positions=positions)


def examine_candidates(
    request: VettingRequest,
    url: str,
    extraction_params: SourceExtractionConfig,
    *,
    background: Background,
    neighbours: Measurements,
    start: datetime,
    reading: ReadingConfig = DEFAULT_READING,
) -> Examined | None:
    """Examine the pixels around candidates of an image, and fit the beam at candidates of other bands.

    The function is stateless, for worker processes.

    Parameters
    ----------
    request
        Places to examine.
    url
        Path of the image.
    extraction_params, background, neighbours, start, reading
        As for :func:`trap.steps.forced_fitting.perform_forced_fits`.

    Returns
    -------
    The surroundings of the candidates, and a fit for each position. None if the file is missing or was replaced: the
    signs are then unknown, and the candidates stay.
    """
    try:
        image = read_image(url, reading)
        image.require_start(start)
        seen = look_around(
            image,
            request.targets,
            known=request.known,
            background=background,
            config=extraction_params,
        )
        if not len(request.positions):
            return seen, Measurements.empty()
        places = (request.positions.ra, request.positions.dec)
        fits = fit_positions(image, *places, background=background, neighbours=neighbours, config=extraction_params)
    except ImageError:
        return None
    return seen, fits


def vet_candidates(
    state: DatasetState,
    images: Sequence[ImageRecord],
    requests: Sequence[VettingRequest | None],
    examined: Sequence[Examined | None],
) -> tuple[ImageRecord, ...]:
    """Add the signs and the score to the candidates of a timestep.

    Parameters
    ----------
    state
        State of the dataset.
    images
        Associated images of the timestep.
    requests, examined
        Places that were examined, and the results, in the order of the images; None for an image that was not.

    Returns
    -------
    The images with their candidates.
    """
    bands = [
        _fluxes_of_band(image, request, seen) for image, request, seen in zip(images, requests, examined, strict=True)
    ]
    vetted = []
    for image, request, seen in zip(images, requests, examined, strict=True):
        others = [
            (other, fluxes)
            for other, fluxes in zip(images, bands, strict=True)
            if other.key.band != image.key.band and other.key.stokes == image.key.stokes
        ]
        vetted.append(_vet_image(state, image, request, None if seen is None else seen[0], others))
    return tuple(vetted)


def _vet_image(
    state: DatasetState,
    image: ImageRecord,
    request: VettingRequest | None,
    seen: Surroundings | None,
    others: Sequence[tuple[ImageRecord, dict[int, tuple[float, float]]]],
) -> ImageRecord:
    """Add the signs and the score to the candidates of one image."""
    new = image.new_sources
    if not len(new) or request is None:
        return image
    measured = image.measurements.take(new.measurement)
    bright = request.bright
    areas, shape = shape_significance(measured.f_peak, measured.f_int, measured.rms)
    gain, gain_sigma = _local_gains(state, image)
    bands = [_in_band(other, fluxes, new.entry, np.sign(measured.f_peak)) for other, fluxes in others]
    edge = edge_distance(measured, image.result.metadata, state.config.source_extraction)
    if seen is not None:
        edge = np.minimum(edge, seen.gap_distance)
    columns = {
        "bright_ratio": bright.ratio,
        "bright_distance": bright.distance,
        "brightest_ratio": bright.brightest_ratio,
        "brightest_distance": bright.brightest_distance,
        "edge_distance": edge,
        "beam_areas": areas,
        "shape_sigma": shape,
        "n_in_image": np.full(len(new), float(len(new))),
        "absent_sigma": absence(np.abs(measured.f_peak), measured.f_peak_err, image.result.metadata.freq_eff, bands),
        "local_gain": gain,
        "local_gain_sigma": gain_sigma,
    }
    if seen is not None:
        columns |= {name: values for name, values in seen.as_dict().items() if name != "gap_distance"}
    height = np.abs(measured.significance)
    signs = Signs.of(**columns)
    peaks = _gaussian_peaks(state, image, measured)
    return replace(
        image,
        new_sources=new.with_columns(**columns, score=score_candidates(signs, height, new.newness, peaks)),
    )


def _gaussian_peaks(state: DatasetState, image: ImageRecord, measured: Measurements) -> Array:
    """Return the expected numbers of peaks of Gaussian noise as high as candidates, in all images so far.

    The numbers in the table also extrapolate from negative peaks. These are artefacts for the most part, and signs
    count them where they are.
    """
    height = np.minimum(np.abs(measured.f_peak) / measured.rms, np.abs(measured.significance))
    n_signs = 2 if state.config.source_extraction.searches_negative(image.key.stokes) else 1
    return n_signs * noise_peaks(height, image.chance.so_far)


def _as_shown(image: ImageRecord, measured: Measurements) -> Measurements:
    """Return measurements with the flux densities of the image before calibration."""
    return image.result.calibration.as_in_image(measured)


def _bright(image: ImageRecord) -> BrightNeighbours:
    """Find the bright source near each candidate of an image, among all that was found there."""
    new, found = image.measurements.take(image.new_sources.measurement), image.result.measurements
    beam = image.result.metadata.beam
    if beam is None:  # An image without a beam was rejected, and has no candidates.
        return BrightNeighbours.empty()
    return find_bright((new.ra, new.dec, new.f_peak), (found.ra, found.dec, found.f_peak), beam)


def _earlier_means(state: DatasetState, image: ImageRecord, name: str, rows: Indices) -> tuple[Array, Array]:
    """Return the mean flux densities of entries before their points in this image, and the errors; NaN without any.

    Parameters
    ----------
    state, image
        State of the dataset and the associated image.
    name
        ``"f_peak"`` or ``"f_int"``.
    rows
        (n,) — points of the image.
    """
    points = image.associations.take(rows)
    curves, measured = state.catalogue.fluxes(image.key)[points.entry], image.measurements.take(points.measurement)
    flux, error = getattr(measured, name), getattr(measured, f"{name}_err")
    weight = total_errors(error, measured.gain_err, flux) ** -2.0
    rest = curves[f"wsum_{name}"] - weight
    # The difference of equal weights is noise of rounding.
    has_earlier = (curves["n"] > 1) & (rest > 1e-6 * weight)
    rest = np.where(has_earlier, rest, np.nan)
    return (curves[f"wsum_{name}"] * curves[f"wmean_{name}"] - weight * flux) / rest, rest**-0.5


def _matched(image: ImageRecord) -> Indices:
    """Return the points of an image that blind measurements of known sources made."""
    points = image.associations
    blind = image.measurements.extract_type[points.measurement] == ExtractType.BLIND
    rows: Indices = np.flatnonzero(blind & (points.type == AssociationType.ONE_TO_ONE))
    return rows


def _known_sources(state: DatasetState, image: ImageRecord) -> Indices:
    """Return the measurements of sources that were as bright before, and of blends and their parts."""
    points = image.associations
    rows = _matched(image)
    mean, _ = _earlier_means(state, image, "f_peak", rows)
    was_bright = np.abs(mean) >= STEADY_SHARE * np.abs(image.measurements.f_peak[points.measurement[rows]])
    related = (AssociationType.FORKED, AssociationType.PART, AssociationType.BLEND)
    known = [points.measurement[rows[was_bright]], points.measurement[np.isin(points.type, related)]]
    return np.unique(np.concatenate(known))


def _local_gains(state: DatasetState, image: ImageRecord) -> tuple[Array, Array]:
    """Measure the brightening of the steady sources around the candidates of an image."""
    new, rows = image.measurements.take(image.new_sources.measurement), _matched(image)
    mean, error = _earlier_means(state, image, "f_int", rows)
    steady = image.measurements.take(image.associations.measurement[rows])
    usable = (np.abs(steady.significance) >= MIN_CALIBRATOR) & (mean / error >= MIN_CALIBRATOR) & (steady.f_int > 0)
    steady, mean, error = steady.take(usable), mean[usable], error[usable]
    variances = (steady.f_int_err / steady.f_int) ** 2 + (error / mean) ** 2
    (x, y), places = _places(image, new), _places(image, steady)
    return local_gains(x, y, places, np.log(steady.f_int / mean), variances)


def _places(image: ImageRecord, sources: Measurements) -> tuple[Array, Array]:
    """Return the places of sources in an image: pixels, or in a list without an image offsets from its middle."""
    metadata = image.result.metadata
    if metadata.has_pixels:
        return sources.x, sources.y
    return angles.offsets(sources.ra, sources.dec, metadata.centre_ra, metadata.centre_dec)


def _elsewhere(state: DatasetState, image: ImageRecord, images: Sequence[ImageRecord]) -> FitRequests:
    """List the candidates of other bands that an image covers but does not show, where it would show them."""
    entries = [
        other.new_sources.entry
        for other in images
        if other.key.band != image.key.band and other.key.stokes == image.key.stokes
    ]
    missed: NDArray[np.int64] = np.setdiff1d(
        np.concatenate([np.empty(0, np.int64), *entries]), image.associations.entry
    )
    found = state.catalogue.entries[missed]
    covered = image.result.metadata.sky_region(0).covers(found["wm_ra"], found["wm_dec"])
    requests = FitRequests.of(
        ra=found["wm_ra"][covered],
        dec=found["wm_dec"][covered],
        kind=int(ExtractType.NULL_DETECTION),
        target=missed[covered],
    )
    return image.result.calibration.requests_in_image(requests, state.calibrations.mean_shift(image.region))


def _fluxes_of_band(
    image: ImageRecord, request: VettingRequest | None, seen: Examined | None
) -> dict[int, tuple[float, float]]:
    """Return the peak flux densities and errors of entries in an image: its points, and fits at other candidates."""
    if request is None:
        return {}
    points, parts = image.associations, []
    parts.append((points.entry, image.measurements.take(points.measurement)))
    if seen is not None and len(request.positions):
        parts.append((request.positions.target, image.result.calibration.correct(seen[1])))
    return {
        int(entry): (float(peak), float(error))
        for entries, measured in parts
        for entry, peak, error in zip(entries, measured.f_peak, measured.f_peak_err, strict=True)
    }


def _in_band(
    image: ImageRecord, fluxes: dict[int, tuple[float, float]], entries: NDArray[np.int64], sign: Array
) -> BandFluxes:
    """Return the flux densities of entries in another band, with the sign of the candidates."""
    unknown = (np.nan, np.nan)
    found = np.array([fluxes.get(entry, unknown) for entry in entries.tolist()], float).reshape(-1, 2)
    return BandFluxes(frequency=image.result.metadata.freq_eff, peak=sign * found[:, 0], error=found[:, 1])
