"""Live mode: what comes is processed, what does not come or comes too late does not block, and the lag is bounded."""

from __future__ import annotations

import shutil
import threading
import time
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from astropy.io import fits
from sqlalchemy import text
from stream_emulator import sender
from structlog.testing import capture_logs

from trap.catalogues import ExtractType
from trap.cli.live import live_text
from trap.config import LiveConfig, PipelineConfig
from trap.dataset.outcomes import ExitCode, TimestepOutcome
from trap.db.engine import make_engine, reading
from trap.errors import TrapError, WorkerLostError
from trap.extraction.measure import extract_sources
from trap.images.image import read_image
from trap.images.stream import write_frame
from trap.live import live_run as live
from trap.live import sources
from trap.live.live_run import LiveRun, run_live_locally
from trap.live.tally import LiveTally
from trap.pipeline import open_run
from trap.report.columns import ExportTable, source_columns
from trap.report.formats import FORMATS
from trap.run.image_measurement import measure_image
from trap.run.look_ahead import LookAhead
from trap.simulation.survey import SurveyConfig, simulate_survey
from trap.workers.executors import SerialExecutor

N_TIMESTEPS, N_BANDS = 4, 2
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Four timesteps of two bands, in order."""
    sky = SurveyConfig(
        n_timesteps=N_TIMESTEPS, n_bands=N_BANDS, size=128, n_steady=5, n_variables=0, n_transients=1, seed=3
    )
    return simulate_survey(tmp_path_factory.mktemp("survey"), sky).images


@pytest.fixture(autouse=True)
def _here_and_now(monkeypatch):
    """Steps run in this process, and nobody is waited for long."""

    class Here(SerialExecutor):
        n_workers = 1

        def __init__(self, *_, **__):
            self.submitting = threading.Lock()

        def submit(self, step, /, *args, **kwargs):
            with self.submitting:  # two threads submit, and kernels are compiled by the first
                return super().submit(step, *args, **kwargs)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(live, "open_workers", Here)
    monkeypatch.setattr(live, "warm_up", lambda: None)
    monkeypatch.setattr(sources, "SCAN_SECONDS", 0.02)


@pytest.fixture
def config(tmp_path):
    return PipelineConfig().with_options(execution={"database": f"sqlite:///{tmp_path / 'trap.db'}"})


def from_folder(folder, **settings):
    options = {"settle_seconds": 0.05, "images_per_timestep": N_BANDS, "idle_seconds": 1.0}
    return LiveConfig(folder=str(folder), **(options | settings))


def measured(config):
    """Every measurement in the database, by time, band and position."""
    engine = make_engine(config.execution.database)
    with reading(engine) as connection:
        rows = connection.execute(
            text(
                "SELECT i.taustart_ts, i.freq_eff, x.ra, x.decl, x.f_int, x.extract_type FROM extractedsource x "
                "JOIN image i ON i.id = x.image ORDER BY 1, 2, 3, 4, 6"
            )
        ).all()
    engine.dispose()
    return [tuple(row) for row in rows]


def test_images_that_come_one_by_one_give_what_they_give_together(images, config, tmp_path, monkeypatch):
    folder = tmp_path / "in"
    folder.mkdir()

    def arrive():
        for path in images:
            shutil.copy(path, folder / f".{path.name}")
            (folder / f".{path.name}").rename(folder / path.name)
            time.sleep(0.02)

    thread = threading.Thread(target=arrive)
    thread.start()
    tally = run_live_locally(config, from_folder(folder))
    thread.join()
    assert (tally.stored, tally.accepted, tally.left_out, tally.incomplete) == (N_TIMESTEPS, len(images), 0, 0)
    assert tally.exit_code is ExitCode.COMPLETE
    assert 0 < tally.lag_max < 60
    together = config.with_options(
        execution={"database": f"sqlite:///{tmp_path / 'batch.db'}", "images": tuple(map(str, images))}
    )
    with open_run(together) as dataset:
        for group in dataset.plan.groups:
            dataset.process_group(group, SerialExecutor())
    assert len(measured(config)) > 10
    assert measured(config) == measured(together)


def test_images_are_processed_when_their_lists_have_come(images, config, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for path in images[:N_BANDS]:
        found = extract_sources(read_image(path), config.source_extraction).measurements
        columns = source_columns([found.take(np.flatnonzero(found.is_sound)[:2])])
        content = FORMATS["csv"].encode(ExportTable(name="sources", columns=columns, about={}))
        (folder / f"{path.stem}.csv").write_bytes(content)
    for path in images[: N_BANDS + 1]:
        shutil.copy(path, folder)
    listed = config.with_options(reading={"catalogues": "{stem}.csv"})
    tally = run_live_locally(listed, from_folder(folder, timestep_timeout_seconds=0.9, idle_seconds=2.0))
    assert (tally.stored, tally.accepted, tally.left_out) == (1, N_BANDS, 1)
    assert "it has no source list" in live_text(tally, "")
    assert len([row for row in measured(listed) if row[-1] == ExtractType.BLIND]) == 2 * N_BANDS


def test_the_same_images_through_sockets_give_the_same(images, config, tmp_path):
    frames = [[], []]
    for path in images:
        with fits.open(path) as hdus:
            band = int(path.stem[-2:])
            frames[band].append(write_frame(hdus[0].header, np.squeeze(hdus[0].data)))
    settings = {"images_per_timestep": N_BANDS, "idle_seconds": 1.5, "spool": str(tmp_path / "spool")}
    with sender(frames[0]) as first, sender(frames[1]) as second:
        tally = run_live_locally(config, LiveConfig(streams=(first, second), **settings))
    assert (tally.stored, tally.left_out) == (N_TIMESTEPS, 0)
    folder = tmp_path / "in"
    shutil.copytree(images[0].parent, folder)
    other = config.with_options(execution={"database": f"sqlite:///{tmp_path / 'folder.db'}"})
    run_live_locally(other, from_folder(folder, patterns=("t*.fits",)))
    assert measured(config) == measured(other)


def test_an_odd_image_of_a_stream_is_left_out_and_counted(config, tmp_path):
    odd = write_frame(fits.PrimaryHDU(np.zeros((2, 3), np.float32)).header, np.zeros((2, 4), np.float32))
    with sender([odd, odd]) as address:
        settings = LiveConfig(streams=(address,), spool=str(tmp_path / "spool"), idle_seconds=0.3)
        tally = run_live_locally(config, settings)
    assert (tally.stored, tally.rejected) == (0, 2)
    assert tally.examples[1] == (
        f"{address}, image 2 of the connection", "received 8 pixels for NAXIS1 = 3 and NAXIS2 = 2"
    )  # fmt: skip
    assert tally.exit_code is ExitCode.IMAGES_LEFT_OUT


def test_a_receiving_thread_that_ends_unasked_ends_the_run_with_an_error(config, tmp_path, monkeypatch):
    def fail(*_):
        raise RecursionError("too deep")

    monkeypatch.setattr(sources, "read_frame", fail)
    with sender([]) as address, pytest.raises(TrapError, match="receiving has ended: RecursionError: too deep"):
        run_live_locally(config, LiveConfig(streams=(address,), spool=str(tmp_path / "spool")))


def test_an_error_in_the_last_moment_of_a_run_is_raised(config, tmp_path):
    class Late(Slow):
        def receive(self):
            run._ending.wait()
            raise OSError("gone")

    with open_run(config, images=()) as dataset:
        run = LiveRun(dataset, from_folder(tmp_path), Late([]), LookAhead(lambda _: Future(), depth=1))
        with pytest.raises(OSError, match="gone"), run.receiving():
            pass


def test_an_image_that_does_not_come_does_not_block_and_one_that_comes_late_is_told(
    images, config, tmp_path, monkeypatch
):
    folder = tmp_path / "in"
    folder.mkdir()
    missing = images[3]
    for path in images:
        if path != missing:
            shutil.copy(path, folder)

    def come_late(run, *args):
        finish(run, *args)
        if run.tally.incomplete and not (folder / missing.name).exists():
            shutil.copy(missing, folder)

    finish = LiveRun.finish
    monkeypatch.setattr(LiveRun, "finish", come_late)
    tally = run_live_locally(config, from_folder(folder, timestep_timeout_seconds=0.5, idle_seconds=3.0))
    assert (tally.stored, tally.incomplete, tally.late) == (N_TIMESTEPS, 1, 1)
    assert tally.examples == [(str(folder / missing.name), "arrived after its timestep was closed")]
    assert tally.exit_code is ExitCode.IMAGES_LEFT_OUT


def test_a_run_that_is_begun_again_goes_on_where_the_last_one_was_stopped(images, config, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for path in images[: 2 * N_BANDS]:
        shutil.copy(path, folder)
    first = run_live_locally(config, from_folder(folder))
    for path in images[2 * N_BANDS :]:
        shutil.copy(path, folder)
    second = run_live_locally(config, from_folder(folder))
    assert second.dataset_id == first.dataset_id
    assert (first.stored, second.stored, second.known, second.late) == (2, 2, 2 * N_BANDS, 0)


def test_a_file_that_is_no_image_is_left_out_and_told(images, config, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "torn.fits").write_bytes(b"SIMPLE  =")
    for path in images[:N_BANDS]:
        shutil.copy(path, folder)
    tally = run_live_locally(config, from_folder(folder))
    assert (tally.stored, tally.rejected) == (1, 1)
    assert "torn.fits" in tally.examples[0][0]


def test_a_run_that_is_stopped_finishes_the_timestep_in_hand(images, config, tmp_path, monkeypatch):
    folder = tmp_path / "in"
    shutil.copytree(images[0].parent, folder)
    stored = []
    finish = LiveRun.finish
    monkeypatch.setattr(LiveRun, "finish", lambda run, *args: (stored.append(1), finish(run, *args)))
    tally = run_live_locally(config, from_folder(folder, idle_seconds=0.0), is_stopped=lambda: len(stored) >= 2)
    assert tally.stored == 2


class Slow:
    """A source that gives so many timesteps at once."""

    def __init__(self, urls):
        self.urls, self.released = urls, []

    def receive(self):
        taken, self.urls = self.urls, []
        return taken

    def release(self, urls):
        self.released += urls

    def close(self):
        pass


def test_what_could_only_be_stored_too_late_is_left_out_before_any_work_goes_into_it(images, config, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    urls = []
    for number in range(20):
        path = folder / f"{number:02d}.fits"
        shutil.copy(images[0], path)
        fits.setval(path, "DATE-OBS", value=(START + timedelta(seconds=number)).replace(tzinfo=None).isoformat())
        urls.append(str(path))
    begun = []

    def measure(url):
        begun.append(url)
        return Future()

    settings = LiveConfig(folder=str(folder), images_per_timestep=1, max_lag_seconds=10.0)
    with open_run(config, images=()) as dataset:
        source = Slow(urls)
        run = LiveRun(dataset, settings, source, LookAhead(measure, depth=100))
        run._seconds.append(2.0)
        with capture_logs(), run.receiving():
            deadline = time.monotonic() + 60
            while run.n_waiting + run.tally.behind < 20 and time.monotonic() < deadline:
                time.sleep(0.02)
        # Five timesteps of two seconds are ten seconds of lag, and one more is let in.
        assert (run.n_waiting, run.tally.behind) == (6, 14)
        assert begun == urls[:6]
        assert source.released == urls[6:]
        with reading(dataset.store.engine) as connection:
            messages = connection.execute(text("SELECT message FROM timestep WHERE state = 'failed'")).scalars().all()
    assert len(messages) == 14
    assert messages[0] == "left out to keep up: 6 timesteps of 2.0 s were waiting"


def test_an_error_of_the_thread_that_takes_in_ends_the_run(config, tmp_path, monkeypatch):
    def fail(_):
        raise RuntimeError("no more")

    monkeypatch.setattr(sources.FolderSource, "receive", fail)
    with pytest.raises(RuntimeError, match="no more"):
        run_live_locally(config, from_folder(tmp_path))


def test_a_run_without_an_end_keeps_numbers_and_not_what_they_count():
    tally = LiveTally(dataset_id=1)
    for _ in range(3):
        tally.count(TimestepOutcome(taustart_ts=START), 2.0)
    tally.count(TimestepOutcome(taustart_ts=START, failure="ValueError: bad"), 6.0)
    assert (tally.stored, tally.failed, tally.lag_mean, tally.lag_max) == (3, 1, 3.0, 6.0)
    assert tally.exit_code is ExitCode.TIMESTEPS_FAILED
    for number in range(500):
        tally.leave_out(str(number), "late")
    assert len(tally.examples) == 100


def test_bands_that_start_within_the_tolerance_are_a_timestep_as_in_batch_mode(images, config, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number, path in enumerate(images):
        shutil.copy(path, folder)
        start = START + timedelta(hours=number // N_BANDS, seconds=2 * (number % N_BANDS))
        fits.setval(folder / path.name, "DATE-OBS", value=start.replace(tzinfo=None).isoformat())
    config = config.with_options(persistence={"timestep_tolerance": 5.0})
    tally = run_live_locally(config, from_folder(folder))
    assert (tally.stored, tally.incomplete, tally.left_out) == (N_TIMESTEPS, 0, 0)
    together = config.with_options(
        execution={"database": f"sqlite:///{tmp_path / 'batch.db'}", "images": (f"{folder}/*.fits",)}
    )
    with open_run(together) as dataset:
        for group in dataset.plan.groups:
            dataset.process_group(group, SerialExecutor())
    assert len(measured(config)) > 10
    assert measured(config) == measured(together)


def test_a_timestep_that_is_left_out_to_keep_up_is_left_out_with_all_images_within_the_tolerance(config):
    config = config.with_options(persistence={"timestep_tolerance": 5.0})
    settings = LiveConfig(folder=".", images_per_timestep=1, max_lag_seconds=10.0)
    with open_run(config, images=()) as dataset:
        run = LiveRun(dataset, settings, Slow([]), LookAhead(lambda _: Future(), depth=1))
        run._behind[START] = 0.0
        assert [run._is_behind(START + timedelta(seconds=second)) for second in (-6, -5, 0, 5, 6)] == [
            False,
            True,
            True,
            True,
            False,
        ]


class StepByStep:
    """A live run whose images arrive when a test says so."""

    def __init__(self, dataset, config, **settings):
        self.source = Slow([])
        live_config = LiveConfig(folder=".", images_per_timestep=N_BANDS, **settings)
        ahead = LookAhead(lambda url: SerialExecutor().submit(measure_image, url, config), depth=8)
        self.run = LiveRun(dataset, live_config, self.source, ahead)

    def arrive(self, *urls):
        self.source.urls = [str(url) for url in urls]
        self.run._receive_arrived()
        return self.run.tally

    def process(self):
        while self.run._closed:
            closed = self.run._closed.popleft()
            self.run.finish(closed, self.run.dataset.attempt(closed.timestep, self.run.ahead, SerialExecutor()))
        return self.arrive()


def test_images_that_are_seen_again_are_known_wherever_their_timestep_is(images, config, tmp_path):
    folder = tmp_path / "in"
    shutil.copytree(images[0].parent, folder)
    t0b0, t0b1, t1b0, t1b1 = (folder / path.name for path in images[:4])
    with open_run(config, images=()) as dataset:
        live_run = StepByStep(dataset, config)
        live_run.arrive(t0b0, t0b1)
        # Closed, and not stored: the decision waits.
        tally = live_run.arrive(t0b0)
        assert (tally.known, tally.late) == (0, 0)
        tally = live_run.process()
        assert (tally.stored, tally.known, tally.late) == (1, 1, 0)
        # Open: a copy does not complete the timestep, and the same path does not appear twice.
        again = shutil.copytree(folder, tmp_path / "mounted again") / t1b0.name
        tally = live_run.arrive(t1b0, again, t1b0)
        assert (tally.known, live_run.run.n_waiting, len(live_run.run._closed)) == (2, 1, 0)
        live_run.arrive(t1b1)
        tally = live_run.process()
        assert (tally.stored, tally.accepted, tally.known, tally.late) == (2, 4, 2, 0)
        # Stored: the same content is known under any path; another content is late.
        tally = live_run.arrive(t1b0, t0b1, again)
        assert (tally.known, tally.late) == (5, 0)
        fits.setval(t1b0, "OBSERVER", value="another")
        tally = live_run.arrive(t1b0)
        assert (tally.known, tally.late) == (5, 1)


def test_late_images_are_stored_as_by_a_run_that_is_not_live(images, config, tmp_path):
    config = config.with_options(execution={"late_images": "store"})
    with open_run(config, images=()) as dataset:
        live_run = StepByStep(dataset, config, timestep_timeout_seconds=0.01)
        live_run.arrive(*images[2:4])
        live_run.process()
        live_run.arrive(*images[:2])
        time.sleep(0.02)
        live_run.arrive()
        tally = live_run.process()
    assert (tally.stored, tally.unassociated, tally.late, tally.incomplete) == (2, 2, 0, 0)
    assert tally.exit_code is ExitCode.COMPLETE
    assert "2 late images stored, in no light curve" in live_text(tally, "sqlite:///trap.db")
    other = config.with_options(execution={"database": f"sqlite:///{tmp_path / 'batch.db'}"})
    for part in (images[2:4], images[:4]):
        with open_run(other, images=[str(path) for path in part]) as dataset:
            for group in dataset.plan.groups:
                dataset.process_group(group, SerialExecutor())
    assert measured(config) == measured(other)
    for each in (config, other):
        engine = make_engine(each.execution.database)
        with reading(engine) as connection:
            rows = connection.execute(text("SELECT state, n_images FROM timestep ORDER BY taustart_ts")).all()
        engine.dispose()
        assert [tuple(row) for row in rows] == [("late", 2), ("done", 2)]


class FailingReaders:
    """An executor in which the header of one file raises an error."""

    def __init__(self, name, error):
        self.name, self.error = name, error

    def submit(self, step, urls, *args, **kwargs):
        if self.name in urls[0]:
            failed = Future()
            failed.set_exception(self.error)
            return failed
        return SerialExecutor().submit(step, urls, *args, **kwargs)


def test_file_that_ends_the_process_of_its_reader_costs_itself_alone(images, config):
    settings = LiveConfig(folder=".", images_per_timestep=N_BANDS)
    readers = FailingReaders(images[0].name, WorkerLostError("describe_images was ended after 60 s", is_culprit=True))
    with open_run(config, images=()) as dataset:
        run = LiveRun(dataset, settings, Slow([]), LookAhead(lambda _: Future(), depth=1), readers=readers)
        for path in images[:N_BANDS]:
            run._receive(str(path))
        assert (run.tally.rejected, run.n_waiting) == (1, 1)
        assert run.tally.examples == [(str(images[0]), "describe_images was ended after 60 s")]


def test_run_is_not_idle_while_a_header_is_read(config):
    settings = LiveConfig(folder=".", idle_seconds=0.01)
    with open_run(config, images=()) as dataset:
        run = LiveRun(dataset, settings, Slow([]), LookAhead(lambda _: Future(), depth=1))
        time.sleep(0.02)
        assert run._is_idle()
        run._is_reading = True
        assert not run._is_idle()
