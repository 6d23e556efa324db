"""What can go wrong, as a tree that callers can catch at the branch they care about.

::

    TrapError
    ├── ConfigError(ValueError)            a setting that cannot be right
    ├── ImageError(ValueError)             an image that cannot be used, with its path
    │   └── UnreadableImageError(OSError)  … because the file itself cannot be read
    ├── DatabaseError(RuntimeError)        the database is not what the pipeline needs
    │   ├── SchemaVersionError             … it has another schema version
    │   ├── DatasetNotFoundError(LookupError)  … it does not hold that dataset
    │   └── DatasetLockedError             … another run is writing that dataset
    └── TransientError(OSError)            may work when tried again
        └── WorkerLostError                a worker process died or was ended at its time-out

Every error is also the builtin that a caller would expect. A rejected image, a fit that does not
converge and an image without sources are results, not errors.
"""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "DatabaseError",
    "DatasetLockedError",
    "DatasetNotFoundError",
    "ImageError",
    "SchemaVersionError",
    "TransientError",
    "TrapError",
    "UnreadableImageError",
    "WorkerLostError",
]


class TrapError(Exception):
    """Root of every error that the pipeline raises on purpose."""


class ConfigError(TrapError, ValueError):
    """A setting, or a combination of settings, cannot be right."""


class ImageError(TrapError, ValueError):
    """An image cannot be used.

    Parameters
    ----------
    message
        What is wrong, with the offending value.
    url
        The image; shown in front of the message.
    """

    def __init__(self, message: str, url: str = "") -> None:
        super().__init__(message, url)
        self.message = message
        self.url = url

    def __str__(self) -> str:
        return f"{self.url}: {self.message}" if self.url else self.message

    def __reduce__(self) -> tuple[type[ImageError], tuple[str, str], dict[str, object]]:
        # Said outright: Dask's way of pickling would call ValueError's __new__ for an UnreadableImageError, and fail.
        # What else the error carries travels with it: the events of the step that it ended (trap.workers.worker_log).
        return type(self), (self.message, self.url), self.__dict__


class UnreadableImageError(ImageError, OSError):
    """The file of an image is missing, truncated or not an image at all."""


class DatabaseError(TrapError, RuntimeError):
    """The database is not in the state that the pipeline needs."""


class SchemaVersionError(DatabaseError):
    """The database has another schema version than this software."""


class DatasetNotFoundError(DatabaseError, LookupError):
    """The database does not hold the dataset asked for."""


class DatasetLockedError(DatabaseError):
    """Another run is writing this dataset; one writer at a time."""


class TransientError(TrapError, OSError):
    """Something outside the data went wrong and may work when tried again.

    Attributes
    ----------
    was_retried
        Whether :func:`trap.retry.call_with_retries` has retried it to no avail; no other level retries it then.
    """

    was_retried: bool = False


class WorkerLostError(TransientError):
    """A worker process died, or was ended because it passed its time-out.

    Parameters
    ----------
    message
        What happened.
    is_culprit
        Whether it was the process that ran this very step, and not that of a neighbour.
    """

    def __init__(self, message: str, *, is_culprit: bool = False) -> None:
        super().__init__(message)
        self.is_culprit = is_culprit
