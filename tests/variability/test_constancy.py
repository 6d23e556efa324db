"""Light curves against constant sources."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from trap.variability.constancy import compare_with_constant


@pytest.mark.parametrize("n", [20, 1000])
@pytest.mark.parametrize("power", [1.0, 1.3])
def test_distance_and_probability_equal_the_exact_test(n, power):
    values = np.random.default_rng(3).random(n) ** power
    exact, ours = kstest(values, "uniform"), compare_with_constant(values)
    assert ours.distance == pytest.approx(exact.statistic)
    assert ours.p_value == pytest.approx(exact.pvalue, abs=0.02)


def test_light_curves_of_one_point_are_left_out():
    assert compare_with_constant([np.nan, 0.5]).n == 1
    assert compare_with_constant([np.nan]) is None
