from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from pages import VARIABLES
from warm_program import warm_program


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """Folder of the prepared folders of pages, which the processes of pytest share."""
    return tmp_path_factory.getbasetemp().parent / "prepared"


@pytest.fixture(scope="session")
def reader(prepared):
    """Environment variables of someone who follows the pages."""
    # All pages have one home, as they do for a reader: matplotlib looks for the fonts of the machine once.
    home = prepared / "home"
    home.mkdir(parents=True, exist_ok=True)
    variables = {**os.environ, **VARIABLES, "HOME": str(home)}
    with warm_program(variables) as programs:
        variables["PATH"] = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
        yield variables
