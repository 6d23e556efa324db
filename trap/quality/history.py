"""What the accepted images of a dataset were like, and whether a new one is like them.

Every band, Stokes parameter and telescope has a history of its own. It holds neither the image itself nor
rejected images, unlike TraP's, so that a run of bad ones does not become the norm.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from trap.quality.reasons import Verdict

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

    from trap.config import QualityConfig
    from trap.images.beam import Beam

__all__ = [
    "AcceptedImages",
    "HistoryKey",
    "check_beam_jump",
    "check_frequency_jump",
    "check_repeated",
    "check_rms_history",
]


class HistoryKey(NamedTuple):
    """Images that are compared with each other; the band is its number in the survey, -1 where it is in none."""

    band: int
    stokes: int
    telescope: str


@dataclass(slots=True)
class AcceptedImages:
    """Figures of the images of a dataset that were accepted, the latest last.

    Parameters
    ----------
    config
        How many of them count.
    """

    config: QualityConfig
    _rms: dict[HistoryKey, deque[float]] = field(default_factory=dict)
    _beams: dict[HistoryKey, deque[tuple[float, float]]] = field(default_factory=dict)
    _pixels: dict[str, str] = field(default_factory=dict)
    _since_new_band: dict[str, int] = field(default_factory=dict)

    def remember(
        self, key: HistoryKey, *, rms: float, beam: Beam | None, pixel_hash: str, url: str, start: datetime
    ) -> None:
        """Add an accepted image, the latest of all."""
        is_new = key not in self._rms
        self._since_new_band[key.telescope] = 0 if is_new else self._since_new_band.get(key.telescope, 0) + 1
        self._rms.setdefault(key, deque(maxlen=self.config.rms_est_history)).append(rms)
        if beam is not None:
            beams = self._beams.setdefault(key, deque(maxlen=self.config.rms_est_history))
            beams.append((beam.bmaj, beam.bmin))
        if pixel_hash:
            self._pixels.setdefault(pixel_hash, f"{url} of {start:%Y-%m-%d %H:%M:%S}")

    def rms(self, key: HistoryKey) -> NDArray[np.float64]:
        """(n,) Jy/beam — noise of the latest images."""
        return np.array(self._rms.get(key, ()), float)

    def beams(self, key: HistoryKey) -> NDArray[np.float64]:
        """(n, 2) deg — axes of the beams of the latest images."""
        return np.array(self._beams.get(key, ()), float).reshape(-1, 2)

    def since_new_band(self, telescope: str) -> int:
        """Images of a telescope since the last that was the first of its band."""
        return self._since_new_band.get(telescope, 0)

    def holder_of(self, pixel_hash: str) -> str | None:
        """The first image with these pixels, for people."""
        return self._pixels.get(pixel_hash)


def check_rms_history(rms: float, history: NDArray[np.float64], config: QualityConfig) -> Verdict:
    """Compare the noise of an image with that of the images before it.

    Parameters
    ----------
    rms
        Jy/beam — noise of the image.
    history
        (n,) Jy/beam — noise of the accepted images, the latest last. The ``rms_est_history`` latest are used;
        with fewer, nothing is rejected.
    """
    if history.size < config.rms_est_history:
        return Verdict(True, f"{history.size} earlier images, {config.rms_est_history} needed")
    latest = history[-config.rms_est_history :]
    mean, spread = float(latest.mean()), float(latest.std())
    # The last term is rounding: a history of equal values must accept that value.
    passed = abs(rms - mean) <= config.rms_rej_sigma * spread + 1e-9 * mean
    limit = f"{config.rms_rej_sigma:g} x {spread:g}"
    comment = f"within {limit} of the mean {mean:g} of the last {latest.size} images (Jy/beam)"
    return Verdict(passed, f"RMS value {rms:g} {comment if passed else 'not ' + comment}")


def check_beam_jump(beam: Beam, history: NDArray[np.float64], config: QualityConfig) -> Verdict:
    """Compare the axes of the beam with the median of those of the images before it.

    Parameters
    ----------
    history
        (n, 2) deg — major and minor axes of the accepted images.
    """
    if len(history) < config.jump_history:
        return Verdict(True, f"{len(history)} earlier images, {config.jump_history} needed")
    usual = np.median(history, axis=0)
    ratios = np.array([beam.bmaj, beam.bmin]) / usual
    comment = (
        f"beam {beam.bmaj * 3600:.4g} × {beam.bmin * 3600:.4g} arcsec, the median of {len(history)} earlier ones "
        f"{usual[0] * 3600:.4g} × {usual[1] * 3600:.4g}"
    )
    return Verdict(bool(np.maximum(ratios, 1 / ratios).max() <= config.beam_jump), comment)


def check_frequency_jump(freq_eff: float, since_new_band: int, config: QualityConfig, *, is_new: bool) -> Verdict:
    """See whether an image makes a new band long after the bands of its telescope were all known.

    A wrong frequency in a header parts a light curve in two.

    Parameters
    ----------
    freq_eff
        Hz
    since_new_band
        Accepted images of the telescope since its last new band.
    is_new
        Whether the frequency is in no band.
    """
    frequency = f"{freq_eff / 1e6:.6g} MHz"
    if not is_new:
        return Verdict(True, f"{frequency} is in a known band")
    comment = f"{frequency} is in no band, {since_new_band} images after the last new one"
    return Verdict(since_new_band < config.jump_history, comment)


def check_repeated(holder: str | None) -> Verdict:
    """See whether the pixels are those of an earlier image, which differs in its header."""
    if holder is None:
        return Verdict(True, "no earlier image has the same pixels")
    return Verdict(False, f"the same pixels as {holder}")
