"""What runs are called and tagged."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from flows.service.labels import dataset_name, dataset_tags
from trap.config import PipelineConfig
from trap.run.planning import Plan, Timestep, TimestepGroup
from trap.simulation.survey import SurveyConfig, simulate_survey

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    settings = SurveyConfig(n_timesteps=1, n_bands=2, size=64, n_steady=0, n_variables=0, n_transients=0)
    folder = simulate_survey(tmp_path_factory.mktemp("survey"), settings).directory
    return tuple(sorted(map(str, folder.glob("*.fits"))))


def plan_of(*urls):
    return Plan(groups=(TimestepGroup(1, (Timestep(START, urls),)),))


def test_a_run_is_called_after_its_dataset():
    config = PipelineConfig().with_options(persistence={"description": "Zwicky field"})
    assert dataset_name(config, -1) == "Zwicky field, new dataset"
    assert dataset_name(config, 12) == "Zwicky field, dataset 12"


def test_a_run_is_tagged_with_dataset_telescope_and_bands(images):
    assert dataset_tags(3, plan_of(*images)) == ["band:1280 MHz", "band:1480 MHz", "dataset:3", "telescope:SIMULATED"]


def test_a_run_with_nothing_to_do_is_tagged_with_its_dataset():
    assert dataset_tags(3, Plan(groups=())) == ["dataset:3"]


def test_an_image_that_is_gone_costs_its_tags_only(images, tmp_path):
    assert "telescope:SIMULATED" in dataset_tags(3, plan_of(str(tmp_path / "gone.fits"), *images))
