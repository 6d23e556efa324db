"""Detection of complete images in a folder where images arrive.

A file that is still being written looks like a truncated image. Three signs mark it as complete: a marker
file ``image.fits.done`` next to it, renaming to the name of an image, or a size and a time of change
that have stayed the same for a while. The folder is scanned repeatedly, since network file systems do
not report changes. A folder or file that cannot be read costs itself: its images keep their state until it can be read.
"""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import structlog

from trap.errors import ConfigError
from trap.images.patterns import path_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Arrival", "IncomingFolder"]

log = structlog.get_logger(__name__)

MARKER = ".done"
"""Suffix of the marker file of a complete image."""


@dataclass(frozen=True, slots=True, order=True)
class Arrival:
    """A complete image in a folder. If its file is written again, that is another arrival.

    Parameters
    ----------
    path
        Absolute path.
    size
        bytes — size of the file, or of all files of a folder.
    mtime_ns
        ns since 1970 — time of the last change.
    """

    path: Path
    size: int
    mtime_ns: int

    @property
    def version(self) -> str:
        """Size and time of change as text, which differ if the file is written again."""
        return f"{self.size}:{self.mtime_ns}"

    @classmethod
    def of_version(cls, path: Path, version: str) -> Self:
        """Create the arrival with a given :attr:`version`.

        Parameters
        ----------
        path
            Absolute path.
        version
            Text as in :attr:`version`.
        """
        size, mtime_ns = map(int, version.split(":"))
        return cls(path, size, mtime_ns)


