"""The stream of TraP's correlators: frames, their byte order, and above all the order of their pixels."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from astropy.io import fits

from trap.errors import ImageError
from trap.images.stream import HEAD_LENGTH, MAGIC, fits_file, read_frame, write_frame

NX, NY = 3, 2
PIXELS = np.arange(NX * NY, dtype=np.float32).reshape(NY, NX)  # one row 0 1 2, the next 3 4 5


@pytest.fixture
def header():
    return fits.PrimaryHDU(PIXELS).header


def read(data, order="x-fastest"):
    """The file that becomes of a frame."""
    return fits.open(io.BytesIO(fits_file(read_frame(io.BytesIO(data).read), order)))[0]


def with_cards(*cards):
    """A frame with these cards, in place of all others of their names."""
    names = {card[:8] for card in cards}
    others = [str(card) for card in fits.PrimaryHDU(PIXELS).header.cards if str(card)[:8] not in names]
    text, data = "\n".join([*others, *cards]).encode("latin-1"), PIXELS.astype("=f4").tobytes()
    return struct.pack("=QII", MAGIC, len(text), len(data)).ljust(HEAD_LENGTH, b"\0") + text + data


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
    np.testing.assert_array_equal(read(frame).data, PIXELS)


def test_sender_of_the_other_order_is_read_with_its_setting(header):
    frame = write_frame(header, PIXELS, "y-fastest")
    np.testing.assert_array_equal(np.frombuffer(frame[-24:], "=f4"), [0, 3, 1, 4, 2, 5])
    np.testing.assert_array_equal(read(frame, "y-fastest").data, PIXELS)


def test_image_is_the_same_from_the_stream_and_from_a_file(header, tmp_path):
    fits.PrimaryHDU(PIXELS, header).writeto(tmp_path / "file.fits")
    frame = read_frame(io.BytesIO(write_frame(header, PIXELS)).read)
    assert fits_file(frame, "x-fastest") == (tmp_path / "file.fits").read_bytes()


def test_further_axes_of_the_header_stay(header):
    header = fits.PrimaryHDU(PIXELS[None, None]).header
    header["CTYPE3"] = "FREQ"
    hdu = read(write_frame(header, PIXELS))
    assert (hdu.data.shape, hdu.header["CTYPE3"]) == ((1, 1, NY, NX), "FREQ")


@pytest.mark.parametrize("order", ["<", ">"])
def test_byte_order_of_the_sender_is_recognised(header, order):
    text = header.tostring().encode()
    head = struct.pack(f"{order}QII", MAGIC, len(text), NX * NY * 4).ljust(HEAD_LENGTH, b"\0")
    np.testing.assert_array_equal(read(head + text + PIXELS.astype(f"{order}f4").tobytes()).data, PIXELS)


def test_images_follow_each_other(header):
    stream = io.BytesIO(write_frame(header, PIXELS) + write_frame(header, -PIXELS))
    for sign in (1, -1):
        data = np.frombuffer(read_frame(stream.read).data, "=f4")
        np.testing.assert_array_equal(data, sign * PIXELS.ravel())
    with pytest.raises(EOFError):
        read_frame(stream.read)


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


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ("NAXIS   =                   99", "at most 32 axes, got NAXIS = 99"),
        ("NAXIS   = 'abc'", "NAXIS is no whole number: NAXIS   = 'abc'"),
        ("NAXIS1  =                  3.0", "NAXIS1 is no whole number"),
        ("NAXIS1  = 123456789012345678901", "NAXIS1 is no whole number"),
        ("NAXIS2  =", "NAXIS2 is no whole number"),
        ("NAXIS2  =                   -2", "NAXIS1 = 3 and NAXIS2 = -2"),
        ("END", "received 6 pixels for NAXIS1 = 3 and NAXIS2 = 2"),
        ("X" * 81, "a card has at most 80 characters, got 81"),
    ],
)
def test_odd_image_costs_itself_and_the_next_is_read(card, message):
    odd = with_cards(card)
    if card == "END":
        odd = odd.replace(struct.pack("=I", 24), struct.pack("=I", 23), 1)[:-1]  # part of a pixel
        message = message.replace("6", "5.75")
    stream = io.BytesIO(odd + with_cards("NUMBER  = 2"))
    frame = read_frame(stream.read)
    with pytest.raises(ImageError, match=message):
        fits_file(frame, "x-fastest")
    assert b"NUMBER  = 2 " in fits_file(read_frame(stream.read), "x-fastest")


@pytest.mark.parametrize(
    "card",
    [
        "DATE-OBS= 2020-01-01T00:00:00",
        "BUNIT   = mJy/beam",
        "BMAJ    = 0.0.1",
        "FOO BAR = 3",
        "OBSERVER= 'never ends",
        "EXPTIME =",
        "CONTINUE  'of nothing'",
    ],
)
def test_card_that_cannot_be_parsed_is_judged_by_the_rules_for_files(card):
    frame = with_cards(card)
    assert card.ljust(80).encode() in fits_file(read_frame(io.BytesIO(frame).read), "x-fastest")
    np.testing.assert_array_equal(read(frame).data, PIXELS)


def test_characters_that_no_card_may_have_are_replaced():
    hdu = read(with_cards("OBSERVER= 'J\xfcrg\t'", "OBJECT  = 'M31'"))
    assert (hdu.header["OBSERVER"], hdu.header["OBJECT"]) == ("J?rg?", "M31")


def test_cards_on_the_layout_of_the_file_of_the_sender_are_not_kept():
    layout = ("XTENSION= 'IMAGE'", "BITPIX  = 16", "BSCALE  = 2.0", "BLANK   = 3", "GROUPS  = T", "PCOUNT  = 7")
    hdu = read(with_cards(*layout, "CHECKSUM= 'old'"))
    np.testing.assert_array_equal(hdu.data, PIXELS)
    assert hdu.header["BITPIX"] == -32
    assert not {"XTENSION", "BSCALE", "BLANK", "GROUPS", "PCOUNT", "CHECKSUM"} & set(hdu.header)
