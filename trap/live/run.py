"""Live mode: images are processed as they come, at their cadence, and never more than so far behind.

One thread takes what comes, reads its header and hands it to the workers; the other takes timesteps
that are closed through association, in order of time. What could only be stored too late is left
out as a whole timestep before any work goes into it, so that both lag and memory are bounded.
"""

from __future__ import annotations

import contextvars
import math
import threading
import time
from collections import deque
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from trap.dataset.outcomes import ExitCode
from trap.errors import ConfigError, ImageError, TransientError
from trap.images.image import read_image
from trap.live.assembly import Assembler
from trap.live.sources import open_source
from trap.pipeline import open_run
from trap.retry import IMAGE_DELAYS
from trap.run.image_measurement import measure_image, warm_up
from trap.run.look_ahead import LookAhead
from trap.steps.misc import ImageMetadataForSort
from trap.workers.pools import Workers, open_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from trap.catalogues import MonitorPositions
    from trap.config import LiveConfig, PipelineConfig
    from trap.dataset.outcomes import TimestepOutcome
    from trap.dataset.records import ImageResult, UnreadableImage
    from trap.live.assembly import ClosedTimestep
    from trap.live.sources import Source
    from trap.pipeline import DatasetRun
    from trap.workers.executors import Result

__all__ = ["LiveRun", "LiveTally", "open_live", "run_live"]

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.05
N_LATEST = 10
"""Timesteps of which the typical time says how long the ones that wait will take."""
STATUS_SECONDS = 10.0
USUAL_IMAGES = 16
"""In a timestep, where the settings do not say it."""
MAX_TOLD = 100
"""Images left out that are named in the end; the log names all."""


@dataclass(slots=True, kw_only=True)
class LiveTally:
    """What a live run did so far: numbers only, however long it lasts.

    Parameters
    ----------
    incomplete
        Timesteps closed by the clock.
    late, behind
        Images that came after their timestep was closed, and images left out to keep up.
    lag_seconds
        From the arrival of its last image until a timestep was stored: of the latest one.
    """

    dataset_id: int
    stored: int = 0
    failed: int = 0
    accepted: int = 0
    rejected: int = 0
    candidates: int = 0
    known: int = 0
    incomplete: int = 0
    late: int = 0
    behind: int = 0
    lag_seconds: float = 0.0
    lag_max: float = 0.0
    lag_sum: float = 0.0
    told: list[tuple[str, str]] = field(default_factory=list)

    @property
    def left_out(self) -> int:
        """Images that gave no measurements."""
        return self.rejected + self.late + self.behind

    @property
    def lag_mean(self) -> float:
        """S — over all timesteps."""
        n = self.stored + self.failed
        return self.lag_sum / n if n else 0.0

    @property
    def exit_code(self) -> ExitCode:
        """The worst that happened."""
        if self.failed:
            return ExitCode.TIMESTEPS_FAILED
        return ExitCode.IMAGES_LEFT_OUT if self.left_out else ExitCode.COMPLETE

    def leave_out(self, url: str, reason: str) -> None:
        """Name an image that is left out, among the first of them."""
        log.warning("image_left_out", image=url, reason=reason)
        if len(self.told) < MAX_TOLD:
            self.told.append((url, reason))

    def count(self, outcome: TimestepOutcome, lag: float) -> None:
        """Count a timestep that is done with."""
        self.stored += outcome.failure is None
        self.failed += outcome.failure is not None
        self.rejected += len(outcome.left_out)
        self.known += len(outcome.duplicates)
        self.accepted += sum(image.result.rejection is None for image in outcome.images)
        self.candidates += sum(len(image.new_sources) for image in outcome.images)
        self.lag_seconds, self.lag_max, self.lag_sum = lag, max(self.lag_max, lag), self.lag_sum + lag
        self.told += outcome.left_out[: max(0, MAX_TOLD - len(self.told))]


