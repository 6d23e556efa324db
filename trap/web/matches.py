"""The reference catalogues of a dataset around a source: what other surveys have there.

A catalogue of a million rows takes up to twenty seconds to load. The worker process of the pixels loads it once, and
only when a person asks for it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from fastapi import APIRouter, Request, Response

from trap import angles
from trap.db.datasets import stored_config
from trap.db.lightcurves import entries_named
from trap.errors import ConfigError, NotFoundError
from trap.report.text import MISSING, flux_text, megahertz, number
from trap.web.pixels import PIXELS
from trap.web.rendering import render
from trap.web.site import CurrentDataset, CurrentSite, RowNumber

if TYPE_CHECKING:
    from trap.config import CalibrationConfig

__all__ = ["Match", "find_matches", "router"]

router = APIRouter(include_in_schema=False)
RADIUS_ARCSEC = 60.0
MAX_MATCHES = 20


class Match(NamedTuple):
    """A source of a reference catalogue near a position.

    Parameters
    ----------
    catalogue
        Name of its file.
    row
        Row of the file.
    ra, dec
        deg, ICRS — its position.
    distance
        arcsec — distance from the position.
    flux, flux_err
        Jy — flux density with its error; NaN if it is unknown.
    frequency
        Hz — frequency of the flux density; 0 if it is that of each image.
    """

    catalogue: str
    row: int
    ra: float
    dec: float
    distance: float
    flux: float
    flux_err: float
    frequency: float


def find_matches(settings: CalibrationConfig, position: tuple[float, float]) -> list[Match]:
    """Find the sources of the reference catalogues around a position, nearest first.

    Parameters
    ----------
    settings
        Settings that name the catalogues.
    position
        deg, ICRS — right ascension and declination.

    Raises
    ------
    ConfigError
        If a catalogue cannot be read.
    """
    from trap.calibration.reference import load_references  # noqa: PLC0415 (a worker process alone needs it)

    found = []
    for catalogue in load_references(settings):
        if catalogue is None:
            continue
        near = catalogue.near(position, RADIUS_ARCSEC / 3600)
        distance = 3600 * angles.separation(near.ra, near.dec, *position)
        found += [
            Match(
                catalogue.name, int(near.row[i]), float(near.ra[i]), float(near.dec[i]), float(distance[i]),
                float(near.f_int[i]), float(near.f_int_err[i]), catalogue.frequency,
            )
            for i in range(len(distance))
        ]  # fmt: skip
    # One file may serve for positions and for flux densities: the row with more values stays.
    rows: dict[tuple[str, int], Match] = {}
    for match in sorted(found, key=lambda one: np.isnan(one.flux)):
        rows.setdefault((match.catalogue, match.row), match)
    return sorted(rows.values(), key=lambda one: one.distance)[:MAX_MATCHES]


@router.get("/datasets/{number}/sources/{runcat}/matches")
def show_matches(request: Request, site: CurrentSite, dataset: CurrentDataset, runcat: RowNumber) -> Response:
    """Show what the reference catalogues have around a source.

    Parameters
    ----------
    request, site, dataset, runcat
        The request, the site, the dataset, and the row number of the source.

    Raises
    ------
    NotFoundError
        If the dataset has no such source, or a catalogue takes too long to load.
    """
    with site.reader.read() as connection:
        found = entries_named(connection, dataset.number, entry=runcat)
        settings = stored_config(connection, dataset.number).calibration
    if not len(found["id"]):
        msg = f"dataset {dataset.number} has no source {runcat}"
        raise NotFoundError(msg)
    position = float(found["wm_ra"][0]), float(found["wm_decl"][0])
    key = ("matches", site.database, dataset.number, position)
    problem, rows = "", []
    try:
        rows = PIXELS.read(key, partial(find_matches, settings, position), lambda one: 200 * len(one), "the catalogue")
    except ConfigError as error:
        problem = str(error)
    return render(
        request, "_matches.html", matches=[_texts(each) for each in rows], problem=problem, radius=RADIUS_ARCSEC
    )


def _texts(match: Match) -> dict[str, str]:
    """Return a match as texts."""
    flux = " ± ".join(flux_text(match.flux, match.flux_err)) if np.isfinite(match.flux) else MISSING
    return {
        "catalogue": match.catalogue,
        "position (deg)": f"{match.ra:.5f} {match.dec:+.5f}",
        "distance ″": number(match.distance, 3),
        "flux density mJy": flux,
        "MHz": megahertz(match.frequency) if match.frequency else MISSING,
    }
