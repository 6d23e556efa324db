"""What Prefect is shown of every timestep of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flows.pages.candidates import CandidatePages
from flows.pages.events import emit_outcome
from flows.pages.progress import ProgressArtifact

if TYPE_CHECKING:
    from trap.dataset.outcomes import TimestepOutcome
    from trap.pipeline import DatasetRun
    from trap.workers.executors import Executor

__all__ = ["show_run"]


def show_run(dataset: DatasetRun, workers: Executor) -> CandidatePages:
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
