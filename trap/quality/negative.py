"""Negative sources: artefacts of bright sources or of the calibration, since no source on the sky is negative."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from trap.extraction.field import threshold_map
from trap.quality.reasons import RejectReason, Verdict
from trap.quality.records import Check, is_stokes_i

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.extraction.mesh import Background
    from trap.quality.records import SourceInput

__all__ = ["NEGATIVE", "check_negative", "count_negative"]


def count_negative(data: NDArray[Any], background: Background, mask: NDArray[np.bool_], threshold: float) -> int:
    """Count islands of pixels as far below the background as the threshold is above it.

    Parameters
    ----------
    data
        (ny, nx) Jy/beam — pixels, NaN where they are missing.
    background
        Level and noise of the background.
    mask
        (ny, nx) — true for pixels that are not searched.
    threshold
        σ — detection threshold.
    """
    lowest = float(np.nanmin(data)) - float(background.mesh_mean.max())
    if not lowest < -threshold * float(background.mesh_rms.min()):
        # No pixel can be that low. This spares nearly every image the interpolation of the maps.
        return 0
    upside_down = threshold_map(
        -data, mask | np.isnan(data), background.negative(), analysis=threshold, detection=threshold
    )
    _, number = ndimage.label(upside_down.reached)
    return int(number)


def check_negative(image: SourceInput) -> Verdict:
    """Check that an image has no more than ``max_negative`` negative sources."""
    limit = image.config.quality.max_negative
    comment = f"{image.n_negative} negative sources at the detection threshold, at most {limit}"
    return Verdict(image.n_negative <= limit, comment)


NEGATIVE = Check(
    name="negative",
    setting="check_negative",
    reason=RejectReason.NEGATIVE,
    fails_if="there are more than `max_negative` negative sources, in Stokes I",
    function=check_negative,
    needs=(is_stokes_i,),
)
