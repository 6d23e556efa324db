"""``transients inspect``: print the header, noise, sources and checks of images, before any run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trap.cli.terminal import reported_errors
from trap.config import PipelineConfig, load_config
from trap.dataset.outcomes import ExitCode
from trap.errors import ConfigError
from trap.extraction.field import measured_mask
from trap.images.image import read_image
from trap.images.patterns import expand_patterns
from trap.report.export import as_json
from trap.report.image_plots import plot_image
from trap.report.inspection import inspection_table, inspection_text, inspection_values
from trap.report.plots import save_figure
from trap.run.inspection import compare_inspections, inspect_image

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence
    from pathlib import Path

    from trap.report.inspection import Inspection

__all__ = ["inspect"]

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
    alone = [inspect_image(path, config) for path in expand_patterns(arguments.images)]
    inspections = compare_inspections(alone, config)
    if arguments.json:
        print(as_json([inspection_values(inspection, config) for inspection in inspections]))
    elif arguments.verbose:
        print("\n\n".join(inspection_text(inspection, config) for inspection in inspections))
    else:
        print(inspection_table(inspections))
    if arguments.plot is not None:
        _plot(inspections, arguments.plot, config)
    return int(ExitCode.COMPLETE if all(one.is_usable for one in inspections) else ExitCode.IMAGES_LEFT_OUT)


def _plot(inspections: Sequence[Inspection], path: Path, config: PipelineConfig) -> None:
    """Draw each readable image; the files of several images are numbered: NAME-1.png, NAME-2.png."""
    readable = [(one.path, one.result) for one in inspections if one.result is not None]
    width = len(str(len(readable)))
    for number, (url, result) in enumerate(readable, start=1):
        file = path if len(readable) == 1 else path.with_stem(f"{path.stem}-{number:0{width}d}")
        # Read once more, since the pixels of all images together may exceed the memory.
        data = read_image(url, config.reading).data
        mask = measured_mask(data, config.source_extraction)
        pixel_arcsec = 3600 * abs(result.metadata.deltay)
        with reported_errors(file):
            save_figure(plot_image(url, data, mask, result.measurements, pixel_arcsec=pixel_arcsec), file)
