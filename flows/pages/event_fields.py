"""The events of the pipeline in words: when each is emitted, its resource, and the fields of its payload.

``docs/reference/events.md`` is generated from these tables, and a test compares them with emitted events.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from flows.pages.events import IMAGE_REJECTED, OBSERVATION_ARRIVED, TIMESTEP_FAILED, TRANSIENT_DETECTED

__all__ = ["EVENTS", "EventKind"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventKind:
    """A kind of event.

    Parameters
    ----------
    emitted
        Cause of an event, as a clause.
    resource
        Form of the id of its resource.
    payload
        Meanings of the fields of its payload.
    labels
        Meanings of the labels of its resource beside its id and its name. Automations match labels.
    """

    emitted: str
    resource: str
    payload: dict[str, str]
    labels: dict[str, str] = field(default_factory=dict)


EVENTS = {
    TRANSIENT_DETECTED: EventKind(
        emitted="a transient candidate is stored",
        resource="trap.dataset.LABEL.source.SOURCE",
        payload={
            "source": "Number of the source in the running catalogue.",
            "ra": "Right ascension of the measurement, ICRS, in deg.",
            "dec": "Declination of the measurement, ICRS, in deg.",
            "f_int_jy": "Integrated flux density, in Jy.",
            "f_int_err_jy": "1σ error of the flux density, in Jy.",
            "newness": "Significance with which the source is new, against a steady source, in σ.",
            "significance": "Significance (S/N) of the detection, in σ.",
            "noise_peaks": "Number of noise peaks as high that were to be expected in the images so far.",
            "likely": "Whether the candidate has the grade likely; otherwise noise may have made it.",
            "score": "Score of the candidate by its signs of artefacts, from 0 to 1; null if it was not computed.",
            "signs": "Names of its signs of artefacts, separated by commas; empty without any.",
            "time": "Start of the image, ISO 8601, UTC.",
            "freq_hz": "Central frequency of the image, in Hz.",
            "stokes": "Stokes parameter, as a letter.",
            "image": "Path of the image.",
            "n_more_in_image": "Number of further candidates of the image without an event; only in its last event.",
        },
        labels={
            "trap.grade": "Grade of the candidate: likely, or possible.",
            "trap.stokes": "Stokes parameter, as a letter.",
        },
    ),
    IMAGE_REJECTED: EventKind(
        emitted="an image gives no measurements: it is unreadable, or a check rejects it",
        resource="trap.dataset.LABEL.image.NAME",
        payload={
            "time": "Start of the timestep, ISO 8601, UTC.",
            "image": "Path of the image.",
            "reason": "Reason, with the deciding values.",
        },
    ),
    TIMESTEP_FAILED: EventKind(
        emitted="a timestep is not stored",
        resource="trap.dataset.LABEL.timestep.TIME",
        payload={
            "time": "Start of the timestep, ISO 8601, UTC.",
            "reason": "Message of the error.",
        },
    ),
    OBSERVATION_ARRIVED: EventKind(
        emitted="images in a watched folder have become complete; one event for all images of a scan",
        resource="trap.incoming.FOLDER",
        payload={
            "folder": "Path of the watched folder.",
            "n_images": "Number of images.",
            "images": "Paths of the images relative to the folder, at most a hundred.",
        },
    ),
}
"""The kinds of events by their names."""
