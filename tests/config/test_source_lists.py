"""The settings of source lists: names and units of columns by quantity."""

from __future__ import annotations

import tomllib

import pytest
from pydantic import ValidationError

from trap.catalogues import Measurements
from trap.config import QUANTITIES, SourceListConfig
from trap.config.toml import as_toml


def test_units_of_quantities_are_the_units_of_measurements():
    columns = Measurements.columns()
    shared = {name: unit for name, unit in QUANTITIES.items() if name in columns}

    assert shared == {name: columns[name].unit for name in shared}
    assert set(QUANTITIES) - set(shared) == {"id", "ra_err", "major", "minor"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"columns": {"flux": "Si"}}, "'flux' is no quantity of a source list; choose from id, ra"),
        ({"columns": {"ra": " "}}, "the column of ra needs a name"),
        ({"units": {"island": "deg"}}, "'island' is no quantity with a unit; choose from ra, dec"),
        ({"format": "sextractor"}, "Input should be 'auto', 'selavy'"),
    ],
)
def test_impossible_settings_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        SourceListConfig(**changes)


def test_columns_are_one_line_of_toml_that_is_read_back():
    columns = {"ra": "RAJ2000", "f_int": "Si"}

    text = as_toml(SourceListConfig(columns=columns).columns)

    assert text == '{ra = "RAJ2000", f_int = "Si"}'
    assert tomllib.loads(f"columns = {text}")["columns"] == columns


def test_settings_are_a_key_of_a_cache():
    first, second = (SourceListConfig(columns={"ra": "a", "dec": "b"}) for _ in range(2))

    assert hash(first) == hash(second)
    assert hash(first) != hash(SourceListConfig(columns={"ra": "a"}))
