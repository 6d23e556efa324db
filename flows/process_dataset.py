"""The flow that processes a dataset: a subflow for each group of timesteps, with their steps as tasks.

The order of the stages is defined in :mod:`trap.pipeline`, for all ways of running.
"""

from __future__ import annotations

from contextlib import ExitStack
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.states import Cancelled

from flows.pages.artifacts import store_summary, top_variables
from flows.pages.report import store_report
from flows.pages.states import final_state
from flows.recovery import recover
from flows.service.calling import (
    MonitoredPosition,
    as_parameter,
    as_table,
    calling_flow,
    final_state_of,
    result_or_raise,
)
from flows.service.identity import (
    dataset_label,
    dataset_name,
    dataset_tags,
    flow_run_page,
    label_process,
    resumable,
)
from flows.service.log import events_in_run_log, shorten_tracebacks
from flows.service.outage import watching_server
from flows.service.server import Server, stop_command
from flows.service.stopping import StopRequests
from flows.tasks.groups import process_groups
from flows.tasks.policies import FLOW
from trap.catalogues import MonitorPositions
from trap.config import PipelineConfig
from trap.db.arrivals import open_ledger
from trap.db.engine import is_transient
from trap.errors import ConfigError, DatabaseError, DatasetLockedError
from trap.images.patterns import path_text
from trap.pipeline import PRELOAD, DatasetRun, open_run
from trap.retry import OPENING_DELAYS, call_with_retries, is_retryable
from trap.run.pairing import pair_images
from trap.workers.pools import open_workers

if TYPE_CHECKING:
    from pathlib import Path

    from trap.dataset.outcomes import RunSummary
    from trap.typing import Progress


__all__ = ["MonitoredPosition", "process_dataset", "run_with_prefect"]

log = structlog.get_logger(__name__)

MAX_SHOWN_IMAGES = 1000
"""Maximum number of images in the parameters of a run: Prefect refuses parameters of more than half a megabyte."""


@dataclass(slots=True)
class _Caller:
    """Input and output of a caller in this process, in addition to the parameters of the flow, which must be JSON."""

    config: PipelineConfig
    progress: Progress | None = None
    open_delays: tuple[float, ...] = ()
    summary: RunSummary | None = None
    stopped: State[Any] | None = None


_caller: ContextVar[_Caller | None] = ContextVar("caller", default=None)


def _run_name() -> str:
    """Return the name of a flow run that is about to begin; its dataset may not exist yet."""
    context = FlowRunContext.get()
    config = context.parameters["config"] if context is not None and context.parameters else PipelineConfig()
    return dataset_name(config, config.persistence.dataset_id)


@flow(name=FLOW, flow_run_name=_run_name, persist_result=False)
def process_dataset(
    config: PipelineConfig, monitors: list[MonitoredPosition] | None = None, batch: str = ""
) -> State[Any]:
    """Process the images of a dataset: find, associate and measure sources, and store their light curves.

    Parameters
    ----------
    config
        All settings; ``execution.images`` names the images, ``persistence.dataset_id`` a dataset to be extended.
    monitors
        Positions to be measured in every image; an existing dataset keeps its own.
    batch
        Name of a batch of arrived images, which replace ``execution.images``; set by the sensor.

    Returns
    -------
    Completed, with the name Partial if images were left out; Failed if timesteps failed; Cancelled after an interrupt
    from the keyboard. All timesteps that were processed are in the database in any case.

    Raises
    ------
    ConfigError
        If there are no images, or the settings differ from the settings of the dataset.
    DatabaseError
        If the database cannot be used, or another run is writing the dataset.
    """
    shorten_tracebacks()
    caller = _caller.get() or _Caller(resumable(_of_batch(config, batch)), open_delays=OPENING_DELAYS)
    config = caller.config  # complete, while the parameter of a caller in this process is shortened for display
    label_process()
    try:
        return _process(caller, config, monitors)
    except KeyboardInterrupt:
        # Prefect would mark the run as crashed, and recovery would start it again against the will of its user.
        return Cancelled(message="interrupted from the keyboard; a later run of the dataset continues from there")


