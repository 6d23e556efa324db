"""Theoretical noise of a LOFAR image, from its stations, its bandwidth and its duration.

The formulas are from Nijboer, Pandey-Pommier & de Bruyn (2009), "LOFAR imaging capabilities and system sensitivity", as
in TraP. One term differs from TraP's: pairs of remote stations are weighted with the SEFD of a remote station twice.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from trap.codes import RejectReason
from trap.quality.reasons import Verdict
from trap.quality.records import Check, has_duration, has_values

if TYPE_CHECKING:
    from trap.images.metadata import LofarStations
    from trap.quality.records import ImageInput
    from trap.typing import Array

__all__ = ["NOISE", "TAU_TIME", "check_noise", "check_tau_time", "station_area", "theoretical_noise"]

_LIGHT_SPEED = 299_792_458.0
_BOLTZMANN = 1.380649e-23
_MAX_HIGH_BAND_WAVELENGTH = 3.0
"""Wavelength in m above which the low-band dipoles observe; at shorter ones the high-band tiles do."""
_HBA_DIPOLE_AREA = 1.5625
"""Largest effective area of a dipole in a high-band tile, in m²."""
_HBA_DIPOLES_PER_TILE = 16
_HBA_TILES = {"core": 24, "remote": 48, "international": 96}
_MAX_MHZ = 300.0
"""Highest frequency of the theory."""
_INSTRUMENT_MHZ = (0.0, 10.0, 40.0, 50.0, 55.0, 60.0, 70.0, 80.0, 90.0, 110.0)
_INSTRUMENT_SHARES = (0.0, 0.1, 0.7, 0.85, 0.9, 0.85, 0.6, 0.3, 0.0, 0.0)
"""Temperature of the instrument, in units of the sky's, at those frequencies. From 120 MHz it is 200 K."""

# Distances in m from each dipole of the low-band field to its nearest neighbour, from the public antenna positions of
# stations CS001, RS106 and DE601.
_CORE_INNER = """
    2.55 2.55 2.55 2.55 2.55 2.55 2.55 3.6 3.34 3.26 3.49 3.19 3.19 3.51 3.42 3.18 3.59 3.66 4.32 3.23 3.23 3.38
    3.49 3.19 3.89 3.4 3.51 3.49 4.12 3.82 3.13 3.13 2.99 2.99 3.32 3.38 3.36 3.36 4.75 2.79 2.79 3.4 4.15 3.98
    3.98 4.49 27.04 27.48
"""
_CORE_OUTER = """
    3.07 3.07 6.27 4.14 4.39 5.36 5.03 7.17 4.92 5.01 4.59 8.19 6.2 6.27 6.27 6 4.14 4.39 7.84 8.14 7.38 7.17
    9.36 5.8 9.83 7.08 7.34 7.4 6 10.25 9.37 8.83 8.64 5.27 7.66 8.23 8.23 6.72 5.8 6.28 11.06 7.4 10.8 10.81
    8.64 5.27 7.66 9.06
"""
_REMOTE_INNER = """
    2.55 2.55 2.55 2.55 2.55 2.55 2.55 3.51 3.51 3.18 3.48 3.19 3.25 3.43 3.48 3.18 3.58 3.66 4.32 3.23 3.23
    3.38 3.5 3.19 3.89 3.39 3.51 3.49 4.12 3.82 3.12 3.12 2.99 2.99 3.32 3.38 3.36 3.36 4.75 2.79 2.79 3.39 4.15
    3.99 3.99 4.49 21.02 19.6
"""
_REMOTE_OUTER = """
    3.07 3.07 6.27 4.14 4.39 5.36 5.03 7.18 4.92 5.01 4.59 8.19 6.19 6.27 6.27 6 4.14 4.39 7.84 8.14 7.38 7.18
    9.36 5.8 9.83 7.08 7.34 7.4 6 10.25 9.37 8.83 8.64 5.28 7.66 8.23 8.23 6.72 5.8 6.28 11.06 7.4 10.8 10.81
    8.64 5.28 7.66 9.06
"""
_INTERNATIONAL = """
    3.55 3.41 3.87 3.41 5.61 4.52 4.96 4.96 3.81 4.03 4.03 4.15 3.41 3.42 3.42 3.42 3.54 3.46 3.87 4.68 5.3 5.54
    5.17 5.77 3.62 3.94 4.07 4.07 3.92 3.92 5.65 6 3.91 3.49 6.5 6.5 3.52 3.48 3.71 3.71 4.74 4.31 7.99 7.03
    3.56 3.7 3.5 4.15 4.34 4.1 4.98 3.49 3.25 6.69 3.61 3.41 6.92 3.85 3.94 6.85 4.07 3.85 4.31 3.41 3.54 3.48
    3.42 4.22 3.35 3.35 3.47 4.74 3.7 4.36 3.54 3.61 3.54 4.15 3.81 5.98 4.77 4.34 3.87 3.63 5.17 3.52 7.21 3.42
    3.41 7.75 3.48 3.25 4.95 3.47 3.5 3.42
"""

_LBA_DISTANCES = {
    "LBA": {"core": _CORE_INNER + _CORE_OUTER, "remote": _REMOTE_INNER + _REMOTE_OUTER},
    "LBA_INNER": {"core": _CORE_INNER, "remote": _REMOTE_INNER},
    "LBA_OUTER": {"core": _CORE_OUTER, "remote": _REMOTE_OUTER},
}


