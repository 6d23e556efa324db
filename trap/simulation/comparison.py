"""Compare the results of the pipeline with the truth of a simulated survey.

Injected and recovered sources are matched by position. A first run must meet three demands: every
clear transient is found, no candidate is false, and every clear variable has a higher η than all
steady sources.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trap.angles import separation
from trap.codes import Grade
from trap.variability.constancy import compare_with_constant

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.simulation.survey import Truth
    from trap.typing import Array, Columns, Indices
    from trap.variability.constancy import Constancy


__all__ = ["Comparison", "Injected", "RecoveredTransient", "RecoveredVariable", "compare", "nearest"]

CLEARLY_ABOVE = 2.0
"""Peak S/N over the detection threshold above which a transient must be found."""
CLEAR_MODULATION = 0.3
"""Modulation from which a variable must stand out in η, if it is bright enough."""
CLEAR_SNR = 20.0
"""Mean S/N from which a variable must stand out in η, if its modulation is large enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Injected:
    """An injected source: its name, the form of its light curve, and its position in deg."""

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
        Number of the first timestep with the transient on, from 0.
    peak_snr
        Highest S/N over all timesteps and bands.
    must_be_found
        Whether the peak is clearly above the detection threshold.
    found_timestep
        Timestep of the candidate; None if the transient was missed.
    significance
        Significance of the measurement that triggered the candidate; None if the transient was
        missed.
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
        Standard deviation over mean, and mean S/N in the brightest band.
    must_stand_out
        Whether the source varies clearly.
    v_int, eta_int
        V and η of the entry; NaN without an entry.
    rank
        Rank of the entry among all entries, 1 for the highest η; None without an entry.
    """

    modulation: float
    mean_snr: float
    must_stand_out: bool
    v_int: float
    eta_int: float
    rank: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Injected sources with the recovered ones.

    Parameters
    ----------
    transients, variables
        Injected sources, in the order of the truth.
    false_candidates
        (ra, dec, significance) of likely candidates without an injected transient or variable.
    n_entries
        Number of entries in the running catalogue.
    highest_steady_eta
        Highest η of the entries that should be steady; NaN if the catalogue has no such entry.
    steady
        Comparison of the light curves of these entries with constant sources; None if the catalogue
        has no such entry.
    """

    transients: tuple[RecoveredTransient, ...]
    variables: tuple[RecoveredVariable, ...]
    false_candidates: tuple[tuple[float, float, float], ...]
    n_entries: int
    highest_steady_eta: float
    steady: Constancy | None

    @property
    def problems(self) -> list[str]:
        """Unmet demands, one sentence each."""
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
        # The comparison with NaN is false: without steady entries each recovered variable stands out.
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
    """Match recovered entries and candidates to the injected sources.

    Parameters
    ----------
    truth
        Sources and light curves of the survey.
    entries
        (n_entries,) each — ``ra``, ``dec`` (deg), ``v_int``, ``eta_int`` and ``eta_p_value`` of the
        entries of the running catalogue.
    candidates
        (n_candidates,) each — ``ra``, ``dec`` (deg), ``taustart_ts`` (datetime64), ``significance`` and ``grade``
        (:class:`~trap.codes.Grade`) of the transient candidates. A possible one, which may be noise, is never false.
    timesteps
        (n_timesteps,) — start of each timestep of the survey.
    radius
        deg — maximum distance of two positions of one source, such as a beam width.
    detection_threshold
        σ — the pipeline's detection threshold.
    """
    sources = truth.sources
    kinds, ra, dec = (np.asarray(sources[name]) for name in ("kind", "ra", "dec"))
    # Row of the injected source at each entry and candidate; -1 without one.
    source_of_entry = nearest(entries["ra"], entries["dec"], ra, dec, radius=radius)
    source_of_candidate = nearest(candidates["ra"], candidates["dec"], ra, dec, radius=radius)
    eta = np.asarray(entries["eta_int"], float)
    entry_kinds = np.where(source_of_entry >= 0, kinds[source_of_entry], "none")
    # An entry without an injected source is spurious, and must not stand out either.
    is_steady = (entry_kinds != "variable") & (entry_kinds != "transient") & np.isfinite(eta)
    steady = eta[is_steady]
    snr = np.asarray(truth.lightcurves["snr"], float).reshape(len(sources), len(timesteps), -1)
    is_false = (source_of_candidate < 0) | (kinds[source_of_candidate] == "steady")
    is_false &= np.asarray(candidates["grade"]) == int(Grade.LIKELY)

    def candidates_of(row: int) -> Columns:
        return {name: np.asarray(values)[source_of_candidate == row] for name, values in candidates.items()}

    return Comparison(
        transients=tuple(
            _transient(sources[int(row)], snr[row], candidates_of(int(row)), timesteps, detection_threshold)
            for row in np.flatnonzero(kinds == "transient")
        ),
        variables=tuple(
            _variable(sources[int(row)], snr[row], entries, np.flatnonzero(source_of_entry == row))
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
    """Find the nearest reference position of each position.

    Parameters
    ----------
    ra, dec
        (n,) deg — positions.
    ra_of, dec_of
        (m,) deg — reference positions.
    radius
        deg — maximum distance.

    Returns
    -------
    (n,)
        Rows of the reference positions; -1 if none is within the radius.
    """
    if not len(ra_of):
        return np.full(len(ra), -1)
    # One row a position, one column a reference position.
    distance = separation(np.asarray(ra)[:, np.newaxis], np.asarray(dec)[:, np.newaxis], ra_of, dec_of)
    row = distance.argmin(axis=1)
    return np.where(distance[np.arange(len(row)), row] <= radius, row, -1)


def _transient(
    injected: Any,  # noqa: ANN401 (a row of an astropy table)
    snr: Array,
    candidates: Columns,
    timesteps: NDArray[np.datetime64],
    detection_threshold: float,
) -> RecoveredTransient:
    """Put a transient together from its S/N, (n_timesteps, n_bands), and the candidates at its position."""
    first = int(np.argmin(candidates["taustart_ts"])) if len(candidates["taustart_ts"]) else None
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
    rows: Indices,
) -> RecoveredVariable:
    """Put a variable together from its S/N, (n_timesteps, n_bands), and the ``rows`` of the entries at its position."""
    eta = np.asarray(entries["eta_int"], float)
    # If a source has several entries, the one with the highest η counts.
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
    """Return the fields of :class:`Injected`."""
    return {
        "name": str(source["name"]),
        "shape": str(source["shape"]),
        "ra": float(source["ra"]),
        "dec": float(source["dec"]),
    }
