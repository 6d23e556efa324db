"""Corrections of headers: metadata that are missing or wrong are written into FITS files and LOFAR's CASA tables."""

from __future__ import annotations

import os
import re
import shutil
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from trap.errors import ConfigError, ImageError
from trap.images.formats.checked import open_checked
from trap.images.formats.files import is_folder, reading
from trap.images.formats.fits import find_image
from trap.images.headers.keywords import Keywords
from trap.images.headers.times import from_utc, parse_date
from trap.software import install_command

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trap.config import ReadingConfig

__all__ = ["KEYWORDS", "Change", "check_values", "fix_header"]

KEYWORDS: dict[str, tuple[str, type]] = {
    "taustart_ts": ("DATE-OBS", str),
    "freq_eff": ("RESTFRQ", float),
    "freq_bw": ("RESTBW", float),
    "tau_time": ("TAU_TIME", float),
    "antenna_set": ("ANTENNA", str),
    "subbands": ("SUBBANDS", int),
    "ncore": ("NCORE", int),
    "nremote": ("NREMOTE", int),
    "nintl": ("NINTL", int),
    "subbandwidth": ("SUBBANDW", float),
    "bmaj": ("BMAJ", float),
    "bmin": ("BMIN", float),
    "bpa": ("BPA", float),
    "itrf_position_x": ("ITRFPOSX", float),
    "itrf_position_y": ("ITRFPOSY", float),
    "itrf_position_z": ("ITRFPOSZ", float),
    "telescope": ("TELESCOP", str),
    "unit": ("BUNIT", str),
    "timesys": ("TIMESYS", str),
    **{f"cunit{axis}": (f"CUNIT{axis}", str) for axis in range(1, 5)},
}
"""TraP's names and some more, FITS keywords and types of the values; angles in deg, frequencies in Hz, times in s."""
_KEYWORD = re.compile(r"[A-Z0-9_-]{1,8}")
_OF_THE_FILE = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|GROUPS|TFIELDS|T(FORM|TYPE|DIM|NULL|SCAL|ZERO|HEAP)\d*|THEAP"
    r"|BSCALE|BZERO|BLANK|CHECKSUM|DATASUM|END|COMMENT|HISTORY|CONTINUE|Z(IMAGE|CMPTYPE|BITPIX|NAXIS\d*|TILE\d+|TENSION)"
    r"|Z(SCALE|ZERO|BLANK|QUANTIZ|DITHER0|VAL\d+|NAME\d+|PCOUNT|GCOUNT|SIMPLE|EXTEND)"
)
"""Keywords that describe the bytes of the file, not the observation."""


@dataclass(frozen=True, slots=True)
class Change:
    """A keyword that is corrected; ``before`` is None if the header lacks the keyword, or it has no value."""

    keyword: str
    before: Any
    after: Any


