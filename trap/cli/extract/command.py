"""``transients extract``: the source finder on its own, for one image or many."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from trap.cli.extract.request import Request, make_request
from trap.cli.isolation import open_image_workers, results_of_images
from trap.cli.terminal import reported_errors
from trap.dataset.outcomes import ExitCode
from trap.errors import ConfigError, ImageError, WorkerLostError, out_of_memory
from trap.escapes import plain_text
from trap.images.patterns import expand_patterns
from trap.report.export import as_json
from trap.report.products import PRODUCTS, image_stem, product_path

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence
    from pathlib import Path

    from trap.finder.finder import Detections
    from trap.images.image import Image
    from trap.report.extracted import Extracted

__all__ = ["extract", "extract_image"]

PRELOAD = ("trap.finder.shapes", "trap.report.extracted")
"""Modules that the worker processes import, while this process imports less."""


def extract(arguments: Namespace) -> int:
    """Find and measure the sources of images, print them, and write the files of the chosen kinds.

    Parameters
    ----------
    arguments
        Arguments of :func:`trap.cli.extract.options.add_extract_options`.

    Returns
    -------
    int
        0, or :attr:`trap.dataset.outcomes.ExitCode.IMAGES_LEFT_OUT` if any image could not be searched.

    Raises
    ------
    ConfigError
        If an argument is impossible, a pattern matches no image, or a file cannot be written.
    ImageError
        If the detection image cannot be used.
    """
    request, products = make_request(arguments), list(arguments.products or [])
    paths = expand_patterns(arguments.images)
    if products:
        _check_stems(paths)
        with reported_errors(arguments.output_dir):
            arguments.output_dir.mkdir(parents=True, exist_ok=True)
    described = []
    with open_image_workers(request.execution, len(paths), preload=PRELOAD) as workers:
        if request.detection_image:
            # Checked once, before all images: no image can be measured without it.
            workers.submit(check_beam, request.detection_image, request).result()
        step = partial(write_sources, request=request, products=products, directory=arguments.output_dir)
        for i, (path, result) in enumerate(zip(paths, results_of_images(workers, step, paths), strict=True)):
            description, text = _left_out(path, str(result)) if isinstance(result, WorkerLostError) else result
            described.append(description)
            if not arguments.json:
                print(text if i == 0 else f"\n{text}", flush=True)
    if arguments.json:
        print(as_json(described))
    is_complete = all(image["problem"] is None for image in described)
    return int(ExitCode.COMPLETE if is_complete else ExitCode.IMAGES_LEFT_OUT)


def check_beam(path: str, request: Request) -> None:
    """Check that an image has a restoring beam; a step for worker processes.

    Parameters
    ----------
    path
        Path of the image.
    request
        Settings.

    Raises
    ------
    ImageError
        If the image cannot be read or has no restoring beam.
    """
    try:
        request.image(path).require_beam()
    except MemoryError as error:
        raise ImageError(out_of_memory(error), path) from error


def write_sources(
    path: str, request: Request, products: Sequence[str], directory: Path
) -> tuple[dict[str, object], str]:
    """Find and measure the sources of one image, and write its files; a step for worker processes.

    Parameters
    ----------
    path
        Path of the image.
    request
        Method and settings.
    products
        Names of the files to write, see :data:`trap.report.products.PRODUCTS`.
    directory
        Folder of the files.

    Returns
    -------
    description, text
        The sources as data and as text, or the reason why the image is left out.

    Raises
    ------
    ConfigError
        If a file cannot be written.
    """
    # A bad image is left out; a file that cannot be written ends the command.
    result = _tried(path, request)
    if isinstance(result, str):
        return _left_out(path, result)
    try:
        for product in (PRODUCTS[name] for name in products):
            file = product_path(product, result.image, directory)
            with reported_errors(file):
                product.write(file, result)
    except MemoryError as error:
        return _left_out(path, out_of_memory(error))
    return result.description, result.text


def _left_out(path: str, reason: str) -> tuple[dict[str, object], str]:
    return {"image": path, "problem": reason}, plain_text(f"{path}: left out: {reason}")


def extract_image(path: str, request: Request) -> Extracted:
    """Find and measure the sources of one image.

    Parameters
    ----------
    path
        Path of the image.
    request
        Method and settings.

    Raises
    ------
    ImageError
        If the image cannot be read or has no restoring beam.
    """
    from trap.finder.shapes import measure_shapes
    from trap.report.extracted import Extracted

    image = request.image(path)
    detections = _find(image, request)
    names = [] if request.positions is None else [str(name) for name in request.positions.name]
    shapes = measure_shapes(detections.measurements, image, detections.config)
    return Extracted(image=image, detections=detections, shapes=shapes, names=names)


def _tried(path: str, request: Request) -> Extracted | str:
    """Extract the sources of an image, or return the reason if that is impossible."""
    try:
        return extract_image(path, request)
    except ImageError as error:
        return error.message
    except OSError as error:
        return error.strerror or str(error)
    except MemoryError as error:
        return out_of_memory(error)


def _find(image: Image, request: Request) -> Detections:
    """Find and measure sources by the method of the request."""
    from trap.finder.finder import find_by_fdr, find_by_threshold, measure_detected_in, measure_positions

    if request.positions is not None:
        return measure_positions(image, request.positions.ra, request.positions.dec, request.config)
    if request.detection_image:
        return measure_detected_in(request.image(request.detection_image), image, request.config)
    if request.alpha is not None:
        return find_by_fdr(image, request.config, alpha=request.alpha, analysis_threshold=request.analysis_threshold)
    return find_by_threshold(image, request.config)


def _check_stems(paths: list[str]) -> None:
    """Refuse images whose files would replace each other."""
    repeated = [stem for stem, n in Counter(image_stem(path) for path in paths).items() if n > 1]
    if repeated:
        msg = f"several images are called {repeated[0]}: their files would replace each other; extract them one by one"
        raise ConfigError(msg)
