"""The noise of a source list on tiles of the sky."""

from __future__ import annotations

import numpy as np
import pytest

from trap import angles
from trap.association.noise_history import tiles_at
from trap.catalogues import Measurements
from trap.extraction.listed_noise import sample_listed_noise
from trap.images.skyregion import SkyRegion

RA, DEC, RADIUS, BEAM = 350.0, -40.0, 3.0, 0.004
REGION = SkyRegion(centre_ra=RA, centre_dec=DEC, xtr_radius=RADIUS)


def sources_at(ra, dec, rms):
    names = ("ew_fit_err", "ns_fit_err", "f_peak", "f_peak_err", "f_int", "f_int_err", "significance", "semimajor")
    return Measurements.of(
        ra=ra, dec=dec, rms=rms, x=np.nan, y=np.nan, semiminor=1.0, pa=0.0, **dict.fromkeys(names, 1.0)
    )


def uniform(n, seed=1):
    rng = np.random.default_rng(seed)
    distance, angle = RADIUS * np.sqrt(rng.random(n)), 2 * np.pi * rng.random(n)
    return angles.move(RA, DEC, distance * np.cos(angle), distance * np.sin(angle))


def is_covered(tiles, ra, dec):
    return np.logical_or.reduce([np.isin(tiles_at(layer.order, ra, dec), layer.tile) for layer in tiles.layers])


def test_tiles_have_the_noise_of_the_sources_around_them_and_cover_the_field():
    ra, dec = uniform(2000)
    rms = 1e-4 * (1 + angles.separation(RA, DEC, ra, dec) ** 2)
    # One in twenty is next to a bright source.
    rms[::20] *= 10
    tiles = sample_listed_noise(REGION, sources_at(ra, dec, rms), beam=BEAM)
    inner = angles.separation(RA, DEC, ra, dec) < 0.9 * RADIUS
    assert is_covered(tiles, ra, dec)[inner].mean() > 0.97
    layer = tiles.layers[0]
    numbers = tiles_at(layer.order, ra, dec)
    rows = np.minimum(np.searchsorted(layer.tile, numbers), len(layer.tile) - 1)
    is_held = layer.tile[rows] == numbers
    # The noise of a tile is that of its middle, half a degree away at most.
    smooth = 1e-4 * (1 + angles.separation(RA, DEC, ra, dec) ** 2)
    ratio = layer.rms[rows[is_held]] / smooth[is_held]
    assert is_held.sum() > 1000
    assert np.median(ratio) == pytest.approx(1.0, abs=0.05)
    assert np.abs(ratio - 1).max() < 0.6


def test_no_tile_reaches_out_of_the_field_or_into_a_gap_of_it():
    ra, dec = uniform(2000)
    # No source in the eastern half.
    west = angles.delta_ra(ra, RA) < 0
    sources = sources_at(ra[west], dec[west], 1e-4)
    tiles = sample_listed_noise(REGION, sources, beam=BEAM, constant=2e-4)
    assert all((layer.rms == np.float32(2e-4)).all() for layer in tiles.layers)
    assert is_covered(tiles, ra[west], dec[west]).mean() > 0.85
    assert not is_covered(tiles, *angles.move(RA, DEC, np.full(5, 1.5), np.linspace(-1, 1, 5))).any()
    rim = np.linspace(0, 2 * np.pi, 50)
    assert not is_covered(tiles, *angles.move(RA, DEC, 3.01 * np.cos(rim), 3.01 * np.sin(rim))).any()


def test_an_empty_list_with_a_noise_covers_its_field():
    tiles = sample_listed_noise(REGION, Measurements.empty(), beam=BEAM, constant=1e-3)
    assert is_covered(tiles, *uniform(500)).mean() > 0.85
