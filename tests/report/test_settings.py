from __future__ import annotations

from pathlib import Path

from trap.config import PipelineConfig
from trap.report.settings import settings_page

DOCS = Path(__file__).parents[2] / "docs"


def test_page_in_docs_is_current():
    assert (DOCS / "configuration.md").read_text() == settings_page(), (
        "run: .venv/bin/python docs/make_configuration.py"
    )


def test_every_setting_is_on_the_page_with_its_meaning():
    page = settings_page()
    for settings in PipelineConfig.model_fields.values():
        for name, field in settings.annotation.model_fields.items():
            assert f"| `{name}` |" in page
            assert field.description in page
