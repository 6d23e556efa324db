"""Figures: the contents of the axes that a notebook gets, or gives."""

from __future__ import annotations

import matplotlib as mpl

mpl.use("agg")

import numpy as np
import pytest
from astropy.timeseries import TimeSeries
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from results_survey import url_of
from sqlalchemy import text

from trap.errors import ConfigError
from trap.results import open_dataset


@pytest.fixture
def dialect():
    """Figures do not depend on the kind of database."""
    return "sqlite"


@pytest.fixture(autouse=True)
def _figures(monkeypatch):
    """Close the figures of a test, which must not show one."""

    def show(*_arguments, **_options):
        pytest.fail("a figure was shown")

    monkeypatch.setattr(plt, "show", show)
    yield
    plt.close("all")


def points_of(ax):
    """Return the y values of the points by their colour."""
    found = {}
    for line in ax.lines:
        if line.get_marker() == "o":
            found.setdefault(line.get_color(), []).extend(line.get_ydata())
    return found


def labels_of(ax):
    return [text.get_text() for text in ax.get_legend().texts]


def test_light_curve_has_a_colour_for_each_band(opened, steady):
    ax = opened.plot_light_curve(steady)
    low, high = points_of(ax).values()
    assert (sorted(low), sorted(high)) == ([1000, 2000, 3000], [10_000, 20_000, 30_000])
    assert labels_of(ax)[:3] == ["140 MHz", "180 MHz", "Stokes I"]
    assert ax.get_ylabel() == "flux density (mJy)"
    assert ax.get_title().startswith(f"entry {steady}, 122.0000 +10.0000")
    ax.figure.canvas.draw()


def test_light_curve_is_drawn_on_given_axes(opened, steady, tmp_path):
    ax = Figure().subplots()
    assert opened.plot_light_curve(steady, ax=ax) is ax
    assert plt.get_fignums() == []
    curve = opened.light_curve(steady, band=140)
    other = opened.plot_light_curve(curve, ax=Figure().subplots())
    assert len(points_of(other)) == 1
    curve.write(tmp_path / "curve.ecsv")
    read = TimeSeries.read(tmp_path / "curve.ecsv", time_column="time")
    assert points_of(opened.plot_light_curve(read, ax=Figure().subplots())) == points_of(other)


def test_errors_and_limits_lie_inside_the_axes(opened, transient):
    curve = opened.light_curve(transient)
    curve["f_int_err"][:] *= 800
    ax = opened.plot_light_curve(curve)
    ax.figure.canvas.draw()
    low, high = ax.get_ylim()
    flux, error = curve["f_int"].to_value("mJy"), curve["f_int_err"].to_value("mJy")
    is_detected = curve["kind"] == "detection"
    assert low < (flux - error)[is_detected].min()
    assert high > max((flux + error)[is_detected].max(), (np.maximum(flux, 0) + 3 * error)[~is_detected].max())
    assert "upper limit" in labels_of(ax)


def test_light_curve_without_points_is_drawn(opened, steady):
    opened.plot_light_curve(steady, stokes="V").figure.canvas.draw()


def test_eta_v_has_all_sources_or_counts_them(opened):
    table = opened.sources()
    positive = (table["v_int"] > 0) & (table["eta_int"] > 0)
    ax = opened.plot_eta_v()
    drawn = sorted(float(value) for line in ax.lines for value in line.get_xdata())
    assert drawn == sorted(table["v_int"][positive].tolist())
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert "candidate" in labels_of(ax)
    n_left = int((~positive).sum())
    assert n_left == 1
    assert [text.get_text() for text in ax.texts] == ["1 source without positive η and V"]
    given = Figure().subplots()
    assert opened.plot_eta_v(ax=given, candidates=True) is given
    assert sum(len(line.get_xdata()) for line in given.lines) == 1


def test_eta_v_of_no_source_is_empty(opened):
    ax = opened.plot_eta_v(min_eta=1e9)
    ax.figure.canvas.draw()
    assert sum(len(line.get_xdata()) for line in ax.lines) == 0


def test_cutouts_share_their_shades(pictures):
    entry = pictures.sources(order="-lightcurve_max", limit=1)[0]
    axes = pictures.plot_cutouts(entry)
    assert len(axes) == len(pictures.light_curve(entry))
    assert len({ax.images[0].get_clim() for ax in axes}) == 1
    assert axes[0].get_title().startswith("2026-01-01T00:00:00\n1280 MHz")
    assert len(axes[0].figure.axes) == len(axes) + 1


def test_cutouts_fill_given_axes(pictures):
    entry = pictures.sources(limit=1)[0]
    for shape, n_drawn in (((1, 1), 1), ((2, 1), 2), ((2, 3), 4)):
        axes = Figure().subplots(*shape)
        drawn = pictures.plot_cutouts(entry, axes=axes)
        assert len(drawn) == n_drawn
        hidden = [ax for ax in np.atleast_1d(axes).ravel() if not ax.get_visible()]
        assert len(hidden) == shape[0] * shape[1] - n_drawn
    with pytest.raises(ConfigError, match="axes has no axes"):
        pictures.plot_cutouts(entry, axes=[])
    assert pictures.cutouts(entry)[0].plot().images


def test_style_of_the_user_stays(opened, steady):
    with plt.rc_context({"axes.facecolor": "black", "font.size": 17}):
        ax = opened.plot_light_curve(steady)
        assert ax.get_facecolor() == (0, 0, 0, 1)
        assert plt.rcParams["font.size"] == 17


def test_dataset_is_summarised(pictures):
    shown = repr(pictures)
    assert shown.startswith("<Dataset 1 of sqlite:///")
    facts = {line.split(":", 1)[0].strip(): line.split(":", 1)[1].strip() for line in shown.splitlines()[1:]}
    assert facts["name"] == "a simulated survey"
    assert facts["images"] == "4"
    assert facts["times"] == "2026-01-01T00:00:00 to 2026-01-01T03:00:00 UTC, 4 timesteps"
    assert facts["bands"] == "1280 MHz"
    assert facts["sources"] == str(len(pictures.sources()))
    assert facts["candidates"].startswith(f"{len(pictures.transients())}, ")
    assert facts["state"] == "done"


def test_hostile_names_are_text(opened):
    page = opened._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "\x1b" not in repr(opened) + page
    assert "<script>" not in opened.images()._repr_html_()


def test_empty_dataset_is_summarised(make_dataset, engine, database_url):
    number = make_dataset().id
    with engine.begin() as connection:
        connection.execute(text("UPDATE dataset SET state = 'running'"))
    dataset = open_dataset(url_of(engine), number)
    assert "no image yet" in repr(dataset)
    for table in (dataset.sources(), dataset.images(), dataset.transients(), dataset.measurements()):
        assert len(table) == 0
    assert list(dataset.measurements(chunks=10)) == []
    dataset.plot_eta_v()
