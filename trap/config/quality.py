"""The settings of quality control: limits, and what becomes of an image that a check speaks against."""

from typing import Annotated, Literal

from pydantic import Field

from trap.config.sections import Count, NotNegative, Positive, Settings

__all__ = ["Action", "QualityConfig", "QualityLofarConfig"]

Action = Literal["reject", "warn", "off"]
Factor = Annotated[float, Field(gt=1, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Sky = Literal["CasA", "CygA", "TauA", "HerA", "VirA", "Sun", "Jupiter", "Moon"]


class QualityConfig(Settings):
    """Which images are good enough to be searched; each check rejects, warns, or is off."""

    rms_est_history: Annotated[int, Field(ge=2)] = 100
    """Number of latest accepted images of a band and telescope that a new image's noise is compared with."""
    rms_est_max: Positive = 100.0
    """Largest acceptable noise, in Jy/beam."""
    rms_est_min: NotNegative = 0.0
    """Noise must be larger than this, in Jy/beam."""
    rms_rej_sigma: Positive = 3.0
    """Noise this many standard deviations off the history rejects an image."""
    oversampled_x: Positive = 30.0
    """Largest acceptable beam semi-axis, in pixels."""
    elliptical_x: Annotated[float, Field(ge=1)] = 2.0
    """Largest acceptable axis ratio of the beam."""
    max_nan_share: Share = 0.99
    """Largest acceptable share of pixels without a value."""
    max_asymmetry: Factor = 1.3
    """Largest acceptable ratio of the noise above the median to that below it, or the other way round."""
    max_negative: Count = 10
    """Largest acceptable number of negative sources at the detection threshold, in an image of Stokes I."""
    beam_jump: Factor = 1.5
    """A beam axis that differs by this factor from the median of the band and telescope is a jump."""
    jump_history: Annotated[int, Field(ge=1)] = 10
    """Number of accepted images from which on jumps of beam and frequency are noticed."""
    bright_sources: tuple[Sky, ...] = ("CasA", "CygA", "TauA", "HerA", "VirA", "Sun", "Jupiter")
    """What no image may be near to; Moon can be added."""
    max_age_days: NotNegative = 0.0
    """Images that started longer ago than this are stale, for live observations; 0 takes images of any age."""
    check_flat: Action = "reject"
    """All pixels are the same."""
    check_nan: Action = "reject"
    """No pixel, or too few, have a value."""
    check_rms: Action = "reject"
    """The noise is outside its limits."""
    check_beam: Action = "reject"
    """There is no beam, or it is undersampled, oversampled or too elliptical."""
    check_rms_history: Action = "reject"
    """The noise is far from that of earlier images."""
    check_lofar: Action = "reject"
    """LOFAR: no duration, or noise far from theory."""
    check_bright_source: Action = "reject"
    """LOFAR: a bright source is near."""
    check_bright_source_elsewhere: Action = "warn"
    """The same with any other telescope."""
    check_psf: Action = "reject"
    """It is a point-spread function, not the sky."""
    check_date: Action = "reject"
    """It was taken before there was radio astronomy."""
    check_stale: Action = "warn"
    """It starts in the future, or too long ago."""
    check_asymmetry: Action = "warn"
    """The noise is not Gaussian: too different above and below the median."""
    check_negative: Action = "warn"
    """There are too many negative sources."""
    check_beam_jump: Action = "warn"
    """The beam is unlike that of earlier images."""
    check_frequency_jump: Action = "warn"
    """The frequency is in no band, long after the last new one."""
    check_repeated: Action = "warn"
    """The pixels are those of an earlier image under another date."""


class QualityLofarConfig(Settings):
    """Checks of images that say which LOFAR stations made them."""

    low_bound: NotNegative = 1.0
    """Smallest acceptable noise, in units of the theoretical one."""
    high_bound: Positive = 80.0
    """Largest acceptable noise, in units of the theoretical one."""
    min_separation: NotNegative = 10.0
    """Smallest acceptable distance to a bright source, with any telescope, in deg."""