def check_tau_time(image: ImageInput) -> Verdict:
    """Check that the duration of the observation is known."""
    tau_time = image.metadata.tau_time
    if tau_time == 0:
        return Verdict(False, "tau_time is 0")
    return Verdict(True, f"tau_time is {tau_time:g} s")


TAU_TIME = Check(
    name="tau_time",
    setting="check_lofar",
    reason=RejectReason.TAU_TIME,
    fails_if="LOFAR: the duration is not known",
    function=check_tau_time,
)


def check_noise(image: ImageInput) -> Verdict:
    """Compare the noise of an image with the theoretical noise of its stations."""
    metadata, limits, rms = image.metadata, image.config.quality_lofar, image.rms
    stations = metadata.lofar
    theory = None if stations is None else theoretical_noise(metadata.freq_eff, metadata.tau_time, stations)
    if stations is None or theory is None:
        antenna_set = "" if stations is None else stations.antenna_set
        return Verdict(True, f"no theory for {antenna_set} at {metadata.freq_eff / 1e6:g} MHz")
    ratio = rms / theory
    comment = f"rms {rms:g} is {ratio:.3g} times the theoretical noise {theory:g} Jy/beam"
    if ratio < limits.low_bound:
        return Verdict(False, f"{comment}, below {limits.low_bound:g}")
    # A ratio that is NaN fails here.
    if not ratio <= limits.high_bound:
        return Verdict(False, f"{comment}, above {limits.high_bound:g}")
    return Verdict(True, comment)


NOISE = Check(
    name="lofar_noise",
    setting="check_lofar",
    reason=RejectReason.RMS,
    fails_if="LOFAR: the noise is far from theory (`quality_lofar.low_bound`, `high_bound`)",
    function=check_noise,
    needs=(has_values, has_duration),
)


def theoretical_noise(freq_eff: float, tau_time: float, stations: LofarStations) -> float | None:
    """Compute the noise of an image with natural weights, which cost no sensitivity.

    Parameters
    ----------
    freq_eff
        Hz — effective frequency.
    tau_time
        s — duration of the observation.
    stations
        Number and kind of the stations, and the bandwidth.

    Returns
    -------
    float or None
        Jy/beam; None if there is no theory: above 300 MHz, for an unknown set of antennas, or without any baseline,
        bandwidth or time.
    """
    kinds = {"core": stations.ncore, "remote": stations.nremote, "international": stations.nintl}
    bandwidth = stations.subbands * stations.subbandwidth
    areas = {kind: station_area(kind, freq_eff, stations.antenna_set) for kind in kinds}
    if freq_eff > _MAX_MHZ * 1e6 or any(area is None for area in areas.values()):
        return None
    temperature = _system_temperature(freq_eff)
    # System equivalent flux density, in Jy, of a station of each kind.
    sefd = {kind: 2 * _BOLTZMANN * temperature / area * 1e26 for kind, area in areas.items() if area}
    names = list(kinds)
    # Sensitivities of all baselines add as 1 / (SEFD of one station × SEFD of the other).
    among = sum(n * (n - 1) / 2 / sefd[kind] ** 2 for kind, n in kinds.items())
    between = sum(
        kinds[one] * kinds[other] / (sefd[one] * sefd[other]) for i, one in enumerate(names) for other in names[i + 1 :]
    )
    total = 4 * bandwidth * tau_time * (among + between)
    return float(1 / math.sqrt(total)) if total > 0 else None


def station_area(kind: str, freq_eff: float, antenna_set: str) -> float | None:
    """Compute the effective area of a station.

    Parameters
    ----------
    kind
        ``core``, ``remote`` or ``international``.
    freq_eff
        Hz — frequency.
    antenna_set
        Name that begins with HBA, or the name of a set of low-band antennas.

    Returns
    -------
    float or None
        m²; None for a set of low-band antennas whose dipole positions are not known.
    """
    wavelength = _LIGHT_SPEED / freq_eff
    if not antenna_set.upper().startswith("LBA"):
        dipole = _dipole_area(wavelength, np.ones(1))
        return _HBA_TILES[kind] * _HBA_DIPOLES_PER_TILE * float(dipole[0])
    sets = _LBA_DISTANCES.get(antenna_set.upper())
    if sets is None:
        return None
    distances = np.array(sets.get(kind, _INTERNATIONAL).split(), float)
    return float(_dipole_area(wavelength, distances).sum())


def _dipole_area(wavelength: float, distance: Array) -> Array:
    """Return effective areas, in m², of dipoles from the distances to their nearest neighbours, in m."""
    is_low = wavelength > _MAX_HIGH_BAND_WAVELENGTH
    largest = math.pi * distance**2 / 4 if is_low else np.full_like(distance, _HBA_DIPOLE_AREA)
    return np.minimum(wavelength**2 / 3, largest)


def _system_temperature(freq_eff: float) -> float:
    """Return the temperature, in K, of the sky and the instrument together."""
    sky = 60.0 * float((_LIGHT_SPEED / freq_eff) ** 2.55)
    shares = [share * sky for share in _INSTRUMENT_SHARES]
    return sky + float(np.interp(freq_eff / 1e6, (*_INSTRUMENT_MHZ, 120.0, _MAX_MHZ), (*shares, 200.0, 200.0)))
