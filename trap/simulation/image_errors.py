"""The calibration errors of simulated images: their gains, displaced sources, decorrelation and sidelobes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trap.angles import displacement, move, unit_vectors

if TYPE_CHECKING:
    from astropy.wcs import WCS

    from trap.simulation.config import SurveyConfig
    from trap.simulation.sky import Sky
    from trap.typing import Array

__all__ = ["ImageErrors", "Refraction", "draw_errors", "draw_refraction"]

_N_WAVES = 24
"""Number of waves in a field of refraction."""
_STRUCTURE = (1 / 3, 10.0)
"""Size of the smallest structure of refraction: a share of the width of the field, and at most so many degrees."""
_LARGER = 1.5
"""Size of the largest structure over that of the smallest."""
_ARCSEC = 1 / 3600
_ROTATION = 360 / 86164.1
"""deg/s — rotation of the sky, and of the arcs of sidelobes with it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageErrors:
    """The calibration errors of all images of a survey.

    Parameters
    ----------
    gain
        (n_timesteps, n_bands) — measured over true flux density.
    decorrelation
        (n_timesteps, n_bands) — fraction by which peaks are lowered.
    shift_ew, shift_ns
        (n_timesteps,) arcsec — shift of the image in its plane, to the east and to the north of the centre.
    refraction_rms
        (n_timesteps, n_bands) arcsec — root mean square refraction of the sources along one axis.
    x, y
        (n, n_timesteps, n_bands) pix — positions of the sources in each image.
    ew, ns
        (n, n_timesteps, n_bands) arcsec — displacement of each source in each image from its true position, to the
        east and to the north.
    sidelobes
        (n_timesteps, n_bands) — level of the first ring around each source, as a fraction of its peak; it may be
        negative.
    sidelobe_angle
        (n_timesteps,) deg — angle by which the sidelobes are turned, from the first axis of pixels towards the second.
    """

    gain: Array
    decorrelation: Array
    shift_ew: Array
    shift_ns: Array
    refraction_rms: Array
    x: Array
    y: Array
    ew: Array
    ns: Array
    sidelobes: Array
    sidelobe_angle: Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Refraction:
    """A smooth field of displacements on the sky: the gradient of a sum of plane waves, and thus free of curl.

    The waves fill space and are evaluated on the sphere. The field has no preferred direction and no singular point.

    Parameters
    ----------
    wave_vectors
        (n_waves, 3) rad⁻¹ — wave numbers, for directions as unit vectors.
    phases
        (n_waves,) rad — phases of the waves at the origin.
    amplitudes
        (n_waves, 3) arcsec — amplitudes of the displacements, parallel to the wave vectors.
    """

    wave_vectors: Array
    phases: Array
    amplitudes: Array

    def at(self, ra: Array, dec: Array) -> tuple[Array, Array]:
        """Evaluate the field.

        Parameters
        ----------
        ra, dec
            (n,) deg — positions.

        Returns
        -------
        east, north
            (n,) arcsec
        """
        gradient = np.sin(unit_vectors(ra, dec) @ self.wave_vectors.T + self.phases) @ self.amplitudes
        alpha, delta = np.radians(ra), np.radians(dec)
        radial = gradient[:, 0] * np.cos(alpha) + gradient[:, 1] * np.sin(alpha)
        east: Array = gradient[:, 1] * np.cos(alpha) - gradient[:, 0] * np.sin(alpha)
        north: Array = gradient[:, 2] * np.cos(delta) - radial * np.sin(delta)
        return east, north


