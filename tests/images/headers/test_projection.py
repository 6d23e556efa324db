import numpy as np
import pytest
from astropy.coordinates import FK4, FK5, Galactic, SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from trap.angles import separation
from trap.errors import ImageError
from trap.images.headers.projection import celestial_wcs, centre_position
from trap.images.headers.scale import pixel_increments


def test_pixels_are_array_indices_and_positions_those_of_trap(make_header):
    # TraP's check values, whose pixels count from 0 at a reference pixel of 1440.
    header = make_header(CRPIX1=1441, CRPIX2=1441, CDELT1=-1 / 30, CDELT2=1 / 30)
    wcs = celestial_wcs(header)
    ra, dec = wcs.all_pix2world([1441, 1440, 1380], [1441, 1500, 1440], 0)
    assert ra == pytest.approx([350.785563529949, 350.85, 354.70898191482644], abs=1e-10)
    assert dec == pytest.approx([58.848317299883, 60.815406379421418, 58.757358624100824], abs=1e-10)


def test_field_at_the_pole_is_right(make_header):
    header = make_header(CRVAL1=15, CRVAL2=90, CRPIX1=1025, CRPIX2=1025, CDELT1=-0.0111111, CDELT2=0.0111111)
    ra, dec = celestial_wcs(header).all_pix2world(908 - 1, 715 - 1, 0)
    assert (ra, dec) == (pytest.approx(35.7, abs=0.05), pytest.approx(86.3, abs=0.05))


@pytest.mark.parametrize(
    ("changes", "frame"),
    [
        ({"RADESYS": "FK5", "EQUINOX": 2000.0}, FK5()),
        ({"RADESYS": "FK5", "EQUINOX": 2013.5}, FK5(equinox="J2013.5")),
        ({"RADESYS": "FK4", "EQUINOX": 1950.0}, FK4(equinox="B1950")),
        ({"CTYPE1": "GLON-SIN", "CTYPE2": "GLAT-SIN"}, Galactic()),
        ({"CTYPE1": "GLON-CAR", "CTYPE2": "GLAT-CAR"}, Galactic()),
        ({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "RADESYS": "FK5", "CRVAL2": 90.0, "LONPOLE": 170.0}, FK5()),
        ({"CTYPE1": "RA---CAR", "CTYPE2": "DEC--CAR", "RADESYS": "FK5", "CRVAL2": 0.0}, FK5()),
        ({"RADESYS": "FK5", "LONPOLE": 150.0, "CRVAL2": -89.99}, FK5()),
    ],
)
def test_projection_of_any_frame_is_rotated_to_icrs(make_header, changes, frame):
    header = make_header(**changes)
    x, y = np.array([0.0, 59.0, 30.0, -3.3]), np.array([0.0, 39.0, 12.5, 41.0])
    longitude, latitude = WCS(header, naxis=2).all_pix2world(x, y, 0)
    expected = SkyCoord(longitude, latitude, unit="deg", frame=frame).icrs
    ra, dec = celestial_wcs(header).all_pix2world(x, y, 0)
    # The aberration within B1950 positions is not quite the same at the pole as here: 0.13 mas. For the
    # others, 36 µas allow for the rounding of wcslib where LATPOLE is poorly determined.
    tolerance = 1e-3 / 3600 if isinstance(frame, FK4) else 1e-8
    assert separation(ra, dec, expected.ra.deg, expected.dec.deg) == pytest.approx(0, abs=tolerance)


def test_projection_in_icrs_is_left_as_it_is(make_header):
    header = make_header(RADESYS="ICRS")
    expected = WCS(header, naxis=2).to_header()
    for date in ("DATE-OBS", "MJD-OBS", "MJDREF"):
        expected.remove(date, ignore_missing=True)
    found = celestial_wcs(header).to_header()
    found.remove("MJDREF", ignore_missing=True)
    assert found == expected


def test_projection_depends_on_nothing_but_the_projection(make_header):
    header = make_header(BMAJ=0.1, OBJECT="field 1", **{"DATE-OBS": "2020-01-02T03:04:05"})
    assert celestial_wcs(header) is celestial_wcs(make_header())
    assert celestial_wcs(make_header(CRVAL1=200.0)) is not celestial_wcs(make_header())


@pytest.mark.parametrize(
    "distortion",
    [
        {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "A_ORDER": 2, "A_2_0": 1e-5, "B_ORDER": 2, "B_0_2": 2e-5},
        {"CTYPE1": "RA---TPV", "CTYPE2": "DEC--TPV", "PV1_1": 1.01, "PV2_1": 0.99, "PV1_4": 1e-3},
        {"CTYPE1": "RA---ZPN", "CTYPE2": "DEC--ZPN", "PV2_1": 1.0, "PV2_3": 0.1},
    ],
    ids=["SIP", "TPV", "ZPN"],
)
def test_distortions_are_kept(make_header, distortion):
    header = make_header(RADESYS="ICRS", CUNIT1="deg", CUNIT2="deg", **distortion)
    pixels = np.random.default_rng(1).uniform(0, 50, (2, 20))
    expected = WCS(header, naxis=2).all_pix2world(*pixels, 0)
    assert np.array(celestial_wcs(header).all_pix2world(*pixels, 0)) == pytest.approx(np.array(expected), abs=1e-12)


