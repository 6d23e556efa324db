"""The identity of a flow run: its name and tags, its process, and the dataset that it finds again after a crash.

The number of a process is given again after it has ended; with the time of its start it is given once.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext

from trap.errors import TrapError
from trap.images.image import Image

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from trap.config import PipelineConfig
    from trap.run.planning import Plan

__all__ = [
    "dataset_name",
    "dataset_tags",
    "flow_run_id",
    "has_died",
    "label_process",
    "process_labels",
    "resumable",
]

HOST, PROCESS, ATTEMPT = "trap.host", "trap.process", "trap.attempt"
MAX_BANDS = 16
"""More tags than this would hide what they are to show."""


def dataset_name(config: PipelineConfig, dataset_id: int) -> str:
    """Name a run after the description and the number of its dataset, which is -1 as long as it is unknown."""
    which = f"dataset {dataset_id}" if dataset_id > 0 else config.persistence.dataset_key or "new dataset"
    return f"{config.persistence.description}, {which}"


def dataset_tags(dataset_id: int, plan: Plan) -> list[str]:
    """Tag a run with its dataset, and with telescope and bands as the images of its first timestep tell them.

    Parameters
    ----------
    dataset_id
        Number of the dataset.
    plan
        What the run will do.
    """
    tags = {f"dataset:{dataset_id}"}
    for url in plan.timesteps[0].urls[:MAX_BANDS] if plan.timesteps else ():
        try:
            metadata = Image(url).metadata
        except TrapError:
            continue  # gone since it was planned: its timestep will say so
        tags.add(f"band:{metadata.freq_eff / 1e6:.6g} MHz")
        if metadata.telescope:
            tags.add(f"telescope:{metadata.telescope}")
    return sorted(tags)


def flow_run_id() -> UUID | None:
    """Id of the current flow run; None outside any."""
    context = FlowRunContext.get()
    return None if context is None or context.flow_run is None else context.flow_run.id


def label_process() -> None:
    """Label the flow run before anything can go wrong, so that it is found if its process dies."""
    run_id = flow_run_id()
    if run_id is not None:
        with get_client(sync_client=True) as client:
            client.update_flow_run_labels(run_id, process_labels(client.read_flow_run(run_id).run_count))


def resumable(config: PipelineConfig) -> PipelineConfig:
    """Give a dataset that is to be new the run as its key: begun again after a crash, it finds what it has made."""
    settings, run_id = config.persistence, flow_run_id()
    if settings.dataset_id != -1 or settings.dataset_key or run_id is None:
        return config
    return config.with_options(persistence={"dataset_key": f"flow-run:{run_id}"})


def process_labels(attempt: int) -> dict[str, bool | int | float | str]:
    """Labels of a flow run that say where its attempt of this number is: this machine, and this process."""
    return {HOST: socket.gethostname(), PROCESS: f"{os.getpid()}:{_start(os.getpid())}", ATTEMPT: attempt}


def has_died(labels: Mapping[str, object], attempt: int) -> bool:
    """Tell whether the process of a run is known to have ended.

    Of another machine's nothing is known, nor of an attempt that has not said yet where it is.

    Parameters
    ----------
    labels
        Of the run.
    attempt
        Number of the attempt that is running.
    """
    if labels.get(HOST) != socket.gethostname() or labels.get(ATTEMPT) != attempt:
        return False
    number, _, start = str(labels.get(PROCESS, "")).partition(":")
    return number.isdigit() and _start(int(number)) != start


def _start(number: int) -> str:
    """Start of a process, in clock ticks since that of the machine; empty where there is no such process."""
    with suppress(OSError):
        status = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
        # The second field is the program's name in brackets, which may hold anything.
        fields = status.rpartition(")")[2].split()
        return "" if fields[0] in {"Z", "X"} else fields[19]
    return ""