def draw_errors(config: SurveyConfig, sky: Sky, projection: WCS, rng: np.random.Generator) -> ImageErrors:
    """Draw the calibration errors of all images.

    Parameters
    ----------
    config
        Settings of the survey.
    sky
        Sources at their true positions.
    projection
        Projection of all images.
    rng
        Source of the random numbers. Each kind of error has its own stream, so that it does not depend on the others.
    """
    gains, shifts, fields, losses, rings = rng.spawn(5)
    shape = (config.n_timesteps, config.n_bands)
    # A log-normal distribution of mean 1 and the relative scatter of the settings.
    width = np.sqrt(np.log1p(config.gain_scatter**2))
    # Adding zero turns the −0 of absent shifts into 0.
    shift = config.shift_arcsec * shifts.standard_normal((config.n_timesteps, 2)) + 0.0
    x, y, refraction_rms = _refracted(config, sky, projection, fields)
    x, y = (
        x - shift[:, :1] / config.pixel_scale_arcsec,
        y + shift[:, 1:] / config.pixel_scale_arcsec,
    )
    ew, ns = _displacements(config, sky, projection, x, y)
    return ImageErrors(
        gain=np.exp(width * gains.standard_normal(shape) - width**2 / 2),
        decorrelation=2 * config.decorrelation * losses.random(shape),
        shift_ew=shift[:, 0],
        shift_ns=shift[:, 1],
        refraction_rms=refraction_rms,
        x=x,
        y=y,
        ew=ew,
        ns=ns,
        # Adding zero turns the −0 of absent sidelobes into 0.
        sidelobes=config.sidelobe_level * config.sidelobe_residual * rings.standard_normal(shape) + 0.0,
        sidelobe_angle=_ROTATION * config.cadence_seconds * np.arange(config.n_timesteps, dtype=float) % 360,
    )


def draw_refraction(rng: np.random.Generator, *, rms: float, structure: float) -> Refraction:
    """Draw a field of refraction.

    Parameters
    ----------
    rng
        Source of the random numbers.
    rms
        arcsec — expected root mean square displacement along each axis, on average over many fields.
    structure
        deg — size of the smallest structure, half a wavelength. The largest one is half as large again.
    """
    directions = rng.standard_normal((_N_WAVES, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    sizes = np.radians(structure) * _LARGER ** rng.random(_N_WAVES)
    return Refraction(
        wave_vectors=directions * (np.pi / sizes)[:, np.newaxis],
        phases=rng.uniform(0, 2 * np.pi, _N_WAVES),
        # A sine has a mean square of 1/2, and a random direction has 1/3 along an axis.
        amplitudes=directions * rms * np.sqrt(6 / _N_WAVES),
    )


def _refracted(config: SurveyConfig, sky: Sky, projection: WCS, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Return the pixels of the refracted sources, (n, n_timesteps, n_bands) each, and the rms as in ImageErrors."""
    shape = (len(sky.x), config.n_timesteps, config.n_bands)
    rms = np.zeros(shape[1:])
    x, y = (np.repeat(values, rms.size).reshape(shape) for values in (sky.x, sky.y))
    if config.refraction_arcsec == 0 or not len(sky.x):
        return x, y, rms
    ra, dec = projection.all_pix2world(sky.x, sky.y, 0)
    share, largest = _STRUCTURE
    structure = min(largest, share * config.size * config.pixel_scale)
    scaling = (config.frequency_hz / np.array(config.frequencies_hz)) ** 2
    for timestep in range(config.n_timesteps):
        field = draw_refraction(rng, rms=config.refraction_arcsec, structure=structure)
        east, north = field.at(ra, dec)
        rms[timestep] = scaling * np.sqrt(np.mean(east**2 + north**2) / 2)
        for band, factor in enumerate(scaling):
            moved = move(ra, dec, factor * east * _ARCSEC, factor * north * _ARCSEC)
            x[:, timestep, band], y[:, timestep, band] = projection.all_world2pix(*moved, 0)
    return x, y, rms


def _displacements(config: SurveyConfig, sky: Sky, projection: WCS, x: Array, y: Array) -> tuple[Array, Array]:
    """Return the displacements from the true positions, as in :class:`ImageErrors`; exactly zero without errors."""
    if not config.has_displacements or not x.size:
        return np.zeros(x.shape), np.zeros(x.shape)
    ra, dec = projection.all_pix2world(sky.x, sky.y, 0)
    image_ra, image_dec = projection.all_pix2world(x.ravel(), y.ravel(), 0)
    n_images = x[0].size
    ew, ns = displacement(image_ra, image_dec, np.repeat(ra, n_images), np.repeat(dec, n_images))
    return ew.reshape(x.shape) / _ARCSEC, ns.reshape(x.shape) / _ARCSEC
