"""Whatever a file holds, ``transients inspect`` says what is wrong with it, names it, and comes to an end."""

from __future__ import annotations

import json
import os
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from astropy.io import fits
from fuzzing import fuzz, little_memory
from hypothesis import given
from hypothesis import strategies as st
from image_forms import write_casa, write_fits, write_hdf5

from trap.cli import main
from trap.config import PipelineConfig
from trap.run.inspection import inspect_image

CONFIG = PipelineConfig()
SECONDS = 30
"""What an image of 24² pixels takes on the busiest machine, many times over."""
N_HEADERS, N_CUTS, N_BYTES = 1300, 400, 300


class Seed(NamedTuple):
    """A whole file: its header, and its pixels."""

    header: bytes
    pixels: bytes

    def __repr__(self):
        return "Seed()"  # hypothesis shows what it tries


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """A small image with everything that headers hold, as bytes: the header's cards and the pixels."""
    folder = tmp_path_factory.mktemp("seed")
    path = write_fits(folder / "seed.fits", ("ra", "dec", "freq", "stokes"))
    with fits.open(path) as hdus:
        header, data = hdus[0].header.copy(), hdus[0].data[..., :24, :24].copy()
    header.update(
        TAU_TIME=10.0, NCORE=41, NREMOTE=3, NINTL=0, SUBBANDS=10, SUBBANDW=195312.5, ANTENNA="HBA_DUAL",
        RADESYS="FK5", EQUINOX=2000.0, RESTFRQ=1.42e9, LONPOLE=180.0, LATPOLE=-30.0, PC1_1=1.0, PC2_2=1.0,
    )  # fmt: skip
    header["TELESCOP"], header["DATE-END"] = "LOFAR", "2020-08-03T05:33:55"
    header["HISTORY"] = "AIPS   CLEAN BMAJ=  2.2222E-02 BMIN=  2.2222E-02 BPA=   0.00"
    fits.PrimaryHDU(data, header).writeto(path, overwrite=True)
    inspect_image(str(path), CONFIG)  # compiles the kernels, on which no file waits again
    content = path.read_bytes()
    length = len(content) - (data.nbytes + 2879) // 2880 * 2880
    return Seed(content[:length], content[length:])


@contextmanager
def no_longer_than(seconds):
    """End what hangs, and fail the test."""

    def too_long(*_):
        raise AssertionError(f"it took more than {seconds} s")

    previous = signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def look_at(path):
    """Inspect a file in this process, as the command does; it must come to an end with a verdict."""
    with no_longer_than(SECONDS), little_memory():
        look = inspect_image(str(path), CONFIG)
    assert look.path == str(path)
    assert look.verdict
    assert look.is_usable or look.verdict.startswith(("unreadable: ", "rejected: ", "not usable: "))
    return look


CARD, SIZE_CARDS = 80, 7
SCALARS = "T F '' 'NaN' NaN inf -1 0 1e400 -1e308 1e-320 1.0E+38 2147483648 1000000000"
WORDS = "'RA---TAN' 'GLON-CAR' 'DEC--SIN' 'FREQ' 'VELO' 'STOKES' 'XXXX-YYY' 'deg'"
VALUES = st.one_of(
    st.sampled_from(["", *SCALARS.split()]),
    st.sampled_from(WORDS.split()),
    st.sampled_from(["'FREQ-TAB'", "'RA---TAB'", "'DEC--ZPN'"]),
    st.sampled_from(["'01-JUL-8'", "'2020-13-45T99:99:99'", "'0001-01-01'", "'9999-12-31T23:59:59'", "'31/12/99'"]),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(10**12), 10**12).map(str),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30),
)


