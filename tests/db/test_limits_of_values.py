"""Numbers and texts that no database can hold, in every command: one line each."""

from __future__ import annotations

import pytest
from busy_dataset import process_busy_days
from sqlalchemy import text

from trap.cli import main
from trap.db.engine import reading
from trap.errors import DatabaseError


@pytest.mark.parametrize("number", [2**63, -(10**30)])
def test_number_beyond_64_bits_is_one_line_in_every_command(make_dataset, database_url, number, capsys, tmp_path):
    dataset = process_busy_days(make_dataset())
    known = dataset.id
    commands = [
        *(["dataset", "show", number], ["dataset", "rename", number, "x"], ["dataset", "delete", number, "--yes"]),
        *(["dataset", "compare", known, number], ["dataset", "compare", number, known], ["candidates", number]),
        *(["variables", number], ["lightcurve", number, "122", "10"], ["lightcurve", number, "122", "10", "--limits"]),
        *(["lightcurve", known, f"--entry={number}"], ["lightcurve", known, f"--candidate={number}"]),
        ["run", "--images", tmp_path / "no.fits", "--no-prefect", f"--dataset={number}"],
    ]
    capsys.readouterr()
    for words in commands:
        assert main([*map(str, words), "--database", database_url]) == 1, words
        printed = capsys.readouterr()
        assert printed.err.startswith("transients: "), words
        assert printed.err.count("\n") == 1, words
        assert printed.out == "", words


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_text_with_nul_is_an_error_of_the_database(engine, dialect):
    with pytest.raises(DatabaseError, match="has a NUL character"), reading(engine) as connection:
        connection.execute(text("SELECT :name"), {"name": "a\0b"})
