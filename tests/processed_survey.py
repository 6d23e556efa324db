"""A small simulated survey with a monitored position, processed in this process, for tests that need real pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trap.catalogues import MonitorPositions
from trap.config import PipelineConfig
from trap.pipeline import open_run
from trap.simulation.config import SurveyConfig
from trap.simulation.survey import simulate_survey
from trap.workers.executors import SerialExecutor

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["process_survey"]


def process_survey(folder: Path, *, n_timesteps: int = 4, n_bands: int = 1, keep_pixels: str = "no") -> str:
    """Simulate and process images; return the URL of the database, a file in the folder."""
    sky = SurveyConfig(n_timesteps=n_timesteps, n_bands=n_bands, size=128, n_steady=8, n_variables=2, n_transients=2)
    survey = simulate_survey(folder / "images", sky)
    url = f"sqlite:///{folder / 'trap.db'}"
    config = PipelineConfig().with_options(
        persistence={"description": "a simulated survey"},
        execution={"images": [str(path) for path in survey.images], "database": url, "keep_pixels": keep_pixels},
    )
    watched = MonitorPositions.of(ra=[sky.centre_ra], dec=[sky.centre_dec], name=["GRB 260101A"])
    with open_run(config, monitors=watched) as dataset:
        for group in dataset.plan.groups:
            dataset.process_group(group, SerialExecutor())
        dataset.summary()
    return url
