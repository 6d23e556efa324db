from itertools import product

import numpy as np
import pytest
from astropy.coordinates import FK4, FK5, ICRS, BarycentricMeanEcliptic, Galactic, SkyCoord, Supergalactic
from astropy.io import fits
from astropy.wcs import PRJ_CODES, WCS
from projections import PARAMETERS

from trap.angles import separation
from trap.errors import ImageError
from trap.images.headers.projection import celestial_wcs

ZENITHAL = ("AZP", "SZP", "TAN", "STG", "SIN", "ARC", "ZPN", "ZEA", "AIR", "XPH")
REFERENCES = [(0.0, 0.0), (150.0, -30.0), (266.4, 45.0), (123.4, 90.0), (10.0, -90.0)]
SYSTEMS = [
    (("RA--", "DEC-"), {"RADESYS": "FK5", "EQUINOX": 2000.0}, FK5()),
    (("GLON", "GLAT"), {"RADESYS": "ICRS"}, Galactic()),
    (("RA--", "DEC-"), {"RADESYS": "ICRS"}, ICRS()),
    (("SLON", "SLAT"), {}, Supergalactic()),
    (("ELON", "ELAT"), {"EQUINOX": 2000.0}, BarycentricMeanEcliptic()),
    (("RA--", "DEC-"), {"EQUINOX": 1975.0, "RADESYS": "FK5"}, FK5(equinox="J1975")),
]
# Each projection is tried at all references, each reference in another system.
CASES = [(code, at, (PRJ_CODES.index(code) + at) % len(SYSTEMS)) for code, at in product(PRJ_CODES, range(5))]
CASES += [(code, at, 0) for code in ("AIT", "CAR", "MER", "SFL", "CEA", "MOL") for at in (3, 4)]


def header_of(code, reference, system, step=0.002, **changes):
    axes, keywords, _ = system
    values = {"NAXIS": 2, "NAXIS1": 60, "NAXIS2": 40, "CRPIX1": 28.3, "CRPIX2": 21.7, "CDELT1": -step, "CDELT2": step}
    values |= {"CTYPE1": f"{axes[0]}-{code}", "CTYPE2": f"{axes[1]}-{code}", "CROTA2": 10.0}
    values |= {"CRVAL1": reference[0], "CRVAL2": reference[1]}
    return fits.Header(values | PARAMETERS.get(code, {}) | keywords | changes)


def expected_of(header, x, y, frame):
    """Return the ICRS positions of pixels, by the transformation of astropy."""
    position = SkyCoord(*WCS(header, naxis=2).all_pix2world(x, y, 0), unit="deg", frame=frame).icrs
    return position.ra.deg, position.dec.deg


def assert_projected(header, frame, step, pixels=1e-3):
    x, y = np.random.default_rng(1).uniform(-2, 60, (2, 12))
    expected = expected_of(header, x, y, frame)
    found = celestial_wcs(header, "a.fits").all_pix2world(x, y, 0)
    is_known = np.isfinite(expected[0])
    assert is_known.any()
    assert separation(*found, *expected)[is_known].max() < pixels * step


@pytest.mark.parametrize(("code", "at", "system"), CASES)
def test_every_projection_is_that_of_astropy_within_a_thousandth_of_a_pixel(code, at, system):
    # At the north pole without LONPOLE this package follows the field, and not the default of the standard.
    pole = {"LONPOLE": 180.0} if REFERENCES[at][1] == 90 and code in ZENITHAL else {}
    header = header_of(code, REFERENCES[at], SYSTEMS[system], **pole)
    assert_projected(header, SYSTEMS[system][2], 0.002)


@pytest.mark.parametrize("code", ["CAR", "AIT", "SFL", "ZEA", "HPX", "TSC"])
def test_whole_sky_is_rotated(code):
    assert_projected(header_of(code, (30.0, 0.0), SYSTEMS[1], step=3.0), Galactic(), 3.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"LONPOLE": 143.0},
        {"LONPOLE": 150.0, "LATPOLE": -80.0},
        {"PV1_3": 143.0},
        {"PV1_1": 20.0, "PV1_2": 30.0},
        {"PV1_0": 1.0, "PV1_1": 20.0, "PV1_2": 30.0},
        {"CRPIX1": 5000.0, "CRPIX2": -9000.0},
        {"NAXIS": 4, "NAXIS3": 1, "NAXIS4": 1, "CTYPE3": "FREQ", "CTYPE4": "STOKES"},
        {"CTYPE1": "GLON-SIN", "CTYPE2": "GLAT-SIN", "PV2_1": 0.1, "PV2_2": -0.2},
    ],
)
def test_any_pole_and_reference_is_rotated(changes):
    assert_projected(header_of("CAR", (150.0, -30.0), SYSTEMS[1], **changes), Galactic(), 0.002)


