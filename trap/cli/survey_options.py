"""The arguments of ``transients simulate``. Each has the name of its setting as destination."""

from __future__ import annotations

import argparse

__all__ = ["add_survey_options", "add_survey_size", "natural_number"]


def natural_number(text: str) -> int:
    """Read a number of things from the command line.

    Raises
    ------
    argparse.ArgumentTypeError
        If the number is negative.
    """
    number = int(text)
    if number < 0:
        msg = f"{number} is negative"
        raise argparse.ArgumentTypeError(msg)
    return number


def add_survey_size(parser: argparse.ArgumentParser) -> None:
    """Add the numbers of images, pixels and sources."""
    helps = {
        "timesteps": "number of timesteps",
        "bands": "number of frequency bands",
        "steady": "number of steady sources (default: drawn from source counts)",
        "variables": "number of variable sources",
        "transients": "number of transients",
    }
    for name, help_ in helps.items():
        parser.add_argument(f"--{name}", dest=f"n_{name}", type=natural_number, metavar="N", help=help_)
    parser.add_argument("--size", type=natural_number, metavar="N", help="width and height of an image, in pixels")
    parser.add_argument("--seed", type=natural_number, metavar="N", help="seed of the random numbers")


def add_survey_options(parser: argparse.ArgumentParser) -> None:
    """Add all settings of a survey."""
    add_survey_size(parser)
    _add_images(parser.add_argument_group("images"))
    _add_sources(parser.add_argument_group("sources; a flux density of 20 sigma is 20 times the noise"))
    _add_sidelobes(
        parser.add_argument_group(
            "bright sources, and the sidelobes that are left around all sources",
            "the level in each image is written to truth_images.ecsv",
        )
    )
    _add_errors(
        parser.add_argument_group(
            "calibration errors of the images", "their true values are written to truth_images.ecsv"
        )
    )


def _add_images(group: argparse._ArgumentGroup) -> None:
    """Add the settings of the field, the beam, the noise and the frequencies."""
    group.add_argument("--centre", type=float, nargs=2, metavar=("RA", "DEC"), help="centre of the field, in degrees")
    group.add_argument("--pixel-scale", dest="pixel_scale_arcsec", type=float, metavar="ARCSEC", help="size of a pixel")
    group.add_argument(
        "--beam", type=float, nargs="+", metavar="WIDTH",
        help="restoring beam: full widths along the major and the minor axis in arcsec, and optionally the position "
        "angle in degrees (default: some 5 pixels wide)",
    )  # fmt: skip
    group.add_argument("--rms", type=float, metavar="JY", help="noise of every image, in Jy/beam")
    group.add_argument("--frequency", dest="frequency_hz", type=float, metavar="HZ", help="frequency of the first band")
    group.add_argument(
        "--band-spacing", dest="band_spacing_hz", type=float, metavar="HZ", help="distance from one band to the next"
    )
    group.add_argument(
        "--bandwidth", dest="bandwidth_hz", type=float, metavar="HZ",
        help="width of each band (default: half the distance, and at most a tenth of the frequency)",
    )  # fmt: skip


def _add_sources(group: argparse._ArgumentGroup) -> None:
    """Add the settings of the sky."""
    ranges = {
        "steady-sigma": "flux densities of the steady sources in the first band",
        "variable-sigma": "mean flux densities of the variables in their faintest band",
        "transient-sigma": "peaks of the transients in their brightest band",
        "modulation": "standard deviations of the variables over their means, at most 0.5",
    }
    for name, help_ in ranges.items():
        group.add_argument(f"--{name}", type=float, nargs=2, metavar=("MIN", "MAX"), help=help_)
    group.add_argument("--counts", choices=("hopkins2003", "mandal2021"), help="source counts of the steady sources")
    group.add_argument(
        "--min-separation", dest="min_separation_beams", type=float, metavar="BEAMS",
        help="minimum distance between two sources, in beam widths; crowded fields need a smaller one",
    )  # fmt: skip
    group.add_argument(
        "--close-pairs", dest="n_close_pairs", type=natural_number, metavar="N",
        help="number of steady sources with a close companion",
    )  # fmt: skip
    _add_neighbours(group)


