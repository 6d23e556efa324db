"""What became of a run: its timesteps, what was left out and why, and the exit code that says so."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from trap.dataset.records import ImageRecord, UnreadableImage
    from trap.variability.constancy import Constancy

__all__ = ["ExitCode", "RunSummary", "TimestepOutcome"]


class ExitCode(IntEnum):
    """How ``trap run`` ends."""

    COMPLETE = 0
    """Every image was processed, or was in the dataset already."""
    ERROR = 1
    """The run could not start or had to stop: a wrong setting, no database."""
    IMAGES_LEFT_OUT = 3
    """Finished, but some images were rejected, unreadable, or too late."""
    TIMESTEPS_FAILED = 4
    """Finished, but some timesteps failed and are not in the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimestepOutcome:
    """What became of one timestep.

    Parameters
    ----------
    images
        Stored images, rejected ones included; empty if the timestep failed.
    unreadable
        Images whose pixels could not be read.
    duplicates
        Images whose content the dataset already holds.
    failure
        Why the timestep failed; nothing of it is in the database then.
    is_late
        Whether a later timestep was stored before, so that these images are in no light curve.
    seconds
        Wall time from its turn to its end, with all attempts; images measured ahead cost none of it.
    """

    taustart_ts: datetime
    images: tuple[ImageRecord, ...] = ()
    unreadable: tuple[UnreadableImage, ...] = ()
    duplicates: tuple[str, ...] = ()
    failure: str | None = None
    is_late: bool = False
    seconds: float = 0.0

    @property
    def left_out(self) -> list[tuple[str, str]]:
        """Images that gave no measurements, each with its reason, and whatever else speaks against it."""
        rejected = [(i.result.metadata.url, i.result.against) for i in self.images if i.result.rejection]
        return [*((file.url, f"unreadable: {file.reason}") for file in self.unreadable), *rejected]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """What a run did, and everything that it left out.

    Parameters
    ----------
    dataset_id
        The dataset that was made or extended.
    outcomes
        Of the timesteps, in order.
    unreadable
        Files that could not even be described.
    known
        Images that the dataset held before.
    late
        Images refused because the dataset already goes beyond their time.
    constancy
        How the light curves of the dataset compare with constant sources; None where there are none.
    monitors, unmeasured_monitors
        Number of monitored positions, and of those that no image of the dataset has measured so far.
    watch
        Lines for people: where what ran can be looked at, and how to stop what was started for it.
    """

    dataset_id: int
    outcomes: tuple[TimestepOutcome, ...]
    unreadable: tuple[UnreadableImage, ...]
    known: tuple[str, ...]
    late: tuple[str, ...]
    constancy: Constancy | None = None
    monitors: int = 0
    unmeasured_monitors: int = 0
    watch: tuple[str, ...] = ()

    @property
    def images(self) -> tuple[ImageRecord, ...]:
        """All images that were stored, in order."""
        return tuple(image for outcome in self.outcomes for image in outcome.images)

    @property
    def unassociated(self) -> tuple[ImageRecord, ...]:
        """Images that came late, and were stored without being associated."""
        return tuple(image for outcome in self.outcomes if outcome.is_late for image in outcome.images)

    @property
    def failures(self) -> tuple[TimestepOutcome, ...]:
        """Timesteps that failed."""
        return tuple(outcome for outcome in self.outcomes if outcome.failure is not None)

    @property
    def left_out(self) -> list[tuple[str, str]]:
        """Images that gave no measurements, each with its reason, and whatever else speaks against it."""
        files = [(file.url, f"unreadable: {file.reason}") for file in self.unreadable]
        late = [(url, "not later than the newest timestep of the dataset") for url in self.late]
        return [*files, *(item for outcome in self.outcomes for item in outcome.left_out), *late]

    @property
    def doubtful(self) -> list[tuple[str, str]]:
        """Images that were taken although a check spoke against them, each with what it said."""
        accepted = (image.result for image in self.images if image.result.rejection is None)
        return [(result.metadata.url, result.against) for result in accepted if result.findings]

    @property
    def already_known(self) -> tuple[str, ...]:
        """Images whose content the dataset held before, or got twice."""
        return (*self.known, *(url for outcome in self.outcomes for url in outcome.duplicates))

    @property
    def exit_code(self) -> ExitCode:
        """The worst that happened."""
        if self.failures:
            return ExitCode.TIMESTEPS_FAILED
        return ExitCode.IMAGES_LEFT_OUT if self.left_out else ExitCode.COMPLETE
