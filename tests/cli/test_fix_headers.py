from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from astropy.io import fits
from image_forms import write_casa, write_compressed, write_fits

from trap.cli import main
from trap.images.image import read_image

TRAPS = """\
[inject]
taustart_ts = "2007-07-20T14:18:09.909001"
tau_time = 58141509.156864166   ; s
antenna_set = "HBA_DUAL"
subbands = 10                   ; number of subbands
ncore = 41                      ; number of core stations
nremote = 0
nintl = 0
subbandwidth = 195312.5
"""


@pytest.fixture
def fix(tmp_path):
    """A function that writes the corrections of a file."""

    def run(images, *options, text=TRAPS, name="inject.cfg"):
        (tmp_path / name).write_text(text)
        return main(["fix-headers", str(tmp_path / name), *map(str, images), *options])

    return run


def test_copy_beside_the_image_has_what_was_missing(tmp_path, fix, capsys):
    image = write_fits(tmp_path / "image.fits", TELESCOP="LOFAR")
    before = image.read_bytes()
    assert fix([image]) == 0
    assert image.read_bytes() == before
    copy = read_image(tmp_path / "image_fixed.fits")
    assert copy.header["NCORE"] == 41
    assert copy.metadata.lofar.antenna_set == "HBA_DUAL"
    assert copy.metadata.tau_time == 58141509.156864166
    # The header has a date, which stays.
    assert copy.metadata.taustart_ts.year == 2020
    assert np.array_equal(copy.data, read_image(image).data)
    output = capsys.readouterr().out
    assert "NCORE    – -> 41" in output
    assert "DATE-OBS" not in output


def test_keywords_that_are_there_change_only_on_request(tmp_path, fix, capsys):
    image = write_fits(tmp_path / "image.fits")
    assert fix([image], "--replace") == 0
    assert read_image(tmp_path / "image_fixed.fits").metadata.taustart_ts.year == 2007
    assert "DATE-OBS '2020-08-03T04:33:55.500000' -> '2007-07-20T14:18:09.909001'" in capsys.readouterr().out


def test_dry_run_writes_nothing(tmp_path, fix, capsys):
    image = write_fits(tmp_path / "image.fits")
    before = image.read_bytes()
    assert fix([image], "--dry-run", "--overwrite") == 0
    assert image.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image.fits", "inject.cfg"]
    assert "NCORE" in capsys.readouterr().out


def test_image_itself_changes_only_on_request(tmp_path, fix):
    image = write_fits(tmp_path / "image.fits")
    assert fix([image], "--overwrite") == 0
    assert read_image(image).header["NCORE"] == 41
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image.fits", "inject.cfg"]


@pytest.mark.parametrize(("name", "write"), [("image.fits.fz", write_compressed), ("image.fits.gz", write_fits)])
def test_compressed_image_stays_so_with_the_same_pixels(tmp_path, fix, name, write):
    image = write(tmp_path / name)
    assert fix([image]) == 0
    copy = read_image(tmp_path / f"image_fixed{name[5:]}")
    assert copy.header["NCORE"] == 41
    assert np.array_equal(copy.data, read_image(image).data)
    assert (tmp_path / f"image_fixed{name[5:]}").stat().st_size < image.stat().st_size + 6000


def test_scaled_integers_stay_what_they_are(tmp_path, fix):
    image = tmp_path / "integers.fits"
    hdu = fits.PrimaryHDU(np.arange(400, dtype=np.int16).reshape(20, 20))
    hdu.header.update(CTYPE1="RA---SIN", CTYPE2="DEC--SIN", BSCALE=0.5, BZERO=3.0)
    hdu.writeto(image)
    assert fix([image]) == 0
    before, after = (path.read_bytes() for path in (image, tmp_path / "integers_fixed.fits"))
    assert before[-2880:] == after[-2880:]


