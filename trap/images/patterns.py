"""Which files a user means by the paths and patterns that were given."""

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
    """Turn paths and glob patterns into absolute paths, each once, in the order given.

    What exists as it is written is a path, even with a ``[`` in it, as the shell passes on names it has matched.

    Raises
    ------
    ConfigError
        If there are none, or a pattern matches nothing.
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
    if not glob.has_magic(pattern) or os.path.lexists(pattern):
        return [pattern]
    # Path.glob takes no absolute pattern before Python 3.13.
    return sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207
