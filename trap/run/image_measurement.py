"""The measurement of one image: all stages that depend on no other image."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import structlog
from astropy.io.fits import Header
from structlog.contextvars import bound_contextvars

from trap.config import PipelineConfig
from trap.dataset.records import ImageResult, UnreadableImage
from trap.errors import ImageError, out_of_memory
from trap.extraction.measure import extract_sources
from trap.extraction.tiles import sample_noise
from trap.images.image import Image, read_image
from trap.quality import rms_qc
from trap.run.listed_images import content_hash_of, extract_listed, measure_list, require_list
from trap.steps import quality

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trap.run.pairing_table import ListedImage

__all__ = ["measure_image", "warm_up"]

log = structlog.get_logger(__name__)


def measure_image(url: str, config: PipelineConfig, listed: ListedImage | None = None) -> ImageResult | UnreadableImage:
    """Measure one image: read and check it, find and fit its sources.

    A pure function of the file and the settings, for worker processes. The pixels are not returned.

    Parameters
    ----------
    url
        Path of the image.
    config
        All settings.
    listed
        List of the sources of the image, which takes the place of the search. A list without an image has its own path
        as ``url``. None searches the image.

    Returns
    -------
    The measurements of the image, or the reason why it cannot be read; a file must not change while it is measured.

    Raises
    ------
    TransientError
        If the file system failed for a reason that may pass.
    """
    with bound_contextvars(image=url):
        try:
            result = _measure_file(url, config, listed)
        except ImageError as error:
            return UnreadableImage(url=url, reason=error.message_for(url))
        except MemoryError as error:
            return UnreadableImage(url=url, reason=out_of_memory(error))
        log.debug("image_measured", sources=len(result.measurements), rms=result.rms_qc, seconds=result.seconds)
        return result


def _measure_file(url: str, config: PipelineConfig, listed: ListedImage | None) -> ImageResult:
    """Measure an image, or read a list without an image."""
    if listed is not None:
        require_list(listed, url)
        if not listed.has_image:
            return measure_list(url, listed, config)
    image = read_image(url, config.reading)
    version = image.file_version()
    result = _measure(image, config, listed)
    if image.file_version() != version and read_image(url).content_hash != image.content_hash:
        raise ImageError("the file changed while it was measured", url)
    return result


def _measure(image: Image, config: PipelineConfig, listed: ListedImage | None = None) -> ImageResult:
    """Take an image through its stages, timing each; a rejected image is not searched for sources."""
    seconds: dict[str, float] = {}
    with _timed(seconds, "read"):
        content_hash = image.content_hash if listed is None else content_hash_of(listed, image.content_hash, config)
        metadata = image.metadata
        settings = config.persistence
        noise = rms_qc(image.data, sigma=settings.rms_est_sigma, fraction=settings.rms_est_fraction)
    with _timed(seconds, "quality"):
        findings = quality.examine(image, noise, config)
        pixel_hash = "" if config.quality.check_repeated == "off" else image.pixel_hash
    result = ImageResult.unmeasured(
        metadata, content_hash=content_hash, rms_qc=noise, pixel_hash=pixel_hash, seconds=seconds
    ).found(findings)
    if listed is not None:
        result = replace(result, source_list=listed.catalogue)
    if result.rejection is not None:
        return result
    with _timed(seconds, "extraction"):
        if listed is None:
            extraction = extract_sources(image, config.source_extraction)
        else:
            extraction, read = extract_listed(image, listed, config)
            content_hash = content_hash_of(listed, image.content_hash, config, list_hash=read.content_hash)
            result = replace(result, finder=read.finder, content_hash=content_hash)
        tiles = sample_noise(image, extraction.background, config.source_extraction)
        searched, negative = quality.measure_area(image, extraction.background, config)
        about_sources = quality.examine_sources(image, searched, config, n_sources=len(extraction.measurements))
    return replace(result.with_extraction(extraction, tiles), searched=searched, negative=negative).found(about_sources)


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Record the duration of the block under the name of its stage."""
    start = time.perf_counter()
    yield
    seconds[stage] = round(time.perf_counter() - start, 4)


def warm_up() -> None:
    """Measure a small simulated image, so that imports and compiled code do not delay the first real image."""
    pixels = np.random.default_rng(1).normal(0.0, 1.0, (128, 128)).astype(np.float32)
    y, x = np.indices(pixels.shape) - 64.0
    pixels += 50.0 * np.exp(-(x**2 + y**2) / 8.0)
    # An area without data has kernels of its own.
    pixels[:8] = 0
    _measure(Image.from_array(pixels, Header(_SIMULATED_HEADER), "simulated"), PipelineConfig())


_SIMULATED_HEADER = {
    "CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN", "CRVAL1": 0.0, "CRVAL2": 45.0, "CRPIX1": 64.5, "CRPIX2": 64.5,
    "CDELT1": -0.001, "CDELT2": 0.001, "BMAJ": 0.0047, "BMIN": 0.0047, "BPA": 0.0, "BUNIT": "Jy/beam",
    "DATE-OBS": "2000-01-01T00:00:00", "CTYPE3": "FREQ", "CRVAL3": 1.4e9, "CDELT3": 1e6, "CRPIX3": 1.0, "NAXIS": 3,
    "NAXIS3": 1,
}  # fmt: skip
