"""State of a dataset between timesteps: catalogue, bands, sky regions, earlier looks and noise history.

The state is loaded from the database when a run begins, and again after a failed timestep: resuming after a failure
and extending a dataset are the same operation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from trap.association.entries import LightCurveKey
from trap.association.new_sources import EarlierLooks
from trap.association.running_catalogue import RunningCatalogue
from trap.association.sky_regions import SkyRegions
from trap.calibration.history import CalibrationHistory
from trap.calibration.records import UNCALIBRATED, ImageCalibration
from trap.catalogues import MonitorPositions, RegionLinks
from trap.dataset.earlier_images import EarlierImages
from trap.images.bands import Band, band_of, find_band
from trap.quality import AcceptedImages, HistoryKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from trap.association.negative_peaks import NegativePeaks
    from trap.association.noise_history import NoiseTiles
    from trap.association.noise_peaks import SearchedArea
    from trap.catalogues import Measurements
    from trap.config import PipelineConfig
    from trap.dataset.records import ImageRecord, ImageResult, StoredIds, TimestepRecord
    from trap.extraction.mesh import Background
    from trap.images.image import ImageMetadata
    from trap.variability.shared_errors import SharedErrors

__all__ = ["DatasetState", "EarlierImage", "as_utc64"]


def as_utc64(moment: datetime) -> np.datetime64:
    """Convert an aware time to a numpy time in UTC, in microseconds."""
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us")


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierImage:
    """An accepted image that is kept for fits of later new sources.

    Parameters
    ----------
    id
        Row number of the image.
    url
        Path of the image.
    taustart_ts
        Start of the image.
    key
        Band and Stokes parameter.
    region
        Number of its sky region among the regions of the dataset.
    background
        Mesh of background and noise.
    sources
        Blind measurements of the image, as the image shows them.
    calibration
        Calibration of the image.
    noise
        Jy/beam — its noise.
    """

    id: int
    url: str
    taustart_ts: datetime
    key: LightCurveKey
    region: int
    background: Background
    sources: Measurements
    calibration: ImageCalibration = UNCALIBRATED
    noise: float = math.nan


@dataclass(slots=True)
class DatasetState:
    """State of one dataset in memory.

    Parameters
    ----------
    config
        All settings.
    catalogue
        Running catalogue.
    bands, regions
        Bands and sky regions in order of appearance; all other tables refer to them by number. Those at the end without
        an id are not in the database yet.
    band_ids, region_ids
        Row numbers of the bands and regions that are in the database.
    accepted_bands, accepted_regions
        Numbers of bands and regions with an accepted image; only these are matched with later images.
    monitors
        Monitored positions.
    monitor_entries
        (n_monitors,) — running-catalogue row of each monitored position; -1 before its first fit.
    latest
        Start of the latest stored timestep; None before the first.
    following
        Next images of the run, in order, before their sources are extracted; a run sets them while its accepted images
        are few.

    Attributes
    ----------
    looks
        Earlier looks at each position, for the test of new sources.
    accepted
        Properties of the latest accepted images, for the quality checks.
    calibrations
        Calibrations of the accepted images.
    """

    config: PipelineConfig
    catalogue: RunningCatalogue = field(default_factory=RunningCatalogue)
    bands: list[Band] = field(default_factory=list)
    band_ids: list[int] = field(default_factory=list)
    regions: SkyRegions = field(default_factory=SkyRegions)
    region_ids: list[int] = field(default_factory=list)
    looks: EarlierLooks = field(init=False)
    accepted_bands: set[int] = field(default_factory=set)
    accepted_regions: set[int] = field(default_factory=set)
    accepted: AcceptedImages = field(init=False)
    calibrations: CalibrationHistory = field(default_factory=CalibrationHistory)
    monitors: MonitorPositions = field(default_factory=MonitorPositions.empty)
    monitor_entries: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    latest: datetime | None = None
    following: tuple[ImageResult, ...] = ()
    _earlier: EarlierImages[EarlierImage] = field(init=False)

    def __post_init__(self) -> None:
        self.looks = EarlierLooks(self.config)
        self._earlier = EarlierImages(self.config.transient_search.backward_fits)
        self.accepted = AcceptedImages(self.config.quality)
        self.catalogue.keeps_blends = self.config.association.method == "trap"

    def light_curve_key(self, metadata: ImageMetadata, *, is_accepted: bool = True) -> LightCurveKey:
        """Find or add the band of an image.

        Images are matched with bands of accepted images only, so that rejected images have no influence on which images
        share a light curve.

        Parameters
        ----------
        metadata
            Metadata of the image.
        is_accepted
            Whether the image is accepted; its band then takes later images.

        Returns
        -------
        Number of the band, and Stokes parameter.
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
        """Return the key of the earlier images that an image is compared with. No band is added."""
        number = self._known_band(self._band(metadata))
        return HistoryKey(-1 if number is None else number, metadata.stokes, metadata.telescope)

    def are_comparable(self, first: ImageMetadata, second: ImageMetadata) -> bool:
        """Return whether two images have the same Stokes parameter and telescope, and a band in common.

        Parameters
        ----------
        first, second
            Metadata of the images.
        """
        return (first.stokes, first.telescope) == (second.stokes, second.telescope) and self.share_band(first, second)

    def share_band(self, first: ImageMetadata, second: ImageMetadata) -> bool:
        """Return whether two images have a band in common; it need not be in the dataset yet.

        Parameters
        ----------
        first, second
            Metadata of the images.
        """
        bands = self._band(first), self._band(second)
        known = tuple(self._known_band(band) for band in bands)
        if known[0] is not None or known[1] is not None:
            return known[0] == known[1]
        return find_band(bands[:1], bands[1], tolerance=self.config.persistence.band_tolerance) is not None

    def _band(self, metadata: ImageMetadata) -> Band:
        return band_of(metadata.freq_eff, metadata.freq_bw, bandwidth_max=self.config.persistence.bandwidth_max)

    def _known_band(self, band: Band) -> int | None:
        """Return the number of the accepted band that contains a band; None if no accepted band does."""
        numbers = sorted(self.accepted_bands)
        bands = [self.bands[number] for number in numbers]
        position = find_band(bands, band, tolerance=self.config.persistence.band_tolerance)
        return None if position is None else numbers[position]

    def region_number(self, metadata: ImageMetadata, *, is_accepted: bool = True) -> int:
        """Find or add the sky region of an image: a region with nearly the same centre and radius.

        Images are matched with regions of accepted images only, as with bands.

        Parameters
        ----------
        metadata
            Metadata of the image.
        is_accepted
            Whether the image is accepted; its region then takes later images.

        Returns
        -------
        Number of the region.
        """
        region = metadata.sky_region(self.config.source_extraction.extraction_radius_pix)
        tolerance = self.config.persistence.region_tolerance
        number = self.regions.find(region, tolerance=tolerance, among=self.accepted_regions)
        if number is None:
            number = self.regions.find(region, tolerance=0)
        if number is None:
            number = len(self.regions)
            self.regions.append(region)
        if is_accepted:
            self.accepted_regions.add(number)
        return number

    def remember(self, result: ImageResult) -> None:
        """Add an accepted image to the history that later images are compared with. Its band must exist."""
        metadata = result.metadata
        self.accepted.remember(
            self.history_key(metadata),
            rms=result.rms_qc,
            beam=metadata.beam,
            pixel_hash=result.pixel_hash,
            url=metadata.url,
            start=metadata.taustart_ts,
        )

    @property
    def earlier_images(self) -> list[EarlierImage]:
        """Accepted images of each band and Stokes parameter that new sources are fitted in."""
        return list(self._earlier)

    def remember_image(self, image: EarlierImage) -> None:
        """Add an accepted image to the images that new sources are fitted in."""
        self._earlier.add(image)

    def use_shared_errors(self, shared: Mapping[tuple[int, int], SharedErrors]) -> None:
        """Let the probabilities of η take account of errors that neighbouring epochs share.

        Parameters
        ----------
        shared
            Shared errors by row number of the band and Stokes parameter.
        """
        self.catalogue.shared_errors = {
            LightCurveKey(self.band_ids.index(band), stokes): errors for (band, stokes), errors in shared.items()
        }

    def region_links(self, images: Sequence[ImageRecord]) -> RegionLinks:
        """Link the entries created in this timestep to all regions, and its new regions to all entries.

        Parameters
        ----------
        images
            Associated images of the timestep.

        Returns
        -------
        Links in order of region, then entry.
        """
        n_before, entries = self.catalogue.changes.n_before, self.catalogue.entries
        # The region of its first detection covers an entry by definition: that link has no distance.
        first_region = np.full(len(entries) - n_before, -1)
        for rows, image, _ in self.catalogue.changes.created:
            first_region[rows - n_before] = images[image].region
        new = np.flatnonzero(entries["active"][n_before:] & ~entries["mon_src"][n_before:]) + n_before
        own = first_region[new - n_before]
        position, number, distance = self.regions.covering(entries["wm_ra"][new], entries["wm_dec"][new])
        other = number != own[position]
        parts = [(new, own, np.full(len(new), np.nan)), (new[position[other]], number[other], distance[other])]
        # Regions stored before are linked to the older entries already.
        for fresh in range(len(self.region_ids), len(self.regions)):
            rows, apart = self.catalogue.within(self.regions[fresh])
            older = (rows < n_before) & ~entries["mon_src"][rows]
            parts.append((rows[older], np.full(int(older.sum()), fresh), apart[older]))
        entry, region, distance = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        order = np.lexsort((entry, region))
        return RegionLinks(entry=entry[order], region=region[order], distance=distance[order])

    def commit(self, record: TimestepRecord, ids: StoredIds) -> None:
        """Complete the state after a timestep was stored: row numbers, and its accepted images as earlier looks.

        Parameters
        ----------
        record
            The stored timestep.
        ids
            Row numbers of its new rows.
        """
        self.band_ids, self.region_ids = list(ids.bands), list(ids.regions)
        if record.is_late:
            return
        self.catalogue.assign_ids(record.changes.n_before, ids.entries)
        for image, image_id in zip(record.images, ids.images, strict=True):
            if image.result.rejection is None:
                self.remember_look(
                    image.key,
                    image=image_id,
                    region=image.region,
                    rms_range=(image.result.rms_min, image.result.rms_max),
                    tiles=image.result.noise_tiles,
                    calibration=image.result.calibration,
                    searched=image.result.searched,
                    negative=image.result.negative,
                )
                self._remember(image, image_id)
        if not record.is_misdated:
            self.latest = record.taustart_ts

    def remember_look(
        self,
        key: LightCurveKey,
        *,
        image: int,
        region: int,
        rms_range: tuple[float, float],
        tiles: NoiseTiles | None,
        calibration: ImageCalibration,
        searched: SearchedArea,
        negative: NegativePeaks,
    ) -> None:
        """Add an accepted image to the earlier looks, with its noise on the corrected flux scale.

        Parameters
        ----------
        key
            Band and Stokes parameter of the image.
        image, region
            Row number of the image, and number of its sky region.
        rms_range
            Jy/beam — lowest and highest noise, on the flux scale of the image.
        tiles
            Noise on the sky, on the flux scale of the image; None if it is unknown.
        calibration
            Calibration of the image; it is added to the calibrations.
        searched
            Searched area of the image.
        negative
            Negative peaks of the image.
        """
        self.calibrations.remember(key, calibration, region)
        gain = calibration.applied_gain
        self.looks.add(
            key,
            image=image,
            region=region,
            rms_range=(rms_range[0] / gain, rms_range[1] / gain),
            tiles=None if tiles is None else tiles.divided_by(gain),
            searched=searched,
            negative=negative,
        )

    def _remember(self, image: ImageRecord, image_id: int) -> None:
        """Add an accepted image to the images that new sources are fitted in, if it was searched."""
        if image.result.background is not None:
            blind = image.measurements.take(slice(len(image.measurements) - len(image.forced)))
            self.remember_image(
                EarlierImage(
                    id=image_id,
                    url=image.result.metadata.url,
                    taustart_ts=image.result.metadata.taustart_ts,
                    key=image.key,
                    region=image.region,
                    background=image.result.background,
                    sources=image.result.calibration.as_in_image(blind),
                    calibration=image.result.calibration,
                    noise=image.result.rms_qc,
                )
            )
