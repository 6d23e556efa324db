"""Merging of the catalogues of several datasets."""

import numpy as np
import pytest

from trap.angles import move, separation
from trap.association.merging import MergeLimits, merge_catalogues
from trap.association.pairs import Positions

ARCSEC = 1 / 3600
LIMITS = MergeLimits(max_radius=5.68, search_radius=60 * ARCSEC, coincidence=4 * ARCSEC)


def _catalogue(ra, dec, error_arcsec=1.0) -> Positions:
    return Positions.of(ra=ra, dec=dec, uncertainty_ew=error_arcsec * ARCSEC, uncertainty_ns=error_arcsec * ARCSEC)


@pytest.mark.parametrize("centre", [(10.0, -30.0), (0.0, 45.0), (90.0, 0.0), (200.0, 89.99), (300.0, -90.0)])
@pytest.mark.parametrize("seed", [1, 2])
def test_each_source_of_three_seasons_becomes_one_source(centre, seed):
    rng = np.random.default_rng(seed)
    n = 400
    east, north = rng.uniform(-1, 1, (2, n))
    ra, dec = move(np.full(n, centre[0]), np.full(n, centre[1]), east, north)
    shown = [rng.permutation(n)[: rng.integers(250, 400)] for _ in range(3)]
    catalogues = []
    for rows in shown:
        error_e, error_n = rng.normal(0, 0.5 * ARCSEC, (2, len(rows)))
        catalogues.append(_catalogue(*move(ra[rows], dec[rows], error_e, error_n), error_arcsec=0.5))
    sources, positions = merge_catalogues(catalogues, LIMITS)
    is_alone = [separation(ra[i], dec[i], np.delete(ra, i), np.delete(dec, i)).min() > 30 * ARCSEC for i in range(n)]
    truth = {}
    for rows, numbers in zip(shown, sources, strict=True):
        assert len(set(numbers.tolist())) == len(numbers)  # one entry of each catalogue at most
        for row, number in zip(rows.tolist(), numbers.tolist(), strict=True):
            if is_alone[row]:
                truth.setdefault(row, set()).add(number)
    assert all(len(numbers) == 1 for numbers in truth.values())
    assert len(set().union(*truth.values())) == len(truth)
    assert len(positions) == len({number for numbers in sources for number in numbers.tolist()})


def test_seasons_whose_frames_differ_by_more_than_their_errors_are_merged():
    ra, dec = np.array([10.0, 10.1]), np.array([20.0, 20.0])
    first = _catalogue(ra, dec, error_arcsec=0.01)
    second = _catalogue(*move(ra, dec, np.full(2, 1.5 * ARCSEC), np.zeros(2)), error_arcsec=0.01)
    sources, positions = merge_catalogues([first, second], LIMITS)
    assert [numbers.tolist() for numbers in sources] == [[0, 1], [0, 1]]
    assert separation(positions.ra, positions.dec, ra, dec) == pytest.approx(0.75 * ARCSEC, rel=1e-3)  # equal weights
    assert positions.uncertainty_ew == pytest.approx(0.01 * ARCSEC / np.sqrt(2))


def test_the_nearer_one_of_two_entries_is_the_source_and_the_other_one_another():
    first = _catalogue([10.0], [0.0])
    second = _catalogue([10.0 + 3 * ARCSEC, 10.0 - 1 * ARCSEC], [0.0, 0.0])
    sources, _ = merge_catalogues([first, second], LIMITS)
    assert [numbers.tolist() for numbers in sources] == [[0], [1, 0]]


def test_entries_of_a_chain_are_paired_nearest_first():
    # Of the pairs (0, a) 2″, (1, a) 1″ and (1, b) 3″, the second comes first; then no other pair is free.
    first = _catalogue([10.0, 10.0 + 3 * ARCSEC], [0.0, 0.0])
    second = _catalogue([10.0 + 2 * ARCSEC, 10.0 + 6 * ARCSEC], [0.0, 0.0])
    sources, _ = merge_catalogues([first, second], MergeLimits(3.0, 60 * ARCSEC, 3.5 * ARCSEC))
    assert [numbers.tolist() for numbers in sources] == [[0, 1], [1, 2]]


def test_the_result_does_not_depend_on_the_order_of_rows():
    rng = np.random.default_rng(3)
    ra, dec = 10 + rng.uniform(0, 30 * ARCSEC, 20), rng.uniform(0, 30 * ARCSEC, 20)
    first, second = _catalogue(ra[:10], dec[:10]), _catalogue(ra[10:], dec[10:])
    turned = slice(None, None, -1)
    (_, there), _ = merge_catalogues([first, second], LIMITS)
    (_, back), _ = merge_catalogues([first, second.take(turned)], LIMITS)
    known = there < 10
    assert back[turned][known].tolist() == there[known].tolist()
    assert (back[turned] < 10).tolist() == known.tolist()


def test_an_empty_catalogue_adds_nothing():
    sources, positions = merge_catalogues([Positions.empty(), _catalogue([1.0], [2.0]), Positions.empty()], LIMITS)
    assert [numbers.tolist() for numbers in sources] == [[], [0], []]
    assert positions.ra.tolist() == [1.0]
