"""The commands and columns of docs/how-to/simulation.md are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trap.cli.parser import make_parser
from trap.cli.simulate import survey_config
from trap.simulation.survey import SurveyConfig, simulate_survey

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "simulation.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ transients (.*)$", PAGE, flags=re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_are_possible_surveys(command):
    config = survey_config(make_parser().parse_args(command.split()))
    assert config != SurveyConfig()


def test_tables_have_the_columns_of_the_page(tmp_path):
    config = SurveyConfig(size=96, n_timesteps=2, n_steady=2, n_variables=0, n_transients=0, shift_arcsec=1.0)
    truth = simulate_survey(tmp_path, config).truth
    for file, table in (
        ("truth", truth.sources),
        ("truth_lightcurves", truth.lightcurves),
        ("truth_images", truth.images),
    ):
        (row,) = re.findall(rf"^\| `{file}\.ecsv` .*$", PAGE, flags=re.MULTILINE)
        described = [name for name in re.findall(r"`(\w+)`", row) if name in table.colnames]
        assert described == table.colnames
