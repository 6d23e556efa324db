"""The best earlier noise at any position."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy_healpix import HEALPix
from hypothesis import example, given
from hypothesis import strategies as st

from trap.association import noise_history
from trap.association.entries import LightCurveKey
from trap.association.noise_history import NoiseHistory, NoiseTiles, tile_order, tiles_at, tiles_within

KEY = LightCurveKey(0, 1)
ORDER = 6


def image(ra, dec, rms, radius=5.0, order=ORDER):
    tiles, *_ = tiles_within(order, ra, dec, radius)
    return NoiseTiles(order=order, tile=tiles, rms=np.full(len(tiles), rms, np.float32))


def seen(history, ra, dec, key=KEY):
    (best,) = history.best(key, [ra], [dec])
    return float(best["rms"]), int(best["image"]), int(best["n"])


@pytest.mark.parametrize("number", [float, np.float64])
def test_noise_is_divided_by_a_gain_at_all_orders_in_single_precision(number):
    tiles = NoiseTiles(
        order=6,
        tile=np.array([5]),
        rms=np.array([3e-4], np.float32),
        finer=(NoiseTiles(order=7, tile=np.array([44]), rms=np.array([9e-4], np.float32)),),
    )
    divided = tiles.divided_by(number(1.5))
    noise = [part.rms for part in divided.layers]
    assert np.concatenate(noise) == pytest.approx([2e-4, 6e-4], rel=1e-6)
    assert {part.dtype for part in noise} == {np.dtype(np.float32)}
    assert [part.tile.tolist() for part in divided.layers] == [[5], [44]]
    assert tiles.divided_by(number(1.0)) is tiles


@pytest.mark.parametrize(("side", "order"), [(60.0, 0), (58.0, 1), (1.0, 6), (0.9, 7), (1e-9, 20)])
def test_tiles_are_no_wider_than_the_limit(side, order):
    assert tile_order(side) == order


@given(st.floats(0, 359.99), st.floats(-90, 90))
def test_the_tile_of_a_position_is_among_those_around_it(ra, dec):
    tiles, *_ = tiles_within(ORDER, ra, dec, 1.0)
    assert tiles_at(ORDER, [ra], [dec])[0] in tiles
    assert (np.diff(tiles) > 0).all()


def test_best_noise_is_the_lowest_of_all_looks():
    history = NoiseHistory()
    for number, rms in enumerate((3e-3, 1e-3, 2e-3), start=1):
        history.add(KEY, image=number, tiles=image(10.0, 20.0, rms))
    assert seen(history, 10.0, 20.0) == (pytest.approx(1e-3), 2, 3)


def test_overlapping_pointings_share_their_looks():
    history = NoiseHistory()
    history.add(KEY, image=1, tiles=image(359.0, 0.0, 1e-3))
    history.add(KEY, image=2, tiles=image(5.0, 0.0, 2e-3))
    assert seen(history, 355.0, 0.0) == (pytest.approx(1e-3), 1, 1)
    assert seen(history, 2.0, 0.0) == (pytest.approx(1e-3), 1, 2)
    assert seen(history, 9.0, 0.0) == (pytest.approx(2e-3), 2, 1)


def test_position_without_images_has_no_noise():
    history = NoiseHistory()
    history.add(KEY, image=1, tiles=image(10.0, 20.0, 1e-3))
    for ra, dec, key in ((100.0, 20.0, KEY), (10.0, 20.0, LightCurveKey(1, 1))):
        rms, number, n = seen(history, ra, dec, key)
        assert np.isnan(rms)
        assert (number, n) == (0, 0)


def test_images_on_coarse_and_fine_tiles_are_compared():
    history = NoiseHistory()
    history.add(KEY, image=1, tiles=image(10.0, 20.0, 2e-3, order=5))
    history.add(KEY, image=2, tiles=image(10.0, 20.0, 1e-3, order=8))
    assert seen(history, 10.0, 20.0) == (pytest.approx(1e-3), 2, 2)


def test_noise_is_returned_in_the_order_of_positions():
    history = NoiseHistory()
    history.add(KEY, image=1, tiles=image(10.0, 0.0, 1e-3))
    history.add(KEY, image=2, tiles=image(50.0, 0.0, 2e-3))
    best = history.best(KEY, [50.0, 10.0, 90.0], [0.0, 0.0, 0.0])
    assert list(best["image"]) == [2, 1, 0]


@given(
    st.floats(0, 359.99),
    st.one_of(st.floats(-90, 90), st.sampled_from([-90.0, 0.0, 90.0])),
    st.integers(0, 9),
    st.floats(0.1, 10),
)
@example(79.0, 80.0, 9, 1.0)
def test_all_tiles_that_healpix_finds_around_a_circle_are_listed(ra, dec, order, n_tiles):
    radius = min(n_tiles * 58.6 / 2**order, 180.0)
    expected = HEALPix(nside=2**order, order="nested").cone_search_lonlat(ra * u.deg, dec * u.deg, radius * u.deg)
    tiles, tile_ra, tile_dec = tiles_within(order, ra, dec, radius)
    assert np.isin(expected, tiles).all()
    assert tiles_at(order, tile_ra, tile_dec).tolist() == tiles.tolist()
    # The other tiles are neighbours.
    assert len(tiles) <= 2 * len(expected) + 30


def test_noise_does_not_depend_on_the_parts_of_the_sky_that_it_is_kept_by(monkeypatch):
    rng = np.random.default_rng(3)
    at = rng.uniform(340, 380, 200) % 360, rng.uniform(-20, 20, 200)
    best = []
    for order in (0, 3, 9):
        monkeypatch.setattr(noise_history, "AREA_ORDER", order)
        history = NoiseHistory()
        for number in range(1, 8):
            history.add(KEY, image=number, tiles=image(355.0 + 2 * number, -7.0 + number, 1e-3 * (number * 3 % 7 + 1)))
        best.append(history.best(KEY, *at))
    assert len(np.unique(best[0]["image"])) > 5
    assert [one.tobytes() for one in best] == [best[0].tobytes()] * 3
