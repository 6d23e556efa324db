"""TraP's ``source_extraction`` step: the blind search of one image.

TraP's interface, kept for scripts written for TraP. The pipeline itself calls
:func:`trap.extraction.measure.extract_sources`, whose result also holds the background mesh for later forced fits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from trap.extraction import measure

if TYPE_CHECKING:
    from trap.catalogues import Measurements
    from trap.config import SourceExtractionConfig
    from trap.images.image import Image

__all__ = ["ExtractionResults", "extract_sources"]


class ExtractionResults(NamedTuple):
    """Sources of one image, and the range of its noise.

    Parameters
    ----------
    sources
        Measured sources, island by island. TraP had a list of lists of eighteen numbers.
    rms_min, rms_max
        Jy/beam — lowest and highest noise of the searched area; NaN if no pixel was searched.
    """

    sources: Measurements
    rms_min: float
    rms_max: float


def extract_sources(accessor: Image, extraction_params: SourceExtractionConfig) -> ExtractionResults:
    """Find and measure the sources of an image. TraP took a dict of parameters.

    Parameters
    ----------
    accessor
        The image; its pixels are read.
    extraction_params
        Thresholds, mesh, margins and systematic errors.

    Returns
    -------
    Sources, and the lowest and highest noise.

    Raises
    ------
    ImageError
        If the image has no restoring beam, or cannot be read.
    """
    extraction = measure.extract_sources(accessor, extraction_params)
    return ExtractionResults(extraction.measurements, extraction.rms_min, extraction.rms_max)
