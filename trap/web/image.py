"""The page of an image: its picture with the detections of a class, its noise map, and its quality figures."""

from __future__ import annotations

import math
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from fastapi import APIRouter, Request, Response

from trap.codes import ExtractType
from trap.db.datasets import stored_config
from trap.db.image_records import (
    DETECTION_CLASSES,
    WARNINGS,
    adjacent_image,
    count_detections,
    image_detections,
    noise_mesh,
)
from trap.db.kept_pixels import find_images
from trap.db.result_tables import read_rows
from trap.db.source_records import calibrations_of, look_of_image
from trap.errors import ConfigError, NotFoundError
from trap.report.quality_figures import quality_figures
from trap.report.text import MISSING, flag_names, flux_text, megahertz, moment, number
from trap.selection import Selection
from trap.web.cutting import read_overview
from trap.web.pictures import COLOURS, HIGH_SIGMA, Scale, as_png, colour_stops, statistics_scale
from trap.web.pixels import ADVICE, PIXELS, missing_files
from trap.web.rendering import render, sexagesimal
from trap.web.site import CurrentDataset, CurrentSite, RowNumber
from trap.web.source_facts import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trap.db.engine import Connection
    from trap.db.image_records import NoiseMesh
    from trap.typing import Columns

__all__ = ["router"]

router = APIRouter(include_in_schema=False)
SIDE = 1000
"""pix — largest side of the picture of an image."""
MAX_DRAWN, MAX_LISTED = 1000, 100
"""Numbers of detections that are drawn and listed, the most significant ones first."""
LIFE = "private, max-age=300"


@router.get("/datasets/{number}/images/{image}")
def show_image(
    request: Request,
    site: CurrentSite,
    dataset: CurrentDataset,
    image: RowNumber,
    *,
    show: str = "blind",
    stretch: str = "asinh",
    colours: str = "grey",
) -> Response:
    """Show an image.

    Parameters
    ----------
    request, site, dataset, image
        The request, the site, the dataset, and the row number of the image.
    show
        Class of the detections.
    stretch, colours
        Scale and colours of the picture.

    Raises
    ------
    ConfigError
        If a choice is unknown.
    NotFoundError
        If the dataset has no such image.
    """
    if show not in DETECTION_CLASSES:
        msg = f"show must be one of {', '.join(DETECTION_CLASSES)}, got {show!r}"
        raise ConfigError(msg)
    with site.reader.read() as connection:
        row = _read_row(connection, dataset.number, image)
        detections = image_detections(connection, image, show, limit=MAX_DRAWN)
        counts = count_detections(connection, image)
        mesh = noise_mesh(connection, image)
        calibration = calibrations_of(connection, [image]).get(image, {})
        before, after = (adjacent_image(connection, dataset.number, image, back=back) for back in (True, False))
        config = stored_config(connection, dataset.number)
        kept = find_images(connection, [image])
        brightest = image_detections(connection, image, "blind", limit=1)["f_peak"]
    scale = _image_scale(row, brightest, stretch)
    picture = (
        f"picture.png?stretch={stretch}&colours={colours}"
        if scale is None
        else (f"picture.png?{scale.query()}&colours={colours}")
    )
    return render(
        request,
        "image.html",
        number=dataset.number,
        image=image,
        row=row,
        file=PurePath(str(row["url"])).name or str(row["url"]),
        header=_header(row),
        problem=_problem(row, is_kept=bool(kept)),
        field=_field(row, mesh),
        marks=_marks(row, mesh, detections),
        listed=_listed(detections),
        counts=counts,
        classes=DETECTION_CLASSES,
        chosen={"show": show, "stretch": stretch, "colours": colours},
        palettes=list(COLOURS),
        picture=picture,
        scale=scale,
        stops=colour_stops(colours),
        noise=_noise(mesh),
        noise_stops=colour_stops("viridis"),
        figures=quality_figures(row, calibration, config),
        calibration=_calibration_facts(calibration),
        before=before,
        after=after,
        drawn=MAX_DRAWN,
    )


