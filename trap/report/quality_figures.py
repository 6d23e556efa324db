"""The quality figures of an image that was processed, next to their limits and settings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from trap.report.text import MISSING, number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trap.config import PipelineConfig
    from trap.config.quality import QualityConfig

__all__ = ["QualityFigure", "quality_figures"]

OTHERS = "of the images of the same band"
NOT_STORED = "not stored; transients inspect measures it"


class QualityFigure(NamedTuple):
    """A check of an image.

    Parameters
    ----------
    check
        Name of the check, as in docs/reference/images.md.
    value
        Measured value, as text; a dash if it is unknown.
    limit
        Limit, as text.
    setting
        Setting of the check and its value: the effect of a failure.
    verdict
        "passed", "failed", or empty if it depends on other images, or the value is unknown.
    """

    check: str
    value: str
    limit: str
    setting: str
    verdict: str = ""


def quality_figures(
    image: Mapping[str, Any], calibration: Mapping[str, Any], config: PipelineConfig
) -> list[QualityFigure]:
    """List the checks of an image with the values that the database holds.

    Parameters
    ----------
    image
        Row of the result table ``images``.
    calibration
        Row of table ``calibration``; empty without one.
    config
        Settings of the dataset.
    """
    quality = config.quality
    rows = [*_noise(image, quality), *_beam(image, quality), *_sources(image, quality)]
    rows += _calibration(calibration, quality)
    limits = (
        ("nan", f"at most {quality.max_nan_share:.0%} of the pixels without a value"),
        ("off_sky", f"at most {quality.max_off_sky:.0%} of the pixels off the sky"),
        ("asymmetry", f"noise above and below the median within a factor of {quality.max_asymmetry:g}"),
        ("flat", "pixels that differ"),
        ("psf", "no point-spread function"),
        ("date", f"at most {quality.max_future_days:g} days in the future"),
        (
            "bright_source",
            f"{config.quality_lofar.min_separation:g}° from {', '.join(quality.bright_sources) or 'none'}",
        ),
    )
    rows += [QualityFigure(name, NOT_STORED, limit, _setting(quality, name)) for name, limit in limits]
    return rows


def _setting(quality: QualityConfig, name: str) -> str:
    return f"quality.check_{name} = {getattr(quality, f'check_{name}')}"


def _verdict(passes: bool, *values: float) -> str:  # noqa: FBT001 (a comparison)
    if not all(map(math.isfinite, values)):
        return ""
    return "passed" if passes else "failed"


def _noise(image: Mapping[str, Any], quality: QualityConfig) -> Iterator[QualityFigure]:
    rms = _value(image, "rms_qc")
    shown = f"{number(1e3 * rms)} mJy/beam"
    passes = quality.rms_est_min < rms < quality.rms_est_max
    limit = f"{1e3 * quality.rms_est_min:g} to {1e3 * quality.rms_est_max:g} mJy/beam"
    yield QualityFigure("rms", shown, limit, _setting(quality, "rms"), _verdict(passes, rms))
    factor = f"within a factor of {quality.rms_rej_factor:g}, or {quality.rms_rej_sigma:g} σ, of the median {OTHERS}"
    yield QualityFigure("rms_history", shown, factor, _setting(quality, "rms_history"))


def _beam(image: Mapping[str, Any], quality: QualityConfig) -> Iterator[QualityFigure]:
    """List the checks of the beam, whose axes are in pixels."""
    step = abs(_value(image, "deltay"))
    longest, width = (_value(image, name) / step if step else math.nan for name in ("rb_smaj", "rb_smin"))
    width *= 2
    ratio = 2 * longest / width if width else math.nan
    shown = f"half width {number(longest, 3)} pix, minor axis {number(width, 3)} pix, axis ratio {number(ratio, 3)}"
    passes = width >= quality.undersampled_x and longest <= quality.oversampled_x and ratio <= quality.elliptical_x
    limit = (
        f"half width at most {quality.oversampled_x:g} pix, minor axis at least {quality.undersampled_x:g} pix, "
        f"ratio at most {quality.elliptical_x:g}"
    )
    yield QualityFigure("beam", shown, limit, _setting(quality, "beam"), _verdict(passes, longest, width))
    passes = width >= quality.undersampled_warn and ratio <= quality.elliptical_warn
    limit = f"minor axis at least {quality.undersampled_warn:g} pix, ratio at most {quality.elliptical_warn:g}"
    yield QualityFigure("beam_shape", shown, limit, _setting(quality, "beam_shape"), _verdict(passes, longest, width))
    limit = f"within a factor of {quality.beam_jump:g} of the median {OTHERS}"
    yield QualityFigure("beam_jump", shown, limit, _setting(quality, "beam_jump"))


def _sources(image: Mapping[str, Any], quality: QualityConfig) -> Iterator[QualityFigure]:
    """List the checks of the sources: of negative ones, and of their density."""
    n_negative, n_sources, n_beams = (_value(image, name) for name in ("n_negative", "n_sources", "n_beams"))
    is_checked = image["stokes"] == "I"
    verdict = _verdict(n_negative <= quality.max_negative, n_negative) if is_checked else ""
    limit = f"at most {quality.max_negative} below the negative threshold, in Stokes I"
    yield QualityFigure("negative", number(n_negative, 6), limit, _setting(quality, "negative"), verdict)
    density = n_sources / n_beams if n_beams > 0 else math.nan
    passes = density <= quality.max_source_density or n_sources <= 30
    limit = f"at most {quality.max_source_density:g} sources in a beam area"
    yield QualityFigure("crowding", number(density, 3), limit, _setting(quality, "crowding"), _verdict(passes, density))


def _calibration(calibration: Mapping[str, Any], quality: QualityConfig) -> Iterator[QualityFigure]:
    """List the checks of the calibration, of which three depend on earlier images."""
    names = (
        ("gain", "gain", quality.gain_jump, ""),
        ("position_scatter", "position_scatter", quality.position_scatter_jump, "″"),
        ("smearing", "compactness", quality.smearing_jump, ""),
    )
    for check, column, jump, unit in names:
        value = _value(calibration, column)
        limit = f"within a factor of {jump:g} of the median of earlier images"
        shown = number(value) + (unit if math.isfinite(value) else "")
        yield QualityFigure(check, shown, limit, _setting(quality, check))
    patch, snr = _value(calibration, "patch_gain"), _value(calibration, "patch_snr")
    shown = MISSING if not math.isfinite(patch) else f"{patch:.1%}, {number(snr, 2)} σ"
    limit = f"at most {quality.max_patch_gain:.0%} between a part of the field and the rest"
    # The check also asks for significance: a larger difference alone decides nothing.
    verdict = "passed" if math.isfinite(patch) and abs(patch) <= quality.max_patch_gain else ""
    yield QualityFigure("patch", shown, limit, _setting(quality, "patch"), verdict)


def _value(row: Mapping[str, Any], name: str) -> float:
    """Return a number of a row; NaN if it is missing or masked."""
    value = row.get(name)
    try:
        return math.nan if value is None else float(value)
    except (TypeError, ValueError):
        return math.nan
