"""Access to files: which of them may be opened, the meaning of system errors, and hashes of the content."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from trap.errors import ImageError, TransientError, UnreadableImageError, out_of_memory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["hash_file", "hash_folder", "is_folder", "reading"]

_TRANSIENT = (
    *(errno.EAGAIN, errno.EBUSY, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.ETIMEDOUT),
    *(errno.ENOTCONN, errno.EREMOTEIO, errno.EHOSTDOWN, errno.ECONNABORTED),
)
"""System errors that a retry may cure."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Convert the errors that the system and libraries raise for a file to errors of the pipeline.

    Raises
    ------
    UnreadableImageError
        If the file is missing, may not be read, or has the wrong format.
    TransientError
        If the file system failed, and a retry may succeed.
    """
    try:
        yield
    except (ImageError, TransientError, ImportError):
        raise
    except Exception as error:
        # Libraries raise any exception for a file that violates its format, an AttributeError for example.
        raise _as_trap_error(error, path) from error


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder. If it is neither a file nor a folder, reject it: opening it may block.

    Raises
    ------
    UnreadableImageError
        If the path does not exist, or is a pipe, a socket or a device.
    """
    with reading(path):
        mode = path.stat().st_mode
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        raise UnreadableImageError("neither a file nor a folder", str(path))
    return stat.S_ISDIR(mode)


def hash_file(path: Path) -> str:
    """Compute the BLAKE2b hash (128 bits, hexadecimal) of all bytes of a file.

    Raises
    ------
    UnreadableImageError
        If the file cannot be read.
    """
    with reading(path), path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def hash_folder(path: Path, *, leave_out: str) -> str:
    """Compute the BLAKE2b hash (128 bits, hexadecimal) of the names and bytes of all files in a folder.

    Parameters
    ----------
    path
        Path of the folder.
    leave_out
        Name of files to ignore, such as locks, which change although the image does not.
    """
    with reading(path):
        files = sorted(file for file in path.rglob("*") if file.is_file() and file.name != leave_out)
        content = "\n".join(f"{file.relative_to(path)} {hash_file(file)}" for file in files)
    return hashlib.blake2b(os.fsencode(content), digest_size=16).hexdigest()


def _as_trap_error(error: Exception, path: Path) -> TransientError | UnreadableImageError:
    """Convert an error: to a transient one if the file system may recover, otherwise to one of the file."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else ""
    reason = reason or " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, MemoryError):
        reason = out_of_memory(error)
    elif isinstance(error, AttributeError | RuntimeError):
        # Their texts alone describe the code of a library.
        reason = f"the content cannot be understood ({reason})"
    if "SIMPLE" in reason and "valid FITS" in reason:
        # astropy's sentence advises an argument of its own functions.
        reason = "no FITS file, CASA image table or HDF5 image"
    if isinstance(error, OSError) and error.errno in _TRANSIENT:
        return TransientError(f"{path}: {reason}")
    return UnreadableImageError(reason, str(path))
