"""Results of long reads, kept in memory between the requests of visitors until the dataset changes."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["Kept"]

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """The latest results by their keys. Several threads may use it.

    Parameters
    ----------
    most
        Largest number of results; the one that was not needed for the longest time makes room.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = Lock()
        self._results: OrderedDict[Hashable, Value] = OrderedDict()

    def find(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the result of a key; it is made if it is missing.

        Parameters
        ----------
        key
            Everything that the result depends on, with :func:`trap.db.source_numbers.dataset_state`.
        make
            Function that makes the result. Two threads may make the same one, and either is kept.
        """
        with self._lock:
            if key in self._results:
                self._results.move_to_end(key)
                return self._results[key]
        made = make()
        with self._lock:
            self._results[key] = made
            while len(self._results) > self._most:
                self._results.popitem(last=False)
        return made
