"""The candidates of a report: facts, the chart of the light curve, and cut-outs before, at and after the discovery.

The number of candidates, of points and of pixels is limited, so that the file of any dataset can be sent by mail.
"""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trap.db import lightcurves
from trap.db.kept_pixels import find_pixels
from trap.errors import TrapError
from trap.report.candidates import Candidate, candidate_lines
from trap.report.epochs import read_epoch, select_epochs
from trap.report.plots import LightCurve
from trap.report.text import moment, sky_position
from trap.web.charts.light_curve import light_curve_chart
from trap.web.pictures import as_png, source_scale

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from trap.config import ReadingConfig
    from trap.db.engine import Connection
    from trap.images.cutouts import CutOut
    from trap.typing import Columns
    from trap.web.charts.style import Chart
    from trap.web.pictures import Scale

__all__ = ["CandidateData", "CandidateSection", "candidate_sections", "load_candidates"]

MAX_POINTS = 500
"""Maximum number of points of a light curve."""
MAX_SIDE = 160
"""pix — largest side of a cut-out; a larger one is averaged over squares of pixels."""
PIXEL_SECONDS = 15.0
"""Time for reading all cut-outs, after which no further image is opened."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CandidateData:
    """A candidate as the database has it.

    Parameters
    ----------
    facts
        Row of :func:`trap.db.lightcurves.transients`.
    points
        Columns of :func:`trap.db.lightcurves.light_curve`.
    looks
        Title of each image to cut out, and its ``image``, ``url``, ``taustart_ts``, ``freq_eff`` and ``stokes``.
    kept
        Files with kept pixels by row number of the image.
    """

    facts: Mapping[str, Any]
    points: Columns
    looks: tuple[tuple[str, Mapping[str, Any]], ...]
    kept: Mapping[int, Path]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CutOutPicture:
    """A cut-out as a part of a page; x and y are those of its pixels, with the first row at the bottom.

    Parameters
    ----------
    title
        Its image and time.
    address
        The pixels as a PNG file in a data URI.
    size
        pix — width and height.
    position
        x, y of the source.
    beam
        Corners of the outline of the beam, as the points of a polygon.
    scale
        arcsec — size of a pixel.
    """

    title: str
    address: str
    size: int
    position: tuple[float, float]
    beam: str
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CandidateSection:
    """A candidate as a part of a page.

    Parameters
    ----------
    facts
        Row of :func:`trap.db.lightcurves.transients`.
    lines, signs
        Label and value of each property, and of each sign of artefacts.
    chart
        Chart of the light curve.
    notes
        Sentences below the chart.
    pictures
        Cut-outs.
    limits
        mJy/beam — ends of their colours.
    missing
        Reasons for cut-outs that are missing.
    """

    facts: Mapping[str, Any]
    lines: tuple[tuple[str, str], ...]
    signs: tuple[tuple[str, str], ...]
    chart: Chart
    notes: tuple[str, ...]
    pictures: tuple[CutOutPicture, ...]
    limits: tuple[float, float]
    missing: tuple[str, ...]


def load_candidates(connection: Connection, transients: Columns, images: Columns, limit: int) -> list[CandidateData]:
    """Load the first candidates of a table with their light curves and images.

    Parameters
    ----------
    connection
        Connection in a transaction of the caller.
    transients
        Columns of :func:`trap.db.lightcurves.transients`.
    images
        Columns of :func:`trap.db.overview.image_table`.
    limit
        Maximum number of candidates; each takes a query.
    """
    shown = {name: values[:limit] for name, values in transients.items()}
    rows = {image: row for row, image in enumerate(images["id"].tolist())}
    found = []
    for values in zip(*shown.values(), strict=True):
        facts = dict(zip(shown, values, strict=True))
        points = lightcurves.light_curve(connection, int(facts["runcat"]))
        earlier = rows.get(facts["previous_limits_image"])
        before = None if earlier is None else {name: values[earlier] for name, values in images.items()}
        looks = tuple(_looks(facts, points, before))
        kept = find_pixels(connection, [int(look["image"]) for _, look in looks])
        found.append(CandidateData(facts=facts, points=points, looks=looks, kept=kept))
    return found


def _looks(
    facts: Mapping[str, Any], points: Columns, before: Mapping[str, Any] | None
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the best earlier image, the image of the discovery, and the latest one in its band, with their titles."""
    if before is not None:
        yield "the best earlier image", dict(before) | {"image": before["id"]}
    yield "discovery", facts
    is_same = (points["band"] == facts["band"]) & (points["stokes"] == facts["stokes"])
    later = np.flatnonzero(is_same & (points["taustart_ts"] > facts["taustart_ts"]))
    if later.size:
        yield "the latest image", {name: values[later[-1]] for name, values in points.items()}


