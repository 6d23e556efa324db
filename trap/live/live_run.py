"""Live mode: images are processed as they arrive, at their cadence, with a bounded lag.

One thread receives images, has their headers read and submits them to the workers. The other thread takes the closed
timesteps through association, in order of time. A timestep that could only be stored too late is left out as a whole
before any work is spent on it, so both lag and memory are bounded.
"""

from __future__ import annotations

import contextvars
import math
import threading
import time
from collections import deque
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from trap.dataset.records import UnreadableImage
from trap.errors import WorkerLostError
from trap.live.assembly import Assembler
from trap.live.sources import open_source
from trap.live.tally import LiveTally
from trap.pipeline import PRELOAD, open_run
from trap.retry import IMAGE_DELAYS
from trap.run.image_measurement import measure_image, warm_up
from trap.run.look_ahead import LookAhead
from trap.run.pairing import lists_of
from trap.run.scanning import describe_images
from trap.workers.executors import SerialExecutor
from trap.workers.pools import Workers, open_reader, open_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from trap.catalogues import MonitorPositions
    from trap.config import LiveConfig, PipelineConfig
    from trap.dataset.outcomes import TimestepOutcome
    from trap.live.assembly import ClosedTimestep
    from trap.live.sources import Source
    from trap.pipeline import DatasetRun
    from trap.run.scanning import ScannedImage
    from trap.steps.misc import ImageMetadataForSort
    from trap.workers.executors import Executor

__all__ = ["LiveRun", "open_live", "run_live_locally"]

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.05
"""Time between two looks for new images or closed timesteps."""
N_LATEST = 10
"""Number of latest timesteps whose median duration predicts the duration of the waiting ones."""
STATUS_SECONDS = 10.0
"""Time between two log events on the state of the run."""
DEFAULT_IMAGES = 16
"""Assumed number of images of a timestep if the settings do not give one."""
MAX_BEHIND = 100
"""Maximum number of timesteps left out to keep up whose later images are recognised."""


