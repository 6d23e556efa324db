"""Which images of a folder have come completely.

A file that is still being written looks like a torn image. Three signs say that it is whole: a marker
``image.fits.done`` beside it, the name of an image that it got by being renamed, or a size and a
time of change that have stayed as they are for a while. The folder is looked at again and again: file
systems over a network do not tell of changes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from trap.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["Arrival", "IncomingFolder"]

MARKER = ".done"


@dataclass(frozen=True, slots=True, order=True)
class Arrival:
    """An image that has come completely; written anew, it is another arrival.

    Parameters
    ----------
    path
        Absolute.
    size
        bytes
    mtime_ns
        Time of the last change, in ns since 1970.
    """

    path: Path
    size: int
    mtime_ns: int

    @property
    def version(self) -> str:
        """Tells one writing of a file from the next."""
        return f"{self.size}:{self.mtime_ns}"

    @classmethod
    def of_version(cls, path: Path, version: str) -> Self:
        """Make the arrival whose :attr:`version` has been kept."""
        size, mtime_ns = map(int, version.split(":"))
        return cls(path, size, mtime_ns)


class _Seen(NamedTuple):
    """A file at one look: what changes when it is written, moved or replaced."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: tuple[int, int]


@dataclass(slots=True)
class IncomingFolder:
    """Tells, from one look to the next, which images of a folder and its subfolders have become complete.

    Parameters
    ----------
    folder
        Where images arrive. What begins with a dot in it is not looked at.
    patterns
        Names of images, as in a shell.
    settle_seconds
        s — an image without other signs is complete when it has not changed for so long.
        ``math.inf`` waits for a marker or a new name.

    Raises
    ------
    ConfigError
        If there is no such folder.
    """

    folder: Path
    patterns: Sequence[str] = ("*.fits",)
    settle_seconds: float = 5.0
    _since: dict[Path, tuple[_Seen, float]] = field(default_factory=dict, init=False)
    _told: set[Arrival] = field(default_factory=set, init=False)
    _unfinished: set[tuple[int, int]] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        self.folder = self.folder.absolute()
        if not self.folder.is_dir():
            msg = f"there is no folder {self.folder} in which images could arrive"
            raise ConfigError(msg)

    @property
    def n_waiting(self) -> int:
        """Images that were there at the last look, and not complete."""
        return len(self._since)

    def pass_over(self, known: Iterable[Arrival]) -> None:
        """Do not tell of images that are known already, nor wait for them."""
        self._told.update(known)

    def scan(self, now: float) -> list[Arrival]:
        """Look at the folder, and return the images that have become complete since the last look.

        Parameters
        ----------
        now
            s — a clock that only goes forward, such as :func:`time.monotonic`; the clock of the file
            system may be another.

        Returns
        -------
        In order of their paths; each writing of a file once.
        """
        found = dict(_files(self.folder, self.patterns))
        images = {path: seen for path, seen in found.items() if self._is_image(path)}
        self._told = {told for told in self._told if told.path in images}
        waiting: dict[Path, tuple[_Seen, float]] = {}
        arrived: list[Arrival] = []
        for path, seen in images.items():
            arrival = Arrival(path, seen.size, seen.mtime_ns)
            if arrival in self._told:
                continue
            before, since = self._since.get(path, (seen, now))
            since = since if before == seen else now
            if now - since >= self.settle_seconds or _is_marked(path, seen, found) or self._is_renamed(seen):
                self._told.add(arrival)
                arrived.append(arrival)
            else:
                waiting[path] = seen, since
        self._since = waiting
        self._unfinished = {seen.inode for path, seen in found.items() if path not in images}
        return sorted(arrived)

    def _is_image(self, path: Path) -> bool:
        return not path.name.startswith(".") and _matches(path.name, self.patterns)

    def _is_renamed(self, seen: _Seen) -> bool:
        """Tell whether a file had another name at the last look.

        Its number alone does not tell: that of a deleted file is given to the next one. But writing
        sets both times of a file, while renaming it sets only that of its entry.
        """
        return seen.inode in self._unfinished and seen.ctime_ns > seen.mtime_ns


def _is_marked(path: Path, seen: _Seen, found: dict[Path, _Seen]) -> bool:
    """Tell whether a marker was set after the last change of an image."""
    markers = (path.with_name(path.name + MARKER), path.with_suffix(MARKER))
    return any(marker in found and found[marker].mtime_ns >= seen.mtime_ns for marker in markers)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _files(folder: Path, patterns: Sequence[str]) -> Iterator[tuple[Path, _Seen]]:
    """List all files of a folder and its subfolders; a folder with the name of an image is one image."""
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return  # gone since its parent was listed
    for entry in entries:
        path = Path(entry.path)
        try:
            if not entry.is_dir():
                yield path, _seen(entry.stat())
            elif _matches(entry.name, patterns):
                yield path, _seen_whole(path)
            elif not entry.name.startswith("."):
                yield from _files(path, patterns)
        except FileNotFoundError:
            continue


def _seen(status: os.stat_result) -> _Seen:
    return _Seen(status.st_size, status.st_mtime_ns, status.st_ctime_ns, (status.st_dev, status.st_ino))


def _seen_whole(folder: Path) -> _Seen:
    """Take a folder as one file: the sum of the sizes in it, and the latest of the times."""
    parts = [_seen((Path(root) / name).stat()) for root, _, names in os.walk(folder) for name in (".", *names)]
    return _Seen(
        size=sum(part.size for part in parts),
        mtime_ns=max(part.mtime_ns for part in parts),
        ctime_ns=max(part.ctime_ns for part in parts),
        inode=_seen(folder.stat()).inode,
    )
