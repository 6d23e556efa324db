"""The stream of TraP's correlators: frames, their byte order, and above all the order of their pixels."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from astropy.io import fits

from trap.errors import ImageError
from trap.images.stream import HEAD_LENGTH, MAGIC, read_frame, write_frame

NX, NY = 3, 2
PIXELS = np.arange(NX * NY, dtype=np.float32).reshape(NY, NX)  # one row 0 1 2, the next 3 4 5


@pytest.fixture
def header():
    return fits.PrimaryHDU(PIXELS).header


def read(data, order="x-fastest"):
    return read_frame(io.BytesIO(data).read, order)


def test_frame_begins_as_in_trap(header):
    frame = write_frame(header, PIXELS)
    magic, n_header, n_pixels = struct.unpack("=QII", frame[:16])
    assert (magic, n_pixels) == (0x47494A53484F4D4F, NX * NY * 4)
    assert frame[16:HEAD_LENGTH] == bytes(496)
    assert frame[HEAD_LENGTH : HEAD_LENGTH + 9] == b"SIMPLE  ="
    assert len(frame) == HEAD_LENGTH + n_header + n_pixels


def test_pixels_come_along_x_first_as_in_a_file(header):
    frame = write_frame(header, PIXELS)
    np.testing.assert_array_equal(np.frombuffer(frame[-24:], "=f4"), [0, 1, 2, 3, 4, 5])
    np.testing.assert_array_equal(read(frame).pixels, PIXELS)


def test_sender_of_the_other_order_is_read_with_its_setting(header):
    frame = write_frame(header, PIXELS, "y-fastest")
    np.testing.assert_array_equal(np.frombuffer(frame[-24:], "=f4"), [0, 3, 1, 4, 2, 5])
    np.testing.assert_array_equal(read(frame, "y-fastest").pixels, PIXELS)


def test_image_is_the_same_from_the_stream_and_from_a_file(header, tmp_path):
    read(write_frame(header, PIXELS)).to_fits().writeto(tmp_path / "stream.fits")
    fits.PrimaryHDU(PIXELS, header).writeto(tmp_path / "file.fits")
    assert (tmp_path / "stream.fits").read_bytes() == (tmp_path / "file.fits").read_bytes()


def test_further_axes_of_the_header_stay(header):
    header = fits.PrimaryHDU(PIXELS[None, None]).header
    header["CTYPE3"] = "FREQ"
    hdu = read(write_frame(header, PIXELS)).to_fits()
    assert (hdu.data.shape, hdu.header["CTYPE3"]) == ((1, 1, NY, NX), "FREQ")


@pytest.mark.parametrize("order", ["<", ">"])
def test_byte_order_of_the_sender_is_recognised(header, order):
    text = header.tostring().encode()
    head = struct.pack(f"{order}QII", MAGIC, len(text), NX * NY * 4).ljust(HEAD_LENGTH, b"\0")
    np.testing.assert_array_equal(read(head + text + PIXELS.astype(f"{order}f4").tobytes()).pixels, PIXELS)


def test_images_follow_each_other(header):
    stream = io.BytesIO(write_frame(header, PIXELS) + write_frame(header, -PIXELS))
    for sign in (1, -1):
        np.testing.assert_array_equal(read_frame(stream.read, "x-fastest").pixels, sign * PIXELS)
    with pytest.raises(EOFError):
        read_frame(stream.read, "x-fastest")


def test_error_shows_bytes_that_are_not_a_frame():
    with pytest.raises(ImageError, match="not the beginning of an image: expected .*, got 474554202f204854"):
        read(b"GET / HTTP/1.1\r\n".ljust(HEAD_LENGTH))


def test_stream_that_ends_within_an_image_is_an_error(header):
    with pytest.raises(EOFError, match="ended after 20 of 24 bytes"):
        read(write_frame(header, PIXELS)[:-4])


def test_pixels_that_do_not_fit_their_header_are_refused(header):
    header["NAXIS1"] = NX + 1
    with pytest.raises(ImageError, match="received 6 pixels for NAXIS1 = 4 and NAXIS2 = 2"):
        read(write_frame(header, PIXELS))


def test_stream_out_of_step_allocates_no_memory():
    head = struct.pack("=QII", MAGIC, 80, 1 << 31 | 1).ljust(HEAD_LENGTH, b"\0")
    with pytest.raises(ImageError, match="a frame has at most"):
        read(head)
