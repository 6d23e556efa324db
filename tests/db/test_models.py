"""Units and meanings of columns are stated once, in the tables in memory."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy.orm import Mapped

from trap.association.entries import ENTRY_COLUMNS
from trap.catalogues import (
    Associations,
    Measurements,
    MonitorPositions,
    NewSources,
    RegionLinks,
    VarMetrics,
)
from trap.db import models
from trap.db.models.base import Base, identifier, stored_names, stores
from trap.flux_statistics import FLUX_COLUMNS
from trap.tables import Column, ColumnTable

TABLES = [
    (models.ExtractedSource, Measurements, {"dec": "decl", "significance": "det_sigma", "x": "x_pix", "y": "y_pix"}),
    (models.RunningCatalog, ENTRY_COLUMNS, {"wm_dec": "wm_decl", "avg_dec_err": "avg_decl_err"}),
    (models.RunningCatalogFlux, FLUX_COLUMNS, {"n": "f_datapoints", "mean_f_int": "avg_f_int"}),
    (models.AssocXtrSource, Associations, {"de_ruiter_radius": "r"}),
    (models.AssocSkyRegion, RegionLinks, {"distance": "distance_deg"}),
    (models.NewSource, NewSources, {}),
    (models.Monitor, MonitorPositions, {"dec": "decl"}),
    (models.VarMetric, VarMetrics, {}),
    (models.VarMetric, NewSources, {}),
]
"""Model, table that it stores, and names that differ."""


def columns_of(table):
    return table.columns() if isinstance(table, type) and issubclass(table, ColumnTable) else table


@pytest.mark.parametrize(("model", "table", "renamed"), TABLES, ids=lambda item: getattr(item, "__name__", ""))
def test_column_that_stores_a_tables_column_has_its_unit_and_sentence(model, table, renamed):
    # ``id`` is the number of the row; the blend of an entry, and its band, are references there.
    specs = {name: spec for name, spec in columns_of(table).items() if name not in {"id", "blend", "band"}}
    names = {name: renamed.get(name, name) for name in specs}
    shared = {name: stored for name, stored in names.items() if stored in model.__table__.columns}
    if table is Measurements:
        # Unit vectors have the names of pixel coordinates, but are another quantity.
        assert (shared["x"], shared["y"]) == ("x_pix", "y_pix")
    assert shared
    for name, stored in shared.items():
        column = model.__table__.columns[stored]
        if column.foreign_keys:
            continue
        assert column.info["unit"] == specs[name].unit, stored
        assert column.doc.startswith(specs[name].doc), stored
        assert column.info["stores"] == (table, name), stored


@pytest.mark.parametrize(
    ("model", "table", "missing"),
    [
        (models.RunningCatalogFlux, FLUX_COLUMNS, set()),
        (models.RunningCatalog, ENTRY_COLUMNS, {"id", "blend", "active"}),
        (models.VarMetric, VarMetrics, {"entry", "band"}),
    ],
)
def test_every_column_in_memory_is_stored(model, table, missing):
    assert set(columns_of(table)) - set(stored_names(model, table)) == missing


def test_database_stores_numbers_as_wide_as_they_are_in_memory():
    for model, table, _ in TABLES:
        for name, stored in stored_names(model, table).items():
            kind = columns_of(table)[name].dtype.kind
            python_type = model.__table__.columns[stored].type.python_type
            assert python_type is {"f": float, "i": int, "u": int, "b": bool}.get(kind, python_type), stored


def test_column_that_is_added_to_a_table_in_memory_gets_a_column_in_the_database():
    table = {"drop": Column(np.dtype("f8"), "Jy", "Largest drop."), "n": Column(np.dtype("i4"), "", "Number.")}
    try:

        @stores(table, besides=["n"])
        class Extended(Base):
            """A model that declares nothing but its key."""

            __tablename__ = "extended"
            id: Mapped[int] = identifier()

        column = Extended.__table__.columns["drop"]
        assert (column.doc, column.info["unit"], column.nullable) == ("Largest drop.", "Jy", True)
        assert column.type.python_type is float
        assert "n" not in Extended.__table__.columns
        assert stored_names(Extended, table) == {"drop": "drop"}
    finally:
        Base.metadata.remove(Base.metadata.tables["extended"])
        Base.registry._dispose_cls(Extended)
