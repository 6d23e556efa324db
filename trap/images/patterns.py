"""Expansion of paths and glob patterns to the files that they match."""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import TYPE_CHECKING

from trap.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["expand_patterns"]


def expand_patterns(patterns: Sequence[str]) -> list[str]:
    """Expand paths and glob patterns to absolute paths, without repetitions, in the order of the patterns.

    A pattern that is also the name of an existing file is taken as a path, as names with a ``[`` may be when a
    shell has expanded them. A file that ``**`` finds by several links is taken once.

    Raises
    ------
    ConfigError
        If there are no patterns, or a pattern matches nothing.
    """
    paths: dict[str, None] = {}
    for pattern in patterns:
        matches = _matches(pattern)
        if not matches:
            msg = f"no image matches {pattern!r}"
            raise ConfigError(msg)
        paths.update(dict.fromkeys(str(Path(match).absolute()) for match in matches))
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
