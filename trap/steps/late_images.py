"""Late images: images older than the newest stored timestep. They are measured and stored, but in no light curve.

Later images have been associated without them. If late images were associated now, the catalogue would depend on the
order of their arrival.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trap.catalogues import Associations, FitRequests, Measurements, NewSources
from trap.dataset.dropped import count_dropped
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
    """Make the record of late images, with their bands and sky regions.

    Late images enter neither the noise history nor the earlier looks, which describe the images known at the time; they
    are therefore not compared with that history either.

    Parameters
    ----------
    state
        State of the dataset; new bands and regions are added.
    taustart_ts
        Start of the images.
    results
        Measured images of that time.
    unreadable
        Files that could not be read.

    Returns
    -------
    The record, without changes of the running catalogue.
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
    """Return the record of one late image, without association."""
    sources = result.measurements
    return ImageRecord(
        result=result,
        key=state.light_curve_key(result.metadata),
        region=state.region_number(result.metadata),
        measurements=sources.take(sources.is_sound) if result.rejection is None else Measurements.empty(),
        associations=Associations.empty(),
        new_sources=NewSources.empty(),
        forced=FitRequests.empty(),
        dropped=count_dropped(sources),
    )