def test_b1950_image_far_from_its_reference_is_rotated_for_its_own_place():
    # The aberration within FK4 is no rotation: the rotation at the reference would be 0.3″ off here.
    system = (("RA--", "DEC-"), {"RADESYS": "FK4", "EQUINOX": 1950.0}, FK4())
    header = header_of("CAR", (0.0, 0.0), system, CRPIX1=60000.0, CRPIX2=-30000.0)
    x, y = np.array([0.0, 59.0, 30.0]), np.array([0.0, 39.0, 12.0])
    found = celestial_wcs(header).all_pix2world(x, y, 0)
    assert separation(*found, *expected_of(header, x, y, FK4())).max() * 3600 < 1e-3


@pytest.mark.parametrize("changes", [{}, {"CROTA2": 0.0}, {"RADESYS": "FK4"}])
def test_aberration_over_a_wide_b1950_field_is_less_than_a_thousandth_of_a_pixel(changes):
    system = (("RA--", "DEC-"), {"EQUINOX": 1950.0}, FK4())
    header = header_of("SIN", (200.0, -60.0), system, NAXIS1=9000, NAXIS2=9000, CRPIX1=4500.5, CRPIX2=4500.5, **changes)
    header["CDELT1"], header["CDELT2"] = -1 / 3600, 1 / 3600
    x, y = np.random.default_rng(1).uniform(0, 9000, (2, 30))
    found = celestial_wcs(header).all_pix2world(x, y, 0)
    assert separation(*found, *expected_of(header, x, y, FK4())).max() * 3600 < 1e-3


def test_whole_b1950_sky_is_rotated():
    system = (("RA--", "DEC-"), {"EQUINOX": 1950.0}, FK4())
    assert_projected(header_of("CAR", (30.0, 0.0), system, step=6.0), FK4(), 6.0)


def test_ecliptic_axes_are_turned_by_the_obliquity():
    header = header_of("TAN", (90.0, 0.0), SYSTEMS[4], CRPIX1=1.0, CRPIX2=1.0)
    ra, dec = celestial_wcs(header).all_pix2world(0, 0, 0)
    # The solstice of J2000: the obliquity of the ecliptic is 23° 26′ 21.4″.
    assert (float(ra), float(dec)) == pytest.approx((90.0, 23.439280), abs=1e-5)


def test_supergalactic_north_pole_is_in_hercules():
    header = header_of("SIN", (0.0, 90.0), SYSTEMS[3], CRPIX1=1.0, CRPIX2=1.0)
    ra, dec = celestial_wcs(header).all_pix2world(0, 0, 0)
    # de Vaucouleurs et al. (1991): l = 47.37°, b = +6.32°; in J2000 18h 55m 01s, +15° 42′ 32″.
    assert (float(ra), float(dec)) == pytest.approx((283.754, 15.709), abs=2e-3)


def test_name_of_a_system_may_have_small_letters():
    plain, small = (
        celestial_wcs(header_of("TAN", (30.0, 40.0), (("RA--", "DEC-"), {"RADESYS": name, "EQUINOX": 1950.0}, None)))
        for name in ("FK4", "fk4")
    )
    assert small.wcs.crval == pytest.approx(plain.wcs.crval, abs=1e-12)


@pytest.mark.parametrize("radesys", ["ICRS", "FK5", "FK4"])
def test_galactic_axes_have_no_equatorial_system(radesys):
    header = header_of("TAN", (0.0, 0.0), (("GLON", "GLAT"), {"RADESYS": radesys}, None), CRPIX1=1.0, CRPIX2=1.0)
    ra, dec = celestial_wcs(header).all_pix2world(0, 0, 0)
    assert (float(ra), float(dec)) == pytest.approx((266.40499, -28.93617), abs=1e-4)


@pytest.mark.parametrize(
    ("axes", "keywords", "message"),
    [
        (("TLON", "TLAT"), {}, "unknown celestial axes: TLON/TLAT"),
        (("HPLN", "HPLT"), {}, "unknown celestial axes: HPLN/HPLT"),
        (("HLON", "HLAT"), {}, "unknown celestial axes: HLON/HLAT"),
        (("ELON", "ELAT"), {"RADESYS": "FK4", "EQUINOX": 1950.0}, "unknown ecliptic system: RADESYS 'FK4'"),
        (("ELON", "ELAT"), {"EQUINOX": 1950.0}, "unknown ecliptic system: RADESYS 'FK4'"),
        (("RA--", "DEC-"), {"RADESYS": "GAPPT"}, "unknown celestial system: RADESYS 'GAPPT'"),
    ],
)
def test_unknown_system_is_refused_by_name(axes, keywords, message):
    with pytest.raises(ImageError, match=rf"a\.fits: {message}"):
        celestial_wcs(header_of("SIN", (30.0, 10.0), (axes, keywords, None)), "a.fits")
