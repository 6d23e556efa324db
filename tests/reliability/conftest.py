"""A survey small enough to be processed many times, and what a run over it should leave."""

from __future__ import annotations

import pytest
from reliability_runs import run_here

from trap.config import PipelineConfig
from trap.db.engine import make_engine
from trap.simulation.survey import SurveyConfig, simulate_survey

N_TIMESTEPS = 6


@pytest.fixture(scope="session")
def small_survey(tmp_path_factory):
    """Folder of six timesteps of one band."""
    settings = SurveyConfig(n_timesteps=N_TIMESTEPS, n_bands=1, size=96, n_steady=5, n_variables=1, n_transients=1)
    return simulate_survey(tmp_path_factory.mktemp("small"), settings).directory


@pytest.fixture(scope="session")
def make_config(small_survey):
    """Make the settings of a run over the small survey."""

    def make(database, **sections):
        small = {"detection_threshold": 5.0, "back_size_x": 32, "back_size_y": 32, "margin": 4}
        sections["source_extraction"] = small | sections.get("source_extraction", {})
        execution = {"images": (f"{small_survey}/t*.fits",), "database": str(database)}
        return PipelineConfig().with_options(**{**sections, "execution": execution | sections.get("execution", {})})

    return make


@pytest.fixture(scope="session")
def untroubled(make_config, tmp_path_factory):
    """Database with the survey as dataset 1, from a run that nothing happened to."""
    config = make_config(f"sqlite:///{tmp_path_factory.mktemp('untroubled') / 'trap.db'}")
    assert run_here(config).dataset_id == 1
    engine = make_engine(config.execution.database)
    yield engine
    engine.dispose()


@pytest.fixture
def impatient(monkeypatch):
    """Let nothing wait for long."""
    monkeypatch.setattr("trap.db.store.STORE_DELAYS", (0.05, 0.1))
