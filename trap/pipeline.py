"""The order of the stages, written once.

Images are measured in parallel, some timesteps ahead. The timesteps are associated in order of time, in memory, and
each is stored in one transaction, completely or not at all. An executor decides where a step runs, so the same order
serves tests, a laptop, Prefect and a cluster.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import structlog
from structlog.contextvars import bound_contextvars

from trap.dataset.condensed import condense_outcome
from trap.dataset.outcomes import RunSummary, TimestepOutcome
from trap.dataset.records import TimestepRecord
from trap.db.opening import open_dataset
from trap.retry import IMAGE_DELAYS, call_with_retries
from trap.run import fits, vetting
from trap.run.attempts import attempt_timestep
from trap.run.image_measurement import measure_image
from trap.run.look_ahead import LookAhead
from trap.run.observers import FieldNotice, Meters, log_outcome, serving_meters
from trap.run.pairing import pair_images
from trap.run.planning import in_plan, make_plan, without_duplicates
from trap.run.scanning import Preview
from trap.steps import association, calibration, kept_pixels, late_images, monitor_filling, varmetric
from trap.workers.pools import open_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from trap.catalogues import MonitorPositions
    from trap.config import PipelineConfig
    from trap.dataset.outcomes import MonitorFilling
    from trap.dataset.state import DatasetState
    from trap.db.store import Store
    from trap.run.look_ahead import ImageMeasurements
    from trap.run.observers import Observer
    from trap.run.planning import Plan, Timestep, TimestepGroup
    from trap.typing import Progress
    from trap.workers.executors import Executor

__all__ = ["PRELOAD", "DatasetRun", "open_run", "run_locally"]

log = structlog.get_logger(__name__)

PRELOAD = (__name__,)
"""Modules that worker processes import once for all: with this one, everything that the steps need."""


class DatasetRun:
    """A run over one dataset: its plan, its state, and the outcomes so far.

    Parameters
    ----------
    store
        The dataset in the database; the caller holds its writer lock.
    config
        All settings.
    plan
        Timesteps to be processed, and images that are left out.
    progress
        Called after every timestep with the number of timesteps done and the number of all.
    meters
        Counters of the run; None makes new ones, which are not served.

    Attributes
    ----------
    outcomes
        Outcomes of the timesteps so far, in order, condensed.
    contents
        Content hashes of the stored images.
    observers
        Functions that are called with the outcome of every timestep, while its time is bound to their log events.
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
        chosen = config.persistence
        self._notice = FieldNotice(store, is_wanted=store.is_new and not chosen.dataset_key and chosen.dataset_id == 0)
        self.observers: list[Observer] = [log_outcome, self.meters.observe, self._notice.observe]
        if progress is not None:
            self.observers.append(lambda _: progress(len(self.outcomes), len(plan.timesteps)))
        self.filling: MonitorFilling | None = None
        self._state: DatasetState | None = None
        self.contents: set[str] = store.known_contents()
        self._preview = Preview([timestep.urls for timestep in plan.timesteps], config, plan.lists)
        self._numbers = {timestep: number for number, timestep in enumerate(plan.timesteps)}

    @property
    def dataset_id(self) -> int:
        """Number of the dataset."""
        return self.store.dataset_id

    @property
    def state(self) -> DatasetState:
        """State of the dataset, loaded from the database on first access and after a failure."""
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
        """Begin to measure images, some timesteps ahead of association.

        Parameters
        ----------
        workers
            Executor that measures the images.
        timesteps
            Timesteps of the images; None means all of the plan.
        n_workers
            Number of images that are measured at once.
        retry_delays
            s — waiting times before an image is measured again after an error that may pass.

        Returns
        -------
        The measurements, to be fetched in order of the timesteps.
        """
        timesteps = self.plan.timesteps if timesteps is None else timesteps
        # While a timestep is associated, the next one waits and the one after that keeps the workers busy.
        largest = max((len(timestep.urls) for timestep in timesteps), default=0)
        urls = (url for timestep in timesteps for url in timestep.urls)
        return LookAhead(
            lambda url: workers.submit(measure_image, url, self.config, self.plan.lists.get(url)),
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
        """Process consecutive timesteps. A failed one is recorded, and the run continues with the next.

        Parameters
        ----------
        group
            Timesteps to be processed.
        executor
            Executor of the steps.
        ahead
            Measurements of the images; None measures the images of this group by the executor.
        retry_delays
            s — as for :meth:`attempt`; empty if the executor itself retries its steps.
        is_stopped
            Called before each timestep; if it returns True, this timestep and the later ones are left to another run.

        Returns
        -------
        Outcomes of the timesteps that were processed.
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
            Timestep to be processed.
        ahead
            Measurements of its images.
        executor
            Executor of the steps.
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
            If the run has to end, see :func:`~trap.run.attempts.attempt_timestep`.
        """
        process = partial(self.process_timestep, timestep, ahead, executor)
        process_with_retries = partial(call_with_retries, process, retry_delays)
        work = process_with_retries if wrap is None else partial(wrap, process_with_retries)
        n_planned = len(self.plan.timesteps)  # 0 in a live run, which has no plan
        place = f"{len(self.outcomes) + 1}/{n_planned}" if n_planned else str(len(self.outcomes) + 1)
        with bound_contextvars(timestep=timestep.taustart_ts.isoformat(), place=place):
            outcome = attempt_timestep(timestep, work, self.store.record_failure, self.config.execution)
            self.outcomes.append(condense_outcome(outcome))
            for observe in self.observers:
                observe(outcome)
        return outcome

    def process_timestep(self, timestep: Timestep, ahead: ImageMeasurements, executor: Executor) -> TimestepOutcome:
        """Measure, associate, fit and store the images of one timestep.

        Parameters
        ----------
        timestep, ahead, executor
            As for :meth:`attempt`.

        Raises
        ------
        TrapError
            If a step failed. Nothing of the timestep is in the database then, and the state in memory is loaded again
            from the database, so the timestep can be processed again.
        """
        try:
            return self._process_timestep(timestep, ahead, executor)
        except BaseException:
            self._state = None
            raise

    def _process_timestep(self, timestep: Timestep, ahead: ImageMeasurements, executor: Executor) -> TimestepOutcome:
        """Take a timestep through the stages; a failure may leave the state in memory changed."""
        if self._state is None:
            self._state = executor.call(self.store.load_state, self.config)
        state = self._state
        planned, unreadable = in_plan(timestep, map(ahead.result, timestep.urls), self.config)
        measured, duplicates = without_duplicates(planned, self.contents)
        if timestep.is_late:
            record = late_images.record_late_images(state, timestep.taustart_ts, measured, unreadable)
        else:
            number = self._numbers.get(timestep)  # A live run has no plan.
            state.following = () if number is None else self._preview.following(number, measured, state, executor)
            measured = executor.call(calibration.calibrate_images, state, measured)
            images = executor.call(association.associate_extracted_sources, state, measured)
            images, backward = fits.fit_sources(state, images, executor, self.config)
            images = vetting.vet_images(state, images, executor, self.config)
            record = TimestepRecord(
                taustart_ts=timestep.taustart_ts,
                images=images,
                unreadable=unreadable,
                changes=state.catalogue.changes,
                links=state.region_links(images),
                metrics=varmetric.summarise_touched(state, images),
                backward=backward,
                pixels=kept_pixels.keep_pixels(images, self.config),
            )
        ids = executor.call(self.store.store_timestep, record, state)
        if ids is None:
            self._state = None  # An attempt that lost its connection has stored the timestep; its new ids are unknown.
        else:
            state.commit(record, ids)
        self.contents.update(image.result.content_hash for image in record.images)
        return TimestepOutcome(
            taustart_ts=timestep.taustart_ts,
            images=record.images,
            unreadable=unreadable,
            duplicates=duplicates,
            n_backward=record.n_backward,
            is_late=timestep.is_late,
        )

    def summary(self) -> RunSummary:
        """Refresh the metrics of all light curves, and summarise the run so far."""
        # None after a failure, or if nothing was to do; only added positions are worth loading it.
        state = self._state if self.filling is None else self.state
        varmetric.refresh_varmetric(self.store, state)
        return RunSummary(
            dataset_id=self.dataset_id,
            outcomes=tuple(self.outcomes),
            unreadable=self.plan.unreadable,
            known=self.plan.known,
            late=self.plan.late,
            same_field=self._notice.datasets,
            constancy=None if state is None else state.catalogue.constancy(),
            monitors=0 if state is None else len(state.monitors),
            unmeasured_monitors=() if state is None else monitor_filling.unmeasured_monitors(self.store, state),
            filling=self.filling,
        )


@contextmanager
def open_run(
    config: PipelineConfig,
    *,
    images: Sequence[str] | None = None,
    origin: Sequence[str] = (),
    monitors: MonitorPositions | None = None,
    isolated: bool = False,
    progress: Progress | None = None,
) -> Iterator[DatasetRun]:
    """Open the database and the dataset, plan the work, and close the dataset at the end.

    No other run can write the dataset while it is open.

    Parameters
    ----------
    config
        All settings; ``persistence.dataset_id`` decides between a new dataset and an existing one.
    images
        Paths of the images; None takes the images of the settings.
    origin
        Patterns of the paths of images that arrive during the run; ``*`` stands for any text.
    monitors
        Positions to be measured in every image; positions that an existing dataset lacks are added to it.
    isolated
        Whether worker processes read all headers, so that no file can harm this process.
    progress
        Called while many headers are read, with the number of headers read, the number of all, and ``"headers"``; then
        after every timestep, with the number of timesteps done and the number of all.

    Raises
    ------
    ConfigError
        If there are no images, or the settings differ from the settings of the dataset.
    DatabaseError
        If the database cannot be used, or another run is writing the dataset.
    """
    lists = pair_images(config, images)
    with (
        open_dataset(config, monitors, lists.urls, origin) as store,
        bound_contextvars(dataset=store.dataset_id),
        serving_meters(config.execution.metrics) as meters,
    ):
        config = store.settings(config)
        known, latest = store.known_contents(), store.latest_timestep()
        plan = make_plan(
            lists.urls,
            known_hashes=known,
            latest=latest,
            config=config,
            isolated=isolated,
            progress=progress,
            lists=lists,
        )
        store.store_unreadable(plan.unreadable)
        log.info("run_planned", timesteps=len(plan.timesteps), known=len(plan.known))
        dataset = DatasetRun(store, config, plan, progress=progress, meters=meters)
        dataset.filling = monitor_filling.fill_monitors(store, config, monitors, progress)
        meters.expect(plan.timesteps)
        yield dataset
        monitor_filling.log_unmeasured_monitors(dataset.state)
        varmetric.refresh_varmetric(store)


def run_locally(
    config: PipelineConfig, *, monitors: MonitorPositions | None = None, progress: Progress | None = None
) -> RunSummary:
    """Process a dataset with worker processes and without Prefect.

    Parameters
    ----------
    config, monitors, progress
        As for :func:`open_run`.
    """
    # Workers first: reading headers starts the server process of all workers, which then preloads this module.
    with (
        open_workers(config.execution, preload=PRELOAD) as workers,
        open_run(config, monitors=monitors, isolated=True, progress=progress) as dataset,
    ):
        ahead = dataset.look_ahead(workers, n_workers=workers.n_workers, retry_delays=IMAGE_DELAYS)
        for group in dataset.plan.groups:
            dataset.process_group(group, workers, ahead=ahead, retry_delays=IMAGE_DELAYS)
        return dataset.summary()
