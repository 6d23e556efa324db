"""Background jobs of a server: positions that are measured in the images of a dataset, one job after the other.

The fits run in one worker process, which is started for a job: the server never imports compiled code, and a file that
hangs costs its image only. Of all that visitors ask for, a bounded part waits, and a bounded part is remembered.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog

from trap.db.position_fits import (
    find_position,
    images_at,
    keep_points,
    missing_images,
    no_points,
    points_of,
    read_position,
)
from trap.errors import BusyError, TrapError
from trap.results.photometry import fit_images, merge_points
from trap.workers.executors import ProcessExecutor

if TYPE_CHECKING:
    from trap.db.reader import Reader
    from trap.typing import Columns

__all__ = ["Job", "JobState", "Place", "PositionJobs"]

TIMEOUT_SECONDS = 60.0
"""Time after which the worker of an image is killed; a fit takes some milliseconds."""
MAX_WAITING = 8
"""Largest number of jobs that wait for their turn."""
MAX_REMEMBERED = 100
"""Largest number of jobs that have ended and are remembered."""
MAX_POINTS = 200_000
"""Largest number of points in memory: 40 MB."""
STORE_SECONDS = 2.0
"""Time between two transactions that store points."""
IDLE_SECONDS = 300.0
"""Time that a worker process waits for the next job before it is ended, and its memory is free."""
CLOSING_SECONDS = 10.0
PRELOADED = ("trap.pipeline", "trap.results.position_fitting")
"""Modules that the server of the workers imports, once."""
_logger = structlog.get_logger(__name__)


class Place(NamedTuple):
    """A position of a dataset.

    Parameters
    ----------
    dataset
        Number of the dataset.
    ra, dec
        deg, ICRS — position, rounded: one place has one name.
    """

    dataset: int
    ra: float
    dec: float

    @classmethod
    def of(cls, dataset: int, ra: float, dec: float) -> Place:
        """Round a position to 0.4 mas, the last digit of a position in a link.

        Parameters
        ----------
        dataset
            Number of the dataset.
        ra, dec
            deg, ICRS — any right ascension, and declination.
        """
        return cls(dataset, round(ra % 360.0, 7) % 360.0, round(dec, 7))


class JobState(StrEnum):
    """State of a job."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(slots=True, eq=False)
class Job:
    """A position that is measured.

    Parameters
    ----------
    place
        The position.
    state
        State; the last three are final.
    n_done, n_all
        Number of images that have been measured, and of all.
    problem
        Reason why the job failed, or why its points are not stored; empty otherwise.
    began
        Time when the first image was measured, in s of the monotonic clock: until then the worker starts.
    cancelled
        Set when a visitor cancels the job, or the server ends.
    """

    place: Place
    state: JobState = JobState.WAITING
    n_done: int = 0
    n_all: int = 0
    problem: str = ""
    began: float = 0.0
    cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def is_active(self) -> bool:
        """Whether the job waits or runs."""
        return self.state in (JobState.WAITING, JobState.RUNNING)

    @property
    def seconds_left(self) -> float | None:
        """Time that the job will still take, in s; None if that is unknown yet."""
        if self.state is not JobState.RUNNING or self.n_done < 2:
            return None
        return (time.monotonic() - self.began) / (self.n_done - 1) * (self.n_all - self.n_done)


