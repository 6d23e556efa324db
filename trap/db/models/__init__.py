"""The tables: TraP's, by name and column, and what they lacked.

Class attributes are the columns; their ``doc`` and ``info["unit"]`` are what the documentation of
the database is made from. Deleting a dataset deletes all that hangs on it.
"""

from trap.db.models.base import Base
from trap.db.models.datasets import Arrival, Config, Dataset, Timestep, UnreadableImage, Version
from trap.db.models.images import (
    FrequencyBand,
    Image,
    ImageData,
    Rejection,
    RejectReason,
    RmsMap,
    SkyRegion,
)
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
    "Config",
    "Dataset",
    "ExtractedSource",
    "FrequencyBand",
    "Image",
    "ImageData",
    "Lineage",
    "Monitor",
    "NewSource",
    "RejectReason",
    "Rejection",
    "RmsMap",
    "RunningCatalog",
    "RunningCatalogFlux",
    "SkyRegion",
    "Timestep",
    "UnreadableImage",
    "VarMetric",
    "Version",
]
