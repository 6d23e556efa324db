"""Real and independently simulated images by others, with the numbers that came with them."""

from __future__ import annotations

import numpy as np
import pytest
from real_images import DATA, needs_real_images

from trap.angles import separation
from trap.config import SourceExtractionConfig
from trap.extraction.forced import fit_positions
from trap.extraction.measure import extract_sources
from trap.images.image import Image

pytestmark = needs_real_images


def nearest(found, ra, dec, within_arcsec):
    """The one source near a position, as a table of one row."""
    near = np.flatnonzero(separation(found.ra, found.dec, ra, dec) * 3600 < within_arcsec)
    assert near.size == 1
    return found.take(near)


def extract(path, **settings):
    image = Image(DATA / path)
    return image, extract_sources(image, SourceExtractionConfig(analysis_threshold=3, **settings))


@pytest.mark.parametrize(
    ("name", "peak", "significance"),
    [("AMILA_GRB130427A_20130429", 0.914e-3, 15.8), ("AMILA_GRB130427A_20130504", 0.508e-3, 8.6)],
)
# The numbers are from free fits; the source is a little wider than the beam, though not more than noise explains.
@pytest.mark.parametrize(("force_beam", "tolerance"), [(False, 0.03), (True, 0.05)])
def test_fading_afterglow_is_the_only_source(name, peak, significance, force_beam, tolerance):
    shape = {"force_beam": force_beam, "point_like_sigma": 0.0}
    _, extraction = extract(f"ami_grb130427a/{name}.fits", detection_threshold=6, **shape)
    found = extraction.measurements
    assert len(found) == 1
    source = nearest(found, 173.1367, 27.6989, 5)
    assert source.f_peak[0] == pytest.approx(peak, rel=tolerance)
    assert source.significance[0] == pytest.approx(significance, rel=0.15)


def test_brighter_source_of_grb120422a():
    _, extraction = extract("ami_grb120422a/GRB120422A-120429.fits", detection_threshold=6, force_beam=False)
    assert len(extraction.measurements) == 1
    source = nearest(extraction.measurements, 136.896042, 14.022187, 3)
    assert source.f_peak[0] == pytest.approx(0.742e-3, abs=0.107e-3)


def test_lofar_sources_and_the_absence_of_one():
    image, extraction = extract(
        "lofar_grb201006a/GRB201006A_t0002_cutout.fits",
        detection_threshold=5,
        margin=0,
        extraction_radius_pix=0,
    )
    named = [(61.3866, 63.2291, 0.099), (61.7931, 63.3067, 0.091), (61.1837, 63.3151, 0.074), (61.4462, 63.3319, 0.052)]
    for ra, dec, peak in named:
        assert nearest(extraction.measurements, ra, dec, 8).f_peak[0] == pytest.approx(peak, rel=0.15)
    forced = fit_positions(
        image,
        [61.422634],
        [63.333345],
        background=extraction.background,
        neighbours=extraction.measurements,
        config=SourceExtractionConfig(margin=0, extraction_radius_pix=0),
    )
    assert abs(forced.f_int[0]) < 2 * forced.f_int_err[0]
    assert forced.rms[0] == pytest.approx(5.5e-3, rel=0.15)


STEADY = [(149.9834, -29.9778, 2.0), (149.9834, -30.0161, 2.0), (150.0206, -30.0161, 2.0), (150.0001, -30.0000, 1.0)]
EPOCHS = {
    1: STEADY,
    2: [*STEADY, (150.00385, -30.0, 2.0), (150.0207, -30.0, 2.0), (150.0205, -29.9778, 3.0)],
    3: STEADY,
    4: [*STEADY, (150.0207, -30.0, 2.0)],
}


@pytest.mark.parametrize("epoch", EPOCHS)
@pytest.mark.parametrize("force_beam", [True, False])
def test_simulated_askap_field_is_measured_as_injected(epoch, force_beam):
    # In epoch 2 two of the sources are 12″ apart, 1.2 beam widths.
    _, extraction = extract(f"vast_simulated/epoch0{epoch}.fits", detection_threshold=5, force_beam=force_beam)
    assert len(extraction.measurements) == len(EPOCHS[epoch])
    for ra, dec, flux in EPOCHS[epoch]:
        # Epoch 4 is shifted by 0.92″.
        assert nearest(extraction.measurements, ra, dec, 2).f_int[0] == pytest.approx(flux, rel=0.01)
