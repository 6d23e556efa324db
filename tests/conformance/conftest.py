"""Datasets for the acceptance cases, on both kinds of database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from made_up_survey import RADIUS_PIX, Dataset

from trap.catalogues import MonitorPositions
from trap.config import PipelineConfig
from trap.steps import persistence

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Engine


@pytest.fixture
def make_dataset(engine: Engine) -> Callable[..., Dataset]:
    """Make an empty dataset with TraP's test settings, changed section by section."""

    def make(monitors: Sequence[tuple[float, float]] = (), **sections: dict[str, Any]) -> Dataset:
        defaults = {
            "association": {"deruiter_radius": 3.717, "beamwidths_limit": 1.0},
            "source_extraction": {
                "detection_threshold": 6.0,
                "analysis_threshold": 3.0,
                "extraction_radius_pix": RADIUS_PIX,
            },
            "transient_search": {"new_source_sigma_margin": 3.0},
        }
        for section, options in sections.items():
            defaults[section] = {**defaults.get(section, {}), **options}
        config = PipelineConfig().with_options(**defaults)
        positions = MonitorPositions.of(
            ra=np.array([ra for ra, _ in monitors], float), dec=np.array([dec for _, dec in monitors], float), name=""
        )
        dataset_id = persistence.create_dataset(engine, config, positions)
        return Dataset(engine, config, dataset_id, persistence.load_survey(engine, dataset_id, config))

    return make
