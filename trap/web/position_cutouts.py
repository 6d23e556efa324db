"""Cut-outs of the images around any position, on one scale."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from fastapi import APIRouter, Response

from trap.codes import stokes_letter
from trap.db.datasets import stored_config
from trap.db.kept_pixels import find_pixels
from trap.db.lightcurves import entries_near
from trap.db.source_records import look_of_image
from trap.errors import NotFoundError
from trap.report.text import flux_text, megahertz, moment
from trap.selection import parse_position
from trap.web.cutting import Part, read_part
from trap.web.jobs import Place
from trap.web.marks import draw_marks
from trap.web.pictures import Scale, as_png, source_scale
from trap.web.pixels import PIXELS
from trap.web.site import CurrentDataset, CurrentSite, RowNumber

if TYPE_CHECKING:
    from trap.typing import Columns
    from trap.web.site import Site

__all__ = ["cutouts_of", "router"]

N_CUTOUTS = 12
MARKED_ARCSEC, MAX_MARKED = 120.0, 40
"""Radius around a position within which sources are marked, and their largest number."""
LIFE = {"Cache-Control": "private, max-age=300"}

router = APIRouter(prefix="/datasets/{number}/position/cutouts", include_in_schema=False)


@router.get("/{image}.png")
def _draw_cutout(
    site: CurrentSite, dataset: CurrentDataset, image: RowNumber, at: str, low: float, high: float
) -> Response:
    """Draw the pixels of an image around a position."""
    scale = Scale(low=low, high=high)
    part = _read(site, Place.of(dataset.number, *parse_position(at)), image)
    return Response(as_png(part.pixels, scale), media_type="image/png", headers=LIFE)


@router.get("/{image}.svg")
def _draw_marks(site: CurrentSite, dataset: CurrentDataset, image: RowNumber, at: str) -> Response:
    """Draw the marks on such a cut-out."""
    part = _read(site, Place.of(dataset.number, *parse_position(at)), image)
    return Response(draw_marks(part), media_type="image/svg+xml", headers=LIFE)


def cutouts_of(curve: Columns) -> tuple[Scale, list[dict[str, Any]]]:
    """Choose the cut-outs of a page: the images with the highest signal-to-noise ratios, in order of time.

    Parameters
    ----------
    curve
        (n,) columns of :func:`trap.db.position_fits.join_points`, of points with a flux density.

    Returns
    -------
    scale
        One scale for all images.
    cutouts
        Number, time, frequency, Stokes parameter and flux density of each image.
    """
    brightest = np.argsort(-np.abs(curve["det_sigma"]), kind="stable")[:N_CUTOUTS]
    return source_scale(curve), [
        {
            "image": int(curve["image"][row]),
            "time": moment(curve["taustart_ts"][row]),
            "frequency": megahertz(curve["freq_eff"][row]),
            "stokes": stokes_letter(curve["stokes"][row]),
            "flux": flux_text(curve["f_int"][row], curve["f_int_err"][row]),
        }
        for row in np.sort(brightest).tolist()
    ]


def _read(site: Site, place: Place, image: int) -> Part:
    """Read the pixels of an image around a position in a worker process, or return the remembered ones."""
    with site.reader.read() as connection:
        look = look_of_image(connection, place.dataset, image)
        kept = find_pixels(connection, [image]).get(image)
        if look is None or (look["deltax"] is None and kept is None):
            msg = f"dataset {place.dataset} has no image {image} with pixels"
            raise NotFoundError(msg)
        settings = stored_config(connection, place.dataset).reading
        near = entries_near(connection, *place, radius=MARKED_ARCSEC / 3600)
    marked = [(float(ra), float(dec)) for ra, dec in zip(near["wm_ra"], near["wm_decl"], strict=True)][:MAX_MARKED]
    step = partial(read_part, look, place[1:], marked, kept=kept, settings=settings)
    return PIXELS.read(("position", site.database, *place, image), step, lambda part: part.pixels.nbytes + 2000)
