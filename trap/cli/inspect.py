"""``trap inspect``: what the pipeline would see in images, and think of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from trap.catalogues import Measurements
from trap.config import PipelineConfig, load_config
from trap.dataset.outcomes import ExitCode
from trap.dataset.records import ImageResult
from trap.dataset.state import DatasetState
from trap.errors import ImageError, TransientError
from trap.extraction.measure import extract_sources
from trap.images.image import read_image
from trap.images.patterns import expand_patterns
from trap.quality import EarlierInput, check_against_earlier, first_rejection, rms_qc
from trap.report.export import as_json
from trap.report.text import MISSING, moment, number, sky_position, text_table
from trap.steps.quality import examine, examine_sources

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator, Sequence

    from trap.images.image import Image
    from trap.images.metadata import ImageMetadata
    from trap.quality import Finding

__all__ = ["Inspection", "inspect", "inspect_image"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What one image looks like.

    Parameters
    ----------
    path
        The image.
    problem
        Why it cannot be read; empty where it can.
    result
        What a run would know of it before it looks at others; None where it cannot be read.
    findings
        What every check says.
    finite_fraction
        Share of the pixels with a value.
    """

    path: str
    problem: str = ""
    result: ImageResult | None = None
    findings: tuple[Finding, ...] = ()
    finite_fraction: float = math.nan

    @property
    def is_usable(self) -> bool:
        """Whether a run would search it."""
        return self.result is not None and first_rejection(self.findings) is None

    @property
    def verdict(self) -> str:
        """What becomes of it, and why."""
        if self.result is None:
            return f"unreadable: {self.problem}"
        result = self.result.found(self.findings)
        if result.rejection is not None:
            return f"rejected: {result.against}"
        return f"usable, but: {result.against}" if result.findings else "usable"


def inspect(arguments: Namespace) -> int:
    """Print what is known of each image; they are also compared with each other, in order of time.

    Returns
    -------
    0, or :attr:`trap.dataset.outcomes.ExitCode.IMAGES_LEFT_OUT` if a run would leave any image out.

    Raises
    ------
    ConfigError
        If a pattern matches nothing, or the settings are wrong.
    """
    config = PipelineConfig() if arguments.config is None else load_config(arguments.config)
    looks = [inspect_image(path, config) for path in expand_patterns(arguments.images)]
    looks = _compared(looks, config)
    if arguments.json:
        print(as_json([_as_dict(look, config) for look in looks]))
    else:
        print("\n\n".join("\n".join(_lines(look, config)) for look in looks))
    return int(ExitCode.COMPLETE if all(look.is_usable for look in looks) else ExitCode.IMAGES_LEFT_OUT)


def inspect_image(path: str, config: PipelineConfig) -> Inspection:
    """Look at one image as a run would: its header, its noise, its sources, and all that is checked.

    Parameters
    ----------
    path
        The image.
    config
        Settings that decide on its region, its noise and its limits.
    """
    try:
        return _inspect(read_image(path, config.reading), config)
    except ImageError as error:
        return Inspection(path=path, problem=error.message)
    except TransientError as error:
        return Inspection(path=path, problem=str(error))


def _inspect(image: Image, config: PipelineConfig) -> Inspection:
    settings = config.persistence
    metadata = image.metadata
    noise = rms_qc(image.data, sigma=settings.rms_est_sigma, fraction=settings.rms_est_fraction)
    findings = examine(image, noise, config)
    result = ImageResult(
        metadata=metadata,
        content_hash="",
        rms_qc=noise,
        rejection=None,
        measurements=Measurements.empty(),
        background=None,
        rms_min=math.nan,
        rms_max=math.nan,
        pixel_hash=image.pixel_hash,
    )
    if first_rejection(findings) is None:
        extraction = extract_sources(image, config.source_extraction)
        findings += examine_sources(image, extraction.background, config)
        result = replace(result, measurements=extraction.measurements)
    finite = float(np.isfinite(image.data).mean())
    return Inspection(path=image.url, result=result, findings=findings, finite_fraction=finite)


