"""The sky of a large survey as a source finder would list it: fields that overlap, and their images in many epochs.

The default size is that of the extragalactic data release 1 of VAST, an ASKAP survey: 2,945 images of 276 fields,
12,300 deg², half a million sources. There are no pixels. Steady, variable and transient sources and close pairs are
measured with errors of flux density and position; every image has a gain and a shift of its own, its noise grows
towards the edge, sources near the threshold and near the edge are missed at times, and a few artefacts are listed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from trap import angles

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.typing import Array, Columns

__all__ = ["BEAM_ARCSEC", "FREQUENCY_HZ", "RMS", "THRESHOLD", "Pointing", "Survey"]

BEAM_ARCSEC = (15.0, 12.0, 60.0)
"""Full widths of the restoring beam, and its position angle [deg]."""
FREQUENCY_HZ, BANDWIDTH_HZ = 887.5e6, 288e6
RMS = 2.4e-4
"""Jy/beam — noise in the middle of an image; it is a quarter more at the edge."""
THRESHOLD = 5.0
SPACING = 7.18
"""deg — distance of neighbouring pointings, on a lattice of triangles."""
RADIUS = SPACING / np.sqrt(3) + 0.02
"""deg — radius of a field: the circles just cover the sky."""
SOUTH = -70.0
FAINTEST, BRIGHTEST, SLOPE = 4.3, 2e4, -0.8
"""Range of the flux densities, in units of the noise, and exponent of the counts: N(> S) is proportional to S^-0.8."""
GAIN_ERROR, SHIFT_ARCSEC, FLUX_ERROR, POSITION_ERROR_ARCSEC = 0.03, 0.3, 0.02, 0.15
EPOCH_DAYS, MINUTES, SECONDS = 60.0, 20.0, 720.0
ARTEFACTS = 3.0
"""Mean number of artefacts in an image."""
EDGE, MISSED_AT_EDGE, MISSED, FAINT = 0.97, 0.3, 0.01, 8.0
"""Share of the radius beyond which more sources are missed; shares of missed sources there, and elsewhere; and S/N from
which no source is missed."""
NOISE_PEAK = -1
"""Row of the source of an artefact."""
START = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Pointing:
    """One image: its number, field and epoch, its start, and its errors of flux scale and position."""

    number: int
    field: int
    epoch: int
    start: datetime
    gain: float
    shift: tuple[float, float]
    noise: float

    @property
    def name(self) -> str:
        """Name of the image."""
        return f"field{self.field:03d}_epoch{self.epoch:02d}"


class Survey:
    """A made-up survey.

    Parameters
    ----------
    n_images, n_fields
        Numbers of images and fields.
    n_sources
        Mean number of sources in the list of an image.
    seed
        Seed of all random numbers.

    Attributes
    ----------
    ra, dec
        (n,) deg — true positions.
    flux
        (n,) Jy — mean flux densities.
    kind
        (n,) — "steady", "variable", "transient" or "pair".
    images
        Images in order of time.
    """

    def __init__(self, *, n_images: int = 2945, n_fields: int = 276, n_sources: int = 2200, seed: int = 1) -> None:
        rng = np.random.default_rng(seed)
        self._seed = seed
        self.n_epochs = -(-n_images // n_fields)
        self.field_ra, self.field_dec = _lattice(n_fields)
        self.images = self._schedule(n_images, rng)
        self._make_sources(n_sources, rng)
        tree = cKDTree(angles.unit_vectors(self.ra, self.dec))
        chord = 2 * np.sin(np.radians(RADIUS) / 2)
        members = tree.query_ball_point(angles.unit_vectors(self.field_ra, self.field_dec), chord)
        self._members = [np.sort(np.array(rows, np.int32)) for rows in members]

    def _schedule(self, n_images: int, rng: np.random.Generator) -> list[Pointing]:
        """Observe all fields in each epoch, in another order each time, one after the other."""
        images: list[Pointing] = []
        for epoch in range(self.n_epochs):
            for place, field in enumerate(rng.permutation(len(self.field_ra)).tolist()):
                if len(images) < n_images:
                    start = START + timedelta(days=EPOCH_DAYS * epoch, minutes=MINUTES * place)
                    gain, noise = 1 + GAIN_ERROR * rng.normal(), RMS * rng.lognormal(0, 0.05)
                    east, north = SHIFT_ARCSEC * rng.normal(size=2)
                    images.append(Pointing(len(images), field, epoch, start, gain, (east, north), noise))
        return images

    def _make_sources(self, n_sources: int, rng: np.random.Generator) -> None:
        """Draw sources all over the fields: a few hundred vary, and one in fifty has a close neighbour."""
        # The factor allows for the noise, which is higher away from the middle, and for missed sources.
        density = n_sources / _area(RADIUS) * (FAINTEST / THRESHOLD) ** SLOPE * 1.1
        low, high = (np.sin(np.radians(d)) for d in (self.field_dec.min() - RADIUS, self.field_dec.max() + RADIUS))
        n = int(density * 180 / np.pi * 360 * (high - low))
        ra, dec = rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(low, high, n)))
        centres = cKDTree(angles.unit_vectors(self.field_ra, self.field_dec))
        chord = 2 * np.sin(np.radians(RADIUS) / 2)
        is_inside = np.isfinite(centres.query(angles.unit_vectors(ra, dec), distance_upper_bound=chord)[0])
        ra, dec = ra[is_inside], dec[is_inside]
        n = len(ra)
        flux = RMS * FAINTEST * rng.uniform((BRIGHTEST / FAINTEST) ** SLOPE, 1, n) ** (1 / SLOPE)
        kind = np.full(n, "steady", "U9")
        order, n_rare, n_pairs = rng.permutation(n), max(n // 2000, 10), n // 50
        variable, transient = order[:n_rare], order[n_rare : n_rare + n_rare // 3]
        pairs = order[2 * n_rare : 2 * n_rare + n_pairs]
        kind[variable], kind[transient], kind[pairs] = "variable", "transient", "pair"
        flux[variable] = RMS * rng.uniform(20, 400, len(variable))
        flux[transient] = RMS * rng.uniform(9, 60, len(transient))
        angle, apart = rng.uniform(0, 2 * np.pi, n_pairs), rng.uniform(1.6, 3.5, n_pairs) * BEAM_ARCSEC[0] / 3600
        near_ra, near_dec = angles.move(ra[pairs], dec[pairs], apart * np.sin(angle), apart * np.cos(angle))
        self.ra, self.dec = np.concatenate([ra, near_ra]), np.concatenate([dec, near_dec])
        self.flux = np.concatenate([flux, flux[pairs] * rng.uniform(0.3, 1.0, n_pairs)])
        self.kind = np.concatenate([kind, np.full(n_pairs, "pair", "U9")])
        self._shapes = np.ones((len(self.ra), self.n_epochs), np.float32)
        self._shapes[variable] = rng.lognormal(0, rng.uniform(0.3, 0.8, len(variable))[:, np.newaxis],
                                               (len(variable), self.n_epochs))  # fmt: skip
        first = rng.integers(1, max(self.n_epochs, 2), len(transient))[:, np.newaxis]
        last = first + rng.integers(1, 4, len(transient))[:, np.newaxis]
        epochs = np.arange(self.n_epochs)
        self._shapes[transient] = (epochs >= first) & (epochs < last)

    def true_flux(self, epoch: int) -> NDArray[np.float64]:
        """Return the flux densities [Jy] of all sources in an epoch."""
        flux: Array = self.flux * self._shapes[:, epoch]
        return flux

    def noise_at(self, image: Pointing, ra: Array, dec: Array) -> Array:
        """Return the noise [Jy/beam] at positions in an image."""
        away = angles.separation(ra, dec, self.field_ra[image.field], self.field_dec[image.field])
        noise: Array = image.noise * (1 + 0.25 * (away / RADIUS) ** 2)
        return noise

    def measure(self, image: Pointing) -> tuple[Columns, NDArray[np.int32]]:
        """Measure an image.

        Returns
        -------
        columns
            The list of its sources: positions and their errors in deg, flux densities in Jy, axes in arcsec.
        rows
            Row of the true source of each, or :data:`NOISE_PEAK`.
        """
        rng = np.random.default_rng([self._seed, image.number])
        rows = self._members[image.field]
        true = self.true_flux(image.epoch)[rows]
        rows, true = rows[true > 0], true[true > 0]
        n_noise = rng.poisson(ARTEFACTS)
        radius, angle = RADIUS * np.sqrt(rng.random(n_noise)), rng.uniform(0, 2 * np.pi, n_noise)
        centre = self.field_ra[image.field], self.field_dec[image.field]
        noise_ra, noise_dec = angles.move(*centre, radius * np.sin(angle), radius * np.cos(angle))
        ra, dec = np.concatenate([self.ra[rows], noise_ra]), np.concatenate([self.dec[rows], noise_dec])
        rms = self.noise_at(image, ra, dec)
        flux = np.concatenate([true, (THRESHOLD + rng.exponential(0.2, n_noise)) * rms[len(rows) :]])
        error = np.hypot(rms, FLUX_ERROR * flux)
        measured = flux + np.where(np.arange(len(flux)) < len(rows), error * rng.normal(size=len(flux)), 0.0)
        away = angles.separation(ra, dec, *centre) / RADIUS
        is_listed = (measured >= THRESHOLD * rms) & (away < 1)
        is_listed &= (measured > FAINT * rms) | (rng.random(len(flux)) >= np.where(away > EDGE, MISSED_AT_EDGE, MISSED))
        chosen = np.flatnonzero(is_listed)
        origin = np.concatenate([rows, np.full(n_noise, NOISE_PEAK, np.int32)])[chosen]
        measured, rms, error = measured[chosen], rms[chosen], error[chosen]
        position = np.hypot(BEAM_ARCSEC[0] / 2.355 / (measured / rms), POSITION_ERROR_ARCSEC) / 3600
        east, north = position * rng.normal(size=(2, len(chosen))) + np.array(image.shift)[:, np.newaxis] / 3600
        ra, dec = angles.move(ra[chosen], dec[chosen], east, north)
        columns = {
            "ra": ra, "dec": dec, "ra_err": position, "dec_err": position, "peak_flux": image.gain * measured,
            "peak_flux_err": image.gain * error, "int_flux": image.gain * measured, "int_flux_err": image.gain * error,
            "rms": image.gain * rms, "bmaj": np.full(len(ra), BEAM_ARCSEC[0]), "bmin": np.full(len(ra), BEAM_ARCSEC[1]),
            "bpa": np.full(len(ra), BEAM_ARCSEC[2]),
        }  # fmt: skip
        return columns, origin


def _area(radius: float) -> float:
    """Return the area [deg²] of a circle with a radius in deg."""
    return float(2 * np.pi * (1 - np.cos(np.radians(radius))) * (180 / np.pi) ** 2)


def _lattice(n: int) -> tuple[Array, Array]:
    """Return the centres [deg] of neighbouring fields, strip by strip from the south."""
    ra, dec, strip = np.empty(0), np.empty(0), 0
    while len(ra) < n:
        here = SOUTH + strip * SPACING * np.sqrt(3) / 2
        # Small surveys take a part of each strip, so that their fields overlap too.
        number = min(round(360 * np.cos(np.radians(here)) / SPACING), max(int(np.sqrt(n) * 1.5), 1))
        width = SPACING / np.cos(np.radians(here))
        ra = np.concatenate([ra, (np.arange(number) + strip % 2 / 2) * width % 360])
        dec, strip = np.concatenate([dec, np.full(number, here)]), strip + 1
    return ra[:n], dec[:n]
