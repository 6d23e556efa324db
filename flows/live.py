"""The flow of live mode: as long as images come, a subflow for each minute of them, with a task per timestep."""

from __future__ import annotations

import time
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from prefect import Flow, flow
from prefect.artifacts import create_table_artifact
from prefect.client.schemas.objects import State
from prefect.exceptions import CancelledRun, FailedRun
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.states import Completed, Failed
from prefect.utilities.urls import url_for

from flows.pages.artifacts import store_group_table
from flows.pages.progress import publish_timesteps
from flows.pages.states import group_state
from flows.service.identity import dataset_name, flow_run_id, label_process, resumable
from flows.service.log import events_in_run_log, quiet_console
from flows.service.positions import MonitoredPosition, as_parameter, as_table
from flows.service.server import ensure_server
from flows.service.stopping import StopRequests
from flows.tasks.policies import TIMESTEP, time_label, timestep_label
from flows.tasks.tasks import call_task, make_task
from trap.config import LiveConfig, PipelineConfig
from trap.live.run import LiveTally, open_live
from trap.workers.pools import Workers, open_workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from flows.pages.candidates import CandidatePages
    from trap.catalogues import MonitorPositions
    from trap.live.assembly import ClosedTimestep
    from trap.live.run import LiveRun

__all__ = ["live_dataset", "run"]

log = structlog.get_logger(__name__)

GROUP_SECONDS = 60.0
"""A subflow costs 0.1 s and a table; so many of them a day can still be looked through."""
PAGES_SECONDS = 3600.0
"""For which there are so many pages of new sources as a run has otherwise."""


@dataclass(slots=True)
class _Caller:
    """What a caller in this process gives and gets beside the flow's parameters."""

    is_stopped: Callable[[], bool]
    tally: LiveTally | None = None


_caller: ContextVar[_Caller | None] = ContextVar("live_caller", default=None)


@flow(name="live-dataset", persist_result=False)
def live_dataset(
    config: PipelineConfig, live: LiveConfig, monitors: list[MonitoredPosition] | None = None
) -> State[Any]:
    """Process images as they come, until the run is cancelled or nothing comes any more.

    Parameters
    ----------
    config
        All settings; ``persistence.dataset_id`` names a dataset to extend, ``execution.images`` is not
        looked at.
    live
        Where images come from, and for whom one waits.
    monitors
        Positions to measure in every image; an old dataset keeps its own.

    Returns
    -------
    Completed, also named Partial where images were left out; Failed where timesteps failed.

    Raises
    ------
    ConfigError
        If the source cannot be opened, or the settings differ from those of the dataset.
    DatabaseError
        If the database cannot be used, or another run is writing the dataset.
    """
    caller = _caller.get() or _Caller(lambda: False)
    config = resumable(config)
    settings = config.execution
    label_process()
    stops = StopRequests(flow_run_id(), run_timeout_seconds=settings.run_timeout_seconds)
    with (
        events_in_run_log(),
        stops.finishing_timestep(),
        open_workers(settings) as workers,
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
        open_live(
            config, live, workers, monitors=as_table(monitors),
            is_stopped=lambda: caller.is_stopped() or stops.is_stopped(),
        ) as run_,
    ):  # fmt: skip
        log.info("flow_run_started", run=dataset_name(config, run_.tally.dataset_id), ui=_page())
        pages = publish_timesteps(run_.dataset, workers)
        subflow = _group_flow(run_, workers, pages)
        for first in run_.timesteps():
            with suppress(FailedRun, CancelledRun), stops.around_subflow():
                subflow(_Held(first), time_label(first.timestep.taustart_ts))
        pages.store_again()
    caller.tally = run_.tally
    return stops.final_state(f"after {run_.tally.stored} timesteps") or _final_state(run_.tally)


@dataclass(frozen=True, slots=True)
class _Held:
    """A timestep as a parameter, of which Prefect is to see nothing."""

    closed: ClosedTimestep


