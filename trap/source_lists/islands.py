"""Islands of listed sources: their numbers, and the sources that were fitted together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trap.source_lists.columns import ListedSources

__all__ = ["number_islands"]

MAX_DIGITS = 9
"""Largest number of digits of the number of an island, as the database stores it."""


def number_islands(listed: ListedSources) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Return the numbers of the islands of a list, as their finder numbered them if possible.

    The numbers of a finder that counts from 0 are raised by one, since 0 means a forced fit here. Names without
    numbers, or with numbers that two islands share, are numbered in the order of the list.

    Parameters
    ----------
    listed
        The sources of the list.

    Returns
    -------
    numbers
        (n,) — numbers of the islands. In a list without islands, each source is one.
    is_blended
        (n,) — sources that share an island with others; none in our own lists, which have a flag of them.
    """
    if not listed.islands:
        return np.arange(1, len(listed) + 1, dtype=np.int32), np.zeros(len(listed), bool)
    numbers = _numbers(listed.islands)
    if listed.form.is_own:
        return numbers, np.zeros(len(listed), bool)
    if numbers.min() == 0:
        numbers += 1
    _, index, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    return numbers, counts[index] > 1


def _numbers(names: Sequence[str]) -> NDArray[np.int32]:
    """Return the numbers in the names of islands, or their places in the order of the list."""
    places = {name: place for place, name in enumerate(dict.fromkeys(names), start=1)}
    by_name = {name: int(number) for name in places if 0 < len(number := _last_digits(name)) <= MAX_DIGITS}
    is_numbered = len(by_name) == len(places) == len(set(by_name.values()))
    numbers = by_name if is_numbered else places
    return np.array([numbers[name] for name in names], np.int32)


def _last_digits(name: str) -> str:
    """Return the number at the end of the name of an island, such as ``SB9602_island_12`` or ``12.0``."""
    name = name.removesuffix(".0")
    return name[len(name.rstrip("0123456789")) :]