class _FileState(NamedTuple):
    """The state of a file in one scan: values that change if it is written, moved or replaced."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: tuple[int, int]


@dataclass(slots=True)
class IncomingFolder:
    """A folder that is scanned for images that have become complete since the previous scan.

    Parameters
    ----------
    folder
        Folder where images arrive, with its subfolders. Names that begin with a dot are ignored, and a link to a folder
        that was listed already.
    patterns
        Names of images, as shell patterns.
    settle_seconds
        s — time without a change after which an image without other signs is complete.
        ``math.inf`` waits for a marker file or for renaming.

    Raises
    ------
    ConfigError
        If the folder does not exist, or may not be listed.
    """

    folder: Path
    patterns: Sequence[str] = ("*.fits",)
    settle_seconds: float = 5.0
    _waiting: dict[Path, tuple[_FileState, float]] = field(default_factory=dict, init=False)
    """Incomplete images: their state, and the time [s] since which it is the same."""
    _reported: set[Arrival] = field(default_factory=set, init=False)
    """Arrivals that were returned by a scan, or passed over."""
    _other_inodes: set[tuple[int, int]] = field(default_factory=set, init=False)
    """Files without the name of an image in the previous scan, which may be renamed to one."""

    _unreadable: dict[Path, str] = field(default_factory=dict, init=False)
    """Folders and files that the last scan could not read, with the reasons."""

    def __post_init__(self) -> None:
        self.folder = self.folder.absolute()
        try:
            os.scandir(self.folder).close()
        except (FileNotFoundError, NotADirectoryError) as error:
            msg = f"no folder {path_text(self.folder)}: create the folder where images arrive, or name another"
            raise ConfigError(msg) from error
        except PermissionError as error:
            msg = f"the folder {path_text(self.folder)} may not be listed: change its permissions, or name another"
            raise ConfigError(msg) from error
        except OSError:
            return  # A network file system that is away may be back at the first scan.

    @property
    def n_waiting(self) -> int:
        """Number of images that were incomplete in the last scan."""
        return len(self._waiting)

    def pass_over(self, arrivals: Iterable[Arrival]) -> None:
        """Exclude images from the results of scans, such as images that are processed already."""
        self._reported.update(arrivals)

    def scan(self, now: float) -> list[Arrival]:
        """Scan the folder, and return the images that have become complete since the last scan.

        Parameters
        ----------
        now
            s — time of a clock that only goes forward, such as :func:`time.monotonic`; it need not agree
            with the clock of the file system.

        Returns
        -------
        Arrivals in the order of their paths. A file that is written again arrives again.
        """
        states, unreadable = _files(self.folder, self.patterns)
        self._log_unreadable(unreadable)
        images = {path: state for path, state in states.items() if self._is_image(path)}
        # Images that cannot be seen now are as they were, so that they do not arrive again.
        self._reported = {
            arrival for arrival in self._reported if arrival.path in images or self._is_hidden(arrival.path)
        }
        waiting = {path: state for path, state in self._waiting.items() if self._is_hidden(path)}
        arrivals: list[Arrival] = []
        for path, state in images.items():
            arrival = Arrival(path, state.size, state.mtime_ns)
            if arrival in self._reported:
                continue
            previous, since = self._waiting.get(path, (state, now))
            since = since if previous == state else now
            is_settled = now - since >= self.settle_seconds
            if is_settled or _is_marked(path, state, states) or self._is_renamed(state):
                self._reported.add(arrival)
                arrivals.append(arrival)
            else:
                waiting[path] = state, since
        self._waiting = waiting
        self._other_inodes = {state.inode for path, state in states.items() if path not in images}
        return sorted(arrivals)

    def _log_unreadable(self, unreadable: dict[Path, str]) -> None:
        """Log folders and files that have become unreadable since the last scan, and keep all for the next one."""
        for path, reason in unreadable.items():
            if self._unreadable.get(path) != reason:
                log.warning("not_readable", path=path_text(path), reason=reason)
        self._unreadable = unreadable

    def _is_hidden(self, path: Path) -> bool:
        """Return whether a file may exist, since the last scan could not read it or a folder above it."""
        return bool(self._unreadable) and any(each in self._unreadable for each in (path, *path.parents))

    def _is_image(self, path: Path) -> bool:
        return not path.name.startswith(".") and _matches(path.name, self.patterns)

    def _is_renamed(self, state: _FileState) -> bool:
        """Return whether a file had another name in the last scan.

        Its inode alone does not prove this, since the inode of a deleted file is reused. But writing sets
        both times of a file, and renaming sets only the time of its entry.
        """
        return state.inode in self._other_inodes and state.ctime_ns > state.mtime_ns


def _is_marked(path: Path, state: _FileState, states: dict[Path, _FileState]) -> bool:
    """Return whether a marker file was written after the last change of an image."""
    markers = (path.with_name(path.name + MARKER), path.with_suffix(MARKER))
    return any(marker in states and states[marker].mtime_ns >= state.mtime_ns for marker in markers)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _files(folder: Path, patterns: Sequence[str]) -> tuple[dict[Path, _FileState], dict[Path, str]]:
    """List all files of a folder and its subfolders; a folder with the name of an image is one image.

    Links to folders are followed last, and each folder only once, so that a link cannot lead in a circle and a file has
    the same path in every scan.

    Returns
    -------
    The files with their states, and everything that cannot be read with the reasons.
    """
    states: dict[Path, _FileState] = {}
    unreadable: dict[Path, str] = {}
    listed: set[tuple[int, int]] = set()
    folders, links = deque([folder]), deque[Path]()
    while folders or links:
        is_link = not folders
        path = links.popleft() if is_link else folders.popleft()
        try:
            entries = _entries(path, listed, is_link=is_link)
        except OSError as error:
            # The folder itself may be missing since it is mounted again; a subfolder is deleted.
            if path == folder or not isinstance(error, FileNotFoundError):
                unreadable[path] = error.strerror or str(error)
            continue
        for entry in entries:
            place = Path(entry.path)
            try:
                if not entry.is_dir():
                    states[place] = _state(entry.stat())
                elif _matches(entry.name, patterns):
                    states[place] = _folder_state(place)
                elif not entry.name.startswith("."):
                    (links if entry.is_symlink() else folders).append(place)
            except FileNotFoundError:
                continue  # deleted since its folder was listed, or a link to nothing
            except OSError as error:
                unreadable[place] = error.strerror or str(error)
    return states, unreadable


def _entries(path: Path, listed: set[tuple[int, int]], *, is_link: bool) -> list[os.DirEntry[str]]:
    """List a folder by name, and add it to the listed ones; a link to one of these gives nothing."""
    inode = _state(path.stat()).inode
    if is_link and inode in listed:
        return []
    listed.add(inode)
    return sorted(os.scandir(path), key=lambda entry: entry.name)


def _state(status: os.stat_result) -> _FileState:
    return _FileState(status.st_size, status.st_mtime_ns, status.st_ctime_ns, (status.st_dev, status.st_ino))


def _folder_state(folder: Path) -> _FileState:
    """Return the state of a folder that is one image: the sum of the sizes in it, and the latest of the times."""
    walk = os.walk(folder, onerror=_raise)
    parts = [_state((Path(root) / name).stat()) for root, _, names in walk for name in (".", *names)]
    return _FileState(
        size=sum(part.size for part in parts),
        mtime_ns=max(part.mtime_ns for part in parts),
        ctime_ns=max(part.ctime_ns for part in parts),
        inode=_state(folder.stat()).inode,
    )


def _raise(error: OSError) -> None:
    raise error
