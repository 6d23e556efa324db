import errno
import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from trap.errors import ImageError, TransientError, UnreadableImageError
from trap.images.formats.files import hash_file
from trap.images.formats.fits import map_plane, read_header, read_plane, write_map
from trap.images.image import Image

BLOCK = 2880


def write_raw(path, header, data, **keywords):
    """Write pixels as they are under keywords that astropy would act on."""
    raw, bitpix = data.tobytes(), fits.DTYPE2BITPIX[data.dtype.name]
    cards = fits.Header([("SIMPLE", True), ("BITPIX", bitpix), ("NAXIS", 2), ("NAXIS1", 60), ("NAXIS2", 40)])
    cards.extend(header, unique=True)
    cards.update(keywords)
    path.write_bytes(cards.tostring().encode() + raw + bytes(-len(raw) % BLOCK))
    return path


@pytest.fixture
def integers():
    """(40, 60) integers 0 … 2399, the first of them −1."""
    data = np.arange(2400, dtype=">i2").reshape(40, 60)
    data[0, 0] = -1
    return data


def test_header_needs_no_pixel(write_image, pixels):
    path = write_image(pixels)
    complete = path.read_bytes()
    path.write_bytes(complete[: len(complete) - len(complete) % BLOCK - pixels.nbytes])
    assert read_header(path)["TELESCOP"] == "AMI-LA"


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "i4", "u1"])
def test_plain_pixels_are_mapped_as_they_are(write_image, dtype):
    data = np.arange(2400).reshape(40, 60).astype(dtype)
    plane = map_plane(write_image(data))
    assert isinstance(plane, np.memmap)
    assert np.array_equal(plane, data)


def test_first_plane_of_a_cube_is_taken(write_image):
    cube = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    assert np.array_equal(map_plane(write_image(cube)), cube[0, 0])
    assert np.array_equal(read_plane(write_image(cube, "cube.fits.gz")), cube[0, 0])


def test_image_may_be_in_an_extension(tmp_path, make_header, pixels):
    path = tmp_path / "extension.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(pixels, make_header())]).writeto(path)
    assert np.array_equal(map_plane(path), pixels, equal_nan=True)


def test_compressed_pixels_are_the_same(tmp_path, write_image, make_header, pixels):
    squeezed = tmp_path / "image.fits.fz"
    tiled = fits.CompImageHDU(pixels, make_header(), compression_type="GZIP_2", quantize_level=0)
    fits.HDUList([fits.PrimaryHDU(), tiled]).writeto(squeezed)
    for path in (write_image(pixels, "image.fits.gz"), squeezed):
        assert map_plane(path) is None
        assert np.array_equal(read_plane(path), pixels, equal_nan=True)
        assert read_header(path)["NAXIS1"] == 60


def test_file_compressed_under_a_plain_name_is_recognised(write_image, pixels):
    path = write_image(pixels)
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert np.array_equal(Image(path).data, pixels, equal_nan=True)


@pytest.mark.parametrize(
    ("keywords", "scale", "zero"),
    [({"BSCALE": 0.5, "BZERO": 10.0, "BLANK": -1}, 0.5, 10.0), ({"BLANK": -1}, 1.0, 0.0)],
)
def test_integers_are_scaled_and_blanks_are_nan(tmp_path, make_header, integers, keywords, scale, zero):
    path = write_raw(tmp_path / "integers.fits", make_header(), integers, **keywords)
    assert map_plane(path) is None
    expected = np.arange(2400).reshape(40, 60) * scale + zero
    expected[0, 0] = np.nan
    assert np.array_equal(read_plane(path), expected, equal_nan=True)


def test_blank_means_nothing_to_floating_point_pixels(tmp_path, make_header, pixels):
    path = write_raw(tmp_path / "blank.fits", make_header(), pixels.astype(">f4"), BLANK=-32768)
    assert np.array_equal(map_plane(path), pixels, equal_nan=True)


def test_scaled_floating_point_pixels_are_computed(tmp_path, make_header, pixels):
    path = write_raw(tmp_path / "scaled.fits", make_header(), pixels.astype(">f4"), BSCALE=2.0)
    assert np.array_equal(Image(path).data, 2 * pixels, equal_nan=True)


@pytest.mark.parametrize("name", ["image.fits", "image.fits.gz"])
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.6])
def test_truncated_file_is_unreadable(write_image, name, kept):
    path = write_image(np.random.default_rng(1).normal(size=(400, 60)).astype(np.float32), name)
    complete = path.read_bytes()
    path.write_bytes(complete[: int(kept * len(complete))])
    with pytest.raises(UnreadableImageError, match=str(path)):
        _ = Image(path).data


def test_error_of_a_truncated_file_names_its_length(write_image, pixels):
    path = write_image(pixels)
    header_size = len(path.read_bytes()) - 4 * BLOCK
    path.write_bytes(path.read_bytes()[: header_size + 100])
    with pytest.raises(UnreadableImageError, match=f"truncated: {header_size + 100} bytes of {header_size + 9600}"):
        map_plane(path)


