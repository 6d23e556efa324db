"""Records about one source: mean flux densities, relations to other entries, and the calibration of its points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import select

from trap.db.bulk import is_among, read_columns
from trap.db.calibrations import CALIBRATION_COLUMNS
from trap.db.models import (
    AssocXtrSource,
    Calibration,
    FrequencyBand,
    Image,
    Lineage,
    RunningCatalog,
    RunningCatalogFlux,
    Timestep,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from trap.typing import Columns

__all__ = ["association_types", "calibrations_of", "look_of_image", "mean_fluxes", "next_entry", "relations"]


def mean_fluxes(connection: Connection, entry: int) -> Columns:
    """Return the flux densities of an entry in each band and Stokes parameter, forced fits included.

    Parameters
    ----------
    connection, entry
        Connection in a transaction of the caller, and row number of the running catalogue.

    Returns
    -------
    ``band``, ``freq_central`` [Hz], ``stokes``, ``f_datapoints``, weighted means ``f_int`` [Jy] and ``f_peak``
    [Jy/beam] with their errors, and ``max_f_int`` [Jy], lowest band first.
    """
    flux = RunningCatalogFlux
    rows = (
        select(flux.band, FrequencyBand.freq_central, flux.stokes, flux.f_datapoints)
        .add_columns(flux.wmean_f_int.label("f_int"), flux.wsum_f_int, flux.wmean_f_peak.label("f_peak"))
        .add_columns(flux.wsum_f_peak, flux.max_f_int)
        .outerjoin(FrequencyBand, FrequencyBand.id == flux.band)
        .where(flux.runcat == entry)
        .order_by(FrequencyBand.freq_central, flux.stokes)
    )
    columns = read_columns(connection, rows)
    for name in ("f_int", "f_peak"):
        weight = np.asarray(columns.pop(f"wsum_{name}"), float)
        with np.errstate(divide="ignore"):
            columns[f"{name}_err"] = np.where(weight > 0, 1 / np.sqrt(np.maximum(weight, 0)), np.nan)
    return columns


def relations(connection: Connection, entry: int) -> Columns:
    """Return the changes that relate an entry to others: forks, blends and parts, in order of time.

    Parameters
    ----------
    connection, entry
        Connection in a transaction of the caller, and row number of the running catalogue.

    Returns
    -------
    ``kind`` of table ``lineage``, ``runcat`` and its ``origin``, the time ``taustart_ts`` of the change, and
    ``exists``: whether the other one of the two entries is still in the catalogue.
    """
    line = Lineage
    rows = (
        select(line.kind, line.runcat, line.origin, Timestep.taustart_ts)
        .join(Timestep, Timestep.id == line.timestep)
        .where((line.runcat == entry) | (line.origin == entry))
        .order_by(line.id)
    )
    columns = read_columns(connection, rows)
    others = np.where(columns["runcat"] == entry, columns["origin"], columns["runcat"])
    listed = select(RunningCatalog.id).where(is_among(connection, RunningCatalog.id, others))
    return {**columns, "exists": np.isin(others, list(connection.execute(listed).scalars()))}


def association_types(connection: Connection, entry: int) -> set[int]:
    """Return the codes of :class:`~trap.codes.AssociationType` among the points of an entry.

    Parameters
    ----------
    connection, entry
        Connection in a transaction of the caller, and row number of the running catalogue.
    """
    rows = select(AssocXtrSource.type).where(AssocXtrSource.runcat == entry).distinct()
    return set(connection.execute(rows).scalars())


def calibrations_of(connection: Connection, images: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return the calibrations of images by row number: all columns of table ``calibration``.

    Parameters
    ----------
    connection, images
        Connection in a transaction of the caller, and row numbers of the images.
    """
    rows = select(Calibration.image, *CALIBRATION_COLUMNS).where(is_among(connection, Calibration.image, list(images)))
    return {row["image"]: dict(row) for row in connection.execute(rows).mappings()}


def look_of_image(connection: Connection, dataset_id: int, image: int) -> dict[str, Any] | None:
    """Return the path, the time, the frequency and the Stokes parameter of an image.

    Parameters
    ----------
    connection, dataset_id, image
        Connection in a transaction of the caller, number of the dataset, and row number of the image.

    Returns
    -------
    Values as :func:`trap.report.epochs.read_epoch` needs them, and ``deltax``, NULL for a source list without an
    image; None if the dataset has no such image.
    """
    rows = select(Image.url, Image.taustart_ts, Image.freq_eff, Image.stokes, Image.deltax)
    found = connection.execute(rows.where(Image.dataset == dataset_id, Image.id == image)).mappings().first()
    return None if found is None else dict(found)


def next_entry(connection: Connection, dataset_id: int, entry: int, *, back: bool = False) -> int | None:
    """Return the entry of a dataset that follows another one in order of row numbers; None at the end.

    Parameters
    ----------
    connection, dataset_id, entry
        Connection in a transaction of the caller, number of the dataset, and row number of the running catalogue.
    back
        Whether to return the entry before it.
    """
    number = RunningCatalog.id
    rows = select(number).where(number < entry if back else number > entry, RunningCatalog.dataset + 0 == dataset_id)
    found = connection.execute(rows.order_by(number.desc() if back else number).limit(1)).scalar()
    return None if found is None else int(found)
