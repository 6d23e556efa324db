"""Values of the accepted images of a dataset, with which new images are compared.

Every band, Stokes parameter and telescope has its own history. Unlike TraP's, it holds neither rejected images nor the
image that is compared: a series of bad images does not become the norm.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from datetime import datetime

    from trap.config import QualityConfig
    from trap.images.beam import Beam
    from trap.typing import Array

__all__ = ["AcceptedImages", "HistoryKey"]


class HistoryKey(NamedTuple):
    """A group of images that are compared with each other.

    Parameters
    ----------
    band
        Number of the band in the dataset; -1 for a frequency outside all bands.
    stokes
        FITS code of the Stokes parameter.
    telescope
        Name of the telescope; may be empty.
    """

    band: int
    stokes: int
    telescope: str


@dataclass(slots=True)
class AcceptedImages:
    """Values of the accepted images of a dataset, the latest last.

    Parameters
    ----------
    config
        Quality settings; ``rms_est_history`` is the number of images that are kept for each group.
    """

    config: QualityConfig
    _rms: dict[HistoryKey, deque[float]] = field(default_factory=dict)
    _beams: dict[HistoryKey, deque[tuple[float, float]]] = field(default_factory=dict)
    _pixels: dict[str, str] = field(default_factory=dict)
    _since_new_band: dict[str, int] = field(default_factory=dict)

    def remember(
        self, key: HistoryKey, *, rms: float, beam: Beam | None, pixel_hash: str, url: str, start: datetime
    ) -> None:
        """Add an accepted image as the latest one.

        Parameters
        ----------
        key
            Group of the image.
        rms
            Jy/beam — noise of its central region.
        beam
            Restoring beam, or None.
        pixel_hash
            Hash of its pixels; if empty, the image is not searched for repeated pixels.
        url
            Path or URL of the image.
        start
            Start of the observation, UTC.
        """
        is_new = key not in self._rms
        self._since_new_band[key.telescope] = 0 if is_new else self._since_new_band.get(key.telescope, 0) + 1
        self._rms.setdefault(key, deque(maxlen=self.config.rms_est_history)).append(rms)
        if beam is not None:
            beams = self._beams.setdefault(key, deque(maxlen=self.config.rms_est_history))
            beams.append((beam.bmaj, beam.bmin))
        if pixel_hash:
            self._pixels.setdefault(pixel_hash, f"{url} of {start:%Y-%m-%d %H:%M:%S}")

    def rms(self, key: HistoryKey) -> Array:
        """Return the noise, (n,) Jy/beam, of the latest images of a group."""
        return np.array(self._rms.get(key, ()), float)

    def beams(self, key: HistoryKey) -> Array:
        """Return the major and minor beam axes, (n, 2) deg, of the latest images of a group."""
        return np.array(self._beams.get(key, ()), float).reshape(-1, 2)

    def since_new_band(self, telescope: str) -> int:
        """Return the number of a telescope's images after its latest new band."""
        return self._since_new_band.get(telescope, 0)

    def holder_of(self, pixel_hash: str) -> str | None:
        """Return the URL and time of the first image with these pixels, as text; None if there is no such image."""
        return self._pixels.get(pixel_hash)
