"""The settings of quality control: limits, and the effect of each check on an image that fails it."""

from typing import Annotated, Literal

from pydantic import Field

from trap.config.sections import MAX_COUNT, MAX_NUMBER, Count, NotNegative, Positive, Settings

__all__ = ["Action", "QualityConfig", "QualityLofarConfig"]

Action = Literal["reject", "warn", "off"]
Factor = Annotated[float, Field(gt=1, le=MAX_NUMBER)]
Share = Annotated[float, Field(ge=0, le=1)]
Sky = Literal["CasA", "CygA", "TauA", "HerA", "VirA", "Sun", "Jupiter", "Moon"]


class QualityConfig(Settings):
    """Which images are searched for sources.

    Each `check_…` has one of three effects: `"reject"` leaves an image out that fails the check, `"warn"` records the
    failure and uses the image, and `"off"` leaves the check out.
    """

    rms_est_history: Annotated[int, Field(ge=2, le=MAX_COUNT)] = 100
    """Number of earlier images that an image is compared with: the latest accepted ones of the same band, Stokes
    parameter and telescope. With fewer than ten of them, the next images of the run are added, up to ten."""
    min_history: Annotated[int, Field(ge=2, le=MAX_COUNT)] = 5
    """Least number of such images; with fewer, noise and beam of an image are not compared. A median of five images is
    right even if two of them are bad. A number above rms_est_history counts as that number."""
    rms_est_max: Positive = 100.0
    """Upper limit of the noise, in Jy/beam. A larger value accepts noisier images."""
    rms_est_min: NotNegative = 0.0
    """Lower limit of the noise, in Jy/beam; images whose noise is equal to it are rejected too."""
    rms_rej_sigma: Positive = 3.0
    """Largest difference between the logarithm of an image's noise and the median of the other images, in standard
    deviations, which follow from the median absolute deviation. A larger value accepts more images."""
    rms_rej_factor: Annotated[float, Field(ge=1, le=MAX_NUMBER)] = 4.0
    """Factor from that median up to which any noise is accepted. Noise varies with elevation, time and depth, and the
    deviation of a few images can be small by chance. 1 relies on rms_rej_sigma alone."""
    oversampled_x: Positive = 30.0
    """Largest semi-axis of the beam (half width at half maximum), in pixels."""
    undersampled_x: NotNegative = 1.2
    """Smallest full width at half maximum of the beam's minor axis, in pixels. A narrower beam cannot be fitted: a
    source between two pixels loses its flux."""
    undersampled_warn: NotNegative = 2.0
    """Full width at half maximum of the minor axis, in pixels, below which check_beam_shape fails. The flux density of
    a source then depends on its position between the pixels."""
    elliptical_x: Annotated[float, Field(ge=1, le=MAX_NUMBER)] = 10.0
    """Largest axis ratio of the beam. 1 accepts circular beams only. Beams of east-west arrays and of low elevations
    reach 5; fits are right up to the default."""
    elliptical_warn: Annotated[float, Field(ge=1, le=MAX_NUMBER)] = 3.0
    """Axis ratio of the beam above which check_beam_shape fails, since sources along the major axis blend."""
    max_nan_share: Share = 0.99
    """Largest fraction of pixels without a value, from 0 to 1."""
    max_off_sky: Share = 0.25
    """Largest fraction of pixels off the sky, from 0 to 1. In an image of the whole sky it is a fifth: the corners."""
    max_asymmetry: Factor = 1.3
    """Largest ratio between the noise above and the noise below the median, the larger over the smaller. Gaussian noise
    has 1. The limit is wider for small images, where chance alone makes a difference."""
    max_negative: Count = 10
    """Largest number of negative sources at the detection threshold, in an image of Stokes I."""
    beam_jump: Factor = 1.5
    """Largest factor between a beam axis and its median in the other images of the same band, Stokes parameter and
    telescope."""
    jump_history: Annotated[int, Field(ge=1, le=MAX_COUNT)] = 10
    """Number of accepted images after the last new band from which on another new band is reported. It is larger than
    min_history, since the bands of a good survey may start one after the other."""
    max_source_density: Positive = 0.1
    """Largest number of sources in a beam area, over the searched part of an image with more than 30 sources. Fields at
    the limit of confusion show one source in 20 to 30 beam areas. Noise that is not Gaussian shows more."""
    max_new_sources: Count = 20
    """Largest number of new sources in one image that earlier images should have shown, where the catalogue has
    sources. In an image of more than 400 sources, a twentieth may be new. More are artefacts, or the image is wrong."""
    max_new_share: Share = 0.5
    """Largest share of such new sources among all sources of the image that earlier images should have shown, from 0 to
    1. The sources of a wrongly calibrated or displaced image have no counterparts. Fewer than five new sources are
    always accepted."""
    gain_jump: Factor = 1.2
    """Factor between the gain of an image and the median of earlier images up to which any gain is accepted. If the
    gains of earlier images vary, larger differences are accepted too, up to five of their standard deviations."""
    position_scatter_jump: Factor = 2.0
    """Factor, as in gain_jump, for the scatter of the calibrators' positions after their correction, and the median of
    this scatter in earlier images."""
    smearing_jump: Factor = 1.05
    """Factor, as in gain_jump, for the ratio of integrated flux density to highest pixel of the calibrators, and the
    median of this ratio in earlier images."""
    max_patch_gain: Annotated[float, Field(gt=0, le=MAX_NUMBER)] = 0.1
    """Largest relative difference between the flux densities of a part of the field and the rest, against the
    reference. A part is a tenth to a third of the calibrators."""
    bright_sources: tuple[Sky, ...] = ("CasA", "CygA", "TauA", "HerA", "VirA", "Sun", "Jupiter")
    """Sources that must be farther from an image than quality_lofar.min_separation. The Moon can be added. An empty
    list checks none."""
    max_age_days: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    """Largest time, in days, since the start of an image, for live observations. Older images fail check_stale. 0 sets
    no limit."""
    max_future_days: Annotated[float, Field(ge=0, le=1e6)] = 1.0
    """Largest time, in days, by which an image may start after the present time of this machine. Later images fail
    check_date: after an image of the future, all others would be late. The default allows for wrong clocks and time
    zones."""
    check_flat: Action = "reject"
    """Effect on images whose pixels all have the same value."""
    check_nan: Action = "reject"
    """Effect on images without any value, or with a larger fraction of pixels without one than max_nan_share."""
    check_off_sky: Action = "warn"
    """Effect on images with a larger fraction of pixels off the sky than max_off_sky."""
    check_rms: Action = "reject"
    """Effect on images whose noise is not between rms_est_min and rms_est_max."""
    check_beam: Action = "reject"
    """Effect on images without a beam, or with a beam that is undersampled, oversampled or too elliptical."""
    check_beam_shape: Action = "warn"
    """Effect on images whose beam is narrower than undersampled_warn, or longer than elliptical_warn allows."""
    check_rms_history: Action = "reject"
    """Effect on images whose noise differs too much from other images (rms_rej_sigma, rms_rej_factor)."""
    check_lofar: Action = "reject"
    """Effect on LOFAR images without a duration, or whose noise is outside the limits of quality_lofar."""
    check_bright_source: Action = "reject"
    """Effect on LOFAR images near one of bright_sources."""
    check_bright_source_elsewhere: Action = "warn"
    """Effect on images of other telescopes near one of bright_sources."""
    check_psf: Action = "reject"
    """Effect on images of a point-spread function instead of the sky."""
    check_date: Action = "reject"
    """Effect on images that start before 1931, when radio astronomy began."""
    check_stale: Action = "warn"
    """Effect on images that start in the future, or earlier than max_age_days ago."""
    check_asymmetry: Action = "warn"
    """Effect on images whose noise is not Gaussian (max_asymmetry)."""
    check_negative: Action = "warn"
    """Effect on images with more negative sources than max_negative."""
    check_crowding: Action = "warn"
    """Effect on images with more sources than a sky can show (max_source_density). Where the catalogue has too few
    sources for check_new_sources, also on images with more than max_new_sources new ones, if these are ten times the
    known ones."""
    check_beam_jump: Action = "warn"
    """Effect on images whose beam differs too much from other images (beam_jump)."""
    check_new_sources: Action = "reject"
    """Effect on images with too many new sources (max_new_sources, max_new_share). If it is "warn", these become
    transient candidates."""
    check_frequency_jump: Action = "warn"
    """Effect on images outside all bands, at least jump_history images after the last new band of the telescope."""
    check_repeated: Action = "warn"
    """Effect on images with the pixels of an earlier image, but another header."""
    check_gain: Action = "warn"
    """Effect on images whose gain is far off the gains of earlier images (gain_jump)."""
    check_position_scatter: Action = "warn"
    """Effect on images where the positions of calibrators scatter more than in earlier ones (position_scatter_jump)."""
    check_smearing: Action = "warn"
    """Effect on images whose compact sources are more or less extended than in earlier ones (smearing_jump)."""
    check_patch: Action = "warn"
    """Effect on images where a part of the field is brighter or fainter than the rest (max_patch_gain)."""


class QualityLofarConfig(Settings):
    """Limits for images whose headers name their LOFAR stations, and the distance to bright sources."""

    low_bound: NotNegative = 1.0
    """Smallest noise, in units of the theoretical noise."""
    high_bound: Positive = 80.0
    """Largest noise, in units of the theoretical noise."""
    min_separation: NotNegative = 10.0
    """Smallest distance to one of quality.bright_sources, in deg, for images of any telescope. 0 accepts any
    distance."""
