"""Background jobs: joined, bounded, cancelled; a file that hangs and a worker that dies cost one image each."""

from __future__ import annotations

import os
import threading
import time
from functools import partial

import numpy as np
import psutil
import pytest
from bad_fits import hang_or_die
from fits_in_this_process import held, in_this_process  # noqa: F401 (fixtures)

from trap.db.position_fits import find_position
from trap.db.reader import Reader
from trap.errors import BusyError, DatabaseError
from trap.results import photometry
from trap.web import jobs as module
from trap.web.jobs import JobState, Place, PositionJobs
from trap.workers.executors import ProcessExecutor

PLACE = Place.of(1, 0.0, 45.0)


@pytest.fixture
def make_jobs():
    made = []

    def make(url, **options):
        made.append(PositionJobs(Reader(url), **{"keeps": False, **options}))
        return made[-1]

    yield make
    for jobs in made:
        jobs.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "position-jobs"]


def finished(job):
    end = time.monotonic() + 60
    while job.is_active and time.monotonic() < end:
        time.sleep(0.01)
    return job


@pytest.mark.usefixtures("in_this_process")
def test_points_of_a_read_only_site_are_in_memory_and_those_of_an_editable_one_stored(database, editable, make_jobs):
    places = Place.of(1, -0.0100000001, 45.01), Place.of(1, 359.99, 45.01)
    assert places[0] == places[1]
    memory, stored = make_jobs(database), make_jobs(editable.url, keeps=True)
    for jobs in (memory, stored):
        job = finished(jobs.start(places[0]))
        assert (job.state, job.n_done, job.n_all, job.problem) == (JobState.DONE, 6, 6, "")
        assert finished(jobs.start(places[0])).n_all == 0  # nothing is missing
    ours, theirs = memory.points(places[0]), stored.points(places[0])
    assert np.isfinite(ours["f_int"]).all()
    np.testing.assert_array_equal(ours["f_int"], theirs["f_int"])
    for jobs, url in ((memory, database), (stored, editable.url)):
        with Reader(url).read() as connection:
            kept = find_position(connection, *places[0])
        assert (kept is not None and kept.state == "done") == (jobs is stored)
    assert len(make_jobs(editable.url).points(places[0])["image"]) == 6


@pytest.mark.usefixtures("in_this_process")
def test_job_of_a_position_is_joined_and_the_queue_is_bounded(database, make_jobs, held):  # noqa: F811
    jobs = make_jobs(database)
    first = jobs.start(PLACE)
    while not first.n_all:
        time.sleep(0.01)
    assert jobs.start(PLACE) is first
    running = jobs.find(PLACE)
    others = [jobs.start(Place.of(1, 0.0, 45.0 + 1e-3 * i)) for i in range(1, 1 + module.MAX_WAITING)]
    with pytest.raises(BusyError, match="8 positions wait to be measured already"):
        jobs.start(Place.of(1, 0.0, 44.0))
    jobs.cancel(others[-1].place)
    assert others[-1].state is JobState.CANCELLED
    jobs.cancel(first.place)
    held.let_go()
    assert finished(first).state is JobState.CANCELLED
    assert running.state is JobState.RUNNING  # a page that is made meanwhile does not contradict itself
    assert first.n_done < first.n_all
    assert finished(others[0]).state is JobState.DONE


@pytest.mark.usefixtures("in_this_process")
def test_memory_is_bounded(database, make_jobs, monkeypatch):
    monkeypatch.setattr(module, "MAX_POINTS", 15)
    monkeypatch.setattr(module, "MAX_REMEMBERED", 2)
    jobs, places = make_jobs(database), [Place.of(1, 0.0, 45.0 + 1e-3 * i) for i in range(4)]
    for place in places:
        finished(jobs.start(place))
    assert [len(jobs.points(place)["image"]) for place in places] == [0, 0, 6, 6]
    assert [jobs.find(place) is None for place in places] == [True, False, False, False]


@pytest.mark.usefixtures("in_this_process")
def test_failures_end_the_job_with_a_reason_and_the_next_job_runs(editable, make_jobs, monkeypatch):
    jobs = make_jobs(editable.url, keeps=True)
    missing = finished(jobs.start(Place.of(7, 0.0, 45.0)))
    assert (missing.state, "dataset 7" in missing.problem) == (JobState.FAILED, True)

    def fail(*_, **__):
        raise DatabaseError("the disk is full")

    monkeypatch.setattr(module, "keep_points", fail)
    unstored = finished(jobs.start(PLACE))
    assert unstored.state is JobState.DONE
    assert unstored.problem == "the points are not stored, but kept until the server ends: the disk is full"
    assert len(jobs.points(PLACE)["image"]) == 6
    monkeypatch.setattr(module, "fit_images", partial(fail, object()))
    assert finished(jobs.start(Place.of(1, 0.01, 45.0))).problem == "the disk is full"
    monkeypatch.setattr(module, "fit_images", lambda *_, **__: 1 / 0)
    assert "ZeroDivisionError" in finished(jobs.start(Place.of(1, 0.01, 45.0))).problem


def test_hanging_file_and_dead_worker_cost_one_image_each_and_a_server_that_stops_ends_its_worker(
    database, make_jobs, monkeypatch
):
    monkeypatch.setattr(photometry, "fit_image", hang_or_die)
    monkeypatch.setattr(module, "PRELOADED", ())
    before = set(psutil.Process().children(recursive=True))
    jobs = make_jobs(database, timeout_seconds=1.0)
    job = finished(jobs.start(PLACE))
    assert (job.state, job.n_done) == (JobState.DONE, 6)
    points = jobs.points(PLACE)
    assert points["is_read"].tolist() == [True, False, True, False, True, True]
    assert points["reason"][1] == "the fit was ended after 1 s"
    assert points["reason"][3].startswith("the worker process of the fit died")
    # Both are tried again on demand; a visitor ends the wait.
    again = jobs.start(PLACE)
    assert isinstance(jobs._open_worker(), ProcessExecutor)
    jobs.close()
    assert finished(again).state is JobState.CANCELLED
    started = set(psutil.Process().children(recursive=True)) - before
    assert not [one for one in started if one.ppid() != os.getpid()]  # but the server of all workers
    with pytest.raises(BusyError):
        jobs.start(PLACE)
