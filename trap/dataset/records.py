"""What becomes of an image and of a timestep: the values that stages return and that are stored."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from trap.catalogues import Measurements
from trap.quality import Finding, Rejection, first_rejection

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from trap.association.entries import CatalogueChanges, LightCurveKey
    from trap.association.noise_history import NoiseTiles
    from trap.catalogues import Associations, FitRequests, NewSources, VarMetrics
    from trap.extraction.measure import Extraction
    from trap.extraction.mesh import Background
    from trap.images.image import ImageMetadata

__all__ = [
    "BackwardFits",
    "ImageRecord",
    "ImageResult",
    "KeptPixels",
    "RegionLinks",
    "StoredIds",
    "TimestepRecord",
    "UnreadableImage",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableImage:
    """A file that could not even be described, and why."""

    url: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageResult:
    """One image, measured: everything that the rest of a run needs of its pixels.

    Small and picklable, so that it travels between processes at no cost.

    Parameters
    ----------
    rms_qc
        Jy/beam — noise of the central region, for the quality history; NaN if there is none.
    rejection
        Why the image is not used, or None. A rejected image has no measurements.
    findings
        All that checks say against the image, whether or not it is a reason to reject it.
    pixel_hash
        Hash of the values of the pixels; may be empty.
    measurements
        Blind measurements.
    background
        Coarse mesh of background and noise; None for a rejected image.
    rms_min, rms_max
        Jy/beam — extremes of the noise in the searched area; NaN for a rejected image.
    noise_tiles
        The noise on tiles of the sky; None for a rejected image.
    seconds
        Time spent in each stage.
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
    findings: tuple[Finding, ...] = ()
    pixel_hash: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def against(self) -> str:
        """All that speaks against the image, in one line; first what it is rejected for."""
        first = [] if self.rejection is None else [self.rejection.text]
        return "; also ".join(dict.fromkeys([*first, *(finding.text for finding in self.findings)]))

    def found(self, findings: Sequence[Finding]) -> ImageResult:
        """Return the same image with what checks say of it; what speaks for it is not kept."""
        against = tuple(finding for finding in findings if not finding.passed)
        result = replace(self, findings=(*self.findings, *against))
        rejection = first_rejection(against)
        return result if rejection is None else result.rejected(rejection)

    def with_extraction(self, extraction: Extraction, noise_tiles: NoiseTiles) -> ImageResult:
        """Return the same image with what was found in it."""
        return replace(
            self,
            noise_tiles=noise_tiles,
            measurements=extraction.measurements,
            background=extraction.background,
            rms_min=extraction.rms_min,
            rms_max=extraction.rms_max,
        )

    def rejected(self, rejection: Rejection) -> ImageResult:
        """Return the same image as one that is not used."""
        return replace(
            self,
            rejection=rejection,
            measurements=Measurements.empty(),
            background=None,
            noise_tiles=None,
            rms_min=math.nan,
            rms_max=math.nan,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecord:
    """One image as it is stored: its result, and what it changed.

    Parameters
    ----------
    result
        What was measured blindly.
    key
        Number of the band among the survey's bands, and Stokes parameter.
    region
        Number of its sky region among the survey's regions.
    measurements
        Blind measurements that can be used, followed by the forced ones, which have no flux density
        where none could be measured.
    associations, new_sources
        Rows refer to ``measurements`` and to the running catalogue.
    forced
        What the forced measurements were asked for, in their order.
    n_dropped
        Blind measurements left out because a flux density or an error is not finite, or because the
        centre of the source is not in the searched area.
    """

    result: ImageResult
    key: LightCurveKey
    region: int
    measurements: Measurements
    associations: Associations
    new_sources: NewSources
    forced: FitRequests
    n_dropped: int = 0

    @property
    def n_requested(self) -> int:
        """Forced fits asked for."""
        return len(self.forced)

    @property
    def forced_measurements(self) -> Measurements:
        """A row per forced fit asked for."""
        return self.measurements.take(slice(len(self.measurements) - len(self.forced), None))

    @property
    def n_fitted(self) -> int:
        """Forced fits that gave a flux density."""
        return int(self.forced_measurements.is_measured.sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class BackwardFits:
    """What sources that are new in a timestep were in one earlier image.

    Parameters
    ----------
    image
        Database id of the earlier image.
    key
        Its band and Stokes parameter.
    measurements
        A row per new source, without flux density where none could be measured.
    associations
        Rows refer to ``measurements`` and to the running catalogue.
    targets
        (n,) — running-catalogue row of each measurement.
    """

    image: int
    key: LightCurveKey
    measurements: Measurements
    associations: Associations
    targets: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionLinks:
    """Which entries lie in which sky regions, newly known in a timestep.

    Parameters
    ----------
    entry, region
        (n,) — rows of the running catalogue, numbers of sky regions.
    distance
        (n,) deg — from the region's centre; NaN for the region of first detection.
    """

    entry: NDArray[np.intp]
    region: NDArray[np.intp]
    distance: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPixels:
    """What was kept of the pixels of an image.

    Parameters
    ----------
    image
        Number of the image in its timestep.
    header
        Header of the image, as text.
    path
        Where the pixels are.
    kind
        'images' or 'cutouts'.
    """

    image: int
    header: str
    path: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimestepRecord:
    """Everything of one timestep that is stored, in one transaction; the survey has the rest.

    Parameters
    ----------
    changes
        Which rows of the survey's running catalogue were made, changed and forked.
    links
        Which entries lie in which sky regions, newly known.
    metrics
        Summaries of the light curves that got a point.
    backward
        What the new sources were before.
    is_late
        Whether a later timestep was stored before: then there are neither changes nor metrics.
    pixels
        What was kept of the images' pixels.
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
        """Images that were not rejected."""
        return sum(image.result.rejection is None for image in self.images)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredIds:
    """Database ids that storing a timestep gave out.

    Parameters
    ----------
    images
        In the order of the record's images.
    entries
        (n_created,) — of every running-catalogue row made in the timestep, forked ones included.
    bands, regions
        Of all bands and regions of the survey, in order.
    """

    images: tuple[int, ...]
    entries: NDArray[np.int64]
    bands: tuple[int, ...]
    regions: tuple[int, ...]
