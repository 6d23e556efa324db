"""All settings of a run, with methods to copy, check, compare and hash them."""

from __future__ import annotations

import difflib
import hashlib
import re
import reprlib
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ValidationError

from trap.config.calibration import CalibrationConfig
from trap.config.quality import QualityConfig, QualityLofarConfig
from trap.config.reading import ReadingConfig
from trap.config.sections import (
    AssociationConfig,
    ExecutionConfig,
    PersistenceConfig,
    Settings,
    SourceExtractionConfig,
    TransientSearchConfig,
)
from trap.config.source_lists import SourceListConfig
from trap.errors import ConfigError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["PipelineConfig"]

_SECRET = re.compile(r"://|[@=]|pass|secret|token", re.IGNORECASE)
# A wrong value may be a deep list, or a text without an end.
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 200


class PipelineConfig(Settings):
    """All settings of a run."""

    persistence: PersistenceConfig = PersistenceConfig()
    reading: ReadingConfig = ReadingConfig()
    source_lists: SourceListConfig = SourceListConfig()
    quality: QualityConfig = QualityConfig()
    quality_lofar: QualityLofarConfig = QualityLofarConfig()
    source_extraction: SourceExtractionConfig = SourceExtractionConfig()
    calibration: CalibrationConfig = CalibrationConfig()
    association: AssociationConfig = AssociationConfig()
    transient_search: TransientSearchConfig = TransientSearchConfig()
    execution: ExecutionConfig = ExecutionConfig()

    def with_options(self, **sections: dict[str, Any]) -> Self:
        """Return a validated copy with some settings changed.

        Parameters
        ----------
        sections
            Settings to change: for each section a dict of values by name.

        Raises
        ------
        ConfigError
            If a section, a setting or a value is not allowed.
        """
        merged = self.model_dump()
        for section, options in sections.items():
            merged[section] = {**merged.get(section, {}), **options}
        return self.checked(merged, "options")

    @classmethod
    def checked(cls, values: dict[str, Any], source: str) -> Self:
        """Create settings from values by section and name, and check them.

        Parameters
        ----------
        values
            Values of settings: for each section a dict of values by name. Settings that are missing have their
            defaults.
        source
            Origin of the values, such as the path of a file, for the message of an error.

        Raises
        ------
        ConfigError
            If a section, a setting or a value is not allowed; the message names the source and the value.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            msg = f"{source}: " + "; ".join(_problem(cls, item) for item in error.errors())
            raise ConfigError(msg) from error

    def science_items(self) -> list[tuple[str, str, Any]]:
        """List section, name and value of every setting that affects the results."""
        # A literal in the call, since mypy widens a variable to a type that pydantic does not accept.
        shaping = self.model_dump(
            mode="json",
            exclude={
                "execution": True,
                "persistence": {"dataset_id", "dataset_key", "description"},
                # Paths may change; the settings of source lists shape results.
                "reading": {"catalogues"},
            },
        )
        return [(section, key, value) for section, items in shaping.items() for key, value in items.items()]

    def differences(self, other: PipelineConfig) -> list[str]:
        """List the settings that affect the results and differ from another configuration, with both values."""
        pairs = zip(self.science_items(), other.science_items(), strict=True)
        return [
            f"{section}.{key} is {value!r} instead of {other_value!r}"
            for (section, key, value), (_, _, other_value) in pairs
            if value != other_value
        ]

    @property
    def science_hash(self) -> str:
        """Hash of every setting that affects the results; equal hashes mean equal methods."""
        return hashlib.sha256(repr(self.science_items()).encode()).hexdigest()[:16]


def _got(error: ErrorDetails) -> str:
    """Return the wrong value in parentheses; empty if it may hold a password, as the URL of a database does."""
    value = _SHORT.repr(error["input"])
    return "" if "database" in error["loc"] or _SECRET.search(value) else f" (got {value})"


def _problem(settings: type[BaseModel], error: ErrorDetails) -> str:
    """Describe a wrong setting, and name the nearest setting if there is none of its name."""
    *sections, name = error["loc"]
    place = ".".join(map(str, error["loc"]))
    if error["type"] != "extra_forbidden":
        return f"{place}: {error['msg']}{_got(error)}"
    model: Any = settings
    for section in sections:
        field = getattr(model, "model_fields", {}).get(section)
        model = None if field is None else field.annotation
    known = list(getattr(model, "model_fields", {}))
    near = difflib.get_close_matches(str(name), known, n=1)
    kind = "setting" if sections else "section"
    return f"unknown {kind} {place}" + "".join(f"; did you mean {word}?" for word in near)
