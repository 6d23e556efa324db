from __future__ import annotations

import numpy as np
import pytest

from trap.catalogues import Flag, Measurements
from trap.finder.shapes import SourceShapes
from trap.report.sources import skymodel_text, sources_text
from trap.report.text import flag_names

SOURCES = Measurements.of(
    x=[10.0, 20.0, 30.0], y=[10.0, 20.0, 30.0], ra=[0.5, 359.999999999, 15.0], dec=[-0.25, 45.5, 10.0],
    ew_fit_err=1e-4, ns_fit_err=2e-4, f_peak=[0.5, 0.02, np.nan], f_peak_err=0.001, f_int=[0.6, 0.02, np.nan],
    f_int_err=0.002, rms=0.001, significance=[500.0, 20.0, np.nan], semimajor=[6.0, 5.0, 5.0],
    semiminor=[5.0, 4.0, 4.0], pa=[10.0, 100.0, 100.0], flags=[0, 6, 16],
)  # fmt: skip
SHAPES = SourceShapes.of(
    semimajor_err=0.1, semiminor_err=0.1, pa_err=1.0, semimajor_dc=[3.0, 0, 0], semimajor_dc_err=0.1,
    semiminor_dc=[2.0, 0, 0], semiminor_dc_err=0.1, pa_dc=[12.0, 0, 0], pa_dc_err=2.0, n_unresolved=[0, 2, 2],
)  # fmt: skip


def test_table_has_a_line_for_each_source():
    _, resolved, point, lost = sources_text(SOURCES, SHAPES).splitlines()
    assert resolved.split()[:5] == ["1", "0.50000", "-0.25000", "0.36", "0.72"]
    assert resolved.endswith("3 × 2")
    assert point.endswith("point  blended, edge")
    assert "–" in lost
    assert lost.endswith("outside")


def test_table_shows_the_names_of_sources():
    assert sources_text(SOURCES, SHAPES, ["GRB", "", "calibrator"]).splitlines()[3].startswith("calibrator")


def test_no_sources_are_no_table():
    assert sources_text(Measurements.empty(), SourceShapes.empty()) == ""


@pytest.mark.parametrize(("flags", "names"), [(0, ""), (1, "fit failed"), (Flag.EDGE | Flag.BLENDED, "blended, edge")])
def test_flags_are_named(flags, names):
    assert flag_names(int(flags)) == names


def test_sky_model_points_and_gaussians():
    lines = skymodel_text(SOURCES, SHAPES, frequency_hz=1.4e9).splitlines()[2:]
    # Deconvolved full widths, in arcsec: 2 × 3 and 2 × 2. A declination just south of the equator keeps its sign, and
    # a right ascension that rounds up to 24 h is 0 h.
    assert lines == [
        "source_1, GAUSSIAN, 00:02:00.0000, -00.15.00.000, 0.6, 0, 0, 0, 6.000, 4.000, 12.00, 1.400000e+09, [0]",
        "source_2, POINT, 00:00:00.0000, +45.30.00.000, 0.02, 0, 0, 0, 0.000, 0.000, 0.00, 1.400000e+09, [0]",
    ]


@pytest.mark.parametrize(("stokes", "fluxes"), [(1, "0.02, 0, 0, 0"), (4, "0, 0, 0, 0.02"), (-5, "0.02, 0, 0, 0")])
def test_sky_model_puts_the_flux_density_where_its_stokes_parameter_belongs(stokes, fluxes):
    line = skymodel_text(SOURCES, SHAPES, frequency_hz=1.4e9, stokes=stokes).splitlines()[-1]
    assert f"+45.30.00.000, {fluxes}, 0.000" in line
