"""docs/reference/environment.md has every variable of the environment that the code names."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "environment.md").read_text(encoding="utf-8")
NAME = re.compile(r"(TKP_DB|TRANSIENTS_|TRAP_|PREFECT_|NUMBA_|MPL|XDG_|PG|PYTHON|DO_NOT)[A-Z_]+")
NOT_VARIABLES = {"TRAP_TABLES", "PGDMP"}
"""A name of the code, and the beginning of PostgreSQL's dumps."""


def variables():
    for folder in ("trap", "flows"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and NAME.fullmatch(node.value):
                    yield node.value


def test_every_variable_is_on_the_page():
    names = set(variables()) - NOT_VARIABLES
    assert {"TKP_DBPASSWORD", "TRANSIENTS_TOKEN", "PREFECT_HOME", "TRAP_LOG_FORMAT"} <= names
    services = "PREFECT_SERVER_SERVICES_"
    assert [name for name in sorted(names) if f"`{name}`" not in PAGE and not name.startswith(services)] == []


def test_variables_of_the_database_are_all_there():
    names = ("ENGINE", "NAME", "USER", "PASSWORD", "HOST", "PORT")
    assert [name for name in names if f"`TKP_DB{name}`" not in PAGE] == []
