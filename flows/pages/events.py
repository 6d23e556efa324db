"""Events that the pipeline tells Prefect of, for automations to act on and people to be notified by."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect.events import emit_event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trap.association.running_catalogue import RunningCatalogue
    from trap.dataset.outcomes import TimestepOutcome
    from trap.dataset.records import ImageRecord
    from trap.images.incoming import Arrival

__all__ = [
    "IMAGE_REJECTED",
    "OBSERVATION_ARRIVED",
    "TIMESTEP_FAILED",
    "TRANSIENT_DETECTED",
    "emit_observation_arrived",
    "emit_outcome",
]

OBSERVATION_ARRIVED = "trap.observation.arrived"
TRANSIENT_DETECTED = "trap.transient.detected"
IMAGE_REJECTED = "trap.image.rejected"
TIMESTEP_FAILED = "trap.timestep.failed"

MAX_NAMES = 100
"""An event is to be small; who acts on it looks at the folder."""
MAX_REASON = 2000
MAX_CANDIDATES = 100
"""So many new sources in one image are an error of that image; what is beyond them is counted in the last event."""


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


def emit_outcome(dataset_id: int, outcome: TimestepOutcome, catalogue: RunningCatalogue | None) -> None:
    """Tell of a timestep that failed, of every image that gave nothing, and of every new-source candidate.

    Parameters
    ----------
    dataset_id
        The dataset; every event is about it or about a part of it.
    outcome
        What became of a timestep.
    catalogue
        The dataset's, with the row numbers of the candidates; None if the timestep failed.
    """
    dataset, time = f"trap.dataset.{dataset_id}", outcome.taustart_ts.isoformat()
    if outcome.failure is not None:
        _emit(
            TIMESTEP_FAILED,
            f"{dataset}.timestep.{time}",
            time,
            dataset,
            {"time": time, "reason": outcome.failure[:MAX_REASON]},
        )
    for url, reason in outcome.left_out:
        facts = {"time": time, "image": url, "reason": reason}
        _emit(IMAGE_REJECTED, f"{dataset}.image.{Path(url).name}", Path(url).name, dataset, facts)
    for image in outcome.images:
        if catalogue is not None and len(image.new_sources):
            _emit_candidates(dataset, image, catalogue)


def _emit_candidates(dataset: str, image: ImageRecord, catalogue: RunningCatalogue) -> None:
    new, measured = image.new_sources, image.measurements
    n_more = len(new) - MAX_CANDIDATES
    for number in range(min(len(new), MAX_CANDIDATES)):
        row, entry = int(new.measurement[number]), catalogue.entries[int(new.entry[number])]
        ra, dec = float(measured.ra[row]), float(measured.dec[row])
        facts: dict[str, Any] = {
            "source": int(entry["id"]),
            "ra": ra,
            "dec": dec,
            "f_int_jy": float(measured.f_int[row]),
            "f_int_err_jy": float(measured.f_int_err[row]),
            "sigma": float(new.sigma_rms_min[number]),
            "likely": bool(new.newsource_type[number]),
            "time": image.result.metadata.taustart_ts.isoformat(),
            "freq_hz": image.result.metadata.freq_eff,
            "image": image.result.metadata.url,
        }
        if number == MAX_CANDIDATES - 1 and n_more > 0:
            facts["n_more_in_image"] = n_more
        _emit(TRANSIENT_DETECTED, f"{dataset}.source.{entry['id']}", f"{ra:.4f} {dec:+.4f}", dataset, facts)


def _emit(event: str, resource: str, name: str, dataset: str, payload: dict[str, Any]) -> None:
    """Emit an event; Prefect adds the run that it is emitted in."""
    emit_event(
        event=event,
        resource={"prefect.resource.id": resource, "prefect.resource.name": name},
        related=[{"prefect.resource.id": dataset, "prefect.resource.role": "dataset"}],
        payload=payload,
    )
