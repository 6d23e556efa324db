"""The arguments of ``transients extract``. This module imports nothing slow, so ``--help`` is quick."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trap.report.products import PRODUCTS

if TYPE_CHECKING:
    import argparse

__all__ = ["DEFAULT_ALPHA", "EPILOG", "add_extract_options"]

_EPILOG = """\
sources are chosen in one of four ways:
  by default         islands of pixels above the detection threshold
  --fdr              islands of pixels above the threshold of a false discovery rate (FDR)
  --detection-image  positions of the sources of another image, with the shape of the beam
  --fixed-positions  given positions, with the shape of the beam
in the last two the thresholds still select the neighbours that are modelled together with them

files are named after the image, as in FIELD.csv, and replace earlier ones:
  {suffixes}

exit codes: 0 all images were searched; 1 could not start; 2 wrong arguments; 3 images were left out
"""

DEFAULT_ALPHA = 0.01
"""Share of false pixels that ``--fdr`` allows."""

EPILOG = _EPILOG.format(suffixes=" ".join(product.suffix for product in PRODUCTS.values()))


def add_extract_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``transients extract`` to a parser: images, settings, choice of sources, and outputs."""
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="images, or quoted glob patterns of images")
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="settings (reading, source_extraction) to start from"
    )
    _add_search(parser)
    _add_choice(parser)
    _add_measurement(parser)
    group = parser.add_argument_group("output", "a table on standard output, and the files")
    group.add_argument("--json", action="store_true", help="print one JSON list instead of that table")
    for name, product in PRODUCTS.items():
        group.add_argument(f"--{name}", action="append_const", dest="products", const=name, help=product.description)
    group.add_argument(
        "--output-dir", type=Path, default=Path(), metavar="DIR", help="folder of the files (the current folder)"
    )


def _add_search(parser: argparse.ArgumentParser) -> None:
    """Add the options of the search: thresholds, mesh, region and deblending."""
    group = parser.add_argument_group("search", "the defaults are those of the settings, as in 'transients run'")
    group.add_argument(
        "--detection-threshold", type=float, metavar="SIGMA",
        help="significance that the highest pixel of a source must reach (default: 5)",
    )  # fmt: skip
    group.add_argument(
        "--analysis-threshold", type=float, metavar="SIGMA",
        help="significance down to which pixels belong to an island (default: 3)",
    )  # fmt: skip
    group.add_argument(
        "--grid", type=int, metavar="PIXELS",
        help="width and height of a cell of the background and noise mesh (default: 50)",
    )  # fmt: skip
    group.add_argument(
        "--margin", type=int, metavar="PIXELS",
        help="width of the strip along the edges that is not searched (default: 0)",
    )  # fmt: skip
    group.add_argument(
        "--radius", type=float, metavar="PIXELS",
        help="radius of the circle around the centre that is searched; 0: the whole image (default: 0)",
    )  # fmt: skip
    group.add_argument(
        "--negative", action="store_true", help="search for negative sources too, in any Stokes parameter"
    )
    deblend = group.add_mutually_exclusive_group()
    deblend.add_argument("--deblend", action="store_true", help="split islands of several sources (default)")
    deblend.add_argument("--no-deblend", action="store_true", help="do not split islands")


def _add_choice(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose the sources to measure."""
    group = parser.add_argument_group("choice").add_mutually_exclusive_group()
    group.add_argument("--fdr", action="store_true", help="set the threshold by the share of false pixels")
    group.add_argument("--detection-image", metavar="FILE", help="image whose sources are measured")
    group.add_argument(
        "--fixed-positions", metavar="JSON|FILE",
        help="'[[RA, DEC], …]' in degrees, or a file: JSON, CSV or VOTable with columns ra and dec",
    )  # fmt: skip
    parser.add_argument(
        "--alpha",
        type=float,
        metavar="SHARE",
        help=f"share of false pixels that --fdr allows (default: {DEFAULT_ALPHA:g})",
    )


def _add_measurement(parser: argparse.ArgumentParser) -> None:
    """Add the options of the measurement: shape, box and beam."""
    group = parser.add_argument_group("measurement")
    shape = group.add_mutually_exclusive_group()
    shape.add_argument("--force-beam", action="store_true", help="fix every shape to the shape of the beam")
    shape.add_argument("--free", action="store_true", help="fit the shapes too (default)")
    group.add_argument(
        "--box", type=float, metavar="N",
        help="side of the box that is fitted at a position, in beam semi-major axes (default: 10)",
    )  # fmt: skip
    for name, help_ in (("bmaj", "major axis, FWHM"), ("bmin", "minor axis, FWHM"), ("bpa", "position angle")):
        group.add_argument(
            f"--{name}", type=float, metavar="DEG", help=f"{help_} of the beam; all three replace the header's"
        )
