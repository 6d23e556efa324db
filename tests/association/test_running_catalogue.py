"""The running catalogue in memory: growing, forking, missing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_survey import sources

from trap.association.entries import Descent, Kin, LightCurveKey
from trap.association.hypotheses import ImageLimits
from trap.association.running_catalogue import RunningCatalogue
from trap.images.skyregion import SkyRegion

LOW, HIGH = LightCurveKey(0, 1), LightCurveKey(1, 1)
DAY = np.timedelta64(1, "D")
START = np.datetime64("2012-01-01T00:00:00", "us")
SKY = SkyRegion(centre_ra=123.0, centre_dec=10.0, xtr_radius=5.0)


def associate(catalogue, found, day=0, key=LOW, image=0, method="one-to-one"):
    return catalogue.associate(
        found,
        image=image,
        key=key,
        taustart=START + day * DAY,
        search_radius=0.03,
        max_radius=5.68,
        limits=ImageLimits(resolution=0.01, threshold=5.0),
        method=method,
    ).points


def test_entries_grow_beyond_the_first_allocation():
    catalogue = RunningCatalogue()
    ra = np.linspace(0, 350, 1000)
    associate(catalogue, sources(ra, 10.0))
    associate(catalogue, sources(ra, 10.0, flux=0.03), day=1)
    assert len(catalogue) == 1000
    assert (catalogue.fluxes(LOW)["n"] == 2).all()
    assert catalogue.fluxes(LOW)["mean_f_int"] == pytest.approx(0.0225)


def test_fork_keeps_the_light_curves_of_every_band():
    catalogue = RunningCatalogue()
    associate(catalogue, sources(123.0, 10.0, flux=1.0), key=LOW, method="trap")
    associate(catalogue, sources(123.0, 10.0, flux=2.0), key=HIGH, method="trap")
    associate(catalogue, sources([123.0, 123.0], [9.999, 10.001], flux=1.0), day=1, key=LOW, method="trap")
    clones = np.flatnonzero(catalogue.entries["active"])
    assert list(clones) == [1, 2]
    assert list(catalogue.fluxes(LOW)["n"][clones]) == [2, 2]
    assert list(catalogue.fluxes(HIGH)["n"][clones]) == [1, 1]
    assert list(catalogue.fluxes(HIGH)["mean_f_int"][clones]) == [2.0, 2.0]


def test_forks_of_a_fork_in_one_timestep_come_in_generations():
    catalogue = RunningCatalogue()
    associate(catalogue, sources(123.0, 10.0))
    catalogue.begin_timestep()
    associate(catalogue, sources([123.0, 123.0], [9.999, 10.001]), day=1, key=LOW, method="trap")
    associate(catalogue, sources([123.0] * 3, [9.998, 10.0, 10.002]), day=1, key=HIGH, image=1, method="trap")
    generations = {fork.generation for fork in catalogue.changes.forks}
    assert generations == {1, 2}
    assert not set(catalogue.changes.removed) & set(catalogue.changes.updated)
    assert not catalogue.entries["active"][catalogue.changes.removed].any()


def test_one_to_one_never_forks_and_relates_what_is_left():
    catalogue = RunningCatalogue()
    associate(catalogue, sources(123.0, 10.0, flux=1.0), key=LOW)
    associate(catalogue, sources(123.0, 10.0, flux=2.0), key=HIGH)
    catalogue.begin_timestep()
    found = sources([123.0, 123.0, 124.0], [9.9999, 10.002, 10.0], flux=[1.0, 5.0, 1.0])
    points = associate(catalogue, found, day=1, key=LOW)
    # The far one of two measurements near the entry is a new source, with a light curve of its own.
    assert dict(zip(points.measurement.tolist(), points.entry.tolist(), strict=True)) == {0: 0, 1: 1, 2: 2}
    assert dict(zip(points.measurement.tolist(), points.type.tolist(), strict=True)) == {0: 3, 1: 4, 2: 4}
    assert catalogue.entries["active"].all()
    assert (list(catalogue.fluxes(LOW)["n"]), list(catalogue.fluxes(HIGH)["n"])) == ([2, 1, 1], [1, 0, 0])
    assert catalogue.fluxes(LOW)["mean_f_int"][1] == 5.0
    assert catalogue.changes.lineage == [Kin(1, 0, Descent.NEIGHBOUR)]
    assert len(catalogue.changes.forks) == 0


def test_changes_list_created_and_updated_entries():
    catalogue = RunningCatalogue()
    associate(catalogue, sources([123.0, 124.0], 10.0))
    catalogue.begin_timestep()
    associate(catalogue, sources([124.0, 125.0], 10.0), day=1)
    assert list(catalogue.changes.updated) == [1]
    ((rows, image, measurements),) = catalogue.changes.created
    assert (list(rows), image, list(measurements)) == ([2], 0, [1])


@pytest.mark.parametrize(("day", "expected"), [(0, []), (1, [1])])
def test_null_detections_are_entries_first_seen_earlier(day, expected):
    catalogue = RunningCatalogue()
    points = associate(catalogue, sources([123.0, 124.0], 10.0))
    missed = catalogue.null_detections(SKY, taustart=START + day * DAY, associated=points.entry[:1], expiration=10)
    assert list(missed) == expected


def test_null_detections_stay_within_the_region_and_the_expiration():
    catalogue = RunningCatalogue()
    associate(catalogue, sources([123.0, 150.0], 10.0))
    for missed in ([0], [], []):
        rows = catalogue.null_detections(SKY, taustart=START + DAY, associated=[], expiration=1)
        assert list(rows) == ([0] if missed else [])
        catalogue.count_forced_fits(rows, np.empty(0, np.int64))


def test_forced_fit_in_one_band_does_not_count_where_another_band_detects():
    catalogue = RunningCatalogue()
    associate(catalogue, sources(123.0, 10.0))
    row = np.array([0])
    catalogue.count_forced_fits(row, row)
    assert catalogue.entries["forcedfits_count"][0] == 0


def grid(low, high):
    # Unit vectors cannot resolve 1e-17 degrees. The order of rows would decide there, so positions are on a grid.
    return st.integers(int(low * 1e9), int(high * 1e9)).map(lambda n: n / 1e9)


positions = st.lists(st.tuples(grid(0.0, 0.5), grid(-0.5, 0.5)), min_size=1, max_size=8)


@pytest.mark.parametrize("method", ["one-to-one", "trap"])
@settings(max_examples=40, deadline=None)
@given(st.lists(positions, min_size=2, max_size=4), st.sampled_from([0.0, 90.0, 180.0, 270.0]))
def test_catalogue_does_not_depend_on_the_order_of_rows(method, epochs, ra):
    forward, backward = RunningCatalogue(), RunningCatalogue()
    for day, epoch in enumerate(epochs):
        # Up to half a degree apart: some pairs tangle, most do not.
        found = sources([(ra + x / 10) % 360 for x, _ in epoch], [y / 10 for _, y in epoch])
        associate(forward, found, day=day, method=method)
        associate(backward, found.take(slice(None, None, -1)), day=day, method=method)
    states = [
        np.sort(catalogue.entries[catalogue.entries["active"]], order=["wm_ra", "wm_dec", "datapoints"])
        for catalogue in (forward, backward)
    ]
    assert (states[0] == states[1]).all()
