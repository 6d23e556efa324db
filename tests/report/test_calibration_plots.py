from __future__ import annotations

import numpy as np
import pytest

from trap.calibration.displacement import Displacement
from trap.report.calibration_plots import plot_calibrations, plot_displacement


def columns(n=4, **changes):
    """Make the columns of images with gains 1 to n; the first is not corrected."""
    is_applied = np.arange(n) > 0
    values = {
        "taustart_ts": np.datetime64("2026-01-01", "us") + np.arange(n) * np.timedelta64(3600, "s"),
        "freq_central": np.full(n, 140e6),
        "band": np.ones(n, int),
        "stokes": np.ones(n, int),
        "gain": np.arange(n) + 1.0,
        "shift_ew": np.arange(n) * 1.0,
        "shift_ns": np.arange(n) * -2.0,
        "flux_applied": is_applied,
        "position_applied": is_applied,
        "position_scatter_before": np.full(n, 2.0),
        "position_scatter": np.full(n, 0.2),
        **{name: np.full(n, 0.1) for name in ("gain_err", "shift_ew_err", "shift_ns_err")},
    }
    return {**values, **changes}


def points(ax, face):
    """Return the heights of the points of a panel that have this colour inside."""
    lines = [line for line in ax.lines if line.get_marker() == "o" and line.get_markerfacecolor() == face]
    return [float(value) for line in lines for value in line.get_ydata()]


def test_values_are_relative_and_those_only_measured_are_open():
    gain, east, north, scatter = plot_calibrations(columns()).axes
    assert points(gain, "white") == pytest.approx([0.4])  # 1 of a mean of 2.5
    assert points(gain, "#0072b2") == pytest.approx([0.8, 1.2, 1.6])
    assert points(east, "#0072b2") == pytest.approx([-0.5, 0.5, 1.5])
    assert points(north, "white") == pytest.approx([3.0])
    assert points(scatter, "white") == [2.0] * 4
    assert points(scatter, "#0072b2") == [0.2] * 4


def test_bands_have_colours_and_stokes_v_is_not_drawn():
    figure = plot_calibrations(columns(band=np.array([1, 2, 1, 2]), stokes=np.array([1, 1, 1, 4]),
                                       freq_central=np.array([140e6, 60e6, 140e6, 60e6])))  # fmt: skip
    gain = figure.axes[0]
    assert [text.get_text() for text in gain.get_legend().get_texts()] == ["60 MHz", "140 MHz"]
    assert sum(len(points(gain, face)) for face in ("white", "#0072b2", "#d55e00")) == 3


def test_images_without_any_value_are_an_empty_figure(tmp_path):
    nothing = dict.fromkeys(("gain", "shift_ew", "shift_ns", "position_scatter_before", "position_scatter"))
    figure = plot_calibrations(columns(**{name: np.full(4, np.nan) for name in nothing}))
    figure.savefig(tmp_path / "empty.png")
    assert points(figure.axes[0], "white") == points(figure.axes[0], "#0072b2") == []


def arrows(ax):
    """Return the directions of the arrows of a panel, in the units of the axes."""
    (quiver,) = [one for one in ax.collections if hasattr(one, "U")]
    return np.asarray(quiver.U), np.asarray(quiver.V), quiver.get_offsets()


def test_arrows_point_to_where_the_image_shows_the_sources():
    left, right = plot_displacement("an image", Displacement(ra=0.0, dec=60.0, shift=(3 / 3600, 4 / 3600))).axes
    east, north, _ = arrows(left)
    # On the sky of declination 60°, east at a point of the rim is turned a little from east at the centre.
    assert np.median(north / east) == pytest.approx(4 / 3, rel=0.01)
    assert left.get_xlim()[0] > left.get_xlim()[1]
    assert left.get_title() == "mean 3″ east, 4″ north"
    assert right.get_title() == "without the mean"


def test_linear_part_grows_towards_the_rim():
    # A field that is stretched along east by 2″ at the rim of 0.5°.
    stretched = Displacement(ra=180.0, dec=0.0, scale=0.5, linear=(2 / 3600, 0.0, 0.0, 0.0))
    east, _, offsets = arrows(plot_displacement("an image", stretched).axes[0])
    slope = np.polyfit(offsets[:, 0], east, 1)[0]
    assert slope > 0
    assert east == pytest.approx(slope * offsets[:, 0], abs=1e-6)


def test_no_displacement_is_a_figure_of_points(tmp_path):
    plot_displacement("an image", Displacement(ra=10.0, dec=-30.0)).savefig(tmp_path / "zero.png")
