"""The inspection of images before any run: headers, noise, sources and checks."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trap.config import stokes_letter
from trap.escapes import plain_lines, plain_text
from trap.extraction.unsearched import unsearched_lines
from trap.quality import first_rejection
from trap.report.text import MISSING, count, moment, number, sky_position, text_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trap.config import PipelineConfig
    from trap.dataset.records import ImageResult
    from trap.images.metadata import ImageMetadata
    from trap.quality import Finding

__all__ = ["Inspection", "inspection_table", "inspection_text", "inspection_values"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """The result of inspecting one image.

    Parameters
    ----------
    path
        Path of the image.
    problem
        Reason if the image cannot be read, or is too small to be searched; else empty.
    result
        Measurements of the image by itself; None if it cannot be read.
    findings
        Findings of all checks, passed and failed.
    finite_fraction
        Share of the pixels with a finite value.
    searched_fraction
        Share of the pixels that are searched.
    """

    path: str
    problem: str = ""
    result: ImageResult | None = None
    findings: tuple[Finding, ...] = ()
    finite_fraction: float = math.nan
    searched_fraction: float = math.nan

    @property
    def is_usable(self) -> bool:
        """Whether a run would search the image."""
        return not self.problem and first_rejection(self.findings) is None

    @property
    def verdict(self) -> str:
        """Whether the image is usable, rejected or unreadable, with the reasons."""
        if self.result is None:
            return f"unreadable: {self.problem}"
        result = self.result.found(self.findings)
        if result.rejection is not None:
            return f"rejected: {result.against}"
        if self.problem:
            return f"not usable: {self.problem}"
        return f"usable, but: {result.against}" if result.findings else "usable"


def inspection_values(inspection: Inspection, config: PipelineConfig) -> dict[str, Any]:
    """Return the values of an inspection, for programs.

    Parameters
    ----------
    inspection
        Result of the inspection.
    config
        All settings. The extraction radius sets the searched region.
    """
    values: dict[str, Any] = {
        "image": inspection.path,
        "usable": inspection.is_usable,
        "problem": None if inspection.is_usable else inspection.verdict,
    }
    if inspection.result is None:
        return values
    unsearched = inspection.result.unsearched
    checks = [
        {
            "check": finding.check,
            "reason": int(finding.reason),
            "description": finding.reason.description,
            "passed": finding.passed,
            "action": finding.action,
            "figures": finding.comment,
        }
        for finding in inspection.findings
    ]
    return {
        **values,
        **_header_values(inspection.result.metadata, config),
        "rms_qc": inspection.result.rms_qc,
        "finite_fraction": inspection.finite_fraction,
        "searched_fraction": inspection.searched_fraction,
        "unsearched_share": 0.0 if unsearched is None else unsearched.share,
        "n_sources": len(inspection.result.measurements) if inspection.is_usable else None,
        "checks": checks,
    }


def _header_values(metadata: ImageMetadata, config: PipelineConfig) -> dict[str, Any]:
    """Return the values of the header, and the searched region that follows from them."""
    region = metadata.sky_region(config.source_extraction.extraction_radius_pix)
    beam = metadata.beam
    semimajor, semiminor = (
        (math.nan, math.nan)
        if beam is None or not metadata.has_pixels
        else beam.semi_axes_pixels(metadata.deltax, metadata.deltay)[:2]
    )
    return {
        "taustart_ts": metadata.taustart_ts,
        "tau_time": metadata.tau_time,
        "telescope": metadata.telescope,
        "freq_eff": metadata.freq_eff,
        "freq_bw": metadata.freq_bw,
        "stokes": stokes_letter(metadata.stokes),
        "unit": metadata.unit,
        "unit_conversion": metadata.conversion,
        "jansky_per_unit": metadata.jansky_per_unit,
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


def inspection_table(inspections: Sequence[Inspection]) -> str:
    """Write one line for each image, images with problems first, each followed by the reasons.

    Parameters
    ----------
    inspections
        Results of the inspection, in any order.
    """
    names = [Path(one.path).name for one in inspections]
    if len(set(names)) < len(names):
        names = [one.path for one in inspections]
    order = sorted(range(len(inspections)), key=lambda i: _place(inspections[i]))
    heading, *lines = text_table(
        (_row(names[i], inspections[i]) for i in order), right=("MHz", "noise mJy/beam", "sources", "searched")
    ).splitlines()
    verdicts = Counter(_short_verdict(one) for one in inspections)
    parts = [f"{verdicts[verdict]} {verdict}" for verdict in VERDICTS if verdicts[verdict]]
    with_reasons = [heading]
    for line, i in zip(lines, order, strict=True):
        _, _, reasons = inspections[i].verdict.partition(": ")
        with_reasons += [line, *(plain_text(f"    {reason}") for reason in reasons.split("; also ") if reason)]
    unsearched = unsearched_lines(one.result.unsearched for one in inspections if one.result is not None)
    total = f"{count(len(inspections), 'image')}: {', '.join(parts)}"
    return "\n".join([*with_reasons, total, *unsearched, *_unit_lines(inspections)])


def _unit_lines(inspections: Sequence[Inspection]) -> Iterator[str]:
    """Yield a line for each unit that is converted, with the number of its images."""
    # Without a factor that depends on the beam, and so differs between images.
    units = Counter(
        (metadata.unit, re.sub(r"( through .*):.*", r"\1", metadata.conversion))
        for metadata in (one.result.metadata for one in inspections if one.result is not None)
        if metadata.conversion
    )
    for (unit, conversion), n in units.items():
        yield f"unit{' ' * bool(unit)}{unit} of {count(n, 'image')}: {conversion}"


VERDICTS = ("unreadable", "rejected", "not usable", "doubtful", "usable")
"""Verdicts, the worst first."""


def _short_verdict(inspection: Inspection) -> str:
    verdict, _, _ = inspection.verdict.partition(": ")
    return "doubtful" if verdict == "usable, but" else verdict


def _place(inspection: Inspection) -> tuple[int, str, str]:
    """Return the order of an image in the table: the worst verdict first, then the time."""
    start = "" if inspection.result is None else inspection.result.metadata.taustart_ts.isoformat()
    return VERDICTS.index(_short_verdict(inspection)), start, inspection.path


def _row(name: str, inspection: Inspection) -> dict[str, str]:
    """Return the row of an image, by heading."""
    row = dict.fromkeys(
        ("image", "time (UTC)", "MHz", "Stokes", "beam", "noise mJy/beam", "sources", "searched"), MISSING
    )
    row |= {"image": name, "verdict": _short_verdict(inspection)}
    if inspection.result is None:
        return row
    metadata, beam = inspection.result.metadata, inspection.result.metadata.beam
    row |= {
        "time (UTC)": moment(metadata.taustart_ts),
        "MHz": number(metadata.freq_eff / 1e6, 6),
        "Stokes": stokes_letter(metadata.stokes),
        "beam": MISSING if beam is None else f"{number(beam.bmaj * 3600, 3)}″ × {number(beam.bmin * 3600, 3)}″",
        "noise mJy/beam": number(1e3 * inspection.result.rms_qc, 3),
    }
    if inspection.is_usable:
        row |= {"sources": str(len(inspection.result.measurements)), "searched": _share(inspection)}
    return row


def _share(inspection: Inspection) -> str:
    share = inspection.searched_fraction
    return MISSING if math.isnan(share) else f"{share:.0%}"


def inspection_text(inspection: Inspection, config: PipelineConfig) -> str:
    """Write an inspection as text: header, noise, number of sources, a line for each check, and the verdict.

    Parameters
    ----------
    inspection, config
        As for :func:`inspection_values`.
    """
    return plain_lines(_lines(inspection, config))


def _lines(inspection: Inspection, config: PipelineConfig) -> Iterator[str]:
    """Yield all lines of the text."""
    yield inspection.path
    if inspection.result is not None:
        yield from _metadata_lines(_header_values(inspection.result.metadata, config), inspection)
        yield f"  noise      {number(1e3 * inspection.result.rms_qc)} mJy/beam in the middle"
        if inspection.is_usable:
            yield f"  sources    {len(inspection.result.measurements)}"
        yield from (f"  {line}" for line in _check_lines(inspection.findings))
    yield f"  {inspection.verdict}"


def _metadata_lines(values: dict[str, Any], inspection: Inspection) -> Iterator[str]:
    """Yield the lines about the header."""
    telescope = values["telescope"] or MISSING
    # Images without an integration time have a duration of 0.
    duration = f", {number(values['tau_time'])} s" if values["tau_time"] else ""
    yield f"  time       {moment(values['taustart_ts'])} UTC{duration}; {telescope}"
    yield (
        f"  frequency  {number(values['freq_eff'] / 1e6, 7)} MHz, {number(values['freq_bw'] / 1e6)} MHz wide; "
        f"Stokes {values['stokes']}"
    )
    if not values["nx"]:
        yield "  pixels     none: a source list without an image"
    else:
        yield from _pixel_lines(values, inspection)
    share = "" if math.isnan(inspection.searched_fraction) else f", {inspection.searched_fraction:.1%} of the pixels"
    centre = sky_position(values["centre_ra"], values["centre_dec"])
    yield f"  searched   {number(values['xtr_radius'])}° around {centre}{share}"
    if inspection.result is not None and inspection.result.unsearched is not None:
        yield f"             {inspection.result.unsearched.text()}"
    yield f"  beam       {_beam_text(values)}"


def _pixel_lines(values: dict[str, Any], inspection: Inspection) -> Iterator[str]:
    """Yield the lines about the pixels and their unit."""
    yield (
        f"  pixels     {values['nx']} × {values['ny']} of {number(abs(values['deltax']) * 3600)}″ × "
        f"{number(abs(values['deltay']) * 3600)}″, {inspection.finite_fraction:.1%} with a value; "
        f"unit {values['unit'] or MISSING}"
    )
    if values["unit_conversion"]:
        yield f"             unit {values['unit_conversion']}"


def _check_lines(findings: Sequence[Finding]) -> list[str]:
    """Return one line for each check: its name, its outcome and the deciding values."""
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
    """Write the widths of the beam, and its semi-axes in pixels if there are any."""
    beam = values["beam"]
    if beam is None:
        return "none"
    if not values["nx"]:
        return f"{number(beam['bmaj'] * 3600)}″ × {number(beam['bmin'] * 3600)}″ at {number(beam['bpa'])}°"
    return (
        f"{number(beam['bmaj'] * 3600)}″ × {number(beam['bmin'] * 3600)}″ at {number(beam['bpa'])}°; semi-axes "
        f"{number(values['beam_semimajor_pix'])} and {number(values['beam_semiminor_pix'])} pixels"
    )