class LiveRun:
    """A run over the images of a source.

    Parameters
    ----------
    dataset
        Run without a plan. Its observers are called for every timestep.
    live
        Settings of live mode.
    source
        Source of the images.
    ahead
        Measurements of the images that have arrived.
    readers
        Executor that reads the headers; None reads them in this process.
    is_stopped
        Called between timesteps; if it returns True, no further timestep is begun.

    Attributes
    ----------
    tally
        Counts of the run.
    """

    def __init__(
        self,
        dataset: DatasetRun,
        live: LiveConfig,
        source: Source,
        ahead: LookAhead,
        *,
        readers: Executor | None = None,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self.dataset = dataset
        self._readers = readers or SerialExecutor()
        self.tally = LiveTally(dataset_id=dataset.dataset_id)
        self.ahead = ahead
        self._live = live
        self._source = source
        self._is_stopped = is_stopped
        quality = dataset.config.quality
        self._tolerance = timedelta(seconds=dataset.config.persistence.timestep_tolerance)
        self._assembler = Assembler(
            n_images=live.images_per_timestep,
            timeout_seconds=live.timestep_timeout_seconds,
            tolerance_seconds=self._tolerance.total_seconds(),
            latest=dataset.store.latest_timestep(),
            max_future_days=quality.max_future_days if quality.check_date == "reject" else math.inf,
        )
        self._stores_late = dataset.config.execution.late_images == "store"
        self._closed: deque[ClosedTimestep] = deque()
        self._unfinished: set[ClosedTimestep] = set()
        self._seen_again: list[tuple[str, datetime]] = []
        self._behind: dict[datetime, float] = {}
        self._seconds: deque[float] = deque(maxlen=N_LATEST)
        self._last_arrival = self._last_status = time.monotonic()
        self._is_reading = False
        self._ending = threading.Event()
        self._error: BaseException | None = None

    @property
    def n_waiting(self) -> int:
        """Number of timesteps that are closed or still open, and not stored."""
        return len(self._closed) + self._assembler.n_open

    def timesteps(self, *, for_seconds: float = math.inf) -> Iterator[ClosedTimestep]:
        """Yield timesteps as they are closed, until the run is stopped or no image has arrived for the idle time.

        Parameters
        ----------
        for_seconds
            s — time after which no further timestep is yielded.

        Raises
        ------
        BaseException
            The error that ended the thread that receives images.
        """
        until = time.monotonic() + for_seconds
        while time.monotonic() < until and not self._is_stopped():
            if self._error is not None:
                raise self._error
            if self._closed:
                yield self._closed.popleft()
            elif self._is_idle():
                return
            else:
                time.sleep(POLL_SECONDS)

    def finish(self, closed: ClosedTimestep, outcome: TimestepOutcome) -> None:
        """Count a timestep that was processed, and drop all other data on it.

        Parameters
        ----------
        closed
            The timestep.
        outcome
            Its outcome.
        """
        lag = time.monotonic() - closed.arrived
        self._unfinished.discard(closed)
        self.tally.incomplete += not (closed.is_complete or closed.timestep.is_late)
        self.tally.count(outcome, lag)
        if self.tally.stored + self.tally.failed > 1 and not outcome.is_late:
            # The first timestep waits for the workers to start, so its duration predicts nothing.
            self._seconds.append(outcome.seconds)
        self._source.release(closed.timestep.urls)
        self.dataset.outcomes.clear()
        self.dataset.meters.set_latency(lag)
        if time.monotonic() - self._last_status >= STATUS_SECONDS:
            self._last_status = time.monotonic()
            log.info(
                "live",
                lag=round(lag, 2),
                waiting=self.n_waiting,
                stored=self.tally.stored,
                failed=self.tally.failed,
                images_left_out=self.tally.left_out,
            )

    @contextmanager
    def receiving(self) -> Iterator[None]:
        """Receive images in another thread while the block runs.

        Raises
        ------
        BaseException
            The error that ended the thread, if the block has not raised it.
        """
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(self._receive_all,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ending.set()
            thread.join()
        if self._error is not None:
            raise self._error

    def _is_idle(self) -> bool:
        has_work = self._assembler.n_open or self._seen_again or self._is_reading
        return 0 < self._live.idle_seconds < time.monotonic() - self._last_arrival and not has_work

    def _receive_all(self) -> None:
        """Receive images and close timesteps until the run ends; an error is raised by :meth:`timesteps`."""
        try:
            while not self._ending.is_set():
                if not self._receive_arrived():
                    self._ending.wait(POLL_SECONDS)
        except BaseException as error:  # noqa: BLE001 (raised again in the other thread)
            self._error = error

    def _receive_arrived(self) -> bool:
        """Receive images that have arrived, and close timesteps; return whether any image has arrived."""
        images = self._source.receive()
        self._is_reading = bool(images)
        for image in images:
            if isinstance(image, UnreadableImage):
                self.tally.rejected += 1
                self.tally.leave_out(image.url, image.reason)
            else:
                self._receive(image)
            self._last_arrival = time.monotonic()
        seen_again, self._seen_again = self._seen_again, []
        for url, start in seen_again:
            if self._is_in_progress(start):
                self._seen_again.append((url, start))
            else:
                self._receive(url)
        self._is_reading = False
        for closed in self._assembler.close(time.monotonic()):
            self.dataset.meters.expect([closed.timestep])
            self._unfinished.add(closed)
            self._closed.append(closed)
        return bool(images)

    def _receive(self, url: str) -> None:
        """Read the header of an image, and begin to measure it unless it is known or left out."""
        now = time.monotonic()
        entry = self._described(url)
        if isinstance(entry, UnreadableImage):
            self.tally.rejected += 1
            self._leave_out(url, entry.reason)
            return
        is_late = self._assembler.is_late(entry.timestamp)
        if self._is_known(entry, is_late=is_late):
            self.tally.known += 1
            self._source.release([url])
        elif is_late and self._is_in_progress(entry.timestamp):
            # Whether it is known or late is decided when the images of this timestep are stored.
            self._seen_again.append((url, entry.timestamp))
        elif is_late and not self._stores_late:
            self.tally.late += 1
            self._leave_out(url, "arrived after its timestep was closed")
        elif self._is_behind(entry.timestamp):
            self.tally.behind += 1
            self._leave_out(url, "left out to keep up")
        else:
            self._assembler.add(entry, now)
            self.ahead.expect([url])

    def _described(self, url: str, *, with_hash: bool = False) -> ScannedImage:
        """Describe an image by its header; an image that ends the process of its reader is unreadable."""
        try:
            lists, config = lists_of([url], self.dataset.config), self.dataset.config
            reading = self._readers.submit(describe_images, [url], config, with_hash=with_hash, lists=lists)
            (description,) = reading.result()
        except WorkerLostError as error:
            return UnreadableImage(url=url, reason=str(error))
        return description

    def _leave_out(self, url: str, reason: str) -> None:
        self.tally.leave_out(url, reason)
        self._source.release([url])

    def _is_known(self, entry: ImageMetadataForSort, *, is_late: bool) -> bool:
        """Return whether the dataset, or a timestep that waits, has an image of the same content.

        A file is read as a whole only if its time shows that it may be known.
        """
        twins = self._assembler.twins(entry)
        content = self._content(entry.url) if is_late or twins else ""
        if is_late and content in self.dataset.contents:
            return True
        return bool(content) and any(self._content(url) == content for url in twins)

    def _content(self, url: str) -> str:
        """Return the hash of the content of a file; an empty text if it cannot be read."""
        description = self._described(url, with_hash=True)
        return "" if isinstance(description, UnreadableImage) else description.content_hash

    def _is_in_progress(self, start: datetime) -> bool:
        """Return whether a closed timestep that is not stored yet has images of about this time."""
        starts = (closed.timestep.taustart_ts for closed in tuple(self._unfinished))
        return any(first <= start <= first + self._tolerance for first in starts)

    def _is_behind(self, taustart: datetime) -> bool:
        """Return whether an image belongs to a timestep that is left out to keep up.

        The first image of a timestep decides for the whole timestep, and the decision is recorded in the database.
        """
        if any(abs(taustart - start) <= self._tolerance for start in self._behind):
            return True
        if not self._assembler.is_new(taustart) or not self._seconds:
            return False
        typical = sorted(self._seconds)[len(self._seconds) // 2]
        if self.n_waiting * typical <= self._live.max_lag_seconds:
            return False
        reason = f"left out to keep up: {self.n_waiting} timesteps of {typical:.1f} s were waiting"
        self.dataset.store.record_failure(taustart, reason)
        while len(self._behind) >= MAX_BEHIND:
            del self._behind[next(iter(self._behind))]
        self._behind[taustart] = time.monotonic()
        return True


@contextmanager
def open_live(
    config: PipelineConfig,
    live: LiveConfig,
    workers: Workers,
    *,
    monitors: MonitorPositions | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Iterator[LiveRun]:
    """Open the dataset and the source, and receive images while the block runs.

    Parameters
    ----------
    config
        All settings; ``execution.images`` is ignored. Without ``persistence.dataset_id`` the dataset of the same
        settings is extended that holds images of this source.
    live
        Settings of live mode, among them the source.
    workers
        Workers that measure the images.
    monitors
        Positions to be measured in every image; an existing dataset keeps its own.
    is_stopped
        Called between timesteps; if it returns True, no further timestep is begun.

    Raises
    ------
    ConfigError
        If the source cannot be opened, or the settings differ from the settings of the dataset.
    DatabaseError
        If the database cannot be used, or another run is writing the dataset.
    """
    config = config.with_options(execution={"images": ()})
    with (
        closing(open_source(live, config)) as source,
        open_run(config, images=(), origin=source.origin, monitors=monitors) as dataset,
        open_reader(config.execution) as reader,
    ):
        reader.submit(describe_images, (), config, with_hash=False).result()  # starts the process
        for warming_up in [workers.submit(warm_up) for _ in range(workers.n_workers)]:
            warming_up.result()
        ahead = LookAhead(
            lambda url: workers.submit(measure_image, url, dataset.config, lists_of([url], dataset.config).get(url)),
            depth=2 * ((live.images_per_timestep or DEFAULT_IMAGES) + workers.n_workers),
            retry_delays=IMAGE_DELAYS,
        )
        run = LiveRun(dataset, live, source, ahead, readers=reader, is_stopped=is_stopped)
        with run.receiving():
            log.info("live_started", source=live.folder or " ".join(live.streams))
            yield run


def run_live_locally(
    config: PipelineConfig,
    live: LiveConfig,
    *,
    monitors: MonitorPositions | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> LiveTally:
    """Process a stream of images with worker processes and without Prefect, until it is stopped or the stream ends.

    Parameters
    ----------
    config, live, monitors, is_stopped
        As for :func:`open_live`.

    Returns
    -------
    The counts of the run.
    """
    with (
        open_workers(config.execution, preload=PRELOAD) as workers,
        open_live(config, live, workers, monitors=monitors, is_stopped=is_stopped) as run,
    ):
        for closed in run.timesteps():
            outcome = run.dataset.attempt(closed.timestep, run.ahead, workers, retry_delays=IMAGE_DELAYS)
            run.finish(closed, outcome)
        return run.tally
