"""Names that attack a terminal, a log, a page or a spreadsheet, from files to every output."""

from __future__ import annotations

import csv
import io
import json
import shutil

import numpy as np
import pytest
from astropy.io import fits, votable

from trap.cli import main

NAMES = (
    "\x1b[31mred\x9b2J.fits",
    "new\nwarning: line.fits",
    "\u202egnp.fits",
    "[x](javascript:alert(1)) $\\frac.fits",
    "=cmd.fits",
)


@pytest.fixture
def folder(survey, tmp_path):
    """Images with hostile names; the last one cannot be read."""
    folder = tmp_path / "images"
    folder.mkdir()
    for source, name in zip(sorted(survey.glob("t*.fits")), NAMES, strict=False):
        shutil.copy(source, folder / name)
        with fits.open(folder / name, mode="update") as file:
            file[0].header["TELESCOP"] = "=<b>$x_"
    (folder / NAMES[-1]).write_bytes(b"nothing")
    return folder


def assert_harmless(text, n_forged=0):
    assert all(line.isprintable() for line in text.split("\n")), text
    assert sum(line.startswith("warning: line.fits") for line in text.split("\n")) == n_forged


def test_no_name_reaches_a_terminal(folder, tmp_path, run_in_process, capsys):
    database = ("--database", f"{tmp_path}/x.db")
    images = f"{folder}/*.fits"
    commands = [
        ("run", "--images", images, *database, "--name", "\x1b[31mred\nname", "--verbose"),
        ("dataset", "list", *database),
        ("dataset", "list", *database, "--json"),
        ("dataset", "show", "1", *database),
        ("dataset", "show", "1", "--all", *database),
        ("candidates", "1", *database),
        ("lightcurve", "1", "--entry", "1", *database, "--format", "csv"),
        ("dataset", "rename", "1", "a\x07b", *database),
        ("dataset", "delete", "1", "--yes", *database),
        ("inspect", images),
        ("inspect", images, "--verbose"),
        ("extract", images, "--output-dir", str(tmp_path / "out"), "--csv", "--votable", "--fits", "--regions"),
        ("config", "init", f"{tmp_path}/\x1b.toml"),
        ("run", "--images", f"{tmp_path}/\x1bnone", *database),
    ]
    for words in commands:
        assert main(words) in {0, 1, 3}, words
        printed = capsys.readouterr()
        assert printed.out + printed.err
        assert_harmless(printed.out)
        assert_harmless(printed.err)


def test_wrong_argument_does_not_reach_a_terminal(capsys):
    with pytest.raises(SystemExit):
        main(["dataset", "show", "1", "--\x1b[31m\nred"])
    assert_harmless(capsys.readouterr().err)


def test_tables_of_hostile_names_are_valid(folder, tmp_path, capsys):
    positions = tmp_path / "positions.json"
    positions.write_text(json.dumps([{"name": name, "ra": 0.0, "dec": 45.0} for name in ("=1+1", "-1", "a\x1b\nb")]))
    out = tmp_path / "out"
    words = ["extract", f"{folder}/{NAMES[0].replace('[', '[[]')}", "--fixed-positions", str(positions)]
    assert main([*words, "--output-dir", str(out), "--csv", "--votable", "--fits", "--regions"]) == 0
    assert_harmless(capsys.readouterr().out)
    (table,) = out.glob("*.csv")
    names = [row["name"] for row in csv.DictReader(io.StringIO(table.read_text()))]
    assert names == ["'=1+1", "-1", "a\\x1b\\nb"]
    (table,) = out.glob("*.vot")
    assert votable.parse_single_table(table).to_table()["name"][2] == "a\\x1b\\nb"
    (table,) = out.glob("*.sources.fits")
    assert fits.getdata(table)["name"][2] == "a\\x1b\\nb"
    assert np.isfinite(fits.getdata(table)["ra"]).all()
    (regions,) = out.glob("*.reg")
    assert_harmless(regions.read_text())
