"""The order of the stages, and the effects of a failure in one of them."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from trap import pipeline
from trap.catalogues import MonitorPositions
from trap.config import PipelineConfig
from trap.dataset.outcomes import ExitCode
from trap.dataset.records import ImageResult, UnreadableImage
from trap.db.store import Store
from trap.errors import TransientError, WorkerLostError
from trap.pipeline import open_run
from trap.run.image_measurement import measure_image
from trap.simulation.survey import SurveyConfig, simulate_survey
from trap.steps import association
from trap.variability.shared_errors import SharedErrors
from trap.workers.executors import SerialExecutor


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Make four timesteps of two bands, in order."""
    folder = tmp_path_factory.mktemp("survey")
    config = SurveyConfig(n_timesteps=4, n_bands=2, size=128, n_steady=5, n_variables=0, n_transients=0)
    simulate_survey(folder, config)
    return sorted(str(path) for path in folder.rglob("*.fits"))


@pytest.fixture
def config(images, database_url):
    """Return the settings of a run over all images."""
    return PipelineConfig().with_options(
        execution={"images": tuple(images), "database": database_url, "group_size": 3},
        source_extraction={"extraction_radius_pix": 0.0},
    )


class Failing(SerialExecutor):
    """An executor in this process; one step fails a number of times, from a given call on."""

    def __init__(self, step, error, *, at, times=1):
        self.step, self.error, self.failing_calls = step, error, range(at, at + times)
        self.n_calls = 0

    def submit(self, step, /, *args, **kwargs):
        return super().submit(self._or_fail(step), *args, **kwargs)

    def call(self, step, /, *args, **kwargs):
        return super().call(self._or_fail(step), *args, **kwargs)

    def _or_fail(self, step):
        if getattr(step, "__func__", step) is not self.step:
            return step
        self.n_calls += 1
        return self._fail if self.n_calls in self.failing_calls else step

    def _fail(self, *_args, **_kwargs):
        raise self.error


def process_all(config, executor):
    with open_run(config) as dataset:
        for group in dataset.plan.groups:
            dataset.process_group(group, executor)
        return dataset.summary()


def points(engine, dataset_id):
    query = text(
        "SELECT i.taustart_ts, i.freq_eff, a.type, a.r, a.v_int, a.eta_int, a.f_datapoints, e.f_int"
        " FROM assocxtrsource a JOIN extractedsource e ON a.xtrsrc = e.id JOIN image i ON e.image = i.id"
        " WHERE i.dataset = :dataset ORDER BY i.taustart_ts, i.freq_eff, e.ra, e.decl, a.runcat"
    )
    with engine.connect() as connection:
        return connection.execute(query, {"dataset": dataset_id}).all()


def times_in(engine, table):
    with engine.connect() as connection:
        return connection.execute(text(f"SELECT COUNT(DISTINCT taustart_ts) FROM {table}")).scalar_one()


def test_measuring_is_a_pure_function_of_file_and_settings(images, config):
    first, second = (measure_image(images[0], config) for _ in range(2))
    assert isinstance(first, ImageResult)
    assert (first.measurements.f_int == second.measurements.f_int).all()
    assert set(first.seconds) == {"read", "quality", "extraction"}


def test_measuring_a_file_without_an_image_returns_the_reason(tmp_path, config):
    path = tmp_path / "bad.fits"
    path.write_text("nothing")
    result = measure_image(str(path), config)
    assert isinstance(result, UnreadableImage)
    assert result.url == str(path)


def test_every_image_becomes_part_of_the_dataset(config, engine):
    summary = process_all(config, SerialExecutor())
    assert summary.exit_code is ExitCode.COMPLETE
    assert len(summary.images) == 8
    curves = points(engine, summary.dataset_id)
    assert {point.f_datapoints for point in curves} == {1, 2, 3, 4}


@pytest.mark.parametrize(
    ("step", "at"),
    # The third timestep: images are measured first, two a timestep.
    [(measure_image, 5), (association.associate_extracted_sources, 3), (Store.store_timestep, 3)],
)
def test_step_that_fails_for_good_fails_its_timestep_alone(config, engine, step, at):
    executor = Failing(step, ValueError("broken beyond repair"), at=at)
    summary = process_all(config, executor)
    (failed,) = summary.failures
    assert failed.failure == "ValueError: broken beyond repair"
    assert summary.exit_code is ExitCode.TIMESTEPS_FAILED
    assert times_in(engine, "image") == 3
    with engine.connect() as connection:
        states = connection.execute(text("SELECT state, message FROM timestep ORDER BY taustart_ts")).all()
    assert [state for state, _ in states] == ["done", "done", "failed", "done"]
    assert states[2][1] == "ValueError: broken beyond repair"


def test_timestep_tried_again_after_a_failure_is_as_if_nothing_had_happened(config, engine):
    untroubled = process_all(config, SerialExecutor())
    executor = Failing(Store.store_timestep, TransientError("the lock was taken"), at=2)
    config = config.with_options(persistence={"dataset_id": -1})
    with open_run(config) as dataset:
        for group in dataset.plan.groups:
            ahead = dataset.look_ahead(executor, group.timesteps)
            for timestep in group.timesteps:
                try:
                    dataset.process_timestep(timestep, ahead, executor)
                except TransientError:
                    dataset.process_timestep(timestep, ahead, executor)
        troubled = dataset.dataset_id
    assert executor.n_calls == 5
    assert points(engine, troubled) == points(engine, untroubled.dataset_id)


