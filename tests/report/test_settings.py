from __future__ import annotations

import re
import tomllib
from pathlib import Path

from trap.config import PipelineConfig
from trap.report.settings import settings_page

DOCS = Path(__file__).parents[2] / "docs"


def test_page_in_docs_is_current():
    assert (DOCS / "reference" / "configuration.md").read_text() == settings_page(), (
        "run: .venv/bin/python docs/generators/make_configuration.py"
    )


def test_every_setting_is_on_the_page_with_its_meaning():
    page = settings_page()
    for settings in PipelineConfig.model_fields.values():
        for name, field in settings.annotation.model_fields.items():
            assert f"\n### `{name}`\n" in page
            assert " ".join(field.description.split()) in re.sub(r"\[`([\w.]+)`\]\(#\w+\)", r"\1", page)


def test_default_is_shown_as_it_would_stand_in_a_file(monkeypatch):
    description = 'Crab "pulsar"\\'
    config = PipelineConfig().with_options(persistence={"description": description})
    monkeypatch.setattr("trap.report.settings.PipelineConfig", lambda: config)
    (shown,) = re.findall(r"### `description`\n\nDefault: `(.*?)`\. A text", settings_page())
    assert tomllib.loads(f"description = {shown}") == {"description": description}


def test_page_names_every_setting_that_does_not_affect_the_results():
    shaping = {(section, key) for section, key, _ in PipelineConfig().science_items()}
    page = settings_page()
    head = " ".join(page[: page.index("## ")].split())
    for section, settings in PipelineConfig.model_fields.items():
        for name in settings.annotation.model_fields:
            does_affect = (section, name) in shaping
            assert does_affect or section == "execution" or f"`{section}.{name}`" in head
    assert "`execution`" in head


def test_page_names_the_place_of_the_settings_in_the_code():
    (place,) = re.findall(r"from the settings in (\S+);", settings_page())
    assert (DOCS.parent / place).is_dir()


def test_words_and_limits_of_a_setting_are_those_that_it_accepts():
    page = settings_page()
    for heading, values in {
        "granularity": 'One of `"auto"`, `"image"` or `"timestep"`.',
        "rms_est_fraction": "A whole number from 2 to 1000.",
        "region_tolerance": "A number from 0 on and below 1.",
        "ew_sys_err": 'A number from 0 on or `"auto"`.',
        "report": "`true` or `false`.",
    }.items():
        (shown,) = re.findall(rf"### `{heading}`\n\nDefault: `.*?`\. (.*)\n", page)
        assert shown == values


def test_names_of_other_settings_are_links_to_headings_of_the_page():
    page = settings_page()
    targets = re.findall(r"\]\(#(\w+)\)", page)
    assert len(targets) > 20
    assert [target for target in targets if f"### `{target}`" not in page] == []


def test_keys_of_the_values_for_some_images_are_on_the_page():
    assert "| `freq_eff` | a number above 0 | Central frequency, in Hz. |" in settings_page()