def test_truncated_integers_are_unreadable(tmp_path, make_header, integers):
    path = write_raw(tmp_path / "integers.fits", make_header(), integers, BLANK=-1)
    path.write_bytes(path.read_bytes()[:-4000])
    with pytest.raises(UnreadableImageError, match="the pixels cannot be read, the file may be truncated"):
        read_plane(path)


@pytest.mark.parametrize("read", [read_header, map_plane, read_plane, hash_file])
def test_missing_file_is_unreadable(tmp_path, read):
    with pytest.raises(UnreadableImageError, match=r"nothing\.fits: No such file or directory"):
        read(tmp_path / "nothing.fits")


@pytest.mark.parametrize("read", [read_header, hash_file])
def test_directory_is_unreadable(tmp_path, read):
    with pytest.raises(UnreadableImageError, match="Is a directory"):
        read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"hello world", b"SIMPLE  =                    T", b"\x1f\x8b\x08"])
def test_file_that_is_not_fits_is_unreadable(tmp_path, content):
    path = tmp_path / "text.fits"
    path.write_bytes(content)
    with pytest.raises(UnreadableImageError, match=str(path)):
        read_header(path)


@pytest.mark.parametrize("unit", [0, 1])
@pytest.mark.parametrize("number", [10**9, -1])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_header_with_an_absurd_number_of_axes_is_unreadable(tmp_path, pixels, unit, number, pack):
    path = tmp_path / "absurd.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(pixels)]).writeto(path)
    content = bytearray(path.read_bytes())
    start = content.index(b"NAXIS   =", 2880 * unit)
    content[start : start + 80] = f"NAXIS   = {number:>20}".ljust(80).encode()
    path.write_bytes(pack(bytes(content)))
    for read in (read_header, read_plane, map_plane):
        with pytest.raises(UnreadableImageError, match=rf"absurd.fits: NAXIS = {number}: not a number of axes"):
            read(path)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("unit", [0, 1])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(
    ("keyword", "card"),
    [
        ("NAXIS1", "NAXIS1  = '60      '"),
        ("NAXIS1", "NAXIS1  ='a' / text right behind the sign"),
        ("NAXIS2", "naxis2  =        'small letters'"),
        ("NAXIS1", "HIERARCH NAXIS1 = 'long'"),
        ("GCOUNT", "GCOUNT  = 'a'"),
        ("PCOUNT", "PCOUNT  = 'a'"),
        ("BITPIX", "BITPIX  = '-32'"),
        ("NAXIS", "NAXIS   = '2'"),
    ],
)
def test_header_whose_size_is_text_is_unreadable(tmp_path, unit, pack, keyword, card):
    # With the other axis this long, repeating the text would fill any memory.
    size = {"BITPIX": "-32", "NAXIS": "2", "NAXIS1": str(10**11), "NAXIS2": str(10**11), "PCOUNT": "0", "GCOUNT": "1"}
    cards = ["SIMPLE  = T" if unit == 0 else "XTENSION= 'IMAGE   '"]
    cards += [card if name == keyword else f"{name:<8}= {value:>20}" for name, value in size.items()]
    # The card that counts may stand in a later block of the header than the first.
    cards[-1:] = [cards[-1], *["HISTORY of much processing"] * 40, card, "END"]
    header = "".join(text.ljust(80) for text in cards).encode()
    header += b" " * (-len(header) % 2880)
    first = b"" if unit == 0 else fits.PrimaryHDU().header.tostring().encode()
    path = tmp_path / "text.fits"
    path.write_bytes(pack(first + header + bytes(2880)))
    for read in (read_header, read_plane, map_plane):
        with pytest.raises(UnreadableImageError, match=rf"text.fits: {keyword} = '.*': not a number"):
            read(path)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("keyword", "value", "problem"),
    [
        ("ZNAXIS1", "'60'", "ZNAXIS1 = '60': not a number"),
        ("ZTILE1", "'60'", "ZTILE1 = '60': not a number"),
        ("ZNAXIS", 10**9, "ZNAXIS = 1000000000: not a number of axes"),
        ("TFIELDS", 10**9, "TFIELDS = 1000000000: not a number of columns"),
    ],
)
def test_compressed_image_with_an_absurd_size_is_unreadable(tmp_path, pixels, keyword, value, problem):
    path = tmp_path / "tiles.fits"
    fits.CompImageHDU(pixels).writeto(path)
    content = bytearray(path.read_bytes())
    start = content.index(f"{keyword:<8}=".encode())
    content[start : start + 80] = f"{keyword:<8}= {value:>20}".ljust(80).encode()
    path.write_bytes(content)
    for read in (read_header, read_plane, map_plane):
        with pytest.raises(UnreadableImageError, match=f"tiles.fits: {problem}"):
            read(path)


def test_pixels_that_look_like_a_card_are_pixels(tmp_path):
    pixels = np.frombuffer(b"NAXIS1  = 'abc'".ljust(80) * 36, ">i2").reshape(36, 40)
    fits.PrimaryHDU(pixels).writeto(tmp_path / "odd.fits")
    (tmp_path / "odd.fits.gz").write_bytes(gzip.compress((tmp_path / "odd.fits").read_bytes()))
    for name in ("odd.fits", "odd.fits.gz"):
        assert np.array_equal(read_plane(tmp_path / name), pixels)


