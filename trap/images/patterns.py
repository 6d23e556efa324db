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
    shell has expanded them.

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
    if "\0" in pattern:
        return []  # no file has such a name
    if not glob.has_magic(pattern) or os.path.lexists(pattern):
        return [pattern]
    # Path.glob takes no absolute pattern before Python 3.13.
    return sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207
