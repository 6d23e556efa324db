"""The counts of a live run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from trap.dataset.outcomes import ExitCode

if TYPE_CHECKING:
    from trap.dataset.outcomes import TimestepOutcome

__all__ = ["LiveTally"]

log = structlog.get_logger(__name__)

MAX_EXAMPLES = 100
"""Maximum number of images left out that the tally names; the log names all."""


@dataclass(slots=True, kw_only=True)
class LiveTally:
    """Counts of a live run so far. They take the same memory however long the run lasts.

    Parameters
    ----------
    dataset_id
        Number of the dataset.
    stored, failed
        Timesteps that were stored, and that failed.
    accepted, rejected
        Images that gave measurements, and images that were rejected or unreadable.
    candidates
        New sources.
    known
        Images that the dataset held already.
    incomplete
        Timesteps closed by the time-out.
    unassociated
        Late images that were stored, in no light curve.
    late, behind
        Images that were left out since they arrived after their timestep was closed, and images left out to keep up.
    lag_seconds, lag_max, lag_sum
        s — time from the arrival of the last image of a timestep until the timestep was stored: of the latest
        timestep, the maximum, and the sum.
    examples
        Paths of the first images that were left out, with the reasons.
    """

    dataset_id: int
    stored: int = 0
    failed: int = 0
    accepted: int = 0
    rejected: int = 0
    candidates: int = 0
    known: int = 0
    incomplete: int = 0
    unassociated: int = 0
    late: int = 0
    behind: int = 0
    lag_seconds: float = 0.0
    lag_max: float = 0.0
    lag_sum: float = 0.0
    examples: list[tuple[str, str]] = field(default_factory=list)

    @property
    def left_out(self) -> int:
        """Number of images that gave no measurements."""
        return self.rejected + self.late + self.behind

    @property
    def lag_mean(self) -> float:
        """Mean lag, in s."""
        n = self.stored + self.failed
        return self.lag_sum / n if n else 0.0

    @property
    def exit_code(self) -> ExitCode:
        """Exit code of the most severe event."""
        if self.failed:
            return ExitCode.TIMESTEPS_FAILED
        return ExitCode.IMAGES_LEFT_OUT if self.left_out else ExitCode.COMPLETE

    def leave_out(self, url: str, reason: str) -> None:
        """Log an image that is left out, and keep it as an example.

        Parameters
        ----------
        url
            Path of the image.
        reason
            Reason for leaving it out.
        """
        log.warning("image_left_out", image=url, reason=reason)
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append((url, reason))

    def count(self, outcome: TimestepOutcome, lag: float) -> None:
        """Count a timestep that was processed.

        Parameters
        ----------
        outcome
            Outcome of the timestep.
        lag
            s — time from the arrival of its last image until now.
        """
        self.stored += outcome.failure is None
        self.failed += outcome.failure is not None
        self.rejected += len(outcome.left_out)
        self.known += len(outcome.duplicates)
        self.accepted += sum(image.result.rejection is None for image in outcome.images)
        self.unassociated += len(outcome.images) if outcome.is_late else 0
        self.candidates += sum(len(image.new_sources) for image in outcome.images)
        self.lag_seconds, self.lag_max, self.lag_sum = lag, max(self.lag_max, lag), self.lag_sum + lag
        self.examples += outcome.left_out[: max(0, MAX_EXAMPLES - len(self.examples))]
