"""The settings as TOML: read from a file, written with their descriptions."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from trap.config.pipeline import PipelineConfig
from trap.errors import ConfigError

__all__ = ["load_config", "write_config"]


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
    return PipelineConfig.checked(values, str(path))


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


def _toml_value(value: Any) -> str:  # noqa: ANN401 (whatever settings hold)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        # JSON's escapes are those of a TOML basic string, which wants one more: that of DEL.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml_value(item) for item in value) + "]"
    if isinstance(value, BaseModel):
        items = value.model_dump(mode="json", exclude_none=True).items()
        return "{" + ", ".join(f"{key} = {_toml_value(item)}" for key, item in items) + "}"
    return repr(value)
