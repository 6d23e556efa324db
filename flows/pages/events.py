"""Events of the pipeline on the Prefect server, for automations and notifications.

The names of events, resources and payload fields are public: automations match them. They are described in
:mod:`flows.pages.event_fields`, and so in docs/reference/events.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from prefect.events import emit_event

from flows.service.installations import arrivals_resource
from trap.catalogues import Grade
from trap.config import stokes_letter
from trap.escapes import plain_text
from trap.images.patterns import path_text
from trap.vetting.score import sign_words

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
"""Maximum number of file names in an event, since events must be small. The folder in the event contains all images."""
MAX_REASON = 2000
"""Maximum number of characters of a reason."""
MAX_CANDIDATES = 100
"""Maximum number of events for the new sources of an image; the last one counts the others. More are an image error."""


def emit_observation_arrived(folder: Path, arrivals: Sequence[Arrival]) -> None:
    """Emit one event for all images of a scan that have become complete.

    Parameters
    ----------
    folder
        The watched folder.
    arrivals
        The images, at least one.
    """
    emit_event(
        event=OBSERVATION_ARRIVED,
        resource={"prefect.resource.id": arrivals_resource(folder), "prefect.resource.name": plain_text(folder.name)},
        payload={
            "folder": path_text(folder),
            "n_images": len(arrivals),
            "images": [path_text(arrival.path.relative_to(folder)) for arrival in arrivals[:MAX_NAMES]],
        },
    )


def emit_outcome(label: str, outcome: TimestepOutcome, catalogue: RunningCatalogue | None) -> None:
    """Emit events for a failed timestep, for every image without measurements, and for every new-source candidate.

    Parameters
    ----------
    label
        Label of the dataset, from :func:`flows.service.identity.dataset_label`, in the resources of every event.
    outcome
        Outcome of a timestep.
    catalogue
        Running catalogue of the dataset, with the candidates of the timestep; None if the timestep failed.
    """
    dataset, time = f"trap.dataset.{label}", outcome.taustart_ts.isoformat()
    if outcome.failure is not None:
        payload = {"time": time, "reason": outcome.failure[:MAX_REASON]}
        _emit(TIMESTEP_FAILED, f"{dataset}.timestep.{time}", time, dataset, payload)
    for url, reason in outcome.left_out:
        name = Path(url).name
        payload = {"time": time, "image": url, "reason": reason}
        _emit(IMAGE_REJECTED, f"{dataset}.image.{name}", name, dataset, payload)
    for image in outcome.images:
        if catalogue is not None and len(image.new_sources):
            _emit_candidates(dataset, image, catalogue)


def _emit_candidates(dataset: str, image: ImageRecord, catalogue: RunningCatalogue) -> None:
    """Emit an event for each new source of an image, up to the maximum number."""
    new, measurements, metadata = image.new_sources, image.measurements, image.result.metadata
    signs = sign_words(new, np.abs(measurements.significance[new.measurement]), new.newness)
    n_more = len(new) - MAX_CANDIDATES
    for number in range(min(len(new), MAX_CANDIDATES)):
        entry_id = int(catalogue.entries["id"][new.entry[number]])
        row = int(new.measurement[number])
        ra, dec = float(measurements.ra[row]), float(measurements.dec[row])
        payload: dict[str, Any] = {
            "source": entry_id,
            "ra": ra,
            "dec": dec,
            "f_int_jy": float(measurements.f_int[row]),
            "f_int_err_jy": float(measurements.f_int_err[row]),
            "newness": float(new.newness[number]),
            "significance": float(measurements.significance[row]),
            "noise_peaks": float(new.noise_peaks[number]),
            "likely": bool(new.grade[number] == Grade.LIKELY),
            "score": float(new.score[number]) if np.isfinite(new.score[number]) else None,
            "signs": signs[number],
            "time": metadata.taustart_ts.isoformat(),
            "freq_hz": metadata.freq_eff,
            "stokes": stokes_letter(metadata.stokes),
            "image": metadata.url,
        }
        if number == MAX_CANDIDATES - 1 and n_more > 0:
            payload["n_more_in_image"] = n_more
        # Automations match labels, and no payloads.
        labels = {"trap.grade": "likely" if payload["likely"] else "possible", "trap.stokes": payload["stokes"]}
        _emit(TRANSIENT_DETECTED, f"{dataset}.source.{entry_id}", f"{ra:.4f} {dec:+.4f}", dataset, payload, labels)


def _emit(
    event: str, resource: str, name: str, dataset: str, payload: dict[str, Any], labels: dict[str, str] | None = None
) -> None:
    """Emit an event about a part of a dataset. Prefect adds the current run to the related resources."""
    emit_event(
        event=event,
        resource={
            "prefect.resource.id": plain_text(resource),
            "prefect.resource.name": plain_text(name),
            **(labels or {}),
        },
        related=[{"prefect.resource.id": dataset, "prefect.resource.role": "dataset"}],
        payload=payload,
    )
