"""Settings of the calibration of images against the running catalogue or a reference catalogue."""

import re
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field

from trap.config.sections import NotNegative, Positive, Settings

__all__ = ["CalibrationConfig", "CalibrationMode", "ColumnChoice", "column_choices"]

CalibrationMode = Literal["off", "measure", "apply"]
POSITION_ROLES = ("ra", "dec", "ra_err", "dec_err")
FLUX_ROLES = ("ra", "dec", "flux", "flux_err", "spectral_index")
CHOICE = re.compile(r"\s*(\w+)\s*=\s*(.+?)\s*(?:\[([^\[\]]*)\])?\s*")
"""A role, the name of a column, and perhaps its unit in brackets."""
MIN_MATCHES = 3
"""Least number of calibrators with a scatter: two agree with any shift of their own."""


class ColumnChoice(NamedTuple):
    """A column of a reference catalogue that the settings name, and its unit; empty for the unit of the file."""

    name: str
    unit: str


def column_choices(columns: tuple[str, ...]) -> dict[str, ColumnChoice]:
    """Return the columns that a setting names by their roles.

    Parameters
    ----------
    columns
        Texts such as ``flux=Total_flux [mJy]``.

    Raises
    ------
    ValueError
        If a text has another form, or two have the same role.
    """
    choices: dict[str, ColumnChoice] = {}
    for text in columns:
        found = CHOICE.fullmatch(text)
        if found is None:
            msg = f"{text!r} is not of the form ROLE=COLUMN or ROLE=COLUMN [UNIT]"
            raise ValueError(msg)
        if found[1] in choices:
            msg = f"{found[1]} is given twice"
            raise ValueError(msg)
        choices[found[1]] = ColumnChoice(found[2], (found[3] or "").strip())
    return choices


def _checked_columns(columns: tuple[str, ...], roles: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns of a catalogue; refuse roles that it does not have."""
    for role in column_choices(columns):
        if role not in roles:
            msg = f"no column has the role {role!r}; choose from {', '.join(roles)}"
            raise ValueError(msg)
    return columns


def _position_columns(columns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns of a catalogue of positions, checked."""
    return _checked_columns(columns, POSITION_ROLES)


def _flux_columns(columns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns of a catalogue of flux densities, checked."""
    return _checked_columns(columns, FLUX_ROLES)


class CalibrationConfig(Settings):
    """How the positions and the flux scale of each image are calibrated on its sources."""

    positions: CalibrationMode = "apply"
    """Correction of positions: `"apply"` corrects the sources of images with a significant displacement, `"measure"`
    stores the displacement and corrects nothing, `"off"` measures nothing. Pixels are never changed."""
    flux_scale: CalibrationMode = "apply"
    """Correction of flux densities by the gain of an image: `"apply"`, `"measure"` or `"off"`, as for positions."""
    flux_offset: bool = False
    """Whether an offset of the flux densities is fitted as well as the gain. An offset seldom has a physical cause, and
    faint sources decide it."""
    position_model: Literal["shift", "affine", "field"] = "field"
    """Most flexible model of the displacement that may be chosen: `"shift"`, one shift for the image, `"affine"`, also
    a scale, a rotation and a shear, or `"field"`, a smooth field. The simplest model that explains the sources is
    taken."""
    min_matches: Annotated[int, Field(ge=MIN_MATCHES, le=1_000_000)] = 5
    """Least number of matched calibrators; with fewer, nothing is measured. An affine model takes twice as many
    calibrators, a field six times as many."""
    min_signal_to_noise: Positive = 10.0
    """Least signal-to-noise ratio of a calibrator. A larger value uses fewer and brighter sources."""
    isolation_beams: NotNegative = 2.5
    """Least distance of a calibrator from all other sources, in beam widths. A larger value uses fewer sources."""
    significance: Positive = 4.0
    """Least significance of a gain or a displacement that is applied, in σ, while the earlier images of the band do not
    vary. Once they vary, every measured image is corrected."""
    position_catalogue: str = ""
    """File of a reference catalogue of positions, ICRS: VOTable, FITS, CSV, ECSV or Parquet. Empty: the running
    catalogue of the dataset."""
    position_columns: Annotated[tuple[str, ...], AfterValidator(_position_columns)] = ()
    """Columns of that file, if their names are not common ones, such as `["ra=RA_fit", "dec=DEC_fit", "ra_err=sigma_x
    [arcsec]", "dec_err=sigma_y [arcsec]"]`. A column that has no unit in the file needs one here."""
    flux_catalogue: str = ""
    """File of a reference catalogue of flux densities; it may be the same file. Empty: the running catalogue."""
    flux_columns: Annotated[tuple[str, ...], AfterValidator(_flux_columns)] = ()
    """Columns of that file, if their names are not common ones, such as `["flux=S_tot [mJy]", "flux_err=dS [mJy]",
    "spectral_index=alpha"]`."""
    flux_frequency: NotNegative = 0.0
    """Frequency of the flux densities of that catalogue, in Hz. 0 takes them as they are at the frequency of each
    image."""
    flux_spectral_index: Annotated[float, Field(ge=-10, le=10)] = -0.8
    """Spectral index α of the sources of that catalogue, with flux densities ∝ ν^α, unless a column has a value."""
