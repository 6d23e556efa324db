import pickle
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from trap.angles import separation
from trap.errors import ImageError, UnreadableImageError
from trap.images.beam import Beam
from trap.images.image import Image


@pytest.fixture(params=["image.fits", "image.fits.gz"])
def image(request, write_image, pixels):
    return Image(write_image(pixels[np.newaxis], request.param))


def test_data_are_native_floats_with_nan_for_no_value(image, pixels):
    assert image.data.dtype == np.dtype("=f4")
    assert image.data.flags.c_contiguous
    assert np.array_equal(image.data, pixels, equal_nan=True)


@pytest.mark.parametrize("loaded_before", [False, True])
@pytest.mark.parametrize(
    "part",
    [(slice(5, 9), slice(8, 11)), (slice(None), slice(None)), (slice(30, 99), slice(0, 1)), (slice(3, 3), slice(9))],
)
def test_cutout_is_a_part_of_the_data(image, pixels, part, loaded_before):
    if loaded_before:
        _ = image.data
    cutout = image.cutout(*part)
    assert np.array_equal(cutout, pixels[part], equal_nan=True)
    assert cutout.dtype == np.dtype("=f4")
    cutout[:] = 0
    assert np.array_equal(image.data, pixels, equal_nan=True)


def test_cutout_of_a_plain_file_leaves_the_rest_unread(write_image, pixels):
    image = Image(write_image(pixels))
    image.cutout(slice(0, 2), slice(0, 2))
    assert "data" not in image.__dict__


def test_pixels_are_in_jansky(write_image):
    image = Image(write_image(np.full((40, 60), 2.0), BUNIT="mJy/beam"))
    assert image.data[0, 0] == np.float32(2e-3)
    assert image.cutout(slice(0, 1), slice(0, 1)) == np.float32(2e-3)


def test_infinity_and_numbers_too_large_are_no_value(write_image):
    data = np.zeros((40, 60))
    data[0, :3] = np.inf, -np.inf, 1e300
    image = Image(write_image(data))
    assert np.isnan(image.data[0, :3]).all()
    assert np.isnan(image.cutout(slice(0, 1), slice(0, 3))).all()
    assert np.count_nonzero(np.isnan(image.data)) == 3


def test_metadata_and_projection_need_no_pixel(write_image, pixels):
    path = write_image(pixels)
    # 9,600 bytes of pixels fill four blocks of 2,880.
    path.write_bytes(path.read_bytes()[: -4 * 2880])
    image = Image(path)
    assert image.metadata.telescope == "AMI-LA"
    assert image.wcs.naxis == 2
    with pytest.raises(UnreadableImageError, match="truncated"):
        _ = image.data


def test_each_thing_is_read_once(image):
    assert image.metadata is image.metadata
    assert image.data is image.data


def test_image_is_pickled_as_its_path_alone(image):
    _ = image.data, image.metadata, image.wcs
    message = pickle.dumps(image)
    assert len(message) < 500
    assert np.array_equal(pickle.loads(message).data, image.data, equal_nan=True)


def test_same_file_has_the_same_hash_under_any_name(image, tmp_path):
    copy = tmp_path / "copy"
    copy.write_bytes(image.path.read_bytes())
    assert Image(copy).content_hash == image.content_hash


def test_error_names_the_image(write_image, pixels):
    path = write_image(pixels, DATE_OBS="01-JUL-8")
    with pytest.raises(ImageError) as caught:
        _ = Image(path).metadata
    assert str(caught.value) == f"{path}: DATE-OBS = '01-JUL-8': not a date"


# In memory


def test_image_of_an_array_is_like_an_image_of_a_file(make_header, pixels):
    image = Image.from_array(pixels, make_header(NAXIS1=None, NAXIS2=None), url="made")
    assert (image.metadata.nx, image.metadata.ny, image.metadata.url) == (60, 40, "made")
    assert np.array_equal(image.data, pixels, equal_nan=True)
    assert np.array_equal(image.cutout(slice(5, 9), slice(8, 11)), pixels[5:9, 8:11], equal_nan=True)


def test_hash_of_an_array_depends_on_its_pixels(make_header, pixels):
    image, same = (Image.from_array(pixels, make_header()) for _ in range(2))
    assert image.content_hash == same.content_hash
    assert image.content_hash != Image.from_array(pixels + 1, make_header()).content_hash


