"""Images of noise alone: as many peaks are found as expected, of either sign, by the pipeline's own measurements."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from trap.association.noise_peaks import SearchedArea, noise_peaks
from trap.config import PipelineConfig
from trap.extraction.measure import extract_sources
from trap.images.beam import Beam
from trap.images.image import Image
from trap.simulation.pixels import noise_transfer, render_noise
from trap.steps.quality import measure_area

SHAPE, N_IMAGES = (384, 384), 24


def images_of_noise(beam, like_beam, seed):
    """Noise that is correlated like the beam, or white noise that was convolved with it; pixels of 1 arcsec."""
    bmaj, bmin, bpa = beam
    form = Beam(bmaj=bmaj / 3600, bmin=bmin / 3600, bpa=bpa).quadratic_form(-1 / 3600, 1 / 3600)
    transfer = noise_transfer(tuple((2 if like_beam else 1) * value for value in form), SHAPE)
    rng = np.random.default_rng(seed)
    header = {
        "CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN", "CRVAL1": 30.0, "CRVAL2": 45.0, "CRPIX1": 192.5, "CRPIX2": 192.5,
        "CDELT1": -1 / 3600, "CDELT2": 1 / 3600, "BMAJ": bmaj / 3600, "BMIN": bmin / 3600, "BPA": bpa,
        "BUNIT": "Jy/beam", "DATE-OBS": "2026-01-01T00:00:00", "CTYPE3": "FREQ", "CRVAL3": 1.4e9, "CDELT3": 1e6,
        "CRPIX3": 1.0, "NAXIS": 3, "NAXIS3": 1,
    }  # fmt: skip
    for _ in range(N_IMAGES):
        yield Image.from_array(render_noise(rng, transfer, SHAPE), fits.Header(header), "noise")


@pytest.mark.parametrize(
    ("beam", "like_beam"),
    [((2.5, 2.5, 0.0), True), ((4.5, 3.5, 30.0), True), ((3.0, 3.0, 0.0), False)],
    ids=["few pixels", "like the beam", "convolved"],
)
def test_peaks_of_either_sign_are_as_many_as_expected(beam, like_beam):
    config = PipelineConfig().with_options(source_extraction={"detection_threshold": 4.0})
    total, heights = SearchedArea(), []
    for image in images_of_noise(beam, like_beam, seed=31):
        extraction = extract_sources(image, config.source_extraction)
        area, negative = measure_area(image, extraction.background, config)
        total += area
        heights += [*extraction.measurements.significance, *(4.0 + negative.depth)]
    for u in (4.0, 4.5):
        expected = 2 * float(noise_peaks(u, total))
        seen = int(np.sum(np.array(heights) >= u))
        print(f"{u} σ: {seen} peaks, {expected:.1f} expected")
        assert seen == pytest.approx(expected, rel=0.1, abs=3 * np.sqrt(expected)), u
