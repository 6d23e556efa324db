"""Addresses of the charts of a source and of a dataset, as JSON for ``static/charts.js``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response

from trap.db import lightcurves
from trap.db.calibrations import calibrations
from trap.db.overview import image_table, timestep_table
from trap.db.result_conditions import selected_bands
from trap.db.result_tables import read_rows
from trap.db.source_numbers import candidate_positions, dataset_state, entry_positions
from trap.errors import NotFoundError
from trap.report.plots import LIMIT_SIGMA
from trap.selection import Selection
from trap.web.charts.curve_points import CurveOptions
from trap.web.charts.light_curve import light_curve_chart
from trap.web.charts.series import counts_chart, gain_chart, noise_chart, shift_chart
from trap.web.charts.sky import SKY_COLUMNS, sky_chart
from trap.web.kept import Kept
from trap.web.site import CurrentDataset, CurrentSite, RowNumber

if TYPE_CHECKING:
    from trap.db.engine import Connection
    from trap.web.charts.style import Chart

__all__ = ["JSON", "CurveChoices", "router"]

JSON = "application/json"

router = APIRouter(include_in_schema=False)
Choices = Annotated[list[str] | None, Query()]
"""Values of a parameter that an address may repeat, or separate with commas."""
NO_BAND = -1
"""Row number of no band: an address with an empty choice of bands shows none of them."""
SignalToNoise = Annotated[float, Query(ge=0, le=1e6, allow_inf_nan=False)]


def _curve_options(  # noqa: PLR0913 (one argument for each choice)
    site: CurrentSite,
    dataset: CurrentDataset,
    *,
    flux: Literal["int", "peak"] = "int",
    calibrated: Literal["corrected", "raw"] = "corrected",
    limits: bool = True,
    forced: bool = True,
    bands: Choices = None,
    stokes: Choices = None,
    snr: SignalToNoise = LIMIT_SIGMA,
    time: Literal["date", "days"] = "date",
    axis: Literal["linear", "log"] = "linear",
) -> CurveOptions:
    """Return the choices of a light curve in the query of an address.

    Raises
    ------
    ConfigError
        If the dataset has no such band, or there is no such Stokes parameter.
    """
    chosen = Selection.of(band=_listed(bands), stokes=_listed(stokes))
    numbers = [NO_BAND] if bands is not None and not chosen.bands else []
    if chosen.bands:
        with site.reader.read() as connection:
            numbers = selected_bands(connection, [dataset.number], chosen.bands)
    return CurveOptions(
        flux=flux, calibrated=calibrated, limits=limits, forced=forced, bands=tuple(numbers), stokes=chosen.stokes,
        snr=snr, time=time, axis=axis,
    )  # fmt: skip


CurveChoices = Annotated[CurveOptions, Depends(_curve_options)]
"""The choices of a light curve, as an argument of an address."""


@router.get("/datasets/{number}/sources/{runcat}/light-curve.json")
def _light_curve(site: CurrentSite, dataset: CurrentDataset, runcat: RowNumber, options: CurveChoices) -> Response:
    """Return the light curve of a source.

    Raises
    ------
    NotFoundError
        If the dataset has no such source.
    """
    with site.reader.read() as connection:
        if not len(lightcurves.entries_named(connection, dataset.number, entry=runcat)["id"]):
            msg = f"dataset {dataset.number} has no source {runcat}"
            raise NotFoundError(msg)
        points = lightcurves.light_curve(connection, runcat)
    return Response(light_curve_chart(points, options).encoded(), media_type=JSON)


@router.get("/datasets/{number}/charts/{name}.json")
def _dataset_chart(
    site: CurrentSite, dataset: CurrentDataset, name: Literal["sky", "noise", "gain", "shift", "counts"]
) -> Response:
    """Return a chart of a dataset."""
    with site.reader.read() as connection:
        key = (site.url, dataset.number, name, *dataset_state(connection, dataset.number))
        chart = _kept.find(key, lambda: _CHARTS[name](connection, dataset.number).encoded())
    return Response(chart, media_type=JSON)


def _sky(connection: Connection, dataset: int) -> Chart:
    images = read_rows(connection, "images", [dataset], columns=SKY_COLUMNS)
    return sky_chart(entry_positions(connection, dataset), candidate_positions(connection, dataset), images)


_CHARTS: dict[str, Callable[[Connection, int], Chart]] = {
    "sky": _sky,
    "noise": lambda connection, dataset: noise_chart(image_table(connection, dataset)),
    "gain": lambda connection, dataset: gain_chart(calibrations(connection, dataset)),
    "shift": lambda connection, dataset: shift_chart(calibrations(connection, dataset)),
    "counts": lambda connection, dataset: counts_chart(timestep_table(connection, dataset)),
}
_kept: Kept[bytes] = Kept(20)


def _listed(values: list[str] | None) -> list[str] | None:
    """Return the values of a parameter one by one; None without any."""
    return [one for value in values or [] for one in value.replace(",", " ").split()] or None
