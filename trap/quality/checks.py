"""All checks of an image, in the order in which the first that fails is recorded.

First those of TraP in its order, then those beyond.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trap.quality import beams, bright, dates, history, lofar, negative, pixels
from trap.quality.reasons import Finding, RejectReason, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from numpy.typing import NDArray

    from trap.config import PipelineConfig
    from trap.images.metadata import ImageMetadata
    from trap.quality.history import AcceptedImages, HistoryKey

__all__ = ["Look", "check_alone", "check_among_earlier", "check_sources"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Look:
    """One look at an image: all that its checks ask for.

    Parameters
    ----------
    data
        (ny, nx) Jy/beam — NaN where there is no value.
    rms
        Jy/beam — noise of the central region.
    metadata
        What the header says.
    config
        All settings.
    now
        When the image is looked at.
    """

    data: NDArray[Any]
    rms: float
    metadata: ImageMetadata
    config: PipelineConfig
    now: datetime


Check = tuple[str, str, RejectReason, "Callable[[Look], Verdict]"]
"""Name, setting that is its switch, reason, and the check."""


def check_alone(look: Look) -> tuple[Finding, ...]:
    """Check an image by itself, before its sources are known."""
    return tuple(_findings(_order(look), look))


def check_sources(n_negative: int, metadata: ImageMetadata, config: PipelineConfig) -> tuple[Finding, ...]:
    """Check what was found in an image; in other Stokes parameters than I sources may be negative."""
    if metadata.stokes != 1 or config.quality.check_negative == "off":
        return ()
    verdict = negative.check_negative(n_negative, config.quality)
    return (_finding("negative", "check_negative", RejectReason.NEGATIVE, verdict, config),)


def check_among_earlier(
    metadata: ImageMetadata,
    *,
    rms: float,
    pixel_hash: str,
    key: HistoryKey,
    earlier: AcceptedImages,
    config: PipelineConfig,
) -> tuple[Finding, ...]:
    """Compare an image with the accepted ones before it.

    Parameters
    ----------
    rms
        Jy/beam — noise of the central region.
    pixel_hash
        Of its pixels; may be empty.
    key
        Which images it is compared with.
    earlier
        Those images.
    """
    settings = config.quality
    verdicts = [
        ("rms_history", RejectReason.RMS, history.check_rms_history(rms, earlier.rms(key), settings)),
        (
            "frequency_jump",
            RejectReason.FREQUENCY_JUMP,
            history.check_frequency_jump(
                metadata.freq_eff, earlier.since_new_band(key.telescope), settings, is_new=key.band < 0
            ),
        ),
        ("repeated", RejectReason.REPEATED, history.check_repeated(earlier.holder_of(pixel_hash))),
    ]
    if metadata.beam is not None:
        jump = history.check_beam_jump(metadata.beam, earlier.beams(key), settings)
        verdicts.insert(1, ("beam_jump", RejectReason.BEAM_JUMP, jump))
    return tuple(
        _finding(name, f"check_{name}", reason, verdict, config)
        for name, reason, verdict in verdicts
        if getattr(settings, f"check_{name}") != "off"
    )


def _order(look: Look) -> list[Check]:
    """The checks that can be made of this image; TraP looks at LOFAR's more closely, and in another order."""
    order: list[Check] = [
        ("flat", "check_flat", RejectReason.FLAT, _flat),
        ("nan", "check_nan", RejectReason.NAN, _nan),
    ]
    has_values = bool(np.isfinite(look.data).any())
    rms, beam = ("rms", "check_rms", RejectReason.RMS, _rms), ("beam", "check_beam", RejectReason.BEAM, _beam)
    bright_source = ("bright_source", "check_bright_source", RejectReason.BRIGHT_SOURCE, _bright)
    if look.metadata.lofar is not None:
        order.append(("tau_time", "check_lofar", RejectReason.TAU_TIME, _tau_time))
        if has_values and look.metadata.tau_time:
            order.append(("lofar_noise", "check_lofar", RejectReason.RMS, _lofar_noise))
        order += [beam, bright_source, *([rms] if has_values else [])]
    else:
        elsewhere = ("bright_source", "check_bright_source_elsewhere", RejectReason.BRIGHT_SOURCE, _bright)
        order += [*([rms] if has_values else []), beam, elsewhere]
    if has_values:
        order += [("psf", "check_psf", RejectReason.POINT_SPREAD, _psf)] if look.metadata.beam is not None else []
        order.append(("asymmetry", "check_asymmetry", RejectReason.NOT_GAUSSIAN, _asymmetry))
    order += [("date", "check_date", RejectReason.DATE, _date), ("stale", "check_stale", RejectReason.DATE, _stale)]
    return order


def _findings(order: list[Check], look: Look) -> Iterator[Finding]:
    for name, setting, reason, check in order:
        if getattr(look.config.quality, setting) != "off":
            yield _finding(name, setting, reason, check(look), look.config)


def _finding(name: str, setting: str, reason: RejectReason, verdict: Verdict, config: PipelineConfig) -> Finding:
    action = getattr(config.quality, setting)
    return Finding(check=name, reason=reason, passed=verdict.passed, comment=verdict.comment, action=action)


def _flat(look: Look) -> Verdict:
    return pixels.check_flat(look.data)


def _nan(look: Look) -> Verdict:
    return pixels.check_nan(look.data, look.config.quality)


def _rms(look: Look) -> Verdict:
    return pixels.check_rms(look.rms, look.config.quality)


def _beam(look: Look) -> Verdict:
    return beams.check_beam(look.metadata, look.config.quality)


def _tau_time(look: Look) -> Verdict:
    return lofar.check_tau_time(look.metadata)


def _lofar_noise(look: Look) -> Verdict:
    return lofar.check_noise(look.rms, look.metadata, look.config.quality_lofar)


def _bright(look: Look) -> Verdict:
    place, settings = look.metadata, look.config
    return bright.check_bright_source(
        place.centre_ra,
        place.centre_dec,
        place.taustart_ts,
        names=settings.quality.bright_sources,
        min_separation=settings.quality_lofar.min_separation,
    )


def _psf(look: Look) -> Verdict:
    metadata = look.metadata
    if metadata.beam is None:
        return Verdict(True, "no beam")
    return pixels.check_psf(look.data, 2 * metadata.beam.semi_axes_pixels(metadata.deltax, metadata.deltay)[0])


def _asymmetry(look: Look) -> Verdict:
    place = look.metadata
    area = 1.0 if place.beam is None else place.beam.area_pixels(place.deltax, place.deltay)
    return pixels.check_asymmetry(look.data, look.config.quality, beam_area_pix=area)


def _date(look: Look) -> Verdict:
    return dates.check_date(look.metadata.taustart_ts)


def _stale(look: Look) -> Verdict:
    return dates.check_stale(look.metadata.taustart_ts, look.now, look.config.quality.max_age_days)
