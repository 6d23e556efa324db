"""Owners of points on skies of two to four sources, whose χ² fit on paper."""

import numpy as np
import pytest

from trap.simulation.ownership import LightCurvePoints, TrueSources, own_points

BEAM = 0.01
NEAR = 0.7 * BEAM


def sources(*places, flux):
    """Sources on the equator at multiples of the beam; ``flux`` has a row per source."""
    ra = 50 + BEAM * np.array(places, float)
    return TrueSources(ra=ra, dec=np.zeros(len(ra)), flux=np.array(flux, float), beam=BEAM)


def points(*rows):
    """Points of (entry, image, place in beams, flux) with an error of 1."""
    entry, image, place, flux = (np.array(values) for values in zip(*rows, strict=True))
    small = np.full(len(entry), 0.02 * BEAM)
    return LightCurvePoints(
        entry=entry, image=image, ra=50 + BEAM * place, dec=np.zeros(len(entry)), position_error=small, flux=flux,
        flux_error=np.ones(len(entry)),
    )  # fmt: skip


def owners(ownership):
    return [tuple(owner) for owner in ownership.of_point]


PAIR = sources(0, 0.7, flux=[[50.0] * 4, [30.0] * 4])


def test_entries_of_two_sources_are_pure_and_whole():
    rows = [(1, t, 0.0, 50.0 + t) for t in range(4)] + [(2, t, 0.7, 30.0 - t) for t in range(4)]
    ownership = own_points(points(*rows), PAIR)
    assert owners(ownership) == [(-1, 0)] * 4 + [(-1, 1)] * 4
    assert list(ownership.main_entry) == [0, 1]
    assert (ownership.purity, ownership.wholeness(np.ones(8, bool))) == (1, 1)


def test_point_of_a_neighbour_is_foreign():
    rows = [(1, 0, 0.0, 50.0), (1, 1, 0.0, 50.0), (1, 2, 0.7, 30.0), (2, 0, 0.7, 30.0), (2, 1, 0.7, 30.0)]
    ownership = own_points(points(*rows), PAIR)
    assert list(ownership.is_foreign) == [False, False, True, False, False]
    assert ownership.purity == pytest.approx(4 / 5)
    # The neighbour has three points, of which two are in its main entry.
    assert ownership.wholeness(np.ones(5, bool)) == pytest.approx(4 / 5)
    assert ownership.wholeness(np.array([True, True, True, False, False])) == pytest.approx(2 / 3)


def test_two_sources_that_are_always_seen_as_one_are_pure():
    # The sum of both, at 0.7 · 30 / 80 = 0.2625 beams.
    rows = [(1, t, 0.2625, 80.0) for t in range(4)]
    ownership = own_points(points(*rows), PAIR)
    assert owners(ownership) == [(0, 1)] * 4
    assert ownership.purity == 1
    assert not ownership.is_single.any()
    assert np.isnan(ownership.wholeness(np.ones(4, bool)))


def test_entry_that_changes_between_one_and_two_sources_is_mixed():
    rows = [(1, 0, 0.2625, 80.0), (1, 1, 0.0, 50.0), (1, 2, 0.0, 50.0), (1, 3, 0.0, 50.0)]
    ownership = own_points(points(*rows), PAIR)
    assert list(ownership.is_foreign) == [True, False, False, False]


def test_noise_that_favours_another_owner_is_not_foreign():
    # The neighbour has 3 σ: the sum explains 54 better than the source of 50, which is not excluded.
    faint = sources(0, 0.7, flux=[[50.0], [3.0]])
    ownership = own_points(points((1, 0, 0.0, 50.0), (1, 0, 0.0, 50.0), (1, 0, 0.05, 54.0)), faint)
    assert owners(ownership)[2] == (0, 1)
    assert not ownership.is_foreign.any()


def test_source_that_is_off_owns_no_flux():
    transient = sources(0, 0.7, flux=[[0.0, 40.0], [20.0, 20.0]])
    # Before: nothing at its place, and the neighbour's flux density copied into its entry.
    rows = [(1, 0, 0.01, 0.5), (1, 1, 0.0, 40.0), (1, 1, 0.0, 41.0), (1, 0, 0.7, 20.0), (1, 0, 9.0, 20.0)]
    ownership = own_points(points(*rows), transient)
    assert owners(ownership) == [(-1, -1), (-1, 0), (-1, 0), (-1, 1), (-1, -1)]
    assert list(ownership.is_foreign) == [False, False, False, True, False]


def test_points_without_a_flux_density_or_a_sky_show_nothing():
    for sky in (PAIR, sources(flux=np.zeros((0, 4)))):
        ownership = own_points(points((1, 0, 0.0, np.nan), (1, 1, np.nan, 50.0)), sky)
        assert owners(ownership) == [(-1, -1)] * 2
        assert np.isnan(ownership.purity)
        assert list(ownership.main_entry) == [-1] * len(sky.ra)


def test_third_source_out_of_reach_does_not_matter():
    rows = [(1, t, 0.0, 50.0) for t in range(4)]
    crowd = sources(0, 0.7, -5, 5, flux=[[50.0] * 4, [30.0] * 4, [50.0] * 4, [50.0] * 4])
    assert owners(own_points(points(*rows), crowd)) == [(-1, 0)] * 4
