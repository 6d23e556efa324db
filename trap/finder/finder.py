"""Find and measure the sources of a single image.

Sources are chosen by the image itself, with fixed thresholds or a false discovery rate, by another
image, or by a list of positions. The pipeline needs the first way only, which is
:mod:`trap.extraction.measure`; the stand-alone finder has them all, with one type of result.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from trap.catalogues import Flag, Measurements
from trap.extraction.forced import fit_positions
from trap.extraction.measure import extract_sources
from trap.finder.fdr import fdr_threshold
from trap.finder.maps import significance_map

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from trap.config import SourceExtractionConfig
    from trap.extraction.mesh import Background
    from trap.images.image import Image

__all__ = [
    "Detections",
    "find_by_fdr",
    "find_by_threshold",
    "measure_detected_in",
    "measure_positions",
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Detections:
    """Sources measured in an image, and the thresholds and the image that selected them.

    Parameters
    ----------
    measurements
        One row a source, or a position in the order of the request.
    background
        Background level and noise of the image.
    config
        Extraction settings in force, with the thresholds of a false discovery rate.
    detection_threshold
        σ — the threshold of ``config``; infinite if no pixel passed a false discovery rate.
    detected_in
        Image whose islands selected the sources: the measured image, unless a detection image was
        used.
    detection_background
        Background of ``detected_in``.
    """

    measurements: Measurements
    background: Background
    config: SourceExtractionConfig
    detection_threshold: float
    detected_in: Image
    detection_background: Background


def find_by_threshold(image: Image, config: SourceExtractionConfig) -> Detections:
    """Find and measure the sources that reach the detection threshold.

    The setting ``negative`` selects the Stokes parameters whose images are searched for negative sources too.

    Parameters
    ----------
    image
        Image to search.
    config
        Extraction settings.

    Raises
    ------
    ImageError
        If the image has no restoring beam, or cannot be read.
    """
    extraction = extract_sources(image, config)
    return _detections(image, extraction.measurements, extraction.background, config)


def find_by_fdr(
    image: Image, config: SourceExtractionConfig, *, alpha: float, analysis_threshold: float | None = None
) -> Detections:
    """Find and measure sources at the threshold with a false discovery rate of ``alpha``.

    Parameters
    ----------
    image
        Image to search.
    config
        Extraction settings. Both thresholds are replaced.
    alpha
        Expected share of noise among the detected pixels, see :func:`trap.finder.fdr.fdr_threshold`.
    analysis_threshold
        σ — threshold of the pixels of an island, limited to the detection threshold. None stands for
        the detection threshold (as in TraP).

    Raises
    ------
    ImageError
        If the image has no restoring beam, or cannot be read.
    """
    beam = image.require_beam()
    background = extract_sources(image, config).background
    significance = significance_map(image, background, config)
    # The ellipse at half maximum has ln 2 times the area of the beam's integral.
    area = np.log(2) * beam.area_pixels(image.metadata.deltax, image.metadata.deltay)
    threshold = fdr_threshold(significance, alpha=alpha, beam_area=area)
    if not np.isfinite(threshold):
        detections = _detections(image, Measurements.empty(), background, config)
        return replace(detections, detection_threshold=threshold)
    analysis = threshold if analysis_threshold is None else min(analysis_threshold, threshold)
    return find_by_threshold(
        image, config.model_copy(update={"detection_threshold": threshold, "analysis_threshold": analysis})
    )


def measure_detected_in(detection_image: Image, image: Image, config: SourceExtractionConfig) -> Detections:
    """Measure in one image the sources detected in another image.

    All sources of the detection image are fitted together in the image, at their positions and with
    the beam of the image. They may be negative or absent there, and the pixel grids may differ.

    Parameters
    ----------
    detection_image
        Image to search.
    image
        Image to measure.
    config
        Extraction settings for both images.

    Returns
    -------
    Detections
        With the island numbers of the detection image.

    Raises
    ------
    ImageError
        If an image has no restoring beam, or cannot be read.
    """
    detection = extract_sources(detection_image, config)
    # A source centred outside the searched area is the wing of a source elsewhere.
    sources = detection.measurements.take((detection.measurements.flags & int(Flag.OUTSIDE)) == 0)
    detections = measure_positions(image, sources.ra, sources.dec, config)
    return replace(
        detections,
        measurements=detections.measurements.with_columns(island=sources.island),
        detected_in=detection_image,
        detection_background=detection.background,
    )


def measure_positions(image: Image, ra: ArrayLike, dec: ArrayLike, config: SourceExtractionConfig) -> Detections:
    """Measure an image at given positions, with or without a visible source.

    The sources above the thresholds are part of the model, so their flux does not leak into the
    positions.

    Parameters
    ----------
    image
        Image to measure.
    ra, dec
        (n,) deg — positions, ICRS.
    config
        Extraction settings.

    Returns
    -------
    Detections
        One row a position, in the given order.

    Raises
    ------
    ImageError
        If the image has no restoring beam, or cannot be read.
    """
    extraction = extract_sources(image, config)
    fits = fit_positions(
        image, ra, dec, background=extraction.background, neighbours=extraction.measurements, config=config
    )
    return _detections(image, fits, extraction.background, config)


def _detections(
    image: Image, measurements: Measurements, background: Background, config: SourceExtractionConfig
) -> Detections:
    """Make the result for an image that was both searched and measured."""
    return Detections(
        measurements=measurements,
        background=background,
        config=config,
        detection_threshold=config.detection_threshold,
        detected_in=image,
        detection_background=background,
    )
