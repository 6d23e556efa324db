"""From a place on the picture of an image to the light curve of that position."""

from __future__ import annotations

from functools import partial
from urllib.parse import urlencode

from fastapi import APIRouter
from fastapi.responses import RedirectResponse

from trap.db.datasets import stored_config
from trap.db.kept_pixels import find_images
from trap.db.source_records import look_of_image
from trap.errors import NotFoundError
from trap.report.text import sky_position
from trap.web.cutting import find_position
from trap.web.pixels import PIXELS
from trap.web.site import CurrentDataset, CurrentSite, RowNumber

__all__ = ["router"]

router = APIRouter(include_in_schema=False)
POSITION_BYTES = 100
"""Memory of a remembered position."""


@router.get("/datasets/{number}/images/{image}/place")
def show_place(site: CurrentSite, dataset: CurrentDataset, image: RowNumber, x: float, y: float) -> RedirectResponse:
    """Lead to the page of the position at a pixel.

    Parameters
    ----------
    site, dataset, image
        The site, the dataset, and the row number of the image.
    x, y
        pix — place in the image; 0 is the centre of the first column and row.

    Raises
    ------
    NotFoundError
        If the dataset has no such image, its file cannot be read, or the place is not on the sky.
    """
    with site.reader.read() as connection:
        look = look_of_image(connection, dataset.number, image)
        if look is None:
            msg = f"dataset {dataset.number} has no image {image}"
            raise NotFoundError(msg)
        kept = find_images(connection, [image]).get(image)
        settings = stored_config(connection, dataset.number).reading
    pixel = (round(x, 2), round(y, 2))
    step = partial(find_position, look, pixel, kept=kept, settings=settings)
    key = ("place", site.database, dataset.number, image, pixel)
    ra, dec = PIXELS.read(key, step, lambda _: POSITION_BYTES, str(look["url"]))
    query = urlencode({"at": sky_position(ra, dec)})
    return RedirectResponse(f"/datasets/{dataset.number}/position?{query}", 303)