def candidate_sections(candidates: Iterable[CandidateData], settings: ReadingConfig) -> Iterator[CandidateSection]:
    """Yield candidates as parts of a page, with cut-outs that are read from kept pixels or from the images.

    Parameters
    ----------
    candidates
        Candidates.
    settings
        Settings for reading the images.
    """
    end = time.monotonic() + PIXEL_SECONDS
    for candidate in candidates:
        points = candidate.points
        shown = select_epochs(points, MAX_POINTS)
        n_points, n_shown = len(points["xtrsrc"]), len(shown["xtrsrc"])
        chart = light_curve_chart(shown)
        notes = [f"{n_shown} of {n_points} points, around the first detection."] if n_shown < n_points else []
        flags = int(points["flags"][points["xtrsrc"] == candidate.facts["xtrsrc"]].max(initial=0))
        title = sky_position(candidate.facts["wm_ra"], candidate.facts["wm_decl"])
        lines = candidate_lines(
            Candidate(
                facts=dict(candidate.facts) | {"flags": flags}, curve=LightCurve.of_points(title, points), earlier=""
            )
        )
        n_facts = 1 + [label for label, _ in lines].index("flags")
        scale = source_scale(points)
        pictures, missing = _pictures(candidate, scale, settings, end)
        yield CandidateSection(
            facts=candidate.facts,
            lines=(*lines[:n_facts], lines[-1]),
            signs=tuple(lines[n_facts:-1]),
            chart=chart,
            notes=(*chart.notes, *notes),
            pictures=tuple(pictures),
            limits=(1e3 * scale.low, 1e3 * scale.high),
            missing=tuple(missing),
        )


def _pictures(
    candidate: CandidateData, scale: Scale, settings: ReadingConfig, end: float
) -> tuple[list[CutOutPicture], list[str]]:
    """Read the cut-outs of a candidate until the time has come; return them, and the reasons for missing ones."""
    place = float(candidate.facts["wm_ra"]), float(candidate.facts["wm_decl"])
    pictures, missing = [], []
    for name, look in candidate.looks:
        title = f"{name}, {moment(look['taustart_ts'])} UTC"
        if time.monotonic() > end:
            missing.append(f"{title}: not read, since the cut-outs before it took {PIXEL_SECONDS:g} s")
            continue
        try:
            cutout = read_epoch(look, *place, kept=candidate.kept.get(int(look["image"])), settings=settings)
        except TrapError as error:
            missing.append(f"{title}: {error}")
        else:
            pictures.append(_picture(cutout, title, scale))
    return pictures, missing


def _picture(cutout: CutOut, title: str, scale: Scale) -> CutOutPicture:
    """Draw a cut-out, with the beam in its lower left corner."""
    size = len(cutout.pixels)
    png = as_png(_averaged(cutout.pixels), scale)
    outline = cutout.beam - (cutout.beam.min(axis=0) - 1) if len(cutout.beam) else cutout.beam
    x, y = cutout.position
    return CutOutPicture(
        title=title,
        address=f"data:image/png;base64,{base64.b64encode(png).decode()}",
        size=size,
        position=(x + 0.5, size - y - 0.5),
        beam=" ".join(f"{x:.2f},{size - y:.2f}" for x, y in outline.tolist()),
        scale=cutout.scale,
    )


def _averaged(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average squares of pixels, so that the side is not too large. Rows and columns at the far end may be left out."""
    step = -(-len(pixels) // MAX_SIDE)
    if step == 1:
        return pixels
    n = len(pixels) // step
    means: NDArray[np.float32] = pixels[: n * step, : n * step].reshape(n, step, n, step).mean(axis=(1, 3))
    return means
