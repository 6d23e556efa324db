"""What association makes of a survey whose truth is known: light curves, transients, variables.

200 timesteps in two bands of 1,000 sources: 30 variables, 20 transients, 40 close pairs of which three
quarters are now and then fitted as one, steady sources down to 3 σ, positions that are off by half
an error more than their errors say, together in each image. The survey is of measurement tables.
"""

from __future__ import annotations

import numpy as np
import pytest
from measured_survey import BANDS_HZ, BLIND, NOISE, make_sky, noise_at, run_survey
from scipy.stats import chi2, kstest

from trap.association.entries import LightCurveKey
from trap.catalogues import AssociationType
from trap.variability.metrics import eta_p_value, weighted_eta

N_TIMES = 200
ALL_KEYS = [LightCurveKey(band, 1) for band in range(len(BANDS_HZ))]


@pytest.fixture(scope="module")
def outcome():
    rng = np.random.default_rng(1)
    return run_survey(make_sky(rng, n_times=N_TIMES), rng)


@pytest.fixture(scope="module")
def blind(outcome):
    """Of every entry what its blind points are of, and of every source which entries have them."""
    seen = {entry: {p[2] for p in points if p[3] in BLIND} for entry, points in outcome.points.items()}
    entries_of = {}
    for entry, sources in seen.items():
        for source in sources:
            entries_of.setdefault(source, set()).add(entry)
    return seen, entries_of


def entry_of(outcome, blind, source):
    (entry,) = blind[1][source]
    return entry


def test_light_curves_are_of_one_source_each_and_have_all_of_it(outcome, blind):
    seen, entries_of = blind
    bad = {entry for entry, sources in seen.items() if len(sources) > 1}
    for source, entries in entries_of.items():
        if len(entries) > 1 or (source >= 0 and is_bright(outcome.sky, source) and not is_whole(outcome, *entries)):
            bad |= entries
    assert len(seen) >= 950
    assert 1 - len(bad) / len(seen) >= 0.995


def is_bright(sky, source):
    """Never given up for being missed too often, and on all the time."""
    return sky.kind[source] in {"steady", "variable"} and sky.flux[source].min() > 8 * NOISE[1] * 1.5


def is_whole(outcome, entry):
    """Whether there is a point, blind or forced, from every image."""
    return sorted(p[:2] for p in outcome.points[entry]) == outcome.accepted


def test_blends_and_their_parts_are_distinguished(outcome, blind):
    catalogue, sky = outcome.state.catalogue, outcome.sky
    for source in [name for name in blind[1] if name < 0]:
        blend = entry_of(outcome, blind, source)
        first = -1 - source
        parts = {entry_of(outcome, blind, first), entry_of(outcome, blind, int(sky.partner[first]))}
        assert catalogue.entries["is_blend"][blend]
        assert set(np.flatnonzero(catalogue.entries["blend"] == blend)) == parts
    assert sum(name < 0 for name in blind[1]) == 30


def test_transients_are_found_at_their_first_timestep(outcome):
    sky, first = outcome.sky, {}
    for time, source in outcome.candidates:
        first.setdefault(source, time)
    transients = np.flatnonzero(sky.kind == "transient")
    assert {int(source): first.get(int(source)) for source in transients} == {
        int(source): int(sky.first_on[source]) for source in transients
    }


def test_at_most_one_steady_source_seems_new(outcome):
    sky = outcome.sky
    false = [c for c in outcome.candidates if c[1] < 0 or sky.kind[c[1]] != "transient" or c[0] < sky.first_on[c[1]]]
    assert len(false) <= 1


def curves_of(outcome, blind, kind, *, snr=10.0):
    """Complete light curves of one kind, bright enough that none begins with a noise peak."""
    sky, catalogue, found = outcome.sky, outcome.state.catalogue, []
    for source in np.flatnonzero(sky.kind == kind):
        noise = NOISE[0] * noise_at(sky.ra[source], sky.dec[source])
        if sky.flux[source, :, 0].mean() > snr * noise:
            found.append(catalogue.fluxes(ALL_KEYS[0])[entry_of(outcome, blind, source)])
    return np.array(found)


def test_eta_of_steady_sources_is_distributed_as_that_of_constant_ones(outcome, blind):
    curves = curves_of(outcome, blind, "steady")
    assert len(curves) > 150
    n = sum(band == 0 for _, band in outcome.accepted)
    assert (curves["n"] == n).all()
    eta = weighted_eta(curves)
    result = kstest(eta * (n - 1), chi2(n - 1).cdf)
    print(f"\nη of {len(eta)} steady sources against χ²: KS distance {result.statistic:.3f}, p = {result.pvalue:.3f}")
    assert result.pvalue > 0.01
    assert eta_p_value(curves) == pytest.approx(chi2(n - 1).sf(eta * (n - 1)), rel=1e-9)


def test_variables_stand_above_the_99th_percentile_of_steady_sources(outcome, blind):
    steady, variable = (weighted_eta(curves_of(outcome, blind, kind)) for kind in ("steady", "variable"))
    assert len(variable) == 30
    assert variable.min() > np.percentile(steady, 99)


def test_parts_of_blends_do_not_vary(outcome, blind):
    eta = weighted_eta(curves_of(outcome, blind, "pair"))
    steady = weighted_eta(curves_of(outcome, blind, "steady"))
    assert len(eta) == 80
    assert eta.max() < np.percentile(steady, 99) * 1.5


def test_every_null_detection_belongs_to_a_source_that_was_there_before(outcome):
    for points in outcome.points.values():
        times = [p[0] for p in points if p[3] in BLIND]
        assert min(p[0] for p in points if p[3] == AssociationType.NULL_DETECTION or p[3] in BLIND) == min(times)
