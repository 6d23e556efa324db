"""Outcome of a run: its timesteps, the images left out with their reasons, and the exit code."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from trap.dataset.records import ImageRecord, UnreadableImage
    from trap.variability.constancy import Constancy

__all__ = ["ExitCode", "MonitorFilling", "RunSummary", "TimestepOutcome"]


class ExitCode(IntEnum):
    """Exit code of ``transients run``."""

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
    """Outcome of one timestep.

    Parameters
    ----------
    taustart_ts
        Start of the timestep.
    images
        Stored images, including rejected ones; empty if the timestep failed.
    unreadable
        Images whose pixels could not be read.
    duplicates
        Paths of images whose content is in the dataset already.
    n_backward
        Number of forced fits of its new sources in earlier images.
    failure
        Reason of a failure; nothing of a failed timestep is in the database. None if the timestep is stored.
    is_late
        Whether a later timestep was stored before, so that these images are in no light curve.
    seconds
        s — wall time of the timestep with all attempts, without the images that were measured ahead of it.
    """

    taustart_ts: datetime
    images: tuple[ImageRecord, ...] = ()
    unreadable: tuple[UnreadableImage, ...] = ()
    duplicates: tuple[str, ...] = ()
    n_backward: int = 0
    failure: str | None = None
    is_late: bool = False
    seconds: float = 0.0

    @property
    def n_fitted(self) -> int:
        """Number of forced fits with a flux density, in its own images and in earlier ones."""
        return sum(image.n_fitted for image in self.images) + self.n_backward

    @property
    def left_out(self) -> list[tuple[str, str]]:
        """Images without measurements, each with the reason and with the other findings against it."""
        rejected = [(i.result.metadata.url, i.result.against) for i in self.images if i.result.rejection]
        return [*((file.url, f"unreadable: {file.reason}") for file in self.unreadable), *rejected]


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorFilling:
    """Monitored positions that a run added to a dataset, and the earlier images that it measured them in.

    Parameters
    ----------
    n_positions
        Number of added positions.
    n_images
        Number of earlier images.
    unreadable
        Paths of the earlier images that cannot be read any more.
    """

    n_positions: int
    n_images: int
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """Everything that a run did, and everything that it left out.

    Parameters
    ----------
    dataset_id
        Number of the dataset that was created or extended.
    outcomes
        Outcomes of the timesteps, in order.
    unreadable
        Files whose headers could not be read.
    known
        Paths of images that the dataset held before.
    late
        Paths of images refused because a later timestep is in the dataset.
    constancy
        Comparison of the light curves of the dataset with constant sources; None without light curves.
    monitors
        Number of monitored positions.
    unmeasured_monitors
        Positions that no image of the dataset has measured so far: each with its name or coordinates, and the reason.
    filling
        Positions that were added to an existing dataset; None if there were none.
    same_field
        Numbers and names of other datasets with the same field, bands and settings, if this run created the dataset.
    watch
        Lines for the terminal: pages that show the run, and the command that stops a server started for it.
    """

    dataset_id: int
    outcomes: tuple[TimestepOutcome, ...]
    unreadable: tuple[UnreadableImage, ...]
    known: tuple[str, ...]
    late: tuple[str, ...]
    constancy: Constancy | None = None
    monitors: int = 0
    unmeasured_monitors: tuple[tuple[str, str], ...] = ()
    filling: MonitorFilling | None = None
    same_field: tuple[tuple[int, str], ...] = ()
    watch: tuple[str, ...] = ()

    @property
    def images(self) -> tuple[ImageRecord, ...]:
        """All stored images, in order."""
        return tuple(image for outcome in self.outcomes for image in outcome.images)

    @property
    def unassociated(self) -> tuple[ImageRecord, ...]:
        """Late images, which were stored without association."""
        return tuple(image for outcome in self.outcomes if outcome.is_late for image in outcome.images)

    @property
    def failures(self) -> tuple[TimestepOutcome, ...]:
        """Timesteps that failed."""
        return tuple(outcome for outcome in self.outcomes if outcome.failure is not None)

    @property
    def left_out(self) -> list[tuple[str, str]]:
        """Images without measurements, each with the reason and with the other findings against it."""
        files = [(file.url, f"unreadable: {file.reason}") for file in self.unreadable]
        late = [(url, "not later than the newest timestep of the dataset") for url in self.late]
        return [*files, *(item for outcome in self.outcomes for item in outcome.left_out), *late]

    @property
    def doubtful(self) -> list[tuple[str, str]]:
        """Images that were used in spite of findings against them, each with these findings."""
        accepted = (image.result for image in self.images if image.result.rejection is None)
        return [(result.metadata.url, result.against) for result in accepted if result.findings]

    @property
    def already_known(self) -> tuple[str, ...]:
        """Images whose content the dataset held before, or received twice."""
        return (*self.known, *(url for outcome in self.outcomes for url in outcome.duplicates))

    @property
    def exit_code(self) -> ExitCode:
        """Exit code for the worst outcome."""
        if self.failures:
            return ExitCode.TIMESTEPS_FAILED
        return ExitCode.IMAGES_LEFT_OUT if self.left_out else ExitCode.COMPLETE
