"""The flow that processes a dataset: one subflow per group of timesteps, and in them the steps as tasks.

The order of the stages is not written here: it is :mod:`trap.pipeline`'s, whatever runs the steps.
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
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.utilities.urls import url_for

from flows.pages.artifacts import store_summary
from flows.pages.states import final_state
from flows.recovery import recover
from flows.service.identity import dataset_name, dataset_tags, flow_run_id, label_process, resumable
from flows.service.log import events_in_run_log, quiet_console
from flows.service.positions import MonitoredPosition, as_parameter, as_table
from flows.service.server import Server, ensure_server, stop_command
from flows.service.stopping import StopRequests
from flows.tasks.groups import process_groups
from flows.tasks.policies import FLOW
from trap.catalogues import MonitorPositions
from trap.config import PipelineConfig
from trap.db.arrivals import open_ledger
from trap.db.engine import is_transient
from trap.errors import ConfigError, DatabaseError, DatasetLockedError
from trap.images.patterns import expand_patterns
from trap.pipeline import DatasetRun, open_run
from trap.retry import OPENING_DELAYS, call_with_retries, is_retryable
from trap.workers.pools import open_workers

if TYPE_CHECKING:
    from trap.dataset.outcomes import RunSummary
    from trap.typing import Progress


__all__ = ["MonitoredPosition", "process_dataset", "run"]

log = structlog.get_logger(__name__)

MAX_SHOWN_IMAGES = 1000
"""Prefect refuses parameters of more than half a megabyte."""


@dataclass(slots=True)
class _Caller:
    """What a caller in this process gives and gets beside the flow's parameters, which must be JSON."""

    config: PipelineConfig
    progress: Progress | None = None
    open_delays: tuple[float, ...] = ()
    summary: RunSummary | None = None


_caller: ContextVar[_Caller | None] = ContextVar("caller", default=None)


def _run_name() -> str:
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
        All settings; ``execution.images`` names the images, ``persistence.dataset_id`` a dataset to
        extend.
    monitors
        Positions to measure in every image; an old dataset keeps its own.
    batch
        For the sensor: name of the arrived images to process, in place of ``execution.images``.

    Returns
    -------
    Completed, also named Partial where images were left out; Failed where timesteps failed. What
    was processed is in the database in any case.

    Raises
    ------
    ConfigError
        If there are no images, or the settings differ from those of the dataset.
    DatabaseError
        If the database cannot be used, or another run is writing the dataset.
    """
    caller = _caller.get() or _Caller(resumable(_of_batch(config, batch)), open_delays=OPENING_DELAYS)
    settings = caller.config.execution
    label_process()
    stops = StopRequests(flow_run_id(), run_timeout_seconds=settings.run_timeout_seconds)
    with (
        events_in_run_log(),
        ExitStack() as stack,
        open_workers(settings) as workers,
        # A sync flow run with a heartbeat ends at a whole second of its life: half a second lost per group.
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        dataset = call_with_retries(
            lambda: stack.enter_context(open_run(caller.config, monitors=as_table(monitors), progress=caller.progress)),
            caller.open_delays,
            is_retried=_may_open_later,
        )
        _introduce_run(config, dataset)
        stack.enter_context(stops.finishing_timestep())
        pages = process_groups(dataset, workers, stops)
        summary = dataset.summary()
        pages.store_again()
        store_summary(summary, dataset.state.catalogue if dataset.outcomes else None, pages.text)
        n_done, n_planned = len(summary.outcomes), len(dataset.plan.timesteps)
        stopped = stops.final_state(f"after {n_done} of {n_planned} timesteps") if n_done < n_planned else None
    caller.summary = summary
    return stopped or final_state(summary)


def _of_batch(config: PipelineConfig, batch: str) -> PipelineConfig:
    """Fill in the images of a batch."""
    if not batch:
        return config
    with open_ledger(config.execution.database) as ledger:
        images = tuple(map(str, ledger.images(batch)))
    if not images:
        msg = f"no images of batch {batch!r} are written down in the database"
        raise ConfigError(msg)
    return config.with_options(execution={"images": images})


def _may_open_later(error: BaseException) -> bool:
    """Return whether a dataset may be opened later: the database is away, or another run still writes the dataset."""
    if isinstance(error, DatasetLockedError) or is_retryable(error):
        return True
    # The first connection raises a DatabaseError, whatever its reason: a command line is answered at once.
    cause = error.__cause__
    return isinstance(error, DatabaseError) and cause is not None and is_transient(cause)


def _introduce_run(config: PipelineConfig, dataset: DatasetRun) -> None:
    """Name and tag the flow run after its dataset, which is known only now, and say where to watch it.

    The subflows have no tags: each would be five rows more in Prefect's database at every change of a task's state.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    name, found = dataset_name(config, dataset.dataset_id), dataset_tags(dataset.dataset_id, dataset.plan)
    with get_client(sync_client=True) as client:
        client.update_flow_run(context.flow_run.id, name=name, tags=sorted({*context.flow_run.tags, *found}))
    log.info("flow_run_started", run=name, ui=url_for("flow-run", obj_id=context.flow_run.id))


def _shown(config: PipelineConfig) -> PipelineConfig:
    """Shorten a list of images that Prefect would refuse as a parameter."""
    images = config.execution.images
    if len(images) <= MAX_SHOWN_IMAGES:
        return config
    return config.with_options(execution={"images": (images[0], f"… {len(images) - 2} more …", images[-1])})


def run(
    config: PipelineConfig, *, monitors: MonitorPositions | None = None, progress: Progress | None = None
) -> RunSummary:
    """Process a dataset as a Prefect flow in this process, with the server that there is or a local one.

    Parameters
    ----------
    config
        All settings.
    monitors
        Positions to measure in every image.
    progress
        Called after every timestep with the number done and the number in all.

    Raises
    ------
    ServerError
        If there is no Prefect server and none can be started.
    ConfigError, DatabaseError
        As :func:`trap.pipeline.run`. Timesteps that fail are in the summary.
    """
    expand_patterns(config.execution.images)  # a wrong pattern is told before a server is waited for
    server = ensure_server()
    log.info("prefect_server", ui=server.ui_url)
    caller = _Caller(config, progress)
    token = _caller.set(caller)
    try:
        with temporary_settings({PREFECT_API_URL: server.api_url}), quiet_console():
            _clear_up_after_others()
            state = process_dataset(_shown(config), as_parameter(monitors), return_state=True)
    finally:
        _caller.reset(token)
    if caller.summary is None:
        state.result()  # raises what ended the flow
        msg = f"the flow ended without a summary: {state}"
        raise RuntimeError(msg)
    return replace(caller.summary, watch=_where_to_watch(server))


def _clear_up_after_others() -> None:
    """Let no run be shown as running whose process is gone: where there is no worker, nobody else does."""
    with get_client(sync_client=True) as client:
        recover(client, now=datetime.now(UTC))


def _where_to_watch(server: Server) -> tuple[str, ...]:
    """Say where the run is to be seen, and how to stop a server that was started for it."""
    stop = () if server.pid is None else (f"its server goes on running; stop it with: {stop_command()}",)
    return (f"Prefect UI: {server.ui_url}", *stop)
