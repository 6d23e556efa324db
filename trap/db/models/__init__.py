"""Models of the tables: TraP's, with their names and columns, and further ones.

Class attributes are the columns; the documentation of the database is generated from their ``doc``
and ``info["unit"]``. A column that stores a column of a table in memory takes both from there
(:func:`trap.db.models.base.stored`). Deleting a dataset deletes all rows that depend on it.
"""

from trap.db.models.base import Base
from trap.db.models.calibrations import Calibration
from trap.db.models.datasets import Arrival, Config, Dataset, Run, Timestep, UnreadableImage, Version
from trap.db.models.images import (
    EpochCorrelation,
    FrequencyBand,
    Image,
    ImageData,
    Rejection,
    RejectReason,
    RmsMap,
    SkyRegion,
)
from trap.db.models.positions import PositionFit, PositionPoint
from trap.db.models.ratings import RatedCandidate, Rating
from trap.db.models.sources import (
    AssocSkyRegion,
    AssocXtrSource,
    ExtractedSource,
    Lineage,
    Monitor,
    NewSource,
    RunningCatalog,
    RunningCatalogFlux,
    VarMetric,
)

__all__ = [
    "Arrival",
    "AssocSkyRegion",
    "AssocXtrSource",
    "Base",
    "Calibration",
    "Config",
    "Dataset",
    "EpochCorrelation",
    "ExtractedSource",
    "FrequencyBand",
    "Image",
    "ImageData",
    "Lineage",
    "Monitor",
    "NewSource",
    "PositionFit",
    "PositionPoint",
    "RatedCandidate",
    "Rating",
    "RejectReason",
    "Rejection",
    "RmsMap",
    "Run",
    "RunningCatalog",
    "RunningCatalogFlux",
    "SkyRegion",
    "Timestep",
    "UnreadableImage",
    "VarMetric",
    "Version",
]
