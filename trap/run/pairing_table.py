"""Tables of source lists: the list of each image, maps of its noise, and the metadata of lists without an image."""

from __future__ import annotations

import difflib
import glob
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from trap.config import Given
from trap.errors import ConfigError
from trap.images.patterns import path_of, path_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from astropy.table import Table

__all__ = ["Circle", "ListedImage", "impossible_values", "is_table", "read_pairs"]

FORMATS = {".csv": "ascii.csv", ".ecsv": "ascii.ecsv", ".vot": "votable", ".votable": "votable", ".xml": "votable"}
"""Formats of tables by the ending of their names."""
PATHS = ("image", "catalogue", "noise", "background")
VALUES = ("taustart_ts", "tau_time", "freq_eff", "freq_bw", "bmaj", "bmin", "bpa", "stokes", "telescope")
"""Columns with the names of the settings in ``[[reading.given]]``."""
NUMBERS = ("ra", "dec", "radius", "rms")
TEXTS = ("taustart_ts", "stokes", "telescope")
MAX_RADIUS = 90.0
MIN_FREQUENCY, MAX_FREQUENCY = 1e6, 1e13
"""Hz — limits of radio frequencies: a number beyond them has another unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circle:
    """The field of a source list, as far as a table has it: NaN is unknown.

    Parameters
    ----------
    ra, dec
        deg — its middle, ICRS.
    radius
        deg — its radius.
    """

    ra: float = math.nan
    dec: float = math.nan
    radius: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedImage:
    """An image whose sources another finder has listed, or a list without an image.

    Parameters
    ----------
    catalogue
        Path of the list.
    noise, background
        Paths of maps of the noise and of the level of the empty sky; empty measures them in the image.
    has_image
        Whether there is an image.
    given
        Metadata of a list without an image.
    circle
        Field of a list without an image.
    rms
        Jy/beam — noise of a list without an image; NaN takes the noise of its rows.
    problem
        Reason for which the image cannot be used; empty without one.
    """

    catalogue: str = ""
    noise: str = ""
    background: str = ""
    has_image: bool = True
    given: Given = field(default_factory=Given)
    circle: Circle = field(default_factory=Circle)
    rms: float = math.nan
    problem: str = ""

    @property
    def paths(self) -> tuple[str, ...]:
        """Paths of all files besides the image."""
        return tuple(path for path in (self.catalogue, self.noise, self.background) if path)


def is_table(pattern: str) -> bool:
    """Return whether ``reading.catalogues`` names a table of lists, by the ending of its name.

    A path with placeholders or wildcards is a pattern.

    Parameters
    ----------
    pattern
        Value of the setting.
    """
    return Path(pattern).suffix.lower() in FORMATS and "{" not in pattern and not glob.has_magic(pattern)


def read_pairs(path: str, images: Sequence[str] | None) -> dict[str, ListedImage]:
    """Read a table of source lists. Paths in it are relative to its folder.

    Parameters
    ----------
    path
        Path of a table: CSV, ECSV or VOTable.
    images
        Paths of the images of the run, and of lists without an image; None takes all rows of the table.

    Returns
    -------
    The list of each image by path; a list without an image has the path of the list.

    Raises
    ------
    ConfigError
        If the table cannot be read, or has a wrong column, row or value; the message names it.
    """
    table = _read(path)
    names = _columns(table, path)
    folder = path_of(path).absolute().parent
    lists: dict[str, ListedImage] = {}
    for number, row in enumerate(table, start=1):
        values = {name: _cell(row[column], name) for name, column in names.items()}
        place = f"{path}, row {number}"
        url, one = _listed(values, folder, place)
        if url in lists:
            msg = f"{place}: {url} is in an earlier row too; an image has one row"
            raise ConfigError(msg)
        lists[url] = one
    if images is None:
        return lists
    missing = ListedImage(problem=f"it has no source list: no row of {path} has it (reading.catalogues)")
    return {url: lists.get(url, missing) for url in images}


def _read(path: str) -> Table:
    """Read a table in the format that the ending of its name has."""
    from astropy.table import Table  # noqa: PLC0415 (slow to import; runs without a table do not need it)

    file = path_of(path)
    try:
        table = Table.read(file, format=FORMATS[file.suffix.lower()])
    except Exception as error:
        # Readers of tables raise errors of many kinds.
        msg = f"reading.catalogues = {path!r}: cannot read the table: {' '.join(str(error).split())}"
        raise ConfigError(msg) from error
    if not len(table):
        msg = f"reading.catalogues = {path!r}: the table has no rows"
        raise ConfigError(msg)
    return table


def _columns(table: Table, path: str) -> dict[str, str]:
    """Return the known columns of a table by their names in lower case; others are left alone."""
    known = (*PATHS, *VALUES, *NUMBERS)
    names = {str(name).strip().lower(): str(name) for name in table.colnames}
    if "catalogue" not in names:
        msg = (
            f"{path}: a table of source lists needs a column catalogue; it has {', '.join(names.values())}. If this is "
            "the list of an image, name it by a pattern, such as {stem}*.csv (reading.catalogues)"
        )
        raise ConfigError(msg)
    for name, column in names.items():
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
        if name not in known and near and near[0] not in names:
            msg = f"{path}: unknown column {column}; did you mean {near[0]}?"
            raise ConfigError(msg)
    return {name: column for name, column in names.items() if name in known}


def _cell(value: object, name: str) -> str:
    """Return the value of a cell as text; empty if it is missing. Metadata that are not a number are none."""
    text = str(value).strip()
    is_metadata = name in VALUES and name not in TEXTS
    return "" if text in {"--", "masked"} or (text == "nan" and not is_metadata) else text


def _listed(values: dict[str, str], folder: Path, place: str) -> tuple[str, ListedImage]:
    """Read a row: the path of its image or of its list, and the list."""
    files = {name: _path(values.get(name, ""), folder) for name in PATHS}
    given = {
        name: values[name] for name in VALUES if values.get(name) and not (files["image"] and values[name] == "nan")
    }
    numbers = {name: _number(values[name], name, place) for name in NUMBERS if values.get(name)}
    if files["image"]:
        if given or numbers:
            name = next(iter((*given, *numbers)))
            msg = (
                f"{place}: {name} has a value, but the image {files['image']} has its own; set it by [[reading.given]]"
            )
            raise ConfigError(msg)
        problem = "" if files["catalogue"] else f"it has no source list ({place}: catalogue is empty)"
        if files["background"] and not files["noise"]:
            msg = f"{place}: a map of the background needs a map of the noise"
            raise ConfigError(msg)
        return files["image"], ListedImage(
            catalogue=files["catalogue"], noise=files["noise"], background=files["background"], problem=problem
        )
    if not files["catalogue"]:
        msg = f"{place}: has neither an image nor a catalogue"
        raise ConfigError(msg)
    if files["noise"] or files["background"]:
        msg = f"{place}: maps of the noise or the background need an image, whose pixels they share"
        raise ConfigError(msg)
    metadata = _given(given, place)
    if problem := impossible_values(metadata.model_dump(exclude_none=True), numbers.get("radius", math.nan)):
        msg = f"{place}: {problem}"
        raise ConfigError(msg)
    return files["catalogue"], ListedImage(
        catalogue=files["catalogue"],
        has_image=False,
        given=metadata,
        circle=Circle(**{name: numbers[name] for name in ("ra", "dec", "radius") if name in numbers}),
        rms=numbers.get("rms", math.nan),
    )


def _path(text: str, folder: Path) -> str:
    return path_text(folder / path_of(text)) if text else ""


def _given(values: dict[str, Any], place: str) -> Given:
    """Return the metadata of a row."""
    converted: dict[str, Any] = {
        name: value if name in TEXTS else _number(value, name, place) for name, value in values.items()
    }
    try:
        return Given(**converted)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        # The two widths of the beam are compared with each other, and the message names both.
        msg = f"{place}: {name} {values[name]!r}: {first['msg']}" if name else f"{place}: {first['ctx']['error']}"
        raise ConfigError(msg) from error


def impossible_values(values: Mapping[str, Any], radius: float) -> str:
    """Return the problem of metadata that no observation has; empty without one.

    Parameters
    ----------
    values
        Metadata with the names of the settings in ``[[reading.given]]``.
    radius
        deg — radius of the field; NaN or zero is unknown.
    """
    frequency, bandwidth, bmaj = (values.get(name) for name in ("freq_eff", "freq_bw", "bmaj"))
    for name, value in (("freq_eff", frequency), ("freq_bw", bandwidth)):
        if value and (value > MAX_FREQUENCY or (name == "freq_eff" and value < MIN_FREQUENCY)):
            allowed = f"{MIN_FREQUENCY:g} to {MAX_FREQUENCY:g} Hz" if name == "freq_eff" else f"{MAX_FREQUENCY:g} Hz"
            with_it = f" with freq_bw {bandwidth:g} Hz" if name == "freq_eff" and bandwidth else ""
            return f"{name} {value:g} Hz{with_it} is beyond the limit of {allowed}; its unit is Hz"
    if frequency and bandwidth and bandwidth > 2 * frequency:
        return f"freq_bw {bandwidth:g} Hz is more than twice freq_eff {frequency:g} Hz; both have the unit Hz"
    if bmaj and radius > 0 and bmaj > 2 * radius:
        return f"bmaj {bmaj:g} deg is more than {2 * radius:g} deg, the width of the field; its unit is deg"
    return ""


LIMITS: dict[str, tuple[Callable[[float], bool], str]] = {
    "ra": (lambda ra: 0 <= ra <= 360, "0 to 360 deg"),
    "dec": (lambda dec: -90 <= dec <= 90, "-90 to 90 deg"),
    "radius": (lambda radius: 0 < radius <= MAX_RADIUS, f"above 0 and at most {MAX_RADIUS:g} deg"),
    "rms": (lambda rms: rms > 0, "above 0 Jy/beam"),
}
"""Possible values of the columns with numbers, and their description."""


def _number(text: str, name: str, place: str) -> float:
    """Return a number of a row."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    is_possible, allowed = LIMITS.get(name, (math.isfinite, "a number"))
    if not (math.isfinite(value) and is_possible(value)):
        msg = f"{place}: {name} is {text!r}, allowed is {allowed}"
        raise ConfigError(msg)
    return value
