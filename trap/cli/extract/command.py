"""``trap extract``: the source finder on its own, for one image or many."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from trap.cli.extract.products import Extracted, image_stem, write_product
from trap.cli.extract.request import Request, make_request
from trap.cli.files import reported
from trap.dataset.outcomes import ExitCode
from trap.errors import ConfigError, ImageError
from trap.finder.finder import (
    Detections,
    find_by_fdr,
    find_by_threshold,
    measure_detected_in,
    measure_positions,
    with_holes,
)
from trap.finder.shapes import measure_shapes
from trap.images.patterns import expand_patterns
from trap.report.export import as_json

if TYPE_CHECKING:
    from argparse import Namespace

    from trap.images.image import Image

__all__ = ["extract", "extract_image"]


def extract(arguments: Namespace) -> int:
    """Find and measure the sources of images; print them, and write what is asked for.

    Returns
    -------
    0, or :attr:`trap.dataset.outcomes.ExitCode.IMAGES_LEFT_OUT` if any image could not be searched.

    Raises
    ------
    ConfigError
        If an argument cannot be right, a pattern matches nothing, or a file cannot be written.
    ImageError
        If the detection image cannot be used.
    """
    request, products = make_request(arguments), arguments.products or []
    paths = expand_patterns(arguments.images)
    if products:
        _check_stems(paths)
        with reported(arguments.output_dir):
            arguments.output_dir.mkdir(parents=True, exist_ok=True)
    described = []
    for i, path in enumerate(paths):
        # A bad image costs itself; what cannot be written stops everything.
        result = _tried(path, request)
        if isinstance(result, Extracted):
            for product in products:
                write_product(product, result, arguments.output_dir)
            described.append(result.description)
            text = result.text
        else:
            described.append({"image": path, "problem": result})
            text = f"{path}: left out: {result}"
        if not arguments.json:
            print(text if i == 0 else f"\n{text}", flush=True)
    if arguments.json:
        print(as_json(described))
    is_complete = all(image["problem"] is None for image in described)
    return int(ExitCode.COMPLETE if is_complete else ExitCode.IMAGES_LEFT_OUT)


def extract_image(path: str, request: Request) -> Extracted:
    """Find and measure the sources of one image.

    Raises
    ------
    ImageError
        If the image cannot be read or has no restoring beam.
    """
    image = request.image(path)
    findings = _find(image, request)
    names = [] if request.positions is None else [str(name) for name in request.positions.name]
    shapes = measure_shapes(findings.measurements, image, findings.config)
    return Extracted(image=image, findings=findings, shapes=shapes, names=names, has_holes=request.has_holes)


def _tried(path: str, request: Request) -> Extracted | str:
    """What an image gave, or why it gave nothing."""
    try:
        return extract_image(path, request)
    except ImageError as error:
        return error.message
    except OSError as error:
        return error.strerror or str(error)


def _find(image: Image, request: Request) -> Detections:
    if request.positions is not None:
        return measure_positions(image, request.positions.ra, request.positions.dec, request.config)
    if request.detection_image is not None:
        return measure_detected_in(request.detection_image, image, request.config)
    if request.alpha is not None:
        found = find_by_fdr(image, request.config, alpha=request.alpha, analysis_threshold=request.analysis_threshold)
    else:
        found = find_by_threshold(image, request.config)
    return with_holes(image, found) if request.has_holes else found


def _check_stems(paths: list[str]) -> None:
    repeated = [stem for stem, n in Counter(image_stem(path) for path in paths).items() if n > 1]
    if repeated:
        msg = f"several images are called {repeated[0]}: their files would replace each other; extract them one by one"
        raise ConfigError(msg)
