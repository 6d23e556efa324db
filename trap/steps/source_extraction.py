"""Source extraction: the blind search of one image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trap.extraction.measure import Extraction
from trap.extraction.measure import extract_sources as measure_sources
from trap.extraction.tiles import sample_noise

if TYPE_CHECKING:
    from trap.config import SourceExtractionConfig
    from trap.images.image import Image

__all__ = ["Extraction", "extract_sources", "sample_noise"]


def extract_sources(accessor: Image, extraction_params: SourceExtractionConfig) -> Extraction:
    """Find and measure the sources of an image.

    TraP took a dict of parameters and returned lists of eighteen numbers; here they are settings
    and a table. The background mesh comes back as well, so that forced fits need not make it again.

    Parameters
    ----------
    accessor
        The image; its pixels are read.
    extraction_params
        Thresholds, mesh, margins and systematic errors.

    Returns
    -------
    Measurements, background mesh, and the extremes of the noise in the searched area.
    """
    return measure_sources(accessor, extraction_params)
