"""Settings of the calibration of images against the running catalogue or a reference catalogue."""

from typing import Annotated, Literal

from pydantic import Field

from trap.config.sections import NotNegative, Positive, Settings

__all__ = ["CalibrationConfig", "CalibrationMode"]

CalibrationMode = Literal["off", "measure", "apply"]
MIN_MATCHES = 3
"""Least number of calibrators with a scatter: two agree with any shift of their own."""


class CalibrationConfig(Settings):
    """How the positions and the flux scale of each image are calibrated on its sources."""

    positions: CalibrationMode = "apply"
    """Correction of positions: `"apply"` corrects the sources of images with a significant displacement, `"measure"`
    stores the displacement and corrects nothing, `"off"` measures nothing. Pixels are never changed."""
    flux_scale: CalibrationMode = "apply"
    """Correction of flux densities by the gain of an image: `"apply"`, `"measure"` or `"off"`, as for positions."""
    flux_offset: bool = False
    """Whether an offset of the flux densities is fitted as well as the gain. An offset has seldom a physical cause, and
    faint sources decide it."""
    position_model: Literal["shift", "affine", "field"] = "field"
    """Most flexible model of the displacement that may be chosen: one shift for the image, an affine one (shift,
    scale, rotation and shear), or a smooth field. The simplest model that explains the sources is taken."""
    min_matches: Annotated[int, Field(ge=MIN_MATCHES, le=1_000_000)] = 5
    """Least number of matched calibrators; with fewer, nothing is measured. An affine model takes twice as many, a
    field six times as many."""
    min_signal_to_noise: Positive = 10.0
    """Least signal-to-noise ratio of a calibrator. A larger value uses fewer and brighter sources."""
    isolation_beams: NotNegative = 2.5
    """Least distance of a calibrator from all other sources, in beam widths. A larger value uses fewer sources."""
    significance: Positive = 4.0
    """Least significance of a gain or a displacement that is applied, in σ, while the earlier images of the band do
    not vary. Once they vary, every measured image is corrected."""
