"""The settings: one frozen model per stage, TraP's names and defaults, in and out as TOML.

The docstring below a field is its only description: the commented configuration file, the Prefect
form and the documentation are all made from it.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from trap.errors import ConfigError

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

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
_Config = TypeVar("_Config", bound="PipelineConfig")


class _Settings(BaseModel):
    """What all settings share: frozen, nothing unknown, descriptions from the docstrings."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True)


class PersistenceConfig(_Settings):
    """What is written down, and how images are described."""

    description: Annotated[str, Field(max_length=100)] = "TraP dataset"
    """Name of the dataset, for people."""
    dataset_id: int = -1
    """Dataset to extend; -1 makes a new one."""
    rms_est_sigma: Positive = 4.0
    """Clip level of the noise estimate for the quality check, in σ."""
    rms_est_fraction: Annotated[int, Field(ge=2)] = 8
    """Divisor f of that estimate's region: the central square of side 2·⌊n/f⌋ pixels."""
    bandwidth_max: NotNegative = 0.0
    """Replaces the image's bandwidth when bands are assigned, in Hz; 0 uses the image's own."""
    band_tolerance: NotNegative = 0.0
    """Gap between two frequency intervals that still makes them one band, in Hz."""


class QualityConfig(_Settings):
    """Which images are good enough to be searched."""

    rms_est_history: Annotated[int, Field(ge=2)] = 100
    """Number of latest accepted images of a band that a new image's noise is compared with."""
    rms_est_max: Positive = 100.0
    """Largest acceptable noise, in Jy/beam."""
    rms_est_min: NotNegative = 0.0
    """Noise must be larger than this, in Jy/beam."""
    rms_rej_sigma: Positive = 3.0
    """Noise this many standard deviations off the history rejects an image."""
    oversampled_x: Positive = 30.0
    """Largest acceptable beam semi-axis, in pixels."""
    elliptical_x: Annotated[float, Field(ge=1)] = 2.0
    """Largest acceptable axis ratio of the beam."""


class SourceExtractionConfig(_Settings):
    """How sources are found and measured, blind and forced."""

    detection_threshold: Positive = 8.0
    """Significance that the highest pixel of an island must reach, in σ."""
    analysis_threshold: Positive = 3.0
    """Significance down to which pixels belong to an island, in σ."""
    back_size_x: Annotated[int, Field(ge=4)] = 50
    """Width of a cell of the background and noise mesh, in pixels."""
    back_size_y: Annotated[int, Field(ge=4)] = 50
    """Height of a cell of the background and noise mesh, in pixels."""
    margin: Count = 10
    """Strip along the edges that is not searched, in pixels."""
    extraction_radius_pix: NotNegative = 250.0
    """Radius of the circle around the image's centre that is searched, in pixels; 0 searches all."""
    deblend_nthresh: Annotated[int, Field(ge=0, le=300)] = 32
    """0 leaves islands whole; any other number parts those that hold several sources, trying every level."""
    force_beam: bool = True
    """Give every source the shape of the restoring beam; otherwise only those whose shape noise explains."""
    point_like_sigma: NotNegative = 3.0
    """Without force_beam: a shape as close to the beam as this, in σ, becomes the beam's; 0 keeps free shapes."""
    errors: Literal["autocorrelation", "condon"] = "autocorrelation"
    """Errors of fits: from the autocorrelation of the image's own noise, or by Condon's (1997) formulas."""
    box_in_beampix: Positive = 10.0
    """Side of the box of a forced fit, in beam semi-major axes (half widths at half maximum)."""
    ew_sys_err: NotNegative = 10.0
    """Systematic position error along east-west, in arcsec."""
    ns_sys_err: NotNegative = 10.0
    """Systematic position error along north-south, in arcsec."""
    expiration: Count = 10
    """Forced fits after which an entry without a blind detection is no longer fitted."""

    @model_validator(mode="after")
    def _check_thresholds(self) -> Self:
        if self.analysis_threshold > self.detection_threshold:
            msg = (
                f"analysis_threshold {self.analysis_threshold} is above detection_threshold {self.detection_threshold}"
            )
            raise ValueError(msg)
        return self


class AssociationConfig(_Settings):
    """Which measurements are the same source as which catalogue entry."""

    deruiter_radius: Positive = 5.68
    """Largest distance of a pair in units of its position error (dimensionless)."""
    beamwidths_limit: Positive = 3.0
    """Largest distance of a pair, in beam semi-major axes (half widths at half maximum)."""
    search_radius_floor_arcsec: NotNegative = 0.0
    """Pairs as close as this are considered however small the beam is: the ionosphere shifts sources, not beams."""


