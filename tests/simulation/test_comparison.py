"""Injected against recovered, on surveys small enough to be checked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table

from trap.report.comparison import comparison_text
from trap.simulation.comparison import compare, nearest
from trap.simulation.survey import Truth

TIMES = np.datetime64("2026-01-01T00:00:00", "us") + np.arange(3) * np.timedelta64(3_600_000_000, "us")
BEAM = 0.01
SNR = {"S1": [50, 50, 50], "V1": [10, 30, 50], "T1": [0, 30, 0], "T2": [0, 0, 10]}
RA = {"S1": 10.0, "V1": 10.1, "T1": 10.2, "T2": 10.3}


def truth():
    names = list(SNR)
    snr = np.array([SNR[name] for name in names], float)
    sources = Table(
        {
            "name": names,
            "kind": ["steady", "variable", "transient", "transient"],
            "shape": ["steady", "drift", "fast", "fast"],
            "ra": [RA[name] for name in names],
            "dec": np.zeros(4),
            "modulation": snr.std(axis=1, ddof=1) / snr.mean(axis=1),
            "first_timestep": np.argmax(snr > 0, axis=1),
        }
    )
    return Truth(sources=sources, lightcurves=Table({"snr": snr.ravel()}))


def entries(**eta):
    return {
        "ra": np.array([RA.get(name, 12.0) for name in eta]),
        "dec": np.zeros(len(eta)),
        "v_int": np.full(len(eta), 0.5),
        "eta_int": np.array(list(eta.values()), float),
        "eta_p_value": np.full(len(eta), 0.2),
    }


def candidates(**times):
    return {
        "ra": np.array([RA.get(name, 12.0) for name in times]),
        "dec": np.zeros(len(times)),
        "taustart_ts": TIMES[list(times.values())],
        "significance": np.full(len(times), 25.0),
        "grade": np.ones(len(times), int),
    }


def compared(entries, candidates):
    return compare(
        truth(), entries=entries, candidates=candidates, timesteps=TIMES, radius=BEAM, detection_threshold=8.0
    )


def test_comparison_without_problems():
    comparison = compared(entries(S1=1.0, V1=50.0, T1=100.0), candidates(T1=1))
    first, second = comparison.transients
    assert (first.first_timestep, first.found_timestep, first.peak_snr, first.significance) == (1, 1, 30.0, 25.0)
    assert (second.must_be_found, second.found_timestep) == (False, None)
    (variable,) = comparison.variables
    assert (variable.rank, variable.eta_int, variable.mean_snr) == (2, 50.0, 30.0)
    assert comparison.highest_steady_eta == 1.0
    assert comparison.problems == []


def test_transient_twice_above_the_threshold_must_not_be_missed():
    (problem,) = compared(entries(S1=1.0, V1=50.0), candidates()).problems
    assert problem == "transient T1 (peak S/N 30.0) was missed"


@pytest.mark.parametrize("where", ["S1", "nowhere"])
def test_candidate_that_is_no_transient_is_false(where):
    (problem,) = compared(entries(S1=1.0, V1=50.0), candidates(T1=1, **{where: 2})).problems
    assert problem.startswith("false transient at 1")


def test_variable_that_rises_is_no_false_transient():
    assert compared(entries(S1=1.0, V1=50.0), candidates(T1=1, V1=1)).false_candidates == ()


def test_candidate_that_may_be_noise_is_no_false_transient():
    possible = {**candidates(T1=1, S1=1), "grade": np.array([1, 0])}
    assert compared(entries(S1=1.0), possible).false_candidates == ()
    assert len(compared(entries(S1=1.0), candidates(T1=1, S1=1)).false_candidates) == 1


@pytest.mark.parametrize("other", ["S1", "nowhere"])
def test_variable_below_what_should_be_steady_is_a_problem(other):
    (problem,) = compared(entries(V1=50.0, **{other: 60.0}), candidates(T1=1)).problems
    assert problem == "variable V1 (η 50) is not above the steady sources (highest η 60)"


def test_variable_that_is_not_found_is_a_problem():
    comparison = compared(entries(S1=1.0), candidates(T1=1))
    assert comparison.variables[0].rank is None
    assert len(comparison.problems) == 1


def test_first_of_several_candidates_counts():
    again = {name: np.concatenate([a, b]) for (name, a), b in
             zip(candidates(T1=2).items(), candidates(T1=1).values(), strict=True)}  # fmt: skip
    assert compared(entries(S1=1.0, V1=50.0), again).transients[0].found_timestep == 1


def test_empty_catalogue_misses_everything_without_failing():
    assert len(compared(entries(), candidates()).problems) == 2


def test_nearest_is_within_the_radius_across_ra_zero():
    rows = nearest(np.array([359.999, 5.0]), np.zeros(2), np.array([1.0, 0.001]), np.zeros(2), radius=BEAM)
    assert rows.tolist() == [1, -1]


def test_comparison_reads_as_a_table():
    text = comparison_text(compared(entries(S1=1.0, V1=50.0, T1=100.0), candidates(T1=1)))
    assert "0 false transients\n" in text
    assert "steady sources: 1 light curve: fluxes scatter as their errors explain" in text
    lines = {line.split()[0]: line.split() for line in text.splitlines() if line}
    assert lines["T1"] == ["T1", "fast", "10.2000", "+0.0000", "1", "30.0", "1", "25.0"]
    assert lines["T2"][-3:] == ["too", "faint", "–"]
    assert lines["V1"][-3:] == ["0.5", "50.0", "2"]
    assert "0 false transients" in text
