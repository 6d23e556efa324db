"""Fixtures: datasets in the database, and ways to query them."""

from __future__ import annotations

import numpy as np
import pytest
from busy_dataset import process_busy_days
from made_up_survey import Dataset
from sqlalchemy import event

from trap.catalogues import MonitorPositions
from trap.config import PipelineConfig
from trap.db import dataset_state, datasets, monitors
from trap.db.engine import reading, transaction


@pytest.fixture
def config():
    return PipelineConfig().with_options(
        # The tables hold forks too, which TraP's method makes.
        association={"method": "trap", "deruiter_radius": 3.717, "beamwidths_limit": 1.0},
        source_extraction={"detection_threshold": 6.0, "extraction_radius_pix": 900.0},
    )


@pytest.fixture
def make_dataset(engine, config):
    def make(*watched):
        positions = MonitorPositions.of(
            ra=np.array([m[0] for m in watched]), dec=np.array([m[1] for m in watched]), name="somewhere"
        )
        with transaction(engine) as connection:
            number = datasets.insert_dataset(connection, config)
            monitors.add_monitors(connection, number, positions)
            state = dataset_state.load_state(connection, number, config)
        return Dataset(engine, config, number, state)

    return make


@pytest.fixture
def busy(make_dataset):
    """See :func:`process_busy_days`; with two monitored positions."""
    return process_busy_days(make_dataset((123.5, 10.5), (120.1, 9.9)))


@pytest.fixture
def ask(engine):
    """Run a query function on a connection."""

    def run(function, *arguments, **options):
        with reading(engine) as connection:
            return function(connection, *arguments, **options)

    return run


@pytest.fixture
def statements(engine):
    """All statements that reach the database from now on."""
    seen = []
    event.listen(engine, "before_cursor_execute", lambda *given: seen.append(given[2]))
    return seen
