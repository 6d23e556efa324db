"""Who a flow run is, for those who look for it, and for itself when it is begun again after a crash."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext

from flows.service.liveness import process_labels

if TYPE_CHECKING:
    from uuid import UUID

    from trap.config import PipelineConfig

__all__ = ["flow_run_id", "resumable", "say_where_it_runs"]


def flow_run_id() -> UUID | None:
    """Id of the current flow run; None outside any."""
    context = FlowRunContext.get()
    return None if context is None or context.flow_run is None else context.flow_run.id


def say_where_it_runs() -> None:
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
