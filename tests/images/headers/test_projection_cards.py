import numpy as np
import pytest
from astropy.io.fits import Card
from astropy.wcs import WCS

from trap.errors import ImageError
from trap.images.headers.projection import celestial_wcs

ICRS = {"RADESYS": "ICRS"}
SKY = (350.85, 58.815)


def position(header):
    """The position of a pixel off the reference, in deg."""
    return np.array(celestial_wcs(header, "a.fits").all_pix2world(10, 10, 0))


@pytest.fixture
def expected(make_header):
    """The position of the same pixel in the plain header."""
    return np.array(WCS(make_header(**ICRS), naxis=2).all_pix2world(10, 10, 0))


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("DEG", 1.0), ("Degrees", 1.0), ("ARCSEC", 3600.0), ("Arcminutes", 60.0), ("RADIAN", np.pi / 180)],
)
def test_unit_of_the_sky_is_read_in_any_case_and_spelling(make_header, expected, unit, factor):
    changes = {f"CUNIT{axis}": unit for axis in (1, 2)}
    for axis, (value, step) in enumerate(zip(SKY, (-0.001, 0.001), strict=True), 1):
        changes |= {f"CRVAL{axis}": value * factor, f"CDELT{axis}": step * factor}
    assert position(make_header(**ICRS, **changes)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    "changes",
    [
        {"CTYPE3": "FREQ-TAB"},
        {"CTYPE3": "WAVE-TAB", "PS3_0": "TABLE"},
        {"CUNIT3": "parsnips"},
        {"CRVAL3": "high"},
        {"PV3_1": 1e300},
        {"WCSAXES": 1_000_000},
        {"WCSAXES": "two"},
        {"CRVAL99": 1.0},
        {"SPECSYS": 7, "RESTFRQ": "line", "VELREF": "radio"},
        {"CTYPE1": "ra---sin", "CTYPE2": "dec--sin", "RADESYS": "icrs"},
        {"CRVAL1": "350.85", "CDELT2": "1e-3"},
        {"EQUINOX": "J2000"},
        {"CD3_3": 2e6, "PC3_3": 1.0} | {"PC1_3": 0.0},
    ],
    ids=str,
)
def test_cards_of_other_axes_and_spellings_do_not_matter(make_header, expected, changes):
    assert position(make_header(**ICRS | changes)) == pytest.approx(expected, abs=1e-12)


def test_equinox_with_its_letter_is_a_number(make_header):
    plain, letter = (make_header(RADESYS="FK5", EQUINOX=equinox) for equinox in (1975.0, "J1975.0"))
    assert position(letter) == pytest.approx(position(plain), abs=1e-12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"CTYPE1": "RA---TAB"}, "CTYPE1 = 'RA---TAB': coordinates in a table cannot be read"),
        ({"CTYPE2": "DEC--TAB"}, "CTYPE2 = 'DEC--TAB'"),
        ({"CUNIT1": "parsnips"}, "CUNIT1 = 'parsnips': not a unit that converts to deg"),
        ({"CUNIT2": "Hz"}, "CUNIT2 = 'Hz'"),
        ({"CRVAL1": "east"}, "CRVAL1 = 'east': not a number"),
        ({"CRPIX2": True}, "CRPIX2 = True: not a number"),
        ({"CDELT1": "nan"}, "CDELT1 = 'nan': must be finite"),
        ({"PV2_1": "inf"}, "PV2_1 = 'inf': must be finite"),
        ({"A_ORDER": 3000, "B_ORDER": 2}, r"A_ORDER = 3000: not the order of a polynomial \(0 to 9\)"),
        ({"A_ORDER": 2, "B_ORDER": 1e300}, "B_ORDER"),
        ({"AP_ORDER": "x"}, "AP_ORDER = 'x': not a number"),
        ({"PC1_3": 0.3}, "PC1_3 = 0.3: the axes of the sky must not be mixed with other axes"),
        ({"CD4_2": 1e-3}, "CD4_2 = 0.001: the axes of the sky"),
        ({"CPDIS1": "LOOKUP"}, "the celestial projection cannot be used"),
        ({"CTYPE1": 7}, "the celestial projection cannot be used: Unmatched celestial axes"),
    ],
    ids=str,
)
def test_projection_that_cannot_be_used_is_one_error_of_the_image(make_header, changes, message):
    with pytest.raises(ImageError, match=rf"^a\.fits: {message}"):
        celestial_wcs(make_header(**ICRS | changes), "a.fits")


@pytest.mark.parametrize("error", [MemoryError, SystemError("error return without exception set"), ValueError("x")])
@pytest.mark.parametrize("function", ["WCS", "turn_to_icrs"])
def test_whatever_wcslib_raises_costs_one_image(make_header, monkeypatch, error, function):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(f"trap.images.headers.projection.{function}", fail)
    with pytest.raises(ImageError, match=r"a\.fits: the celestial projection cannot be used: (MemoryError|error|x)"):
        # Another position than in any other test, since projections are kept.
        celestial_wcs(make_header(CRVAL2=12.345), "a.fits")


def test_unreadable_card_of_another_axis_does_not_matter(make_header, expected):
    header = make_header(**ICRS)
    for card in ("CTYPE4  = 'never closed", "CRVAL4  = 1,5", "RESTFRQ = #", "OBSERVER= x"):
        header.append(Card.fromstring(card))
    assert position(header) == pytest.approx(expected, abs=1e-12)
