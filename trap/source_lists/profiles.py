"""Brightness, shape and local noise of listed sources, completed where a list leaves them out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trap.catalogues import Flag
from trap.extraction.celestial import wrap_position_angle
from trap.typing import Array

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trap.images.beam import Beam
    from trap.source_lists.columns import ListedSources

__all__ = ["NoiseAt", "Profiles", "fill_noise", "find_profiles"]

NoiseAt = Callable[[Array, Array], Array]
"""Function that returns the local noise in Jy/beam, (n,), at positions in deg; NaN where it is unknown."""
ARCSEC = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Profiles:
    """Brightness, shape and local noise of the sources of a list.

    Parameters
    ----------
    f_peak, f_int
        (n,) Jy/beam and Jy — peak and integrated flux densities.
    semimajor, semiminor, pa
        (n,) arcsec and deg — fitted semi-axes at half maximum and position angles; NaN if unknown.
    rms
        (n,) Jy/beam — local noise; NaN if neither the list nor a noise map has it.
    is_failed
        (n,) — whether the fit failed.
    derived
        Quantity that the list lacks, and that follows from the other flux density; empty if it has both.
    notices
        A sentence about each assumption.
    """

    f_peak: Array
    f_int: Array
    semimajor: Array
    semiminor: Array
    pa: Array
    rms: Array
    is_failed: NDArray[np.bool_]
    derived: str = ""
    notices: tuple[str, ...] = ()


def find_profiles(
    listed: ListedSources, flags: NDArray[np.int32], beam: Beam | None, noise: NoiseAt | None
) -> Profiles:
    """Find the brightness, shape and local noise of the sources of a list.

    A list without shapes has point sources, of the shape of the beam. If a list lacks one of the flux densities, it
    follows from the other one by the areas of the source and of the beam. If it lacks the local noise, this is the
    noise of a map, or else the peak over the significance.

    Parameters
    ----------
    listed
        The sources of the list.
    flags
        (n,) — flags by the finder.
    beam
        Restoring beam of the image; None if it is unknown.
    noise
        Function that returns the noise of a map at positions in deg; None if there is no map.
    """
    notices = []
    semimajor, semiminor, pa, has_shape = _shapes(listed, beam)
    if not has_shape:
        notices.append("the list has no shapes: the sources have the shape of the beam")
    f_peak, f_int, derived = _flux_densities(listed, semimajor * semiminor, beam)
    if derived:
        notices.append(f"the list has no {derived}: it follows from the other flux density and the shapes")
    is_failed = (flags & int(Flag.FIT_FAILED) > 0) | (f_peak == 0) | (f_int == 0)
    if has_shape:
        is_failed |= (semimajor <= 0) | (semiminor <= 0)
    return Profiles(
        f_peak=f_peak,
        f_int=f_int,
        semimajor=semimajor,
        semiminor=semiminor,
        pa=pa,
        rms=_local_noise(listed, f_peak, noise),
        is_failed=is_failed,
        derived=derived,
        notices=tuple(notices),
    )


def fill_noise(profiles: Profiles, errors: Mapping[str, Array]) -> tuple[Array, list[str]]:
    """Replace local noise that is unknown by the error of the peak, which is close to it.

    Parameters
    ----------
    profiles
        The sources.
    errors
        (n,) each — errors by name.

    Returns
    -------
    rms
        (n,) Jy/beam — local noise; NaN for sources whose fit failed, if nothing is known.
    notices
        A sentence about the replaced values, if there are any.
    """
    is_unknown = ~np.isfinite(profiles.rms)
    rms = np.where(is_unknown, errors["f_peak_err"], profiles.rms)
    n_replaced = int((is_unknown & ~profiles.is_failed).sum())
    return rms, [f"{n_replaced} sources have no local noise: the error of the peak is used"] if n_replaced else []


def _shapes(listed: ListedSources, beam: Beam | None) -> tuple[Array, Array, Array, bool]:
    """Return semi-axes in arcsec and position angles in deg, and whether the list has them."""
    values = listed.values
    axes = [
        values[semi] if semi in values else values[full] / 2 if full in values else None
        for semi, full in (("semimajor", "major"), ("semiminor", "minor"))
    ]
    n = len(listed)
    if axes[0] is not None and axes[1] is not None:
        pa = wrap_position_angle(values["pa"]) if "pa" in values else np.full(n, np.nan)
        semimajor, semiminor = (np.where(np.isfinite(axis), axis, np.nan) for axis in (axes[0], axes[1]))
        return semimajor, semiminor, np.where(np.isfinite(pa), pa, np.nan), True
    if beam is None:
        return np.full(n, np.nan), np.full(n, np.nan), np.full(n, np.nan), False
    shape = (beam.bmaj / 2 * ARCSEC, beam.bmin / 2 * ARCSEC, beam.bpa % 180)
    semimajor, semiminor, pa = (np.full(n, value) for value in shape)
    return semimajor, semiminor, pa, False


def _flux_densities(listed: ListedSources, area: Array, beam: Beam | None) -> tuple[Array, Array, str]:
    """Return peak and integrated flux densities, and the quantity that the list lacks."""
    values = listed.values
    if "f_peak" in values and "f_int" in values:
        return values["f_peak"], values["f_int"], ""
    beam_area = np.nan if beam is None else beam.bmaj * beam.bmin / 4 * ARCSEC**2
    ratio = area / beam_area
    ratio = np.where(np.isfinite(ratio) & (ratio > 0), ratio, 1.0)
    if "f_int" in values:
        return values["f_int"] / ratio, values["f_int"], "f_peak"
    return values["f_peak"], values["f_peak"] * ratio, "f_int"


def _local_noise(listed: ListedSources, f_peak: Array, noise: NoiseAt | None) -> Array:
    """Return the local noise of the list, of a map, or by the significances; NaN if none of them has it."""
    values = listed.values
    rms = values["rms"] if "rms" in values else np.full(len(listed), np.nan)
    if noise is not None:
        rms = np.where(rms > 0, rms, noise(values["ra"], values["dec"]))
    if "significance" in values:
        rms = np.where(rms > 0, rms, np.abs(f_peak / values["significance"]))
    return np.where((rms > 0) & np.isfinite(rms), rms, np.nan)
