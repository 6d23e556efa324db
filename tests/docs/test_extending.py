"""The guide to extensions names files that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text()
SECTIONS = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]


def test_there_are_eleven_changes():
    assert len(SECTIONS) == 11


@pytest.mark.parametrize("section", SECTIONS, ids=[section.splitlines()[0] for section in SECTIONS])
def test_every_change_names_files_that_exist(section):
    # x stands for the name of a file that is yet to be written.
    paths = [path for path in re.findall(r"`([\w./]+/[\w.]*)`", section) if "/x." not in path]
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
