"""The sensor: it starts runs for images that have arrived in a folder, each image once and in order.

It is started by the event that images have arrived, by its schedules, and by the end of the previous run. The reason
and the frequency of its starts make no difference: the images that were passed to runs are recorded in the ledger of
:mod:`trap.db.arrivals`, and a dataset gets its next run when the previous one has ended. Images that arrive during a
run go into the next one together, since a dataset takes its images in order of time.
"""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import structlog
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import FlowRunContext
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Completed
from pydantic import BaseModel, ConfigDict, Field

from flows.service.log import events_in_run_log, shorten_tracebacks
from flows.tasks.policies import RUN
from trap.config import PipelineConfig
from trap.db.arrivals import Ledger, open_ledger
from trap.errors import ConfigError
from trap.images.incoming import IncomingFolder
from trap.images.patterns import path_of, path_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trap.images.incoming import Arrival

__all__ = ["IncomingImages", "take_in_images"]

log = structlog.get_logger(__name__)

MAX_WAIT_SECONDS = 60.0
"""Maximum time [s], beyond the settling time, to wait for images that are being written; the next sensor finds them."""


class IncomingImages(BaseModel):
    """The arrival of images: the folder, the condition of completeness, and the datasets."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    folder: str = "incoming"
    """Folder where images arrive, including its subfolders."""
    patterns: tuple[str, ...] = ("*.fits",)
    """File names of images, as shell patterns."""
    settle_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 5.0
    """Time, in s, after which an unchanged image counts as complete; a marker image.fits.done completes it at once."""
    datasets: Literal["one", "per-folder"] = "one"
    """One dataset for all images, or one for each subfolder."""
    deployment: str = "process-dataset/incoming"
    """Deployment that processes the images."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Numbers of images of one dataset that were passed to a run, or wait for the end of a run."""

    handed_over: int = 0
    waiting: int = 0


def _run_name() -> str:
    """Return the name of a run that is about to begin."""
    return f"look for images, {datetime.now(UTC):%Y-%m-%d %H:%M:%S}"


@flow(name="take-in-images", flow_run_name=_run_name, persist_result=False)
def take_in_images(
    incoming: IncomingImages = IncomingImages(),  # noqa: B008 (frozen)
    config: PipelineConfig = PipelineConfig(),  # noqa: B008 (frozen)
) -> State[Any]:
    """Start runs of a deployment for complete images, each image once.

    Parameters
    ----------
    incoming
        Folder of the images, and the deployment.
    config
        Settings of the runs. The dataset is found by ``persistence.dataset_key``, or by its description if there is no
        key; ``execution.images`` is ignored.

    Returns
    -------
    Completed, with the numbers of images in the message; named Paused, without a look at the folder, while this
    deployment or the other one is paused.

    Raises
    ------
    ConfigError
        If the folder does not exist, or the settings have neither a key nor a description.
    DatabaseError
        If the database, which holds the ledger, cannot be used.
    """
    shorten_tracebacks()
    paused = _paused_deployment(incoming.deployment)
    if paused:
        return Completed(name="Paused", message=f"{paused} is paused: new images wait in the folder")
    key = config.persistence.dataset_key or config.persistence.description
    if not key:
        msg = "to find the dataset of arriving images, set persistence.dataset_key or persistence.description"
        raise ConfigError(msg)
    with events_in_run_log(), open_ledger(config.execution.database) as ledger:
        folder = IncomingFolder(path_of(incoming.folder), incoming.patterns, incoming.settle_seconds)
        claimed = ledger.claimed(key)
        folder.pass_over(image for images in claimed.values() for image in images)
        groups = _by_dataset(_complete_images(folder), folder.folder, key, incoming.datasets)
        outcomes = [
            _hand_over(ledger, dataset_key, groups.get(dataset_key, []), config, incoming.deployment)
            for dataset_key in sorted(groups.keys() | claimed.keys())
        ]
    handed_over, waiting = sum(o.handed_over for o in outcomes), sum(o.waiting for o in outcomes) + folder.n_waiting
    return Completed(message=f"{handed_over} images handed over, {waiting} waiting")


def _paused_deployment(processing: str) -> str:
    """Return the name of a paused deployment that holds the intake: the one of this run, or the one for images.

    Prefect itself stops only the schedules of a paused deployment: events and other runs still start it.
    """
    context = FlowRunContext.get()
    own = None if context is None or context.flow_run is None else context.flow_run.deployment_id
    with get_client(sync_client=True) as client, suppress(ObjectNotFound):
        if own is not None and (deployment := client.read_deployment(own)).paused:
            return deployment.name
        if client.read_deployment_by_name(processing).paused:
            return processing
    return ""


def _complete_images(folder: IncomingFolder) -> list[Arrival]:
    """Scan the folder until no image is being written, for a limited time."""
    begin = time.monotonic()
    arrivals = folder.scan(begin)
    while folder.n_waiting and time.monotonic() - begin < folder.settle_seconds + MAX_WAIT_SECONDS:
        time.sleep(min(1.0, max(folder.settle_seconds, 0.1)))
        arrivals += folder.scan(time.monotonic())
    return arrivals


def _by_dataset(
    images: Iterable[Arrival], folder: Path, key: str, datasets: Literal["one", "per-folder"]
) -> dict[str, list[Arrival]]:
    """Group images by the key of their dataset."""
    groups: dict[str, list[Arrival]] = defaultdict(list)
    for image in images:
        below = image.path.relative_to(folder).parts
        is_in_subfolder = datasets == "per-folder" and len(below) > 1
        groups[f"{key}/{path_text(below[0])}" if is_in_subfolder else key].append(image)
    return groups


def _hand_over(
    ledger: Ledger, dataset_key: str, images: list[Arrival], config: PipelineConfig, deployment: str
) -> _Outcome:
    """Start a run for images, if the previous run of their dataset has ended."""
    previous = ledger.latest_batch(dataset_key)
    # The run of the previous batch is requested again. Usually it exists and is returned. If a sensor was ended after
    # it recorded the batch and before it started the run, the run is started now.
    if previous is not None and not _has_ended(_start_run(previous, dataset_key, config, deployment)):
        log.info("dataset_is_busy", dataset_key=dataset_key, images=len(images))
        return _Outcome(waiting=len(images))
    if not images:
        return _Outcome()
    run = _start_run(ledger.claim(dataset_key, images), dataset_key, config, deployment)
    log.info("images_handed_over", dataset_key=dataset_key, images=len(images), run=run.name, id=str(run.id))
    return _Outcome(handed_over=len(images))


def _start_run(batch: str, dataset_key: str, config: PipelineConfig, deployment: str) -> FlowRun:
    """Start the run of a batch, or return the existing one."""
    run_config = config.with_options(persistence={"dataset_key": dataset_key, "dataset_id": -1})
    run = run_deployment(
        deployment,
        parameters={"config": run_config.model_dump(mode="json"), "batch": batch},
        idempotency_key=f"images:{batch}",
        timeout=0,
        as_subflow=False,
    )
    return cast("FlowRun", run)  # a coroutine only if called from a coroutine


def _has_ended(run: FlowRun) -> bool:
    """Return whether a run has ended for good; a crashed run is started again, up to a limit."""
    if run.state is None or not run.state.is_final():
        return False
    return not (run.state.is_crashed() and run.run_count <= RUN.crash_retries)
