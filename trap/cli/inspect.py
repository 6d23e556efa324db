"""``trap inspect``: what the pipeline would see in images, and think of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from trap.config import PipelineConfig, load_config
from trap.errors import ImageError
from trap.images.image import Image
from trap.images.patterns import expand_patterns
from trap.outcomes import ExitCode
from trap.report.export import as_json
from trap.report.text import MISSING, moment, number, sky_position
from trap.steps.persistence import extract_metadatas
from trap.steps.quality import reject_check

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from trap.images.metadata import ImageMetadata

__all__ = ["inspect", "look_at"]


def inspect(arguments: Namespace) -> int:
    """Print what is known of each image.

    Returns
    -------
    0, or :attr:`trap.outcomes.ExitCode.IMAGES_LEFT_OUT` if a run would leave any image out.

    Raises
    ------
    ConfigError
        If a pattern matches nothing, or the settings are wrong.
    """
    config = PipelineConfig() if arguments.config is None else load_config(arguments.config)
    looks = [look_at(path, config) for path in expand_patterns(arguments.images)]
    if arguments.json:
        print(as_json(looks))
    else:
        print("\n\n".join("\n".join(_lines(look)) for look in looks))
    return int(ExitCode.COMPLETE if all(look["usable"] for look in looks) else ExitCode.IMAGES_LEFT_OUT)


def look_at(path: str, config: PipelineConfig) -> dict[str, Any]:
    """Describe one image: its header, its noise, and every figure that the quality checks look at.

    Parameters
    ----------
    path
        File of the image.
    config
        Settings that decide on its region, its noise and its limits.
    """
    image = Image(path)
    try:
        metadata = image.metadata
        ((_, rms_qc),) = extract_metadatas(
            [image], config.persistence.rms_est_sigma, config.persistence.rms_est_fraction
        )
        rejection = reject_check(image, rms_qc, config)
        finite = float(np.isfinite(image.data).mean())
    except ImageError as error:
        return {"image": path, "usable": False, "problem": f"unreadable: {error.message}"}
    except OSError as error:
        return {"image": path, "usable": False, "problem": f"unreadable: {error.strerror or error}"}
    return {
        "image": path,
        "usable": rejection is None,
        "problem": None if rejection is None else f"rejected: {rejection.text}",
        **_described(metadata, config),
        "rms_qc": rms_qc,
        "finite_fraction": finite,
    }


def _described(metadata: ImageMetadata, config: PipelineConfig) -> dict[str, Any]:
    region = metadata.sky_region(config.source_extraction.extraction_radius_pix)
    beam = metadata.beam
    semimajor, semiminor = (
        (math.nan, math.nan) if beam is None else beam.semi_axes_pixels(metadata.deltax, metadata.deltay)[:2]
    )
    return {
        "taustart_ts": metadata.taustart_ts,
        "tau_time": metadata.tau_time,
        "telescope": metadata.telescope,
        "freq_eff": metadata.freq_eff,
        "freq_bw": metadata.freq_bw,
        "stokes": metadata.stokes,
        "unit": metadata.unit,
        "nx": metadata.nx,
        "ny": metadata.ny,
        "deltax": metadata.deltax,
        "deltay": metadata.deltay,
        "centre_ra": region.centre_ra,
        "centre_dec": region.centre_dec,
        "xtr_radius": region.xtr_radius,
        "beam": None if beam is None else {"bmaj": beam.bmaj, "bmin": beam.bmin, "bpa": beam.bpa},
        "beam_semimajor_pix": semimajor,
        "beam_semiminor_pix": semiminor,
    }


def _lines(look: dict[str, Any]) -> Iterator[str]:
    yield look["image"]
    if "freq_eff" in look:
        telescope = look["telescope"] or MISSING
        yield f"  time       {moment(look['taustart_ts'])} UTC, {number(look['tau_time'])} s; {telescope}"
        yield (
            f"  frequency  {number(look['freq_eff'] / 1e6, 7)} MHz, {number(look['freq_bw'] / 1e6)} MHz wide; "
            f"Stokes {look['stokes']}"
        )
        yield (
            f"  pixels     {look['nx']} × {look['ny']} of {number(abs(look['deltax']) * 3600)}″ × "
            f"{number(abs(look['deltay']) * 3600)}″, {look['finite_fraction']:.1%} with a value; "
            f"unit {look['unit'] or MISSING}"
        )
        yield (
            f"  searched   {number(look['xtr_radius'])}° around {sky_position(look['centre_ra'], look['centre_dec'])}"
        )
        yield f"  beam       {_beam_text(look)}"
        yield f"  noise      {number(look['rms_qc'])} Jy/beam in the middle"
    yield f"  {'usable' if look['usable'] else look['problem']}"


def _beam_text(look: dict[str, Any]) -> str:
    beam = look["beam"]
    if beam is None:
        return "none"
    return (
        f"{number(beam['bmaj'] * 3600)}″ × {number(beam['bmin'] * 3600)}″ at {number(beam['bpa'])}°; semi-axes "
        f"{number(look['beam_semimajor_pix'])} and {number(look['beam_semiminor_pix'])} pixels"
    )
