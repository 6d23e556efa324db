from itertools import product

import numpy as np
import pytest
from astropy import units
from astropy.wcs import WCS
from hypothesis import given
from hypothesis import strategies as st

from trap.angles import separation
from trap.config import Given, ReadingConfig
from trap.errors import ImageError
from trap.images.headers.brightness import Kind, parse_brightness
from trap.images.headers.read import read_metadata
from trap.images.image import Image

PREFIXES = {"": 0, "m": -3, "u": -6, "µ": -6, "n": -9, "p": -12, "k": 3, "M": 6, "G": 9}
BY_CASE = {"m", "p", "M"}
"""Prefixes that are another one in the other case."""
SPELLINGS = {
    Kind.BEAM: [("Jy", "beam"), ("Jansky", "beam"), ("Jy", "bm")],
    Kind.PIXEL: [("Jy", "pixel"), ("Jy", "pix")],
    Kind.SOLID_ANGLE: [("Jy", "sr"), ("Jy", "steradian")],
}
ORDERS = ["{0}/{1}", "{0} / {1}", "{0} per {1}", "{0}/({1})", "({0}/{1})", "[{0}/{1}]"] + [
    before + separator + after
    for separator in (" ", ".", "*", " * ", "·")
    for before, after in product(("{0}",), ("{1}-1", "{1}^-1", "{1}**-1", "{1}**(-1)", "{1}**-1.0"))
    for before, after in ((before, after), (after, before))
]


def spellings():
    """Yield texts with their kind, power of ten, and whether no case of a letter decides between two units."""
    for (kind, names), order, (prefix, power) in product(SPELLINGS.items(), ORDERS, PREFIXES.items()):
        for flux, per in names:
            text = order.format(prefix + flux, per)
            yield text, kind, power, True
            for changed in (text.upper(), text.lower(), text.title(), text.swapcase()):
                yield changed, kind, power, prefix not in BY_CASE


def test_every_spelling_is_read_right_or_refused():
    n_read = 0
    for text, kind, power, is_certain in spellings():
        try:
            unit = parse_brightness(text)
        except ValueError:
            assert not is_certain, text
            continue
        if not is_certain and power in (-3, 6):
            # Without a meaning of cases, M and m are not distinct. Images are in mJy/beam and in MJy/sr only.
            assert unit.scale == (1e6 if kind is Kind.SOLID_ANGLE else 1e-3), text
            continue
        assert (unit.kind, unit.scale) == (kind, pytest.approx(10.0**power, rel=1e-12)), text
        n_read += 1
    assert n_read > 5000


@pytest.mark.parametrize(
    "number", ["10**-3", "10^-3", "10-3", "1e-3", "1E-03", "0.001", ".001", "10**(-3)", "10 ** -3 *"]
)
@pytest.mark.parametrize("unit", ["Jy/beam", "JY / BM", "beam-1 Jy", "(jy/beam)"])
def test_number_multiplies_the_unit(number, unit):
    assert parse_brightness(f"{number} {unit}").scale == 1e-3


@pytest.mark.parametrize(
    ("text", "in_astropy"),
    [
        ("W/m2/Hz/beam", "W m-2 Hz-1 beam-1"),
        ("W/m^2/Hz per beam", "W m-2 Hz-1 beam-1"),
        ("10**-26 W/m2/Hz/beam", "10**-26 W m-2 Hz-1 beam-1"),
        ("erg/s/cm2/Hz/beam", "erg s-1 cm-2 Hz-1 beam-1"),
        ("beam-1 kW m-2 GHz-1", "kW m-2 GHz-1 beam-1"),
        ("J/m2/beam", "J m-2 beam-1"),
        ("nJy/arcsec2", "nJy arcsec-2"),
        ("mJy/(arcmin)^2", "mJy arcmin-2"),
        ("JY/DEG/DEG", "Jy deg-2"),
        ("Jy/mas**2", "Jy mas-2"),
        ("uK", "uK"),
        ("kK", "kK"),
    ],
)
def test_unit_has_the_value_that_astropy_gives_it(text, in_astropy):
    found = parse_brightness(text)
    assert found.scale == pytest.approx(units.Unit(in_astropy).to(found.kind.value), rel=1e-12)


@pytest.mark.parametrize(
    ("text", "scale"),
    [("mjy/beam", 1e-3), ("JY/BEAM", 1), ("MJY/SR", 1e6), ("mk", 1e-3), ("KELVIN", 1), ("MilliJansky per BM", 1e-3),
     ("Jy beam⁻¹", 1), ("", 1)],
)  # fmt: skip
def test_usual_forms_of_the_field_are_read(text, scale):
    assert parse_brightness(text).scale == scale


@pytest.mark.parametrize(
    "text",
    ["MJY/BEAM", "Mjy/beam", "MJY/PIXEL", "mjy/sr", "MK", "PJY/BEAM", "Jy", "JY/BEAM.KM/S", "K km/s", "JY/BEAM.RAD/M/M",
     "counts", "%", "W.U.", "K_CMB", "Jy/beam/", "Jy//beam", "/beam", "Jy/beam-1", "Jy/beam/pixel", "0 Jy/beam", "beam",
     "Jy/beam 10**-3", "10**99 Jy/beam", "1e99**99 Jy/beam", "9**-99 Jy/beam", "0**-1 Jy/beam", "((((((Jy/beam))))))",
     "(Jy/beam", "Jy/beam)", "Jy^/beam", "Jy -1", "None", "ratio", "Jy" * 60, "🙂/beam",
     "10**3.5 Jy/beam", "10^-2.5 mJy/beam"],
)  # fmt: skip
def test_uncertain_unit_is_refused_by_name(text, make_header):
    given = Given(unit=text)
    with pytest.raises(ImageError, match=r"a\.fits: reading\.given\.unit = ") as caught:
        read_metadata(make_header(), "a.fits", given=given)
    assert repr(text) in str(caught.value)


