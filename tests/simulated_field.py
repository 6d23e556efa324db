"""Simulated fields of point sources that are as hard as real fields, for the accuracy test and the benchmarks.

The noise is correlated on the scale of the beam and its level rises threefold across the field. The background has a
gradient, and there are no values outside a circle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from astropy.io.fits import Header
from scipy.spatial import cKDTree

from trap.images.beam import Beam
from trap.images.image import Image
from trap.simulation.pixels import noise_transfer, render_noise, render_sources

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

PIXEL_DEG = 2.0 / 3600
FWHM_PER_SIGMA = float(np.sqrt(8 * np.log(2)))
SMALLEST_RMS = 1e-4


@dataclass(frozen=True, kw_only=True)
class Field:
    """A simulated image and its sources: positions in pixels, flux densities in Jy, S/N, and the noise map."""

    image: Image
    x: Array
    y: Array
    flux: Array
    signal_to_noise: Array
    rms: NDArray[np.float32]
    beam_form: Array

    def beam_plane(self, x: Array, y: Array) -> Array:
        """Return positions, (n, 2), in units of the beam's FWHM in their direction."""
        form = np.array([self.beam_form[:2], self.beam_form[1:]])
        return np.column_stack([x, y]) @ np.linalg.cholesky(form) / FWHM_PER_SIGMA

    @property
    def separation(self) -> Array:
        """Return the distance of the nearest other source, (n,), in FWHM."""
        places = self.beam_plane(self.x, self.y)
        return cKDTree(places).query(places, k=2)[0][:, 1]


def simulate_field(
    seed: int,
    *,
    size: int = 1024,
    n_sources: int = 1000,
    power: float = -1.5,
    fwhm: tuple[float, float] | None = None,
) -> Field:
    """Draw a field: S/N from 5 to 1000 with N(>S) ∝ S^power, a beam of 4 to 6 pixels unless given, at any angle."""
    rng = np.random.default_rng(seed)
    bmin, bmaj = np.sort(rng.uniform(4, 6, 2) if fwhm is None else fwhm)
    beam = Beam(bmaj=bmaj * PIXEL_DEG, bmin=bmin * PIXEL_DEG, bpa=rng.uniform(0, 180))
    form = beam.quadratic_form(-PIXEL_DEG, PIXEL_DEG)
    y, x = (np.arange(size, dtype=np.float32) / size - 0.5 for _ in range(2))
    slope = (x + y[:, np.newaxis]) / 2
    rms = np.float32(SMALLEST_RMS) * (2 + 2 * slope)
    radius, angle = 0.47 * size * np.sqrt(rng.random(n_sources)), rng.uniform(0, 2 * np.pi, n_sources)
    source_x, source_y = size / 2 + radius * np.cos(angle), size / 2 + radius * np.sin(angle)
    signal_to_noise = (5**power + rng.random(n_sources) * (1000**power - 5**power)) ** (1 / power)
    flux = signal_to_noise * rms[np.rint(source_y).astype(int), np.rint(source_x).astype(int)]
    data = render_sources(source_x, source_y, flux, beam_form=form, shape=(size, size)).astype(np.float32)
    data += rms * render_noise(rng, noise_transfer(form, (size, size)), (size, size))
    data += np.float32(5 * SMALLEST_RMS) * slope
    data[np.hypot(x, y[:, np.newaxis]) > 0.48] = np.nan
    return Field(
        image=Image.from_array(data, header_of(beam, size)),
        x=source_x,
        y=source_y,
        flux=flux,
        signal_to_noise=signal_to_noise,
        rms=rms,
        beam_form=np.array(form),
    )


def add_sources(
    field: Field, x: Array, y: Array, signal_to_noise: float, form: tuple[float, float, float] | None = None
) -> Field:
    """Add sources of one S/N to the pixels of a field, but not to its list; None gives them the beam's shape."""
    flux = signal_to_noise * field.rms[np.rint(y).astype(int), np.rint(x).astype(int)]
    a, b, c = field.beam_form if form is None else form
    pixels = field.image.data + render_sources(x, y, flux, beam_form=(a, b, c), shape=field.image.data.shape)
    return replace(field, image=Image.from_array(pixels.astype(np.float32), field.image.header))


def header_of(beam: Beam, size: int) -> Header:
    """Make the header of a square image."""
    cards = {
        "SIMPLE": True,
        "BITPIX": -32,
        "NAXIS": 2,
        "NAXIS1": size,
        "NAXIS2": size,
        "BUNIT": "JY/BEAM",
        "BMAJ": beam.bmaj,
        "BMIN": beam.bmin,
        "BPA": beam.bpa,
        "DATE-OBS": "2026-01-01T00:00:00",
        "EXPTIME": 60.0,
        "RESTFRQ": 1.4e9,
        "EQUINOX": 2000.0,
        "TELESCOP": "LOFAR",
    }
    axes = (("RA---SIN", 150.0, (size + 1) / 2, -PIXEL_DEG), ("DEC--SIN", 30.0, (size + 1) / 2, PIXEL_DEG))
    spectrum = (("FREQ", 1.4e9, 1.0, 1e7), ("STOKES", 1.0, 1.0, 1.0))
    for number, (kind, value, pixel, step) in enumerate((*axes, *spectrum), start=1):
        cards |= {f"CTYPE{number}": kind, f"CRVAL{number}": value, f"CRPIX{number}": pixel, f"CDELT{number}": step}
        cards[f"CUNIT{number}"] = {"FREQ": "Hz", "STOKES": ""}.get(kind, "deg")
    return Header(cards)
