"""The order of the stages, written once.

Images are measured side by side, a group of timesteps ahead; the timesteps themselves go through
association in order of time, in memory; each is then stored in one transaction, whole or not at
all. Where a step runs is the executor's business, so that the same order serves tests, a laptop,
Prefect and a cluster.
"""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import structlog

from trap.catalogues import Measurements
from trap.errors import ImageError
from trap.executors import ProcessExecutor, call_patiently
from trap.images.image import read_image
from trap.images.patterns import expand_patterns
from trap.outcomes import RunSummary, TimestepOutcome
from trap.planning import make_plan
from trap.records import ImageResult, TimestepRecord, UnreadableImage
from trap.steps import association, forced_fitting, persistence, quality, source_extraction, varmetric

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import Engine

    from trap.catalogues import FitRequests, MonitorPositions
    from trap.config import PipelineConfig
    from trap.executors import Executor, Result
    from trap.images.image import Image
    from trap.planning import Plan, Timestep, TimestepGroup
    from trap.records import ImageRecord
    from trap.survey import Survey

    Progress = Callable[..., None]

__all__ = ["DatasetRun", "LookAhead", "measure_image", "open_run", "run"]

log = structlog.get_logger(__name__)

RETRY_DELAYS = (1.0, 5.0, 25.0)
"""Waiting times [s] of a run without Prefect, whose tasks have their own."""


def measure_image(url: str, config: PipelineConfig) -> ImageResult | UnreadableImage:
    """Measure one image: read, check, find and fit its sources.

    A pure function of the file and the settings, for worker processes; pixels stay inside.

    Raises
    ------
    TransientError
        If the file system failed in a way that may pass.
    """
    try:
        return _measure(read_image(url, config.reading), config)
    except ImageError as error:
        return UnreadableImage(url=url, reason=error.message)


def _measure(image: Image, config: PipelineConfig) -> ImageResult:
    seconds: dict[str, float] = {}
    with _timed(seconds, "read"):
        content_hash = image.content_hash
        ((metadata, rms_qc),) = persistence.extract_metadatas(
            [image], config.persistence.rms_est_sigma, config.persistence.rms_est_fraction
        )
    with _timed(seconds, "quality"):
        findings = quality.examine(image, rms_qc, config)
        pixel_hash = "" if config.quality.check_repeated == "off" else image.pixel_hash
    result = ImageResult(
        metadata=metadata,
        content_hash=content_hash,
        rms_qc=rms_qc,
        rejection=None,
        measurements=Measurements.empty(),
        background=None,
        rms_min=math.nan,
        rms_max=math.nan,
        pixel_hash=pixel_hash,
        seconds=seconds,
    ).found(findings)
    if result.rejection is not None:
        return result
    with _timed(seconds, "extraction"):
        extraction = source_extraction.extract_sources(image, config.source_extraction)
        tiles = source_extraction.sample_noise(image, extraction.background, config.source_extraction)
        about_sources = quality.examine_sources(image, extraction.background, config)
    return result.with_extraction(extraction, tiles).found(about_sources)


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] = round(time.perf_counter() - start, 4)


class LookAhead:
    """Measurements of a group's images, under way before they are needed."""

    def __init__(self, executor: Executor, config: PipelineConfig, urls: Sequence[str]) -> None:
        self._executor = executor
        self._config = config
        self._pending = {url: self._measure(url) for url in urls}

    def result(self, url: str) -> ImageResult | UnreadableImage:
        """Wait for an image; asked again after a failure, it is measured again."""
        pending = self._pending.pop(url, None) or self._measure(url)
        return pending.result()

    def _measure(self, url: str) -> Result[ImageResult | UnreadableImage]:
        return self._executor.submit(measure_image, url, self._config)


