from __future__ import annotations

import itertools

import numpy as np
import pytest
from sky_fixtures import gaussian_values

from trap.extraction.boxes import PixelBoxes
from trap.extraction.correlation import beam_correlation
from trap.extraction.crowds import cut_into_blocks
from trap.extraction.forced import beam_plane
from trap.extraction.gaussian import Gaussians
from trap.extraction.joint import core_form
from trap.extraction.linear import solve_each, solve_peaks, subtract_sources
from trap.kernels.peaks import first_of_close

FORM = np.array([0.2, 0.05, 0.3])
WIDE = FORM / 25
"""A core of 5 σ: all pixels that a source reaches, nearly."""


def pixels_of(nx=60, ny=50, keep=slice(None)):
    flat = np.arange(nx * ny)[keep]
    y, x = np.divmod(flat, nx)
    return PixelBoxes(
        nx=nx,
        flat=flat,
        x=x,
        y=y,
        value=np.zeros(flat.size),
        half=0,
        columns=np.zeros(1, np.intp),
        rows=np.zeros(1, np.intp),
        has_centre=np.ones(1, bool),
        flags=np.zeros(1, np.int32),
    )


def sources_at(x, y, peak=1.0):
    n = len(x)
    return Gaussians(
        x=np.array(x, float), y=np.array(y, float), peak=np.full(n, peak, float), form=np.tile(FORM, (n, 1))
    )


def images_of(pixels, sources):
    """(n_pixels, n) — of peak 1."""
    u, v = (p[:, np.newaxis] - c for p, c in ((pixels.x, sources.x), (pixels.y, sources.y)))
    return gaussian_values(u, v, FORM)


def solved(pixels, value, sources, *, core=WIDE, spring=0.0):
    return solve_peaks(
        pixels, value, sources, core=core, spring=np.full(len(sources), spring), correlation=beam_correlation(FORM)
    )


def test_sources_are_subtracted_from_incomplete_lists_of_pixels():
    pixels = pixels_of(keep=slice(None, None, 3))
    sources = sources_at([20.3, -1.0, 59.5, 500.0], [25.6, 10.0, 49.9, -500.0], peak=2.0)
    left = subtract_sources(pixels, np.ones(pixels.flat.size), sources)
    assert left == pytest.approx(1 - 2 * images_of(pixels, sources).sum(axis=1), abs=1e-7)


@pytest.mark.parametrize("core", [WIDE, FORM / 1.6**2])
def test_peaks_come_back_from_their_sum(core):
    pixels, sources, truth = pixels_of(), sources_at([20, 24.5, 45], [25, 26, 10]), np.array([3.0, -1.0, 0.5])
    peak, _ = solved(pixels, images_of(pixels, sources) @ truth, sources, core=core)
    assert peak == pytest.approx(truth, rel=1e-6)


def test_variances_are_those_of_the_sandwich():
    # An isolated source, and two that are one beam apart; then others, far off, that are solved at the same time.
    pixels = pixels_of(32, 28)
    u, v = np.subtract.outer(pixels.x, pixels.x), np.subtract.outer(pixels.y, pixels.y)
    noise = gaussian_values(u, v, FORM / 2)
    for sources in (sources_at([14.0], [12.0]), sources_at([12.0, 17.0], [13.0, 13.0])):
        _, variance = solved(pixels, pixels.value, sources)
        images = images_of(pixels, sources)
        inverse = np.linalg.inv(images.T @ images)
        expected = np.diag(inverse @ images.T @ noise @ images @ inverse)
        assert variance == pytest.approx(expected, rel=0.01)
    assert np.isfinite(solved(pixels, pixels.value, sources_at([2.0, 30.0, 30.0], [2.0, 2.0, 26.0]))[1]).all()


def test_isolated_peak_has_twice_the_variance_of_a_pixel_if_all_its_pixels_are_fitted():
    _, variance = solved(pixels_of(), np.zeros(3000), sources_at([30], [25]))
    assert variance[0] == pytest.approx(2, rel=0.02)


def test_core_alone_has_less_variance():
    _, variance = solved(pixels_of(), np.zeros(3000), sources_at([30], [25]), core=FORM / 1.6**2)
    assert 1 < variance[0] < 1.7


