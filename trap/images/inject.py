"""Injection of missing metadata into headers, as TraP does it, for FITS files and LOFAR's CASA tables."""

from __future__ import annotations

import os
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from trap.errors import ConfigError, ImageError
from trap.images.formats.files import is_folder, reading
from trap.images.formats.fits import find_image

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trap.config import ReadingConfig

__all__ = ["KEYWORDS", "Change", "check_values", "inject"]

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
}
"""TraP's names, FITS keywords and types of the values; angles in deg, frequencies in Hz, times in s."""


@dataclass(frozen=True, slots=True)
class Change:
    """A keyword that an injection changes; ``before`` is None if the header lacks the keyword."""

    keyword: str
    before: Any
    after: Any


def check_values(values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Convert values to inject to FITS keywords and values of the right types.

    Parameters
    ----------
    values
        Values by TraP's names, see :data:`KEYWORDS`.
    source
        Origin of the values, such as the path of a file, for messages.

    Raises
    ------
    ConfigError
        If a name is unknown, a value has the wrong type, or there are no values.
    """
    cards: dict[str, Any] = {}
    for name, value in values.items():
        if name not in KEYWORDS:
            msg = f"{source}: cannot inject {name!r}; possible are {', '.join(KEYWORDS)}"
            raise ConfigError(msg)
        keyword, kind = KEYWORDS[name]
        try:
            cards[keyword] = kind(value)
        except (TypeError, ValueError) as error:
            msg = f"{source}: {name} must be {kind.__name__}, got {value!r}"
            raise ConfigError(msg) from error
    if not cards:
        msg = f"{source}: no values to inject; possible are {', '.join(KEYWORDS)}"
        raise ConfigError(msg)
    return cards


def inject(
    path: Path, cards: Mapping[str, Any], *, target: Path | None, replace: bool, settings: ReadingConfig
) -> list[Change]:
    """Write keywords into an image, or into a copy of it.

    Parameters
    ----------
    path
        Path of the image.
    cards
        Keywords and values.
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
        return _inject_casa(path, cards, target=target)
    return _inject_fits(path, cards, target=target, replace=replace, settings=settings)


def _inject_fits(
    path: Path, cards: Mapping[str, Any], *, target: Path | None, replace: bool, settings: ReadingConfig
) -> list[Change]:
    """Write keywords into the header of a FITS file, without touching its pixels."""
    with warnings.catch_warnings():
        # Small violations of the standard come from the image, and are corrected on writing.
        warnings.simplefilter("ignore", AstropyUserWarning)
        with reading(path):
            # A compressed image is not unpacked: compressing it again would change its pixels.
            hdus = fits.open(path, memmap=False, do_not_scale_image_data=True, disable_image_compression=True)
        with hdus:
            header = _header(hdus, str(path), settings)
            changes = _changes(header, cards, replace=replace)
            if target is not None:
                header.update({change.keyword: change.after for change in changes})
                # Written under another name and renamed, so that the target is never incomplete.
                partial = target.with_name(f".{target.name}.partial{target.suffix}")
                hdus.writeto(partial, output_verify="silentfix", overwrite=True)
    if target is not None:
        partial.replace(target)
    return changes


def _header(hdus: fits.HDUList, url: str, settings: ReadingConfig) -> fits.Header:
    """Return the header of the image; for a compressed image, the header of the table that holds it."""
    compressed = [hdu for hdu in hdus if hdu.header.get("ZIMAGE") is True]
    selected = [hdu for hdu in compressed if settings.hdu.upper() in ("", str(hdu.name).upper())]
    return selected[0].header if selected else find_image(hdus, url, settings).header


def _changes(header: fits.Header, cards: Mapping[str, Any], *, replace: bool) -> list[Change]:
    """List the cards that differ from the header; existing ones only if they may be replaced."""
    changes = (Change(keyword, header.get(keyword), value) for keyword, value in cards.items())
    return [change for change in changes if change.before is None or (replace and change.before != change.after)]


def _inject_casa(path: Path, cards: Mapping[str, Any], *, target: Path | None) -> list[Change]:
    """Set the duration of a LOFAR table, by the end of its first part; other values cannot be set."""
    if set(cards) != {"TAU_TIME"}:
        msg = f"only tau_time can be injected into a CASA table, got {', '.join(cards)}"
        raise ImageError(msg, str(path))
    try:
        from casacore.tables import table  # noqa: PLC0415 (optional)
    except ModuleNotFoundError as error:
        msg = "CASA tables require python-casacore: pip install '.[casa]'"
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
