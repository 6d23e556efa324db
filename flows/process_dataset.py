"""The flow that processes a dataset: one subflow per group of timesteps, and in them the steps as tasks.

The order of the stages is not written here: it is :mod:`trap.pipeline`'s, whatever runs the steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, cast

import structlog
from prefect import Flow, flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.exceptions import FailedRun
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.utilities.urls import url_for
from pydantic import BaseModel, ConfigDict, Field

from flows.artifacts import store_group_table, store_summary
from flows.executors import PrefectExecutor
from flows.granularity import Granularity, choose_granularity
from flows.log import events_in_run_log, quiet_console
from flows.server import Server, ensure_server, stop_command
from flows.tasks import TIMESTEP, call_task, make_task, time_label
from trap.catalogues import MonitorPositions
from trap.config import PipelineConfig
from trap.executors import ProcessExecutor
from trap.images.patterns import expand_patterns
from trap.pipeline import DatasetRun, LookAhead, open_run
from trap.planning import TimestepGroup

if TYPE_CHECKING:
    from collections.abc import Callable

    from prefect.futures import PrefectFuture
    from prefect.task_runners import TaskRunner

    from trap.outcomes import RunSummary, TimestepOutcome

    Progress = Callable[[int, int], None]

__all__ = ["MonitoredPosition", "process_dataset", "run"]

log = structlog.get_logger(__name__)

MAX_SHOWN_IMAGES = 1000
"""Prefect refuses parameters of more than half a megabyte."""
MAX_MESSAGE = 500


class MonitoredPosition(BaseModel):
    """A position that is measured in every image."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    ra: Annotated[float, Field(ge=0, lt=360, allow_inf_nan=False)]
    """Right ascension, ICRS, in degrees."""
    dec: Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
    """Declination, ICRS, in degrees."""
    name: Annotated[str, Field(max_length=100)] = ""
    """Name for people."""


@dataclass(slots=True)
class _Caller:
    """What a caller in this process gives and gets beside the flow's parameters, which must be JSON."""

    config: PipelineConfig
    progress: Progress | None
    summary: RunSummary | None = None


_caller: ContextVar[_Caller | None] = ContextVar("caller", default=None)


def _run_name() -> str:
    context = FlowRunContext.get()
    config = context.parameters["config"] if context is not None and context.parameters else PipelineConfig()
    return _dataset_name(config, config.persistence.dataset_id)


def _dataset_name(config: PipelineConfig, dataset_id: int) -> str:
    which = f"dataset {dataset_id}" if dataset_id > 0 else "new dataset"
    return f"{config.persistence.description}, {which}"


