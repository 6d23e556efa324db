"""The description for a package index is the README without what only the project's folders hold."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
BUILD = runpy.run_path(str(ROOT / "hatch_build.py"))
README = (ROOT / "README.md").read_text()
description = BUILD["description"]


def addresses(text):
    """Return the addresses of all links and images of a page."""
    inline = (child for token in MarkdownIt().parse(text) for child in token.children or ())
    found = [(token.attrs.get("href"), token.attrs.get("src")) for token in inline if token.attrs]
    return [address for pair in found for address in pair if address]


def test_description_leads_to_other_sites_only():
    assert any(not address.startswith("https://") for address in addresses(README))
    kept = addresses(description(README))
    assert kept
    assert all(address.startswith(("https://", "http://127.0.0.1")) for address in kept)


def test_description_has_all_headings_of_the_readme():
    headings = [line for line in README.splitlines() if line.startswith("#")]
    assert [line for line in description(README).splitlines() if line.startswith("#")] == headings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("See [the *method*](docs/method.md#eta).", "See the *method*."),
        ("Ordered ([how](docs/how.md)), twice.", "Ordered, twice."),
        ("See [`run`](docs/run.md) and [Prefect](https://www.prefect.io).", "See `run` and [Prefect](https://www.prefect.io)."),
        ("a\n\n![x, y](docs/x.png)\n\nb\n", "a\n\nb\n"),
        ("a\n\n![x, y](docs/x.png)\n\n*Two\nlines.*\n\nb\n", "a\n\nb\n"),
        ("![x](https://e.org/x.png)\n\nb\n", "![x](https://e.org/x.png)\n\nb\n"),
    ],
)  # fmt: skip
def test_links_into_the_project_become_text_and_its_images_are_left_out(text, expected):
    assert description(text) == expected
