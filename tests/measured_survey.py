"""A simulated survey as a perfect source finder would measure it, and the results of its association.

There are no pixels: sources of known flux density are measured with Gaussian errors, blindly above the threshold, and
by forced fits on request. There are steady, variable and transient sources, and close pairs; some pairs are sometimes
fitted as one component of their island. The source of each measurement is recorded in its column ``chisq``, which
association does not use.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
from busy_dataset import MESH
from scipy.spatial import cKDTree

from trap import angles
from trap.association.noise_history import NoiseTiles, tile_order, tiles_within
from trap.catalogues import AssociationType, Measurements
from trap.config import PipelineConfig
from trap.dataset.records import ImageResult, StoredIds, TimestepRecord
from trap.dataset.state import DatasetState
from trap.images.beam import Beam
from trap.images.image import ImageMetadata
from trap.steps import association, backward_fitting, forced_fitting, varmetric

START = datetime(2026, 1, 1, tzinfo=UTC)
FWHM = 30 / 3600
CENTRE = (0.2, -30.0)
RADIUS = 1.5
THRESHOLD = 5.0
SYSTEMATICS_ARCSEC = 1.0
JITTER = 0.5
BANDS_HZ = (888e6, 1272e6)
NOISE = (1e-3, 1.2e-3)
PIXEL = FWHM / 5
BLIND = {
    *(int(AssociationType.FORKED), int(AssociationType.ONE_TO_ONE), int(AssociationType.NEW_SOURCE)),
    *(int(AssociationType.INHERITED), int(AssociationType.PART), int(AssociationType.BLEND)),
    int(AssociationType.REVEALED),
}
CONFIG = PipelineConfig().with_options(
    # Without pixels, no group can be fitted.
    association={"method": "trap", "joint_beams": 0.0},
    source_extraction={
        "detection_threshold": THRESHOLD,
        "extraction_radius_pix": RADIUS / PIXEL,
        "ew_sys_err": SYSTEMATICS_ARCSEC,
        "ns_sys_err": SYSTEMATICS_ARCSEC,
    },
    transient_search={"backward_fits": 10},
)


@dataclass
class Sky:
    """The true sky: kind and position of every source, and its flux density at every time and band.

    Parameters
    ----------
    flux
        (n_sources, n_times, n_bands) Jy
    partner
        Row of the other source of a close pair; -1 for single sources.
    is_blended
        (n_sources, n_times, n_bands) — whether a pair is fitted as one component; the same for both its sources.
    """

    kind: np.ndarray
    ra: np.ndarray
    dec: np.ndarray
    flux: np.ndarray
    partner: np.ndarray
    is_blended: np.ndarray
    first_on: np.ndarray


def noise_at(ra, dec):
    """Return the noise at positions relative to the noise at the centre; it is 1.5 at the edge."""
    return 1 + 0.5 * (angles.separation(ra, dec, *CENTRE) / RADIUS) ** 2


def make_sky(rng, *, n_times, n_steady=870, n_variables=30, n_transients=20, n_pairs=40, apart=(1.2, 1.5), blended=0.1):
    """Make a sky around RA 0; steady sources reach below the detection threshold.

    Sources of a pair are ``apart`` by so many beam widths, and fitted as one in a fraction ``blended`` of the images.
    """
    kind = np.repeat(["steady", "variable", "transient", "pair"], [n_steady, n_variables, n_transients, 2 * n_pairs])
    pairs = np.flatnonzero(kind == "pair").reshape(n_pairs, 2)
    partner = np.full(len(kind), -1)
    partner[pairs[:, 0]], partner[pairs[:, 1]] = pairs[:, 1], pairs[:, 0]
    ra, dec = _scatter(rng, len(kind))
    separation, angle = rng.uniform(*apart, n_pairs) * FWHM, rng.uniform(0, 2 * np.pi, n_pairs)
    first, second = pairs.T
    ra[second], dec[second] = angles.move(ra[first], dec[first], separation * np.sin(angle), separation * np.cos(angle))
    flux, first_on = _light_curves(rng, kind, n_times)
    as_one = rng.random((n_pairs, n_times, len(BANDS_HZ))) < blended
    # A quarter of the pairs are never fitted as one component, and another quarter always are at first.
    as_one[: n_pairs // 4] = False
    as_one[n_pairs // 4 : n_pairs // 2, : n_times // 4] = blended > 0
    is_transient = kind == "transient"
    # S/N refers to the noise at the position.
    flux[is_transient] *= noise_at(ra, dec)[is_transient, np.newaxis, np.newaxis]
    is_blended = np.zeros(flux.shape, bool)
    is_blended[pairs[:, 0]] = is_blended[pairs[:, 1]] = as_one
    return Sky(kind, ra, dec, flux, partner, is_blended, first_on)


def _scatter(rng, n):
    """Draw positions all over the field that are at least four beams apart."""
    ra0, dec0 = CENTRE
    places = np.empty((0, 2))
    while len(places) < n:
        radius, angle = 0.95 * RADIUS * np.sqrt(rng.random(4 * n)), rng.uniform(0, 2 * np.pi, 4 * n)
        new = np.column_stack([radius * np.sin(angle), radius * np.cos(angle)])
        for place in new:
            if len(places) < n and (not len(places) or np.hypot(*(places - place).T).min() > 4 * FWHM):
                places = np.vstack([places, place])
    return angles.move(ra0, dec0, *places.T)


def _light_curves(rng, kind, n_times):
    n = len(kind)
    # N(> S) ∝ 1/S, from below the threshold up.
    snr = 3.0 / rng.uniform(0.006, 1.0, n)
    snr[kind == "variable"] = rng.uniform(20, 200, (kind == "variable").sum())
    snr[kind == "transient"] = rng.uniform(8, 60, (kind == "transient").sum())
    snr[kind == "pair"] = rng.uniform(15, 150, (kind == "pair").sum())
    times, first_on = np.arange(n_times), np.zeros(n, int)
    shape = np.ones((n, n_times))
    for row in np.flatnonzero(kind == "variable"):
        shape[row] = 1 + 0.4 * np.sin(2 * np.pi * (times / rng.uniform(5, n_times / 2) + rng.random()))
    for row in np.flatnonzero(kind == "transient"):
        first_on[row] = rng.integers(n_times // 8, n_times - 10)
        shape[row] = (times >= first_on[row]) & (times < first_on[row] + rng.integers(1, 20))
    spectrum = (BANDS_HZ[1] / BANDS_HZ[0]) ** np.where(kind == "transient", 0.0, rng.normal(-0.7, 0.2, n))
    return NOISE[0] * snr[:, None, None] * shape[..., None] * np.stack([np.ones(n), spectrum], 1)[:, None], first_on


@dataclass
class Outcome:
    """The results of association for a sky.

    Parameters
    ----------
    points
        For every entry: (time, band, source, association type) of each point.
    candidates
        (time, source) of each transient candidate.
    accepted
        (time, band) of each image that quality control accepted.
    """

    sky: Sky
    state: DatasetState
    points: dict[int, list[tuple[int, int, int, int]]] = field(default_factory=dict)
    candidates: list[tuple[int, int]] = field(default_factory=list)
    accepted: list[tuple[int, int]] = field(default_factory=list)


def blend_of(sky, row):
    """Return the number that stands for both sources of a pair in a measurement."""
    return -1 - min(row, int(sky.partner[row]))


def run_survey(sky, rng, config=CONFIG):
    """Measure a sky at all times and bands, and associate the measurements."""
    outcome = Outcome(sky, DatasetState(config=config))
    tree = cKDTree(angles.unit_vectors(sky.ra, sky.dec))
    n_images = 0
    for time in range(sky.flux.shape[1]):
        results = [_image(sky, rng, time, band) for band in range(len(BANDS_HZ))]
        records = association.associate_extracted_sources(outcome.state, results)
        asked = [forced_fitting.get_forced_fit_requests(image, outcome.state) for image in records]
        fits = [_fit(sky, rng, tree, requests, time, band) for band, requests in enumerate(asked)]
        records = forced_fitting.insert_and_associate_forced_fits(outcome.state, records, asked, fits)
        requests = backward_fitting.get_backward_requests(outcome.state, records)
        found = [_fit(sky, rng, tree, one.positions, *map(int, one.image.url.split("-"))) for one in requests]
        earlier = [
            backward_fitting.EarlierFits(one.image.id, one.image.key, one.positions.target, one.is_new, fit)
            for one, fit in zip(requests, found, strict=True)
        ]
        records, _ = backward_fitting.associate_backward_fits(outcome.state, records, earlier)
        records = backward_fitting.judge_again(outcome.state, records, earlier)
        _note(outcome, records, time)
        n_images = _commit(outcome.state, records, n_images)
    return outcome


def _image(sky, rng, time, band):
    noise = NOISE[band] * rng.lognormal(0, 0.03)
    flux = sky.flux[:, time, band]
    single = ~sky.is_blended[:, time, band] & (flux > 0)
    rows = np.flatnonzero(single)
    parts = [_measure(rng, sky.ra[rows], sky.dec[rows], flux[rows], noise, origin=rows, island=_islands(sky, rows))]
    first = np.flatnonzero(sky.is_blended[:, time, band] & (sky.partner > np.arange(len(sky.partner))))
    other, total = sky.partner[first], flux[first] + flux[sky.partner[first]]
    share = flux[other] / total
    east, north = angles.offsets(sky.ra[other], sky.dec[other], sky.ra[first], sky.dec[first])
    ra, dec = angles.move(sky.ra[first], sky.dec[first], share * east, share * north)
    names = np.array([blend_of(sky, row) for row in first], int)
    parts.append(_measure(rng, ra, dec, total, noise, origin=names, island=_islands(sky, first)))
    found = Measurements.concatenate(parts)
    found = found.take(found.f_peak >= THRESHOLD * found.rms)
    return _result(time, band, noise, found.take(rng.permutation(len(found))))


def _islands(sky, rows):
    """Return an island for every source and for every pair."""
    return 1 + np.where(sky.partner[rows] < 0, rows, np.minimum(rows, sky.partner[rows]))


def _measure(rng, ra, dec, flux, noise, *, origin, island=0):
    rms = noise * noise_at(ra, dec)
    measured = flux + rms * rng.normal(size=len(ra))
    error = FWHM / 2 / np.maximum(measured / rms, 1.0)
    total = np.hypot(error, SYSTEMATICS_ARCSEC / 3600)
    # Each source has its own error; all sources of an image are also shifted together by half their errors.
    turn = rng.uniform(0, 2 * np.pi)
    east = total * rng.normal(size=len(ra)) / np.sqrt(1 + JITTER**2) + JITTER * total * np.sin(turn)
    north = total * rng.normal(size=len(ra)) / np.sqrt(1 + JITTER**2) + JITTER * total * np.cos(turn)
    ra, dec = angles.move(ra, dec, east, north)
    axes = {"semimajor": FWHM * 1800, "semiminor": FWHM * 1800, "pa": 0.0}
    errors = {"ew_fit_err": error, "ns_fit_err": error, "f_peak_err": rms, "f_int_err": rms}
    systematics = {"ew_sys_err": SYSTEMATICS_ARCSEC, "ns_sys_err": SYSTEMATICS_ARCSEC}
    return Measurements.of(
        x=0.0, y=0.0, ra=ra, dec=dec, f_peak=measured, f_int=measured, rms=rms, significance=measured / rms,
        chisq=origin, island=island, **axes, **errors, **systematics,
    )  # fmt: skip


def _fit(sky, rng, tree, requests, time, band):
    """Make forced fits: the flux density of the nearest source, attenuated by the beam."""
    if not len(requests):
        return Measurements.empty()
    distance, row = tree.query(angles.unit_vectors(requests.ra, requests.dec))
    flux = sky.flux[row, time, band] * np.exp(-4 * np.log(2) * (np.degrees(distance) / FWHM) ** 2)
    fits = _measure(rng, requests.ra, requests.dec, flux, NOISE[band], origin=row)
    return fits.with_columns(ra=requests.ra, dec=requests.dec, extract_type=requests.kind)


ORDER = tile_order(0.1)
TILES, TILES_RA, TILES_DEC = tiles_within(ORDER, *CENTRE, RADIUS)


def _result(time, band, noise, found):
    rms = noise * noise_at(TILES_RA, TILES_DEC)
    metadata = ImageMetadata(
        url=f"{time}-{band}",
        taustart_ts=START + timedelta(hours=time),
        tau_time=600.0,
        freq_eff=BANDS_HZ[band],
        freq_bw=1e8,
        stokes=1,
        telescope="",
        beam=Beam(bmaj=FWHM, bmin=FWHM, bpa=0.0),
        centre_ra=CENTRE[0],
        centre_dec=CENTRE[1],
        deltax=-PIXEL,
        deltay=PIXEL,
        nx=2048,
        ny=2048,
        unit="Jy/beam",
    )
    return ImageResult(
        metadata=metadata,
        content_hash=f"{time}-{band}",
        rms_qc=noise,
        rejection=None,
        measurements=found,
        # Not used, but an image without a background cannot be measured again.
        background=MESH,
        rms_min=noise,
        rms_max=1.5 * noise,
        noise_tiles=NoiseTiles(order=ORDER, tile=TILES, rms=rms.astype(np.float32)),
    )


def _note(outcome, records, time):
    for fork in outcome.state.catalogue.changes.forks:
        outcome.points.setdefault(fork.clone, []).extend(outcome.points.get(fork.parent, []))
    for fork in outcome.state.catalogue.changes.forks:
        outcome.points.pop(fork.parent, None)
    for band, image in enumerate(records):
        outcome.accepted += [(time, band)] if image.result.rejection is None else []
        origin = image.measurements.chisq.astype(int)
        points = image.associations
        for entry, row, kind in zip(points.entry.tolist(), points.measurement.tolist(), points.type, strict=True):
            if outcome.state.catalogue.entries["active"][entry]:
                outcome.points.setdefault(entry, []).append((time, band, int(origin[row]), int(kind)))
        outcome.candidates += [(time, int(origin[row])) for row in image.new_sources.measurement]


def _commit(state, records, n_images):
    """Change the state in memory as storing the timestep would."""
    record = TimestepRecord(
        taustart_ts=records[0].result.metadata.taustart_ts,
        images=records,
        unreadable=(),
        changes=state.catalogue.changes,
        links=state.region_links(records),
        metrics=varmetric.summarise_touched(state, records),
    )
    n_before, n_entries = record.changes.n_before, len(state.catalogue)
    ids = StoredIds(
        images=tuple(range(n_images + 1, n_images + 1 + len(records))),
        entries=np.arange(n_before + 1, n_entries + 1),
        bands=tuple(range(len(state.bands))),
        regions=tuple(range(len(state.regions))),
    )
    state.commit(record, ids)
    return n_images + len(records)
