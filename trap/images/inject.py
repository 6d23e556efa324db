"""What a header lacks, written into it: TraP's metadata injection, for FITS files and LOFAR's CASA tables."""

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
"""TraP's names, the keywords of FITS, and what they hold; angles in deg, frequencies in Hz, times in s."""


@dataclass(frozen=True, slots=True)
class Change:
    """A keyword that an injection changes; ``before`` is None where the header lacked it."""

    keyword: str
    before: Any
    after: Any


def check_values(values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Turn what is to be injected into keywords and their values.

    Parameters
    ----------
    values
        By TraP's names.
    source
        Where they are from, for messages.

    Raises
    ------
    ConfigError
        If a name is unknown or a value is of the wrong kind.
    """
    cards: dict[str, Any] = {}
    for name, value in values.items():
        if name not in KEYWORDS:
            msg = f"{source}: there is nothing called {name!r} to inject; known are {', '.join(KEYWORDS)}"
            raise ConfigError(msg)
        keyword, kind = KEYWORDS[name]
        try:
            cards[keyword] = kind(value)
        except (TypeError, ValueError) as error:
            msg = f"{source}: {name} must be {kind.__name__}, got {value!r}"
            raise ConfigError(msg) from error
    if not cards:
        msg = f"{source}: nothing to inject"
        raise ConfigError(msg)
    return cards


def inject(
    path: Path, cards: Mapping[str, Any], *, target: Path | None, replace: bool, settings: ReadingConfig
) -> list[Change]:
    """Write keywords into an image, or a copy of it.

    Parameters
    ----------
    path
        The image.
    cards
        Keywords and values.
    target
        Where the changed image goes, which may be the image itself; None only says what would change.
    replace
        Whether keywords that the header has are changed too; else they stay.
    settings
        Which unit of a FITS file is meant.

    Returns
    -------
    What was changed, or would be.

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
    with warnings.catch_warnings():
        # Cards that break the letter of the standard are the image's own, and put right on writing.
        warnings.simplefilter("ignore", AstropyUserWarning)
        with reading(path):
            # A compressed image stays as it is: taking it out and in again would change its pixels.
            hdus = fits.open(path, memmap=False, do_not_scale_image_data=True, disable_image_compression=True)
        with hdus:
            header = _header(hdus, str(path), settings)
            changes = _changes(header, cards, replace=replace)
            if target is not None:
                header.update({change.keyword: change.after for change in changes})
                # Beside the target first, so that at no time there is half a file.
                partial = target.with_name(f".{target.name}.partial{target.suffix}")
                hdus.writeto(partial, output_verify="silentfix", overwrite=True)
    if target is not None:
        partial.replace(target)
    return changes


def _header(hdus: fits.HDUList, url: str, settings: ReadingConfig) -> fits.Header:
    """Header of the image; of a compressed one that of the table that it is in."""
    compressed = [hdu for hdu in hdus if hdu.header.get("ZIMAGE") is True]
    named = [hdu for hdu in compressed if settings.hdu.upper() in ("", str(hdu.name).upper())]
    return named[0].header if named else find_image(hdus, url, settings).header


def _changes(header: fits.Header, cards: Mapping[str, Any], *, replace: bool) -> list[Change]:
    changes = (Change(keyword, header.get(keyword), value) for keyword, value in cards.items())
    return [change for change in changes if change.before is None or (replace and change.before != change.after)]


def _inject_casa(path: Path, cards: Mapping[str, Any], *, target: Path | None) -> list[Change]:
    """Set the duration of a LOFAR table, which is all that can be: the end of its first part."""
    if set(cards) != {"TAU_TIME"}:
        msg = f"of a CASA table only tau_time can be injected, got {', '.join(cards)}"
        raise ImageError(msg, str(path))
    try:
        from casacore.tables import table  # noqa: PLC0415 (optional)
    except ModuleNotFoundError as error:
        msg = "python-casacore is not installed: pip install 'trap-transients[casa]'"
        raise ImageError(msg, str(path)) from error
    if target is not None and target != path:
        shutil.copytree(path, target, dirs_exist_ok=True)
    with reading(path):
        place = (path if target is None else target) / "LOFAR_ORIGIN"
        if not place.exists():
            raise ImageError("the CASA table has no LOFAR_ORIGIN, which tau_time is kept in", str(path))
        with table(os.fspath(place), readonly=target is None, ack=False) as origin:
            start, end = float(origin.getcell("START", 0)), float(origin.getcell("END", 0))
            if target is not None:
                origin.putcell("END", 0, start + cards["TAU_TIME"])
    return [Change("TAU_TIME", end - start, cards["TAU_TIME"])]
