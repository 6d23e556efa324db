from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from trap.report.plots import LightCurve, plot_eta_v, plot_light_curves, save_figure


def curve(n=4, *, title="a source", **changes):
    time = np.datetime64("2026-01-01T00:00:00", "us") + np.arange(n) * np.timedelta64(3_600_000_000, "us")
    columns = {
        "time": time,
        "band_mhz": np.where(np.arange(n) % 2, 1480.0, 1280.0),
        "flux": np.linspace(1e-3, 2e-3, n),
        "error": np.full(n, 1e-4),
        "extract_type": np.arange(n) % 2,
    }
    return LightCurve(title=title, **{**columns, **changes})


def test_every_light_curve_has_a_panel_with_its_title():
    figure = plot_light_curves([curve(title=f"source {i}") for i in range(4)])
    assert [ax.get_title() for ax in figure.axes] == [f"source {i}" for i in range(4)]


def test_flux_densities_are_drawn_in_mjy():
    (ax,) = plot_light_curves([curve()]).axes
    drawn = [value for line in ax.lines if line.get_marker() == "o" for value in line.get_ydata()]
    assert sorted(drawn) == pytest.approx([1.0, 4 / 3, 5 / 3, 2.0])


def test_forced_fits_are_open_and_detections_filled():
    (ax,) = plot_light_curves([curve(2)]).axes
    faces = [line.get_markerfacecolor() for line in ax.lines if line.get_marker() == "o" and len(line.get_ydata())]
    assert sorted(faces) == ["#0072b2", "white"]


def test_stokes_parameters_of_a_band_have_markers_of_their_own():
    figure = plot_light_curves([curve(4, band_mhz=np.full(4, 1280.0), stokes=np.array([1, 1, 4, -5]))])
    (ax,) = figure.axes
    drawn = {line.get_marker(): line.get_ydata().size for line in ax.lines if line.get_marker() in "ovs^D"}
    assert set(drawn) == {"o", "^", "v"}
    labels = [text.get_text() for text in figure.legends[0].texts]
    assert labels == ["1280 MHz", "Stokes XX", "Stokes I", "Stokes V", "forced fit"]
    assert len({handle.get_marker() for handle in figure.legends[0].legend_handles[1:4]}) == 3


def test_band_has_one_colour_in_all_panels():
    figure = plot_light_curves([curve(1, band_mhz=np.array([1480.0])), curve(1, band_mhz=np.array([1280.0]))])
    colours = [next(line.get_color() for line in ax.lines if len(line.get_ydata()) == 1) for ax in figure.axes]
    assert colours == ["#d55e00", "#0072b2"]


@pytest.mark.parametrize("n", [1, 2, 4])
@pytest.mark.parametrize("columns", [1, 2, 3])
def test_legend_lies_within_the_figure(n, columns):
    many = curve(4, band_mhz=np.array([1280.0, 1380.0, 1480.0, 1580.0]), flux=np.full(4, -1e-3))
    figure = plot_light_curves([many] * n, columns=columns)
    figure.canvas.draw()
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1


def test_truth_is_drawn_and_named():
    time = curve().time
    figure = plot_light_curves([curve(truth={1280.0: (time, np.full(4, 1e-3))})])
    assert "injected" in [text.get_text() for text in figure.legends[0].texts]


def test_eta_v_skips_values_without_a_logarithm():
    v_int, eta_int = np.array([0.1, 0.0, np.nan, 0.2]), np.array([1.0, 2.0, 3.0, -1.0])
    (ax,) = plot_eta_v(v_int, eta_int).axes
    assert [line.get_xdata().tolist() for line in ax.lines] == [[0.1]]


def test_eta_v_of_nothing_is_an_empty_figure(tmp_path):
    save_figure(plot_eta_v(np.array([0.0]), np.array([0.0]), np.array(["steady"])), tmp_path / "empty.png")
    assert (tmp_path / "empty.png").exists()


def test_eta_v_names_the_kinds():
    (ax,) = plot_eta_v(np.array([0.1, 0.2]), np.array([1.0, 9.0]), np.array(["steady", "variable"])).axes
    assert [text.get_text() for text in ax.get_legend().texts] == ["steady", "variable"]


@pytest.mark.parametrize("n", [1, 3, 30])
def test_figures_of_any_length_are_saved_without_a_display(n, tmp_path):
    save_figure(plot_light_curves([curve(n)]), tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_unknown_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match="xyz"):
        save_figure(plot_light_curves([curve()]), tmp_path / "curve.xyz")


def test_module_does_not_import_matplotlib():
    code = "import sys, trap.report.plots; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_forced_fits_without_a_detection_are_arrows_from_the_upper_limit():
    flux, error = np.array([-2e-4, 1e-4, 2e-3, 3e-3]), np.full(4, 1e-4)
    figure = plot_light_curves(
        [curve(flux=flux, error=error, band_mhz=np.full(4, 1280.0), extract_type=np.array([1, 1, 1, 0]))]
    )
    (ax,) = figure.axes
    limits = [value for line in ax.lines if line.get_marker() == "_" for value in line.get_ydata()]
    # Three errors above zero, and above a positive fit.
    assert limits == pytest.approx([0.3, 0.4])
    points = [value for line in ax.lines if line.get_marker() == "o" for value in line.get_ydata()]
    assert sorted(points) == pytest.approx([2.0, 3.0])
    assert "upper limit" in [text.get_text() for text in figure.legends[0].texts]


def test_legend_of_detections_has_no_upper_limit():
    figure = plot_light_curves([curve()])
    assert "upper limit" not in [text.get_text() for text in figure.legends[0].texts]


def test_negative_fit_of_stokes_v_is_a_detection():
    figure = plot_light_curves([curve(1, flux=np.array([-2e-3]), extract_type=np.array([1]), stokes=np.array([4]))])
    assert "upper limit" not in [text.get_text() for text in figure.legends[0].texts]
