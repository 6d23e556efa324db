"""The settings of a simulated survey."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from trap.errors import ConfigError
from trap.images.beam import Beam

__all__ = ["SurveyConfig"]

_MAX_MODULATION = 0.5
_MAX_WIDTH = 80.0
"""deg — width of the field. The corners of wider fields come close to the horizon of the projection."""
_MAX_BEAM = 0.25
"""Width of the beam as a share of the image's width."""
_BANDWIDTH = 0.1
"""Largest width of a band over its frequency, if the settings do not give the width."""
_LIMITS = {
    "n_timesteps": (1, 100_000), "n_bands": (1, 1000), "size": (32, 32_768), "n_variables": (0, 100_000),
    "n_transients": (0, 100_000), "n_close_pairs": (0, 100_000), "n_steady": (0, 1_000_000), "seed": (0, 2**63 - 1),
    "pixel_scale_arcsec": (1e-6, 3600), "beam_fwhm_pix": (0.5, 8192), "beam_axis_ratio": (1, 100),
    "beam_pa": (-360, 360), "centre_ra": (0, 360), "centre_dec": (-90, 90), "rms": (0, 1e6),
    "min_separation_beams": (0, 1000), "n_doubled": (0, 100_000), "doubled_at": (1, 100_000),
    "n_bright": (0, 1000), "bright_sigma": (1, 1e9), "sidelobe_level": (0, 1), "sidelobe_residual": (0, 1),
    "sidelobe_rings": (1, 100), "sidelobe_spokes": (0, 100), "sidelobe_spacing_beams": (2, 1000),
    "close_pair_ratio": (1, 1e6),
    "gain_scatter": (0, 1), "shift_arcsec": (0, 3600), "refraction_arcsec": (0, 3600), "decorrelation": (0, 0.45),
}  # fmt: skip
_POSITIVE = ("rms", "cadence_seconds", "frequency_hz", "band_spacing_hz", "bandwidth_hz")
_RANGES = (
    "steady_sigma", "variable_sigma", "modulation", "transient_sigma", "transient_distance_beams", "close_pair_beams",
    "close_pair_sigma",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyConfig:
    """Settings of a simulated survey: one field, imaged repeatedly in one or more bands.

    "Sigma" stands for the noise of an image: a source of 20 sigma has S/N 20.

    Parameters
    ----------
    seed
        Seed of all random numbers. The same seed gives the same bytes.
    n_timesteps, n_bands
        Number of timesteps, and of images in each timestep.
    size
        pix — width and height of an image.
    centre_ra, centre_dec
        deg — centre of the field. The default field straddles right ascension 0.
    pixel_scale_arcsec
        Size of a pixel.
    beam_fwhm_pix, beam_axis_ratio, beam_pa
        Restoring beam: geometric mean of its two full widths in pixels, ratio of the longer to the
        shorter width, and position angle in deg.
    rms
        Jy/beam — noise of every image.
    start, cadence_seconds, duration_seconds
        Start of the first timestep, time between the starts of two timesteps, and duration of one.
    frequency_hz, band_spacing_hz, bandwidth_hz
        Frequency of the first band, distance to the next band, and width of each band. None stands
        for half the distance, and at most a tenth of the frequency.
    counts
        Source counts from which the steady sources are drawn.
    steady_sigma
        Faintest and brightest steady source in the first band.
    n_steady
        Number of steady sources; None draws it from the counts.
    n_variables, variable_sigma, modulation
        Number of variables; range of their mean in their faintest band; range of their standard
        deviation over mean, at most 0.5.
    n_transients, transient_sigma
        Number of transients, and range of their peak in their brightest band.
    transient_distance_beams
        Range of the distances of transients from their nearest source, a steady one, in beam widths.
        None places transients like other sources.
    n_close_pairs, close_pair_beams
        Number of steady sources that have a close companion, and range of its distance in beam widths.
    close_pair_sigma, close_pair_ratio
        Faintest and brightest member of a close pair in the first band, and the largest ratio of the
        brighter to the fainter member. Both follow even distributions of the logarithm. None draws the members
        from the counts, like other steady sources.
    n_doubled, doubled_at
        Number of close pairs in which one member doubles its flux density, and the timestep from which
        on it is doubled; None stands for the middle. Doubled members are variables of the shape "doubled".
    min_separation_beams
        Minimum distance between any two sources in beam widths. Companions, and transients with a
        distance of their own, may be closer to their neighbour.
    n_bright, bright_sigma
        Number of bright steady sources, in addition to the others, and their flux density in the first band.
    sidelobe_level, sidelobe_spacing_beams, sidelobe_rings, sidelobe_spokes
        Rings of the point-spread function around each source: level of the first ring as a fraction of the
        peak, radius of the first ring and distance of the next ones in beam widths of the first band, at
        least 2, and their number. Negative rings lie between them. The level falls with the inverse of the radius.
        Spokes divide the rings into so many arcs, which rotate with the sky; 0 leaves the rings whole.
    sidelobe_residual
        Standard deviation, around zero, of the fraction of the sidelobes that is left in an image. Each image has its
        own fraction.
    gain_scatter
        Standard deviation of the gains, which are log-normal with a mean of 1. Each image, that is
        each band of a timestep, has its own gain. It scales the sources, and leaves the noise.
    shift_arcsec
        Standard deviation, along each axis, of a shift of the image in its plane. All images of a
        timestep share the shift.
    refraction_arcsec
        Standard deviation, along each axis, of a smooth field of displacements in the first band.
        Each timestep has its own field, which scales with ν⁻² from band to band.
    decorrelation
        Mean of the fraction by which the peaks of an image are lowered, at most 0.45. Each image has
        its own fraction, drawn evenly from 0 to twice the mean. Its sources are broadened, and their
        integrated flux densities stay.

    Raises
    ------
    ConfigError
        If a setting is out of range, or a combination of settings is impossible.
    """

    seed: int = 1
    n_timesteps: int = 24
    n_bands: int = 2
    size: int = 512
    centre_ra: float = 0.0
    centre_dec: float = 45.0
    pixel_scale_arcsec: float = 5.0
    beam_fwhm_pix: float = 5.0
    beam_axis_ratio: float = 1.2
    beam_pa: float = 30.0
    rms: float = 1e-4
    start: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    cadence_seconds: float = 3600.0
    duration_seconds: float = 600.0
    frequency_hz: float = 1.28e9
    band_spacing_hz: float = 0.2e9
    bandwidth_hz: float | None = None
    counts: Literal["hopkins2003", "mandal2021"] = "hopkins2003"
    steady_sigma: tuple[float, float] = (3.0, 1000.0)
    n_steady: int | None = None
    n_variables: int = 6
    variable_sigma: tuple[float, float] = (25.0, 100.0)
    modulation: tuple[float, float] = (0.35, 0.5)
    n_transients: int = 6
    transient_sigma: tuple[float, float] = (10.0, 60.0)
    transient_distance_beams: tuple[float, float] | None = None
    n_close_pairs: int = 0
    close_pair_beams: tuple[float, float] = (1.5, 1.5)
    close_pair_sigma: tuple[float, float] | None = None
    close_pair_ratio: float = 10.0
    n_doubled: int = 0
    doubled_at: int | None = None
    min_separation_beams: float = 3.0
    n_bright: int = 0
    bright_sigma: float = 1e4
    sidelobe_level: float = 0.0
    sidelobe_spacing_beams: float = 3.0
    sidelobe_rings: int = 8
    sidelobe_spokes: int = 6
    sidelobe_residual: float = 0.1
    gain_scatter: float = 0.0
    shift_arcsec: float = 0.0
    refraction_arcsec: float = 0.0
    decorrelation: float = 0.0

    def __post_init__(self) -> None:
        _check_numbers(self)
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                msg = f"{name} must be positive, got {value}"
                raise ConfigError(msg)
        for name in _RANGES:
            low, high = getattr(self, name) or (1.0, 1.0)
            if not 0 < low <= high < math.inf:
                msg = f"{name} must be a range of positive numbers, got {low} to {high}"
                raise ConfigError(msg)
        if self.modulation[1] > _MAX_MODULATION:
            msg = f"modulation must not exceed {_MAX_MODULATION}, so that variables stay positive: {self.modulation[1]}"
            raise ConfigError(msg)
        _check_pairs(self)
        _check_sizes(self)

    def with_beam(self, bmaj_arcsec: float, bmin_arcsec: float, bpa: float = 0.0) -> SurveyConfig:
        """Return the same settings with another restoring beam.

        Parameters
        ----------
        bmaj_arcsec, bmin_arcsec
            Full widths along the major and the minor axis.
        bpa
            deg — position angle of the major axis, north through east.

        Raises
        ------
        ConfigError
            If a width is not positive, the minor axis is the longer one, or the beam is too wide for the image.
        """
        if not (0 < bmin_arcsec <= bmaj_arcsec < math.inf and math.isfinite(bpa)):
            msg = (
                f"beam must have a major axis, a shorter minor axis and an angle, got {bmaj_arcsec} {bmin_arcsec} {bpa}"
            )
            raise ConfigError(msg)
        fwhm_pix = math.sqrt(bmaj_arcsec * bmin_arcsec) / self.pixel_scale_arcsec
        return replace(self, beam_fwhm_pix=fwhm_pix, beam_axis_ratio=bmaj_arcsec / bmin_arcsec, beam_pa=bpa)

    @property
    def pixel_scale(self) -> float:
        """Size of a pixel in deg."""
        return self.pixel_scale_arcsec / 3600

    @property
    def beam(self) -> Beam:
        """Restoring beam."""
        mean, stretch = self.beam_fwhm_pix * self.pixel_scale, math.sqrt(self.beam_axis_ratio)
        return Beam(bmaj=mean * stretch, bmin=mean / stretch, bpa=self.beam_pa)

    @property
    def frequencies_hz(self) -> tuple[float, ...]:
        """Frequencies of the bands."""
        return tuple(self.frequency_hz + band * self.band_spacing_hz for band in range(self.n_bands))

    @property
    def channel_hz(self) -> float:
        """Width of each band in Hz."""
        if self.bandwidth_hz is not None:
            return self.bandwidth_hz
        return min(self.band_spacing_hz / 2, _BANDWIDTH * self.frequency_hz)

    @property
    def doubling_timestep(self) -> int:
        """First timestep in which doubled members of close pairs are doubled."""
        return self.n_timesteps // 2 if self.doubled_at is None else self.doubled_at

    @property
    def has_displacements(self) -> bool:
        """Whether the images show the sources away from their true positions."""
        return self.shift_arcsec > 0 or self.refraction_arcsec > 0

    @property
    def area_sr(self) -> float:
        """Solid angle of the field."""
        return math.radians(self.size * self.pixel_scale) ** 2


def _check_numbers(config: SurveyConfig) -> None:
    """Reject numbers that are too small or too large, and NaN."""
    for name, (minimum, maximum) in _LIMITS.items():
        value = getattr(config, name)
        if value is not None and value < minimum:
            msg = f"{name} must be at least {minimum}, got {value}"
            raise ConfigError(msg)
        if value is not None and not value <= maximum:
            msg = f"{name} must be at most {maximum}, got {value}"
            raise ConfigError(msg)
    if config.n_timesteps == 1 and (config.n_transients or config.n_variables):
        msg = f"{config.n_transients} transients and {config.n_variables} variables need two timesteps or more"
        raise ConfigError(msg)


def _check_pairs(config: SurveyConfig) -> None:
    """Reject close pairs that cannot double, or that do not fit into the image."""
    if config.n_doubled > config.n_close_pairs:
        msg = f"n_doubled must be at most n_close_pairs, {config.n_close_pairs}, got {config.n_doubled}"
        raise ConfigError(msg)
    if config.n_doubled and not 1 <= config.doubling_timestep < config.n_timesteps:
        msg = (
            f"doubled_at must be a timestep from 1 to {config.n_timesteps - 1}, got {config.doubling_timestep}: "
            f"n_timesteps is {config.n_timesteps}"
        )
        raise ConfigError(msg)
    farthest = config.close_pair_beams[1] * config.beam_fwhm_pix
    if config.n_close_pairs and farthest > (config.size - 1) / 2:
        msg = (
            f"close_pair_beams must be at most half as wide as the image, got {config.close_pair_beams[1]:g} beams, "
            f"which are {farthest:g} of {config.size} pixels"
        )
        raise ConfigError(msg)


def _check_sizes(config: SurveyConfig) -> None:
    """Reject a field that does not fit into its projection, and a beam that does not fit into the field."""
    width = config.size * config.pixel_scale
    if width > _MAX_WIDTH:
        msg = (
            f"the field must be at most {_MAX_WIDTH:g} deg wide, got {width:g} deg: size {config.size} of "
            f"pixel_scale_arcsec {config.pixel_scale_arcsec}"
        )
        raise ConfigError(msg)
    if config.beam.bmaj > _MAX_BEAM * width:
        msg = (
            f"the beam must be at most a quarter as wide as the image, got {config.beam.bmaj * 3600:g} arcsec and an "
            f"image of {width * 3600:g} arcsec"
        )
        raise ConfigError(msg)