def _compared(looks: Sequence[Inspection], config: PipelineConfig) -> list[Inspection]:
    """Add what the checks against earlier images say, taking the images in order of time."""
    state, compared = DatasetState(config=config), list(looks)
    usable = [(look.result.metadata.taustart_ts, i) for i, look in enumerate(looks) if look.result and look.is_usable]
    for _, i in sorted(usable):
        result = looks[i].result
        if result is None:
            continue
        image = EarlierInput(
            metadata=result.metadata,
            config=config,
            rms=result.rms_qc,
            pixel_hash=result.pixel_hash,
            key=state.history_key(result.metadata),
            earlier=state.accepted,
        )
        findings = check_against_earlier(image)
        compared[i] = replace(looks[i], findings=(*looks[i].findings, *findings))
        if compared[i].is_usable:
            state.light_curve_key(result.metadata)
            state.remember(result)
    return compared


def _as_dict(look: Inspection, config: PipelineConfig) -> dict[str, Any]:
    described: dict[str, Any] = {
        "image": look.path,
        "usable": look.is_usable,
        "problem": None if look.is_usable else look.verdict,
    }
    if look.result is None:
        return described
    checks = [
        {
            "check": finding.check,
            "reason": int(finding.reason),
            "description": finding.reason.description,
            "passed": finding.passed,
            "action": finding.action,
            "figures": finding.comment,
        }
        for finding in look.findings
    ]
    return {
        **described,
        **_described(look.result.metadata, config),
        "rms_qc": look.result.rms_qc,
        "finite_fraction": look.finite_fraction,
        "n_sources": len(look.result.measurements) if look.is_usable else None,
        "checks": checks,
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


def _lines(look: Inspection, config: PipelineConfig) -> Iterator[str]:
    yield look.path
    if look.result is not None:
        yield from _metadata_lines(_described(look.result.metadata, config), look)
        yield f"  noise      {number(look.result.rms_qc)} Jy/beam in the middle"
        if look.is_usable:
            yield f"  sources    {len(look.result.measurements)}"
        yield from (f"  {line}" for line in _check_lines(look.findings))
    yield f"  {look.verdict}"


def _metadata_lines(values: dict[str, Any], look: Inspection) -> Iterator[str]:
    telescope = values["telescope"] or MISSING
    yield f"  time       {moment(values['taustart_ts'])} UTC, {number(values['tau_time'])} s; {telescope}"
    yield (
        f"  frequency  {number(values['freq_eff'] / 1e6, 7)} MHz, {number(values['freq_bw'] / 1e6)} MHz wide; "
        f"Stokes {values['stokes']}"
    )
    yield (
        f"  pixels     {values['nx']} × {values['ny']} of {number(abs(values['deltax']) * 3600)}″ × "
        f"{number(abs(values['deltay']) * 3600)}″, {look.finite_fraction:.1%} with a value; "
        f"unit {values['unit'] or MISSING}"
    )
    yield (
        f"  searched   {number(values['xtr_radius'])}° around {sky_position(values['centre_ra'], values['centre_dec'])}"
    )
    yield f"  beam       {_beam_text(values)}"


def _check_lines(findings: Sequence[Finding]) -> list[str]:
    """One line a check: its name, what it comes to, and its figures."""
    outcomes = {"reject": "REJECTED", "warn": "doubtful"}
    rows = [
        {
            "check": finding.check,
            "outcome": "good" if finding.passed else outcomes[finding.action],
            "figures": finding.comment,
        }
        for finding in findings
    ]
    return text_table(rows).splitlines()


def _beam_text(values: dict[str, Any]) -> str:
    beam = values["beam"]
    if beam is None:
        return "none"
    return (
        f"{number(beam['bmaj'] * 3600)}″ × {number(beam['bmin'] * 3600)}″ at {number(beam['bpa'])}°; semi-axes "
        f"{number(values['beam_semimajor_pix'])} and {number(values['beam_semiminor_pix'])} pixels"
    )