@router.get("/datasets/{number}/images/{image}/picture.png")
def draw_image(
    site: CurrentSite,
    dataset: CurrentDataset,
    image: RowNumber,
    *,
    low: float | None = None,
    high: float | None = None,
    stretch: str = "asinh",
    soft: float = 1.0,
    colours: str = "grey",
) -> Response:
    """Draw an image at a lower resolution; without a scale, from its median, its noise and its brightest part.

    Parameters
    ----------
    site, dataset, image
        As for :func:`show_image`.
    low, high, stretch, soft, colours
        Scale, as :class:`~trap.web.pictures.Scale` has it, and colours.
    """
    given = None
    if low is not None and high is not None:
        given = Scale(low=low, high=high, stretch=stretch, soft=soft)
    with site.reader.read() as connection:
        look = look_of_image(connection, dataset.number, image)
        if look is None:
            msg = f"dataset {dataset.number} has no image {image}"
            raise NotFoundError(msg)
        kept = find_images(connection, [image]).get(image)
        settings = stored_config(connection, dataset.number).reading
    if look["deltax"] is None and kept is None:
        raise NotFoundError(_no_pixels(str(look["url"])))
    step = partial(read_overview, look, side=SIDE, kept=kept, settings=settings)
    key = ("overview", site.database, dataset.number, image)
    overview = PIXELS.read(key, step, lambda one: one.pixels.nbytes, str(look["url"]))
    scale = given or statistics_scale(overview.middle, overview.noise, overview.brightest, stretch)
    return Response(as_png(overview.pixels, scale, colours), media_type="image/png", headers={"Cache-Control": LIFE})


@router.get("/datasets/{number}/images/{image}/noise.png")
def draw_noise(site: CurrentSite, dataset: CurrentDataset, image: RowNumber) -> Response:
    """Draw the noise of an image, a pixel for each cell of its mesh.

    Parameters
    ----------
    site, dataset, image
        As for :func:`show_image`.
    """
    with site.reader.read() as connection:
        _read_row(connection, dataset.number, image)
        mesh = noise_mesh(connection, image)
    if mesh is None:
        msg = f"image {image} of dataset {dataset.number} has no noise map: it was not searched here"
        raise NotFoundError(msg)
    return Response(as_png(mesh.rms, _noise_scale(mesh)), media_type="image/png", headers={"Cache-Control": LIFE})


def _read_row(connection: Connection, dataset: int, image: int) -> dict[str, Any]:
    """Return the row of an image in the result table ``images``."""
    rows = read_rows(connection, "images", [dataset], Selection.of(min_image=image, max_image=image))
    if not len(rows["image"]):
        msg = f"dataset {dataset} has no image {image}"
        raise NotFoundError(msg)
    return {name: None if values[0] is np.ma.masked else values[0] for name, values in rows.items()}


def _no_pixels(url: str) -> str:
    return f"{url} is a list of sources without an image: it has no pixels."


def _problem(row: Mapping[str, Any], *, is_kept: bool) -> str:
    """Return why there is no picture, as far as the name of the file shows; else empty."""
    url = str(row["url"])
    if is_kept:
        return ""
    if not np.isfinite(row["deltax"]) and not row["reason"]:
        return _no_pixels(url)
    return f"{url} does not exist any more, and no pixels of it are kept. {ADVICE}" if missing_files([url]) else ""


def _image_scale(row: Mapping[str, Any], brightest: Any, stretch: str) -> Scale | None:  # noqa: ANN401 (an array)
    """Return the scale of the picture from the noise and the brightest source; None if the noise is unknown."""
    noise = float(row["rms_qc"])
    # A rejected image has no known source: its pixels decide.
    if row["reason"] or not (math.isfinite(noise) and noise > 0):
        return None
    peak = float(brightest[0]) if len(brightest) and np.isfinite(brightest[0]) else 0.0
    return statistics_scale(0.0, noise, max(peak, HIGH_SIGMA * noise), stretch)


