import math
from itertools import pairwise

import numpy as np
import pytest

from trap.errors import ConfigError
from trap.simulation.counts import HOPKINS_2003, MANDAL_2021

SQUARE_DEGREE = math.radians(1) ** 2


@pytest.mark.parametrize(
    ("counts", "expected"), [(MANDAL_2021, (45.2, 93.2, 700, 3286)), (HOPKINS_2003, (7.23, 41.9, 231, 459))]
)
def test_euclidean_counts_equal_the_published_ones(counts, expected):
    assert counts.euclidean([1e-3, 1e-2, 0.1, 1.0]) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [(MANDAL_2021, (336, 68.7, 42.0, 14.1, 8.30)), (HOPKINS_2003, (88.5, 27.7, 16.6, 4.07, 1.95))],
)
def test_numbers_per_square_degree_equal_the_published_ones(counts, expected):
    numbers = [counts.number(flux) * SQUARE_DEGREE for flux in (1e-3, 5e-3, 1e-2, 0.05, 0.1)]
    assert numbers == pytest.approx(expected, rel=0.005)


def test_drawn_fluxes_follow_the_counts():
    n, edges = 20_000, np.array([1e-3, 3e-3, 1e-2, 0.1])
    flux = HOPKINS_2003.draw(np.random.default_rng(1), n, edges[0], edges[-1])
    found, _ = np.histogram(flux, edges)
    share = [HOPKINS_2003.number(*limits) for limits in pairwise(edges)]
    expected = n * np.array(share) / sum(share)
    assert found.sum() == n
    assert np.all(np.abs(found - expected) < 4 * np.sqrt(expected))


def test_counts_are_not_used_outside_their_range():
    assert HOPKINS_2003.number(1e-9) == HOPKINS_2003.number(0.05e-3)
    with pytest.raises(ConfigError, match=r"no counts between 2\.0 and inf Jy"):
        HOPKINS_2003.number(2.0)
