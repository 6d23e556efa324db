"""Simulated images with injected truth: noise smoothed with the beam, and beam-shaped sources."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from astropy.io.fits import Header
from scipy.signal import fftconvolve

from trap.config import SourceExtractionConfig
from trap.images.image import Image

PIXEL_DEG = 2.0 / 3600


def gaussian_values(u, v, form):
    """Compute Gaussians of peak 1 at offsets (u, v) from their centres; ``form`` is (..., 3)."""
    a, b, c = np.moveaxis(form, -1, 0)
    return np.exp(-(a * u * u + 2 * b * u * v + c * v * v) / 2)


@dataclass
class Sky:
    """A sky that can be imaged; the beam in pixels (FWHM) and degrees (position angle)."""

    nx: int = 256
    ny: int = 256
    bmaj: float = 5.0
    bmin: float = 4.0
    bpa: float = 30.0
    rms: float = 1e-3
    ra: float = 150.0
    dec: float = -30.0
    rotation: float = 0.0

    def header(self) -> Header:
        turn = np.radians(self.rotation)
        return Header(
            {
                "BITPIX": -32,
                "CTYPE1": "RA---SIN",
                "CTYPE2": "DEC--SIN",
                "CRVAL1": self.ra,
                "CRVAL2": self.dec,
                "CRPIX1": (self.nx + 1) / 2,
                "CRPIX2": (self.ny + 1) / 2,
                "CDELT1": -PIXEL_DEG,
                "CDELT2": PIXEL_DEG,
                "PC1_1": np.cos(turn),
                "PC1_2": -np.sin(turn),
                "PC2_1": np.sin(turn),
                "PC2_2": np.cos(turn),
                "CUNIT1": "deg",
                "CUNIT2": "deg",
                "BUNIT": "JY/BEAM",
                "BMAJ": self.bmaj * PIXEL_DEG,
                "BMIN": self.bmin * PIXEL_DEG,
                "BPA": self.bpa,
                "DATE-OBS": "2020-01-01T00:00:00",
                "CTYPE3": "FREQ",
                "CRVAL3": 1.0e9,
                "CDELT3": 1.0e8,
                "CRPIX3": 1.0,
                "CUNIT3": "Hz",
                "RESTFRQ": 1.0e9,
                "BANDWIDT": 1e8,
            }
        )

    def shape(self, u, v, bmaj=None, bmin=None, bpa=None):
        """Compute a Gaussian of peak 1 at pixel offsets; FWHM in pixels, angle in degrees; default: the beam."""
        angle = np.radians((self.bpa if bpa is None else bpa) - self.rotation)
        along, across = -u * np.sin(angle) + v * np.cos(angle), u * np.cos(angle) + v * np.sin(angle)
        scaled = (along / (bmaj or self.bmaj)) ** 2 + (across / (bmin or self.bmin)) ** 2
        return np.exp(-4 * np.log(2) * scaled)

    def noise(self, seed):
        half = int(3 * self.bmaj)
        v, u = np.mgrid[-half : half + 1, -half : half + 1]
        kernel = self.shape(u, v)
        white = np.random.default_rng(seed).normal(size=(self.ny + 2 * half, self.nx + 2 * half))
        return self.rms * fftconvolve(white, kernel / np.sqrt((kernel**2).sum()), mode="valid")

    def sources(self, x, y, peak, **shape):
        """Make an image of Gaussians without background."""
        image = np.zeros((self.ny, self.nx))
        rows, columns = np.mgrid[0 : self.ny, 0 : self.nx]
        for one_x, one_y, one_peak in zip(np.atleast_1d(x), np.atleast_1d(y), np.atleast_1d(peak), strict=True):
            image += one_peak * self.shape(columns - one_x, rows - one_y, **shape)
        return image

    def image(self, data):
        return Image.from_array(np.asarray(data, np.float32), self.header())


@pytest.fixture
def sky():
    return Sky()


@pytest.fixture
def config():
    """Return settings for the whole image, point sources and 5σ."""
    return SourceExtractionConfig(detection_threshold=5, analysis_threshold=3, margin=0, force_beam=True)


@pytest.fixture
def field(sky):
    """Return x and y of isolated point sources, each at another place within its pixel."""
    sky.nx = sky.ny = 512
    rng = np.random.default_rng(2)
    grid = np.arange(30, 482, 36.0)
    return tuple(a.ravel() + rng.uniform(-0.5, 0.5, a.size) for a in np.meshgrid(grid, grid))


@pytest.fixture
def stamped(sky):
    """Return a function that makes images of many point sources fast, each in a small box."""

    def image_of(x, y, peak):
        image = np.zeros((sky.ny, sky.nx))
        for one_x, one_y, one_peak in zip(x, y, np.broadcast_to(peak, len(x)), strict=True):
            left, low = max(int(one_x) - 17, 0), max(int(one_y) - 17, 0)
            v, u = np.mgrid[low : min(low + 36, sky.ny), left : min(left + 36, sky.nx)]
            image[low : low + 36, left : left + 36] += one_peak * sky.shape(u - one_x, v - one_y)
        return image

    return image_of
