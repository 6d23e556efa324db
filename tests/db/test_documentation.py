from __future__ import annotations

from pathlib import Path

from trap.db.documentation import TRAP_TABLES, database_page
from trap.db.models import Base

DOCS = Path(__file__).parents[2] / "docs"
SHARDING = {"node", "nodes"}


def test_page_in_docs_is_current():
    assert (DOCS / "reference" / "database.md").read_text() == database_page(), (
        "run: .venv/bin/python docs/generators/make_database.py"
    )


def test_every_column_is_on_the_page_with_its_meaning():
    page = database_page()
    for table in Base.metadata.tables.values():
        assert f"\n## `{table.name}`\n" in page
        for column in table.columns:
            assert column.doc, f"{table.name}.{column.name}"
            assert f"`{column.name}`" in page


def test_every_table_and_column_of_trap_is_there_but_for_sharding():
    for table, columns in TRAP_TABLES.items():
        assert set(columns) - SHARDING <= set(Base.metadata.tables[table].columns.keys()), table


def test_tree_has_every_table_once_below_the_table_that_owns_it():
    tree = database_page().partition("```text\n")[2].partition("```")[0].splitlines()
    names = [line.split()[-1] for line in tree]
    assert sorted(names) == sorted(Base.metadata.tables)
    assert tree[names.index("dataset") + 1].startswith("├── ")
    assert tree[names.index("runningcatalog_flux")].startswith("│   ├── ")
    assert names.index("runningcatalog") < names.index("runningcatalog_flux") < names.index("skyregion")