def test_values_may_come_from_toml(tmp_path, fix):
    image = write_fits(tmp_path / "image.fits", BMAJ=None, BMIN=None, BPA=None)
    assert fix([image], text="[inject]\nbmaj = 0.02\nbmin = 0.01\nbpa = 5\n", name="inject.toml") == 0
    assert read_image(tmp_path / "image_fixed.fits").metadata.beam.bmaj == 0.02


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[inject]\nncore = many\n", "ncore must be int, got 'many'"),
        ("[inject]\ncolour = 1\n", "cannot write 'colour'; possible are taustart_ts"),
        ("[inject]\n", "no values to write"),
        ("[inject]\ntaustart_ts = yesterday\n", "taustart_ts must be a date, got 'yesterday'"),
        ("[other]\nncore = 1\n", "section [fix-headers], or TraP's [inject], is missing"),
    ],
)
def test_wrong_values_are_one_line(tmp_path, fix, capsys, text, message):
    assert fix([write_fits(tmp_path / "image.fits")], text=text) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "inject.cfg" in error


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("NAXIS1 = 7", "cannot write NAXIS1, which describes the file"),
        ("BSCALE = 7.0", "cannot write BSCALE"),
        ("TOO_LONG_NAME = 7", "cannot write 'TOO_LONG_NAME'"),
        ('OBSERVER = "Å"', "OBSERVER must be str in FITS, got 'Å'"),
        ("OBSERVER = [1]", "OBSERVER must be list in FITS"),
        ("bmaj = nan", "bmaj must be float, got nan"),
    ],
)
def test_values_that_a_header_cannot_hold_are_one_line(tmp_path, fix, capsys, text, message):
    assert fix([write_fits(tmp_path / "image.fits")], text=f"[fix-headers]\n{text}\n", name="fix.toml") == 1
    assert message in capsys.readouterr().err


def test_image_that_cannot_be_read_costs_itself(tmp_path, fix, capsys):
    image = write_fits(tmp_path / "image.fits")
    (tmp_path / "text.fits").write_text("no image")
    assert fix([tmp_path / "text.fits", image]) == 3
    assert "text.fits: " in capsys.readouterr().err
    assert (tmp_path / "image_fixed.fits").exists()


@pytest.mark.parametrize(
    ("value", "timesys", "written"),
    [
        ("2007-07-20T14:18:09.909001", None, "2007-07-20T14:18:09.909001"),
        ("2007-07-20 14:18:09", "UTC", "2007-07-20T14:18:09"),
        ('"2007-07-20 14:18:09"', "UTC", "2007-07-20T14:18:09"),
        ("2007-07-20", "UTC", "2007-07-20T00:00:00"),
        ("2007-07-20T16:18:09+02:00", "UTC", "2007-07-20T14:18:09"),
        # 33 leap seconds in 2007.
        ("2007-07-20T14:18:09", "TAI", "2007-07-20T14:18:42"),
        ("2007-07-20T14:18:09Z", "TT(TAI)", "2007-07-20T14:19:14.184000"),
    ],
)
def test_start_is_written_with_its_t_in_the_time_scale_of_the_header(tmp_path, fix, value, timesys, written):
    image = write_fits(tmp_path / "image.fits", TIMESYS=timesys)
    assert fix([image], "--replace", text=f"[fix-headers]\ntaustart_ts = {value}\n", name="fix.toml") == 0
    copy = read_image(tmp_path / "image_fixed.fits")
    assert copy.header["DATE-OBS"] == written
    expected = datetime.fromisoformat("2007-07-20T14:18:09" if len(value) > 12 else value).replace(tzinfo=UTC)
    assert abs((copy.metadata.taustart_ts - expected).total_seconds()) < 1


def test_time_scale_and_start_may_be_written_together(tmp_path, fix):
    image = write_fits(tmp_path / "image.fits", TIMESYS="MARS")
    assert fix([image], "--replace", text="[fix-headers]\ntaustart_ts = 2007-07-20T14:18:09\n", name="a.toml") == 3
    text = '[fix-headers]\ntaustart_ts = 2007-07-20T14:18:09\ntimesys = "TAI"\n'
    assert fix([image], "--replace", text=text, name="b.toml") == 0
    copy = read_image(tmp_path / "image_fixed.fits")
    assert (copy.header["DATE-OBS"], copy.header["TIMESYS"]) == ("2007-07-20T14:18:42", "TAI")


def spoil(path, keyword, card):
    """Replace the bytes of a card."""
    content = path.read_bytes()
    start = content.index(keyword.ljust(8).encode() + b"=")
    path.write_bytes(content[:start] + card.ljust(80).encode("latin-1") + content[start + 80 :])
    return path


