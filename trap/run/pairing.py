"""The pairing of images with the source lists of other finders: by a pattern, by their names, or by a table.

A problem of one image, such as a missing list, costs this image and not the run.
"""

from __future__ import annotations

import glob
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING

from trap.errors import ConfigError
from trap.images.patterns import expand_patterns, path_of, path_text
from trap.run.pairing_table import ListedImage, is_table, read_pairs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from trap.config import PipelineConfig

__all__ = ["Pairing", "check_pattern", "image_stem", "lists_of", "pair_images"]

SUFFIXES = (".gz", ".fz", ".fits", ".fit", ".h5", ".image", ".img")
"""Endings of the names of images that the names of their lists do not have."""
PLACEHOLDERS = ("folder", "name", "stem")
MAX_NAMED = 3
"""Largest number of files that a message names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """The images of a run, each with the list of its sources.

    Parameters
    ----------
    urls
        Paths of all images, and of the lists without an image.
    lists
        The list of each image by path; empty if the pipeline searches the images itself.
    """

    urls: tuple[str, ...] = ()
    lists: Mapping[str, ListedImage] = field(default_factory=dict)

    def of(self, urls: Iterable[str]) -> dict[str, ListedImage]:
        """Return the lists of some images by path; empty without lists."""
        return {url: self.lists[url] for url in urls if url in self.lists}


def pair_images(config: PipelineConfig, images: Sequence[str] | None = None) -> Pairing:
    """Pair the images of a run with the source lists that the settings name.

    Parameters
    ----------
    config
        All settings; without ``reading.catalogues`` no image has a list.
    images
        Paths of the images; None takes the images of the settings. If there are none, a table of lists names them.

    Returns
    -------
    All images. An image that has no list, or not a list of its own, has the problem instead.

    Raises
    ------
    ConfigError
        If there are no images, the pattern or the table is wrong, or no image at all has a list.
    """
    pattern = config.reading.catalogues
    if images is None and (config.execution.images or not is_table(pattern)):
        images = expand_patterns(config.execution.images)
    if not pattern:
        return Pairing(urls=tuple(images or ()))
    if is_table(pattern):
        lists = read_pairs(pattern, images)
    else:
        check_pattern(pattern)
        paths = list(images or ())
        lists = _by_pattern(pattern, paths) if "{" in pattern else _by_name(pattern, paths)
    lists = _refuse_shared(lists)
    if lists and all(one.problem for one in lists.values()):
        url, first = next(iter(lists.items()))
        msg = f"reading.catalogues = {pattern!r}: no image has a source list; {url}: {first.problem}"
        raise ConfigError(msg)
    return Pairing(urls=tuple(lists), lists=lists)


def lists_of(urls: Sequence[str], config: PipelineConfig) -> dict[str, ListedImage]:
    """Pair images of a live run with their lists, each by itself.

    Parameters
    ----------
    urls
        Paths of the images.
    config
        All settings; ``reading.catalogues`` is empty, or a pattern with placeholders.

    Returns
    -------
    The list of each image by path; empty without lists.
    """
    return _by_pattern(config.reading.catalogues, urls) if config.reading.catalogues else {}


def check_pattern(pattern: str) -> None:
    """Check the placeholders of a pattern of source lists.

    Parameters
    ----------
    pattern
        Value of ``reading.catalogues``.

    Raises
    ------
    ConfigError
        If a placeholder is unknown, or a brace is not closed.
    """
    known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    try:
        fields = [part for _, *part in Formatter().parse(pattern)]
    except ValueError as error:
        msg = f"reading.catalogues = {pattern!r}: {error}; the placeholders are {known}"
        raise ConfigError(msg) from error
    for name, form, conversion in fields:
        if name is not None and (name not in PLACEHOLDERS or form or conversion):
            msg = f"reading.catalogues = {pattern!r}: there is no placeholder {{{name}}}; the placeholders are {known}"
            raise ConfigError(msg)


def image_stem(name: str) -> str:
    """Return the name of an image without its endings, such as ``.fits.gz``.

    Parameters
    ----------
    name
        Name of the file or folder.
    """
    while name.lower().endswith(SUFFIXES):
        name = name[: name.rindex(".")]
    return name


def _by_pattern(pattern: str, images: Sequence[str]) -> dict[str, ListedImage]:
    """Find the list of each image by a pattern with placeholders."""
    lists = {}
    for url in images:
        path = path_of(url).absolute()
        values = {"folder": str(path.parent), "name": path.name, "stem": image_stem(path.name)}
        filled = pattern.format(**{name: glob.escape(value) for name, value in values.items()})
        folder = str(path.parent)
        files = _files(folder, filled)
        lists[url] = _only(files, filled, () if files else _other_paths(folder, filled))
    return lists


def _by_name(pattern: str, images: Sequence[str]) -> dict[str, ListedImage]:
    """Find the list of each image among the files of a pattern: its name has the stem of the image in it.

    If a name has the stems of several images in it, the longest one counts.
    """
    found: defaultdict[str, list[str]] = defaultdict(list)
    by_folder: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for url in images:
        path = path_of(url).absolute()
        folder = "" if Path(pattern).is_absolute() else str(path.parent)
        by_folder[folder].append((url, image_stem(path.name)))
    for folder, members in by_folder.items():
        for name in _files(folder, pattern):
            held = [(len(stem), url) for url, stem in members if _has_stem(Path(name).name, stem)]
            longest = max((length for length, _ in held), default=0)
            for length, url in held:
                if length == longest:
                    found[url].append(name)
    return {url: _only(found[url], pattern) for url in images}


@cache
def _stem_pattern(stem: str) -> re.Pattern[str]:
    # A stem that goes on with a letter or digit is another one: epoch1 is not in epoch10.
    return re.compile(rf"(?<![A-Za-z0-9]){re.escape(stem)}(?![A-Za-z0-9])")


def _has_stem(name: str, stem: str) -> bool:
    return stem in name and _stem_pattern(stem).search(name) is not None


def _files(folder: str, pattern: str) -> list[str]:
    """List the files of a pattern, relative to a folder unless it is absolute."""
    if "\0" in pattern:
        return []  # no file has such a name
    whole = pattern if Path(pattern).is_absolute() else f"{glob.escape(folder)}/{pattern}"
    return sorted(name for name in glob.glob(whole, recursive=True) if Path(name).is_file())  # noqa: PTH207


def _other_paths(folder: str, pattern: str) -> list[str]:
    """Describe the paths of a pattern that are no files: folders, pipes and links to nothing."""
    whole = pattern if Path(pattern).is_absolute() else f"{glob.escape(folder)}/{pattern}"
    names = [] if "\0" in pattern else sorted(glob.glob(whole, recursive=True))  # noqa: PTH207
    kinds = []
    for name in names:
        path = Path(name)
        kind = "a folder" if path.is_dir() else "neither a file nor a folder, such as a pipe"
        kinds.append(f"{path_text(name)} is {kind if path.exists() else 'a symbolic link to a missing file'}")
    return kinds


def _only(files: Sequence[str], pattern: str, others: Sequence[str] = ()) -> ListedImage:
    """Return the single list of an image, or the problem of none or several, with the paths that are no files."""
    if len(files) == 1:
        return ListedImage(catalogue=path_text(files[0]))
    if not files:
        found = f"no file for it: {'; '.join(others[:MAX_NAMED])}" if others else "none for it"
        return ListedImage(problem=f"it has no source list (reading.catalogues: {pattern!r} matches {found})")
    names = ", ".join(map(path_text, files[:MAX_NAMED]))
    more = f" and {len(files) - MAX_NAMED} more" if len(files) > MAX_NAMED else ""
    return ListedImage(
        problem=f"it has {len(files)} source lists (reading.catalogues: {pattern!r}), but one is needed: {names}{more}"
    )


def _refuse_shared(lists: Mapping[str, ListedImage]) -> dict[str, ListedImage]:
    """Replace a list of several images by the problem: a list belongs to one image."""
    counts = Counter(one.catalogue for one in lists.values() if one.catalogue)
    users: defaultdict[str, list[str]] = defaultdict(list)
    for url, one in lists.items():
        if counts[one.catalogue] > 1:
            users[one.catalogue].append(url)
    refused: dict[str, ListedImage] = {}
    for catalogue, urls in users.items():
        names = ", ".join(urls[:MAX_NAMED])
        problem = f"the source list {catalogue} is paired with {len(urls)} images, but a list has one: {names}"
        refused |= {url: replace(lists[url], problem=problem) for url in urls}
    return {**lists, **refused}
