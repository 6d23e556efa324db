"""Monitored positions that are added to an existing dataset."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from sqlalchemy import text

from trap.calibration.displacement import Displacement
from trap.catalogues import MonitorPositions
from trap.config import PipelineConfig
from trap.db.comparison import Side, compare_datasets
from trap.db.engine import reading
from trap.db.opening import open_dataset
from trap.db.store import Store
from trap.db.upkeep import check_database
from trap.errors import DatabaseError
from trap.pipeline import open_run
from trap.simulation.survey import SurveyConfig, simulate_survey
from trap.steps.monitor_filling import fill_monitors
from trap.workers.executors import SerialExecutor

# On a source, between sources, at the edge of the images outside the searched area, and on no image.
POSITIONS = MonitorPositions.of(
    ra=[0.02, 359.97, 0.0, 180.0], dec=[45.02, 44.98, 45.08, 0.0], name=["on", "between", "edge", "far"]
)


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    directory = tmp_path_factory.mktemp("survey")
    config = SurveyConfig(n_timesteps=3, n_bands=2, size=128, n_steady=8, n_variables=2, n_transients=1)
    return simulate_survey(directory, config)


@pytest.fixture
def config(engine, database_url, survey):
    return PipelineConfig().with_options(
        execution={"database": database_url, "images": (f"{survey.directory}/t*.fits",)},
        source_extraction={"extraction_radius_pix": 50.0},
    )


def process(config, **options):
    with open_run(config, **options) as dataset:
        for group in dataset.plan.groups:
            dataset.process_group(group, SerialExecutor())
        return dataset.summary()


def test_positions_added_later_give_the_rows_of_positions_given_at_first(config, engine):
    first = process(config, monitors=POSITIONS)
    later = config.with_options(persistence={"dataset_id": -1})
    urls = [image.result.metadata.url for image in first.images]
    number = process(later, images=urls[:4]).dataset_id
    extended = config.with_options(persistence={"dataset_id": number})
    filling = process(extended, images=urls[:4], monitors=POSITIONS).filling
    assert (filling.n_positions, filling.n_images, filling.unreadable) == (4, 4, ())
    # The next images extend the filled light curves.
    summary = process(extended, images=urls)
    assert summary.filling is None
    assert summary.unmeasured_monitors == (("edge", "outside the searched area"), ("far", "outside all images"))
    with reading(engine) as connection:
        assert compare_datasets(Side(connection, first.dataset_id), Side(connection, number)) == []
        entries = connection.execute(text("SELECT count(*) FROM runningcatalog WHERE mon_src")).scalar_one()
    assert entries == 4  # two in each dataset
    assert check_database(engine) == []


CALIBRATED = """
UPDATE calibration SET position_applied = (1 = 1), displacement = :displacement,
    flux_applied = (1 = 1), gain = 2.0, gain_err = 0.01;
UPDATE extractedsource SET ra_raw = ra, decl_raw = decl, f_peak_raw = f_peak, f_int_raw = f_int
"""
"""Calibrations of stored images, and their measurements as the images show them."""


def test_added_position_is_measured_where_a_calibrated_image_shows_it(config, engine, survey):
    uncalibrated = config.with_options(
        calibration={"positions": "off", "flux_scale": "off"},
        execution={"images": (str(survey.images[0]),)},
        persistence={"dataset_id": -1},
    )
    shift = 1 / 3600  # deg, to the north
    found = {}
    for declination, displacement in (
        (45.02, Displacement(ra=0.02, dec=45.02, shift=(0.0, shift))),
        (45.02 + shift, None),
    ):
        number = process(uncalibrated).dataset_id
        if displacement is not None:
            with engine.begin() as connection:
                for statement in CALIBRATED.split(";"):
                    given = {"displacement": displacement.as_json()} if ":" in statement else {}
                    connection.execute(text(statement), given)
        added = MonitorPositions.of(ra=[0.02], dec=[declination], name=["on"])
        process(uncalibrated.with_options(persistence={"dataset_id": number}), monitors=added)
        with reading(engine) as connection:
            rows = connection.execute(text("SELECT * FROM extractedsource WHERE ff_monitor IS NOT NULL ORDER BY id"))
            found[displacement is None] = rows.mappings().all()[-1]
    corrected, plain = found[False], found[True]
    assert (corrected["ra"], corrected["decl"]) == (0.02, 45.02)
    assert corrected["decl_raw"] == pytest.approx(45.02 + shift, abs=1e-9)
    assert corrected["f_int_raw"] == pytest.approx(plain["f_int"], rel=1e-6)
    assert corrected["f_int"] == pytest.approx(plain["f_int"] / 2, rel=1e-6)
    assert corrected["f_int_err"] == pytest.approx(plain["f_int_err"] / 2, rel=1e-6)
    assert (corrected["gain_err"], plain["gain_err"], plain["f_int_raw"]) == (0.01 / 2, None, None)


def test_images_that_are_gone_are_counted_and_the_others_measured(config, engine, survey, tmp_path):
    for path in survey.images:
        shutil.copy(path, tmp_path)
    config = config.with_options(execution={"images": (f"{tmp_path}/t*.fits",)})
    summary = process(config)
    gone = [image.result.metadata.url for image in summary.images][:2]
    for url in gone:
        (tmp_path / url).unlink()
    filling = process(config, monitors=POSITIONS.take(slice(1))).filling
    assert filling.unreadable == tuple(gone)
    with reading(engine) as connection:
        n_points = connection.execute(text("SELECT count(*) FROM extractedsource WHERE ff_monitor > 0")).scalar_one()
    assert n_points == filling.n_images - 2 == 4


def test_failed_addition_leaves_nothing_behind(config, engine, monkeypatch):
    process(config)
    monkeypatch.setattr("trap.db.storing.add_counts", _failing)
    with pytest.raises(DatabaseError, match="no space"):
        process(config, monitors=POSITIONS)
    monkeypatch.undo()
    assert process(config, monitors=POSITIONS).filling.n_positions == 4


def test_positions_are_stored_once_although_the_first_confirmation_was_lost(config, engine):
    process(config)
    with open_dataset(config.with_options(persistence={"dataset_id": 1})) as store:
        twice = StoringTwice(store.engine, store.dataset_id)
        fill_monitors(twice, config, POSITIONS)
    with reading(engine) as connection:
        names = connection.execute(text("SELECT name FROM monitor ORDER BY id")).scalars().all()
        points = connection.execute(text("SELECT count(*) FROM extractedsource WHERE ff_monitor > 0")).scalar_one()
    assert names == POSITIONS.name.tolist()
    assert points == 3 * 6
    assert check_database(engine) == []


def test_dataset_without_images_gets_the_positions_alone(config):
    with open_dataset(config) as store:
        filling = fill_monitors(store, config, POSITIONS)
        assert (filling.n_positions, filling.n_images) == (4, 0)
        assert store.load_state(config).monitors.name.tolist() == POSITIONS.name.tolist()
        assert np.all(store.load_state(config).monitor_entries < 0)
        assert fill_monitors(store, config, POSITIONS) is None
        assert fill_monitors(store, config, None) is None


class StoringTwice(Store):
    """A store that repeats the transaction, as after a lost confirmation."""

    def store_monitors(self, record, state):
        """Store the positions twice."""
        super().store_monitors(record, state)
        super().store_monitors(record, state)


def _failing(*_):
    msg = "no space left"
    raise DatabaseError(msg)