def check_values(values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Convert corrections to FITS keywords and values of the right types.

    Parameters
    ----------
    values
        Values by the names of :data:`KEYWORDS`, or by FITS keywords in capital letters.
    source
        Origin of the values, such as the path of a file, for messages.

    Returns
    -------
    Values by FITS keyword. The start, ``taustart_ts``, is a date in UTC.

    Raises
    ------
    ConfigError
        If a name is unknown, a value has the wrong type, or there are no values.
    """
    cards = dict(_checked_card(name, value, source) for name, value in values.items())
    if not cards:
        msg = f"{source}: no values to write; possible are {', '.join(KEYWORDS)}, and FITS keywords in capital letters"
        raise ConfigError(msg)
    return cards


def _checked_card(name: str, value: Any, source: str) -> tuple[str, Any]:  # noqa: ANN401 (whatever the file holds)
    """Return the keyword of a name, and its value with the right type."""
    is_keyword = name not in KEYWORDS and _KEYWORD.fullmatch(name)
    if is_keyword and _OF_THE_FILE.fullmatch(name):
        msg = f"{source}: cannot write {name}, which describes the file and not the observation"
        raise ConfigError(msg)
    if not (is_keyword or name in KEYWORDS):
        msg = (
            f"{source}: cannot write {name!r}; possible are {', '.join(KEYWORDS)}, and FITS keywords in capital letters"
        )
        raise ConfigError(msg)
    keyword, kind = KEYWORDS.get(name, (name, str if isinstance(value, date) else type(value)))
    try:
        if name == "taustart_ts":
            return keyword, _start(value)
        checked = value.isoformat() if isinstance(value, date) else kind(value)
        # astropy refuses values that FITS cannot express, such as NaN and letters beyond ASCII.
        return keyword, fits.Card(keyword, checked).value
    except (TypeError, ValueError) as error:
        expected = "a date" if name == "taustart_ts" else kind.__name__
        msg = f"{source}: {name} must be {expected}{' in FITS' if is_keyword else ''}, got {value!r}"
        raise ConfigError(msg) from error


def _start(value: Any) -> datetime:  # noqa: ANN401 (whatever the file holds)
    """Return a date in UTC; TOML and TraP's files have dates with and without their T."""
    start = parse_date(value.isoformat() if isinstance(value, date) else str(value))
    return start.astimezone(UTC) if start.tzinfo else start.replace(tzinfo=UTC)


def fix_header(
    path: Path, cards: Mapping[str, Any], *, target: Path | None, replace: bool, settings: ReadingConfig
) -> list[Change]:
    """Write keywords into the header of an image, or of a copy of it.

    Parameters
    ----------
    path
        Path of the image.
    cards
        Keywords and values, from :func:`check_values`.
    target
        Path of the changed image, which may be the image itself; None writes nothing, and returns the changes.
    replace
        Whether the values of existing keywords are replaced; if false, they stay.
    settings
        Settings of reading, which select the HDU of a FITS file.

    Returns
    -------
    The changes, written or not.

    Raises
    ------
    ImageError
        If the file cannot be read, or cannot hold the keywords.
    OSError
        If the target cannot be written.
    """
    if is_folder(path):
        return _fix_casa(path, cards, target=target)
    return _fix_fits(path, cards, target=target, replace=replace, settings=settings)


def _fix_fits(
    path: Path, cards: Mapping[str, Any], *, target: Path | None, replace: bool, settings: ReadingConfig
) -> list[Change]:
    """Write keywords into the header of a FITS file, without touching its pixels."""
    with warnings.catch_warnings():
        # Small violations of the standard come from the image, and are corrected on writing.
        warnings.simplefilter("ignore", AstropyUserWarning)
        with _opened(path) as hdus:
            keywords = Keywords(_header(hdus, str(path), settings), str(path))
            changes = _changes(keywords, cards, replace=replace)
            if target is not None:
                for change in changes:
                    _set(keywords.header, change)
                # Written under another name and renamed, so that the target is never incomplete.
                partial = target.with_name(f".{target.name}.partial{target.suffix}")
                try:
                    hdus.writeto(partial, output_verify="silentfix", overwrite=True)
                # A header may claim more pixels than any memory holds.
                except (fits.VerifyError, ValueError, MemoryError) as error:
                    partial.unlink(missing_ok=True)
                    msg = f"the corrected image cannot be written: {' '.join(str(error).split())}"
                    raise ImageError(msg, str(path)) from error
    if target is not None:
        partial.replace(target)
    return changes


@contextmanager
def _opened(path: Path) -> Iterator[fits.HDUList]:
    """Open a FITS file without reading its pixels, which are copied as they are."""
    with reading(path):
        file = open_checked(path)
    with file:
        with reading(path):
            # A compressed image is not unpacked: compressing it again would change its pixels.
            hdus = fits.open(file, memmap=False, do_not_scale_image_data=True, disable_image_compression=True)
        with hdus:
            yield hdus


def _header(hdus: fits.HDUList, url: str, settings: ReadingConfig) -> fits.Header:
    """Return the header of the image; for a compressed image, the header of the table that holds it."""
    compressed = [hdu for hdu in hdus if hdu.header.get("ZIMAGE") is True]
    selected = [hdu for hdu in compressed if settings.hdu.upper() in ("", str(hdu.name).upper())]
    return selected[0].header if selected else find_image(hdus, url, settings).header


def _changes(keywords: Keywords, cards: Mapping[str, Any], *, replace: bool) -> list[Change]:
    """List the cards that differ from the header; existing ones only if they may be replaced."""
    changes = []
    for keyword, value in cards.items():
        before = keywords.value(keyword)
        if before is None or replace:
            after = _written(value, keywords, cards) if isinstance(value, datetime) else value
            if before != after:
                changes.append(Change(keyword, before, after))
    return changes


def _set(header: fits.Header, change: Change) -> None:
    """Set a keyword in its place, with its comment unless astropy cannot parse the card."""
    try:
        header[change.keyword] = change.after
    except (fits.VerifyError, ValueError):
        place = header.index(change.keyword)
        header.remove(change.keyword)
        header.insert(place, (change.keyword, change.after))


def _written(start: datetime, keywords: Keywords, cards: Mapping[str, Any]) -> str:
    """Return a start as the header has it: with a T, in the time scale of the header."""
    timesys = str(cards.get("TIMESYS") or keywords.text("TIMESYS"))
    try:
        return from_utc(start, timesys).isoformat()
    except (ValueError, OverflowError):
        keywords.reject("TIMESYS", "DATE-OBS cannot be converted to this time scale")


def _fix_casa(path: Path, cards: Mapping[str, Any], *, target: Path | None) -> list[Change]:
    """Set the duration of a LOFAR table, by the end of its first part; other values cannot be set."""
    if set(cards) != {"TAU_TIME"}:
        msg = f"only tau_time can be written into a CASA table, got {', '.join(cards)}"
        raise ImageError(msg, str(path))
    try:
        from casacore.tables import table  # noqa: PLC0415 (optional)
    except ModuleNotFoundError as error:
        msg = f"CASA tables require python-casacore: {install_command('casa')}"
        raise ImageError(msg, str(path)) from error
    if target is not None and target != path:
        shutil.copytree(path, target, dirs_exist_ok=True)
    with reading(path):
        place = (path if target is None else target) / "LOFAR_ORIGIN"
        if not place.exists():
            raise ImageError("the CASA table has no LOFAR_ORIGIN, where tau_time is stored", str(path))
        with table(os.fspath(place), readonly=target is None, ack=False) as origin:
            start, end = float(origin.getcell("START", 0)), float(origin.getcell("END", 0))
            if target is not None:
                origin.putcell("END", 0, start + cards["TAU_TIME"])
    return [Change("TAU_TIME", end - start, cards["TAU_TIME"])]
