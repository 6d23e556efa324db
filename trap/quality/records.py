"""The record of a quality check, and the inputs of the kinds of check.

A check is a function from an input to a :class:`~trap.quality.reasons.Verdict`. Its :class:`Check` stands below the
function and holds everything else about it: name, setting, reason, description and needs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from trap.codes import RejectReason
from trap.config import QualityConfig
from trap.quality.reasons import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from datetime import datetime

    from numpy.typing import NDArray

    from trap.calibration.history import CalibrationHistory
    from trap.calibration.records import ImageCalibration
    from trap.config import PipelineConfig
    from trap.config.quality import Action
    from trap.images.metadata import ImageMetadata
    from trap.quality.accepted import AcceptedImages, HistoryKey
    from trap.typing import Array

__all__ = [
    "CalibrationInput",
    "CatalogueInput",
    "Check",
    "CheckInput",
    "EarlierInput",
    "ImageInput",
    "SourceInput",
    "has_beam",
    "has_duration",
    "has_noise",
    "has_values",
    "is_stokes_i",
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CheckInput:
    """The part of a check's input that all checks share.

    Parameters
    ----------
    metadata
        Values of the image's header.
    config
        All settings.
    """

    metadata: ImageMetadata
    config: PipelineConfig


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageInput(CheckInput):
    """The input of checks of an image by itself, before its sources are extracted.

    Parameters
    ----------
    data
        (ny, nx) Jy/beam — pixels, NaN where they are missing.
    rms
        Jy/beam — noise of the central region; NaN if that region has no finite pixel.
    now
        Time of the check, UTC.
    off_sky
        Share of the pixels that have no position on the sky.
    """

    data: NDArray[Any]
    rms: float
    now: datetime
    off_sky: float = 0.0
    any_finite: bool = field(init=False)
    """Whether any pixel is finite. Computed once, since several checks need it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "any_finite", bool(np.isfinite(self.data).any()))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceInput(CheckInput):
    """The input of checks of the sources that were extracted from an image.

    Parameters
    ----------
    n_negative
        Number of negative sources at the detection threshold.
    n_sources
        Number of sources.
    n_beams
        Number of beam areas in the searched part of the image.
    """

    n_negative: int
    n_sources: int = 0
    n_beams: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EarlierInput(CheckInput):
    """The input of checks that compare an image with other images of the dataset.

    Parameters
    ----------
    rms
        Jy/beam — noise of the central region.
    pixel_hash
        Hash of the pixels; empty if it was not computed.
    key
        Group of images that the image is compared with.
    earlier
        Values of the accepted images of the dataset.
    following_rms
        (n,) Jy/beam — noise of the next images of the same group in the run, not checked yet.
    following_beams
        (n, 2) deg — major and minor axes of the beams of such images that have one.
    """

    rms: float
    pixel_hash: str
    key: HistoryKey
    earlier: AcceptedImages
    following_rms: Array = field(default_factory=lambda: np.empty(0))
    following_beams: Array = field(default_factory=lambda: np.empty((0, 2)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CatalogueInput(CheckInput):
    """The input of checks that compare the sources of an image with the running catalogue.

    Parameters
    ----------
    n_known
        Number of sources near an entry of the catalogue.
    n_new
        Number of other sources that pass the test of transient candidates: earlier images should have shown them.
    """

    n_known: int
    n_new: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CalibrationInput(CheckInput):
    """The input of checks of the calibration of an image.

    Parameters
    ----------
    calibration
        Calibration of the image.
    history
        Calibrations of the accepted images before it.
    key
        Band and Stokes parameter of the image, as the history has them.
    """

    calibration: ImageCalibration
    history: CalibrationHistory
    key: Hashable

    def recent(self, name: str) -> Array:
        """Return values of the images before it, as :meth:`~trap.calibration.history.CalibrationHistory.recent`."""
        return self.history.recent(self.key, name)


Input = TypeVar("Input", bound=CheckInput)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check(Generic[Input]):
    """A quality check: everything about it in one record.

    Parameters
    ----------
    name
        Name in reports and in the documentation.
    setting
        Name of the setting in ``[quality]`` that makes the check reject, warn, or be off.
    reason
        Reason that is recorded if the check rejects an image.
    fails_if
        Condition that fails the check, as Markdown for the table in docs/reference/images.md.
    function
        Function that checks an image.
    needs
        Conditions without which the check is skipped.

    Raises
    ------
    ValueError
        If there is no setting of that name.
    """

    name: str
    setting: str
    reason: RejectReason
    fails_if: str
    function: Callable[[Input], Verdict]
    needs: tuple[Callable[[Input], bool], ...] = ()

    def __post_init__(self) -> None:
        if self.setting not in QualityConfig.model_fields:
            msg = f"check {self.name}: there is no setting quality.{self.setting}"
            raise ValueError(msg)

    @property
    def default(self) -> Action:
        """Default value of the check's setting."""
        action: Action = QualityConfig.model_fields[self.setting].default
        return action

    def run(self, image: Input) -> Finding | None:
        """Check an image; None if the check is off or the image lacks a need.

        Parameters
        ----------
        image
            Input of the check.
        """
        action: Action = getattr(image.config.quality, self.setting)
        if action == "off" or not all(is_met(image) for is_met in self.needs):
            return None
        verdict = self.function(image)
        return Finding(
            check=self.name, reason=self.reason, passed=verdict.passed, comment=verdict.comment, action=action
        )


def has_values(image: ImageInput) -> bool:
    """Return whether any pixel is finite."""
    return image.any_finite


def has_beam(image: CheckInput) -> bool:
    """Return whether the header has a restoring beam."""
    return image.metadata.beam is not None


def has_noise(image: EarlierInput) -> bool:
    """Return whether the noise is known, which a source list without an image may lack."""
    return image.metadata.has_pixels or not np.isnan(image.rms)


def has_duration(image: CheckInput) -> bool:
    """Return whether the header has the duration of the observation."""
    return image.metadata.tau_time != 0


def is_stokes_i(image: CheckInput) -> bool:
    """Return whether the image is of Stokes I, where all sources are positive."""
    return image.metadata.stokes == 1
