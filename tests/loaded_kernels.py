"""The machine code of the kernels, loaded on import, so that the processes that are forked afterwards share it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from structlog.testing import capture_logs

from trap.config import PipelineConfig
from trap.run.image_measurement import measure_image
from trap.simulation.survey import SurveyConfig, simulate_survey

with tempfile.TemporaryDirectory() as folder, capture_logs():
    sky = SurveyConfig(n_timesteps=1, n_bands=1, size=96, n_steady=4, n_variables=0, n_transients=0)
    (image,) = simulate_survey(Path(folder), sky).images
    measure_image(str(image), PipelineConfig())