def test_a_run_that_is_stopped_leaves_the_other_timesteps_to_the_next_one(config, engine):
    untroubled = process_all(config, SerialExecutor())
    with open_run(config.with_options(persistence={"dataset_id": -1})) as dataset:
        group, _ = dataset.plan.groups
        outcomes = dataset.process_group(group, SerialExecutor(), is_stopped=lambda: len(dataset.outcomes) == 2)
    assert [outcome.failure for outcome in outcomes] == [None, None]
    resumed = process_all(config.with_options(persistence={"dataset_id": dataset.dataset_id}), SerialExecutor())
    assert (len(resumed.outcomes), len(resumed.known)) == (2, 4)
    assert points(engine, resumed.dataset_id) == points(engine, untroubled.dataset_id)


def test_images_are_measured_beyond_the_end_of_a_group(config):
    executor = Failing(measure_image, ValueError("none"), at=0, times=0)
    with open_run(config) as dataset:
        first, second = dataset.plan.groups
        ahead = dataset.look_ahead(executor, n_workers=1)
        assert executor.n_calls == 6  # twice a timestep of two images and one worker
        dataset.process_group(first, executor, ahead=ahead)
        assert executor.n_calls == 8
        dataset.process_group(second, executor, ahead=ahead)
    assert executor.n_calls == 8


def test_an_image_that_ends_its_worker_every_time_costs_itself_and_not_its_timestep(config, engine, images):
    deadly = images[3]

    class Deadly(SerialExecutor):
        def submit(self, step, /, *args, **kwargs):
            return super().submit(die if args[0] == deadly else step, *args, **kwargs)

    def die(*_args, **_kwargs):
        raise WorkerLostError("the worker process of measure_image died (exit code -9)", is_culprit=True)

    with open_run(config) as dataset:
        for group in dataset.plan.groups:
            dataset.process_group(group, Deadly(), retry_delays=(0.0, 0.0, 0.0))
        summary = dataset.summary()
    assert (summary.exit_code, len(summary.images)) == (ExitCode.IMAGES_LEFT_OUT, 7)
    ((url, reason),) = summary.left_out
    assert url == deadly
    assert "cost 3 worker processes" in reason
    with engine.connect() as connection:
        assert connection.execute(text("SELECT url FROM unreadableimage")).scalars().all() == [deadly]


def test_the_summary_has_the_probabilities_that_the_run_leaves_in_the_database(config, monkeypatch):
    independent = process_all(config, SerialExecutor())
    measured = []

    def measure_shared_errors(connection, dataset_id):
        measured.append(dataset_id)
        bands = text("SELECT id FROM frequencyband WHERE dataset = :dataset")
        return {
            (band, 1): SharedErrors(lags=np.array([0.5])) for band in connection.scalars(bands, {"dataset": dataset_id})
        }

    monkeypatch.setattr("trap.db.metrics.measure_shared_errors", measure_shared_errors)
    shared = process_all(config.with_options(persistence={"dataset_id": -1}), SerialExecutor())
    assert measured == [shared.dataset_id]
    assert shared.constancy.n == independent.constancy.n
    # Four points scatter less about a mean that follows them: the same η is less probable.
    assert shared.constancy.median < independent.constancy.median


def test_progress_is_reported_after_every_timestep(config):
    told = []
    with open_run(config, progress=lambda done, total: told.append((done, total))) as dataset:
        for group in dataset.plan.groups:
            dataset.process_group(group, SerialExecutor())
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_worker_processes_give_the_rows_of_a_single_process(config, engine):
    serial = process_all(config, SerialExecutor())
    parallel = pipeline.run_locally(config)
    assert points(engine, parallel.dataset_id) == points(engine, serial.dataset_id)


def test_size_of_the_groups_changes_no_row(config, engine):
    datasets = [
        process_all(config.with_options(execution={"group_size": size}), SerialExecutor()).dataset_id for size in (1, 4)
    ]
    assert points(engine, datasets[0]) == points(engine, datasets[1])


def test_group_is_processed_with_patience(config, engine):
    executor = Failing(Store.store_timestep, TransientError("the database is locked"), at=2, times=2)
    with open_run(config) as dataset:
        for group in dataset.plan.groups:
            dataset.process_group(group, executor, retry_delays=(0.0, 0.0))
        assert not dataset.summary().failures
    assert times_in(engine, "image") == 4


def test_monitored_position_that_nothing_measures_is_told(config):
    monitors = MonitorPositions.of(ra=[0.0, 180.0], dec=[45.0, -45.0], name=["here", "elsewhere"])
    with capture_logs() as events, open_run(config, monitors=monitors) as dataset:
        for group in dataset.plan.groups:
            dataset.process_group(group, SerialExecutor())
        summary = dataset.summary()
    assert (summary.unmeasured_monitors, summary.monitors) == ((("elsewhere", "outside all images"),), 2)
    told = [event["name"] for event in events if event["event"] == "monitored_position_never_measured"]
    assert told == ["elsewhere"]
