"""Beam-shaped sources far from the reference of every kind of projection have the flux density of their peak."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from projections import PARAMETERS

from trap.catalogues import Flag
from trap.config import SourceExtractionConfig
from trap.extraction.celestial import beam_form, local_beams
from trap.extraction.forced import fit_positions
from trap.extraction.measure import extract_sources
from trap.finder.shapes import measure_shapes
from trap.images.image import Image

FLUX, FWHM, RATIO, BPA, STEP, SIZE = 0.2, 0.12, 0.7, 30.0, 0.02, 72
CENTRE = (SIZE / 2 + 0.3, SIZE / 2 - 0.2)
PLACES = [
    # Equal-area projections, each at two places.
    *((code, place) for code in ("CEA", "SFL", "PAR", "MOL", "AIT") for place in ((100.0, 40.0), (20.0, -60.0))),
    *(("HPX", place) for place in ((3.0, 4.0), (10.0, 35.0), (20.0, 70.0))),
    *(("ZEA", place) for place in ((100.0, 30.0), (20.0, -50.0))),
    ("COE", (40.0, 60.0)), ("BON", (40.0, 60.0)), ("QSC", (30.0, 30.0)), ("XPH", (30.0, 80.0)),
    # Zenithal projections.
    *((code, place) for code in ("TAN", "ARC", "STG", "AIR", "ZPN") for place in ((40.0, 30.0), (5.0, -50.0))),
    ("AZP", (15.0, 10.0)), ("SZP", (15.0, 10.0)), ("SIN", (40.0, 30.0)), ("SIN", (5.0, -60.0)),
    # Others.
    ("CAR", (10.0, 45.0)), ("CAR", (10.0, 69.0)), ("MER", (10.0, 60.0)), ("TSC", (3.0, 4.0)), ("TSC", (30.0, 30.0)),
]  # fmt: skip


def header_of(code, position, axes=("RA--", "DEC-")):
    """Make the header of a small image around a position, whose reference is far away."""
    reference = (0.0, 45.0) if code in ("COE", "BON") else (0.0, 90.0) if code == "XPH" else (0.0, 0.0)
    header = fits.Header(
        {
            "NAXIS": 2, "NAXIS1": SIZE, "NAXIS2": SIZE, "CTYPE1": f"{axes[0]}-{code}", "CTYPE2": f"{axes[1]}-{code}",
            "CRVAL1": reference[0], "CRVAL2": reference[1], "CDELT1": -STEP, "CDELT2": STEP, "RADESYS": "ICRS",
            "BMAJ": FWHM, "BMIN": FWHM * RATIO, "BPA": BPA, "BUNIT": "Jy/beam", "RESTFRQ": 1.4e9, "RESTBW": 1e6,
            "DATE-OBS": "2026-01-01T00:00:00", **PARAMETERS.get(code, {}),
        }
    )  # fmt: skip
    x, y = WCS(header, naxis=2).all_world2pix(*position, 0)
    header["CRPIX1"], header["CRPIX2"] = float(np.round(SIZE / 2 - x)), float(np.round(SIZE / 2 - y))
    return header


def image_of(header, major_scale=1.0):
    """Draw a source with the shape of the beam on the sky, pixel by pixel, in the system of the header."""
    wcs = WCS(header, naxis=2)
    pixels = SkyCoord(*wcs.all_pix2world(*np.meshgrid(np.arange(SIZE), np.arange(SIZE)), 0), unit="deg")
    source = SkyCoord(*wcs.all_pix2world(*CENTRE, 0), unit="deg")
    distance, angle = source.separation(pixels).deg, source.position_angle(pixels).deg - BPA
    along, across = distance * np.cos(np.radians(angle)), distance * np.sin(np.radians(angle))
    exponent = (along / FWHM / major_scale) ** 2 + (across / FWHM / RATIO) ** 2
    data = FLUX * np.exp(-4 * np.log(2) * exponent) + np.random.default_rng(0).normal(0, 2e-4, (SIZE, SIZE))
    return Image.from_array(data.astype("f4"), header)


@pytest.fixture(scope="module")
def config():
    return SourceExtractionConfig()


@pytest.mark.parametrize(("code", "position"), PLACES)
def test_beam_shaped_source_has_its_peak_as_total_anywhere(code, position, config):
    image = image_of(header_of(code, position))
    found = extract_sources(image, config).measurements
    assert found.f_int == pytest.approx([FLUX], rel=0.01)
    assert found.f_peak == pytest.approx([FLUX], rel=0.01)
    assert found.semimajor == pytest.approx([1800 * FWHM], rel=0.01)
    assert found.semiminor == pytest.approx([1800 * FWHM * RATIO], rel=0.01)
    assert found.pa == pytest.approx([BPA], abs=0.5)


@pytest.mark.parametrize(("code", "position"), [("CAR", (10.0, 69.0)), ("TSC", (3.0, 4.0)), ("TAN", (40.0, 30.0))])
def test_beam_shaped_fits_have_the_local_beam(code, position):
    image, config = image_of(header_of(code, position)), SourceExtractionConfig(force_beam=True)
    extracted = extract_sources(image, config)
    assert extracted.measurements.f_int == pytest.approx([FLUX], rel=0.01)
    ra, dec = WCS(image.header, naxis=2).all_pix2world(*CENTRE, 0)
    forced = fit_positions(
        image, ra, dec, background=extracted.background, neighbours=extracted.measurements, config=config
    )
    assert forced.f_peak == pytest.approx([FLUX], rel=0.01)
    assert forced.f_int == pytest.approx([FLUX], rel=0.01)
    shapes = measure_shapes(extracted.measurements, image, config)
    assert (shapes.semimajor_dc[0], shapes.n_unresolved[0]) == (0, 2)
    assert np.isnan(shapes.semimajor_err).all()


def test_resolved_source_has_the_flux_density_of_its_area_on_the_sky(config):
    image = image_of(header_of("CAR", (10.0, 69.0)), major_scale=2.0)
    found = extract_sources(image, config).measurements
    assert found.f_int == pytest.approx([2 * FLUX], rel=0.01)


def test_beam_of_a_galactic_image_is_oriented_by_galactic_north(config):
    header = header_of("CAR", (10.0, 45.0), axes=("GLON", "GLAT"))
    found = extract_sources(image_of(header), config).measurements
    assert found.f_int == pytest.approx([FLUX], rel=0.01)
    # The angle from galactic to celestial north at the source.
    source = SkyCoord(found.ra[0], found.dec[0], unit="deg").galactic
    turn = source.icrs.position_angle(SkyCoord(0, 90, unit="deg", frame="galactic").icrs).deg
    assert np.sin(np.radians(found.pa[0] - BPA - turn)) == pytest.approx(0, abs=0.01)
    assert found.flags[0] & int(Flag.POINT_LIKE)


@pytest.mark.parametrize("code", ["SIN", "TAN", "ARC", "STG", "ZEA"])
def test_image_that_was_restored_in_its_plane_has_one_beam_in_it(code, config):
    # The imager draws the beam of the reference in pixels, 50° away from it too.
    header = header_of(code, (40.0, 30.0))
    (u, v), angle = np.meshgrid(np.arange(SIZE), np.arange(SIZE)), np.radians(BPA)
    east, north = -STEP * (u - CENTRE[0]), STEP * (v - CENTRE[1])
    along, across = north * np.cos(angle) + east * np.sin(angle), north * np.sin(angle) - east * np.cos(angle)
    data = FLUX * np.exp(-4 * np.log(2) * ((along / FWHM) ** 2 + (across / FWHM / RATIO) ** 2))
    data += np.random.default_rng(0).normal(0, 2e-4, data.shape)
    found = extract_sources(Image.from_array(data.astype("f4"), header), config).measurements
    assert found.f_int == pytest.approx([FLUX], rel=0.01)
    assert found.f_peak == pytest.approx([FLUX], rel=0.01)


@pytest.mark.parametrize("code", ["SIN", "TAN", "ARC", "ZEA", "CAR"])
def test_small_field_at_its_reference_has_one_beam(code):
    header = header_of(code, (0.0, 0.0))
    image = Image.from_array(np.zeros((SIZE, SIZE)), header)
    beam = image.require_beam()
    assert local_beams(beam, image.wcs, (SIZE, SIZE)) is None
    expected = beam.quadratic_form(-STEP, STEP)
    assert beam_form(beam, image.wcs, (SIZE, SIZE)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("code", "declination"), [("CAR", 89.999), ("CEA", 89.9), ("MER", -89.99)])
def test_pole_that_is_a_line_has_the_scale_of_the_header(code, declination, config):
    # There a pixel is a thousandth of its width elsewhere, and the beam thousands of pixels.
    data = np.random.default_rng(0).normal(0, 2e-4, (SIZE, SIZE))
    image = Image.from_array(data, header_of(code, (10.0, declination)))
    assert abs(image.metadata.deltax) == pytest.approx(STEP)
    assert len(extract_sources(image, config).measurements) == 0


def test_size_of_a_pixel_is_the_local_one():
    metadata = Image.from_array(np.zeros((SIZE, SIZE)), header_of("CAR", (10.0, 69.0))).metadata
    # A degree of longitude is cos 69° of a degree on the sky there.
    assert metadata.deltax == pytest.approx(-STEP * np.cos(np.radians(69)), rel=0.01)
    assert metadata.deltay == pytest.approx(STEP, rel=1e-3)
