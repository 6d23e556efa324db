"""Plots of cut-outs: shades that show the source, and a place for each cut-out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

from trap.images.cutouts import CutOut
from trap.report.cutouts import draw_cutouts, plot_cutouts


def cutout(*, noise=1e-3, peak=0.0, neighbour=0.0):
    """A cut-out of 73 pixels under a beam of three pixels in radius; brightnesses in Jy/beam."""
    pixels = np.random.default_rng(1).normal(0, noise, (73, 73)).astype("f4")
    pixels[36, 36] += peak
    pixels[36, 66] += neighbour
    phase = np.linspace(0, 2 * np.pi, 73)
    return CutOut(
        title="here", pixels=pixels, position=(36.0, 36.0), scale=10.0, north=np.array([0.0, 1.0]),
        east=np.array([-1.0, 0.0]), beam=3 * np.column_stack([np.cos(phase), np.sin(phase)]),
    )  # fmt: skip


def shades(figure):
    pictures = [axes.images[0].get_clim() for axes in figure.axes if axes.images]
    assert len(set(pictures)) == 1
    return pictures[0]


def test_bright_neighbour_does_not_hide_the_source():
    low, high = shades(plot_cutouts([cutout(neighbour=1.0), cutout(neighbour=1.0)]))
    # In mJy/beam: the noise is 1, the neighbour 1000.
    assert -5 < low < -2
    assert 2 < high < 10


def test_shades_are_of_the_cutout_that_shows_the_source():
    low, high = shades(plot_cutouts([cutout(noise=2e-3), cutout(peak=0.1), cutout()]))
    assert -5 < low < -2
    assert 95 < high < 105


def test_cutouts_beyond_a_row_go_on_below():
    figure = plot_cutouts([cutout()] * 5, columns=2)
    corners = {(round(axes.get_position().x0, 6), round(axes.get_position().y0, 6)) for axes in figure.axes[:5]}
    assert len(corners) == 5
    assert len({y for _, y in corners}) == 3
    assert all(0 <= edge <= 1 for axes in figure.axes for edge in axes.get_position().extents)


def test_an_image_without_values_can_be_drawn():
    empty = cutout()
    empty.pixels[:] = np.nan
    plot_cutouts([empty]).canvas.draw()


def test_title_has_a_line_for_each_of_its_facts():
    axes = plot_cutouts([replace(cutout(), title="2026-01-01T00:00:00\n1280 MHz\n$5 \x1b")]).axes[0]
    assert axes.get_title() == "2026-01-01T00:00:00\n1280 MHz\n$5 \\x1b"
    axes.figure.canvas.draw()


def test_cutouts_are_drawn_on_given_axes_in_the_same_shades():
    axes = Figure().subplots(1, 2)
    pictures = draw_cutouts(axes, [cutout(peak=0.1), cutout()])
    assert [picture.axes for picture in pictures] == list(axes)
    assert len({picture.get_clim() for picture in pictures}) == 1
