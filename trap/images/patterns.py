r"""Expansion of paths and glob patterns to the files that they match, and paths as text.

A file name is bytes, which need not be UTF-8. Databases, settings, pages and logs need text. Bytes that are not UTF-8
are therefore written as ``\xff`` wherever a path is text, and are read back when a file is opened.
"""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from trap.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["expand_patterns", "path_of", "path_text"]

_RAW = re.compile("[\udc80-\udcff]")
"""A byte of a file name that is not UTF-8, as Python reads it."""
_WRITTEN = re.compile(r"\\x([89a-f][0-9a-f])")
"""The same byte in a path as text."""


def path_text(path: str | Path) -> str:
    """Return a path as text that can be stored and printed; only bytes that are not UTF-8 change.

    Parameters
    ----------
    path
        Path as Python reads it from the system.
    """
    return _RAW.sub(lambda match: f"\\x{ord(match[0]) - 0xDC00:02x}", str(path))


def path_of(text: str | Path) -> Path:
    """Return the path that :func:`path_text` wrote. A file that has this very name is preferred.

    Parameters
    ----------
    text
        Path as text.
    """
    raw = _decoded(str(text))
    return Path(text) if raw == str(text) or os.path.lexists(text) else Path(raw)


def _decoded(text: str) -> str:
    return _WRITTEN.sub(lambda match: chr(0xDC00 + int(match[1], 16)), text)


def expand_patterns(patterns: Sequence[str]) -> list[str]:
    """Expand paths and glob patterns to absolute paths, without repetitions, in the order of the patterns.

    A pattern that is also the name of an existing file is taken as a path, as names with a ``[`` may be when a
    shell has expanded them. A file that ``**`` finds by several links is taken once. The paths are text as
    :func:`path_text` writes it.

    Raises
    ------
    ConfigError
        If there are no patterns, or a pattern matches nothing.
    """
    paths: dict[str, None] = {}
    for pattern in patterns:
        if re.match(r"[A-Za-z][\w+.-]*:/", pattern) and not os.path.lexists(pattern):
            msg = "an image is named by a URL; images are files: give their paths"  # A URL may hold a password.
            raise ConfigError(msg)
        matches = _matches(pattern) or _matches(_decoded(pattern))
        if not matches:
            msg = f"no image matches '{path_text(pattern)}'"
            raise ConfigError(msg)
        paths.update(dict.fromkeys(path_text(Path(match).absolute()) for match in matches))
    if not paths:
        msg = "no images given: name them with --images, or as execution.images in the configuration"
        raise ConfigError(msg)
    return list(paths)


def _matches(pattern: str) -> list[str]:
    """Return the paths that a pattern matches, in order; a path without a pattern need not exist."""
    if "\0" in pattern:
        return []  # no file has such a name
    if not glob.has_magic(pattern) or os.path.lexists(pattern):
        return [pattern]
    # Path.glob takes no absolute pattern before Python 3.13.
    matches = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207
    if "**" not in pattern:
        return matches
    # A link to a folder above it makes each file appear some forty times.
    shortest = {os.path.realpath(match): match for match in sorted(matches, key=_depth, reverse=True)}
    return sorted(shortest.values())


def _depth(path: str) -> int:
    return path.count(os.sep)
