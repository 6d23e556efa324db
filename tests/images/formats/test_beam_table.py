"""CASA's table of beams, as different programs write it: one for each plane of a cube of three channels in Q and I."""

import numpy as np
import pytest
from astropy.io import fits
from casacore.images import image as casa_image
from image_forms import header
from structlog.testing import capture_logs

from trap.config import ReadingConfig
from trap.images.image import Image

CHANNELS, STOKES = [0, 1, 2, 0, 1, 2], [0, 0, 0, 1, 1, 1]
BMAJ = [10.0, 11.0, 12.0, 110.0, 111.0, 112.0]
"""arcsec — the channel varies fastest, as in CASA."""
LAST = ReadingConfig(channel=2, stokes="I")


@pytest.fixture
def write(tmp_path):
    """A function that writes the cube with a table of beams; None as a column leaves it out."""

    def write(*, name="BEAMS", rename=str, n_stokes=2, keywords=None, **columns):
        values = {
            "BMAJ": ("E", "arcsec", BMAJ),
            "BMIN": ("E", "arcsec", [bmaj / 2 for bmaj in BMAJ]),
            "BPA": ("E", "deg", [20.0] * 6),
            "CHAN": ("J", None, CHANNELS),
            "POL": ("J", None, STOKES),
        } | columns
        table = fits.BinTableHDU.from_columns(
            [
                fits.Column(rename(key), value[0], value[1], array=value[2][: 3 * n_stokes])
                for key, value in values.items()
                if value is not None
            ],
            name=name,
        )
        table.header.update(NCHAN=3, NPOL=n_stokes)
        made = header("ra", "dec", "freq", "stokes", CRVAL4=2.0 if n_stokes == 2 else 1.0, CDELT4=-1.0, BPA=-70.0)
        made.update(CASAMBM=True)
        for keyword, value in (keywords or {}).items():
            if value is None:
                made.remove(keyword)
            else:
                made[keyword] = value
        path = tmp_path / "cube.fits"
        data = np.zeros((n_stokes, 3, 12, 14), np.float32)
        fits.HDUList([fits.PrimaryHDU(data, made), table]).writeto(path)
        return path

    return write


def beam(path, settings=LAST):
    """The beam in arcsec and deg."""
    found = Image(path, settings).metadata.beam
    return found and (found.bmaj * 3600, found.bmin * 3600, found.bpa)


@pytest.mark.parametrize(
    ("channel", "stokes", "bmaj"), [(0, "Q", 10.0), (2, "Q", 12.0), (0, "I", 110.0), (1, "I", 111.0), (2, "I", 112.0)]
)
def test_beam_of_the_plane_counts_although_the_header_has_another(write, channel, stokes, bmaj):
    # The beam of the header is 30″ wide.
    assert beam(write(), ReadingConfig(channel=channel, stokes=stokes)) == pytest.approx((bmaj, bmaj / 2, 20.0))


@pytest.mark.parametrize(
    "columns",
    [
        {"rename": str.lower},
        {"name": "beams"},
        {"BMAJ": ("E", "ARCSEC", BMAJ), "BMIN": ("E", "arcsecs", [55.0 / 110 * bmaj for bmaj in BMAJ])},
        {"BMAJ": ("D", "deg", [bmaj / 3600 for bmaj in BMAJ])},
        {"BMAJ": ("D", "arcmin", [bmaj / 60 for bmaj in BMAJ]), "BPA": ("E", "RAD", [np.radians(20.0)] * 6)},
        {"BMAJ": ("E", None, BMAJ), "BMIN": ("E", None, [bmaj / 2 for bmaj in BMAJ]), "BPA": ("E", None, [20.0] * 6)},
        {"BMAJ": ("D", None, [bmaj / 3600 for bmaj in BMAJ])},
        {"CHAN": None},
        {"POL": None},
        {"CHAN": None, "POL": None},
        {"CHAN": ("J", None, [1, 2, 3, 1, 2, 3]), "POL": ("J", None, [1, 1, 1, 2, 2, 2])},
        {"CHAN": ("E", None, [0.0, 1.0, 2.0, 0.0, 1.0, 2.0])},
        {"keywords": {"CASAMBM": "T"}},
        {"keywords": {"CASAMBM": None, "BMAJ": None, "BMIN": None, "BPA": None}},
        {"keywords": {"CTYPE3": "VRAD", "RESTFRQ": 1.4e9, "CRVAL3": 0.0, "CDELT3": 1e3, "CUNIT3": "M/S"}},
    ],
    ids=str,
)
def test_table_is_read_with_other_names_units_and_columns(write, columns):
    assert beam(write(**columns)) == pytest.approx((112.0, 56.0, 20.0), rel=1e-6)


def test_table_without_channels_has_a_row_for_each(write):
    assert beam(write(n_stokes=1, CHAN=None), ReadingConfig(channel=1)) == pytest.approx((11.0, 5.5, 20.0))


@pytest.mark.parametrize("width", [np.nan, 0.0, -1.0, np.inf])
def test_plane_whose_row_has_no_beam_has_none(write, width):
    with capture_logs() as logs:
        assert beam(write(BMAJ=("E", "arcsec", [*BMAJ[:5], width]))) is None
    assert "beam_of_plane_unusable" in {log["event"] for log in logs}


def test_unit_that_is_no_angle_is_no_beam(write):
    assert beam(write(BMAJ=("E", "Hz", BMAJ))) is None


@pytest.mark.parametrize("columns", [{"BMAJ": None}, {"name": "OTHER"}, {"CHAN": ("J", None, [7] * 6)}], ids=str)
def test_beam_of_the_header_counts_without_a_row_for_the_plane(write, columns):
    with capture_logs() as logs:
        assert beam(write(**columns)) == pytest.approx((30.0, 22.0, -70.0))
    assert "beam_of_plane_missing" in {log["event"] for log in logs}


def test_table_does_not_count_if_the_header_denies_it(write):
    assert beam(write(keywords={"CASAMBM": False})) == pytest.approx((30.0, 22.0, -70.0))


@pytest.mark.parametrize(("channel", "stokes", "bmaj"), [(2, "Q", 12.0), (1, "I", 111.0)])
def test_casa_table_has_the_beam_of_each_plane(write, tmp_path, channel, stokes, bmaj):
    casa_image(str(write())).saveas(str(tmp_path / "cube.image"))
    settings = ReadingConfig(channel=channel, stokes=stokes)
    assert beam(tmp_path / "cube.image", settings) == pytest.approx((bmaj, bmaj / 2, 20.0))