class LiveRun:
    """A dataset that grows with what a source gives.

    Parameters
    ----------
    dataset
        The run, without a plan; its observers see every timestep.
    live
        How long one waits, and for whom.
    source
        Gives images.
    ahead
        Measures what has come.
    is_stopped
        Asked between timesteps; where it is true, no further one is begun.
    """

    def __init__(
        self,
        dataset: DatasetRun,
        live: LiveConfig,
        source: Source,
        ahead: LookAhead,
        *,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self.dataset = dataset
        self.tally = LiveTally(dataset_id=dataset.dataset_id)
        self.ahead = ahead
        self._live = live
        self._source = source
        self._is_stopped = is_stopped
        self._assembler = Assembler(
            n_images=live.images_per_timestep,
            timeout_seconds=live.timestep_timeout_seconds,
            tolerance_seconds=dataset.config.persistence.timestep_tolerance,
            latest=dataset.store.latest_timestep(),
        )
        self._known = dataset.store.known_contents()
        self._closed: deque[ClosedTimestep] = deque()
        self._behind: dict[datetime, float] = {}
        self._seconds: deque[float] = deque(maxlen=N_LATEST)
        self._last_arrival = self._last_status = time.monotonic()
        self._ending = threading.Event()
        self._error: BaseException | None = None

    @property
    def n_waiting(self) -> int:
        """Timesteps that are closed, or still open, and not stored."""
        return len(self._closed) + self._assembler.n_open

    def timesteps(self, *, for_seconds: float = math.inf) -> Iterator[ClosedTimestep]:
        """Give timesteps to be processed as they are closed, until the run is stopped or nothing comes any more.

        Parameters
        ----------
        for_seconds
            Give none after this time.
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
        """Count a timestep that was processed, and forget all else of it."""
        lag = time.monotonic() - closed.arrived
        self.tally.incomplete += not closed.is_complete
        self.tally.count(outcome, lag)
        if self.tally.stored + self.tally.failed > 1:
            # The first one waits for workers that are just starting, which says nothing of the next.
            self._seconds.append(outcome.seconds)
        self._source.release(closed.timestep.urls)
        self.dataset.outcomes.clear()
        self.dataset.meters.tell_latency(lag)
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
    def taking_in(self) -> Iterator[None]:
        """Take in what comes, in a thread beside the block."""
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(self._take_in,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ending.set()
            thread.join()

    def _is_idle(self) -> bool:
        idle = self._live.idle_seconds
        return bool(idle) and time.monotonic() - self._last_arrival > idle and not self._assembler.n_open

    def _take_in(self) -> None:
        try:
            while not self._ending.is_set():
                urls = self._source.take()
                for url in urls:
                    self._take(url)
                for closed in self._assembler.close(time.monotonic()):
                    self.dataset.meters.expect([closed.timestep])
                    self._closed.append(closed)
                if not urls:
                    self._ending.wait(POLL_SECONDS)
        except BaseException as error:  # noqa: BLE001 (said again by the thread that waits)
            self._error = error

    def _take(self, url: str) -> None:
        now = self._last_arrival = time.monotonic()
        image = read_image(url, self.dataset.config.reading)
        try:
            metadata = image.metadata
        except (ImageError, TransientError) as error:
            self.tally.rejected += 1
            self.tally.leave_out(url, str(error))
            self._source.release([url])
            return
        if self._is_behind(metadata.taustart_ts):
            self.tally.behind += 1
            self.tally.leave_out(url, "left out to keep up")
            self._source.release([url])
            return
        entry = ImageMetadataForSort(url, metadata.taustart_ts, metadata.freq_eff, metadata.stokes)
        if self._assembler.add(entry, now):
            self.ahead.expect([url])
        elif image.content_hash in self._known:
            self.tally.known += 1
        else:
            self.tally.late += 1
            self.tally.leave_out(url, "came after its timestep was closed")
            self._source.release([url])

    def _is_behind(self, taustart: datetime) -> bool:
        """Return whether an image belongs to a timestep that is left out to keep up.

        The first image of a timestep decides for the whole timestep, and the decision is recorded in the database.
        """
        tolerance = timedelta(seconds=self.dataset.config.persistence.timestep_tolerance)
        if any(abs(taustart - start) <= tolerance for start in self._behind):
            return True
        if not self._assembler.is_new(taustart) or not self._seconds:
            return False
        typical = sorted(self._seconds)[len(self._seconds) // 2]
        if self.n_waiting * typical <= self._live.max_lag_seconds:
            return False
        reason = f"left out to keep up: {self.n_waiting} timesteps of {typical:.1f} s were waiting"
        self.dataset.store.record_failure(taustart, reason)
        while len(self._behind) >= MAX_TOLD:
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
    """Open the dataset and the source, and take in images while the block runs.

    Parameters
    ----------
    config
        All settings; ``execution.images`` is not looked at.
    live
        The source, and how long one waits for whom.
    workers
        Measure the images.
    monitors
        Positions to measure in every image; an old dataset keeps its own.
    is_stopped
        Asked between timesteps; where it is true, no further one is begun.

    Raises
    ------
    ConfigError
        If the source cannot be opened, late images are to be stored, or the settings differ from those of the dataset.
    DatabaseError
        If the database cannot be used, or another run is writing the dataset.
    """
    if config.execution.late_images == "store":
        msg = (
            "execution.late_images = 'store' does not apply to live mode, which leaves late images out; "
            "set it to 'refuse', and store late images by a later run that is not live"
        )
        raise ConfigError(msg)
    with closing(open_source(live)) as source, open_run(config, images=(), monitors=monitors) as dataset:
        for started in [workers.submit(warm_up) for _ in range(workers.n_workers)]:
            started.result()

        def measure(url: str) -> Result[ImageResult | UnreadableImage]:
            return workers.submit(measure_image, url, config)

        n_images = live.images_per_timestep or USUAL_IMAGES
        ahead = LookAhead(measure, depth=2 * (n_images + workers.n_workers), retry_delays=IMAGE_DELAYS)
        run = LiveRun(dataset, live, source, ahead, is_stopped=is_stopped)
        with run.taking_in():
            log.info("live_started", source=live.folder or " ".join(live.streams))
            yield run


def run_live(
    config: PipelineConfig,
    live: LiveConfig,
    *,
    monitors: MonitorPositions | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> LiveTally:
    """Process a stream of images with worker processes and no server, until it is stopped or the stream ends.

    Parameters
    ----------
    config, live, monitors, is_stopped
        As for :func:`open_live`.
    """
    settings = config.execution
    with (
        open_workers(settings) as workers,
        open_live(config, live, workers, monitors=monitors, is_stopped=is_stopped) as run,
    ):
        for closed in run.timesteps():
            outcome = run.dataset.attempt(closed.timestep, run.ahead, workers, retry_delays=IMAGE_DELAYS)
            run.finish(closed, outcome)
        return run.tally
