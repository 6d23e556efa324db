"""Units and meanings of the columns of query results, for exports. They come from the columns of the tables."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from trap.catalogues import with_stokes_letters
from trap.db.models import (
    AssocXtrSource,
    Calibration,
    ExtractedSource,
    FrequencyBand,
    Image,
    NewSource,
    PositionFit,
    PositionPoint,
    RmsMap,
    RunningCatalog,
    VarMetric,
)
from trap.tables import Column
from trap.vetting.score import named_signs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from sqlalchemy.orm import InstrumentedAttribute

    from trap.db.models import Base
    from trap.typing import Columns

    DescribedColumns = dict[str, tuple[Column, NDArray[Any]]]

__all__ = [
    "describe_calibrations",
    "describe_light_curve",
    "describe_limits",
    "describe_position_points",
    "describe_positions",
    "describe_transients",
    "describe_variables",
]

_RELATIVE = {
    "gain": "Gain of the image; the mean of the band is 1. NaN if it was not measured.",
    "gain_err": "1σ error of gain.",
    "gain_applied": "Stored gain, relative to the reference, that flux densities were divided by; NaN for none.",
    "shift_ew": "Mean displacement of the sources to the east; the mean of the band is 0. NaN if it was not measured.",
    "shift_ns": "Mean displacement of the sources to the north; the mean of the band is 0.",
    "shift_ew_applied": "Stored mean displacement to the east, if positions were corrected; NaN otherwise.",
    "shift_ns_applied": "Stored mean displacement to the north, if positions were corrected; NaN otherwise.",
}
"""Meanings of the columns that refer to the mean of a band."""


def describe_light_curve(columns: Columns) -> DescribedColumns:
    """Add units and meanings to the columns of :func:`trap.db.lightcurves.light_curve`."""
    return _described(columns, (AssocXtrSource, ExtractedSource, Image, FrequencyBand), {})


def describe_transients(columns: Columns) -> DescribedColumns:
    """Add units and meanings to the columns of :func:`trap.db.lightcurves.transients`, and the names of the signs."""
    models = (NewSource, RunningCatalog, VarMetric, ExtractedSource, Image, FrequencyBand)
    renamed = {"newsource": NewSource.id, "xtrsrc": NewSource.trigger_xtrsrc, "stokes": Image.stokes}
    described = _described(columns, models, {**renamed, "metric_stokes": VarMetric.stokes})
    words = np.array(named_signs(columns), str)
    return {
        **described,
        "signs": (Column(words.dtype, "", "Names of the signs of artefacts; empty without any."), words),
    }


def describe_variables(columns: Columns) -> DescribedColumns:
    """Add units and meanings to the columns of :func:`trap.db.lightcurves.variables`."""
    return _described(columns, (VarMetric, RunningCatalog, FrequencyBand), {})


def describe_limits(columns: Columns) -> DescribedColumns:
    """Add units and meanings to the columns of :func:`trap.db.limits.upper_limits`."""
    models = (RmsMap, Image, FrequencyBand)
    return _described(columns, models, {"rms": ExtractedSource.rms, "upper_limit": NewSource.upper_limit})


def describe_position_points(columns: Columns) -> DescribedColumns:
    """Add units and meanings to the columns of :func:`trap.db.position_fits.join_points`."""
    return _described(columns, (PositionPoint, Image, FrequencyBand, ExtractedSource), {})


def describe_positions(columns: Columns) -> DescribedColumns:
    """Add units and meanings to the columns of :func:`trap.db.position_fits.kept_positions`."""
    numbers = {
        "n_points": "Number of images that were measured, or gave a reason.",
        "n_measured": "Number of images with a flux density.",
        "n_unread": "Number of images whose files could not be read.",
    }
    described = _described({name: columns[name] for name in columns if name not in numbers}, (PositionFit,), {})
    return described | {name: (Column(columns[name].dtype, "", doc), columns[name]) for name, doc in numbers.items()}


def describe_calibrations(columns: Columns) -> DescribedColumns:
    """Add units and meanings to the columns of :func:`trap.report.calibration.relative_calibrations`."""
    stored = {name: getattr(Calibration, name) for name in ("gain", "shift_ew", "shift_ns")}
    renamed = {f"{name}_applied": column for name, column in stored.items()}
    described = _described(columns, (Calibration, Image, FrequencyBand), renamed)
    return {
        name: (replace(column, doc=_RELATIVE.get(name, column.doc)), values)
        for name, (column, values) in described.items()
    }


def _described(
    columns: Columns, models: Sequence[type[Base]], renamed: Mapping[str, InstrumentedAttribute[Any]]
) -> DescribedColumns:
    """Add units and meanings to columns, and convert numbers of Stokes parameters to letters.

    Parameters
    ----------
    columns
        (n,) values by name.
    models
        Tables of the query. A column is described by the first table with a column of its name.
    renamed
        Columns of tables, by name in the result, if the two names differ.
    """
    sources = {name: column for model in reversed(models) for name, column in model.__table__.columns.items()}
    sources |= {name: attribute.property.columns[0] for name, attribute in renamed.items()}
    return {
        name: (
            Column(
                values.dtype,
                sources[name].info.get("unit", ""),
                _meaning(name, sources[name].doc or ""),
                ucd=sources[name].info.get("ucd", ""),
            ),
            values,
        )
        for name, values in with_stokes_letters(columns).items()
    }


def _meaning(name: str, doc: str) -> str:
    """Return the meaning of a column in an export, which has letters in place of the numbers of FITS."""
    return f"{doc.split(',', maxsplit=1)[0]}, as a letter." if name.endswith("stokes") else doc
