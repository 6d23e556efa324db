"""The order of the stages, written once.

Images are measured side by side, a group of timesteps ahead; the timesteps themselves go through
association in order of time, in memory; each is then stored in one transaction, whole or not at
all. Where a step runs is the executor's business, so that the same order serves tests, a laptop,
Prefect and a cluster.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import structlog
from structlog.contextvars import bound_contextvars

from trap.catalogues import Measurements
from trap.dataset.outcomes import RunSummary, TimestepOutcome
from trap.dataset.records import ImageResult, TimestepRecord, UnreadableImage
from trap.db.opening import open_dataset
from trap.images.patterns import expand_patterns
from trap.retry import IMAGE_DELAYS, call_with_retries
from trap.run.attempts import attempt_timestep
from trap.run.image_measurement import measure_image
from trap.run.look_ahead import LookAhead
from trap.run.observers import Meters, log_outcome, serving_meters
from trap.run.planning import make_plan
from trap.steps import association, backward_fitting, forced_fitting, kept_pixels, late_images, varmetric
from trap.workers.pools import open_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from trap.catalogues import FitRequests, MonitorPositions
    from trap.config import PipelineConfig
    from trap.dataset.records import BackwardFits, ImageRecord
    from trap.dataset.state import DatasetState
    from trap.db.store import Store
    from trap.run.look_ahead import ImageMeasurements
    from trap.run.observers import Observer
    from trap.run.planning import Plan, Timestep, TimestepGroup
    from trap.typing import Progress
    from trap.workers.executors import Executor


__all__ = ["DatasetRun", "open_run", "run"]

log = structlog.get_logger(__name__)


class DatasetRun:
    """A run over one dataset: its plan, its state, and the outcomes so far.

    Parameters
    ----------
    store
        The dataset; the caller holds its writer lock.
    config
        All settings.
    plan
        What is to be done.
    progress
        Called after every timestep with the number done and the number in all; before, where there are many
        headers to read, with a third argument that says that these are what is counted.
    meters
        Count what is done.

    Attributes
    ----------
    observers
        Called with the outcome of every timestep, while its time is bound to what they log.
    """

    def __init__(
        self,
        store: Store,
        config: PipelineConfig,
        plan: Plan,
        *,
        progress: Progress | None = None,
        meters: Meters | None = None,
    ) -> None:
        self.store = store
        self.config = config
        self.plan = plan
        self.outcomes: list[TimestepOutcome] = []
        self.meters = meters or Meters()
        self.observers: list[Observer] = [log_outcome, self.meters.observe]
        if progress is not None:
            self.observers.append(lambda _: progress(len(self.outcomes), len(plan.timesteps)))
        self._state: DatasetState | None = None
        self._hashes: set[str] = store.known_contents()

    @property
    def dataset_id(self) -> int:
        """Number of the dataset."""
        return self.store.dataset_id

    @property
    def state(self) -> DatasetState:
        """The dataset's state, loaded from the database when it is first needed or after a failure."""
        if self._state is None:
            self._state = self.store.load_state(self.config)
        return self._state

    def look_ahead(
        self,
        workers: Executor,
        timesteps: Sequence[Timestep] | None = None,
        *,
        n_workers: int = 1,
        retry_delays: Sequence[float] = (),
    ) -> LookAhead:
        """Begin to measure images, some way ahead of the timestep that is processed.

        Parameters
        ----------
        workers
            Measure the images.
        timesteps
            Whose images; by default those of the whole plan.
        n_workers
            How many workers there are.
        retry_delays
            s — see :class:`~trap.run.look_ahead.LookAhead`.
        """
        timesteps = self.plan.timesteps if timesteps is None else timesteps
        # While a timestep is associated, the next one waits and the one after that keeps the workers busy.
        largest = max((len(timestep.urls) for timestep in timesteps), default=0)
        urls = (url for timestep in timesteps for url in timestep.urls)
        return LookAhead(
            lambda url: workers.submit(measure_image, url, self.config),
            urls,
            depth=2 * (largest + n_workers),
            retry_delays=retry_delays,
        )

    def process_group(
        self,
        group: TimestepGroup,
        executor: Executor,
        *,
        ahead: ImageMeasurements | None = None,
        retry_delays: Sequence[float] = (),
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> list[TimestepOutcome]:
        """Process consecutive timesteps; one that fails is recorded, and the next ones go on.

        Parameters
        ----------
        group
            What to process.
        executor
            Where the steps run.
        ahead
            Measures the images; by default the executor does, those of this group alone.
        retry_delays
            s — waiting times before a timestep is tried again after an error that may pass; none
            where the executor itself tries its steps again.
        is_stopped
            Asked before each timestep; where it is true, this one and those after it are left for a later run.
        """
        measurements = self.look_ahead(executor, group.timesteps) if ahead is None else ahead
        outcomes: list[TimestepOutcome] = []
        for timestep in group.timesteps:
            if is_stopped():
                break
            outcomes.append(self.attempt(timestep, measurements, executor, retry_delays=retry_delays))
        return outcomes

    def attempt(
        self,
        timestep: Timestep,
        ahead: ImageMeasurements,
        executor: Executor,
        *,
        retry_delays: Sequence[float] = (),
        wrap: Callable[[Callable[[], TimestepOutcome]], TimestepOutcome] | None = None,
    ) -> TimestepOutcome:
        """Process one timestep. If it fails for good, record the reason in the database.

        Parameters
        ----------
        timestep
            The timestep to be processed.
        ahead
            Source of the measurements of its images.
        executor
            Place where the steps run.
        retry_delays
            s — waiting times before the timestep is processed again after an error that may pass and that no step has
            retried itself.
        wrap
            Calls the processing of the timestep, for example within a Prefect task; None calls it directly.

        Returns
        -------
        The outcome, which is also appended to ``outcomes`` and passed to the observers.

        Raises
        ------
        TrapError
            As :func:`~trap.run.attempts.attempt_timestep`: if the run has to end.
        """
        process = partial(self.process_timestep, timestep, ahead, executor)
        process_with_retries = partial(call_with_retries, process, retry_delays)
        work = process_with_retries if wrap is None else partial(wrap, process_with_retries)
        with bound_contextvars(timestep=timestep.taustart_ts.isoformat()):
            outcome = attempt_timestep(timestep, work, self.store.record_failure, self.config.execution)
            self.outcomes.append(outcome)
            for observe in self.observers:
                observe(outcome)
        return outcome

    def process_timestep(self, timestep: Timestep, ahead: ImageMeasurements, executor: Executor) -> TimestepOutcome:
        """Measure, associate, fit and store the images of one time.

        Raises
        ------
        TrapError
            If a step failed. Nothing of the timestep is in the database, and the state in memory
            is what the database holds, so that the timestep can be tried again.
        """
        try:
            return self._process_timestep(timestep, ahead, executor)
        except BaseException:
            self._state = None
            raise

    def _process_timestep(self, timestep: Timestep, ahead: ImageMeasurements, executor: Executor) -> TimestepOutcome:
        if self._state is None:
            self._state = executor.call(self.store.load_state, self.config)
        state = self._state
        results = [ahead.result(url) for url in timestep.urls]
        unreadable = tuple(result for result in results if isinstance(result, UnreadableImage))
        measured, duplicates = self._without_duplicates([r for r in results if isinstance(r, ImageResult)])
        if timestep.is_late:
            record = late_images.record_late_images(state, timestep.taustart_ts, measured, unreadable)
        else:
            images = self._associate(state, measured, executor)
            backward = self._fit_backward(state, images, executor)
            images = backward_fitting.judge_again(state, images, backward)
            record = TimestepRecord(
                taustart_ts=timestep.taustart_ts,
                images=images,
                unreadable=unreadable,
                changes=state.catalogue.changes,
                links=state.region_links(images),
                metrics=varmetric.summarise_touched(state, images),
                backward=backward,
                pixels=kept_pixels.keep_pixels(images, self.config.execution),
            )
        ids = executor.call(self.store.store_timestep, record, state)
        if ids is None:
            self._state = None  # loaded anew: it was stored, and by an attempt that could not tell the numbers
        else:
            state.commit(record, ids)
        self._hashes.update(image.result.content_hash for image in record.images)
        return TimestepOutcome(
            taustart_ts=timestep.taustart_ts,
            images=record.images,
            unreadable=unreadable,
            duplicates=duplicates,
            is_late=timestep.is_late,
        )

    def _associate(
        self, state: DatasetState, measured: Sequence[ImageResult], executor: Executor
    ) -> tuple[ImageRecord, ...]:
        """Associate the images of one time, and make their forced fits."""
        images = executor.call(association.associate_extracted_sources, state, measured)
        requests = [forced_fitting.get_forced_fit_requests(image, state) for image in images]
        fits = self._fit(images, requests, executor)
        return forced_fitting.insert_and_associate_forced_fits(state, images, requests, fits)

    def _fit(
        self, images: Sequence[ImageRecord], requests: Sequence[FitRequests], executor: Executor
    ) -> list[Measurements]:
        """Make the forced fits of all images side by side; an image without requests costs nothing."""
        pending = [
            None
            if image.result.background is None or not len(asked)
            else executor.submit(
                forced_fitting.perform_forced_fits,
                asked,
                image.result.metadata.url,
                self.config.source_extraction,
                background=image.result.background,
                reading=self.config.reading,
                # Those that are not associated, too: their flux is there all the same.
                neighbours=image.result.measurements.take(image.result.measurements.is_measured),
            )
            for image, asked in zip(images, requests, strict=True)
        ]
        return [Measurements.empty() if fits is None else fits.result() for fits in pending]

    def _fit_backward(
        self, state: DatasetState, images: Sequence[ImageRecord], executor: Executor
    ) -> tuple[BackwardFits, ...]:
        """Measure what is new in earlier images, side by side."""
        requests = backward_fitting.get_backward_requests(state, images)
        settings = (self.config.source_extraction, self.config.reading)
        pending = [
            executor.submit(backward_fitting.perform_backward_fits, asked.positions, asked.image, *settings)
            for asked in requests
        ]
        return backward_fitting.associate_backward_fits(state, requests, [fits.result() for fits in pending])

    def _without_duplicates(self, results: Sequence[ImageResult]) -> tuple[list[ImageResult], tuple[str, ...]]:
        """Leave out images whose content is in the dataset, or twice in this timestep."""
        fresh: dict[str, ImageResult] = {}
        duplicates: list[str] = []
        for result in results:
            if result.content_hash in self._hashes or result.content_hash in fresh:
                duplicates.append(result.metadata.url)
            else:
                fresh[result.content_hash] = result
        return list(fresh.values()), tuple(duplicates)

    def tell_unmeasured_monitors(self) -> None:
        """Log the monitored positions that no image has measured: none covers them, or not within its searched area."""
        state = self.state
        for number in np.flatnonzero(state.monitor_entries < 0):
            position = {name: values[number].item() for name, values in state.monitors.as_dict().items()}
            log.warning("monitored_position_never_measured", **position)

    def summary(self) -> RunSummary:
        """Summarise what was done so far."""
        state = self._state  # after a failure it would have to be loaded once more, for this alone
        return RunSummary(
            dataset_id=self.dataset_id,
            outcomes=tuple(self.outcomes),
            unreadable=self.plan.unreadable,
            known=self.plan.known,
            late=self.plan.late,
            constancy=None if state is None else state.catalogue.constancy(),
            monitors=0 if state is None else len(state.monitors),
            unmeasured_monitors=0 if state is None else int(np.count_nonzero(state.monitor_entries < 0)),
        )


@contextmanager
def open_run(
    config: PipelineConfig,
    *,
    images: Sequence[str] | None = None,
    monitors: MonitorPositions | None = None,
    progress: Progress | None = None,
) -> Iterator[DatasetRun]:
    """Open the database and the dataset, plan the work, and close the dataset at the end.

    Nobody else can write the dataset meanwhile.

    Parameters
    ----------
    config
        All settings; ``persistence.dataset_id`` decides between a new dataset and an old one.
    images
        Paths of what is to be done; by default the settings say it.
    monitors
        Positions to measure in every image; an old dataset keeps its own.
    progress
        Called after every timestep with the number done and the number in all; before, where there are many
        headers to read, with a third argument that says that these are what is counted.

    Raises
    ------
    ConfigError
        If there are no images, or the settings differ from those of the dataset.
    DatabaseError
        If the database cannot be used, or another run is writing the dataset.
    """
    urls = expand_patterns(config.execution.images) if images is None else images
    with (
        open_dataset(config, monitors, urls) as store,
        bound_contextvars(dataset=store.dataset_id),
        serving_meters(config.execution.metrics) as meters,
    ):
        plan = make_plan(
            urls,
            known_hashes=store.known_contents(),
            latest=store.latest_timestep(),
            config=config,
            progress=progress,
        )
        store.store_unreadable(plan.unreadable)
        log.info("run_planned", timesteps=len(plan.timesteps), known=len(plan.known))
        dataset = DatasetRun(store, config, plan, progress=progress, meters=meters)
        meters.expect(plan.timesteps)
        yield dataset
        dataset.tell_unmeasured_monitors()
        varmetric.refresh_varmetric(store)


def run(
    config: PipelineConfig, *, monitors: MonitorPositions | None = None, progress: Progress | None = None
) -> RunSummary:
    """Process a dataset with worker processes and no server: the way to run without Prefect.

    Parameters
    ----------
    config
        All settings.
    monitors
        Positions to measure in every image.
    progress
        Called after every timestep with the number done and the number in all; before, where there are many
        headers to read, with a third argument that says that these are what is counted.
    """
    settings = config.execution
    with (
        open_run(config, monitors=monitors, progress=progress) as dataset,
        open_workers(settings) as workers,
    ):
        ahead = dataset.look_ahead(workers, n_workers=workers.n_workers, retry_delays=IMAGE_DELAYS)
        for group in dataset.plan.groups:
            dataset.process_group(group, workers, ahead=ahead, retry_delays=IMAGE_DELAYS)
        return dataset.summary()