def test_matrix_and_rotation_are_kept(make_header):
    cos, sin = np.cos(np.radians(25)), np.sin(np.radians(25))
    matrix = {"CD1_1": -0.001 * cos, "CD1_2": -0.002 * sin, "CD2_1": -0.001 * sin, "CD2_2": 0.002 * cos}
    wcs = celestial_wcs(make_header(CDELT1=None, CDELT2=None, **matrix))
    assert pixel_increments(wcs, 60, 40) == pytest.approx((-0.001, 0.002))


@pytest.mark.parametrize(
    ("angle", "expected"),
    [(0, (-0.001, 0.001)), (45, (-0.001, 0.001)), (90, (-0.001, 0.001)), (180, (0.001, -0.001))],
)
def test_increments_have_the_size_of_a_pixel_and_the_sign_of_the_diagonal(make_header, angle, expected):
    wcs = celestial_wcs(make_header(CROTA2=float(angle)))
    assert pixel_increments(wcs, 60, 40) == pytest.approx(expected)


def test_old_name_of_a_projection_is_no_warning(make_header):
    wcs = celestial_wcs(make_header(CTYPE1="RA---NCP", CTYPE2="DEC--NCP"))
    assert wcs.wcs.ctype[0] == "RA---SIN"


def test_unreadable_date_does_not_affect_the_projection(make_header):
    assert celestial_wcs(make_header(DATE_OBS="01-JUL-8")).naxis == 2


def test_middle_of_the_image_is_between_the_middle_pixels(make_header):
    # Of 60 by 40 pixels with the reference pixel 30.5, 20.5 the middle is the reference itself.
    assert centre_position(celestial_wcs(make_header()), 60, 40) == pytest.approx((350.85, 58.815))


@pytest.mark.parametrize("ra", [0.0, 360.0, -1e-9, 720.0])
def test_middle_has_a_right_ascension_below_360(make_header, ra):
    centre_ra, _ = centre_position(celestial_wcs(make_header(CRVAL1=ra)), 60, 40)
    assert 0 <= centre_ra < 360


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"CTYPE1": None, "CTYPE2": None}, "not a longitude and a latitude on the sky: CTYPE1 = ''"),
        ({"CTYPE1": "DEC--SIN", "CTYPE2": "RA---SIN", "CRVAL1": 9.0, "CRVAL2": 9.0}, "CTYPE1 = 'DEC--SIN'"),
        ({"CTYPE1": "FREQ", "CTYPE2": "STOKES", "CTYPE3": None}, "CTYPE2 = 'STOKES'"),
        ({"CTYPE1": "RA---XYZ", "CTYPE2": "DEC--XYZ"}, "celestial projection cannot be used"),
        ({"CTYPE2": "DEC--TAN"}, "celestial projection cannot be used"),
        ({"CDELT1": 0.0}, "celestial projection cannot be used"),
    ],
)
def test_header_without_a_sky_is_refused(make_header, changes, message):
    with pytest.raises(ImageError, match=message) as caught:
        celestial_wcs(make_header(**changes), "a.fits")
    assert str(caught.value).startswith("a.fits: ")


def test_empty_header_is_refused():
    with pytest.raises(ImageError, match="not a longitude"):
        celestial_wcs(fits.Header())


@pytest.mark.parametrize(
    ("changes", "position", "expected"),
    [
        # TraP's check values, to three decimals; FK5, which it comes to, is ICRS to far more.
        ({"CTYPE1": "GLON-SIN", "CTYPE2": "GLAT-SIN"}, (10.0, 10.0), (262.8929, -15.2080)),
        ({"CTYPE1": "GLON-SIN", "CTYPE2": "GLAT-SIN"}, (350.0, -10.0), (271.0072, -42.5449)),
        ({"CTYPE1": "GLON-SIN", "CTYPE2": "GLAT-SIN"}, (118.2744, -52.7683), (10.0, 10.0)),
        ({"RADESYS": "FK4", "EQUINOX": 1950.0}, (10.0, 10.0), (10.6496, 10.2738)),
        ({"RADESYS": "FK4", "EQUINOX": 1950.0}, (180.0, 45.0), (180.6391, 44.7217)),
    ],
)
def test_other_systems_are_converted_to_icrs_as_in_trap(make_header, changes, position, expected):
    header = make_header(CRVAL1=position[0], CRVAL2=position[1], **changes)
    ra, dec = celestial_wcs(header).all_pix2world(29.5, 19.5, 0)
    assert (float(ra), float(dec)) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("equinox", [0.0, -1e9, 1e308])
def test_impossible_equinox_is_refused(make_header, equinox):
    with pytest.raises(ImageError, match=r"a\.fits: EQUINOX = .*: must be 1800 to 2200"):
        celestial_wcs(make_header(RADESYS="FK5", EQUINOX=equinox), "a.fits")
