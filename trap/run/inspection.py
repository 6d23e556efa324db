"""Inspection of images before any run: each by itself as a run would, and all of them in order of time."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from trap.dataset.records import ImageResult
from trap.dataset.state import DatasetState
from trap.errors import ImageError, TransientError, out_of_memory
from trap.extraction.field import measured_mask
from trap.extraction.measure import extract_sources
from trap.images.image import read_image
from trap.quality import first_rejection, rms_qc
from trap.report.inspection import Inspection
from trap.report.text import count
from trap.run.listed_images import extract_listed, measure_list, require_list
from trap.steps.quality import compare_with_others, examine, examine_sources, measure_area

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trap.config import PipelineConfig
    from trap.images.image import Image
    from trap.images.metadata import ImageMetadata
    from trap.run.pairing_table import ListedImage

__all__ = ["compare_inspections", "inspect_image"]

MAX_FOLLOWING = 100
"""Number of following images among which the images of the same band are sought."""


def inspect_image(path: str, config: PipelineConfig, listed: ListedImage | None = None) -> Inspection:
    """Inspect one image by itself: its header, its noise, its sources and its checks.

    Parameters
    ----------
    path
        Path of the image.
    config
        All settings: of reading, region, noise and limits.
    listed
        List of its sources by another finder; None searches the image.
    """
    try:
        if listed is not None:
            require_list(listed, path)
            if not listed.has_image:
                result = measure_list(path, listed, config)
                return Inspection(path=path, result=result, findings=result.findings)
        return _inspect(read_image(path, config.reading), config, listed)
    except ImageError as error:
        return Inspection(path=path, problem=error.message_for(path))
    except TransientError as error:
        return Inspection(path=path, problem=str(error))
    except MemoryError as error:
        return Inspection(path=path, problem=out_of_memory(error))


def compare_inspections(inspections: Sequence[Inspection], config: PipelineConfig) -> list[Inspection]:
    """Add the findings of the checks against other images, with the images in order of time.

    Parameters
    ----------
    inspections
        Inspections of images by themselves, in any order.
    config
        All settings.

    Returns
    -------
    list of Inspection
        In the given order. Images that are unreadable or rejected are unchanged.
    """
    state, compared = DatasetState(config=config), list(inspections)
    usable = [
        (inspection.result.metadata.taustart_ts, i)
        for i, inspection in enumerate(inspections)
        if inspection.result and inspection.is_usable
    ]
    order = [i for _, i in sorted(usable)]
    for place, i in enumerate(order):
        result = inspections[i].result
        if result is None:
            continue
        following = (inspections[later].result for later in order[place + 1 : place + 1 + MAX_FOLLOWING])
        findings = compare_with_others(result, state, [other for other in following if other is not None])
        compared[i] = replace(inspections[i], findings=(*inspections[i].findings, *findings))
        if compared[i].is_usable:
            state.light_curve_key(result.metadata)
            state.remember(result)
    return compared


def _inspect(image: Image, config: PipelineConfig, listed: ListedImage | None) -> Inspection:
    """Measure an image as a run would, and keep the findings of all checks, passed or failed."""
    settings = config.persistence
    noise = rms_qc(image.data, sigma=settings.rms_est_sigma, fraction=settings.rms_est_fraction)
    findings = examine(image, noise, config)
    result = ImageResult.unmeasured(image.metadata, rms_qc=noise, pixel_hash=image.pixel_hash)
    if first_rejection(findings) is None:
        if listed is None:
            extraction = extract_sources(image, config.source_extraction)
        else:
            extraction, _ = extract_listed(image, listed, config)
        area, _ = measure_area(image, extraction.background, config)
        findings += examine_sources(image, area, config, n_sources=len(extraction.measurements))
        result = replace(result, measurements=extraction.measurements, unsearched=extraction.unsearched)
    searched = ~measured_mask(image.data, config.source_extraction)
    return Inspection(
        path=image.url,
        problem=_smallness(image.metadata, int(searched.sum()), config),
        result=result,
        findings=findings,
        finite_fraction=float(np.isfinite(image.data).mean()),
        searched_fraction=float(searched.mean()),
    )


def _smallness(metadata: ImageMetadata, n_searched: int, config: PipelineConfig) -> str:
    """Explain why an image is too small to be searched; empty if the searched area has the size of a beam."""
    beam = metadata.beam
    if beam is None:
        return ""
    semimajor, semiminor, _ = beam.semi_axes_pixels(metadata.deltax, metadata.deltay)
    if n_searched >= math.pi * semimajor * semiminor:
        return ""
    settings = config.source_extraction
    return (
        f"{count(n_searched, 'pixel')} of {metadata.nx} × {metadata.ny} searched, fewer than a beam has "
        f"(source_extraction.margin = {settings.margin}, extraction_radius_pix = {settings.extraction_radius_pix:g})"
    )
