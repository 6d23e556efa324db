"""Ways to choose what is measured in one image by what it shows itself: by thresholds, by FDR, holes too.

The pipeline needs the first, where it belongs; a source finder that stands alone has all of them, beside those of
:mod:`trap.finder.positions`, and each gives the same kind of answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from trap.catalogues import Measurements
from trap.extraction.measure import extract_holes, extract_sources
from trap.finder.fdr import fdr_threshold
from trap.finder.maps import significance_map

if TYPE_CHECKING:
    from trap.config import SourceExtractionConfig
    from trap.extraction.mesh import Background
    from trap.images.image import Image

__all__ = ["Findings", "find_by_fdr", "find_by_threshold", "findings_of", "with_holes"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Findings:
    """What was measured in an image, and how it was chosen.

    Parameters
    ----------
    measurements
        The sources, or the positions in the order they were given.
    background
        Level and noise of the empty sky.
    config
        The settings in force, with the thresholds that an FDR came to.
    detection_threshold
        σ — the same as in ``config``; infinite where an FDR let nothing through.
    detected_in
        The image whose islands decided; the one measured, unless there was a detection image.
    detection_background
        Of that image.
    """

    measurements: Measurements
    background: Background
    config: SourceExtractionConfig
    detection_threshold: float
    detected_in: Image
    detection_background: Background


def find_by_threshold(image: Image, config: SourceExtractionConfig) -> Findings:
    """Find and measure the sources that reach the detection threshold.

    Raises
    ------
    ImageError
        If the image has no restoring beam, or cannot be read; so for all functions here.
    """
    extraction = extract_sources(image, config)
    return findings_of(image, extraction.measurements, extraction.background, config)


def find_by_fdr(
    image: Image, config: SourceExtractionConfig, *, alpha: float, analysis_threshold: float | None = None
) -> Findings:
    """Find and measure sources at the threshold that lets through a share ``alpha`` of false pixels.

    Parameters
    ----------
    config
        Its thresholds are replaced.
    alpha
        See :func:`trap.finder.fdr.fdr_threshold`.
    analysis_threshold
        σ — down to which pixels belong to an island; None, and at most, the detection threshold (TraP's).
    """
    beam = image.require_beam()
    background = extract_sources(image, config).background
    significance = significance_map(image, background, config)
    # The ellipse at half maximum has ln 2 times the area that the beam integrates to.
    area = np.log(2) * beam.area_pixels(image.metadata.deltax, image.metadata.deltay)
    threshold = fdr_threshold(significance, alpha=alpha, beam_area=area)
    if not np.isfinite(threshold):
        return Findings(
            measurements=Measurements.empty(),
            background=background,
            config=config,
            detection_threshold=threshold,
            detected_in=image,
            detection_background=background,
        )
    analysis = threshold if analysis_threshold is None else min(analysis_threshold, threshold)
    chosen = config.model_copy(update={"detection_threshold": threshold, "analysis_threshold": analysis})
    return find_by_threshold(image, chosen)


def with_holes(image: Image, findings: Findings) -> Findings:
    """Find and measure what stands as far below the background, too: sidelobes, or sources of negative Stokes V.

    Parameters
    ----------
    findings
        Of this image; the thresholds are those in force there.

    Returns
    -------
    Findings
        With rows for the holes behind the others: flux densities and significance are negative, and so is the
        number of the island.
    """
    if not np.isfinite(findings.detection_threshold):
        return findings
    holes = extract_holes(image, findings.background, findings.config)
    return replace(findings, measurements=Measurements.concatenate([findings.measurements, holes]))


def findings_of(
    image: Image, measurements: Measurements, background: Background, config: SourceExtractionConfig
) -> Findings:
    """Put together what was measured in an image that decided itself what is measured."""
    return Findings(
        measurements=measurements,
        background=background,
        config=config,
        detection_threshold=config.detection_threshold,
        detected_in=image,
        detection_background=background,
    )
