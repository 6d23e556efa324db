"""The identity of a flow run: its name and tags, its process, and its dataset.

People find a run by its name and tags. Other processes on the machine check by its labels whether its process still
runs. A run that is started again after a crash finds its dataset by its own id.

A process is identified by its number and its start time, since the number is used again after the process has ended.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
from typing import TYPE_CHECKING

import psutil
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.utilities.urls import url_for

from trap.cli.passwords import without_password
from trap.db.engine import absolute_url
from trap.errors import TrapError
from trap.escapes import plain_text
from trap.images.image import Image

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from trap.config import PipelineConfig
    from trap.run.planning import Plan

__all__ = [
    "dataset_label",
    "dataset_name",
    "dataset_tags",
    "flow_run_id",
    "flow_run_page",
    "has_died",
    "label_process",
    "process_labels",
    "resumable",
]

HOST, PROCESS, ATTEMPT = "trap.host", "trap.process", "trap.attempt"
"""Labels of a flow run: name of the machine, ``number:start`` of the process, number of the attempt."""
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
MAX_START_DIFFERENCE = TICKS_PER_SECOND
"""Largest difference, in clock ticks, of two start times of one process: the time of boot is accurate to a second."""
MAX_BANDS = 16
"""Maximum number of bands among the tags of a run; more would hide the other tags."""


def dataset_name(config: PipelineConfig, dataset_id: int) -> str:
    """Compose the name of a run: the description of its dataset, and the number or else the key.

    Parameters
    ----------
    config
        Settings of the run.
    dataset_id
        Number of the dataset; -1 if it is not known yet.
    """
    dataset = f"dataset {dataset_id}" if dataset_id > 0 else config.persistence.dataset_key or "new dataset"
    return plain_text(f"{config.persistence.description}, {dataset}")


def dataset_label(config: PipelineConfig, dataset_id: int) -> str:
    """Compose the label of a dataset among the datasets of all databases, such as ``ab12cd-1``.

    Each SQLite file has a dataset 1, and the runs of all files may report to one server. The label begins with six
    hexadecimal digits of a hash of the database's URL, without its driver, password and options.

    Parameters
    ----------
    config
        Settings of the run.
    dataset_id
        Number of the dataset.
    """
    url, _ = without_password(absolute_url(config.execution.database))
    plain = re.sub(r"^(\w+)\+\w+:", r"\1:", url.partition("?")[0])
    return f"{hashlib.sha256(plain.encode()).hexdigest()[:6]}-{dataset_id}"


def dataset_tags(dataset_id: int, plan: Plan) -> list[str]:
    """List the tags of a run: its dataset, and the telescope and the bands of its first timestep.

    Parameters
    ----------
    dataset_id
        Number of the dataset.
    plan
        Timesteps of the run, with their images.
    """
    tags = {f"dataset:{dataset_id}"}
    for url in plan.timesteps[0].urls[:MAX_BANDS] if plan.timesteps else ():
        try:
            metadata = Image(url).metadata
        except TrapError:
            continue  # The image has disappeared since the run was planned. Its timestep will report that.
        tags.add(f"band:{metadata.freq_eff / 1e6:.6g} MHz")
        if metadata.telescope:
            tags.add(f"telescope:{metadata.telescope}")
    return sorted(tags)


def flow_run_id() -> UUID | None:
    """Return the id of the current flow run; None outside of a flow run."""
    context = FlowRunContext.get()
    return None if context is None or context.flow_run is None else context.flow_run.id


def flow_run_page() -> str | None:
    """Return the address of the page of the current flow run; None outside of a flow run, and without a server."""
    run_id = flow_run_id()
    return None if run_id is None else url_for("flow-run", obj_id=run_id)


def label_process() -> None:
    """Label the current flow run with its process, so that recovery can detect the death of the process."""
    run_id = flow_run_id()
    if run_id is not None:
        with get_client(sync_client=True) as client:
            attempt = client.read_flow_run(run_id).run_count
            client.update_flow_run_labels(run_id, process_labels(attempt))


def resumable(config: PipelineConfig) -> PipelineConfig:
    """Use the id of the flow run as the key of a new dataset, so that the run finds the dataset again after a crash."""
    settings, run_id = config.persistence, flow_run_id()
    if settings.dataset_id != -1 or settings.dataset_key or run_id is None:
        return config
    return config.with_options(persistence={"dataset_key": f"flow-run:{run_id}"})


def process_labels(attempt: int) -> dict[str, bool | int | float | str]:
    """Return the labels of an attempt that runs in this process on this machine."""
    pid = os.getpid()
    return {HOST: socket.gethostname(), PROCESS: f"{pid}:{_start_ticks(pid)}", ATTEMPT: attempt}


def has_died(labels: Mapping[str, object], attempt: int) -> bool:
    """Return whether the process of a run has certainly ended.

    Processes of other machines cannot be checked, nor can an attempt that has not been labelled yet: False.

    Parameters
    ----------
    labels
        Labels of the run.
    attempt
        Number of the attempt that is running.
    """
    if labels.get(HOST) != socket.gethostname() or labels.get(ATTEMPT) != attempt:
        return False
    pid, _, start = str(labels.get(PROCESS, "")).partition(":")
    if not pid.isdigit():
        return False
    try:
        current_start = _start_ticks(int(pid))
    except psutil.AccessDenied:
        return False
    if current_start is None:
        return True
    # Labels of earlier versions have no start time on systems without /proc.
    return start.isdigit() and abs(current_start - int(start)) > MAX_START_DIFFERENCE


def _start_ticks(pid: int) -> int | None:
    """Return the start time of a process, in clock ticks since boot; None if the process has ended.

    Unlike the time of day, the time since boot does not change when the clock is set. Ticks are the unit of
    ``/proc/PID/stat``, which earlier versions wrote into the labels.
    """
    try:
        process = psutil.Process(pid)
        if process.status() in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}:
            return None
        seconds: float = process.create_time() - psutil.boot_time()
    except psutil.NoSuchProcess:
        return None
    ticks: int = round(seconds * TICKS_PER_SECOND)
    return ticks
