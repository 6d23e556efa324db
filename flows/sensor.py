"""The sensor: hands images that have come into a folder to a run, each of them once and in order.

It is started by the event that images arrived, by its schedules, and by the end of the run before. Which
of these, and how often, makes no difference: what is handed over stands in the ledger of
:mod:`trap.db.arrivals`, and a dataset gets its next run when the one before has ended. Images that
come meanwhile go together into that one, since a dataset takes its images in order of time.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import structlog
from prefect import flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.deployments import run_deployment
from prefect.states import Completed
from pydantic import BaseModel, ConfigDict, Field

from flows.service.log import events_in_run_log
from flows.tasks.policies import RUN
from trap.config import PipelineConfig
from trap.db.arrivals import Ledger, open_ledger
from trap.errors import ConfigError
from trap.images.incoming import IncomingFolder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trap.images.incoming import Arrival

__all__ = ["IncomingImages", "take_in_images"]

log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 60.0
"""How long the sensor waits for images that are still being written; the next one takes those."""


class IncomingImages(BaseModel):
    """Where images arrive, when they are complete, and into which datasets they go."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    folder: str = "incoming"
    """Folder in which images arrive, with all its subfolders."""
    patterns: tuple[str, ...] = ("*.fits",)
    """Names of images, as in a shell."""
    settle_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 5.0
    """An image is complete when it has not changed for so long; a marker image.fits.done says so at once."""
    datasets: Literal["one", "per-folder"] = "one"
    """One dataset of all images, or one for each subfolder."""
    deployment: str = "process-dataset/incoming"
    """Deployment that processes the images."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of the images of one dataset."""

    handed_over: int = 0
    waiting: int = 0


@flow(name="take-in-images", persist_result=False)
def take_in_images(
    incoming: IncomingImages = IncomingImages(),  # noqa: B008 (frozen)
    config: PipelineConfig = PipelineConfig(),  # noqa: B008 (frozen)
) -> State[Any]:
    """Hand complete images to runs of the deployment that processes them, each image once.

    Parameters
    ----------
    incoming
        Where images arrive.
    config
        Settings of the runs. ``persistence.dataset_key`` names the dataset, its description does
        where there is no key; ``execution.images`` is not looked at.

    Raises
    ------
    ConfigError
        If the folder does not exist, or no name for the dataset is given.
    DatabaseError
        If the database, which holds the ledger, cannot be used.
    """
    key = config.persistence.dataset_key or config.persistence.description
    if not key:
        msg = "images that arrive need persistence.dataset_key, or a description, to find their dataset by"
        raise ConfigError(msg)
    with events_in_run_log(), open_ledger(config.execution.database) as ledger:
        folder = IncomingFolder(Path(incoming.folder), incoming.patterns, incoming.settle_seconds)
        taken = ledger.taken(key)
        folder.pass_over(image for images in taken.values() for image in images)
        groups = _by_dataset(_complete_images(folder), folder.folder, key, incoming.datasets)
        outcomes = [
            _hand_over(ledger, dataset_key, groups.get(dataset_key, []), config, incoming.deployment)
            for dataset_key in sorted(groups.keys() | taken.keys())
        ]
    handed_over, waiting = sum(o.handed_over for o in outcomes), sum(o.waiting for o in outcomes) + folder.n_waiting
    return Completed(message=f"{handed_over} images handed over, {waiting} waiting")


def _complete_images(folder: IncomingFolder) -> list[Arrival]:
    """Look until no image is left that is still being written; not for ever."""
    begin = time.monotonic()
    found = folder.scan(begin)
    while folder.n_waiting and time.monotonic() - begin < folder.settle_seconds + PATIENCE_SECONDS:
        time.sleep(min(1.0, max(folder.settle_seconds, 0.1)))
        found += folder.scan(time.monotonic())
    return found


def _by_dataset(
    images: Iterable[Arrival], folder: Path, key: str, datasets: Literal["one", "per-folder"]
) -> dict[str, list[Arrival]]:
    """Part images by the key of the dataset that they go into."""
    groups: dict[str, list[Arrival]] = defaultdict(list)
    for image in images:
        below = image.path.relative_to(folder).parts
        is_in_subfolder = datasets == "per-folder" and len(below) > 1
        groups[f"{key}/{below[0]}" if is_in_subfolder else key].append(image)
    return groups


def _hand_over(
    ledger: Ledger, dataset_key: str, images: list[Arrival], config: PipelineConfig, deployment: str
) -> _Outcome:
    """Give images to a new run, once the one before has ended."""
    before = ledger.latest_batch(dataset_key)
    # Asking for a run that is there returns it. It is not there if whoever took its images was ended before asking.
    if before is not None and not _has_ended(_start_run(before, dataset_key, config, deployment)):
        log.info("dataset_is_busy", dataset_key=dataset_key, images=len(images))
        return _Outcome(waiting=len(images))
    if not images:
        return _Outcome()
    run = _start_run(ledger.take(dataset_key, images), dataset_key, config, deployment)
    log.info("images_handed_over", dataset_key=dataset_key, images=len(images), run=run.name, id=str(run.id))
    return _Outcome(handed_over=len(images))


def _start_run(batch: str, dataset_key: str, config: PipelineConfig, deployment: str) -> FlowRun:
    """Ask for the run of a batch; asked again, it is the same run."""
    run_config = config.with_options(persistence={"dataset_key": dataset_key, "dataset_id": -1})
    run = run_deployment(
        deployment,
        parameters={"config": run_config.model_dump(mode="json"), "batch": batch},
        idempotency_key=f"images:{batch}",
        timeout=0,
        as_subflow=False,
    )
    return cast("FlowRun", run)  # a coroutine only for those who call from one


def _has_ended(run: FlowRun) -> bool:
    """Tell whether a run has come to its end; one that crashed will be begun again, unless it did too often."""
    if run.state is None or not run.state.is_final():
        return False
    return not (run.state.is_crashed() and run.run_count <= RUN.crash_retries)
