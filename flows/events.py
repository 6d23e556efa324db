"""Events that the pipeline tells Prefect of, for automations to act on and people to be notified by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect.events import emit_event

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from trap.arrivals import Arrival

__all__ = ["OBSERVATION_ARRIVED", "emit_observation_arrived"]

OBSERVATION_ARRIVED = "trap.observation.arrived"

MAX_NAMES = 100
"""An event is to be small; who acts on it looks at the folder."""


def emit_observation_arrived(folder: Path, arrivals: Sequence[Arrival]) -> None:
    """Tell that images have come completely: one event for all that were seen at one look.

    Parameters
    ----------
    folder
        The folder that is watched.
    arrivals
        The images, at least one.
    """
    emit_event(
        event=OBSERVATION_ARRIVED,
        resource={"prefect.resource.id": f"trap.incoming.{folder}", "prefect.resource.name": folder.name},
        payload={
            "folder": str(folder),
            "n_images": len(arrivals),
            "images": [str(arrival.path.relative_to(folder)) for arrival in arrivals[:MAX_NAMES]],
        },
    )