@given(
    st.lists(
        st.sampled_from(["Jy", "beam", "/", "**", "^", "(", ")", "10", "e", "-1", "99", "K", " ", ".", "per", "\0"])
    )
)
def test_any_text_is_a_unit_or_refused(parts):
    try:
        unit = parse_brightness("".join(parts))
    except ValueError:
        return
    assert 0 < unit.scale < np.inf


def test_refusal_names_keyword_value_and_setting(make_header):
    with pytest.raises(ImageError, match=r"a\.fits: BUNIT = 'MJY/BEAM': the prefix of 'MJY' is not certain.*`unit`"):
        read_metadata(make_header(BUNIT="MJY/BEAM"), "a.fits")


def test_setting_replaces_an_unusable_unit(write_image):
    path = write_image(np.full((40, 60), 2.0), BUNIT="MJY/BEAM")
    settings = ReadingConfig(given=({"unit": "mJy/beam"},))
    assert Image(path, settings).data[0, 0] == np.float32(2e-3)


@pytest.mark.parametrize(
    ("unit", "needed"),
    [("K", "the beam and the frequency"), ("Jy/pixel", "the beam and the local area"), ("MJy/sr", "the beam")],
)
def test_unit_that_needs_a_beam_is_refused_without_one(make_header, unit, needed):
    with pytest.raises(ImageError, match=f"BUNIT = '{unit}': .* needs {needed}.* no restoring beam"):
        read_metadata(make_header(BUNIT=unit, BMAJ=None), "a.fits")


def test_given_beam_serves_the_conversion(make_header):
    header = make_header(BUNIT="Jy/sr", BMAJ=None)
    metadata = read_metadata(header, given=Given(bmaj=0.005, bmin=0.004, bpa=0.0))
    assert metadata.jansky_per_unit == pytest.approx(read_metadata(make_header(BUNIT="Jy/sr")).jansky_per_unit)


BEAM_AREA = np.pi * 0.005 * 0.004 / (4 * np.log(2)) * units.deg**2


@pytest.mark.parametrize(
    ("unit", "value"),
    [
        # 0.2 Jy/beam in each unit; beam and frequency are those of the header.
        ("uJy/beam", 2e5),
        ("K", (0.2 * units.Jy / BEAM_AREA).to_value("K", units.brightness_temperature(1.4 * units.GHz))),
        ("mK", (0.2 * units.Jy / BEAM_AREA).to_value("mK", units.brightness_temperature(1.4 * units.GHz))),
        ("MJy/sr", (0.2 * units.Jy / BEAM_AREA).to_value("MJy/sr")),
        ("mJy/arcsec2", (0.2 * units.Jy / BEAM_AREA).to_value("mJy/arcsec2")),
        ("Jy/pixel", 0.2 / BEAM_AREA.value * 1e-6),
    ],
)
def test_pixels_are_converted(write_image, unit, value):
    image = Image(write_image(np.full((40, 60), value), BUNIT=unit))
    assert image.data == pytest.approx(np.full((40, 60), 0.2), rel=1e-6)
    assert image.cutout(slice(3, 5), slice(7, 8)) == pytest.approx(np.full((2, 1), 0.2), rel=1e-6)
    assert image.metadata.conversion.startswith("converted to Jy/beam")


@pytest.mark.parametrize("projection", ["CAR", "TAN"])
def test_flux_density_per_pixel_is_converted_by_the_area_of_each_pixel(write_image, projection):
    # Far from the reference, a pixel of a plate carrée covers less of the sky, and one of a tangential image too.
    changes = {"CTYPE1": f"RA---{projection}", "CTYPE2": f"DEC--{projection}", "CRVAL2": 0.0, "CRPIX2": -600.5}
    changes |= {"CDELT1": -0.1, "CDELT2": 0.1, "RADESYS": "ICRS"}
    image = Image(write_image(np.ones((40, 60)), BUNIT="Jy/pixel", **changes))
    wcs = WCS(image.header, naxis=2)
    x, y = 44, 33
    ends = [wcs.all_pix2world(x + dx, y + dy, 0) for dx, dy in ((-0.5, 0), (0.5, 0), (0, -0.5), (0, 0.5))]
    across, along = separation(*ends[0], *ends[1]), separation(*ends[2], *ends[3])
    # The axes of both projections are close to perpendicular along the meridian of the reference.
    expected = BEAM_AREA.value / (across * along)
    assert image.data[y, x] == pytest.approx(float(expected), rel=2e-3)
    assert image.cutout(slice(y, y + 1), slice(x, x + 1))[0, 0] == image.data[y, x]
    assert image.data[0, x] != pytest.approx(float(expected), rel=2e-3)


def test_missing_unit_is_taken_as_jansky_per_beam_and_that_is_noted(write_image):
    image = Image(write_image(np.full((40, 60), 2.0), BUNIT=None))
    assert image.data[0, 0] == 2
    assert image.metadata.conversion == "not stated, taken as Jy/beam"


def test_other_beam_changes_the_conversion(write_image):
    image = Image(write_image(np.full((40, 60), 1.0), BUNIT="Jy/sr"))
    one = image.data[0, 0]
    beam = image.metadata.beam
    wider = image.with_beam(type(beam)(bmaj=2 * beam.bmaj, bmin=beam.bmin, bpa=0.0))
    assert wider.data[0, 0] == pytest.approx(2 * one)
