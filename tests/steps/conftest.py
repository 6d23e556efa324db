"""One small simulated image and settings for it."""

from __future__ import annotations

import pytest

from trap.config import PipelineConfig
from trap.images.image import Image
from trap.simulation.survey import SurveyConfig, simulate_survey


@pytest.fixture(scope="session")
def survey_images(tmp_path_factory):
    """Paths of two timesteps of two bands, in order."""
    folder = tmp_path_factory.mktemp("steps")
    config = SurveyConfig(n_timesteps=2, n_bands=2, size=128, n_steady=6, n_variables=0, n_transients=0)
    simulate_survey(folder, config)
    return sorted(folder.rglob("*.fits"))


@pytest.fixture
def image(survey_images):
    """The first image."""
    return Image(survey_images[0])


@pytest.fixture
def config():
    """Default settings, for the whole of a small image."""
    return PipelineConfig().with_options(source_extraction={"extraction_radius_pix": 0.0})
