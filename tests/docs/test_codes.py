"""docs/reference/codes.md is the page that the enumerations make, and the glossary links to terms that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(DOCS / "generators")
    import make_codes  # noqa: PLC0415 (a script, not a package)

    return make_codes


def test_page_is_current(script):
    page = (DOCS / "reference" / "codes.md").read_text(encoding="utf-8")
    assert script.codes_page() == page, "run: .venv/bin/python docs/generators/make_codes.py"


def test_a_code_without_a_description_is_refused(script):
    with pytest.raises(ValueError, match="RejectReason does not describe RMS, BEAM"):
        script.member_descriptions(script.RejectReason)


def test_terms_of_the_glossary_are_in_alphabetical_order():
    page = (DOCS / "reference" / "glossary.md").read_text(encoding="utf-8")
    terms = [term.replace("η", "eta").lower() for term in re.findall(r"^### (.*)$", page, re.MULTILINE)]
    assert len(terms) > 50
    assert terms == sorted(terms)
