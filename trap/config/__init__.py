"""The settings: one frozen model per stage, all of them together, in and out as TOML."""

from trap.config.pipeline import PipelineConfig
from trap.config.sections import (
    AssociationConfig,
    ExecutionConfig,
    PersistenceConfig,
    QualityConfig,
    SourceExtractionConfig,
    TransientSearchConfig,
)
from trap.config.toml import load_config, write_config

__all__ = [
    "AssociationConfig",
    "ExecutionConfig",
    "PersistenceConfig",
    "PipelineConfig",
    "QualityConfig",
    "SourceExtractionConfig",
    "TransientSearchConfig",
    "load_config",
    "write_config",
]
