"""The planes of η and V that visitors look at, kept in memory until a run changes the dataset.

A cut that moves then needs no further read of a million rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import Depends

from trap.db.overview import frequency_bands
from trap.db.result_conditions import selected_bands
from trap.db.source_numbers import dataset_state, metric_points
from trap.db.variable_sources import only_light_curves
from trap.selection import Selection
from trap.web.charts.plane import Plane
from trap.web.kept import Kept
from trap.web.site import CurrentDataset, CurrentSite

if TYPE_CHECKING:
    from trap.db.engine import Connection

__all__ = ["CurrentPlane", "band_choices"]

MOST = 2
"""Number of planes that are kept; one of a million sources has 35 MB."""
_kept: Kept[Plane] = Kept(MOST)


def band_choices(connection: Connection, dataset: int) -> list[float]:
    """Return the centres [Hz] of the bands of a dataset, lowest first.

    Parameters
    ----------
    connection, dataset
        Connection in a transaction of the caller, and number of the dataset.
    """
    return [float(one) for one in frequency_bands(connection, dataset)["freq_central"]]


def _plane(
    site: CurrentSite,
    dataset: CurrentDataset,
    flux: Literal["int", "peak"] = "int",
    band: str = "",
    stokes: str = "",
) -> Plane:
    """Return η and V of a dataset: in the brightest band of each source, or in the band [MHz] that is chosen.

    Raises
    ------
    ConfigError
        If the dataset has no such band, or there is no such Stokes parameter.
    """
    chosen = Selection.of(band=band or None, stokes=stokes or None)
    with site.reader.read() as connection:
        key = _light_curve(connection, dataset.number, chosen)
        state = dataset_state(connection, dataset.number)
        place = (site.url, dataset.number, flux, *key, *state)
        return _kept.find(place, lambda: _read(connection, dataset.number, flux, *key, place=place))


CurrentPlane = Annotated[Plane, Depends(_plane)]
"""η and V of the choices ``flux``, ``band`` and ``stokes`` in an address, as an argument of a page."""


def _read(
    connection: Connection, dataset: int, flux: str, band: int | None, stokes: int | None, *, place: tuple[Any, ...]
) -> Plane:
    return Plane(points=metric_points(connection, dataset, flux=flux, band=band, stokes=stokes), key=place)


def _light_curve(connection: Connection, dataset: int, chosen: Selection) -> tuple[Any, Any]:
    """Return the row number of the chosen band and the Stokes parameter; None for the brightest of each source."""
    band = selected_bands(connection, [dataset], chosen.bands)[0] if chosen.bands else None
    stokes = chosen.stokes[0] if chosen.stokes else None
    only = only_light_curves(connection, dataset)
    if only is not None and band in (None, only[0]) and stokes in (None, only[1]):
        return None, None  # The metrics of the only light curve of each source are stored.
    return band, stokes
