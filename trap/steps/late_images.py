"""Images from before the newest stored timestep: measured and kept, but no part of any light curve.

What came after them has been associated without them; taking them in now would make the catalogue depend on
the order in which files arrived.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trap.catalogues import Associations, FitRequests, Flag, Measurements, NewSources
from trap.dataset.records import ImageRecord, TimestepRecord
from trap.steps.varmetric import summarise_touched

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from trap.dataset.records import ImageResult, UnreadableImage
    from trap.dataset.state import DatasetState

__all__ = ["record_late_images"]


def record_late_images(
    state: DatasetState, taustart_ts: datetime, results: Sequence[ImageResult], unreadable: tuple[UnreadableImage, ...]
) -> TimestepRecord:
    """Give late images their bands and sky regions, and nothing else.

    They enter neither the history of the noise nor the earlier looks, which are of what was known in
    time; so they are not rejected against that history either.

    Parameters
    ----------
    survey
        The dataset's state; gets the bands and regions that are new.
    taustart_ts
        Start of the images.
    results
        Measured images of that time.
    unreadable
        Those that could not be read.
    """
    state.catalogue.begin_timestep()
    images = tuple(_record(state, result) for result in results)
    return TimestepRecord(
        taustart_ts=taustart_ts,
        images=images,
        unreadable=unreadable,
        changes=state.catalogue.changes,
        links=state.region_links(images),
        metrics=summarise_touched(state, images),
        is_late=True,
    )


def _record(state: DatasetState, result: ImageResult) -> ImageRecord:
    found = result.measurements
    usable = found.take(found.is_measured & (found.flags & Flag.OUTSIDE == 0))
    return ImageRecord(
        result=result,
        key=state.light_curve_key(result.metadata),
        region=state.region_number(result.metadata),
        measurements=usable if result.rejection is None else Measurements.empty(),
        associations=Associations.empty(),
        new_sources=NewSources.empty(),
        forced=FitRequests.empty(),
        n_dropped=len(found) - len(usable),
    )
