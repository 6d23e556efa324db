"""The example that docs/method/calibration.md goes through by hand, by the code; the numbers are those of the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trap.calibration.calibrators import Matches
from trap.calibration.fluxes import solve_flux_scale
from trap.calibration.positions import Field, solve_positions
from trap.calibration.scatter import SIGNIFICANT, excess_variance
from trap.config import CalibrationConfig

PAGE = Path(__file__).parents[2] / "docs" / "method" / "calibration.md"
ARCSEC = 1 / 3600
SETTINGS = CalibrationConfig()


def says(text):
    return text in PAGE.read_text(encoding="utf-8")


@pytest.fixture
def matches():
    return Matches(
        row=np.arange(5),
        u=[0.0, 0.1, -0.1, 0.0, 0.0],
        v=[0.0, 0.0, 0.0, 0.1, -0.1],
        d_u=np.array([1.9, 2.0, 2.0, 2.0, 2.1]) * ARCSEC,
        d_v=np.array([0.1, -0.1, 0.0, 0.1, -0.1]) * ARCSEC,
        var_u=(0.16 * ARCSEC) ** 2,
        var_v=(0.16 * ARCSEC) ** 2,
        ref_var_u=(0.12 * ARCSEC) ** 2,
        ref_var_v=(0.12 * ARCSEC) ** 2,
        f_int=np.array([0.108, 0.109, 0.110, 0.111, 0.112]),
        f_int_err=0.002,
        ref_f_int=0.1,
        ref_f_int_err=0.0,
    )


def test_shift_and_scatter(matches):
    field = Field(matches=matches, ra=0.0, dec=0.0, beam=10 * ARCSEC, frequency=1e9, reference="", is_varying=True)
    (solution,) = solve_positions([field], SETTINGS)
    assert solution.model == "shift"
    assert (solution.shift_ew, solution.shift_ns) == pytest.approx((2.0, 0.0), abs=1e-6)
    assert solution.shift_ew_err == pytest.approx(0.0716, abs=5e-5)
    assert says(r"0.16''/\sqrt 5 = 0.0716''")
    assert solution.scatter_before == pytest.approx(1.416, abs=5e-4)
    # The weights of the biweight are a little below 1, which the page leaves out.
    assert solution.scatter == pytest.approx(0.097, abs=5e-4)
    assert says(r"\sqrt{20.06/10} = 1.416''$; after: $\sqrt{6 \cdot 0.125^2/10} = 0.097''")
    assert (solution.ew_sys_err, solution.ns_sys_err) == (0.0, 0.0)


def test_scatter_beyond_the_errors():
    residuals = np.array([0.6, -0.6, 0.6, -0.6, 0.0])
    # With a limit far above all residuals, the weights of 1 take nothing of the scatter away.
    excess = excess_variance(residuals, np.full(5, 0.04), np.ones(5), 1.0, limit=60.0)
    assert excess == pytest.approx(0.32, abs=5e-3)
    assert np.sqrt(excess) == pytest.approx(0.566, abs=5e-3)
    assert says("s = 0.566''")
    assert 4 + SIGNIFICANT * np.sqrt(8) == pytest.approx(15.3, abs=0.05)
    assert says(r"4 + 4\sqrt 8 = 15.3")


def test_gain_and_the_correction_of_a_calibrator(matches):
    scale, own = solve_flux_scale(matches, SETTINGS, reference="", is_varying=False)
    assert scale.is_applied
    assert scale.gain == pytest.approx(1.1)
    assert scale.gain_err == pytest.approx(0.0089, abs=1e-4)
    assert (scale.gain - 1) / scale.gain_err == pytest.approx(11, abs=0.5)
    assert says(r"2/(100 \sqrt 5) = 0.0089")
    assert own.gain[0] == pytest.approx(1.105, abs=5e-4)
    assert 108 / own.gain[0] == pytest.approx(97.7, abs=0.1)
    assert says("442/400 = 1.105: it becomes 97.7 mJy")
