from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from trap.errors import TransientError
from trap.images.image import Image
from trap.images.kept_pixels import keep_cutouts, keep_image, read_kept_cutout
from trap.simulation.survey import SurveyConfig, simulate_survey


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    settings = SurveyConfig(n_timesteps=1, n_bands=1, size=128, n_steady=3, n_variables=0, n_transients=0)
    return Image(simulate_survey(tmp_path_factory.mktemp("survey"), settings).images[0])


@pytest.fixture
def centre(image):
    return tuple(float(value) for value in image.wcs.all_pix2world(60, 70, 0))


def test_whole_image_comes_back_with_its_projection_and_beam(image, centre, tmp_path):
    path = tmp_path / "ab" / "image.fits"
    keep_image(image, path)
    kept = Image(path)
    assert np.array_equal(kept.data, image.data, equal_nan=True)
    assert kept.metadata.beam.bmaj == pytest.approx(image.metadata.beam.bmaj)
    assert kept.wcs.all_world2pix(*centre, 0) == pytest.approx([60, 70], abs=1e-6)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("keep", [keep_image, None])
def test_pixels_at_a_position_are_the_same_from_images_and_cutouts(image, centre, tmp_path, keep):
    path = tmp_path / "kept.fits"
    if keep:
        keep(image, path)
    else:
        keep_cutouts(image, path, *map(np.atleast_1d, centre))
    shown = read_kept_cutout(path, *centre, size=17).pixels
    assert np.array_equal(shown, image.data[62:79, 52:69])


def test_position_that_is_not_shown_is_none(image, centre, tmp_path):
    path = tmp_path / "kept.fits"
    keep_cutouts(image, path, np.array([centre[0], centre[0] + 170]), np.array([centre[1], -centre[1]]))
    with fits.open(path) as hdus:
        assert len(hdus) == 2  # the position that the image does not cover is left out
    assert read_kept_cutout(path, centre[0] + 170, -centre[1]) is None
    assert read_kept_cutout(tmp_path / "not there.fits", *centre) is None


def test_cutout_at_the_edge_has_no_value_beyond_it(image, tmp_path):
    corner = image.wcs.all_pix2world(0, 0, 0)
    path = tmp_path / "kept.fits"
    keep_image(image, path)
    shown = read_kept_cutout(path, *map(float, corner), size=9).pixels
    assert np.isnan(shown[:4]).all()
    assert np.isfinite(shown[4:, 4:]).all()


def test_folder_that_cannot_be_written_is_a_transient_error(image, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TransientError, match="cannot write the pixels to keep"):
        keep_image(image, tmp_path / "file" / "image.fits")
