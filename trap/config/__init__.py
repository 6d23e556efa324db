"""The settings: a frozen model for each stage, read from and written to TOML files."""

from trap.codes import STOKES, stokes_letter
from trap.config.calibration import CalibrationConfig
from trap.config.live import LiveConfig
from trap.config.pipeline import PipelineConfig
from trap.config.quality import QualityConfig, QualityLofarConfig
from trap.config.reading import DEFAULT_READING, Given, ReadingConfig
from trap.config.sections import (
    AssociationConfig,
    ExecutionConfig,
    PersistenceConfig,
    SourceExtractionConfig,
    TransientSearchConfig,
)
from trap.config.source_lists import DEFAULT_SOURCE_LISTS, QUANTITIES, SourceListConfig
from trap.config.toml import load_config, write_config

__all__ = [
    "DEFAULT_READING",
    "DEFAULT_SOURCE_LISTS",
    "QUANTITIES",
    "STOKES",
    "AssociationConfig",
    "CalibrationConfig",
    "ExecutionConfig",
    "Given",
    "LiveConfig",
    "PersistenceConfig",
    "PipelineConfig",
    "QualityConfig",
    "QualityLofarConfig",
    "ReadingConfig",
    "SourceExtractionConfig",
    "SourceListConfig",
    "TransientSearchConfig",
    "load_config",
    "stokes_letter",
    "write_config",
]
