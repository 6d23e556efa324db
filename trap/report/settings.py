"""The settings as a page of the documentation, generated from their descriptions and defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args, get_origin

from trap.config import PipelineConfig
from trap.config.toml import as_toml

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

__all__ = ["settings_page"]

_HEAD = """\
# Configuration

<!-- made by docs/generators/make_configuration.py from the settings in trap/config/; do not edit -->

Settings are read from a TOML file with a table for each section below. `transients config init` writes a file with all
of them and their descriptions; a file needs to name only the settings that differ from the defaults. An unknown name or
an impossible value ends a run before it starts.

The settings of `execution` do not affect the results, nor do
{names}. All others do: they are stored with the
dataset, and images can be added to it only with the same values."""


def settings_page() -> str:
    """Write all settings as Markdown: name, default and meaning, section by section."""
    config = PipelineConfig()
    sections = (_section(name, getattr(config, name)) for name in type(config).model_fields)
    return "\n\n".join([_HEAD.format(names=_names_without_effect(config)), *sections]) + "\n"


def _names_without_effect(config: PipelineConfig) -> str:
    """List the settings outside `execution` that do not affect the results."""
    shaping = {(section, key) for section, key, _ in config.science_items()}
    names = [
        f"`{section}.{key}`"
        for section in type(config).model_fields
        for key in type(getattr(config, section)).model_fields
        if section != "execution" and (section, key) not in shaping
    ]
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _section(name: str, settings: BaseModel) -> str:
    fields = type(settings).model_fields
    rows = (_row(key, getattr(settings, key), field) for key, field in fields.items())
    return "\n".join(
        [f"## `[{name}]`\n\n{type(settings).__doc__}\n", "| setting | default | meaning |", "|---|---|---|", *rows]
    )


def _row(name: str, default: object, field: FieldInfo) -> str:
    meaning = " ".join((field.description or "").split()).replace("|", "\\|")
    words = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    unnamed = [word for word in words if f'"{word}"' not in meaning]
    if unnamed:
        meaning += f" One of {', '.join(f'`{as_toml(word)}`' for word in words)}."
    return f"| `{name}` | `{as_toml(default)}` | {meaning} |"
