"""Measuring one image: all that can be done without knowing any other image."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from trap.catalogues import Measurements
from trap.errors import ImageError
from trap.images.image import read_image
from trap.records import ImageResult, UnreadableImage
from trap.steps import persistence, quality, source_extraction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trap.config import PipelineConfig
    from trap.images.image import Image

__all__ = ["measure_image"]


def measure_image(url: str, config: PipelineConfig) -> ImageResult | UnreadableImage:
    """Measure one image: read, check, find and fit its sources.

    A pure function of the file and the settings, for worker processes; pixels stay inside.

    Raises
    ------
    TransientError
        If the file system failed in a way that may pass.
    """
    try:
        return _measure(read_image(url, config.reading), config)
    except ImageError as error:
        return UnreadableImage(url=url, reason=error.message)


def _measure(image: Image, config: PipelineConfig) -> ImageResult:
    seconds: dict[str, float] = {}
    with _timed(seconds, "read"):
        content_hash = image.content_hash
        ((metadata, rms_qc),) = persistence.extract_metadatas(
            [image], config.persistence.rms_est_sigma, config.persistence.rms_est_fraction
        )
    with _timed(seconds, "quality"):
        findings = quality.examine(image, rms_qc, config)
        pixel_hash = "" if config.quality.check_repeated == "off" else image.pixel_hash
    result = ImageResult(
        metadata=metadata,
        content_hash=content_hash,
        rms_qc=rms_qc,
        rejection=None,
        measurements=Measurements.empty(),
        background=None,
        rms_min=math.nan,
        rms_max=math.nan,
        pixel_hash=pixel_hash,
        seconds=seconds,
    ).found(findings)
    if result.rejection is not None:
        return result
    with _timed(seconds, "extraction"):
        extraction = source_extraction.extract_sources(image, config.source_extraction)
        tiles = source_extraction.sample_noise(image, extraction.background, config.source_extraction)
        about_sources = quality.examine_sources(image, extraction.background, config)
    return result.with_extraction(extraction, tiles).found(about_sources)


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] = round(time.perf_counter() - start, 4)
