"""Upper limits of images at a position without a detection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import exists, select

from trap.association.noise_history import codes_at
from trap.db.bulk import is_among
from trap.db.calibrations import applied_gain
from trap.db.models import Calibration, FrequencyBand, Image, Rejection, RmsMap
from trap.db.overview import images_near

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sqlalchemy import Connection

__all__ = ["upper_limits"]


def upper_limits(connection: Connection, dataset_id: int, ra: float, dec: float) -> dict[str, NDArray[Any]]:
    """Return the upper limit of every accepted image that was searched at a position, in order of time.

    The noise of an image is on the flux scale of its corrected flux densities.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    ra, dec
        deg, ICRS — position.

    Returns
    -------
    ``taustart_ts`` (UTC), ``band``, ``stokes``, ``freq_eff`` [Hz], ``rms`` (noise at the position) and
    ``upper_limit`` (detection threshold times ``rms``; both Jy/beam), ``image`` and its ``url``.
    """
    rows = (
        select(Image.taustart_ts, Image.band, Image.stokes, Image.freq_eff, Image.detection_thresh)
        .add_columns(
            Image.id, Image.url, RmsMap.tile_order, RmsMap.tiles, RmsMap.tile_rms, applied_gain().label("gain")
        )
        .join(RmsMap, RmsMap.image == Image.id)
        .outerjoin(Calibration, Calibration.image == Image.id)
        .outerjoin(FrequencyBand, FrequencyBand.id == Image.band)  # see trap.db.lightcurves
        .where(Image.dataset == dataset_id, RmsMap.tile_order.is_not(None))
        .where(~exists().where(Rejection.image == Image.id))
        # Of the tiles of a survey, few lie at the position.
        .where(is_among(connection, Image.id, images_near(connection, [dataset_id], ra, dec)))
        .order_by(Image.taustart_ts, FrequencyBand.freq_central, Image.id)
    )
    codes_of_order: dict[int, NDArray[Any]] = {}
    limits = []
    # Read in batches, since the tiles of all images together may exceed the memory.
    for row in connection.execute(rows.execution_options(yield_per=100)):
        if row.tile_order not in codes_of_order:
            codes_of_order[row.tile_order] = codes_at(row.tile_order, ra, dec)
        place = np.flatnonzero(np.isin(np.frombuffer(row.tiles, "<i8"), codes_of_order[row.tile_order]))
        if place.size:
            rms = float(np.frombuffer(row.tile_rms, "<f4")[place[0]]) / row.gain
            moment = row.taustart_ts.replace(tzinfo=None)
            limit = row.detection_thresh * rms
            limits.append((moment, row.band, row.stokes, row.freq_eff, rms, limit, row.id, row.url))
    names = ("taustart_ts", "band", "stokes", "freq_eff", "rms", "upper_limit", "image", "url")
    kinds: tuple[Any, ...] = ("M8[us]", "i8", "i8", "f8", "f8", "f8", "i8", object)
    columns = zip(*limits, strict=True) if limits else [()] * len(names)
    return {name: np.array(values, kind) for name, values, kind in zip(names, columns, kinds, strict=True)}
