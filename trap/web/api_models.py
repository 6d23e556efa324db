"""The descriptions of requests and responses of the JSON interface, made from the tables of results.

A name, a unit and a meaning are stated once, in the table; OpenAPI has them from there.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from trap.codes import STOKES, Flag
from trap.db.result_tables import RESULT_TABLES
from trap.selection import POSITION_EXAMPLES
from trap.web.queries import DEFAULT_SIZE, MAX_ENTRIES, MAX_PAGE, MAX_SIZE

if TYPE_CHECKING:
    from trap.db.result_tables import ResultTable

__all__ = [
    "ColumnModel",
    "DatasetList",
    "DatasetModel",
    "ErrorModel",
    "ImageModel",
    "SourceModel",
    "page_model",
    "parameters",
]

_TYPES: dict[str, Any] = {"f": float, "i": int, "b": bool, "?": bool, "M": datetime, "O": str}


class ErrorModel(BaseModel):
    """A request that failed."""

    error: str = Field(description="The cause, with the offending key or value.")


class ColumnModel(BaseModel):
    """Unit and meaning of a column."""

    unit: str = Field(description="Unit, as astropy writes it; empty without a dimension.")
    description: str
    ucd: str = Field(description="Name of the quantity in the Virtual Observatory; empty without one.")


class SummaryModel(BaseModel):
    """Description, state and counts of a dataset."""

    model_config = ConfigDict(extra="ignore")

    id: int
    description: str
    state: str
    process_start_ts: datetime | None = Field(description="Time of creation, UTC.")
    process_end_ts: datetime | None = Field(description="End of the latest run, UTC.")
    config_hash: str | None
    software_version: str | None
    n_timesteps: int
    n_failed: int = Field(description="Number of failed timesteps.")
    n_images: int
    n_rejected: int
    n_unreadable: int
    n_blind: int = Field(description="Number of measurements of detected sources.")
    n_forced: int = Field(description="Number of forced measurements.")
    n_entries: int = Field(description="Number of sources.")
    n_newsources: int = Field(description="Number of transient candidates.")
    n_likely: int = Field(description="Number of likely candidates among them.")


class DatasetList(BaseModel):
    """All datasets."""

    datasets: list[SummaryModel]


class BandModel(BaseModel):
    """A frequency band."""

    id: int
    freq_central: float = Field(description="Hz")
    freq_low: float = Field(description="Hz")
    freq_high: float = Field(description="Hz")


class DatasetModel(SummaryModel):
    """A dataset with its bands and settings."""

    bands: list[BandModel]
    first: datetime | None = Field(description="Start of the first image, UTC.")
    last: datetime | None = Field(description="Start of the last image, UTC.")
    settings: dict[str, Any] = Field(description="Settings that affect the results, by section and key.")


def _row_model(table: ResultTable) -> type[BaseModel]:
    """Return the model of a row. Every column may be missing: a page may have some columns only."""
    fields: dict[str, Any] = {
        name: (
            _TYPES[column.dtype.kind] | None,
            Field(default=None, description=f"{column.doc}{f' [{column.unit}]' if column.unit else ''}"),
        )
        for name, column in table.columns.items()
    }
    return create_model(f"{table.name.capitalize()}Row", __doc__=table.description, **fields)


ROWS = {name: _row_model(table) for name, table in RESULT_TABLES.items()}


def _listed(name: str) -> Any:  # noqa: ANN401 (a type made here)
    """Return the type of a list of rows of a table."""
    return list.__class_getitem__(ROWS[name])


class LimitModel(BaseModel):
    """An upper limit of an image without a point."""

    model_config = ConfigDict(extra="allow")

    image: int
    upper_limit: float | None = Field(description="Jy/beam")


_OF_SOURCE: dict[str, Any] = {
    "source": (ROWS["sources"], ...),
    "points": (_listed("lightcurves"), Field(description="Points in order of time.")),
    "limits": (list[LimitModel], Field(description="Upper limits of the searched images without a point.")),
    "columns": (dict[str, dict[str, ColumnModel]], Field(description="Units and meanings of the columns.")),
}
SourceModel = create_model("SourceModel", __doc__="A source with its light curve.", **_OF_SOURCE)
_OF_IMAGE: dict[str, Any] = {
    "image": (ROWS["images"], ...),
    "columns": (dict[str, ColumnModel], Field(description="Units and meanings of the columns.")),
}
ImageModel = create_model("ImageModel", __doc__="An image.", **_OF_IMAGE)


def page_model(table: ResultTable) -> type[BaseModel]:
    """Return the model of a page of a table.

    Parameters
    ----------
    table
        Table of results.
    """
    return create_model(
        f"{table.name.capitalize()}Page",
        __doc__=f"A page of the table {table.name}.",
        rows=(_listed(table.name), ...),
        columns=(dict[str, ColumnModel], Field(description="Units and meanings of the columns.")),
        page=(int, ...),
        size=(int, ...),
        n_rows=(int | None, Field(description="Number of all selected rows; null if they take too long to count.")),
        without_value=(
            dict[str, int | None],
            Field(description="Rows without a value in the column of a range, which leaves them out; null if unknown."),
        ),
    )


def parameters(table: ResultTable) -> list[dict[str, Any]]:
    """Return the keys of the query as parameters of OpenAPI.

    Parameters
    ----------
    table
        Table of results.
    """
    number, text = {"type": "number"}, {"type": "string", "maxLength": 300}
    flags = [str(flag.name).lower() for flag in Flag]
    described = [
        ("near", f"Position: {POSITION_EXAMPLES}.", text),
        ("radius", "Radius around the position in arcsec; 30 by default.", number),
        ("band", "Frequency in MHz; it selects the band that contains it.", number),
        ("stokes", "Stokes parameter.", {"type": "string", "enum": list(STOKES)}),
        ("without_flags", "Leaves out measurements with this flag.", {"type": "string", "enum": flags}),
        ("candidates_only", "Leaves out sources that are no transient candidates.", {"type": "boolean"}),
        ("entries", f"Numbers of sources, with commas between them; at most {MAX_ENTRIES}.", text),
        ("since", "First time, ISO 8601 in UTC or MJD.", text),
        ("until", "Last time.", text),
        ("order", "Names of columns, with a minus sign to sort from high to low.", text),
        ("page", "Number of the page.", {"type": "integer", "minimum": 1, "maximum": MAX_PAGE}),
        ("size", f"Rows of a page; {DEFAULT_SIZE} by default.", {"type": "integer", "minimum": 1, "maximum": MAX_SIZE}),
        ("columns", "Names of the columns, with commas between them; all by default.", text),
    ]
    for end, word in (("min", "Smallest"), ("max", "Largest")):
        for name, column in table.columns.items():
            if column.dtype.kind in "fi":
                unit = f" [{column.unit}]" if column.unit else ""
                described.append((f"{end}_{name}", f"{word} value{unit}: {column.doc}", number))
    return [
        {"name": name, "in": "query", "required": False, "description": description, "schema": schema}
        for name, description, schema in described
    ]
