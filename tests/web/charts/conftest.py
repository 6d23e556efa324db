"""Made-up points of light curves, and the data sources of a chart."""

import numpy as np
import pytest
from bokeh.models import ColumnDataSource

from trap.codes import ExtractType

BLIND, FORCED, MONITORED, JOINT = (int(kind) for kind in ExtractType)


def _points(flux, error, kinds=None, **columns):
    """Return points of daily images of ten minutes in one band of Stokes I; flux densities in Jy."""
    n = len(flux)
    start = np.datetime64("2026-01-01T00:00:00", "us")
    points = {
        "taustart_ts": start + np.arange(n) * np.timedelta64(1, "D"),
        "tau_time": np.full(n, 600.0),
        "freq_central": np.full(n, 150e6),
        "freq_eff": np.full(n, 150e6),
        "band": np.ones(n, int),
        "stokes": np.ones(n, int),
        "f_int": np.asarray(flux, float),
        "f_int_err": np.asarray(error, float),
        "f_peak": 0.5 * np.asarray(flux, float),
        "f_peak_err": 0.5 * np.asarray(error, float),
        "f_int_raw": np.full(n, np.nan),
        "f_peak_raw": np.full(n, np.nan),
        "gain_err": np.zeros(n),
        "rms": np.full(n, 1e-3),
        "extract_type": np.full(n, BLIND) if kinds is None else np.array(kinds),
        "flags": np.zeros(n, int),
        "image": np.arange(n) + 100,
    }
    return points | {name: np.asarray(values) for name, values in columns.items()}


@pytest.fixture
def points():
    """Return the function that makes points of a light curve."""
    return _points


@pytest.fixture
def sources():
    """Return the function that finds the data sources of a chart whose points a tap selects."""

    def find(chart):
        found = chart.model.select({"type": ColumnDataSource, "name": "points"})
        return sorted(found, key=lambda source: int(source.id.removeprefix("p")))  # in the order of their making

    return find
