import numpy as np
import pytest

from trap.variability.outliers import fit_bulk


def normal(n=100_000, mean=0.3, sigma=0.2):
    return np.random.default_rng(1).normal(mean, sigma, n)


def test_mean_and_sigma_of_normal_values_are_found():
    fit = fit_bulk(normal())
    # The standard errors are 0.2/√n = 0.0006 and 0.2/√2n = 0.0005.
    assert fit.mean == pytest.approx(0.3, abs=0.003)
    assert fit.sigma == pytest.approx(0.2, abs=0.003)
    # 0.27 % of the values lie beyond 3 σ.
    assert fit.n == pytest.approx(99_730, abs=80)


@pytest.mark.parametrize("share", [0.01, 0.1])
def test_variables_do_not_move_the_fit(share):
    values = normal()
    n = int(share * len(values))
    values[:n] = np.random.default_rng(2).uniform(1.3, 4.0, n)  # 5 σ and more above the mean
    fit = fit_bulk(values)
    assert fit.mean == pytest.approx(0.3, abs=0.004)
    assert fit.sigma == pytest.approx(0.2, abs=0.004)


def test_density_is_the_expected_number_per_unit():
    fit = fit_bulk(normal())
    # 100,000 values with a density of 1 / (0.2 √2π) = 1.9947 at the mean, and e^-2 of that 2 σ above it.
    assert fit.density(np.array([0.3, 0.7])) == pytest.approx([199_471, 26_996], rel=0.03)
    assert fit.at(2.0) == pytest.approx(0.7, abs=0.006)


@pytest.mark.parametrize(
    "values", [np.zeros(0), np.arange(9.0), np.ones(50), np.r_[np.arange(9.0), np.nan, np.inf]],
    ids=["none", "few", "equal", "few finite ones"],
)  # fmt: skip
def test_values_without_a_distribution_have_no_fit(values):
    assert fit_bulk(values) is None
