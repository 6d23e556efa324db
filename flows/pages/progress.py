"""Publication of each timestep of a run to Prefect: events, progress, and pages of new sources."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from flows.pages.candidates import CandidatePages
from flows.pages.events import emit_outcome
from flows.service.identity import dataset_label
from flows.service.outage import publish

if TYPE_CHECKING:
    from uuid import UUID

    from trap.dataset.outcomes import TimestepOutcome
    from trap.pipeline import DatasetRun
    from trap.workers.executors import Executor

__all__ = ["ProgressArtifact", "publish_timesteps"]

MIN_UPDATE_SECONDS = 5.0
"""Minimum time between two updates of the progress. Each costs some 10 ms here and on the server."""


def publish_timesteps(dataset: DatasetRun, workers: Executor) -> CandidatePages:
    """Publish each timestep of a run to Prefect: events, progress and candidate pages.

    Call it within the flow run.

    Parameters
    ----------
    dataset
        The run, to whose observers the publication is added.
    workers
        Executor that draws the figures of new sources.

    Returns
    -------
    Pages of the new sources, which the caller stores at intervals.
    """
    pages = CandidatePages(dataset, workers)
    label = dataset_label(dataset.config, dataset.dataset_id)

    def publish_outcome(outcome: TimestepOutcome) -> None:
        catalogue = dataset.state.catalogue if outcome.failure is None else None
        publish(emit_outcome, label, outcome, catalogue)
        if catalogue is not None:
            pages.collect(outcome, catalogue)

    dataset.observers.append(publish_outcome)
    if dataset.plan.timesteps:
        dataset.observers.append(ProgressArtifact(label, len(dataset.plan.timesteps)).observe)
    return pages


class ProgressArtifact:
    """A progress bar on the page of a run, updated at intervals and at the end of the run.

    Create it within the flow run.

    Parameters
    ----------
    label
        Label of the dataset, from :func:`flows.service.identity.dataset_label`.
    n_timesteps
        Number of timesteps in the plan of the run.
    """

    def __init__(self, label: str, n_timesteps: int) -> None:
        self._n_timesteps = n_timesteps
        self._n_done = self._n_failed = self._n_candidates = 0
        artifact_id = publish(
            create_progress_artifact, self._percent, key=f"dataset-{label}-progress", description=self._description
        )
        self._id = cast("UUID | None", artifact_id)  # Prefect declares a type that includes awaitables
        self._last_update = time.monotonic()

    def observe(self, outcome: TimestepOutcome) -> None:
        """Count a timestep, and update the bar if the last update is long enough ago or this is the last timestep."""
        self._n_done += 1
        self._n_failed += outcome.failure is not None
        self._n_candidates += sum(len(image.new_sources) for image in outcome.images)
        if time.monotonic() - self._last_update >= MIN_UPDATE_SECONDS or self._n_done == self._n_timesteps:
            if self._id is not None:
                publish(update_progress_artifact, self._id, self._percent, self._description)
            self._last_update = time.monotonic()

    @property
    def _percent(self) -> float:
        return round(100 * self._n_done / self._n_timesteps, 1) if self._n_timesteps else 100.0

    @property
    def _description(self) -> str:
        counts = f"{self._n_done} of {self._n_timesteps} timesteps, {self._n_candidates} new-source candidates"
        return f"{counts}, {self._n_failed} timesteps failed" if self._n_failed else counts
