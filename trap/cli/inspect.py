"""``transients inspect``: print the header, noise, sources and checks of images, before any run."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from trap.cli.isolation import open_image_workers, results_of_images
from trap.config import PipelineConfig, load_config
from trap.errors import ConfigError, WorkerLostError
from trap.images.patterns import expand_patterns
from trap.run.pairing import pair_images

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence
    from pathlib import Path

    from trap.report.inspection import Inspection
    from trap.run.pairing import Pairing
    from trap.workers.executors import Executor

__all__ = ["inspect"]

PRELOAD = ("trap.run.inspection",)
"""Modules that the worker processes import."""
PLOT_SUFFIXES = (".png", ".pdf", ".svg")


def inspect(arguments: Namespace) -> int:
    """Print the inspection of each image; images are also compared with each other, in order of time.

    Returns
    -------
    int
        0, or :attr:`trap.dataset.outcomes.ExitCode.IMAGES_LEFT_OUT` if a run would leave any image out.

    Raises
    ------
    ConfigError
        If a pattern matches no image, the settings are wrong, or a figure cannot be written.
    """
    if arguments.plot is not None and arguments.plot.suffix.lower() not in PLOT_SUFFIXES:
        msg = f"{arguments.plot}: the name of a figure must end with {', '.join(PLOT_SUFFIXES)}"
        raise ConfigError(msg)
    config = PipelineConfig() if arguments.config is None else load_config(arguments.config)
    if arguments.catalogues is not None:
        config = config.with_options(reading={"catalogues": arguments.catalogues})
    pairing = pair_images(config, expand_patterns(arguments.images))
    paths = pairing.urls
    with open_image_workers(config.execution, len(paths), preload=PRELOAD) as workers:
        # Imported while the workers import their module.
        from trap.dataset.outcomes import ExitCode
        from trap.report.inspection import inspection_table
        from trap.run.inspection import compare_inspections

        inspections = compare_inspections(_inspected(pairing, config, workers), config)
        if arguments.json or arguments.verbose:
            _print_figures(inspections, config, as_list=arguments.json)
        else:
            print(inspection_table(inspections))
        if arguments.plot is not None:
            _plot(inspections, arguments.plot, config, workers)
    return int(ExitCode.COMPLETE if all(one.is_usable for one in inspections) else ExitCode.IMAGES_LEFT_OUT)


def _inspected(pairing: Pairing, config: PipelineConfig, workers: Executor) -> list[Inspection]:
    """Inspect each image by itself; an image that ends its worker is unreadable."""
    from trap.report.inspection import Inspection
    from trap.run.inspection import inspect_image

    paths, lists = pairing.urls, {url: {"listed": listed} for url, listed in pairing.lists.items()}
    results = results_of_images(workers, partial(inspect_image, config=config), paths, lists)
    return [
        Inspection(path=path, problem=str(result)) if isinstance(result, WorkerLostError) else result
        for path, result in zip(paths, results, strict=True)
    ]


def _print_figures(inspections: Sequence[Inspection], config: PipelineConfig, *, as_list: bool) -> None:
    """Print all figures of the inspections, for programs as one JSON list."""
    from trap.report.export import as_json
    from trap.report.inspection import inspection_text, inspection_values

    if as_list:
        print(as_json([inspection_values(inspection, config) for inspection in inspections]))
    else:
        print("\n\n".join(inspection_text(inspection, config) for inspection in inspections))


def _plot(inspections: Sequence[Inspection], path: Path, config: PipelineConfig, workers: Executor) -> None:
    """Draw each readable image; the files of several images are numbered: NAME-1.png, NAME-2.png."""
    readable = [one for one in inspections if one.result is not None and one.result.metadata.has_pixels]
    width = len(str(len(readable)))
    for number, inspection in enumerate(readable, start=1):
        file = path if len(readable) == 1 else path.with_stem(f"{path.stem}-{number:0{width}d}")
        workers.submit(draw_inspection, inspection, file, config).result()


def draw_inspection(inspection: Inspection, file: Path, config: PipelineConfig) -> None:
    """Draw a readable image with its sources; a step for worker processes.

    Parameters
    ----------
    inspection
        Inspection of the image.
    file
        File of the figure.
    config
        All settings.

    Raises
    ------
    ConfigError
        If the figure cannot be written.
    """
    from trap.cli.terminal import reported_errors
    from trap.extraction.field import measured_mask
    from trap.images.image import read_image
    from trap.report.image_plots import plot_image
    from trap.report.plots import save_figure

    result = inspection.result
    if result is None:
        return
    # Read once more, since the pixels of all images together may exceed the memory.
    data = read_image(inspection.path, config.reading).data
    mask = measured_mask(data, config.source_extraction)
    pixel_arcsec = 3600 * abs(result.metadata.deltay)
    with reported_errors(file):
        title = Path(inspection.path).name
        save_figure(plot_image(title, data, mask, result.measurements, pixel_arcsec=pixel_arcsec), file)
