"""Headers without an end, sizes that are none, and small files that unpack to large ones."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import time
import zipfile

import numpy as np
import pytest
from astropy.io import fits

from trap.errors import UnreadableImageError
from trap.images.formats import checked
from trap.images.formats.fits import map_plane, read_header, read_plane
from trap.workers.limits import limited_memory

CARD, BLOCK = 80, 2880


def zipped(content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("image.fits", content)
    return file.getvalue()


PACKINGS = {"plain": bytes, "gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "zip": zipped}
each_packing = pytest.mark.parametrize("pack", PACKINGS.values(), ids=PACKINGS)


def header_of(*cards):
    text = "".join(card.ljust(CARD) for card in (*cards, "END"))
    return text.ljust(-(-len(text) // BLOCK) * BLOCK).encode()


@each_packing
def test_image_is_read_from_every_packing(tmp_path, pixels, make_header, pack):
    path = tmp_path / "image"
    fits.PrimaryHDU(pixels, make_header()).writeto(path)
    path.write_bytes(pack(path.read_bytes()))
    assert read_header(path)["NAXIS1"] == 60
    assert np.array_equal(read_plane(path), pixels, equal_nan=True)
    assert (map_plane(path) is None) == (pack is not bytes)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
def test_header_is_read_without_unpacking_pixels(tmp_path, pixels, make_header, pack):
    path = tmp_path / "image"
    fits.PrimaryHDU(np.tile(pixels, (50, 1)), make_header()).writeto(path)
    content = pack(path.read_bytes())
    path.write_bytes(content[: len(content) // 2])
    assert read_header(path)["NAXIS2"] == 2000


@each_packing
def test_image_behind_another_one_is_read_from_every_packing(tmp_path, pixels, make_header, pack):
    path = tmp_path / "image"
    first = fits.PrimaryHDU(np.arange(5000.0))
    fits.HDUList([first, fits.ImageHDU(pixels, make_header())]).writeto(path)
    path.write_bytes(pack(path.read_bytes()))
    assert np.array_equal(read_plane(path), pixels, equal_nan=True)


def test_zip_archive_of_two_files_is_unreadable(tmp_path):
    path = tmp_path / "two.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in "ab":
            archive.writestr(name, b"")
    with pytest.raises(UnreadableImageError, match="the zip archive holds 2 files instead of one"):
        read_header(path)


ENDLESS = {
    "history": "HISTORY again",
    "keywords": "KEY     =                    1",
    "continued text": "CONTINUE  'and on &'",
    "blanks": "",
}


@each_packing
@pytest.mark.parametrize("card", ENDLESS.values(), ids=ENDLESS)
def test_header_without_an_end_is_refused_in_little_memory(tmp_path, monkeypatch, pack, card):
    monkeypatch.setattr(checked, "MAX_HEADERS", 1 << 18)
    first = ["SIMPLE  =                    T", "BITPIX  =                  -32", "NAXIS   =                    0"]
    path = tmp_path / "endless.fits"
    path.write_bytes(pack("".join(text.ljust(CARD) for text in [*first, "A       = 'a&'", *[card] * 40_000]).encode()))
    with limited_memory(1 << 26), pytest.raises(UnreadableImageError, match=r"no end, or are longer than 0\.3 MB"):
        read_header(path)


@each_packing
def test_file_of_very_many_headers_is_refused(tmp_path, monkeypatch, pack):
    monkeypatch.setattr(checked, "MAX_HEADERS", 1 << 18)
    table = ["XTENSION= 'TABLE   '", "BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 0", "NAXIS2  = 0", "PCOUNT  = 0"]
    path = tmp_path / "many.fits"
    first = header_of("SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0")
    path.write_bytes(pack(first + header_of(*table, "GCOUNT  = 1", "TFIELDS = 0") * 200))
    with pytest.raises(UnreadableImageError, match="the headers have no end"):
        read_header(path)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zipped])
@pytest.mark.parametrize("size", [(1000, 3 << 20), (200_000, 10**9), (1, 10**15)])
def test_header_behind_much_packed_data_is_refused_at_once(tmp_path, monkeypatch, pack, size):
    monkeypatch.setattr(checked, "MAX_UNPACKED", 1 << 31)
    lengths = [f"NAXIS{axis}  = {length}" for axis, length in enumerate(size, start=1)]
    content = header_of("SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 2", *lengths, "GROUPS  = F")
    path = tmp_path / "bomb.fits"
    path.write_bytes(pack(content + bytes(1 << 22)))
    start = time.process_time()
    with limited_memory(1 << 26), pytest.raises(UnreadableImageError, match="GB"):
        read_plane(path)
    assert time.process_time() - start < 1


@pytest.mark.parametrize("kept", [0.3, 0.9])
@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_packed_file_that_was_cut_is_unreadable(tmp_path, pack, kept):
    path = tmp_path / "cut.fits"
    fits.PrimaryHDU(np.random.default_rng(1).normal(size=(200, 60))).writeto(path)
    content = pack(path.read_bytes())
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(UnreadableImageError):
        read_plane(path)


@pytest.mark.parametrize(
    ("card", "problem"),
    [
        ("NAXIS2  = -40", "NAXIS2 = -40: not a length"),
        ("PCOUNT  = -1E3", "PCOUNT = -1E3: not a length"),
        ("WCSAXES = 1000000000", r"WCSAXES = 1000000000: not a number of axes \(0 to 999\)"),
        ("WCSAXESB= 1E300", "WCSAXESB = 1E300: not a number of axes"),
        ("WCSAXES = '2'", "WCSAXES = '2': not a number"),
        ("NAXIS   = 1E300", "NAXIS = 1E300: not a number of axes"),
    ],
)
def test_card_whose_size_is_impossible_is_named(tmp_path, pixels, card, problem):
    path = tmp_path / "size.fits"
    fits.PrimaryHDU(pixels).writeto(path)
    content = path.read_bytes()
    end = content.index(b"END".ljust(CARD))
    path.write_bytes(content[:end] + card.ljust(CARD).encode() + content[end:-CARD])
    with pytest.raises(UnreadableImageError, match=f"size.fits: {problem}"):
        read_header(path)


@pytest.mark.parametrize(
    ("card", "value"),
    [("PCOUNT", 0), ("THEAP", 999), ("ZNAXIS1", 10**9), ("ZTILE2", 10**9), ("ZNAME1", 5), ("NAXIS2", 10**9)],
)
def test_tiles_that_the_file_does_not_hold_make_it_unreadable(tmp_path, make_header, card, value):
    path = tmp_path / "tiles.fits"
    noise = np.random.default_rng(1).normal(size=(40, 60)).astype(np.float32)
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(noise, make_header(), compression_type="RICE_1")]).writeto(path)
    with fits.open(path, disable_image_compression=True) as hdus:
        header = hdus[1].header.tostring()
    edited = fits.Header.fromstring(header)
    edited[card] = value
    content = path.read_bytes().replace(header.encode(), edited.tostring().encode())
    path.write_bytes(content)
    with limited_memory(1 << 28), pytest.raises(UnreadableImageError):
        read_plane(path)
