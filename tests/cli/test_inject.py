from __future__ import annotations

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
def inject(tmp_path):
    """A function that injects what a file says."""

    def run(images, *options, text=TRAPS, name="inject.cfg"):
        (tmp_path / name).write_text(text)
        return main(["inject", str(tmp_path / name), *map(str, images), *options])

    return run


def test_copy_beside_the_image_has_what_was_missing(tmp_path, inject, capsys):
    image = write_fits(tmp_path / "image.fits", TELESCOP="LOFAR")
    before = image.read_bytes()
    assert inject([image]) == 0
    assert image.read_bytes() == before
    copy = read_image(tmp_path / "image_injected.fits")
    assert copy.header["NCORE"] == 41
    assert copy.metadata.lofar.antenna_set == "HBA_DUAL"
    assert copy.metadata.tau_time == 58141509.156864166
    # The header has a date, which stays.
    assert copy.metadata.taustart_ts.year == 2020
    assert np.array_equal(copy.data, read_image(image).data)
    output = capsys.readouterr().out
    assert "NCORE    – -> 41" in output
    assert "DATE-OBS" not in output


def test_keywords_that_are_there_change_only_on_request(tmp_path, inject, capsys):
    image = write_fits(tmp_path / "image.fits")
    assert inject([image], "--replace") == 0
    assert read_image(tmp_path / "image_injected.fits").metadata.taustart_ts.year == 2007
    assert "DATE-OBS '2020-08-03T04:33:55.500000' -> '2007-07-20T14:18:09.909001'" in capsys.readouterr().out


def test_dry_run_writes_nothing(tmp_path, inject, capsys):
    image = write_fits(tmp_path / "image.fits")
    before = image.read_bytes()
    assert inject([image], "--dry-run", "--overwrite") == 0
    assert image.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image.fits", "inject.cfg"]
    assert "NCORE" in capsys.readouterr().out


def test_image_itself_changes_only_on_request(tmp_path, inject):
    image = write_fits(tmp_path / "image.fits")
    assert inject([image], "--overwrite") == 0
    assert read_image(image).header["NCORE"] == 41
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image.fits", "inject.cfg"]


@pytest.mark.parametrize(("name", "write"), [("image.fits.fz", write_compressed), ("image.fits.gz", write_fits)])
def test_compressed_image_stays_so_with_the_same_pixels(tmp_path, inject, name, write):
    image = write(tmp_path / name)
    assert inject([image]) == 0
    copy = read_image(tmp_path / f"image_injected{name[5:]}")
    assert copy.header["NCORE"] == 41
    assert np.array_equal(copy.data, read_image(image).data)
    assert (tmp_path / f"image_injected{name[5:]}").stat().st_size < image.stat().st_size + 6000


def test_scaled_integers_stay_what_they_are(tmp_path, inject):
    image = tmp_path / "integers.fits"
    hdu = fits.PrimaryHDU(np.arange(400, dtype=np.int16).reshape(20, 20))
    hdu.header.update(CTYPE1="RA---SIN", CTYPE2="DEC--SIN", BSCALE=0.5, BZERO=3.0)
    hdu.writeto(image)
    assert inject([image]) == 0
    before, after = (path.read_bytes() for path in (image, tmp_path / "integers_injected.fits"))
    assert before[-2880:] == after[-2880:]


def test_values_may_come_from_toml(tmp_path, inject):
    image = write_fits(tmp_path / "image.fits", BMAJ=None, BMIN=None, BPA=None)
    assert inject([image], text="[inject]\nbmaj = 0.02\nbmin = 0.01\nbpa = 5\n", name="inject.toml") == 0
    assert read_image(tmp_path / "image_injected.fits").metadata.beam.bmaj == 0.02


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[inject]\nncore = many\n", "ncore must be int, got 'many'"),
        ("[inject]\ncolour = 1\n", "cannot inject 'colour'; possible are taustart_ts"),
        ("[inject]\n", "no values to inject"),
        ("[other]\nncore = 1\n", "section [inject] is missing"),
    ],
)
def test_wrong_values_are_one_line(tmp_path, inject, capsys, text, message):
    assert inject([write_fits(tmp_path / "image.fits")], text=text) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "inject.cfg" in error


def test_image_that_cannot_be_read_costs_itself(tmp_path, inject, capsys):
    image = write_fits(tmp_path / "image.fits")
    (tmp_path / "text.fits").write_text("no image")
    assert inject([tmp_path / "text.fits", image]) == 3
    assert "text.fits: " in capsys.readouterr().err
    assert (tmp_path / "image_injected.fits").exists()


def test_duration_of_a_lofar_table_is_set(tmp_path, inject, capsys):
    path = write_lofar_table(tmp_path / "lofar.image")
    assert inject([path], "--dry-run", text="[inject]\ntau_time = 42\n") == 0
    assert read_image(path).metadata.tau_time == 10.0
    assert inject([path], text="[inject]\ntau_time = 42\n") == 0
    assert read_image(tmp_path / "lofar_injected.image").metadata.tau_time == 42.0
    assert read_image(path).metadata.tau_time == 10.0
    assert inject([path], text="[inject]\nncore = 42\n") == 3
    assert "only tau_time can be injected" in capsys.readouterr().err


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