@pytest.mark.parametrize(
    ("keyword", "card", "text"),
    [
        ("CUNIT1", "CUNIT1  = 'parsnips'", 'cunit1 = "deg"'),
        ("CUNIT3", "CUNIT3  = 'never closed", 'cunit3 = "Hz"'),
        ("CUNIT3", "CUNIT3  = parsnips", 'CUNIT3 = "Hz"'),
        ("CRVAL3", "CRVAL3  = 1,4e9", "CRVAL3 = 1.4e9"),
        ("BUNIT", "BUNIT   = 'never closed", 'unit = "Jy/beam"'),
        ("DATE-OBS", "DATE-OBS= \\", "taustart_ts = 2020-08-03T04:33:55.5Z"),
    ],
)
def test_bad_card_is_mended_in_its_place(tmp_path, fix, keyword, card, text):
    image = write_fits(tmp_path / "image.fits", ("ra", "dec", "freq"))
    good = read_image(image)
    expected, order, pixels = good.metadata, list(good.header), good.data
    spoil(image, keyword, card)
    assert fix([image], "--replace", text=f"[fix-headers]\n{text}\n", name="fix.toml") == 0
    copy = read_image(tmp_path / "image_fixed.fits")
    assert replace(copy.metadata, url="") == replace(expected, url="")
    assert list(copy.header) == order
    assert np.array_equal(copy.data, pixels)


def test_keyword_without_a_value_gets_one_without_being_asked(tmp_path, fix):
    image = spoil(write_fits(tmp_path / "image.fits"), "TELESCOP", "TELESCOP=")
    assert fix([image], text='[fix-headers]\ntelescope = "VLA"\n', name="fix.toml") == 0
    assert read_image(tmp_path / "image_fixed.fits").metadata.telescope == "VLA"


def test_header_that_cannot_be_written_costs_one_image(tmp_path, fix, capsys):
    images = [write_fits(tmp_path / f"{name}.fits") for name in "abc"]
    spoil(images[0], "TIMESYS", "TIMESYS = 'UTC\0'")
    spoil(images[1], "NAXIS1", "NAXIS1  = '…'".replace("…", "many"))
    assert fix(images, text="[fix-headers]\ntau_time = 42\n", name="fix.toml") == 3
    error = capsys.readouterr().err
    assert "a.fits: the corrected image cannot be written" in error
    assert "b.fits: NAXIS1 = 'many': not a number" in error
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.fits",
        "b.fits",
        "c.fits",
        "c_fixed.fits",
        "fix.toml",
    ]


def test_former_name_of_the_command_is_one_line(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["inject", "inject.cfg", "a.fits"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "transients: the command 'inject' is now called 'fix-headers'\n"


def test_duration_of_a_lofar_table_is_set(tmp_path, fix, capsys):
    path = write_lofar_table(tmp_path / "lofar.image")
    assert fix([path], "--dry-run", text="[inject]\ntau_time = 42\n") == 0
    assert read_image(path).metadata.tau_time == 10.0
    assert fix([path], text="[inject]\ntau_time = 42\n") == 0
    assert read_image(tmp_path / "lofar_fixed.image").metadata.tau_time == 42.0
    assert read_image(path).metadata.tau_time == 10.0
    assert fix([path], text="[inject]\nncore = 42\n") == 3
    assert "only tau_time can be written" in capsys.readouterr().err


def write_lofar_table(path):
    """A CASA image with LOFAR's table of the origin beside it."""
    from casacore.tables import makescacoldesc, maketabdesc, table  # noqa: PLC0415

    write_casa(path)
    columns = [makescacoldesc(name, 0.0) for name in ("START", "END")]
    with table(str(path / "LOFAR_ORIGIN"), maketabdesc(columns), nrow=1, ack=False) as origin:
        origin.putcell("START", 0, 5.0)
        origin.putcell("END", 0, 15.0)
    with table(str(path), readonly=False, ack=False) as opened:
        opened.putkeyword("ATTRGROUPS", {"LOFAR_ORIGIN": f"Table: {path / 'LOFAR_ORIGIN'}"})
    return path
