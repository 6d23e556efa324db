"""What one-to-one association makes of close pairs and of transients next to steady sources, whose truth is known.

Positions are off by a tenth of the beam, as their errors say, and partly together in each image. The
pairs are 0.6 to 2 beams apart and parted in every image, so that nothing but the association decides.
"""

from __future__ import annotations

import numpy as np
import pytest
from measured_survey import BLIND, CONFIG, FWHM, make_sky, run_survey

N_TIMES = 12
N_PAIRS = 50
SYSTEMATICS = 0.1 * FWHM * 3600


def survey(seed, monkeypatch, *, start=0):
    """Run a survey of pairs; the second source of each is there from ``start`` on."""
    monkeypatch.setattr("measured_survey.SYSTEMATICS_ARCSEC", SYSTEMATICS)
    rng = np.random.default_rng(seed)
    sky = make_sky(
        rng, n_times=N_TIMES, n_steady=30, n_variables=0, n_transients=0, n_pairs=N_PAIRS, apart=(0.6, 2.0), blended=0.0
    )
    first, second = np.flatnonzero(sky.kind == "pair").reshape(-1, 2).T
    sky.flux[second] *= (np.arange(N_TIMES) >= np.reshape(start, (-1, 1)))[..., np.newaxis]
    errors = {"ew_sys_err": SYSTEMATICS, "ns_sys_err": SYSTEMATICS}
    config = CONFIG.with_options(association={"method": "one-to-one"}, source_extraction=errors)
    return run_survey(sky, rng, config), first, second


def sources_of(outcome):
    """Return the sources that each entry has blind points of."""
    return {entry: {p[2] for p in points if p[3] in BLIND} for entry, points in outcome.points.items()}


@pytest.mark.parametrize("seed", range(4))
def test_light_curves_of_pairs_are_of_one_source_each_and_whole(seed, monkeypatch):
    outcome, first, second = survey(seed, monkeypatch)
    seen = sources_of(outcome)
    assert [sources for sources in seen.values() if len(sources) != 1] == []
    for source in (*first, *second):
        (entry,) = [entry for entry, sources in seen.items() if sources == {source}]
        assert sorted(p[:2] for p in outcome.points[entry]) == outcome.accepted
    assert [source for _, source in outcome.candidates if source in {*first, *second}] == []


@pytest.mark.parametrize("seed", range(10))
def test_transient_next_to_a_steady_source_is_found_at_once_and_leaves_it_steady(seed, monkeypatch):
    # They appear one after the other: quality control doubts an image in which a third of the sources are new.
    start = 3 + np.arange(N_PAIRS) % 7
    outcome, first, second = survey(seed, monkeypatch, start=start)
    assert all(len(sources) <= 1 for sources in sources_of(outcome).values())
    found = {source: time for time, source in reversed(outcome.candidates)}
    assert {source: found.get(source) for source in second} == dict(zip(second, start, strict=True))
    assert not {*first} & {*found}
