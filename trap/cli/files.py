"""Files that commands write: an error of the operating system becomes one line, not a traceback."""

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
    """Convert an error of the operating system into a ConfigError that names the file.

    Raises
    ------
    ConfigError
        If the file cannot be written: the folder is missing, permission is denied, or the disk is full.
    """
    try:
        yield
    except OSError as error:
        msg = f"{path}: cannot be written: {error.strerror or error}"
        raise ConfigError(msg) from error
