"""Publish the timesteps of a run to Prefect as they are done: events, progress, pages of new sources."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from flows.pages.candidates import CandidatePages
from flows.pages.events import emit_outcome

if TYPE_CHECKING:
    from uuid import UUID

    from trap.dataset.outcomes import TimestepOutcome
    from trap.pipeline import DatasetRun
    from trap.workers.executors import Executor

__all__ = ["ProgressArtifact", "publish_timesteps"]

SECONDS_BETWEEN = 5.0
"""An update costs some 10 ms here and on the server."""


def publish_timesteps(dataset: DatasetRun, workers: Executor) -> CandidatePages:
    """Show every timestep of a run: its events, how far the run is, and the pages of new sources.

    Parameters
    ----------
    dataset
        The run; called within its flow run.
    workers
        Draw pictures.

    Returns
    -------
    The pages, to be stored now and then.
    """
    pages = CandidatePages(dataset, workers)

    def show(outcome: TimestepOutcome) -> None:
        catalogue = dataset.state.catalogue if outcome.failure is None else None
        emit_outcome(dataset.dataset_id, outcome, catalogue)
        if catalogue is not None:
            pages.collect(outcome, catalogue)

    dataset.observers.append(show)
    if dataset.plan.timesteps:
        dataset.observers.append(ProgressArtifact(dataset.dataset_id, len(dataset.plan.timesteps)).observe)
    return pages


class ProgressArtifact:
    """A bar that is moved on now and then, and at the end.

    Made within the flow run that shows it.

    Parameters
    ----------
    dataset_id
        The dataset.
    n_timesteps
        All that are to be done.
    """

    def __init__(self, dataset_id: int, n_timesteps: int) -> None:
        self._n_timesteps = n_timesteps
        self._n_done = self._n_failed = self._n_candidates = 0
        made = create_progress_artifact(
            self._percent, key=f"dataset-{dataset_id}-progress", description=self._description
        )
        self._id = cast("UUID", made)  # Prefect declares it as possibly awaitable
        self._updated = time.monotonic()

    def observe(self, outcome: TimestepOutcome) -> None:
        """Count a timestep, and show it if the last update is some time ago."""
        self._n_done += 1
        self._n_failed += outcome.failure is not None
        self._n_candidates += sum(len(image.new_sources) for image in outcome.images)
        if time.monotonic() - self._updated >= SECONDS_BETWEEN or self._n_done == self._n_timesteps:
            update_progress_artifact(self._id, self._percent, self._description)
            self._updated = time.monotonic()

    @property
    def _percent(self) -> float:
        return round(100 * self._n_done / self._n_timesteps, 1) if self._n_timesteps else 100.0

    @property
    def _description(self) -> str:
        counts = f"{self._n_done} of {self._n_timesteps} timesteps, {self._n_candidates} new-source candidates"
        return f"{counts}, {self._n_failed} timesteps failed" if self._n_failed else counts
