"""Bad lists: each is refused with its own message, which names the file, the column, the row and the limit."""

from __future__ import annotations

import gzip
import os
import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, vstack

from tests.source_lists.finder_lists import (
    PLAIN_COLUMNS,
    PLAIN_UNITS,
    aegean_csv,
    aegean_table,
    make_metadata,
    make_sky,
    plain_table,
    pybdsf_fits,
    pybdsf_text,
    pyse_csv,
    selavy_text,
    selavy_votable,
    table_bytes,
)
from trap.catalogues import Flag
from trap.config import SourceListConfig
from trap.errors import SourceListError, UnreadableImageError
from trap.source_lists.read import read_source_list

SKY = make_sky()


def read(tmp_path, content, *, metadata=None, **changes):
    path = tmp_path / "list.txt"
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read_source_list(str(path), SourceListConfig(**changes), metadata or make_metadata())


def refusal(tmp_path, content, **changes):
    """Return the message about a list that is refused, without the file, which it names first."""
    with pytest.raises(SourceListError) as raised:
        read(tmp_path, content, **changes)
    assert str(raised.value) == f"{tmp_path}/list.txt: {raised.value.message}"
    assert raised.value.message.isprintable()
    return raised.value.message


def changed(name, rows, value):
    """Return the sky with some values of a column changed."""
    values = getattr(SKY, name).copy()
    values[rows] = value
    return SKY.__class__(**{**SKY.__dict__, name: values})


def without(column, table=None):
    table = aegean_table(SKY) if table is None else table
    table.remove_column(column)
    return table_bytes(table, "ascii.csv")


def test_missing_column_is_named_with_the_setting_and_the_columns_of_the_file(tmp_path):
    message = refusal(tmp_path, without("dec"), format="aegean")

    assert message.startswith(
        "there is no column 'dec' for dec, as the format aegean has; name it by [source_lists] columns = "
        '{ dec = "…" }; the columns are island, source, background, local_rms, ra_str'
    )


def test_column_of_the_settings_that_the_file_lacks_is_named(tmp_path):
    message = refusal(tmp_path, table_bytes(plain_table(SKY), "fits"), columns=PLAIN_COLUMNS | {"f_int": "S_int"})

    assert message.startswith(
        "there is no column 'S_int' ([source_lists] columns: f_int); the columns are Name, RAJ2000"
    )


def test_unknown_table_is_refused_with_the_way_to_name_its_columns(tmp_path):
    message = refusal(tmp_path, b"a,b,c\n1,2,3\n")

    assert "there is no column 'ra' for ra, as the format table has; name it by [source_lists] columns" in message


@pytest.mark.parametrize(
    ("quantity", "unit", "message"),
    [
        (
            "dec",
            "Jy",
            "column DEJ2000 (dec) has the unit 'Jy', not of an angle; name another by [source_lists] units = ",
        ),
        ("f_int", "deg", "column Si (f_int) has the unit 'deg', not of a flux density; name another by "),
        ("f_int", "furlong^", "column Si (f_int) has the unit 'furlong^', not of a flux density; name another by "),
        ("major", "s", "column Maj (major) has the unit 's', not of an angle; name another by "),
        ("rms", "", 'column noise (rms) has no unit; name it by [source_lists] units = { rms = "Jy/beam" }'),
    ],
)
def test_impossible_or_missing_unit_is_refused(tmp_path, quantity, unit, message):
    content = table_bytes(plain_table(SKY), "ascii.csv")

    found = refusal(tmp_path, content, columns=PLAIN_COLUMNS, units=PLAIN_UNITS | {quantity: unit})

    assert found.startswith(message)


def test_impossible_unit_in_the_file_is_refused(tmp_path):
    lines = selavy_text(SKY).decode().splitlines()
    lines[1] = lines[1].replace("[arcsec]", "    [Jy]", 1)

    message = refusal(tmp_path, "\n".join(lines).encode())

    assert message.startswith("column ra_err (ew_fit_err) has the unit 'Jy', not of an angle")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("ra", np.nan, "column RA, row 6: nan is no position (2 such rows)"),
        ("dec", np.inf, "column DEC, row 6: inf is no position (2 such rows)"),
        ("dec", 91.5, "column DEC, row 6: 91.5 deg is beyond the limit of ±90 deg (2 such rows)"),
        ("ra", -400.0, "column RA, row 6: -400 deg is beyond the limit of ±360 deg (2 such rows)"),
        ("f_int", np.nan, "column Total_flux, row 6: nan is no flux density (2 such rows)"),
        ("f_peak", -np.inf, "column Peak_flux, row 6: -inf is no flux density (2 such rows)"),
    ],
)
def test_impossible_position_or_flux_density_is_refused(tmp_path, name, value, message):
    assert refusal(tmp_path, pybdsf_fits(changed(name, [5, 9], value))) == message


