"""Files that a command writes: what goes wrong with them is one line, not a traceback."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from trap.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["reported"]


@contextmanager
def reported(path: Path) -> Iterator[None]:
    """Turn an error of the operating system into one that names what was to be written.

    Raises
    ------
    ConfigError
        If the place cannot be written: no such folder, no right, no room.
    """
    try:
        yield
    except OSError as error:
        msg = f"{path}: cannot be written: {error.strerror or error}"
        raise ConfigError(msg) from error
