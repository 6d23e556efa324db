"""``transients inspect``: print the header, noise, sources and checks of images, before any run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trap.config import PipelineConfig, load_config
from trap.dataset.outcomes import ExitCode
from trap.images.patterns import expand_patterns
from trap.report.export import as_json
from trap.report.inspection import inspection_text, inspection_values
from trap.run.inspection import compare_inspections, inspect_image

if TYPE_CHECKING:
    from argparse import Namespace

__all__ = ["inspect"]


def inspect(arguments: Namespace) -> int:
    """Print the inspection of each image; images are also compared with each other, in order of time.

    Returns
    -------
    int
        0, or :attr:`trap.dataset.outcomes.ExitCode.IMAGES_LEFT_OUT` if a run would leave any image out.

    Raises
    ------
    ConfigError
        If a pattern matches no image, or the settings are wrong.
    """
    config = PipelineConfig() if arguments.config is None else load_config(arguments.config)
    alone = [inspect_image(path, config) for path in expand_patterns(arguments.images)]
    inspections = compare_inspections(alone, config)
    if arguments.json:
        print(as_json([inspection_values(inspection, config) for inspection in inspections]))
    else:
        print("\n\n".join(inspection_text(inspection, config) for inspection in inspections))
    return int(ExitCode.COMPLETE if all(one.is_usable for one in inspections) else ExitCode.IMAGES_LEFT_OUT)