def _header(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the facts at the top of the page."""
    beam = MISSING
    if np.isfinite(row["rb_smaj"]):
        axes = (number(2 * 3600 * row[name], 3) for name in ("rb_smaj", "rb_smin"))
        beam = f"{' × '.join(axes)}″, position angle {number(row['rb_pa'], 3)}°"
    noise = " to ".join(number(1e3 * row[name], 3) for name in ("rms_min", "rms_max"))
    return [
        ("start", f"{moment(row['taustart_ts'])} UTC"),
        ("duration", f"{number(row['tau_time'])} s"),
        ("frequency, bandwidth", f"{megahertz(row['freq_eff'])} MHz, {number((row['freq_bw'] or math.nan) / 1e6)} MHz"),
        ("Stokes parameter", str(row["stokes"])),
        ("telescope", str(row["telescope"]) or MISSING),
        ("centre", sexagesimal(float(row["centre_ra"]), float(row["centre_decl"]), 1)),
        ("radius of the searched field", f"{number(row['xtr_radius'], 3)}°"),
        ("beam", beam),
        (
            "size",
            f"{row['nx']} × {row['ny']} pixels of {number(3600 * abs(row['deltay']), 3)}″" if row["nx"] else MISSING,
        ),
        ("noise of the centre, rms_qc", f"{number(1e3 * row['rms_qc'])} mJy/beam"),
        ("local noise", f"{noise} mJy/beam"),
        ("thresholds", f"{number(row['detection_thresh'])} σ, islands {number(row['analysis_thresh'])} σ"),
        ("blind measurements", str(row["n_sources"])),
    ]


def _calibration_facts(calibration: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the calibration of the image as labels and values; empty without one."""
    if not calibration:
        return []

    def measured(name: str, unit: str) -> str:
        if calibration[name] is None:
            return "not measured"
        return f"{number(calibration[name])} ± {number(calibration[f'{name}_err'], 2)}{unit}"

    applied = {True: "corrected", False: "not corrected"}
    return [
        ("calibrators", str(calibration["n_calibrators"])),
        ("flux densities", applied[bool(calibration["flux_applied"])]),
        ("gain", measured("gain", "")),
        (
            "reference of flux densities",
            f"{calibration['flux_reference'] or MISSING}, {calibration['n_flux_matches']} matches",
        ),
        ("note on flux densities", calibration["flux_note"] or MISSING),
        ("positions", f"{applied[bool(calibration['position_applied'])]}, model {calibration['position_model']}"),
        ("shift to the east", measured("shift_ew", "″")),
        ("shift to the north", measured("shift_ns", "″")),
        (
            "scatter of positions, before and after",
            f"{_arcsec(calibration['position_scatter_before'])}, {_arcsec(calibration['position_scatter'])}",
        ),
        (
            "reference of positions",
            f"{calibration['position_reference'] or MISSING}, {calibration['n_position_matches']} matches",
        ),
        ("note on positions", calibration["position_note"] or MISSING),
    ]


def _arcsec(value: float | None) -> str:
    return MISSING if value is None else f"{number(value, 3)}″"


def _field(row: Mapping[str, Any], mesh: NoiseMesh | None) -> tuple[int, int] | None:
    """Return the width and height of the drawing in pixels, as the picture covers them; None if they are unknown."""
    if mesh is not None:
        ny, nx = mesh.shape
        step = max(1, math.ceil(max(nx, ny) / SIDE))
        return step * math.ceil(nx / step), step * math.ceil(ny / step)
    # A list of sources without an image is drawn on the sky.
    return (SIDE, SIDE) if not np.isfinite(row["deltax"]) and np.isfinite(row["xtr_radius"]) else None


def _marks(row: Mapping[str, Any], mesh: NoiseMesh | None, detections: Columns) -> list[dict[str, Any]]:
    """Return the detections with their places in the drawing, whose first row is at the top."""
    field = _field(row, mesh)
    if field is None:
        return []
    x, y = (np.asarray(detections[name], float) + 0.5 for name in ("x_pix", "y_pix"))
    if mesh is None:
        x, y = _on_sky(row, detections)
    kinds = np.where(detections["extract_type"] == ExtractType.BLIND, "blind", "forced")
    texts = _listed(detections, limit=None)
    return [
        {
            "x": round(float(x[i]), 2),
            "y": round(field[1] - float(y[i]), 2),
            "kind": f"{kinds[i]}{' flagged' if detections['flags'][i] & WARNINGS else ''}",
            "title": f"{_named(texts[i])}: {texts[i]['flux']} mJy, {texts[i]['snr']} σ, {texts[i]['kind']}",
            "runcat": texts[i]["runcat"],
        }
        for i in range(len(texts))
        if np.isfinite(x[i] + y[i])
    ]


def _named(texts: Mapping[str, Any]) -> str:
    return "a measurement of no source" if texts["runcat"] is None else f"source {texts['runcat']}"


def _on_sky(row: Mapping[str, Any], detections: Columns) -> tuple[Any, Any]:
    """Return the places of detections on the sky as seen from the middle of the field, north up and east left."""
    ra, dec = (np.radians(np.asarray(detections[name], float)) for name in ("ra", "decl"))
    ra0, dec0 = (math.radians(float(row[name])) for name in ("centre_ra", "centre_decl"))
    east = np.cos(dec) * np.sin(ra - ra0)
    north = np.sin(dec) * math.cos(dec0) - np.cos(dec) * math.sin(dec0) * np.cos(ra - ra0)
    radius = math.sin(min(math.radians(float(row["xtr_radius"])), math.pi / 2)) or 1.0
    return SIDE / 2 * (1 - east / radius), SIDE / 2 * (1 + north / radius)


def _listed(detections: Columns, limit: int | None = MAX_LISTED) -> list[dict[str, Any]]:
    """Return detections as texts."""
    n = len(detections["xtrsrc"]) if limit is None else min(limit, len(detections["xtrsrc"]))
    return [
        {
            "runcat": None
            if detections["runcat"][i] is None or detections["runcat"][i] != detections["runcat"][i]
            else int(detections["runcat"][i]),
            "position": f"{detections['ra'][i]:.5f} {detections['decl'][i]:+.5f}",
            "flux": " ± ".join(flux_text(detections["f_int"][i], detections["f_int_err"][i])),
            "peak": " ± ".join(flux_text(detections["f_peak"][i], detections["f_peak_err"][i])),
            "snr": number(detections["det_sigma"][i], 3),
            "kind": KINDS.get(ExtractType(int(detections["extract_type"][i])), "forced"),
            "flags": flag_names(int(detections["flags"][i])),
        }
        for i in range(n)
    ]


def _noise_scale(mesh: NoiseMesh) -> Scale:
    known = mesh.rms[np.isfinite(mesh.rms)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    # A constant noise is one colour.
    return Scale(low=low, high=high if high > low else low + max(abs(low), 1e-12))


def _noise(mesh: NoiseMesh | None) -> dict[str, Any] | None:
    """Return the place of the noise map in the drawing of the image, and its scale."""
    if mesh is None:
        return None
    (ny, nx), (my, mx) = mesh.shape, mesh.rms.shape
    (x, y), (width, height) = mesh.origin, mesh.cell
    return {
        "x": x,
        "y": ny - y - my * height,
        "width": mx * width,
        "height": my * height,
        "nx": nx,
        "ny": ny,
        "cell": f"{width} × {height}",
        "cells": f"{mx} × {my}",
        "scale": _noise_scale(mesh),
    }
