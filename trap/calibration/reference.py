"""The sources that images are calibrated against: entries of the running catalogue, or rows of a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import structlog

from trap import angles
from trap.calibration.reference_columns import ReadColumns, read_columns
from trap.calibration.reference_files import DAMAGE, open_table
from trap.config.calibration import column_choices
from trap.errors import ConfigError
from trap.tables import ColumnTable, column

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from trap.config import CalibrationConfig
    from trap.typing import Array

__all__ = ["Reference", "ReferenceCatalogue", "References", "at_frequency", "load_reference", "load_references"]

POSITIONS = ("ra", "dec", "ra_err", "dec_err")
FLUXES = ("ra", "dec", "flux", "flux_err", "spectral_index")
DEFAULT_INDEX = -0.8
"""Spectral index of most radio sources."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reference(ColumnTable):
    """Sources with the positions and flux densities that images are compared with."""

    ra: NDArray[np.float64] = column("f8", "deg", "Right ascension, ICRS.")
    dec: NDArray[np.float64] = column("f8", "deg", "Declination, ICRS.")
    ew_err: NDArray[np.float64] = column(
        "f8", "deg", "1σ error of the position along right ascension, a true angle; 0 if unknown.", default=0.0
    )
    ns_err: NDArray[np.float64] = column(
        "f8", "deg", "1σ error of the position along declination; 0 if unknown.", default=0.0
    )
    f_int: NDArray[np.float64] = column("f8", "Jy", "Integrated flux density; NaN if unknown.", default=np.nan)
    f_int_err: NDArray[np.float64] = column(
        "f8", "Jy", "1σ error of the flux density; 0 if only the error is unknown, NaN if both are.", default=np.nan
    )
    row: NDArray[np.int64] = column(
        "i8", "", "Row of the running catalogue or of the file; -1 if there is none.", default=-1
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReferenceCatalogue:
    """A reference catalogue in memory, sorted by declination so that a field is cut out fast.

    Parameters
    ----------
    name
        Name of its file.
    sources
        (n,) — its sources, in order of declination.
    frequency
        Hz — frequency of the flux densities; 0 for the frequency of each image.
    spectral_index
        (n,) — spectral index α of the sources, with flux densities ∝ ν^α.
    n_left_out
        Number of rows without a position, or without a flux density where it is needed.
    columns
        Names of the columns that were read, by role.
    assumed
        Units that the file does not state.
    """

    name: str
    sources: Reference
    frequency: float
    spectral_index: Array
    n_left_out: int = 0
    columns: Mapping[str, str] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()

    def near(self, centre: tuple[float, float], radius: float, *, frequency: float = 0.0) -> Reference:
        """Return the sources of a field.

        Parameters
        ----------
        centre
            deg — right ascension and declination.
        radius
            deg
        frequency
            Hz — frequency that flux densities are converted to; 0 leaves them as they are.

        Returns
        -------
        Sources within the radius, in order of declination.
        """
        low, high = np.searchsorted(self.sources.dec, [centre[1] - radius, centre[1] + radius])
        strip = slice(int(low), int(high) + 1)
        width = angles.ra_inflation(radius, centre[1])
        rows = int(low) + np.flatnonzero(np.abs(angles.delta_ra(self.sources.ra[strip], centre[0])) <= width)
        rows = rows[angles.separation(self.sources.ra[rows], self.sources.dec[rows], *centre) <= radius]
        return at_frequency(self.sources.take(rows), self.spectral_index[rows], self.frequency, frequency)


def at_frequency(sources: Reference, spectral_index: Array, catalogued: float, frequency: float) -> Reference:
    """Convert flux densities to another frequency.

    Parameters
    ----------
    sources
        (n,)
    spectral_index
        (n,) — α, with flux densities ∝ ν^α.
    catalogued, frequency
        Hz — frequencies of the flux densities as they are, and as they are wanted; 0 for either converts nothing.
    """
    if not (catalogued and frequency):
        return sources
    factor = (frequency / catalogued) ** spectral_index
    return sources.with_columns(f_int=sources.f_int * factor, f_int_err=sources.f_int_err * factor)


class References(NamedTuple):
    """Reference catalogues of a run; None where the running catalogue is the reference."""

    positions: ReferenceCatalogue | None
    fluxes: ReferenceCatalogue | None


def load_references(settings: CalibrationConfig) -> References:
    """Load the catalogues that the settings name, once for each state of their files.

    Parameters
    ----------
    settings
        Files, columns, frequency and spectral index.

    Raises
    ------
    ConfigError
        If a file cannot be read or lacks a column; the message names the file and the setting.
    """
    positions = fluxes = None
    if settings.position_catalogue and settings.positions != "off":
        setting = "calibration.position_catalogue", settings.position_catalogue
        positions = _load(setting, settings.position_columns, 0.0, 0.0, _state_of(*setting))
    if settings.flux_catalogue and settings.flux_scale != "off":
        setting = "calibration.flux_catalogue", settings.flux_catalogue
        scale = settings.flux_frequency, settings.flux_spectral_index
        fluxes = _load(setting, settings.flux_columns, *scale, _state_of(*setting))
    return References(positions, fluxes)


def load_reference(
    path: str | Path,
    *,
    columns: tuple[str, ...] = (),
    has_flux: bool = True,
    frequency: float = 0.0,
    spectral_index: float = DEFAULT_INDEX,
    setting: str = "columns",
) -> ReferenceCatalogue:
    """Load a reference catalogue from a file.

    Rows without a position are left out, and so are rows without a positive flux density if it is needed.

    Parameters
    ----------
    path
        VOTable, FITS, CSV, ECSV or Parquet file.
    columns
        Columns with uncommon names or without units, such as ``"flux=S_tot [mJy]"``.
    has_flux
        Whether flux densities are needed; otherwise only positions and their errors are read.
    frequency
        Hz — frequency of the flux densities; 0 for the frequency of each image.
    spectral_index
        Spectral index of sources without one of their own.
    setting
        Name of the setting that names columns, for messages.

    Raises
    ------
    ConfigError
        If the file cannot be read, lacks a column or has no good row.
    """
    try:
        roles = FLUXES if has_flux else POSITIONS
        read = read_columns(open_table(Path(path)), column_choices(columns), roles, setting=setting)
    except ConfigError as error:
        msg = f"{path}: {error}"
        raise ConfigError(msg) from None
    except OSError as error:
        msg = f"{path}: {' '.join((error.strerror or str(error)).split())}"
        raise ConfigError(msg) from error
    except DAMAGE as error:
        msg = f"{path}: cannot read the catalogue: {' '.join(str(error).split()) or type(error).__name__}"
        raise ConfigError(msg) from error
    return _catalogue(Path(path), read, frequency, spectral_index)


def _catalogue(path: Path, read: ReadColumns, frequency: float, spectral_index: float) -> ReferenceCatalogue:
    """Make a catalogue of columns, without bad rows."""
    values = read.values
    nothing = np.full(len(values["ra"]), np.nan)
    flux = values.get("flux", nothing)
    with np.errstate(invalid="ignore"):
        good = (values["ra"] >= -360) & (values["ra"] <= 360) & (np.abs(values["dec"]) <= 90)
        if "flux" in values:
            good &= (flux > 0) & np.isfinite(flux)
    rows = np.flatnonzero(good)
    if not rows.size:
        what = "a position and a positive flux density" if "flux" in values else "a position"
        msg = f"{path}: none of its {len(good)} rows has {what} (columns {', '.join(read.names.values())})"
        raise ConfigError(msg)
    rows = rows[np.argsort(values["dec"][rows], kind="stable")]
    ra_err = _known(values.get("ra_err", values.get("dec_err", nothing)))
    dec_err = _known(values.get("dec_err", values.get("ra_err", nothing)))
    index = values.get("spectral_index", nothing)
    sources = Reference(
        ra=values["ra"][rows] % 360,
        dec=values["dec"][rows],
        ew_err=ra_err[rows],
        ns_err=dec_err[rows],
        f_int=flux[rows],
        f_int_err=np.where(np.isfinite(flux), _known(values.get("flux_err", nothing)), np.nan)[rows],
        row=rows,
    )
    return ReferenceCatalogue(
        name=path.name,
        sources=sources,
        frequency=frequency,
        spectral_index=np.where(np.isfinite(index), index, spectral_index)[rows],
        n_left_out=len(good) - len(rows),
        columns=read.names,
        assumed=read.assumed,
    )


def _known(errors: Array) -> Array:
    """Return errors, 0 where they are unknown."""
    with np.errstate(invalid="ignore"):
        return np.where((errors > 0) & np.isfinite(errors), errors, 0.0)


def _state_of(setting: str, path: str) -> tuple[int, int]:
    """Return size and time of a file, so that a new version of it is loaded."""
    try:
        found = Path(path).stat()
    except OSError as error:
        msg = f"{setting}: {path}: {error.strerror}"
        raise ConfigError(msg) from error
    return found.st_size, found.st_mtime_ns


@lru_cache(maxsize=4)
def _load(
    setting: tuple[str, str],
    columns: tuple[str, ...],
    frequency: float,
    spectral_index: float,
    _state: tuple[int, int],
) -> ReferenceCatalogue:
    """Load a catalogue and log its contents once."""
    name, path = setting
    has_flux = name.endswith("flux_catalogue")
    try:
        catalogue = load_reference(
            path,
            columns=columns,
            has_flux=has_flux,
            frequency=frequency,
            spectral_index=spectral_index,
            setting=name.replace("catalogue", "columns"),
        )
    except ConfigError as error:
        msg = f"{name}: {error}"
        raise ConfigError(msg) from error.__cause__
    log.info(
        "reference_loaded",
        file=path,
        sources=len(catalogue.sources),
        left_out=catalogue.n_left_out,
        columns=dict(catalogue.columns),
        assumed=list(catalogue.assumed),
    )
    return catalogue