@pytest.mark.parametrize("data", [None, np.zeros(5)])
def test_file_without_an_image_is_refused(tmp_path, data):
    path = tmp_path / "table.fits"
    fits.PrimaryHDU(data).writeto(path)
    with pytest.raises(ImageError, match="the file holds no image"):
        read_header(path)


@pytest.mark.parametrize("read", [read_header, hash_file])
def test_failure_of_the_file_system_is_a_transient_error(monkeypatch, write_image, pixels, read):
    def fail(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    path = write_image(pixels)
    monkeypatch.setattr(fits, "open", fail)
    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(TransientError, match=r"image\.fits: Input/output error"):
        read(path)


def test_hash_depends_on_all_bytes(write_image, pixels):
    path = write_image(pixels)
    assert hash_file(path) == hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


@pytest.mark.parametrize("n_axes", [2, 4])
def test_map_lies_where_its_image_does(tmp_path, write_image, pixels, n_axes):
    planes = pixels.reshape((1,) * (n_axes - 2) + pixels.shape)
    image = Image(write_image(planes, BSCALE=1.0, DATAMAX=9.0))
    made = pixels * np.float32(2)
    for _ in range(2):  # the second replaces the first
        write_map(tmp_path / "map.fits", made, image.header, "Jy/beam")
    back = Image(tmp_path / "map.fits")
    assert np.array_equal(back.data, made, equal_nan=True)
    assert (back.header["NAXIS"], back.header["BUNIT"]) == (2, "Jy/beam")
    assert "DATAMAX" not in back.header
    assert back.wcs.wcs.compare(image.wcs.wcs)
    assert back.metadata.beam == image.metadata.beam
    assert back.metadata.freq_eff == image.metadata.freq_eff


def test_map_of_scaled_integers_holds_the_values_given(tmp_path, make_header, integers, write_image):
    path = write_raw(tmp_path / "scaled.fits", make_header(BSCALE=0.5, BZERO=3.0, BLANK=-1), integers)
    write_map(tmp_path / "map.fits", np.full((40, 60), 7, np.int32), read_header(path), "")
    assert (fits.getdata(tmp_path / "map.fits") == 7).all()


@pytest.mark.parametrize(
    "card", ["TIMESYS = 'UTC\0'", "OBSERVER= '\x7f'", "EXPTIME = 12 s", "BPA     =", "X       = (1"]
)
def test_map_is_written_although_the_header_has_cards_that_cannot_be(tmp_path, make_header, pixels, card):
    header = make_header()
    header.append(fits.Card.fromstring(card))
    write_map(tmp_path / "map.fits", pixels, header, "Jy/beam")
    with fits.open(tmp_path / "map.fits") as hdus:
        assert np.array_equal(hdus[0].data, pixels, equal_nan=True)
        assert hdus[0].header["TELESCOP"] == "AMI-LA"
    # The image in memory has a hash of its header too.
    assert len(Image.from_array(pixels, header).content_hash) == 32


def add_card(path, card):
    """Add a card at the end of the header of a file."""
    content = path.read_bytes()
    start = content.index(b"END".ljust(80))
    assert (start + 80) % 2880
    path.write_bytes(content[:start] + card.ljust(80).encode() + content[start : start + 80] + content[start + 160 :])
    return path


@pytest.mark.parametrize("pack", ["", ".gz"])
@pytest.mark.parametrize(
    "card",
    [
        *("BSCALE  =", "BZERO   = / nothing", "BLANK   =", "BLANK   = #", "BLANK   = 'x'", "PCOUNT  =", "GCOUNT  ="),
        *("EXTEND  = #", "EXTEND  =", "CHECKSUM= 'never closed", "DATASUM = 12 34", "GROUPS  = maybe", "EXTNAME = x y"),
    ],
)
def test_card_of_the_file_without_a_value_or_a_syntax_does_not_matter(write_image, pixels, card, pack):
    path = add_card(write_image(pixels), card)
    if pack:
        path = path.with_suffix(".fits.gz")
        path.write_bytes(gzip.compress(path.with_suffix("").read_bytes()))
    image = Image(path)
    assert np.array_equal(image.data, pixels, equal_nan=True)
    assert image.metadata.telescope == "AMI-LA"


@pytest.mark.parametrize(("card", "value"), [("BSCALE  = #", "BSCALE = #"), ("BZERO   = 'x'", "BZERO = 'x'")])
def test_scale_that_is_no_number_is_named(write_image, pixels, card, value):
    with pytest.raises(UnreadableImageError, match=f"{value}: not a number"):
        _ = Image(add_card(write_image(pixels), card)).data


@pytest.mark.parametrize("card", ["BLANK   = #", "BLANK   = 'x'"])
def test_integers_whose_blank_is_no_number_are_refused(write_image, integers, card):
    with pytest.raises(ImageError, match="BLANK = '.*': not a number"):
        _ = Image(add_card(write_image(integers), card)).data