def test_spring_keeps_two_equal_sources_solvable():
    pixels, sources = pixels_of(), sources_at([30, 30], [25, 25])
    peak, variance = solved(pixels, images_of(pixels, sources) @ [1.0, 1.0], sources, spring=1e-3)
    assert peak == pytest.approx([1, 1], rel=1e-2)
    assert np.isfinite(variance).all()


def test_source_without_a_pixel_has_peak_zero_and_no_error():
    peak, variance = solved(pixels_of(), np.ones(3000), sources_at([30, 500], [25, 500]))
    assert peak[1] == 0
    assert np.isnan(variance).tolist() == [False, True]


def test_no_sources_have_no_peaks():
    assert all(found.size == 0 for found in solved(pixels_of(), np.ones(3000), sources_at([], [])))


def test_each_source_is_solved_with_its_own_neighbours_added_back():
    pixels, found = pixels_of(), sources_at([20.0, 40.0], [20.0, 30.0], peak=3.0)
    targets = sources_at([20.0, 40.0, 20.0], [20.0, 30.0, 20.0])
    shared = (np.array([0, 1, 2]), found.take(np.array([0, 1, 0])))
    peak, _ = solve_each(pixels, pixels.value, targets, shared, core=WIDE, correlation=beam_correlation(FORM))
    assert peak == pytest.approx([3, 3, 3], rel=1e-6)


def crowd_of(n, spacing):
    """Positions in a disc at least so many σ apart, and the pixels around them."""
    points = np.random.default_rng(1).uniform(0, 200, (20 * n, 2))
    points = points[first_of_close(beam_plane(*points.T, FORM), np.ones(len(points), bool), spacing)]
    return sources_at(*points[np.argsort(((points - 100) ** 2).sum(axis=1))[:n]].T), pixels_of(200, 200)


@pytest.mark.parametrize("spacing", [3.0, 1.6])
def test_crowd_in_blocks_has_the_peaks_and_errors_of_one_matrix(monkeypatch, spacing):
    sources, pixels = crowd_of(400, spacing)
    rng = np.random.default_rng(2)
    truth = rng.exponential(5, 400) * (rng.random(400) < 0.3)
    value = -subtract_sources(pixels, rng.normal(size=pixels.flat.size), sources.with_columns(peak=truth))
    core = core_form(FORM)
    in_blocks = solved(pixels, value, sources, core=core, spring=1e-9)
    monkeypatch.setattr("trap.extraction.linear.MAX_JOINT", 1000)
    peak, variance = solved(pixels, value, sources, core=core, spring=1e-9)
    assert len(cut_into_blocks(sources.parameters).first) > 6
    assert (in_blocks[0] - peak) / np.sqrt(variance) == pytest.approx(np.zeros(400), abs=0.05)
    assert in_blocks[1] == pytest.approx(variance, rel=0.1)


def test_blocks_hold_each_source_once_and_the_sources_around_them():
    sources, _ = crowd_of(700, 2.5)
    blocks = cut_into_blocks(sources.parameters)
    assert sorted(blocks.member[blocks.is_core]) == list(range(700))
    for start, stop in itertools.pairwise(blocks.first):
        member, is_core = blocks.member[start:stop], blocks.is_core[start:stop]
        places = beam_plane(sources.x, sources.y, FORM)
        distance = np.linalg.norm(places[:, np.newaxis] - places[member[is_core]], axis=2).min(axis=1)
        # Two beams at a distance of d σ overlap by exp(-d²/4).
        assert set(member) == set(np.flatnonzero(np.exp(-(distance**2) / 4) > 1e-3))
    batches = list(blocks.batches(300))
    assert np.concatenate([places for _, places in batches]).tolist() == list(range(blocks.member.size))
    assert all(first[-1] == places.size for first, places in batches)


def test_memory_of_a_crowd_grows_with_its_sources_not_with_their_square(peak_memory):
    """One matrix of 3,000² numbers has 72 MB, and three of them were needed."""
    sources, pixels = crowd_of(3000, 2.2)
    before = peak_memory()
    peak, _ = solved(pixels, np.ones(pixels.flat.size), sources, core=core_form(FORM), spring=1e-9)
    assert peak_memory() - before < 100
    assert np.isfinite(peak).all()
