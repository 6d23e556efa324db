"""Settings of the calibration."""

from __future__ import annotations

import pytest

from trap.config import PipelineConfig
from trap.config.calibration import column_choices
from trap.errors import ConfigError


def test_columns_are_named_by_role_with_or_without_a_unit():
    choices = column_choices(("ra=RAJ2000", "flux = S 1.4 (total) [mJy]", "flux_err=dS[1]"))
    assert choices == {"ra": ("RAJ2000", ""), "flux": ("S 1.4 (total)", "mJy"), "flux_err": ("dS", "1")}


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("position_columns", "RAJ2000", "'RAJ2000' is not of the form ROLE=COLUMN"),
        ("position_columns", "flux=S", "no column has the role 'flux'; choose from ra, dec, ra_err, dec_err"),
        ("flux_columns", "frequency=nu", "no column has the role 'frequency'"),
        ("flux_columns", "flux=", "not of the form"),
    ],
)
def test_impossible_columns_are_refused(setting, value, message):
    with pytest.raises(ConfigError, match=rf"calibration\.{setting}: .*{message}"):
        PipelineConfig().with_options(calibration={setting: (value,)})


def test_role_given_twice_is_refused():
    with pytest.raises(ConfigError, match="ra is given twice"):
        PipelineConfig().with_options(calibration={"flux_columns": ("ra=a", "ra=b")})
