"""The settings as a page of documentation, made from the settings themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trap.config import PipelineConfig

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

__all__ = ["settings_page"]

_HEAD = """\
# Configuration

<!-- made by docs/make_configuration.py from the settings in trap/config.py; do not edit -->

Settings are read from a TOML file with a table for each section below. `trap config init` writes one with all of them
and these descriptions; a file may also name only what differs. An unknown name or an impossible value ends a run before
it starts. Every setting shapes the results, but for those of `execution` and the number and description of the dataset.
It is frozen with the dataset, to which images can be added with the same settings only."""


def settings_page() -> str:
    """Write all settings as Markdown: name, default and meaning, section by section."""
    config = PipelineConfig()
    sections = (_section(name, getattr(config, name)) for name in type(config).model_fields)
    return "\n\n".join([_HEAD, *sections]) + "\n"


def _section(name: str, settings: BaseModel) -> str:
    fields = type(settings).model_fields
    rows = (_row(key, getattr(settings, key), field) for key, field in fields.items())
    return "\n".join(
        [f"## `[{name}]`\n\n{type(settings).__doc__}\n", "| setting | default | meaning |", "|---|---|---|", *rows]
    )


def _row(name: str, default: object, field: FieldInfo) -> str:
    meaning = (field.description or "").replace("|", "\\|")
    return f"| `{name}` | `{_as_toml(default)}` | {meaning} |"


def _as_toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_as_toml, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)
