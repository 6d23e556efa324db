"""Cut-outs of a light curve's points: images that are missing or replaced are named, the others drawn."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from trap.catalogues import ExtractType
from trap.config import ReadingConfig
from trap.errors import TrapError
from trap.report.epochs import read_epochs, select_epochs

RA, DEC = 30.0, 40.0
STARTS = ("2026-01-01T00:00:00", "2026-01-01T01:00:00")


def write_image(path, start, freq_mhz=1280.0):
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"], header["CTYPE3"] = "RA---SIN", "DEC--SIN", "FREQ"
    header["CRVAL1"], header["CRVAL2"], header["CRVAL3"] = RA, DEC, freq_mhz * 1e6
    header["CRPIX1"], header["CRPIX2"], header["CRPIX3"] = 32.0, 32.0, 1.0
    header["CDELT1"], header["CDELT2"], header["CDELT3"] = -1e-3, 1e-3, 1e6
    header["CUNIT1"], header["CUNIT2"], header["CUNIT3"] = "deg", "deg", "Hz"
    header["BMAJ"], header["BMIN"], header["BPA"] = 4e-3, 3e-3, 0.0
    header["BUNIT"], header["DATE-OBS"] = "JY/BEAM", start
    fits.PrimaryHDU(np.ones((1, 64, 64), "f4"), header).writeto(path, overwrite=True)


@pytest.fixture
def points(tmp_path):
    """Points of a light curve of two images: a forced fit, then a detection."""
    urls = [str(tmp_path / f"t{i}.fits") for i in range(2)]
    for url, start in zip(urls, STARTS, strict=True):
        write_image(url, start)
    return {
        "image": np.array([1, 2]), "url": np.array(urls), "taustart_ts": np.array(STARTS, "M8[us]"),
        "freq_eff": np.array([1.28e9, 1.28e9]), "stokes": np.array([1, 1]),
        "f_int": np.array([1e-4, 5e-2]), "f_int_err": np.array([2e-3, 2e-3]),
        "extract_type": np.array([ExtractType.NULL_DETECTION, ExtractType.BLIND]),
    }  # fmt: skip


def read(points, dec=DEC):
    return read_epochs(points, RA, dec, kept={}, settings=ReadingConfig())


def test_each_point_has_a_cutout_with_its_own_title(points):
    cutouts, missing = read(points)
    assert missing == []
    assert cutouts[0].title == "2026-01-01T00:00:00\n1280 MHz, Stokes I\n0.1 ± 2.0 mJy, forced"
    assert cutouts[1].title.endswith("50.0 ± 2.0 mJy, detection")


def test_missing_file_is_named_and_skipped(points, tmp_path):
    (tmp_path / "t0.fits").unlink()
    (cutout,), (reason,) = read(points)
    assert "detection" in cutout.title
    assert reason.startswith(str(tmp_path / "t0.fits"))


@pytest.mark.parametrize(("start", "freq_mhz"), [("2027-01-01T00:00:00", 1280.0), (STARTS[0], 1284.0)])
def test_another_image_under_the_same_name_is_not_shown(points, tmp_path, start, freq_mhz):
    write_image(tmp_path / "t0.fits", start, freq_mhz)
    cutouts, (reason,) = read(points)
    assert len(cutouts) == 1
    assert "t0.fits: not the image of 2026-01-01T00:00:00 any more" in reason


def test_images_elsewhere_on_the_sky_are_an_error(points):
    with pytest.raises(TrapError, match=r"no image of this source can be read: .*does not cover the position"):
        read(points, dec=DEC + 1)


def test_limit_keeps_the_points_around_the_first_detection():
    kinds = np.full(20, ExtractType.NULL_DETECTION)
    kinds[10] = kinds[15] = ExtractType.BLIND
    points = {"image": np.arange(20), "extract_type": kinds}
    assert select_epochs(points, 6)["image"].tolist() == [8, 9, 10, 11, 12, 13]
    assert select_epochs(points, 12)["image"].tolist() == list(range(6, 18))
    assert select_epochs(points, 99)["image"].tolist() == list(range(20))