def _process(caller: _Caller, config: PipelineConfig, monitors: list[MonitoredPosition] | None) -> State[Any]:
    """Process the dataset, leave the summary to the caller, and return the final state of the flow run."""
    with (
        ExitStack() as signals,  # left last, so that a signal that comes late does not disturb the end of the run
        events_in_run_log(),
        watching_server() as server,
        ExitStack() as stack,
        open_workers(config.execution, preload=PRELOAD) as workers,
        # A flow run with a heartbeat ends only at a whole second of its life, which costs half a second for each group.
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        stops = StopRequests.of(config.execution, server)
        dataset = call_with_retries(
            lambda: stack.enter_context(
                open_run(config, monitors=as_table(monitors), isolated=True, progress=caller.progress)
            ),
            caller.open_delays,
            is_retried=_may_open_later,
        )
        _name_run(dataset)
        signals.enter_context(stops.finishing_timestep())
        pages = process_groups(dataset, workers, stops, server)
        summary = dataset.summary()
        pages.store_again()
        label = dataset_label(config, dataset.dataset_id)
        catalogue = dataset.state.catalogue if dataset.outcomes else None
        pages.store_variables([] if catalogue is None else top_variables(catalogue))
        store_summary(label, summary, catalogue, pages.text, pages.links)
        n_done, n_planned = len(summary.outcomes), len(dataset.plan.timesteps)
        stopped = stops.final_state(f"after {n_done} of {n_planned} timesteps") if n_done < n_planned else None
    report = store_report(config, summary.dataset_id, is_published=not server.is_lost) if summary.outcomes else None
    caller.summary, caller.stopped = replace(summary, watch=_report_lines(report)), stopped
    return stopped or final_state(summary)


def _of_batch(config: PipelineConfig, batch: str) -> PipelineConfig:
    """Replace the images of the settings by the images of a batch, if there is one."""
    if not batch:
        return config
    with open_ledger(config.execution.database) as ledger:
        images = tuple(map(path_text, ledger.images(batch)))
    if not images:
        msg = f"no images of batch {batch!r} are in the database"
        raise ConfigError(msg)
    return config.with_options(execution={"images": images})


def _may_open_later(error: BaseException) -> bool:
    """Return whether a dataset may be opened later: the database is away, or another run still writes the dataset."""
    if isinstance(error, DatasetLockedError) or is_retryable(error):
        return True
    # The first connection to a database raises a DatabaseError for any reason, so that a command line fails at once.
    cause = error.__cause__
    return isinstance(error, DatabaseError) and cause is not None and is_transient(cause)


def _name_run(dataset: DatasetRun) -> None:
    """Name and tag the flow run by its dataset, which exists only now, and log the address of its page.

    The subflows have no tags: each would add five rows to Prefect's database at every change of a task's state.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    name = dataset_name(dataset.config, dataset.dataset_id)
    tags = sorted({*context.flow_run.tags, *dataset_tags(dataset.dataset_id, dataset.plan)})
    with get_client(sync_client=True) as client:
        client.update_flow_run(context.flow_run.id, name=name, tags=tags)
    page = flow_run_page()
    if page:
        dataset.store.record_page(page)
    log.info("flow_run_started", run=name, ui=page)


def _shorten_images(config: PipelineConfig) -> PipelineConfig:
    """Shorten a list of images that is too long for a parameter of a flow."""
    images = config.execution.images
    if len(images) <= MAX_SHOWN_IMAGES:
        return config
    return config.with_options(execution={"images": (images[0], f"… {len(images) - 2} more …", images[-1])})


def run_with_prefect(
    config: PipelineConfig, *, monitors: MonitorPositions | None = None, progress: Progress | None = None
) -> RunSummary:
    """Process a dataset as a Prefect flow in this process, with the configured server or a local one.

    Parameters
    ----------
    config, monitors, progress
        As for :func:`trap.pipeline.open_run`.

    Returns
    -------
    The summary of the run; it includes failed timesteps.

    Raises
    ------
    ServerError
        If there is no Prefect server and none can be started.
    ConfigError, DatabaseError
        As for :func:`trap.pipeline.open_run`.
    KeyboardInterrupt
        If the run is interrupted from the keyboard; the flow run is cancelled then.
    """
    pair_images(config)  # An error in a pattern is raised before the wait for a server.
    caller = _Caller(config, progress)
    with calling_flow(_caller, caller) as server:
        _recover_runs()
        state = final_state_of(process_dataset, _shorten_images(config), as_parameter(monitors))
        if caller.summary is None and state is not None and state.is_cancelled():
            raise KeyboardInterrupt
    summary = result_or_raise(caller.stopped or state, caller.summary)
    return replace(summary, watch=(*summary.watch, *_watch_lines(server, is_lost=state is None)))


def _recover_runs() -> None:
    """Mark the runs whose process has died; without a worker, no other process does."""
    with get_client(sync_client=True) as client:
        recover(client, now=datetime.now(UTC))


def _report_lines(report: Path | None) -> tuple[str, ...]:
    """Return the line that names a report."""
    return () if report is None else (f"report: {report}",)


def _watch_lines(server: Server, *, is_lost: bool) -> tuple[str, ...]:
    """Return the address of the run's pages, and the command to stop a server that was started for the run."""
    if is_lost:
        return (f"the Prefect server at {server.ui_url} was lost: the pages of this run are incomplete",)
    stop = () if server.pid is None else (f"the server keeps running; stop it with: {stop_command()}",)
    return (f"Prefect UI: {server.ui_url}", *stop)
