"""Results of images and timesteps: the values that stages return and that are stored."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from trap.association.groups import GroupMembers
from trap.association.negative_peaks import NegativePeaks
from trap.association.noise_peaks import NoiseChance, SearchedArea
from trap.calibration.records import UNCALIBRATED, ImageCalibration
from trap.catalogues import Measurements
from trap.quality import Finding, Rejection, RejectReason, first_rejection

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from trap.association.entries import CatalogueChanges, LightCurveKey
    from trap.association.noise_history import NoiseTiles
    from trap.catalogues import Associations, FitRequests, NewSources, RegionLinks, VarMetrics
    from trap.extraction.measure import Extraction
    from trap.extraction.mesh import Background
    from trap.extraction.unsearched import Unsearched
    from trap.images.image import ImageMetadata

__all__ = [
    "BackwardFits",
    "ImageRecord",
    "ImageResult",
    "KeptPixels",
    "StoredIds",
    "TimestepRecord",
    "UnreadableImage",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableImage:
    """A file whose header or pixels could not be read.

    Parameters
    ----------
    url
        Path of the file.
    reason
        Message of the error.
    """

    url: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageResult:
    """Measurements of one image: everything that the rest of a run needs of its pixels.

    Small and picklable, so that it travels between processes at little cost.

    Parameters
    ----------
    metadata
        Values read from the header.
    content_hash
        Hash of the content of the file.
    rms_qc
        Jy/beam — noise of the central region, for the quality history; NaN if it cannot be measured.
    rejection
        Reason for which the image is not used, or None. A rejected image has no measurements.
    measurements
        Blind measurements.
    background
        Coarse mesh of background and noise; None for a rejected image.
    rms_min, rms_max
        Jy/beam — lowest and highest noise in the searched area; NaN for a rejected image.
    noise_tiles
        Noise on tiles of the sky; None for a rejected image.
    unsearched
        Part that the settings exclude from the search; None if it is small.
    findings
        All failed checks, including failures that do not reject the image.
    pixel_hash
        Hash of the values of the pixels; empty if it was not needed.
    seconds
        s — time spent in each stage, by stage.
    calibration
        Calibration against the catalogue; ``measurements`` are corrected by it.
    searched
        Searched area, with the number of its negative peaks; empty for a rejected image.
    negative
        Negative peaks.
    source_list
        Path of the list of sources that another finder made; empty if the pipeline searched the image.
    finder
        Name of the format of this list, such as ``selavy``; empty without a list.
    """

    metadata: ImageMetadata
    content_hash: str
    rms_qc: float
    rejection: Rejection | None
    measurements: Measurements
    background: Background | None
    rms_min: float
    rms_max: float
    noise_tiles: NoiseTiles | None = None
    unsearched: Unsearched | None = None
    findings: tuple[Finding, ...] = ()
    pixel_hash: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    calibration: ImageCalibration = UNCALIBRATED
    searched: SearchedArea = field(default_factory=SearchedArea)
    negative: NegativePeaks = field(default_factory=NegativePeaks.empty)
    source_list: str = ""
    finder: str = ""

    @classmethod
    def unmeasured(
        cls,
        metadata: ImageMetadata,
        *,
        rms_qc: float,
        pixel_hash: str,
        content_hash: str = "",
        seconds: dict[str, float] | None = None,
    ) -> ImageResult:
        """Make the result of an image before its sources are extracted.

        Parameters
        ----------
        metadata, rms_qc, pixel_hash, content_hash
            Fields of this class.
        seconds
            s — time spent in each stage; stages that follow may add to it. None starts without any.
        """
        return cls(
            metadata=metadata,
            content_hash=content_hash,
            rms_qc=rms_qc,
            rejection=None,
            measurements=Measurements.empty(),
            background=None,
            rms_min=math.nan,
            rms_max=math.nan,
            pixel_hash=pixel_hash,
            seconds={} if seconds is None else seconds,
        )

    @property
    def against(self) -> str:
        """All failed checks in one line, beginning with the reason for rejection."""
        first = [] if self.rejection is None else [self.rejection.text]
        return "; also ".join(dict.fromkeys([*first, *(finding.text for finding in self.findings)]))

    def found(self, findings: Sequence[Finding]) -> ImageResult:
        """Return the same image with the findings of further checks. Passed checks are not kept.

        Parameters
        ----------
        findings
            Results of the checks; the first failure that rejects images rejects this one.
        """
        against = tuple(finding for finding in findings if not finding.passed)
        result = replace(self, findings=(*self.findings, *against))
        rejection = first_rejection(against)
        return result if rejection is None else result.rejected(rejection)

    def with_extraction(self, extraction: Extraction, noise_tiles: NoiseTiles) -> ImageResult:
        """Return the same image with the results of source extraction.

        Parameters
        ----------
        extraction
            Measurements, background and range of the noise.
        noise_tiles
            Noise on tiles of the sky.
        """
        return replace(
            self,
            noise_tiles=noise_tiles,
            measurements=extraction.measurements,
            background=extraction.background,
            rms_min=extraction.rms_min,
            rms_max=extraction.rms_max,
            unsearched=extraction.unsearched,
        )

    def rejected(self, rejection: Rejection) -> ImageResult:
        """Return the same image as a rejected one, without measurements.

        Parameters
        ----------
        rejection
            Reason.
        """
        return replace(
            self,
            rejection=rejection,
            measurements=Measurements.empty(),
            background=None,
            noise_tiles=None,
            rms_min=math.nan,
            rms_max=math.nan,
            searched=SearchedArea(),
            negative=NegativePeaks.empty(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecord:
    """One image as it is stored: its result, and the changes that it made.

    Parameters
    ----------
    result
        Result of the blind measurement.
    key
        Number of the band among the bands of the dataset, and Stokes parameter.
    region
        Number of the sky region among the regions of the dataset.
    measurements
        Usable blind measurements, followed by the forced ones. A forced fit that failed has no flux density.
    associations, new_sources
        New points of light curves and new transient candidates; rows refer to ``measurements`` and to the running
        catalogue.
    forced
        Requests of the forced measurements, in the same order.
    dropped
        Numbers of blind measurements that are left out, by reason: columns of
        :data:`~trap.dataset.dropped.DROP_REASONS`.
    members
        Members of the groups that the image does not show one-to-one; rows refer to ``measurements`` and to the
        running catalogue.
    chance
        Chance of noise in this image.
    n_unfitted
        Number of missed sources without a forced fit, since the image is a source list without pixels.
    """

    result: ImageResult
    key: LightCurveKey
    region: int
    measurements: Measurements
    associations: Associations
    new_sources: NewSources
    forced: FitRequests
    dropped: Mapping[str, int] = field(default_factory=dict)
    members: GroupMembers = field(default_factory=GroupMembers.empty)
    chance: NoiseChance = field(default_factory=NoiseChance)
    n_unfitted: int = 0

    @property
    def n_dropped(self) -> int:
        """Number of blind measurements that are left out."""
        return sum(self.dropped.values())

    @property
    def n_blind(self) -> int:
        """Number of sources that the blind search found, including ones that are left out."""
        return len(self.result.measurements)

    @property
    def n_requested(self) -> int:
        """Number of requested forced fits."""
        return len(self.forced)

    @property
    def forced_measurements(self) -> Measurements:
        """Forced measurements, one row per request."""
        return self.measurements.take(slice(len(self.measurements) - len(self.forced), None))

    @property
    def n_fitted(self) -> int:
        """Number of forced fits with a flux density."""
        return int(self.forced_measurements.is_measured.sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class BackwardFits:
    """Forced fits in one earlier image of sources that are new in a timestep.

    Parameters
    ----------
    image
        Row number of the earlier image.
    key
        Band and Stokes parameter of the earlier image.
    measurements
        One row per new source; a fit that failed has no flux density.
    associations
        New points of light curves; rows refer to ``measurements`` and to the running catalogue.
    targets
        (n,) — running-catalogue row of each measurement.
    """

    image: int
    key: LightCurveKey
    measurements: Measurements
    associations: Associations
    targets: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPixels:
    """File with kept pixels of an image.

    Parameters
    ----------
    image
        Number of the image in its timestep.
    header
        Header of the image, as text.
    path
        Path of the file.
    kind
        'images' for all pixels, 'cutouts' for pixels around sources.
    """

    image: int
    header: str
    path: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimestepRecord:
    """Everything of one timestep that is stored, in one transaction, besides the state of the dataset.

    Parameters
    ----------
    taustart_ts
        Start of the timestep.
    images
        Images, lowest frequency first.
    unreadable
        Files that could not be read.
    changes
        Rows of the running catalogue that were created, updated and forked.
    links
        New links between entries and sky regions.
    metrics
        Summaries of the light curves that have new points.
    backward
        Fits of the new sources in earlier images.
    is_late
        Whether a later timestep was stored before; a late timestep has neither changes nor metrics.
    pixels
        Files with kept pixels of the images.
    """

    taustart_ts: datetime
    images: tuple[ImageRecord, ...]
    unreadable: tuple[UnreadableImage, ...]
    changes: CatalogueChanges
    links: RegionLinks
    metrics: VarMetrics
    backward: tuple[BackwardFits, ...] = ()
    is_late: bool = False
    pixels: tuple[KeptPixels, ...] = ()

    @property
    def n_accepted(self) -> int:
        """Number of images that were not rejected."""
        return sum(image.result.rejection is None for image in self.images)

    @property
    def n_backward(self) -> int:
        """Number of forced fits with a flux density in earlier images."""
        return sum(len(fits.associations) for fits in self.backward)

    @property
    def is_misdated(self) -> bool:
        """Whether all images were rejected for their dates, so that the start of the timestep means nothing."""
        rejections = [image.result.rejection for image in self.images]
        return bool(rejections) and all(one is not None and one.reason == RejectReason.DATE for one in rejections)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredIds:
    """Row numbers that a stored timestep received.

    Parameters
    ----------
    images
        Numbers of the images, in the order of the record.
    entries
        (n_created,) — numbers of all running-catalogue rows created in the timestep, including forked ones.
    bands, regions
        Numbers of all bands and regions of the dataset, in order.
    """

    images: tuple[int, ...]
    entries: NDArray[np.int64]
    bands: tuple[int, ...]
    regions: tuple[int, ...]
