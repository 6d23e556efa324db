"""The settings of a simulated survey."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from trap.errors import ConfigError
from trap.images.beam import Beam

__all__ = ["SurveyConfig"]

_MAX_MODULATION = 0.5
_LIMITS = {
    "n_timesteps": (1, 100_000), "n_bands": (1, 1000), "size": (32, 32_768), "n_variables": (0, 100_000),
    "n_transients": (0, 100_000), "n_close_pairs": (0, 100_000), "n_steady": (0, 1_000_000), "seed": (0, 2**63 - 1),
    "rms": (0, 1e6), "flux_scale_jitter": (0, 1), "astrometric_jitter_arcsec": (0, 3600),
}  # fmt: skip


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
        Frequency of the first band, distance to the next band, and width of each band.
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
    n_close_pairs, close_pair_beams
        Number of steady sources that have a close companion, and its distance in beam widths.
    min_separation_beams
        Minimum distance between any two sources, companions excepted, in beam widths.
    flux_scale_jitter
        Standard deviation of the relative error of the flux scale. All images of a timestep share
        the error.
    astrometric_jitter_arcsec
        Standard deviation, along each axis, of a shift of the sky. All images of a timestep share
        the shift.

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
    bandwidth_hz: float = 0.1e9
    counts: Literal["hopkins2003", "mandal2021"] = "hopkins2003"
    steady_sigma: tuple[float, float] = (3.0, 1000.0)
    n_steady: int | None = None
    n_variables: int = 6
    variable_sigma: tuple[float, float] = (25.0, 100.0)
    modulation: tuple[float, float] = (0.35, 0.5)
    n_transients: int = 6
    transient_sigma: tuple[float, float] = (10.0, 60.0)
    n_close_pairs: int = 0
    close_pair_beams: float = 1.5
    min_separation_beams: float = 3.0
    flux_scale_jitter: float = 0.0
    astrometric_jitter_arcsec: float = 0.0

    def __post_init__(self) -> None:
        _check_numbers(self)
        for name in ("pixel_scale_arcsec", "beam_fwhm_pix", "rms", "cadence_seconds", "frequency_hz", "bandwidth_hz"):
            if not getattr(self, name) > 0:
                msg = f"{name} must be positive, got {getattr(self, name)}"
                raise ConfigError(msg)
        for name in ("steady_sigma", "variable_sigma", "modulation", "transient_sigma"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                msg = f"{name} must be a range of positive numbers, got {low} to {high}"
                raise ConfigError(msg)
        if self.modulation[1] > _MAX_MODULATION:
            msg = f"modulation must not exceed {_MAX_MODULATION}, so that variables stay positive: {self.modulation[1]}"
            raise ConfigError(msg)
        if self.beam_axis_ratio < 1:
            msg = f"beam_axis_ratio is the longer axis over the shorter, at least 1, got {self.beam_axis_ratio}"
            raise ConfigError(msg)

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
    def area_sr(self) -> float:
        """Solid angle of the field."""
        return math.radians(self.size * self.pixel_scale) ** 2


def _check_numbers(config: SurveyConfig) -> None:
    """Reject numbers of timesteps, bands, pixels and sources that are too small or too large, and NaN."""
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
