import numpy as np
import pytest
from astropy.io import fits
from real_images import DATA, WITHOUT


@pytest.fixture
def make_header():
    """A function that makes a complete header; None as a value leaves the keyword out."""

    def make(**changes):
        values = {
            "NAXIS": 2,
            "NAXIS1": 60,
            "NAXIS2": 40,
            "CTYPE1": "RA---SIN",
            "CRVAL1": 350.85,
            "CRPIX1": 30.5,
            "CDELT1": -0.001,
            "CTYPE2": "DEC--SIN",
            "CRVAL2": 58.815,
            "CRPIX2": 20.5,
            "CDELT2": 0.001,
            "CTYPE3": "FREQ",
            "CRVAL3": 1.4e9,
            "CRPIX3": 1.0,
            "CDELT3": 2e6,
            "DATE_OBS": "2013-04-29T18:45:42.494400",
            "BMAJ": 0.005,
            "BMIN": 0.004,
            "BPA": 30.0,
            "TELESCOP": "AMI-LA",
            "BUNIT": "JY/BEAM",
        } | changes
        header = fits.Header()
        for keyword, value in values.items():
            if value is not None:
                header[keyword.replace("_OBS", "-OBS").replace("E_END", "E-END")] = value
        return header

    return make


@pytest.fixture
def pixels():
    """Noise (40, 60) with one pixel without a value."""
    data = np.random.default_rng(3).normal(size=(40, 60)).astype(np.float32)
    data[7, 9] = np.nan
    return data


@pytest.fixture
def write_image(tmp_path, make_header):
    """A function that writes pixels with a complete header to a FITS file."""

    def write(data, name="image.fits", **changes):
        path = tmp_path / name
        fits.PrimaryHDU(data, make_header(**changes)).writeto(path)
        return path

    return write


@pytest.fixture
def shared_data():
    """Folder of images by other people, which may not be there."""
    if not DATA.is_dir():
        pytest.skip(WITHOUT)
    return DATA
