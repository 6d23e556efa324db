"""CITATION.cff, SECURITY.md and the templates of issues agree with the project."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import trap

ROOT = Path(__file__).parents[2]
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"))
KINDS = {"markdown", "textarea", "input", "dropdown", "checkboxes"}
"""Kinds of the elements of a form."""


@pytest.fixture(scope="module")
def citation():
    return yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def test_citation_is_of_this_version_and_of_its_authors(citation):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert citation["version"] == trap.__version__
    assert citation["authors"] == project["authors"]
    assert (citation["title"], citation["license"]) == (project["name"], project["license"])


def test_release_is_in_the_changelog_with_its_date(citation):
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", changelog, re.MULTILINE)
    assert headings[:2] == ["[Unreleased]", f"[{citation['version']}] - {citation['date-released']}"]


def test_paper_is_the_one_that_the_method_cites(citation):
    (paper,) = citation["references"]
    method = (ROOT / "docs" / "method" / "association.md").read_text(encoding="utf-8")
    assert (
        f"{paper['authors'][0]['family-names']} et al. {paper['year']}, A&C {paper['volume']}, {paper['start']}"
        in method
    )


def test_there_are_forms_for_errors_wishes_and_questions():
    assert [form.stem for form in FORMS] == ["bug", "feature", "question"]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.stem)
def test_form_has_elements_with_labels_of_their_own(form):
    content = yaml.safe_load(form.read_text(encoding="utf-8"))
    assert content.keys() == {"name", "description", "labels", "body"}
    elements = content["body"]
    assert {element["type"] for element in elements} <= KINDS
    assert all(element["attributes"]["value"] for element in elements if element["type"] == "markdown")
    asked = [element for element in elements if element["type"] != "markdown"]
    labels, ids = ({element["attributes"]["label"] for element in asked}, {element["id"] for element in asked})
    assert len(labels) == len(ids) == len(asked)
    assert any(element.get("validations", {}).get("required") for element in asked)


def test_error_form_asks_for_commands_that_exist():
    from trap.cli.parser import make_parser  # noqa: PLC0415 (only this test needs it)

    text = (ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml").read_text(encoding="utf-8")
    assert "transients --version" in text
    for words in ("inspect -v IMAGE", "dataset show --all 1"):
        make_parser().parse_args(words.split())
        assert f"transients {words.replace('1', 'DATASET')}" in text