class DatasetRun:
    """A run over one dataset: its plan, its state, and the outcomes so far.

    Parameters
    ----------
    engine
        The database; the caller holds the dataset's writer lock.
    dataset_id
        The dataset.
    config
        All settings.
    plan
        What is to be done.
    progress
        Called after every timestep with the number done and the number in all; before, where there are many
        headers to read, with a third argument that says that these are what is counted.
    """

    def __init__(
        self,
        engine: Engine,
        dataset_id: int,
        config: PipelineConfig,
        plan: Plan,
        *,
        progress: Progress | None = None,
    ) -> None:
        self.engine = engine
        self.dataset_id = dataset_id
        self.config = config
        self.plan = plan
        self.outcomes: list[TimestepOutcome] = []
        self._progress = progress
        self._survey: Survey | None = None
        self._hashes: set[str] = persistence.known_contents(engine, dataset_id)

    @property
    def survey(self) -> Survey:
        """The dataset's state, loaded from the database when it is first needed or after a failure."""
        if self._survey is None:
            self._survey = persistence.load_survey(self.engine, self.dataset_id, self.config)
        return self._survey

    def process_group(
        self, group: TimestepGroup, executor: Executor, *, retry_delays: Sequence[float] = ()
    ) -> list[TimestepOutcome]:
        """Process consecutive timesteps; one that fails is recorded, and the next ones go on.

        Parameters
        ----------
        group
            What to process.
        executor
            Where the steps run.
        retry_delays
            s — waiting times before a timestep is tried again after an error that may pass; none
            where the executor itself tries its steps again.
        """
        ahead = LookAhead(executor, self.config, group.urls)
        return [
            self.attempt(
                partial(call_patiently, partial(self.process_timestep, timestep, ahead, executor), retry_delays),
                timestep,
            )
            for timestep in group.timesteps
        ]

    def attempt(self, process: Callable[[], TimestepOutcome], timestep: Timestep) -> TimestepOutcome:
        """Process one timestep; if it fails for good, record why in the database.

        Parameters
        ----------
        process
            Calls :meth:`process_timestep`, perhaps more than once.
        timestep
            The timestep, for the record.
        """
        try:
            outcome = process()
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            log.exception("timestep_failed", taustart_ts=timestep.taustart_ts.isoformat(), reason=reason)
            persistence.record_failure(self.engine, self.dataset_id, timestep.taustart_ts, reason)
            outcome = TimestepOutcome(taustart_ts=timestep.taustart_ts, failure=reason)
        self.outcomes.append(outcome)
        if self._progress is not None:
            self._progress(len(self.outcomes), len(self.plan.timesteps))
        return outcome

    def process_timestep(self, timestep: Timestep, ahead: LookAhead, executor: Executor) -> TimestepOutcome:
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
            self._survey = None
            raise

    def _process_timestep(self, timestep: Timestep, ahead: LookAhead, executor: Executor) -> TimestepOutcome:
        if self._survey is None:
            self._survey = executor.call(persistence.load_survey, self.engine, self.dataset_id, self.config)
        survey = self._survey
        results = [ahead.result(url) for url in timestep.urls]
        unreadable = tuple(result for result in results if isinstance(result, UnreadableImage))
        measured, duplicates = self._without_duplicates([r for r in results if isinstance(r, ImageResult)])
        images = executor.call(association.associate_extracted_sources, survey, measured)
        requests = [forced_fitting.get_forced_fit_requests(image, survey) for image in images]
        fits = self._fit(images, requests, executor)
        images = forced_fitting.insert_and_associate_forced_fits(survey, images, requests, fits)
        record = TimestepRecord(
            taustart_ts=timestep.taustart_ts,
            images=images,
            unreadable=unreadable,
            changes=survey.catalogue.changes,
            links=survey.region_links(images),
            metrics=varmetric.summarise_touched(survey, images),
        )
        survey.commit(record, executor.call(persistence.store_timestep, self.engine, self.dataset_id, record, survey))
        self._hashes.update(image.result.content_hash for image in images)
        return TimestepOutcome(
            taustart_ts=timestep.taustart_ts, images=images, unreadable=unreadable, duplicates=duplicates
        )

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
        survey = self.survey
        for number in np.flatnonzero(survey.monitor_entries < 0):
            position = {name: values[number].item() for name, values in survey.monitors.as_dict().items()}
            log.warning("monitored_position_never_measured", **position)

    def summary(self) -> RunSummary:
        """Summarise what was done so far."""
        return RunSummary(
            dataset_id=self.dataset_id,
            outcomes=tuple(self.outcomes),
            unreadable=self.plan.unreadable,
            known=self.plan.known,
            late=self.plan.late,
        )


@contextmanager
def open_run(
    config: PipelineConfig, *, monitors: MonitorPositions | None = None, progress: Progress | None = None
) -> Iterator[DatasetRun]:
    """Open the database and the dataset, plan the work, and close the dataset at the end.

    Nobody else can write the dataset meanwhile.

    Parameters
    ----------
    config
        All settings; ``persistence.dataset_id`` decides between a new dataset and an old one.
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
    urls = expand_patterns(config.execution.images)
    with persistence.open_dataset(config, monitors) as (engine, dataset_id):
        plan = make_plan(
            urls,
            known_hashes=persistence.known_contents(engine, dataset_id),
            latest=persistence.latest_timestep(engine, dataset_id),
            config=config,
            progress=progress,
        )
        persistence.store_unreadable(engine, dataset_id, plan.unreadable)
        log.info("run_planned", dataset=dataset_id, timesteps=len(plan.timesteps), known=len(plan.known))
        dataset = DatasetRun(engine, dataset_id, config, plan, progress=progress)
        yield dataset
        dataset.tell_unmeasured_monitors()
        varmetric.refresh_varmetric(engine, dataset_id)


def run(
    config: PipelineConfig,
    *,
    monitors: MonitorPositions | None = None,
    progress: Progress | None = None,
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
        ProcessExecutor(settings.n_workers, timeout_seconds=settings.image_timeout_seconds) as workers,
    ):
        for group in dataset.plan.groups:
            dataset.process_group(group, workers, retry_delays=RETRY_DELAYS)
        return dataset.summary()