class TransientSearchConfig(_Settings):
    """Which new entries are transient candidates."""

    new_source_sigma_margin: NotNegative = 1.0
    """By how many σ beyond the detection threshold an earlier image should have shown a new source."""
    new_source_noise: Literal["position", "image"] = "position"
    """Which noise decides: the best earlier one at the position, or TraP's, the lowest of the best earlier image."""


class ExecutionConfig(_Settings):
    """Where and how the work is done; nothing here changes a result."""

    database: str = "sqlite:///trap.db"
    """Database URL: sqlite:///file.db, or postgresql://user@host/name."""
    images: tuple[str, ...] = ()
    """Images to process: paths or glob patterns."""
    n_workers: Count = 0
    """Processes that measure images; 0 takes one per core."""
    image_timeout_seconds: Positive = 600.0
    """Time after which a worker that hangs on one image is ended."""
    group_size: Count = 0
    """Timesteps in a group, the unit of look-ahead and of a Prefect subflow; 0 chooses."""
    granularity: Literal["auto", "image", "timestep"] = "auto"
    """What is a Prefect task: every step of every image, or a whole timestep."""


class PipelineConfig(_Settings):
    """All settings of a run."""

    persistence: PersistenceConfig = PersistenceConfig()
    quality: QualityConfig = QualityConfig()
    source_extraction: SourceExtractionConfig = SourceExtractionConfig()
    association: AssociationConfig = AssociationConfig()
    transient_search: TransientSearchConfig = TransientSearchConfig()
    execution: ExecutionConfig = ExecutionConfig()

    def with_options(self, **sections: dict[str, Any]) -> Self:
        """Return a copy with some settings changed, validated anew.

        Parameters
        ----------
        sections
            For each section a dict of the settings to change.

        Raises
        ------
        ConfigError
            If a section, a setting or a value is not allowed.
        """
        merged = self.model_dump()
        for section, options in sections.items():
            merged[section] = {**merged.get(section, {}), **options}
        return _validate(type(self), merged, "options")

    def science_items(self) -> list[tuple[str, str, Any]]:
        """List (section, key, value) of every setting that shapes the results."""
        # Written in place: mypy widens a variable to a type that pydantic does not take.
        shaping = self.model_dump(
            mode="json", exclude={"execution": True, "persistence": {"dataset_id", "description"}}
        )
        return [(section, key, value) for section, items in shaping.items() for key, value in items.items()]

    def differences(self, other: PipelineConfig) -> list[str]:
        """Tell, setting by setting, how the results of another configuration would differ."""
        pairs = zip(self.science_items(), other.science_items(), strict=True)
        return [
            f"{section}.{key} is {value!r}, there {there!r}"
            for (section, key, value), (_, _, there) in pairs
            if value != there
        ]

    @property
    def science_hash(self) -> str:
        """Hash of every setting that shapes the results: equal hashes, equal method."""
        return hashlib.sha256(repr(self.science_items()).encode()).hexdigest()[:16]


def load_config(path: str | Path) -> PipelineConfig:
    """Read and check a TOML configuration file.

    Raises
    ------
    ConfigError
        If the file cannot be read, is not TOML, or holds an unknown setting or a bad value; the
        message names the file, the setting and the value.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot read the configuration: {error}"
        raise ConfigError(msg) from error
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        msg = f"{path}: not valid TOML: {error}"
        raise ConfigError(msg) from error
    return _validate(PipelineConfig, values, str(path))


def write_config(config: PipelineConfig) -> str:
    """Write a configuration as TOML, each setting under its description."""
    lines: list[str] = []
    for section, field in type(config).model_fields.items():
        settings = getattr(config, section)
        lines += [f"# {type(settings).__doc__}", f"[{field.alias or section}]"]
        for key, item in type(settings).model_fields.items():
            lines += [f"# {item.description}", f"{key} = {_toml_value(getattr(settings, key))}"]
        lines.append("")
    return "\n".join(lines)


def _toml_value(value: str | float | tuple[str, ...]) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        # JSON's escapes are those of a TOML basic string, which wants one more: that of DEL.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml_value(item) for item in value) + "]"
    return repr(value)


def _validate(model: type[_Config], values: dict[str, Any], source: str) -> _Config:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems = (
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']} (got {item['input']!r})"
            for item in error.errors()
        )
        msg = f"{source}: " + "; ".join(problems)
        raise ConfigError(msg) from error
