"""The JSON interface for programs: the tables, datasets, sources and images of the pages, described by OpenAPI.

Keys, selections and names of columns are as in Python and in exports. Missing numbers are null.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from trap.catalogues import with_stokes_letters
from trap.db import overview
from trap.db.datasets import stored_config
from trap.db.limits import upper_limits
from trap.db.result_pages import read_page
from trap.db.result_tables import RESULT_TABLES, read_rows
from trap.errors import ConfigError, NotFoundError
from trap.results import Dataset
from trap.selection import Selection
from trap.web.api_models import (
    ColumnModel,
    DatasetList,
    DatasetModel,
    ErrorModel,
    ImageModel,
    SourceModel,
    page_model,
    parameters,
)
from trap.web.cells import plain_values
from trap.web.queries import parse_query
from trap.web.rendering import render
from trap.web.site import CurrentDataset, CurrentSite, RowNumber, Site
from trap.web.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trap.tables import Column
    from trap.typing import Columns

__all__ = ["router"]

ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorModel, "description": "A filter has no meaning; the message names it."},
    404: {"model": ErrorModel, "description": "There is no such dataset, source or image."},
    422: {"model": ErrorModel, "description": "A number in the address is none."},
    503: {"model": ErrorModel, "description": "The database does not answer."},
}
router = APIRouter(prefix="/api", responses=ERRORS)
NOT_FOUND = {key: ERRORS[key] for key in (404, 422, 503)}
MAX_POINTS = 100_000
"""Largest number of points of a light curve, and of its limits, in one response."""


@router.get("", include_in_schema=False, response_model=None)
def _show_interface(request: Request) -> Response:
    """Show the interface as a page: addresses, parameters and columns."""
    described = request.app.openapi()
    paths = [(path, operations["get"]) for path, operations in described["paths"].items() if "get" in operations]
    return render(request, "api.html", paths=paths, tables=TABLES)


@router.get("/datasets", summary="List the datasets")
def _list_datasets(site: CurrentSite) -> DatasetList:
    """Return the summaries of all datasets, oldest first."""
    with site.reader.read() as connection:
        return DatasetList.model_validate({"datasets": overview.list_datasets(connection)})


@router.get("/datasets/{number}", summary="Describe a dataset")
def _describe_dataset(site: CurrentSite, dataset: CurrentDataset) -> DatasetModel:
    """Return the summary of a dataset, with its bands and settings."""
    with site.reader.read() as connection:
        summary = overview.dataset_summary(connection, dataset.number)
        bands = overview.frequency_bands(connection, dataset.number)
        first, last = overview.time_range(connection, dataset.number)
        config = stored_config(connection, dataset.number)
    settings = {f"{section}.{key}": value for section, key, value in config.science_items()}
    return DatasetModel.model_validate(
        {
            **summary,
            "bands": [dict(zip(bands, row, strict=True)) for row in zip(*_listed(bands).values(), strict=True)],
            "first": first,
            "last": last,
            "settings": settings,
        }
    )


@router.get(
    "/datasets/{number}/sources/{runcat}", summary="Return a source with its light curve", response_model=SourceModel
)
def _show_source(site: CurrentSite, dataset: CurrentDataset, runcat: RowNumber) -> Response:
    """Return a source, the points of its light curve, and the upper limits of images without a point."""
    with site.reader.read() as connection:
        selection = Selection(entries=(runcat,))
        source = read_rows(connection, "sources", [dataset.number], selection)
        if not len(source["runcat"]):
            msg = f"dataset {dataset.number} has no source {runcat}"
            raise NotFoundError(msg)
        points = read_rows(connection, "lightcurves", [dataset.number], selection, limit=MAX_POINTS)
        place = float(source["wm_ra"][0]), float(source["wm_decl"][0])
        limits = with_stokes_letters(upper_limits(connection, dataset.number, *place))
    without_point = ~np.isin(limits["image"], points["image"])
    return JSONResponse(
        {
            "source": _objects(source)[0],
            "points": _objects(points),
            "limits": _objects({name: values[without_point] for name, values in limits.items()}),
            "columns": {
                "source": _described(RESULT_TABLES["sources"].columns),
                "points": _described(RESULT_TABLES["lightcurves"].columns),
            },
        }
    )


@router.get("/datasets/{number}/images/{image}", summary="Return an image", response_model=ImageModel)
def _show_image(site: CurrentSite, dataset: CurrentDataset, image: RowNumber) -> Response:
    """Return the noise, the calibration and the counts of an image."""
    with site.reader.read() as connection:
        rows = read_page(
            connection, "images", [dataset.number], Selection.of(min_image=image, max_image=image), limit=1
        ).rows
    if not len(rows["image"]):
        msg = f"dataset {dataset.number} has no image {image}"
        raise NotFoundError(msg)
    return JSONResponse({"image": _objects(rows)[0], "columns": _described(RESULT_TABLES["images"].columns)})


def _table(name: str) -> Callable[[Request, Site, Dataset], Response]:
    """Return the function that returns a page of a table."""

    def show(request: Request, site: CurrentSite, dataset: CurrentDataset) -> Response:
        """Return a page of the table."""
        query = parse_query(request.query_params.multi_items(), TABLES[name])
        if query.is_fragment:
            msg = "fragment is for pages, not for programs"
            raise ConfigError(msg)
        with site.reader.read() as connection:
            page = read_page(
                connection, name, [dataset.number], query.selection,
                columns=query.columns, order=query.order, offset=query.offset, limit=query.size,
            )  # fmt: skip
        columns = {one: TABLES[name].columns[one] for one in page.rows}
        return JSONResponse(
            {
                "rows": _objects(page.rows),
                "columns": _described(columns),
                "page": query.page,
                "size": query.size,
                "n_rows": page.n_rows,
                "without_value": dict(page.without_value),
            }
        )

    show.__doc__ = f"""{TABLES[name].description} Rows come in pages; the order and the filters are as in Python."""
    return show


def _listed(columns: Columns) -> dict[str, list[Any]]:
    return {name: plain_values(values) for name, values in columns.items()}


def _objects(columns: Columns) -> list[dict[str, Any]]:
    """Return rows as objects of JSON."""
    listed = _listed(columns)
    return [dict(zip(listed, row, strict=True)) for row in zip(*listed.values(), strict=True)]


def _described(columns: Mapping[str, Column]) -> dict[str, Any]:
    """Return the units and meanings of columns."""
    return {
        name: ColumnModel(unit=column.unit, description=column.doc, ucd=column.ucd).model_dump()
        for name, column in columns.items()
    }


for _name, _one in TABLES.items():
    router.add_api_route(
        f"/datasets/{{number}}/{_name}",
        _table(_name),
        summary=f"Return rows of the table {_name}",
        name=f"table_{_name}",
        response_model=page_model(_one),
        openapi_extra={"parameters": parameters(_one)},
    )
