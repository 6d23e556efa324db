"""What a dataset remembers between timesteps: catalogue, bands, sky regions, looks and noise.

A survey is loaded from the database when a run begins, and again after a timestep failed, so that
going on after a failure and extending a dataset are the same thing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from trap.angles import separation
from trap.catalogues import MonitorPositions
from trap.images.bands import Band, band_of, find_band
from trap.new_sources import EarlierLooks
from trap.quality.history import AcceptedImages, HistoryKey
from trap.records import RegionLinks
from trap.running_catalogue import LightCurveKey, RunningCatalogue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trap.config import PipelineConfig
    from trap.images.image import ImageMetadata
    from trap.images.skyregion import SkyRegion
    from trap.records import ImageRecord, ImageResult, StoredIds, TimestepRecord

__all__ = ["Survey", "as_utc64"]


def as_utc64(moment: datetime) -> np.datetime64:
    """Convert an aware time to a numpy time in UTC, with microseconds."""
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us")


@dataclass(slots=True)
class Survey:
    """The state of one dataset, in memory.

    Parameters
    ----------
    bands, regions
        In order of appearance; everything else refers to them by number. Those at the end that
        have no id yet are not in the database yet.
    accepted_bands
        Numbers of the bands that hold an accepted image; the others are there for the record, and take none.
    accepted
        What the latest accepted images were like, for the quality checks.
    monitor_entries
        (n_monitors,) — running-catalogue row of each monitored position; -1 before its first fit.
    latest
        Start of the latest stored timestep.
    """

    config: PipelineConfig
    catalogue: RunningCatalogue = field(default_factory=RunningCatalogue)
    bands: list[Band] = field(default_factory=list)
    band_ids: list[int] = field(default_factory=list)
    regions: list[SkyRegion] = field(default_factory=list)
    region_ids: list[int] = field(default_factory=list)
    looks: EarlierLooks = field(init=False)
    accepted_bands: set[int] = field(default_factory=set)
    accepted: AcceptedImages = field(init=False)
    monitors: MonitorPositions = field(default_factory=MonitorPositions.empty)
    monitor_entries: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    latest: datetime | None = None

    def __post_init__(self) -> None:
        self.looks = EarlierLooks(self.config)
        self.accepted = AcceptedImages(self.config.quality)

    def light_curve_key(self, metadata: ImageMetadata, *, is_accepted: bool = True) -> LightCurveKey:
        """Find, or make, the band of an image; with its Stokes parameter.

        A band that only rejected images made takes no other: which images share a light curve must not depend
        on images that are in none.
        """
        band = self._band(metadata)
        number = self._known_band(band)
        if number is None:
            if band not in self.bands:
                self.bands.append(band)
            number = self.bands.index(band)
        if is_accepted:
            self.accepted_bands.add(number)
        return LightCurveKey(number, metadata.stokes)

    def history_key(self, metadata: ImageMetadata) -> HistoryKey:
        """Find which earlier images an image is compared with; makes no band."""
        number = self._known_band(self._band(metadata))
        return HistoryKey(-1 if number is None else number, metadata.stokes, metadata.telescope)

    def _band(self, metadata: ImageMetadata) -> Band:
        return band_of(metadata.freq_eff, metadata.freq_bw, bandwidth_max=self.config.persistence.bandwidth_max)

    def _known_band(self, band: Band) -> int | None:
        """Number of the band of accepted images that an image's own belongs to."""
        numbers = sorted(self.accepted_bands)
        bands = [self.bands[number] for number in numbers]
        found = find_band(bands, band, tolerance=self.config.persistence.band_tolerance)
        return None if found is None else numbers[found]

    def region_number(self, metadata: ImageMetadata) -> int:
        """Find, or make, the sky region of an image: the very same centre and radius."""
        region = metadata.sky_region(self.config.source_extraction.extraction_radius_pix)
        if region not in self.regions:
            self.regions.append(region)
        return self.regions.index(region)

    def remember(self, result: ImageResult) -> None:
        """Add an accepted image, whose band is known, to what later ones are compared with."""
        metadata = result.metadata
        self.accepted.remember(
            self.history_key(metadata),
            rms=result.rms_qc,
            beam=metadata.beam,
            pixel_hash=result.pixel_hash,
            url=metadata.url,
            start=metadata.taustart_ts,
        )

    def region_links(self, images: Sequence[ImageRecord]) -> RegionLinks:
        """Link the entries made in this timestep to all regions, and its new regions to all entries.

        Parameters
        ----------
        images
            The timestep's images, associated.
        """
        n_before, entries = self.catalogue.changes.n_before, self.catalogue.entries
        first_region = np.full(len(entries) - n_before, -1)
        for rows, image, _ in self.catalogue.changes.created:
            first_region[rows - n_before] = images[image].region
        rows_of: list[NDArray[np.intp]] = []
        distances: list[NDArray[np.float64]] = []
        for number, region in enumerate(self.regions):
            # A region that is known has its older entries already.
            first = n_before if number < len(self.region_ids) else 0
            rows = np.flatnonzero(entries["active"][first:] & ~entries["mon_src"][first:]) + first
            distance = separation(entries["wm_ra"][rows], entries["wm_dec"][rows], region.centre_ra, region.centre_dec)
            own = np.append(first_region, -1)[np.maximum(rows - n_before, -1)] == number
            linked = own | (distance < region.xtr_radius)
            rows_of.append(rows[linked])
            distances.append(np.where(own, np.nan, distance)[linked])
        return RegionLinks(
            entry=np.concatenate([np.empty(0, np.intp), *rows_of]),
            region=np.repeat(np.arange(len(rows_of)), [len(rows) for rows in rows_of]),
            distance=np.concatenate([np.empty(0), *distances]),
        )

    def commit(self, record: TimestepRecord, ids: StoredIds) -> None:
        """Take over what the database gave a stored timestep: ids, and its images as earlier looks."""
        self.band_ids, self.region_ids = list(ids.bands), list(ids.regions)
        self.catalogue.entries["id"][record.changes.n_before :] = ids.entries
        for image, image_id in zip(record.images, ids.images, strict=True):
            if image.result.rejection is None:
                self.looks.add(
                    image.key,
                    image=image_id,
                    region=image.region,
                    rms_range=(image.result.rms_min, image.result.rms_max),
                    tiles=image.result.noise_tiles,
                )
        self.latest = record.taustart_ts
