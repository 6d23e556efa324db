"""Ways to choose what is measured in one image: by thresholds, by FDR, by another image, by positions.

The pipeline needs the first and the last, each where it belongs; a source finder that stands alone
has them side by side, and each gives the same kind of answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from trap.catalogues import Flag, Measurements
from trap.errors import ImageError
from trap.extraction.fdr import fdr_threshold
from trap.extraction.forced import fit_positions
from trap.extraction.maps import significance_map
from trap.extraction.measure import extract_sources

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from trap.config import SourceExtractionConfig
    from trap.extraction.background import Background
    from trap.images.image import Image

__all__ = ["Findings", "find_by_fdr", "find_by_threshold", "measure_detected_in", "measure_positions"]


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
    return _findings(image, extraction.measurements, extraction.background, config)


def find_by_fdr(
    image: Image, config: SourceExtractionConfig, *, alpha: float, analysis_threshold: float | None = None
) -> Findings:
    """Find and measure sources at the threshold that lets through a share ``alpha`` of false pixels.

    Parameters
    ----------
    config
        Its thresholds are replaced.
    alpha
        See :func:`trap.extraction.fdr.fdr_threshold`.
    analysis_threshold
        σ — down to which pixels belong to an island; None, and at most, the detection threshold (TraP's).
    """
    beam = image.metadata.beam
    if beam is None:
        raise ImageError("no restoring beam in the header", image.url)
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


def measure_detected_in(detection_image: Image, image: Image, config: SourceExtractionConfig) -> Findings:
    """Measure in one image the sources that another one shows.

    The sources of the detection image's islands are fitted in the image at their positions and with its
    beam, all together: negative or absent ones too, and on any pixel grid.

    Returns
    -------
    Findings
        With the numbers of the detection image's islands.
    """
    detection = extract_sources(detection_image, config)
    # Those centred outside its searched area are the wings of sources elsewhere.
    detected = detection.measurements.take((detection.measurements.flags & int(Flag.OUTSIDE)) == 0)
    found = measure_positions(image, detected.ra, detected.dec, config)
    return replace(
        found,
        measurements=found.measurements.with_columns(island=detected.island),
        detected_in=detection_image,
        detection_background=detection.background,
    )


def measure_positions(image: Image, ra: ArrayLike, dec: ArrayLike, config: SourceExtractionConfig) -> Findings:
    """Measure an image at given positions, whether or not a source is seen there.

    The sources that the thresholds find are part of the model, so that they do not shine into
    the positions.

    Parameters
    ----------
    ra, dec
        (n,) deg — ICRS.
    """
    extraction = extract_sources(image, config)
    fits = fit_positions(
        image, ra, dec, background=extraction.background, neighbours=extraction.measurements, config=config
    )
    return _findings(image, fits, extraction.background, config)


def _findings(
    image: Image, measurements: Measurements, background: Background, config: SourceExtractionConfig
) -> Findings:
    return Findings(
        measurements=measurements,
        background=background,
        config=config,
        detection_threshold=config.detection_threshold,
        detected_in=image,
        detection_background=background,
    )
