"""What runs are called and tagged, so that people find theirs among thousands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trap.errors import TrapError
from trap.images.image import Image

if TYPE_CHECKING:
    from trap.config import PipelineConfig
    from trap.run.planning import Plan

__all__ = ["dataset_name", "dataset_tags"]

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
