"""The comparison of injected and recovered sources, as text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from trap.report.text import MISSING, constancy_text, count, number, sky_position, text_table

if TYPE_CHECKING:
    from trap.simulation.comparison import Comparison, RecoveredTransient, RecoveredVariable

__all__ = ["comparison_text"]


def comparison_text(comparison: Comparison) -> str:
    """Write tables of the injected transients and variables, each with its recovered values."""
    parts = [
        "transients, injected and recovered (timesteps count from 0)",
        text_table(
            map(_transient_row, comparison.transients),
            right=("on from", "peak S/N", "found at", "significance"),
        ),
        count(len(comparison.false_candidates), "false transient"),
        "",
        f"variables, injected and recovered (rank in η among {count(comparison.n_entries, 'source')})",
        text_table(
            map(_variable_row, comparison.variables),
            right=("modulation", "mean S/N", "V", "η", "rank"),
        ),
        f"highest η of a steady source: {number(comparison.highest_steady_eta, 3)}",
        *([f"steady sources: {constancy_text(comparison.steady)}"] if comparison.steady else []),
    ]
    return "\n".join(parts)


def _transient_row(transient: RecoveredTransient) -> dict[str, str]:
    """Return the row of a transient, by heading."""
    timestep = transient.found_timestep
    missed = "missed" if transient.must_be_found else "too faint"
    return {
        "name": transient.name,
        "light curve": transient.shape,
        "ra, dec (deg)": sky_position(transient.ra, transient.dec),
        "on from": str(transient.first_timestep),
        "peak S/N": f"{transient.peak_snr:.1f}",
        "found at": missed if timestep is None else str(timestep),
        "significance": MISSING if transient.significance is None else f"{transient.significance:.1f}",
    }


def _variable_row(variable: RecoveredVariable) -> dict[str, str]:
    """Return the row of a variable, by heading."""
    return {
        "name": variable.name,
        "light curve": variable.shape,
        "ra, dec (deg)": sky_position(variable.ra, variable.dec),
        "modulation": f"{variable.modulation:.0%}",
        "mean S/N": f"{variable.mean_snr:.1f}",
        "V": number(variable.v_int, 3),
        "η": MISSING if math.isnan(variable.eta_int) else f"{variable.eta_int:.1f}",
        "rank": MISSING if variable.rank is None else str(variable.rank),
    }
