"""A new or variable source: its values as text, and its light curve and cut-outs as figures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trap.config import stokes_letter
from trap.errors import ImageError, TransientError
from trap.report.cutouts import plot_cutouts
from trap.report.figures import as_png
from trap.report.noise import chance_text, grade_text
from trap.report.plots import LightCurve, plot_light_curves
from trap.report.text import flag_names, moment, number, sky_position
from trap.vetting.score import named_signs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trap.config import ReadingConfig

__all__ = ["Candidate", "Pictures", "candidate_lines", "draw_candidate", "variable_lines"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """A new or variable source with its light curve so far.

    Parameters
    ----------
    facts
        Row of :func:`trap.db.lightcurves.transients`; of a variable source, values of its brightest point.
    curve
        Light curve so far.
    earlier
        Path of the image to compare with: the best earlier image of the position; empty without one.
    titles
        Titles of the cut-outs of the two images.
    """

    facts: Mapping[str, Any]
    curve: LightCurve
    earlier: str
    titles: tuple[str, str] = ("first seen", "the best earlier image")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Figures of a candidate as PNG files.

    Parameters
    ----------
    light_curve
        Figure of the light curve.
    cutouts
        Figure of the cut-outs; empty if no image could be read.
    missing
        Reason for each image that could not be read.
    """

    light_curve: bytes
    cutouts: bytes
    missing: tuple[str, ...] = ()


def candidate_lines(candidate: Candidate) -> list[tuple[str, str]]:
    """List the values of a candidate: a label, and the value with its unit."""
    facts = candidate.facts
    code = facts["metric_stokes"]
    curve_name = "the brightest band" if code is None else f"Stokes {stokes_letter(code)}"
    return [
        ("grade", grade_text(facts["grade"])),
        ("noise peaks as high, expected so far", chance_text(facts["noise_peaks"])),
        ("score", number(facts.get("score"), 3)),
        ("signs of artefacts", _words(facts) or "none"),
        ("newness", f"{number(facts['newness'], 3)} σ"),
        ("position (RA, Dec)", f"{sky_position(facts['wm_ra'], facts['wm_decl'])}°"),
        ("first seen", f"{moment(facts['taustart_ts'])} UTC"),
        ("frequency", f"{number(facts['freq_central'] / 1e6, 5)} MHz"),
        ("Stokes parameter", stokes_letter(facts["stokes"])),
        ("flux density", f"{number(1e3 * facts['f_int'])} ± {number(1e3 * facts['f_int_err'], 2)} mJy"),
        ("peak", f"{number(1e3 * facts['f_peak'])} ± {number(1e3 * facts['f_peak_err'], 2)} mJy/beam"),
        ("significance", f"{number(facts['det_sigma'], 3)} σ"),
        ("over the best earlier noise here", f"{number(facts['sigma_local'], 3)} σ"),
        (
            "over that of the whole image",
            " to ".join(number(facts[f"sigma_rms_{end}"], 3) for end in ("max", "min")) + " σ",
        ),
        ("earlier looks", str(facts["n_looks"])),
        ("of these measured", str(facts.get("n_measured") or "none: newness is inferred")),
        (f"η, V of {curve_name}", f"{number(facts['eta_int'])}, {number(facts['v_int'], 3)}"),
        ("flags", flag_names(int(facts["flags"])) or "none"),
        *_sign_lines(facts),
        ("image", str(facts["url"])),
    ]


def _words(facts: Mapping[str, Any]) -> str:
    """Name the signs of a candidate."""
    return named_signs({name: np.array([value]) for name, value in facts.items()})[0]


def _sign_lines(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the numbers of the signs of a candidate; none for one that has no score."""
    if facts.get("score") is None or not math.isfinite(facts["score"]):
        return

    def shown(name: str) -> str:
        return number(facts[name], 3)

    yield "bright source", f"{shown('bright_ratio')} times as bright, {shown('bright_distance')} beams away"
    yield "brightest source", f"{shown('brightest_ratio')} times as bright, {shown('brightest_distance')} beams away"
    yield "over the rms of its ring", f"{shown('ring_sigma')} σ"
    yield "mirrored beyond the bright source", f"{shown('mirror_ratio')} of the peak"
    yield "deepest negative", f"{shown('negative_ratio')} of the peak, {shown('negative_distance')} beams away"
    yield "nearest edge or gap", f"{shown('edge_distance')} beams away"
    yield "area", f"{shown('beam_areas')} beams, {shown('shape_sigma')} σ"
    yield "candidates in the image", shown("n_in_image")
    yield "absent from another band", f"{shown('absent_sigma')} σ"
    yield "brightening of sources around it", f"{shown('local_gain')}, {shown('local_gain_sigma')} σ"


def variable_lines(candidate: Candidate) -> list[tuple[str, str]]:
    """List the values of a variable source: a label, and the value with its unit."""
    facts = candidate.facts
    return [
        ("position (RA, Dec)", f"{sky_position(facts['wm_ra'], facts['wm_decl'])}°"),
        ("η, V", f"{number(facts['eta_int'])}, {number(facts['v_int'], 3)}"),
        ("points", str(len(candidate.curve.time))),
        ("brightest", f"{number(1e3 * facts['f_int'])} ± {number(1e3 * facts['f_int_err'], 2)} mJy"),
        ("at", f"{moment(facts['taustart_ts'])} UTC"),
        ("frequency", f"{number(facts['freq_central'] / 1e6, 5)} MHz"),
        ("flags", flag_names(int(facts["flags"])) or "none"),
        ("image", str(facts["url"])),
    ]


def draw_candidate(candidate: Candidate, reading: ReadingConfig) -> Pictures:
    """Draw the light curve of a candidate, and cut-outs of its image and of the best earlier image.

    This is a pure function of the candidate and the images, for worker processes.

    Parameters
    ----------
    candidate
        Candidate to draw.
    reading
        Settings for reading its images.
    """
    # Readers of images import compiled code, which the lines of text do not need.
    from trap.images.cutouts import read_cutout  # noqa: PLC0415
    from trap.images.image import read_image  # noqa: PLC0415

    facts, cutouts, missing = candidate.facts, [], []
    first, second = candidate.titles
    looks = [(str(facts["url"]), f"{first}, {moment(facts['taustart_ts'])}")]
    if candidate.earlier:
        looks.append((candidate.earlier, second))
    for url, title in looks:
        try:
            cutout = read_cutout(read_image(url, reading), float(facts["wm_ra"]), float(facts["wm_decl"]), title=title)
        except (ImageError, TransientError) as error:
            missing.append(str(error))
        else:
            if cutout is not None:
                cutouts.append(cutout)
    return Pictures(
        light_curve=as_png(plot_light_curves([candidate.curve], columns=1)),
        cutouts=as_png(plot_cutouts(cutouts)) if cutouts else b"",
        missing=tuple(missing),
    )