def test_cell_that_is_no_number_is_refused_with_its_line(tmp_path):
    content = aegean_csv(SKY).decode().splitlines()
    cells = content[3].split(",")
    cells[8] = "61.0\x1b[31m°"
    content[3] = ",".join(cells)

    message = refusal(tmp_path, "\n".join(content).encode())

    assert message == r"column dec, row 3 (line 4): '61.0\x1b[31m°' is no number"


def test_row_of_a_text_with_comments_between_has_its_own_line(tmp_path):
    lines = pyse_csv(changed("dec", [3], np.nan)).decode().splitlines()
    lines[2:2] = ["", "# a comment", "   "]

    assert refusal(tmp_path, "\n".join(lines).encode()) == "column dec, row 4 (line 8): nan is no position"


@pytest.mark.parametrize("length", [100, 250, 450])
def test_row_with_too_few_fields_is_refused(tmp_path, length):
    *lines, last = selavy_text(SKY).decode().splitlines()

    message = refusal(tmp_path, "\n".join([*lines, last[:length]]).encode())

    n_fields = len(last[:length].split())
    assert message == f"row 12 (line 14) has {n_fields} fields, and there are 38 columns; the file may be cut short"


def test_row_with_too_many_fields_is_refused(tmp_path):
    lines = pyse_csv(SKY).decode().splitlines()
    lines[2] += ", 5"

    message = refusal(tmp_path, "\n".join(lines).encode())

    assert message == "row 2 (line 3) has 19 fields, and there are 18 columns; the file may be cut short"


@pytest.mark.parametrize(
    "content", [pybdsf_fits(SKY), selavy_votable(SKY), table_bytes(plain_table(SKY), "ascii.ecsv")]
)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_file_that_is_cut_short_is_refused(tmp_path, content, share):
    assert refusal(tmp_path, content[: int(share * len(content))], columns={})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (selavy_text(SKY).decode().encode("utf-16"), "the text is in UTF-16 or UTF-32; a list must be in UTF-8"),
        (selavy_text(SKY).decode().encode("utf-16-le"), "the text is in UTF-16 or UTF-32; a list must be in UTF-8"),
        (
            pyse_csv(SKY) + "# Größe\n".encode("latin-1"),
            "line 14 has the byte 0xf6, which is not UTF-8; convert the list from its encoding, such as Latin-1",
        ),
        (b"ra,dec\n" + bytes(8), "byte 7 is zero: the file is neither text nor a table of a known format"),
        (b"", "the list is empty: it has 0 bytes, not even a heading"),
        (gzip.compress(b"", mtime=0), "the list is empty: it has 0 bytes, not even a heading"),
        (b"\n\n", "there is no column 'ra' for ra"),
        (b"<html></html>", "an XML or HTML file that is no VOTable"),
        (b'{"sources": 5}', "JSON without rows"),
        (b"[1, 2", "the file begins like JSON, but is none"),
        (b"1,2,3\n4,5,6\n", "the first row has 3 fields, and no line above has as many names of columns"),
        (b"ra,dec,ra\n1,2,3\n", "two columns have the name 'ra'"),
        (gzip.compress(selavy_text(SKY), mtime=0)[:900], "the compressed file is damaged"),
    ],
)
def test_content_of_another_kind_is_refused(tmp_path, content, message):
    assert message in refusal(tmp_path, content)


def test_image_in_place_of_a_list_is_refused(tmp_path):
    path = tmp_path / "image.fits"
    fits.PrimaryHDU(np.zeros((9, 9), np.float32)).writeto(path)
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(np.zeros((64, 64), np.float32))]).writeto(tmp_path / "image.fz")

    assert "a FITS file without a table: an image is no source list" in refusal(tmp_path, path.read_bytes())
    assert "an image is no source list" in refusal(tmp_path, (tmp_path / "image.fz").read_bytes())


def test_first_table_with_the_columns_of_a_list_is_read(tmp_path):
    other = fits.BinTableHDU.from_columns([fits.Column(name="time", format="D", array=np.arange(3.0))], name="TIMES")
    path = tmp_path / "two.fits"
    (tmp_path / "one.fits").write_bytes(pybdsf_fits(SKY))
    with fits.open(tmp_path / "one.fits") as units:
        fits.HDUList([fits.PrimaryHDU(), other, units[1].copy()]).writeto(path)

    assert len(read(tmp_path, path.read_bytes()).measurements) == len(SKY)


def test_missing_file_is_unreadable(tmp_path):
    with pytest.raises(UnreadableImageError, match="No such file"):
        read_source_list(str(tmp_path / "none.txt"), SourceListConfig(), make_metadata())
    with pytest.raises(UnreadableImageError, match="a folder is no source list"):
        read_source_list(str(tmp_path), SourceListConfig(), make_metadata())


def test_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(UnreadableImageError, match="neither a file nor a folder"):
        read_source_list(str(tmp_path / "pipe"), SourceListConfig(), make_metadata())


