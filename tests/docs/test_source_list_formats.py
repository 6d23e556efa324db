"""The page of the formats of source lists names every format and quantity, and its settings can be used."""

import re
import tomllib
from pathlib import Path

from trap.config import QUANTITIES, SourceListConfig
from trap.source_lists.finders import LIST_FORMATS

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "source-list-formats.md").read_text()


def test_every_format_has_a_row_with_its_columns_of_errors_and_noise():
    rows = {row[1]: row[0] for row in re.finditer(r"^\| `(\w+)` \|.*$", PAGE, re.MULTILINE)}

    assert list(rows) == list(LIST_FORMATS)
    for name in ("selavy", "pybdsf", "aegean"):
        columns = LIST_FORMATS[name].columns
        for quantity in ("ew_fit_err", "ns_fit_err", "rms", "island"):
            assert f"`{columns[quantity].name}`" in rows[name]


def test_every_quantity_is_named():
    assert [name for name in QUANTITIES if f"`{name}`" not in PAGE] == []


def test_settings_of_the_page_are_possible():
    text = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)[1]

    config = SourceListConfig(**tomllib.loads(text)["source_lists"])

    assert config.columns["ew_fit_err"] == "e_RAJ2000"
    assert config.units == {"f_int": "mJy", "f_int_err": "mJy"}
