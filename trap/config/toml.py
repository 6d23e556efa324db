"""The settings as TOML: read from a file, written with their descriptions."""

from __future__ import annotations

import os
import re
import textwrap
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from trap.config.pipeline import PipelineConfig
from trap.errors import ConfigError

if TYPE_CHECKING:
    from tomlkit.items import Item

__all__ = ["as_toml", "load_config", "parse_toml", "write_config", "write_private"]

MAX_DEPTH = 20
"""Largest number of tables and lists within each other in a file of settings."""
_KEY = re.compile(r"^[ \t]*\[{0,2}([^=,\[\]\n]*)[=\]]", re.MULTILINE)
"""The key of a value, or the name of a table, at the beginning of a line."""
COMMENT_WIDTH = 110
"""Largest number of characters in a line of a description."""


def load_config(path: str | Path) -> PipelineConfig:
    """Read and check a TOML configuration file.

    Raises
    ------
    ConfigError
        If the file cannot be read, is not TOML, or holds an unknown setting or a bad value; the
        message names the file, the setting and the value.
    """
    if re.match(r"[\w+]+:/", str(path)):
        msg = "a URL is no file of settings; name the database with --database"  # It may hold a password.
        raise ConfigError(msg)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # a ValueError: no UTF-8, or no name of a file
        msg = f"{path}: cannot read the configuration: {error}"
        raise ConfigError(msg) from error
    return PipelineConfig.checked(parse_toml(text, path), str(path))


def parse_toml(text: str, path: str | Path) -> dict[str, Any]:
    """Parse TOML of any origin.

    Parameters
    ----------
    text
        The TOML.
    path
        Its file, for the message of an error.

    Raises
    ------
    ConfigError
        If the text is no TOML, or nests values too deeply.
    """
    # The parser keeps every beginning of a dotted key: a long one fills the memory.
    has_long_key = any(key.count(".") > MAX_DEPTH for key in _KEY.findall(text))
    try:
        values = {} if has_long_key else tomllib.loads(text)
        # Dotted keys (a.a.a…) nest without limit too, and everything that walks through the values would overflow.
        is_deep = has_long_key or _is_deeper_than(values, MAX_DEPTH)
    except RecursionError:
        is_deep = True
    except ValueError as error:  # also of an integer of more than 4300 digits
        msg = f"{path}: not valid TOML: {error}"
        raise ConfigError(msg) from error
    if is_deep:
        msg = f"{path}: values are nested more than {MAX_DEPTH} deep; settings are at most 4"
        raise ConfigError(msg)
    return values


def _is_deeper_than(value: object, depth: int) -> bool:
    """Return whether tables and lists within a value are nested more than some levels deep."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth < 0 or any(_is_deeper_than(each, depth - 1) for each in inner)


def write_config(config: PipelineConfig) -> str:
    """Write a configuration as TOML, with the description of each setting above it."""
    import tomlkit  # noqa: PLC0415 (every worker imports this module, and none writes a file)

    document = tomlkit.document()
    for section in type(config).model_fields:
        settings = getattr(config, section)
        table = tomlkit.table()
        for key, field in type(settings).model_fields.items():
            for line in textwrap.wrap(str(field.description), COMMENT_WIDTH):
                table.add(tomlkit.comment(line))
            table.add(key, _item(getattr(settings, key)))
        table.add(tomlkit.nl())
        for line in textwrap.wrap(" ".join((type(settings).__doc__ or section).split()), COMMENT_WIDTH):
            document.add(tomlkit.comment(line))
        document.add(section, table)
        # tomlkit puts a blank line above a header, but the comment there belongs to the header.
        table.trivia.indent = ""
    return document.as_string()


def write_private(path: Path, text: str, *, new: bool = False) -> None:
    """Write a file of settings that its owner alone can read, since settings may hold what others must not see.

    Parameters
    ----------
    path, text
        The file, and its new content.
    new
        Whether the file must not exist.

    Raises
    ------
    OSError
        If the file cannot be written, or exists and must not.
    """
    number = os.open(path, os.O_WRONLY | os.O_CREAT | (os.O_EXCL if new else os.O_TRUNC), 0o600)
    with os.fdopen(number, "w", encoding="utf-8") as file:
        os.fchmod(number, 0o600)  # an existing file keeps its mode otherwise
        file.write(text)


def as_toml(value: object) -> str:
    """Return the value of a setting as it stands in a TOML file, on one line."""
    return _item(value).as_string()


def _item(value: Any) -> Item:  # noqa: ANN401 (values of settings, of any type)
    """Convert the value of a setting to an item of tomlkit; settings within a list become tables on one line."""
    import tomlkit  # noqa: PLC0415 (as above)

    if isinstance(value, tuple):
        array = tomlkit.array()
        array.extend(_item(entry) for entry in value)
        return array
    if isinstance(value, BaseModel | dict):
        table = tomlkit.inline_table()
        # In JSON's types, among which a date is text: as text it is read back with its time zone.
        table.update(value if isinstance(value, dict) else value.model_dump(mode="json", exclude_none=True))
        return table
    if isinstance(value, dict):
        # On one line: the settings behind a table of its own would belong to it.
        table = tomlkit.inline_table()
        table.update(value)
        return table
    item: Item = tomlkit.item(value)
    return item