def test_list_that_does_not_fit_into_memory_is_refused(tmp_path, monkeypatch):
    def fail(*_):
        raise MemoryError("Unable to allocate 9 GiB")

    monkeypatch.setattr("trap.source_lists.read.read_columns", fail)

    assert refusal(tmp_path, pyse_csv(SKY)) == "not enough memory (Unable to allocate 9 GiB)"


def test_two_rows_with_one_name_are_refused(tmp_path):
    lines = selavy_text(SKY).decode().splitlines()
    lines[9] = lines[9].replace("SB1_component_7a", "SB1_component_3a")

    assert refusal(tmp_path, "\n".join(lines).encode()) == (
        "row 4 (line 6) and row 8 (line 10) have the same component_id: 'SB1_component_3a'"
    )


def test_two_parts_of_a_name_are_compared_together(tmp_path):
    table = aegean_table(SKY)
    assert len(read(tmp_path, table_bytes(table, "ascii.csv")).measurements) == 12  # island 1 has two components
    table["source"][1] = 0

    assert refusal(tmp_path, table_bytes(table, "ascii.csv")) == (
        "row 1 (line 2) and row 2 (line 3) have the same island and source: '1 0'"
    )


def test_two_equal_rows_are_refused(tmp_path):
    lines = pyse_csv(SKY).decode().splitlines()

    assert refusal(tmp_path, "\n".join([*lines, lines[5]]).encode()) == (
        "row 5 (line 6) and row 13 (line 14) are equal in all columns that are read; a source may be listed only once"
    )


def test_sources_beyond_the_edge_are_counted_and_not_associated(tmp_path):
    found = read(tmp_path, pybdsf_fits(changed("dec", [0, 7], 61.6)))

    assert found.left_out == {"off the image": 2}
    assert (found.measurements.flags & int(Flag.OUTSIDE) > 0).tolist() == [i in (0, 7) for i in range(12)]
    assert found.measurements.is_sound.sum() == 10


def test_list_of_another_image_is_refused(tmp_path):
    message = refusal(tmp_path, pybdsf_fits(changed("dec", slice(5, 12), 70.0)))

    assert message.startswith("7 of 12 positions are off the image, such as row 6 at RA ")
    assert message.endswith("0.197 deg; the list is of another image")


def test_image_without_a_size_has_sources_everywhere(tmp_path):
    metadata = make_metadata(nx=0, ny=0, deltax=0.0, deltay=0.0)

    found = read(tmp_path, pybdsf_fits(changed("dec", slice(5, 12), 70.0)), metadata=metadata)

    assert found.left_out == {}


def test_more_sources_than_beam_areas_are_refused_before_their_cells_are_read(tmp_path):
    lines = pyse_csv(SKY).splitlines()
    content = b"\n".join([lines[0], *lines[1:2] * 100_000])

    message = refusal(tmp_path, content, metadata=make_metadata(nx=100, ny=100))

    # 100 × 100 pixels of 2″ over π 12″ 8″ / (4 ln 2) = 108.8 square arcsec.
    assert message == (
        "100000 rows, more than the 368 beam areas of the image of 100 by 100 pixels; the list is not of this image"
    )


def test_masked_values_are_missing_values(tmp_path):
    table = plain_table(SKY)
    table["e_Si"] = MaskedColumn(table["e_Si"], mask=np.arange(12) == 7)

    for form in ("votable", "ascii.ecsv", "fits"):
        message = refusal(tmp_path, table_bytes(table, form), columns=PLAIN_COLUMNS)
        assert message.startswith("column e_Si, row 8")
        assert "nan is no error" in message


def test_equinox_of_1950_is_refused(tmp_path):
    content = pybdsf_text(SKY).replace(b"# Equinox : 2000.0", b"# Equinox : 1950.0")

    assert refusal(tmp_path, content) == "the positions have the equinox 1950.0; they must be in ICRS, or FK5 of J2000"


def test_frame_of_a_votable_that_is_not_ours_is_refused(tmp_path):
    content = selavy_votable(SKY).replace(b'equinox="J2000" system="eq_FK5"', b'equinox="B1950" system="eq_FK4"')

    assert refusal(tmp_path, content) == "the positions have the frame eq_FK4; they must be in ICRS, or FK5 of J2000"


def test_hostile_names_of_columns_are_written_plainly(tmp_path):
    content = b"ra\x1b]0;x\x07,d\xe2\x80\xaeec," + b"x" * 5000 + b"\n1,2,3\n"

    message = refusal(tmp_path, content)

    assert "\\x1b]0;x\\x07, d\\u202eec, xxxx" in message
    assert len(message) < 400


def test_several_values_in_a_cell_are_refused(tmp_path):
    table = vstack([plain_table(SKY)])
    table["Si"] = np.ones((12, 2)) * table["Si"].unit

    assert (
        refusal(tmp_path, table_bytes(table, "fits"), columns=PLAIN_COLUMNS) == "column Si has several values in a row"
    )
