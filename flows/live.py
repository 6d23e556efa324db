"""The flow of live mode: subflows of a minute each, with a task for each timestep."""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from prefect import Flow, flow
from prefect.artifacts import create_table_artifact
from prefect.client.schemas.objects import State
from prefect.exceptions import CancelledRun, FailedRun
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.states import Completed, Failed

from flows.pages.artifacts import store_group_table
from flows.pages.progress import publish_timesteps
from flows.pages.report import store_report
from flows.pages.states import group_state
from flows.service.calling import (
    MonitoredPosition,
    as_parameter,
    as_table,
    calling_flow,
    final_state_of,
    result_or_raise,
)
from flows.service.identity import dataset_label, dataset_name, flow_run_page, label_process, resumable
from flows.service.log import events_in_run_log, shorten_tracebacks
from flows.service.outage import publish, watching_server
from flows.service.stopping import StopRequests
from flows.tasks.policies import TIMESTEP, time_label, timestep_label
from flows.tasks.tasks import call_task, make_task
from trap.config import LiveConfig, PipelineConfig
from trap.live.live_run import open_live
from trap.live.tally import LiveTally
from trap.pipeline import PRELOAD
from trap.workers.pools import Workers, open_workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from flows.pages.candidates import CandidatePages
    from trap.catalogues import MonitorPositions
    from trap.live.assembly import ClosedTimestep
    from trap.live.live_run import LiveRun

__all__ = ["live_dataset", "run_live_with_prefect"]

log = structlog.get_logger(__name__)

GROUP_SECONDS = 60.0
"""Duration of a subflow: each costs 0.1 s and a table, and a day of them fits on the page of the run."""
PAGES_SECONDS = 3600.0
"""Time after which a run may publish as many pages of new sources again as a run with a plan has in all."""


@dataclass(slots=True)
class _Caller:
    """Input and output of a caller in this process, in addition to the parameters of the flow."""

    is_stopped: Callable[[], bool]
    tally: LiveTally | None = None
    stopped: State[Any] | None = None


_caller: ContextVar[_Caller | None] = ContextVar("live_caller", default=None)