def _group_flow(run_: LiveRun, workers: Workers, pages: CandidatePages) -> Flow[[_Held, str], State[Any]]:
    """Make the subflow of a run: it takes the timesteps that are closed within a minute."""
    task = make_task("process_timestep", TIMESTEP)
    renewed = time.monotonic()

    def process(closed: ClosedTimestep) -> Any:  # noqa: ANN401 (an outcome, which passes through Prefect)
        timestep = closed.timestep
        in_task = partial(call_task, task, timestep_label(timestep))
        outcome = run_.dataset.attempt(timestep, run_.ahead, workers, wrap=in_task)
        run_.finish(closed, outcome)
        return outcome

    def live_group(first: _Held, since: str) -> State[Any]:  # noqa: ARG001 (for Prefect)
        """Process the timesteps of a minute."""
        nonlocal renewed
        outcomes = [process(first.closed)]
        outcomes += [process(closed) for closed in run_.timesteps(for_seconds=GROUP_SECONDS)]
        store_group_table(run_.tally.dataset_id, outcomes)
        pages.store_new()
        if time.monotonic() - renewed > PAGES_SECONDS:
            renewed = time.monotonic()
            pages.reset()
        _store_lag(run_)
        return group_state(outcomes, len(outcomes))

    return Flow(
        live_group, name="live-group", flow_run_name="since {since}", validate_parameters=False, persist_result=False
    )


def _store_lag(run_: LiveRun) -> None:
    """Show how far behind the run is, and what it left out so far."""
    tally = run_.tally
    create_table_artifact(
        [
            {"of": "lag of the latest timestep [s]", "number": round(tally.lag_seconds, 2)},
            {"of": "mean lag [s]", "number": round(tally.lag_mean, 2)},
            {"of": "largest lag [s]", "number": round(tally.lag_max, 2)},
            {"of": "timesteps waiting", "number": run_.n_waiting},
            {"of": "timesteps stored", "number": tally.stored},
            {"of": "timesteps failed", "number": tally.failed},
            {"of": "timesteps closed by the clock", "number": tally.incomplete},
            {"of": "images accepted", "number": tally.accepted},
            {"of": "images rejected or unreadable", "number": tally.rejected},
            {"of": "images too late", "number": tally.late},
            {"of": "images left out to keep up", "number": tally.behind},
            {"of": "new-source candidates", "number": tally.candidates},
        ],
        key=f"dataset-{tally.dataset_id}-live",
        description=f"Lag {tally.lag_seconds:.1f} s, {run_.n_waiting} timesteps waiting.",
    )


def _final_state(tally: LiveTally) -> State[Any]:
    counts = f"{tally.stored} timesteps, {tally.accepted} images, lag {tally.lag_mean:.1f} s on average"
    if tally.failed:
        return Failed(message=f"{tally.failed} timesteps failed; {counts}")
    if tally.left_out:
        return Completed(name="Partial", message=f"{tally.left_out} images left out; {counts}")
    return Completed(message=counts)


def _page() -> str | None:
    run_id = flow_run_id()
    return None if run_id is None else url_for("flow-run", obj_id=run_id)


def run(
    config: PipelineConfig,
    live: LiveConfig,
    *,
    monitors: MonitorPositions | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> LiveTally:
    """Process a stream as a Prefect flow in this process, with the server that there is or a local one.

    Parameters
    ----------
    config, live, monitors, is_stopped
        As for :func:`trap.live.run.open_live`.

    Raises
    ------
    ServerError
        If there is no Prefect server and none can be started.
    ConfigError, DatabaseError
        As :func:`trap.live.run.open_live`.
    """
    server = ensure_server()
    log.info("prefect_server", ui=server.ui_url)
    caller = _Caller(is_stopped)
    token = _caller.set(caller)
    try:
        with temporary_settings({PREFECT_API_URL: server.api_url}), quiet_console():
            state = live_dataset(config, live, as_parameter(monitors), return_state=True)
    finally:
        _caller.reset(token)
    if caller.tally is None:
        state.result()  # raises what ended the flow
        msg = f"the flow ended without a summary: {state}"
        raise RuntimeError(msg)
    return caller.tally
