"""Negative sources: there are none in the sky, but artefacts of bright sources and of the calibration make them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from trap.extraction.field import threshold_map
from trap.quality.reasons import Verdict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.config import QualityConfig
    from trap.extraction.mesh import Background

__all__ = ["check_negative", "count_negative"]


def count_negative(data: NDArray[Any], background: Background, mask: NDArray[np.bool_], threshold: float) -> int:
    """Count islands of pixels below the sky by as much as a source is above it.

    Parameters
    ----------
    data
        (ny, nx) Jy/beam
    background
        Level and noise of the sky.
    mask
        (ny, nx) — where the image is not searched.
    threshold
        σ — of the detection.
    """
    lowest = float(np.nanmin(data)) - float(background.mesh_mean.max())
    if not lowest < -threshold * float(background.mesh_rms.min()):
        # Nothing can be as low as that anywhere, which spares nearly every image the maps.
        return 0
    upside_down = threshold_map(
        -data, mask | np.isnan(data), background.negative(), analysis=threshold, detection=threshold
    )
    _, number = ndimage.label(upside_down.reached)
    return int(number)


def check_negative(number: int, config: QualityConfig) -> Verdict:
    """See whether an image has too many negative sources."""
    comment = f"{number} negative sources at the detection threshold, at most {config.max_negative}"
    return Verdict(number <= config.max_negative, comment)