class PositionJobs:
    """The jobs of a site.

    Parameters
    ----------
    reader
        The database.
    keeps
        Whether points are stored in the database; otherwise they are kept in memory.
    timeout_seconds
        s — time after which the worker of an image is killed.
    """

    def __init__(self, reader: Reader, *, keeps: bool, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._reader = reader
        self._keeps = keeps
        self._timeout = timeout_seconds
        self._lock = threading.Condition()
        self._jobs: OrderedDict[Place, Job] = OrderedDict()
        self._waiting: deque[Job] = deque()
        self._points: OrderedDict[Place, Columns] = OrderedDict()
        self._executor: ProcessExecutor | None = None  # of the thread of the jobs
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def start(self, place: Place) -> Job:
        """Start to measure a position in the images without a point; the job of a position that is measured is joined.

        Parameters
        ----------
        place
            The position.

        Raises
        ------
        BusyError
            If too many jobs wait.
        """
        with self._lock:
            job = self._jobs.get(place)
            if job is not None and job.is_active:
                return job
            if self._is_closed or len(self._waiting) >= MAX_WAITING:
                msg = f"{len(self._waiting)} positions wait to be measured already; try again in a minute"
                raise BusyError(msg)
            job = Job(place)
            self._jobs[place] = job
            self._jobs.move_to_end(place)
            self._waiting.append(job)
            for old in [one for one, other in self._jobs.items() if not other.is_active][:-MAX_REMEMBERED]:
                del self._jobs[old]
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="position-jobs", daemon=True)
                self._thread.start()
            self._lock.notify_all()
            return job

    def find(self, place: Place) -> Job | None:
        """Return the latest job of a position as it is now: a copy, which does not change; None if there was none.

        Parameters
        ----------
        place
            The position.
        """
        with self._lock:
            job = self._jobs.get(place)
            return None if job is None else replace(job)

    def cancel(self, place: Place) -> None:
        """End the job of a position; the points that it has measured are kept.

        Parameters
        ----------
        place
            The position.
        """
        with self._lock:
            job = self._jobs.get(place)
            if job is None or not job.is_active:
                return
            job.cancelled.set()
            if job in self._waiting:
                self._waiting.remove(job)
                job.state = JobState.CANCELLED
            elif self._executor is not None:
                self._executor.cancel()

    def points(self, place: Place) -> Columns:
        """Return the points of a position in the database and in memory.

        Parameters
        ----------
        place
            The position.

        Returns
        -------
        Columns of :func:`trap.db.position_fits.points_of`.
        """
        with self._reader.read() as connection:
            kept = find_position(connection, *place)
            stored = no_points() if kept is None else read_position(connection, kept)
        with self._lock:
            return merge_points(stored, self._points.get(place, no_points()))

    def close(self) -> None:
        """End all jobs, and the worker process."""
        with self._lock:
            self._is_closed = True
            for place in list(self._jobs):
                self.cancel(place)
            self._lock.notify_all()
        if self._thread is not None:
            self._thread.join(CLOSING_SECONDS)

    def _work(self) -> None:
        """Run the jobs one after the other, until the site is closed."""
        while (job := self._next_job()) is not None:
            try:
                self._run(job)
            except TrapError as error:
                self._end(job, str(error))
            except Exception as error:
                _logger.exception("position_job_failed", **job.place._asdict())
                self._end(job, f"an error of this program, {type(error).__name__}; its log has the details")
        self._end_worker()

    def _next_job(self) -> Job | None:
        """Wait for a job, and end a worker that has waited for long; return None if the site is closed."""
        with self._lock:
            while not self._waiting and not self._is_closed:
                if not self._lock.wait(None if self._executor is None else IDLE_SECONDS):
                    self._end_worker()
            if self._is_closed:
                return None
            job = self._waiting.popleft()
            job.state = JobState.RUNNING
            return job

    def _open_worker(self) -> ProcessExecutor:
        """Return the worker of this and the next jobs, which keeps its compiled code."""
        if self._executor is None:
            executor = ProcessExecutor(1, timeout_seconds=self._timeout, preload=PRELOADED)
            with self._lock:
                self._executor = executor
        return self._executor

    def _end_worker(self) -> None:
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.cancel()
            executor.__exit__(None, None, None)

    def _end(self, job: Job, problem: str = "") -> None:
        """Set the final state of a job."""
        with self._lock:
            job.problem = job.problem or problem
            cancelled = job.cancelled.is_set()
            job.state = JobState.CANCELLED if cancelled else JobState.FAILED if problem else JobState.DONE

    def _run(self, job: Job) -> None:
        """Measure the position of a job in all images without a point."""
        place = job.place
        with self._reader.read() as connection:
            images = images_at(connection, *place)
        missing = missing_images(images, self.points(place))
        job.n_all = len(missing)
        if len(missing):
            executor = self._open_worker()
            fits = fit_images(
                executor, self._reader, place.dataset, place[1:], missing, is_cancelled=job.cancelled.is_set
            )
            try:
                self._measure(job, fits)
            finally:
                executor.cancel()  # images after a failure, or after the end by a visitor
        self._store(job, [], is_complete=not job.cancelled.is_set())
        self._end(job)

    def _measure(self, job: Job, fits: Any) -> None:  # noqa: ANN401 (an iterator of points)
        """Collect the points of a job, and store them from time to time."""
        fresh: list[dict[str, Any]] = []
        stored = time.monotonic()
        for point in fits:
            fresh.append(point)
            job.began = job.began or time.monotonic()
            job.n_done += 1
            if time.monotonic() - stored > STORE_SECONDS:
                self._store(job, fresh, is_complete=False)
                fresh, stored = [], time.monotonic()
        self._store(job, fresh, is_complete=False)

    def _store(self, job: Job, points: list[dict[str, Any]], *, is_complete: bool) -> None:
        """Keep points in the database, or else in memory; the points of the oldest positions there are forgotten."""
        if not (points or is_complete):
            return
        place, columns = job.place, points_of(points)
        if self._keeps and not job.problem:
            try:
                keep_points(self._reader, place.dataset, place[1:], columns, is_complete=is_complete)
            except TrapError as error:
                job.problem = f"the points are not stored, but kept until the server ends: {error}"
            else:
                return
        with self._lock:
            self._points[place] = merge_points(self._points.get(place, no_points()), columns)
            self._points.move_to_end(place)
            while len(self._points) > 1 and sum(len(one["image"]) for one in self._points.values()) > MAX_POINTS:
                self._points.popitem(last=False)