PROJECTIONS = [
    *("AZP", "SZP", "TAN", "STG", "SIN", "ARC", "ZPN", "ZEA", "AIR", "CYP", "CEA", "CAR", "MER", "COP", "COE", "COD"),
    *(
        "COO",
        "SFL",
        "PAR",
        "MOL",
        "AIT",
        "BON",
        "PCO",
        "TSC",
        "CSC",
        "QSC",
        "HPX",
        "XPH",
        "TAB",
        "TPV",
        "TAN-SIP",
        "NCP",
    ),
]
SPECTRA = ["FREQ-TAB", "WAVE-LOG", "VOPT-F2W", "freq", "AWAV-GRA", "VRAD", "FREQ-LSR", "TIME", "STOKES", "DEC--TAN"]
UNITS = ["DEG", "Degrees", "arcmin", "RAD", "HZ", "MHZ", "KM/S", "parsnips", "10**999 Hz", "((", "m s**", "Jy/", "' "]
TEXTS = [
    "",
    "#",
    "never quoted",
    "'never closed",
    "1,5",
    "1 2",
    "T",
    "'x'",
    "'1.5'",
    "1.5D",
    "(1, 2)",
    "--",
    "'\u007f'",
]
NUMBERS = st.sampled_from([0, 1, -1, 2, 5, 91, 3000, 2**31, 1e10, 1e150, 1e300, -1e300, 1e-300, 9.999e99]) | st.floats(
    allow_nan=False, allow_infinity=False
)
OPTIONAL = [
    *("BPA", "BMAJ", "EXPTIME", "TAU_TIME", "TIMESYS", "DATE-OBS", "DATE-END", "MJD-OBS", "TELESCOP"),
    *("BUNIT", "CUNIT3", "CDELT3", "CRPIX3", "RESTFRQ", "VELREF", "NCORE", "SUBBANDW", "EQUINOX"),
    *("EPOCH", "RADESYS", "LONPOLE", "SPECSYS", "CTYPE1", "CRVAL2", "CRPIX1", "CDELT2", "CROTA2"),
    *("WCSAXES", "CASAMBM", "BSCALE", "BZERO", "BLANK", "OBSERVER", "TIME-OBS", "INSTRUME", "PC1_2"),
    *("A_ORDER", "CPDIS1", "DP1"),
]


def cards(keywords, values, form="{}"):
    """Cards of any of the keywords with any of the values."""
    return st.builds(lambda keyword, value: f"{keyword:8}= {form.format(value)}", keywords, values)


ADDED = st.one_of(
    cards(st.sampled_from(["CTYPE3", "CTYPE4", "CTYPE5"]), st.sampled_from(SPECTRA), "'{}'"),
    cards(st.sampled_from(["CUNIT1", "CUNIT2", "CUNIT3", "CUNIT4"]), st.sampled_from(UNITS), "'{}'"),
    cards(
        st.builds("PV{}_{}".format, st.integers(1, 5), st.sampled_from([0, 1, 2, 3, 7, 19, 20, 39, 99, 10**5])), NUMBERS
    ),
    cards(st.builds("{}{}_{}".format, st.sampled_from(["PC", "CD"]), st.integers(1, 5), st.integers(1, 5)), NUMBERS),
    cards(st.sampled_from(["A_ORDER", "B_ORDER", "AP_ORDER", "A_2_0", "B_0_1", "A_DMAX", "CPERR1"]), NUMBERS),
    cards(
        st.sampled_from(["WCSAXES", "EQUINOX", "LONPOLE", "LATPOLE", "CROTA2", "VELREF", "PROJP1", "CRVAL99"]), NUMBERS
    ),
    cards(st.sampled_from(OPTIONAL), st.sampled_from(TEXTS)),
    st.sampled_from(
        ["CPDIS1  = 'LOOKUP'", "CPDIS1  = 'TPD'", "DP1     = 'NAXES: 2'", "PS3_0   = 'TABLE'", "D2IMDIS1= 'x'"]
    ),
)
"""Cards of projections, distortions, spectra and units that no image has, and cards without a value or a syntax."""
KEYWORDS = (
    "WCSAXES", "CTYPE3", "CTYPE2", "PS3_0", "PV3_1", "PV2_1", "PV1_3", "PC1_2", "CD1_1", "A_ORDER", "NAXIS4", "NAXIS1",
    "TFIELDS", "THEAP", "PCOUNT", "GCOUNT", "ZNAXIS", "ZTILE1", "BLANK", "BSCALE", "GROUPS", "LONPOLE",
)  # fmt: skip
"""Keywords of cards that are inserted: astropy and wcslib compute sizes and loops from them."""


@st.composite
def changes(draw):
    """Some cards of the header dropped, doubled, moved, given another value, or added before all others."""
    what = st.sampled_from(["drop", "double", "swap", "value", "value", "value", "spoil", *KEYWORDS])
    edits = [(draw(what), draw(st.integers(0, 10**6)), draw(VALUES)) for _ in range(draw(st.integers(0, 3)))]
    edits += [("add", 0, draw(ADDED)) for _ in range(draw(st.integers(0 if edits else 1, 3)))]
    if draw(st.booleans()):
        name = draw(st.sampled_from(PROJECTIONS))
        edits += [("add", 0, f"CTYPE1  = 'RA---{name}'"), ("add", 0, f"CTYPE2  = 'DEC--{name}'")]
    return edits


