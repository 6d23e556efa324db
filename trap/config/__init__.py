"""The settings: one frozen model per stage, all of them together, in and out as TOML."""

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
from trap.config.toml import load_config, write_config

__all__ = [
    "DEFAULT_READING",
    "AssociationConfig",
    "ExecutionConfig",
    "Given",
    "LiveConfig",
    "PersistenceConfig",
    "PipelineConfig",
    "QualityConfig",
    "QualityLofarConfig",
    "ReadingConfig",
    "SourceExtractionConfig",
    "TransientSearchConfig",
    "load_config",
    "write_config",
]