def test_image_of_an_array_cannot_be_pickled(make_header, pixels):
    with pytest.raises(TypeError, match="made: cannot be pickled, since .* in memory only"):
        pickle.dumps(Image.from_array(pixels, make_header(), url="made"))


# Images by other people


@pytest.mark.parametrize(
    ("name", "frequency", "telescope"),
    [
        ("ami_grb130427a/AMILA_GRB130427A_20130429.fits", 15.7557063e9, "AMI-LA"),
        ("ami_grb130427a/AMILA_GRB130427A_20130429_vopt.fits", 15.7557063e9, "AMI-LA"),
        ("ami_grb130427a/AMILA_GRB130427A_20130504.fits", 16.8799281e9, "AMI-LA"),
        ("lofar_grb201006a/GRB201006A_t0002_cutout.fits", 143.650818e6, "LOFAR"),
        ("vast_simulated/epoch01.fits", 888e6, "ASKAP"),
    ],
)
def test_frequency_of_a_real_image_is_the_frequency_of_the_observation(shared_data, name, frequency, telescope):
    metadata = Image(shared_data / name).metadata
    assert metadata.freq_eff == pytest.approx(frequency, rel=1e-8)
    assert metadata.telescope == telescope


def test_velocity_axis_of_a_real_image_gives_the_bandwidth_of_its_twin(shared_data):
    folder = shared_data / "ami_grb130427a"
    twins = [Image(folder / f"AMILA_GRB130427A_20130429{suffix}.fits").metadata for suffix in ("", "_vopt")]
    assert twins[0].freq_bw == pytest.approx(twins[1].freq_bw, rel=1e-9)


def test_source_of_a_real_image_is_at_its_known_position(shared_data):
    image = Image(shared_data / "ami_grb130427a/AMILA_GRB130427A_20130429.fits")
    y, x = np.unravel_index(np.argmax(image.data), image.data.shape)
    ra, dec = image.wcs.all_pix2world(x, y, 0)
    assert separation(ra, dec, 173.1367, 27.6989) * 3600 < 5
    assert image.data[y, x] == pytest.approx(0.914e-3, rel=0.03)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing_metadata.fits", "no frequency in the header"),
        ("wsrt_3C236_bad_date.fits", "DATE-OBS = '01-JUL-8': not a date"),
    ],
)
def test_awkward_real_image_is_refused_with_its_reason(shared_data, name, message):
    with pytest.raises(ImageError, match=message):
        _ = Image(shared_data / "awkward" / name).metadata


def test_b1950_positions_of_a_real_image_are_in_icrs(shared_data):
    image = Image(shared_data / "awkward/wsrt_3C236_bad_date.fits")
    y, x = np.unravel_index(np.nanargmax(image.data), image.data.shape)
    ra, dec = image.wcs.all_pix2world(x, y, 0)
    # 3C 236, 10h06m01.7s +34°54′10″ (J2000), and it is a large source.
    assert separation(ra, dec, 151.507, 34.903) * 3600 < 60


def test_path_need_not_be_a_string(write_image, pixels):
    path = write_image(pixels)
    assert Image(str(path)).path == Path(path)
    assert fits.getheader(path)["TELESCOP"] == Image(str(path)).metadata.telescope


def test_given_beam_replaces_the_beam_of_the_header(write_image, pixels):
    image = Image(write_image(pixels))
    beam = Beam(bmaj=0.02, bmin=0.01, bpa=5)
    other = image.with_beam(beam)
    assert other.metadata.beam == beam
    assert image.metadata.beam != beam
    assert np.array_equal(other.data, image.data, equal_nan=True)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(other)


def test_required_beam_is_the_beam_of_the_metadata(image):
    assert image.require_beam() is image.metadata.beam


def test_error_names_the_image_without_a_required_beam(make_header, pixels):
    header = make_header()
    del header["BMAJ"]
    image = Image.from_array(pixels, header, "field.fits")
    with pytest.raises(ImageError, match=r"^field\.fits: no restoring beam in the header$"):
        image.require_beam()


def test_text_that_ends_with_a_nul_is_read_without_it(write_image, pixels):
    path = write_image(pixels[np.newaxis], "image.fits")
    path.write_bytes(path.read_bytes().replace(b"BUNIT   = 'JY/BEAM '", b"BUNIT   = 'JY/BEAM\0'"))
    assert Image(path).metadata.unit == "JY/BEAM"
    assert np.array_equal(Image(path).data, pixels, equal_nan=True)
