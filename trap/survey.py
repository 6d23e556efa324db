"""What a dataset remembers between timesteps: catalogue, bands, sky regions, looks and noise.

A survey is loaded from the database when a run begins, and again after a timestep failed, so that
going on after a failure and extending a dataset are the same thing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from trap.catalogues import MonitorPositions
from trap.entries import LightCurveKey
from trap.images.bands import Band, band_of, find_band
from trap.new_sources import EarlierLooks
from trap.records import RegionLinks
from trap.running_catalogue import RunningCatalogue
from trap.sky_regions import SkyRegions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trap.catalogues import Measurements
    from trap.config import PipelineConfig
    from trap.extraction.background import Background
    from trap.images.image import ImageMetadata
    from trap.records import ImageRecord, StoredIds, TimestepRecord

__all__ = ["EarlierImage", "Survey", "as_utc64"]


def as_utc64(moment: datetime) -> np.datetime64:
    """Convert an aware time to a numpy time in UTC, with microseconds."""
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us")


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierImage:
    """What must be known of an image to measure it once more.

    Parameters
    ----------
    id
        In the database.
    region
        Number of its sky region among the survey's regions.
    background
        Its mesh of background and noise.
    sources
        What was found in it.
    """

    id: int
    url: str
    taustart_ts: datetime
    key: LightCurveKey
    region: int
    background: Background
    sources: Measurements


@dataclass(slots=True)
class Survey:
    """The state of one dataset, in memory.

    Parameters
    ----------
    bands, regions
        In order of appearance; everything else refers to them by number. Those at the end that
        have no id yet are not in the database yet.
    rms_history
        Noise of the latest accepted images of each band and Stokes parameter, oldest first.
    monitor_entries
        (n_monitors,) — running-catalogue row of each monitored position; -1 before its first fit.
    latest
        Start of the latest stored timestep.
    """

    config: PipelineConfig
    catalogue: RunningCatalogue = field(default_factory=RunningCatalogue)
    bands: list[Band] = field(default_factory=list)
    band_ids: list[int] = field(default_factory=list)
    regions: SkyRegions = field(default_factory=SkyRegions)
    region_ids: list[int] = field(default_factory=list)
    looks: EarlierLooks = field(init=False)
    rms_history: dict[LightCurveKey, deque[float]] = field(default_factory=dict)
    monitors: MonitorPositions = field(default_factory=MonitorPositions.empty)
    monitor_entries: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    latest: datetime | None = None
    _earlier: dict[LightCurveKey, deque[EarlierImage]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.looks = EarlierLooks(self.config)

    def light_curve_key(self, metadata: ImageMetadata) -> LightCurveKey:
        """Find, or make, the band of an image; with its Stokes parameter."""
        settings = self.config.persistence
        band = band_of(metadata.freq_eff, metadata.freq_bw, bandwidth_max=settings.bandwidth_max)
        number = find_band(self.bands, band, tolerance=settings.band_tolerance)
        if number is None:
            number = len(self.bands)
            self.bands.append(band)
        return LightCurveKey(number, metadata.stokes)

    def region_number(self, metadata: ImageMetadata) -> int:
        """Find, or make, the sky region of an image: one with nearly the same centre and radius."""
        region = metadata.sky_region(self.config.source_extraction.extraction_radius_pix)
        number = self.regions.find(region, tolerance=self.config.persistence.region_tolerance)
        if number is None:
            number = len(self.regions)
            self.regions.append(region)
        return number

    def rms_history_of(self, key: LightCurveKey) -> NDArray[np.float64]:
        """(n,) Jy/beam — noise of the latest accepted images of a band and Stokes parameter, oldest first."""
        return np.array(self.rms_history.get(key, ()), float)

    def remember_rms(self, key: LightCurveKey, rms: float) -> None:
        """Add the noise of an accepted image to the history of its band and Stokes parameter."""
        history = self.rms_history.setdefault(key, deque(maxlen=self.config.quality.rms_est_history))
        history.append(rms)

    @property
    def earlier_images(self) -> list[EarlierImage]:
        """The latest accepted images of each band and Stokes parameter that new sources are measured in."""
        return [image for _, images in sorted(self._earlier.items()) for image in images]

    def remember_image(self, image: EarlierImage) -> None:
        """Add an accepted image to those that new sources are measured in; the settings say how many are kept."""
        kept = deque[EarlierImage](maxlen=self.config.transient_search.backward_fits)
        self._earlier.setdefault(image.key, kept).append(image)

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
        new = np.flatnonzero(entries["active"][n_before:] & ~entries["mon_src"][n_before:]) + n_before
        own = first_region[new - n_before]
        position, number, distance = self.regions.covering(entries["wm_ra"][new], entries["wm_dec"][new])
        other = number != own[position]
        parts = [(new, own, np.full(len(new), np.nan)), (new[position[other]], number[other], distance[other])]
        # A region that is known has its older entries already.
        for fresh in range(len(self.region_ids), len(self.regions)):
            rows, apart = self.catalogue.within(self.regions[fresh])
            older = (rows < n_before) & ~entries["mon_src"][rows]
            parts.append((rows[older], np.full(int(older.sum()), fresh), apart[older]))
        entry, region, distance = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        order = np.lexsort((entry, region))
        return RegionLinks(entry=entry[order], region=region[order], distance=distance[order])

    def commit(self, record: TimestepRecord, ids: StoredIds) -> None:
        """Take over what the database gave a stored timestep: ids, and its images as earlier looks."""
        self.band_ids, self.region_ids = list(ids.bands), list(ids.regions)
        if record.is_late:
            return
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
                self._remember(image, image_id)
        self.latest = record.taustart_ts

    def _remember(self, image: ImageRecord, image_id: int) -> None:
        if image.result.background is not None:
            self.remember_image(
                EarlierImage(
                    id=image_id,
                    url=image.result.metadata.url,
                    taustart_ts=image.result.metadata.taustart_ts,
                    key=image.key,
                    region=image.region,
                    background=image.result.background,
                    sources=image.measurements.take(slice(len(image.measurements) - len(image.forced))),
                )
            )
