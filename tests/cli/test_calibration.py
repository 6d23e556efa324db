from __future__ import annotations

import csv
import io
import json
import sqlite3

import pytest
from astropy.table import Table

from trap.calibration.displacement import Displacement
from trap.cli import main

GAINS = (1.0, 2.0, 3.0, 2.0)
"""Gains of the four images, with a mean of 2; the shifts to the east are these times 3, with a mean of 6."""
SHOW = ("dataset", "calibration", "1", "--database")


@pytest.fixture
def calibrated(database):
    """URL of a database whose images have the gains; the first one was not corrected."""
    with sqlite3.connect(database.removeprefix("sqlite:///")) as connection:
        images = [row[0] for row in connection.execute("SELECT image FROM calibration ORDER BY image")]
        for image, gain in zip(images, GAINS, strict=True):
            model = Displacement(ra=0.0, dec=45.0, shift=(gain / 1200, 0.0)).as_json() if gain > 1 else None
            connection.execute(
                "UPDATE calibration SET gain = ?, gain_err = 0.1, flux_applied = ?, flux_note = ?, shift_ew = ?, "
                "shift_ns = 0, shift_ew_err = 0.2, shift_ns_err = 0.2, position_applied = ?, position_note = ?, "
                "position_model = 'shift', displacement = ? WHERE image = ?",
                (gain, gain > 1, "a note" if gain == 1 else "", 3 * gain, gain > 1, "far off" if gain == 1 else "",
                 model, image),
            )  # fmt: skip
    return database


def output_of(capsys, *words):
    assert main([*map(str, words)]) == 0
    return capsys.readouterr().out


def test_table_has_a_line_for_each_image_and_a_summary(calibrated, capsys):
    lines = output_of(capsys, *SHOW, calibrated).splitlines()
    assert lines[1].endswith("a note; far off")
    assert [line.split()[4] for line in lines[1:5]] == ["0.500", "1.000*", "1.500*", "1.000*"]
    assert any("gains: 3 corrected, 1 measured but not corrected, 0 not measured" in line for line in lines)


def test_programs_get_the_relative_and_the_stored_values(calibrated, capsys):
    rows = json.loads(output_of(capsys, *SHOW, calibrated, "--json"))
    assert [row["gain"] for row in rows] == [0.5, 1.0, 1.5, 1.0]
    assert [row["gain_err"] for row in rows] == [0.05] * 4
    assert [row["gain_applied"] for row in rows] == [None, 2.0, 3.0, 2.0]
    assert [row["shift_ew"] for row in rows] == [-3.0, 0.0, 3.0, 0.0]
    assert [row["shift_ew_applied"] for row in rows] == [None, 6.0, 9.0, 6.0]
    read = list(csv.DictReader(io.StringIO(output_of(capsys, *SHOW, calibrated, "--csv"))))
    assert [row["gain"] for row in read] == ["0.5", "1.0", "1.5", "1.0"]


def test_table_is_written_as_votable_with_units_and_its_own_meanings(calibrated, capsys, tmp_path):
    file = tmp_path / "calibrations.vot"
    output_of(capsys, *SHOW, calibrated, "--format", "votable", "--output", file)
    table = Table.read(file, format="votable")
    assert table["shift_ew"].unit == table["shift_ew_applied"].unit == "arcsec"
    assert "the mean of the band is 1" in table["gain"].description
    assert "divided by" in table["gain_applied"].description


def test_gains_and_displacements_are_drawn(calibrated, capsys, tmp_path):
    for words in (("--plot", tmp_path / "gains.png"), ("--plot", tmp_path / "arrows.png", "--image", 2)):
        assert output_of(capsys, *SHOW, calibrated, *words)
        assert words[1].read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--image", "2"], "--image 2 is drawn; name the file with --plot"),
        (["--image", "99", "--plot", "x.png"], "--image 99: dataset 1 has no calibrated image of this number"),
        (["--image", "1", "--plot", "x.png"], "no position of image 1 was corrected: far off"),
        (["--plot", "x.nothing"], "x.nothing"),
        (["--output", "x.csv"], "--output needs --format"),
    ],
    ids=["no file", "no image", "no displacement", "no format", "no table"],
)
def test_impossible_wishes_are_one_line(calibrated, words, complaint, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([*SHOW, calibrated, *words]) == 1
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("x.*"))


def test_missing_dataset_is_one_line(database, capsys):
    assert main(["dataset", "calibration", "9", "--database", database]) == 1
    assert "9" in capsys.readouterr().err