@flow(name="process-dataset", flow_run_name=_run_name, persist_result=False)
def process_dataset(config: PipelineConfig, monitors: list[MonitoredPosition] | None = None) -> State[Any]:
    """Process the images of a dataset: find, associate and measure sources, and store their light curves.

    Parameters
    ----------
    config
        All settings; ``execution.images`` names the images, ``persistence.dataset_id`` a dataset to
        extend.
    monitors
        Positions to measure in every image; an old dataset keeps its own.

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
    caller = _caller.get() or _Caller(config, None)
    settings = caller.config.execution
    with (
        events_in_run_log(),
        open_run(caller.config, monitors=_as_table(monitors), progress=caller.progress) as dataset,
        ProcessExecutor(settings.n_workers, timeout_seconds=settings.image_timeout_seconds) as workers,
        # A sync flow run with a heartbeat ends at a whole second of its life: half a second lost per group.
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        _introduce_run(_dataset_name(config, dataset.dataset_id))
        subflow = _group_flow(dataset, workers)
        for group in dataset.plan.groups:
            first, last = (time_label(group.timesteps[end].taustart_ts) for end in (0, -1))
            # Timesteps that failed are in the summary; anything else that ends a group ends the run.
            with suppress(FailedRun):
                subflow(group.number, first, last, len(group.urls))
        summary = dataset.summary()
        store_summary(summary, dataset.survey.catalogue if dataset.outcomes else None)
    caller.summary = summary
    return _final_state(summary)


def _group_flow(dataset: DatasetRun, workers: ProcessExecutor) -> Flow[[int, str, str, int], State[Any]]:
    """Make the subflow of a run; the run itself is no parameter, which Prefect would take apart and store."""
    steps = PrefectExecutor(workers)
    # A thread only waits for a worker; some more, for those that wait for their next attempt.
    threads = cast("TaskRunner[PrefectFuture[Any]]", ThreadPoolTaskRunner(max_workers=2 * workers.n_workers))

    def timestep_group(number: int, first: str, last: str, images: int) -> State[Any]:  # noqa: ARG001 (for Prefect)
        """Process consecutive timesteps: images side by side, timesteps in order."""
        group = dataset.plan.groups[number - 1]
        granularity = choose_granularity(dataset.config.execution, dataset.plan, dataset.outcomes, workers.n_workers)
        if granularity is Granularity.IMAGE:
            outcomes = dataset.process_group(group, steps)
        else:
            outcomes = _process_whole_timesteps(dataset, group, workers)
        store_group_table(dataset.dataset_id, outcomes)
        return _group_state(outcomes)

    return Flow(
        timestep_group,
        name="timestep-group",
        flow_run_name="{first} to {last}, {images} images",
        task_runner=threads,
        validate_parameters=False,
        persist_result=False,
    )


def _process_whole_timesteps(
    dataset: DatasetRun, group: TimestepGroup, workers: ProcessExecutor
) -> list[TimestepOutcome]:
    """Process a group with one task per timestep, which runs the steps by itself."""
    ahead = LookAhead(workers, dataset.config, group.urls)
    task = make_task("process_timestep", TIMESTEP)
    outcomes = []
    for timestep in group.timesteps:
        label = f"timestep {time_label(timestep.taustart_ts)}, {len(timestep.urls)} images"
        work = partial(dataset.process_timestep, timestep, ahead, workers)
        outcomes.append(dataset.attempt(partial(call_task, task, label, work), timestep))
    return outcomes


def _group_state(outcomes: Sequence[TimestepOutcome]) -> State[Any]:
    failures = [outcome for outcome in outcomes if outcome.failure is not None]
    if failures:
        return Failed(message=_failure_message(failures, len(outcomes)))
    return Completed(message=f"{len(outcomes)} timesteps, {sum(len(outcome.images) for outcome in outcomes)} images")


def _final_state(summary: RunSummary) -> State[Any]:
    if summary.failures:
        return Failed(message=_failure_message(summary.failures, len(summary.outcomes)))
    n_images = len(summary.images)
    if summary.left_out:
        url, reason = summary.left_out[0]
        message = f"{len(summary.left_out)} images left out, the first: {url}: {reason}"
        return Completed(name="Partial", message=message[:MAX_MESSAGE])
    known = f", {len(summary.already_known)} known before" if summary.already_known else ""
    return Completed(message=f"{len(summary.outcomes)} timesteps, {n_images} images{known}")


def _failure_message(failures: Sequence[TimestepOutcome], n_timesteps: int) -> str:
    reasons = "; ".join(f"{time_label(outcome.taustart_ts)}: {outcome.failure}" for outcome in failures)
    return f"{len(failures)} of {n_timesteps} timesteps failed: {reasons}"[:MAX_MESSAGE]


def _introduce_run(name: str) -> None:
    """Name the flow run after its dataset, whose number is known only now, and say where to watch it."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    with get_client(sync_client=True) as client:
        client.set_flow_run_name(context.flow_run.id, name)
    log.info("flow_run_started", run=name, ui=url_for("flow-run", obj_id=context.flow_run.id))


def _as_table(monitors: Sequence[MonitoredPosition] | None) -> MonitorPositions | None:
    if not monitors:
        return None
    return MonitorPositions.of(
        ra=[position.ra for position in monitors],
        dec=[position.dec for position in monitors],
        name=[position.name for position in monitors],
    )


def _as_parameter(monitors: MonitorPositions | None) -> list[MonitoredPosition]:
    if monitors is None:
        return []
    rows = zip(monitors.ra, monitors.dec, monitors.name, strict=True)
    return [MonitoredPosition(ra=float(ra), dec=float(dec), name=str(name)) for ra, dec, name in rows]


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
            state = process_dataset(_shown(config), _as_parameter(monitors), return_state=True)
    finally:
        _caller.reset(token)
    if caller.summary is None:
        state.result()  # raises what ended the flow
        msg = f"the flow ended without a summary: {state}"
        raise RuntimeError(msg)
    return replace(caller.summary, watch=_where_to_watch(server))


def _where_to_watch(server: Server) -> tuple[str, ...]:
    """Say where the run is to be seen, and how to stop a server that was started for it."""
    stop = () if server.pid is None else (f"its server goes on running; stop it with: {stop_command()}",)
    return (f"Prefect UI: {server.ui_url}", *stop)
