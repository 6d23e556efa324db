"""The errors of the pipeline, as a tree whose branches can be caught separately.

::

    TrapError
    ├── ConfigError(ValueError)            a setting with an impossible value
    ├── ImageError(ValueError)             an image that cannot be used
    │   ├── SourceListError                … because its source list cannot be used
    │   └── UnreadableImageError(OSError)  … because its file cannot be read
    ├── NotFoundError(LookupError)         results that a database does not hold
    ├── TooSlowError(TimeoutError)         a query that took longer than its limit
    ├── BusyError(RuntimeError)            more work is asked for than a server takes on
    ├── DatabaseError(RuntimeError)        a database that cannot be used
    │   ├── SchemaVersionError             … because of its schema version
    │   ├── DatasetNotFoundError(LookupError)  … because it does not hold the dataset
    │   └── DatasetLockedError             … because another run is writing the dataset
    └── TransientError(OSError)            an error that a retry may cure
        └── WorkerLostError                a worker process died or exceeded its time-out

The builtin in parentheses is a second base class. A rejected image, a fit that does not converge and
an image without sources are results, not errors.
"""

from __future__ import annotations

import re

__all__ = [
    "BusyError",
    "ConfigError",
    "DatabaseError",
    "DatasetLockedError",
    "DatasetNotFoundError",
    "ImageError",
    "NotFoundError",
    "SchemaVersionError",
    "SourceListError",
    "TooSlowError",
    "TransientError",
    "TrapError",
    "UnreadableImageError",
    "WorkerLostError",
    "out_of_memory",
]

_RAW_BYTE = re.compile("[\udc80-\udcff]")
"""A byte of a file name that is not UTF-8, as Python reads it."""


class TrapError(Exception):
    """Root of every error that the pipeline raises on purpose. Its text can be stored and printed."""

    def __init__(self, *args: object) -> None:
        super().__init__(*(_printable(arg) if isinstance(arg, str) else arg for arg in args))


class ConfigError(TrapError, ValueError):
    """A setting, or a combination of settings, has an impossible value."""


class ImageError(TrapError, ValueError):
    """An image cannot be used.

    Parameters
    ----------
    message
        The problem, with the offending value.
    url
        Path of the image, which precedes the message; empty leaves it out.
    """

    def __init__(self, message: str, url: str = "") -> None:
        super().__init__(message, url)
        self.message = _printable(message)
        self.url = _printable(url)

    def __str__(self) -> str:
        return f"{self.url}: {self.message}" if self.url else self.message

    def message_for(self, url: str) -> str:
        """Return the message, with the path of the file if it is not the image itself.

        Parameters
        ----------
        url
            Path of the image, which a report names anyway.
        """
        return self.message if self.url == _printable(url) else str(self)

    def __reduce__(self) -> tuple[type[ImageError], tuple[str, str], dict[str, object]]:
        # Explicit, since Dask's way of pickling calls ValueError's __new__ for an UnreadableImageError, which fails.
        # Other attributes are pickled too: the events of the step that the error ended (trap.workers.worker_log).
        return type(self), (self.message, self.url), self.__dict__


class SourceListError(ImageError):
    """The source list of an image cannot be used. Its message names the column, the row, the value and the limit."""


class UnreadableImageError(ImageError, OSError):
    """The file of an image is missing, truncated or not an image at all."""


class NotFoundError(TrapError, LookupError):
    """A database does not hold the results that are asked for, such as a source of a given number."""


class TooSlowError(TrapError, TimeoutError):
    """A query took longer than its limit."""


class BusyError(TrapError, RuntimeError):
    """More work is asked for than a server takes on at once."""


class DatabaseError(TrapError, RuntimeError):
    """The database is not in the state that the pipeline needs."""


class SchemaVersionError(DatabaseError):
    """The database has another schema version than this software."""


class DatasetNotFoundError(DatabaseError, LookupError):
    """The database does not hold the requested dataset."""


class DatasetLockedError(DatabaseError):
    """Another run is writing the dataset, and a dataset has one writer at a time."""


class TransientError(TrapError, OSError):
    """Something other than the data failed, such as a network or a file system, and a retry may succeed.

    Attributes
    ----------
    was_retried
        Whether :func:`trap.retry.call_with_retries` has retried it without success; then no other level retries it.
    """

    was_retried: bool = False


class WorkerLostError(TransientError):
    """A worker process died, or was ended because it exceeded its time-out.

    Parameters
    ----------
    message
        The cause.
    is_culprit
        Whether this step ran in the lost process. If false, the process ran another step, and this one was lost
        with it.
    """

    def __init__(self, message: str, *, is_culprit: bool = False) -> None:
        super().__init__(message)
        self.is_culprit = is_culprit


def out_of_memory(error: MemoryError) -> str:
    """Return the reason why an image is left out that takes more memory than there is.

    Parameters
    ----------
    error
        The error, whose text names the size of an array, or nothing.
    """
    detail = " ".join(str(error).split())
    return f"not enough memory ({detail})" if detail else "not enough memory"


def _printable(text: str) -> str:
    """Return a text with the bytes of file names that are not UTF-8 as :func:`trap.images.patterns.path_text` does."""
    return _RAW_BYTE.sub(lambda match: f"\\x{ord(match[0]) - 0xDC00:02x}", text)