def changed(header, edits):
    cards = [header[start : start + CARD] for start in range(0, len(header), CARD)]
    end = next(number for number, card in enumerate(cards) if card.startswith(b"END  "))
    cards = cards[:end]
    for what, place, value in edits:
        if not cards:
            break
        if what == "add":
            # The first of several cards with a keyword counts; the first seven give the size of the pixels.
            cards.insert(SIZE_CARDS, value.ljust(CARD)[:CARD].encode("latin-1"))
            continue
        number = place % len(cards)
        if what == "drop":
            del cards[number]
        elif what == "double":
            cards.insert(number, cards[(number + 7) % len(cards)])
        elif what == "swap":
            cards[number], cards[-1] = cards[-1], cards[number]
        elif what == "spoil":
            cards[number] = value.ljust(CARD)[:CARD].encode()
        elif what in KEYWORDS:
            # A second card of the keyword counts for nothing.
            same = next((n for n, card in enumerate(cards) if card.startswith(what.ljust(8).encode())), len(cards))
            cards[same : same + 1] = [f"{what:<8}= {value:>20}".ljust(CARD)[:CARD].encode()]
        else:
            cards[number] = cards[number][:10] + value.rjust(20).ljust(CARD - 10)[: CARD - 10].encode()
    text = b"".join([*cards, b"END".ljust(CARD)])
    return text + b" " * (-len(text) % 2880)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Where the files go, one after the other."""
    return tmp_path_factory.mktemp("fuzz") / "image.fits"


@pytest.mark.timeout(900)
@fuzz(N_HEADERS)
@given(edits=changes())
def test_any_header_has_a_verdict(image, place, edits):
    header, pixels = image
    place.write_bytes(changed(header, edits) + pixels)
    look_at(place)


@pytest.mark.timeout(900)
@fuzz(N_CUTS)
@given(share=st.floats(0, 1))
def test_file_cut_short_anywhere_has_a_verdict(image, place, share):
    content = b"".join(image)
    place.write_bytes(content[: int(share * len(content))])
    look = look_at(place)
    assert not look.is_usable or share * len(content) >= len(content) - 2880


@pytest.mark.timeout(900)
@fuzz(N_BYTES)
@given(places=st.lists(st.integers(0, 10**6), min_size=1, max_size=20), byte=st.integers(0, 255))
def test_file_with_wrong_bytes_has_a_verdict(image, place, places, byte):
    content = bytearray(b"".join(image))
    for number in places:
        content[number % len(content)] = byte
    place.write_bytes(bytes(content))
    look_at(place)


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 5000, b"SIMPLE  =                    T", b"\x1f\x8b\x08", b"\x89HDF\r\n\x1a\n", b"BZh9", b"PK\3\4"],
)
def test_file_that_is_something_else_has_a_verdict(tmp_path, content):
    (tmp_path / "a.fits").write_bytes(content)
    assert look_at(tmp_path / "a.fits").problem


@pytest.mark.parametrize("suffix", ["image", "h5"])
def test_broken_tables_and_hdf5_files_have_a_verdict(tmp_path, suffix):
    path = (write_casa if suffix == "image" else write_hdf5)(tmp_path / f"whole.{suffix}")
    rng = np.random.default_rng(1)
    files = sorted(
        file for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file() and file.stat().st_size
    )
    for file in files:
        content = file.read_bytes()
        for kept in (0, len(content) // 2, len(content) - 1):
            file.write_bytes(content[:kept])
            look_at(path)
        spoilt = bytearray(content)
        for number in rng.integers(0, min(len(content), 2000), 20):
            spoilt[number] ^= 255
        file.write_bytes(bytes(spoilt))
        if suffix == "h5":
            # casacore itself may end the process over a spoilt table, which costs a run that worker's image.
            look_at(path)
        file.write_bytes(content)
    assert look_at(path).is_usable


def test_what_is_no_file_has_a_verdict(tmp_path, capsys):
    (tmp_path / "folder.fits").mkdir()
    os.mkfifo(tmp_path / "pipe.fits")
    (tmp_path / "loop.fits").symlink_to(tmp_path / "loop.fits")
    (tmp_path / "nowhere.fits").symlink_to(tmp_path / "gone.fits")
    names = ["folder.fits", "loop.fits", "nowhere.fits", "pipe.fits"]
    with no_longer_than(SECONDS):
        assert main(["inspect", "--json", *(str(tmp_path / name) for name in names)]) == 3
    told = json.loads(capsys.readouterr().out)
    assert [Path(look["image"]).name for look in told] == names
    assert all(look["problem"].startswith("unreadable: ") for look in told)


def test_file_that_may_not_be_read_has_a_verdict(tmp_path, monkeypatch, image):
    path = tmp_path / "secret.fits"
    path.write_bytes(b"".join(image))
    path.chmod(0)
    if os.access(path, os.R_OK):
        # Root may read everything: what the system would say is said for it.
        def refuse(*_, **__):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "open", refuse)
    assert look_at(path).verdict == "unreadable: Permission denied"


def test_at_least_two_thousand_files_are_tried():
    assert N_HEADERS + N_CUTS + N_BYTES >= 2000