def _add_neighbours(group: argparse._ArgumentGroup) -> None:
    """Add the settings of sources at chosen distances from others."""
    group.add_argument(
        "--transient-distance", dest="transient_distance_beams", type=float, nargs="+", metavar="BEAMS",
        help="distance of the transients from steady sources, in beam widths: one number, or a range "
        "(default: like other sources)",
    )  # fmt: skip
    group.add_argument(
        "--pair-distance", dest="close_pair_beams", type=float, nargs="+", metavar="BEAMS",
        help="distance of the close companions, in beam widths: one number, or a range",
    )  # fmt: skip
    group.add_argument(
        "--pair-sigma", dest="close_pair_sigma", type=float, nargs=2, metavar=("MIN", "MAX"),
        help="flux densities of both members of close pairs (default: from the source counts)",
    )  # fmt: skip
    group.add_argument(
        "--pair-ratio", dest="close_pair_ratio", type=float, metavar="RATIO",
        help="largest ratio of the flux densities in a close pair, with --pair-sigma",
    )  # fmt: skip
    group.add_argument(
        "--doubled", dest="n_doubled", type=natural_number, metavar="N",
        help="number of close pairs in which one member doubles its flux density",
    )  # fmt: skip
    group.add_argument(
        "--doubled-at", type=natural_number, metavar="TIMESTEP",
        help="first timestep in which these members are doubled, counted from 0 (default: the middle)",
    )  # fmt: skip


def _add_errors(group: argparse._ArgumentGroup) -> None:
    """Add the settings of the calibration errors."""
    group.add_argument(
        "--gain-scatter", type=float, metavar="FRACTION", help="scatter of the flux scales, one for each image"
    )
    group.add_argument(
        "--shift", dest="shift_arcsec", type=float, metavar="ARCSEC",
        help="rms shift along each axis, one shift for all images of a timestep",
    )  # fmt: skip
    group.add_argument(
        "--refraction", dest="refraction_arcsec", type=float, metavar="ARCSEC",
        help="rms of a smooth field of displacements along each axis in the first band; every timestep has another "
        "field, which scales with the frequency to the power of -2",
    )  # fmt: skip
    group.add_argument(
        "--decorrelation", type=float, metavar="FRACTION",
        help="mean fraction by which the peaks of an image are lowered; sources are broadened, and their integrated "
        "flux densities stay",
    )  # fmt: skip


def _add_sidelobes(group: argparse._ArgumentGroup) -> None:
    """Add the settings of bright sources and of sidelobes."""
    group.add_argument(
        "--bright", dest="n_bright", type=natural_number, metavar="N", help="number of additional bright sources"
    )
    group.add_argument("--bright-sigma", type=float, metavar="SIGMA", help="flux density of the bright sources")
    group.add_argument(
        "--sidelobes", dest="sidelobe_level", type=float, metavar="FRACTION",
        help="level of the first ring of the point-spread function over its peak",
    )  # fmt: skip
    group.add_argument(
        "--sidelobe-residual", type=float, metavar="FRACTION",
        help="rms, around zero, of the fraction of the sidelobes that is left in an image; each image has another one",
    )  # fmt: skip
    group.add_argument(
        "--sidelobe-spacing", dest="sidelobe_spacing_beams", type=float, metavar="BEAMS",
        help="radius of the first ring, and distance of the next ones, in beam widths",
    )  # fmt: skip
    group.add_argument("--sidelobe-rings", type=natural_number, metavar="N", help="number of rings")
    group.add_argument(
        "--sidelobe-spokes", type=natural_number, metavar="N",
        help="number of arcs in a ring, which rotate with the sky; 0 leaves rings whole",
    )  # fmt: skip
