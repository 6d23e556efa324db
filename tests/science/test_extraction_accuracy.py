"""How right blind and forced measurements are, on twenty simulated fields of 1,000 sources; prints its tables.

Run with ``-s`` to see them. "Isolated" is a source with no other within 3 FWHM of the beam; a blend is a pair above
7 σ, 1.2 to 3 FWHM apart, with no third source above 5 σ within 3 FWHM of either.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.spatial import cKDTree
from simulated_field import add_sources, simulate_field

from trap.angles import offsets
from trap.config import SourceExtractionConfig
from trap.extraction.forced import fit_positions
from trap.extraction.measure import extract_sources

N_FIELDS = 20
QUANTITIES = ("east", "north", "peak", "integrated")
BINS = ((5, 10), (10, 20), (20, 100), (100, 1000), (10, 1000))


@dataclass
class Tally:
    """What was counted over all fields."""

    pulls: np.ndarray  # S/N, and the pulls of the four quantities, of isolated sources that were found
    completeness: np.ndarray  # S/N and whether found, of isolated sources
    split: np.ndarray  # of each blend, whether both were found apart
    n_found: int
    n_false: int
    rms_ratio: float
    beam_areas: float

    def of(self, low, high):
        return self.pulls[(self.pulls[:, 0] >= low) & (self.pulls[:, 0] < high), 1:]


def measure_field(seed, config):
    field = simulate_field(seed)
    extraction = extract_sources(field.image, config)
    found = extraction.measurements
    places, others = field.beam_plane(field.x, field.y), field.beam_plane(found.x, found.y)
    distance, row = cKDTree(others).query(places)
    is_found = distance < 0.6
    # A found source is false where no injected one is within a beam.
    n_false = int((cKDTree(places).query(others)[0] > 1).sum())
    isolated = field.separation > 3
    good = isolated & is_found
    one = found.take(row[good])
    east, north = offsets(one.ra, one.dec, *field.image.wcs.all_pix2world(field.x[good], field.y[good], 0))
    pulls = [
        field.signal_to_noise[good],
        east / one.ew_fit_err,
        north / one.ns_fit_err,
        (one.f_peak - field.flux[good]) / one.f_peak_err,
        (one.f_int - field.flux[good]) / one.f_int_err,
    ]
    tree, split = cKDTree(places), []
    for a, b in tree.query_pairs(3.0):
        near = set(tree.query_ball_point(places[a], 3)) | set(tree.query_ball_point(places[b], 3))
        apart = np.hypot(*(places[a] - places[b]))
        if near == {a, b} and min(field.signal_to_noise[[a, b]]) > 7 and apart > 1.2:
            split.append(is_found[a] and is_found[b] and row[a] != row[b])
    inner = np.hypot(*np.mgrid[-512:512:8, -512:512:8]) < 450
    y, x = np.mgrid[0:1024:8, 0:1024:8]
    ratio = np.median((extraction.background.rms_at(x, y) / field.rms[::8, ::8])[inner])
    a, b, c = field.beam_form
    area = np.isfinite(field.image.data).sum() / (2 * np.pi / np.sqrt(a * c - b**2))
    completeness = np.column_stack([field.signal_to_noise[isolated], is_found[isolated]])
    return np.column_stack(pulls), completeness, split, len(found), n_false, ratio, area


@pytest.fixture(scope="module", params=[True, False], ids=["beam-shaped", "free"])
def tally(request):
    config = SourceExtractionConfig(
        detection_threshold=5, analysis_threshold=3, margin=0, extraction_radius_pix=0, force_beam=request.param
    )
    pulls, completeness, split, found, false, ratios, areas = zip(
        *(measure_field(seed, config) for seed in range(N_FIELDS)), strict=True
    )
    result = Tally(
        pulls=np.concatenate(pulls),
        completeness=np.concatenate(completeness),
        split=np.concatenate(split),
        n_found=sum(found),
        n_false=sum(false),
        rms_ratio=float(np.mean(ratios)),
        beam_areas=sum(areas),
    )
    print_tally(request.node.callspec.id if hasattr(request.node, "callspec") else str(request.param), result)
    return result


def print_tally(name, tally):
    print(f"\n{name}: pulls of isolated sources, mean ± std", *(f"{q:>15}" for q in QUANTITIES))
    for low, high in BINS:
        pulls = tally.of(low, high)
        cells = (f"{m:+6.3f} ± {s:5.3f}" for m, s in zip(pulls.mean(0), pulls.std(0), strict=True))
        print(f"  S/N {low:4d} to {high:4d} ({len(pulls):4d}):", *(f"{cell:>15}" for cell in cells))
    print(f"  {tally.n_found} found, {tally.n_false} false; noise {tally.rms_ratio:.3f} of the true one")
    print(
        f"  {np.mean(tally.split):.3f} of {len(tally.split)} blends split; complete to {complete_at_7(tally):.3f} at 7σ"
    )


def forced_pulls(field, x, y, config):
    """f_int over its error at positions in pixels."""
    extraction = extract_sources(field.image, config)
    ra, dec = field.image.wcs.all_pix2world(x, y, 0)
    fitted = fit_positions(
        field.image, ra, dec, background=extraction.background, neighbours=extraction.measurements, config=config
    )
    return fitted.f_int / fitted.f_int_err


def complete_at_7(tally):
    signal_to_noise, is_found = tally.completeness.T
    return is_found[np.abs(signal_to_noise - 7) < 0.35].mean()


def test_pulls_are_those_of_a_unit_gaussian_above_10_sigma(tally):
    pulls = tally.of(10, 1000)
    assert np.abs(pulls.mean(axis=0)).max() < 0.1
    assert pulls.std(axis=0) == pytest.approx(np.ones(4), abs=0.1)


def test_scatter_equals_the_errors_from_5_to_10_sigma(tally):
    pulls = tally.of(5, 10)
    assert pulls.std(axis=0).min() > 0.85
    assert pulls.std(axis=0).max() < 1.25


def test_sources_of_7_sigma_are_found(tally):
    assert complete_at_7(tally) >= 0.95


def test_what_is_found_is_there(tally):
    # Maxima of smooth Gaussian noise above 5 σ (Adler 1981): (4 ln 2) (2π)^-1.5 · 5 e^-12.5 per FWHM².
    expected = tally.beam_areas * np.pi / (4 * np.log(2)) * 4 * np.log(2) * (2 * np.pi) ** -1.5 * 5 * np.exp(-12.5)
    assert tally.n_false <= 2 * expected + 1
    assert tally.n_false <= 0.002 * tally.n_found


def test_blends_above_7_sigma_are_split(tally):
    assert np.mean(tally.split) >= 0.95


def test_noise_is_measured_within_3_percent(tally):
    assert tally.rms_ratio == pytest.approx(1, abs=0.03)


FORCED = SourceExtractionConfig(detection_threshold=5, analysis_threshold=3, margin=0, extraction_radius_pix=0)


def check_forced(name, pulls):
    print(f"\nforced fits {name}: {pulls.mean():+.3f} ± {pulls.std():.3f} ({pulls.size})")
    assert abs(pulls.mean()) < max(0.05, 3 / np.sqrt(pulls.size))
    assert 0.9 < pulls.std() < 1.1


def test_forced_fits_at_empty_positions_read_zero():
    pulls = []
    for seed in range(8):
        # Few sources, and none of those that no one could see.
        field = simulate_field(100 + seed, n_sources=60)
        rng = np.random.default_rng(seed)
        x, y = rng.uniform(190, 830, (2, 400))
        sources = cKDTree(field.beam_plane(field.x, field.y))
        empty = sources.query(field.beam_plane(x, y))[0] > 3
        pulls.append(forced_pulls(field, x[empty], y[empty], FORCED))
    check_forced("at empty positions", np.concatenate(pulls))


def test_forced_fits_beside_sources_of_1000_sigma_read_zero():
    pulls = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        x, y = (a.ravel() + rng.uniform(-0.5, 0.5, a.size) for a in np.meshgrid(*[np.arange(200, 850, 40.0)] * 2))
        field = add_sources(simulate_field(200 + seed, n_sources=2), x, y, 1000.0)
        angle = rng.uniform(0, 2 * np.pi, x.size)
        a, b, c = field.beam_form
        to_pixels = np.linalg.inv(np.linalg.cholesky(np.array([[a, b], [b, c]])).T)
        step = 1.5 * np.sqrt(8 * np.log(2)) * to_pixels @ np.array([np.cos(angle), np.sin(angle)])
        pulls.append(forced_pulls(field, x + step[0], y + step[1], FORCED))
    check_forced("1.5 beams from S/N 1000", np.concatenate(pulls))
