"""Measure an image at positions that come from elsewhere: from another image, or from a list."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from trap.catalogues import Flag
from trap.extraction.forced import fit_positions
from trap.extraction.measure import extract_sources
from trap.finder.finder import Findings, findings_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from trap.config import SourceExtractionConfig
    from trap.images.image import Image

__all__ = ["measure_detected_in", "measure_positions"]


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
    return findings_of(image, fits, extraction.background, config)
