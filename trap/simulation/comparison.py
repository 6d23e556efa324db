"""Whether the pipeline finds what was put into a simulated survey, and nothing else.

Injected and recovered are matched by position. The demands are those a user makes of a first run:
every clear transient is found, nothing that is not there is, and what clearly varies has a higher η
than everything steady.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trap.angles import separation
from trap.variability.constancy import compare_with_constant

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.simulation.survey import Truth
    from trap.typing import Array, Columns
    from trap.variability.constancy import Constancy


__all__ = ["Comparison", "Injected", "RecoveredTransient", "RecoveredVariable", "compare", "nearest"]

CLEARLY_ABOVE = 2.0
"""A transient must be found where its peak is above this many times the detection threshold."""
CLEAR_MODULATION = 0.3
CLEAR_SNR = 20.0
"""A variable must stand out in η where its modulation and its mean S/N reach these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Injected:
    """What a survey holds: its name there, the form of its light curve, and its position in deg."""

    name: str
    shape: str
    ra: float
    dec: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveredTransient(Injected):
    """An injected transient, and the first candidate at its position.

    Parameters
    ----------
    first_timestep
        Number of the timestep, from 0, in which it is first on.
    peak_snr
        Its highest S/N, over times and bands.
    must_be_found
        Whether that is clearly above the detection threshold.
    found_timestep
        Timestep of the candidate; None where it was not found.
    significance
        Of the measurement that triggered the candidate; None where it was not found.
    """

    first_timestep: int
    peak_snr: float
    must_be_found: bool
    found_timestep: int | None
    significance: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveredVariable(Injected):
    """An injected variable, and the catalogue entry at its position.

    Parameters
    ----------
    modulation, mean_snr
        Standard deviation over mean, and mean S/N in its brightest band.
    must_stand_out
        Whether it varies clearly.
    v_int, eta_int
        V and η of the entry; NaN where there is none.
    rank
        Place of the entry in η among all, from 1; None where there is none.
    """

    modulation: float
    mean_snr: float
    must_stand_out: bool
    v_int: float
    eta_int: float
    rank: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What was injected beside what is recovered.

    Parameters
    ----------
    transients, variables
        In the order in which they were injected.
    false_candidates
        (ra, dec, significance) of candidates at which no transient was injected.
    n_entries
        Entries of the running catalogue.
    highest_steady_eta
        η of the entry that varies most of those that should not; NaN where there is none.
    steady
        How the light curves of those compare with constant sources; None where there are none.
    """

    transients: tuple[RecoveredTransient, ...]
    variables: tuple[RecoveredVariable, ...]
    false_candidates: tuple[tuple[float, float, float], ...]
    n_entries: int
    highest_steady_eta: float
    steady: Constancy | None

    @property
    def problems(self) -> list[str]:
        """What falls short of the demands, in words; empty where nothing does."""
        missed = [t for t in self.transients if t.must_be_found and t.found_timestep is None]
        hidden = [v for v in self.variables if v.must_stand_out and not self._stands_out(v)]
        return [
            *(f"transient {t.name} (peak S/N {t.peak_snr:.1f}) was missed" for t in missed),
            *(
                f"false transient at {ra:.4f} {dec:+.4f} ({sigma:.1f} sigma)"
                for ra, dec, sigma in self.false_candidates
            ),
            *(
                f"variable {v.name} (η {v.eta_int:.3g}) is not above the steady sources "
                f"(highest η {self.highest_steady_eta:.3g})"
                for v in hidden
            ),
        ]

    def _stands_out(self, variable: RecoveredVariable) -> bool:
        # Nothing steady in the catalogue is NaN, which nothing is below.
        return variable.rank is not None and not variable.eta_int <= self.highest_steady_eta


def compare(
    truth: Truth,
    *,
    entries: Columns,
    candidates: Columns,
    timesteps: NDArray[np.datetime64],
    radius: float,
    detection_threshold: float,
) -> Comparison:
    """Match what was recovered to what was injected.

    Parameters
    ----------
    truth
        What the survey holds.
    entries
        ``ra``, ``dec`` (deg), ``v_int``, ``eta_int`` and ``eta_p_value`` of every entry of the running
        catalogue.
    candidates
        ``ra``, ``dec`` (deg), ``taustart_ts`` (datetime64) and ``significance`` of every transient
        candidate.
    timesteps
        (n_timesteps,) — start of each timestep of the survey.
    radius
        deg — within which positions are the same source: a beam.
    detection_threshold
        Significance that the pipeline asked of a detection.
    """
    sources = truth.sources
    kinds, ra, dec = (np.asarray(sources[name]) for name in ("kind", "ra", "dec"))
    of_entry = nearest(entries["ra"], entries["dec"], ra, dec, radius=radius)
    of_candidate = nearest(candidates["ra"], candidates["dec"], ra, dec, radius=radius)
    eta = np.asarray(entries["eta_int"], float)
    entry_kinds = np.where(of_entry >= 0, kinds[of_entry], "none")
    # An entry where nothing was injected is the pipeline's invention, and so may not stand out either.
    is_steady = (entry_kinds != "variable") & (entry_kinds != "transient") & np.isfinite(eta)
    steady = eta[is_steady]
    snr = np.asarray(truth.lightcurves["snr"], float).reshape(len(sources), len(timesteps), -1)
    is_false = (of_candidate < 0) | (kinds[of_candidate] == "steady")
    return Comparison(
        transients=tuple(
            _transient(sources[int(row)], snr[row], candidates, of_candidate == row, timesteps, detection_threshold)
            for row in np.flatnonzero(kinds == "transient")
        ),
        variables=tuple(
            _variable(sources[int(row)], snr[row], entries, of_entry == row)
            for row in np.flatnonzero(kinds == "variable")
        ),
        false_candidates=tuple(
            (float(candidates["ra"][i]), float(candidates["dec"][i]), float(candidates["significance"][i]))
            for i in np.flatnonzero(is_false)
        ),
        n_entries=len(eta),
        highest_steady_eta=float(steady.max()) if steady.size else math.nan,
        steady=compare_with_constant(np.asarray(entries["eta_p_value"], float)[is_steady]),
    )


def nearest(ra: Array, dec: Array, ra_of: Array, dec_of: Array, *, radius: float) -> NDArray[np.intp]:
    """Find for each position the nearest of some others.

    Parameters
    ----------
    ra, dec
        (n,) deg
    ra_of, dec_of
        (m,) deg — the others.
    radius
        deg — how far the nearest may be.

    Returns
    -------
    (n,) — row among the others; -1 where none is within the radius.
    """
    if not len(ra_of):
        return np.full(len(ra), -1)
    distance = separation(np.asarray(ra)[:, np.newaxis], np.asarray(dec)[:, np.newaxis], ra_of, dec_of)
    row = distance.argmin(axis=1)
    return np.where(distance[np.arange(len(row)), row] <= radius, row, -1)


def _transient(
    injected: Any,  # noqa: ANN401 (a row of an astropy table)
    snr: Array,
    candidates: Columns,
    matched: NDArray[np.bool_],
    timesteps: NDArray[np.datetime64],
    detection_threshold: float,
) -> RecoveredTransient:
    rows = np.flatnonzero(matched)
    first = rows[np.argmin(candidates["taustart_ts"][rows])] if rows.size else None
    peak = float(snr.max())
    return RecoveredTransient(
        **_injected(injected),
        first_timestep=int(injected["first_timestep"]),
        peak_snr=peak,
        must_be_found=peak > CLEARLY_ABOVE * detection_threshold,
        found_timestep=None if first is None else int(np.argmin(abs(timesteps - candidates["taustart_ts"][first]))),
        significance=None if first is None else float(candidates["significance"][first]),
    )


def _variable(
    injected: Any,  # noqa: ANN401 (a row of an astropy table)
    snr: Array,
    entries: Columns,
    matched: NDArray[np.bool_],
) -> RecoveredVariable:
    eta = np.asarray(entries["eta_int"], float)
    rows = np.flatnonzero(matched)
    best = rows[np.argmax(eta[rows])] if rows.size else None
    modulation, mean_snr = float(injected["modulation"]), float(snr.mean(axis=0).max())
    return RecoveredVariable(
        **_injected(injected),
        modulation=modulation,
        mean_snr=mean_snr,
        must_stand_out=modulation >= CLEAR_MODULATION and mean_snr >= CLEAR_SNR,
        v_int=math.nan if best is None else float(entries["v_int"][best]),
        eta_int=math.nan if best is None else float(eta[best]),
        rank=None if best is None else 1 + int(np.count_nonzero(eta > eta[best])),
    )


def _injected(source: Any) -> dict[str, Any]:  # noqa: ANN401 (a row of an astropy table)
    return {
        "name": str(source["name"]),
        "shape": str(source["shape"]),
        "ra": float(source["ra"]),
        "dec": float(source["dec"]),
    }