@flow(name="live-dataset", persist_result=False)
def live_dataset(
    config: PipelineConfig, live: LiveConfig, monitors: list[MonitoredPosition] | None = None
) -> State[Any]:
    """Process images as they arrive, until the run is cancelled or no image has arrived for the idle time.

    Parameters
    ----------
    config
        All settings; ``persistence.dataset_id`` names a dataset to be extended, ``execution.images`` is ignored.
    live
        Source of the images, and time limits.
    monitors
        Positions to be measured in every image; an existing dataset keeps its own.

    Returns
    -------
    Completed, with the name Partial if images were left out; Failed if timesteps failed.

    Raises
    ------
    ConfigError
        If the source cannot be opened, or the settings differ from the settings of the dataset.
    DatabaseError
        If the database cannot be used, or another run is writing the dataset.
    """
    shorten_tracebacks()
    caller = _caller.get() or _Caller(lambda: False)
    config = resumable(config)
    label_process()
    with (
        ExitStack() as signals,  # left last, so that a signal that comes late does not disturb the end of the run
        events_in_run_log(),
        watching_server() as server,
        ExitStack() as stack,
        open_workers(config.execution, preload=PRELOAD) as workers,
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        stops = StopRequests.of(config.execution, server)
        signals.enter_context(stops.finishing_timestep())
        live_run = stack.enter_context(
            open_live(
                config, live, workers, monitors=as_table(monitors),
                is_stopped=lambda: caller.is_stopped() or stops.is_stopped(),
            )
        )  # fmt: skip
        page = flow_run_page()
        if page:
            live_run.dataset.store.record_page(page)
        log.info("flow_run_started", run=dataset_name(config, live_run.tally.dataset_id), ui=page)
        pages = publish_timesteps(live_run.dataset, workers)
        begun: list[ClosedTimestep] = []
        subflow = _group_flow(live_run, workers, pages, begun)
        for first in live_run.timesteps():
            begun.clear()
            if not server.is_lost:
                with suppress(FailedRun, CancelledRun), stops.around_subflow(), server.tolerating():
                    subflow(_Opaque(first), time_label(first.timestep.taustart_ts))
            if not begun:  # without a server
                live_run.finish(first, live_run.dataset.attempt(first.timestep, live_run.ahead, workers))
        pages.store_again()
        caller.stopped = stops.final_state(f"after {live_run.tally.stored} timesteps")
    caller.tally = live_run.tally
    if live_run.tally.stored:
        store_report(config, live_run.tally.dataset_id, is_published=not server.is_lost)
    return caller.stopped or _final_state(live_run.tally)


@dataclass(frozen=True, slots=True)
class _Opaque:
    """A timestep as a parameter, wrapped so that Prefect does not traverse it."""

    closed: ClosedTimestep


def _group_flow(
    live_run: LiveRun, workers: Workers, pages: CandidatePages, begun: list[ClosedTimestep]
) -> Flow[[_Opaque, str], State[Any]]:
    """Make the subflow of a run, which processes the timesteps that are closed within a minute, and lists them."""
    task = make_task("process_timestep", TIMESTEP)
    last_reset = time.monotonic()
    label = dataset_label(live_run.dataset.config, live_run.tally.dataset_id)

    def process(closed: ClosedTimestep) -> Any:  # noqa: ANN401 (an outcome, whose type Prefect loses)
        begun.append(closed)
        timestep = closed.timestep
        in_task = partial(call_task, task, timestep_label(timestep))
        outcome = live_run.dataset.attempt(timestep, live_run.ahead, workers, wrap=in_task)
        live_run.finish(closed, outcome)
        return outcome

    def live_group(first: _Opaque, since: str) -> State[Any]:  # noqa: ARG001 (for Prefect)
        """Process the timesteps of a minute."""
        nonlocal last_reset
        outcomes = [process(first.closed)]
        outcomes += [process(closed) for closed in live_run.timesteps(for_seconds=GROUP_SECONDS)]
        store_group_table(label, outcomes)
        pages.store_new()
        if time.monotonic() - last_reset > PAGES_SECONDS:
            last_reset = time.monotonic()
            pages.reset()
        _store_lag(label, live_run)
        return group_state(outcomes, len(outcomes))

    return Flow(
        live_group, name="live-group", flow_run_name="since {since}", validate_parameters=False, persist_result=False
    )


def _store_lag(label: str, live_run: LiveRun) -> None:
    """Publish the lag of the run and its counts so far."""
    tally = live_run.tally
    publish(
        create_table_artifact,
        [
            {"of": "lag of the latest timestep [s]", "number": round(tally.lag_seconds, 2)},
            {"of": "mean lag [s]", "number": round(tally.lag_mean, 2)},
            {"of": "largest lag [s]", "number": round(tally.lag_max, 2)},
            {"of": "timesteps waiting", "number": live_run.n_waiting},
            {"of": "timesteps stored", "number": tally.stored},
            {"of": "timesteps failed", "number": tally.failed},
            {"of": "timesteps closed by the clock", "number": tally.incomplete},
            {"of": "images accepted", "number": tally.accepted},
            {"of": "images rejected or unreadable", "number": tally.rejected},
            {"of": "images too late", "number": tally.late},
            {"of": "late images stored", "number": tally.unassociated},
            {"of": "images left out to keep up", "number": tally.behind},
            {"of": "new-source candidates", "number": tally.candidates},
        ],
        key=f"dataset-{label}-live",
        description=f"Lag {tally.lag_seconds:.1f} s, {live_run.n_waiting} timesteps waiting.",
    )


def _final_state(tally: LiveTally) -> State[Any]:
    """Return the final state of a run that was not stopped by a request."""
    counts = f"{tally.stored} timesteps, {tally.accepted} images, lag {tally.lag_mean:.1f} s on average"
    if tally.failed:
        return Failed(message=f"{tally.failed} timesteps failed; {counts}")
    if tally.left_out:
        return Completed(name="Partial", message=f"{tally.left_out} images left out; {counts}")
    return Completed(message=counts)


def run_live_with_prefect(
    config: PipelineConfig,
    live: LiveConfig,
    *,
    monitors: MonitorPositions | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> LiveTally:
    """Process a stream as a Prefect flow in this process, with the configured server or a local one.

    Parameters
    ----------
    config, live, monitors, is_stopped
        As for :func:`trap.live.live_run.open_live`.

    Returns
    -------
    The counts of the run.

    Raises
    ------
    ServerError
        If there is no Prefect server and none can be started.
    ConfigError, DatabaseError
        As for :func:`trap.live.live_run.open_live`.
    """
    caller = _Caller(is_stopped)
    with calling_flow(_caller, caller):
        state = final_state_of(live_dataset, config, live, as_parameter(monitors))
    return result_or_raise(caller.stopped or state, caller.tally)
