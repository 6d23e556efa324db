"""The settings as a page of the documentation, generated from their descriptions, limits and defaults."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from trap.config import PipelineConfig
from trap.config.toml import as_toml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import BaseModel

__all__ = ["settings_page"]

_HEAD = """\
# Configuration

<!-- made by docs/generators/make_configuration.py from the settings in trap/config/; do not edit -->

Settings are read from a TOML file with a table for each section below. `transients config init` writes a file with all
of them and their descriptions; a file needs to name only the settings that differ from the defaults. An unknown name or
an impossible value ends a run before it starts. `transients config show FILE` prints the settings that a run would use.

The settings of `execution` may differ from run to run of one dataset, and so may
{names}. All others shape the results: they are stored with
the dataset, and images can be added to it only with the same values."""

_MANY = 1e5
"""A limit above this number only keeps impossible values out."""


def settings_page() -> str:
    """Write all settings as Markdown: section by section, each setting with its default, limits and meaning."""
    config = PipelineConfig()
    schema = type(config).model_json_schema()
    names = Counter(key for name in type(config).model_fields for key in type(getattr(config, name)).model_fields)
    unique = {name for name, count in names.items() if count == 1 and "_" in name}
    parts = [_HEAD.format(names=_names_without_effect(config))]
    for name in type(config).model_fields:
        parts += _section(name, getattr(config, name), schema["$defs"], unique)
    return "\n\n".join(parts) + "\n"


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


def _section(name: str, settings: BaseModel, schemas: Mapping[str, Any], unique: set[str]) -> Iterator[str]:
    """Yield the paragraphs of a section: its purpose, and the heading, default and meaning of each setting."""
    yield f"## `[{name}]`\n\n{inspect.cleandoc(type(settings).__doc__ or '')}"
    fields = schemas[type(settings).__name__]["properties"]
    for key, schema in fields.items():
        values = ("one of " if "enum" in schema else "") + _values(schema, schemas)
        yield f"### `{key}`\n\nDefault: `{as_toml(getattr(settings, key))}`. {values[:1].upper()}{values[1:]}."
        yield _linked(schema.get("description", ""), unique - {key})
        if schema.get("type") == "array" and "$ref" in schema["items"]:
            yield _table(schemas[schema["items"]["$ref"].rpartition("/")[2]]["properties"], schemas)


def _table(fields: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    """Write the table of the values of a setting that is a list of tables."""
    rows = []
    for key, schema in fields.items():
        meaning = " ".join(schema.get("description", "").split()).replace("|", "\\|")
        rows.append(f"| `{key}` | {_values(schema, schemas)} | {meaning} |")
    return "\n".join(["| key | value | meaning |", "|---|---|---|", *rows])


def _linked(text: str, unique: set[str]) -> str:
    """Write a description on one line; names of other settings become links."""
    line = " ".join(text.split())
    return re.sub(
        r"(?<![\w.`\"])(?:(\w+)\.)?([a-z]\w*_\w+)(?![\w`\"])",
        lambda found: f"[`{found[0]}`](#{found[2]})" if found[2] in unique else found[0],
        line,
    )


def _values(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    """Describe the values that a setting can have, from its JSON schema."""
    if "anyOf" in schema:
        return " or ".join(_values(one, schemas) for one in schema["anyOf"] if one != {"type": "null"})
    if "const" in schema or "enum" in schema:
        words = [f"`{as_toml(word)}`" for word in schema.get("enum", [schema.get("const")])]
        return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
    kind = str(schema.get("type"))
    if kind == "array":
        items = schema["items"]
        return f"a list of {_values(items, schemas) if 'enum' in items else _PLURALS[items.get('type', 'object')]}"
    if kind in {"number", "integer"}:
        return f"a {'whole ' * (kind == 'integer')}number{_range(schema)}"
    return f"{_KINDS[str(schema.get('format', kind))]}{_length(schema)}"


_KINDS = {"boolean": "`true` or `false`", "object": "a table of texts", "string": "a text", "date-time": "a time"}
_PLURALS = {"string": "texts", "object": "tables"}


def _length(schema: Mapping[str, Any]) -> str:
    return f" of at most {schema['maxLength']} characters" if "maxLength" in schema else ""


def _range(schema: Mapping[str, Any]) -> str:
    """Describe the limits of a number; limits that only keep impossible numbers out are not named."""
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    high, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    if low is not None and abs(low) <= _MANY and high is not None and high <= _MANY:
        return f" from {low:g} to {high:g}"
    limits = [
        (" above {:g}", above),
        (" from {:g} on", low if low is not None and abs(low) <= _MANY else None),
        (" below {:g}", below),
        (" up to {:g}", high if high is not None and high <= _MANY else None),
    ]
    return " and".join(text.format(limit) for text, limit in limits if limit is not None)
