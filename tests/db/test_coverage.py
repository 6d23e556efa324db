from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from busy_dataset import MESH, REJECTION
from made_up_survey import START, Field, sources
from mocpy import MOC

from trap.association.noise_history import NoiseTiles
from trap.db.coverage import band_coverages
from trap.db.limits import upper_limits
from trap.db.result_tables import RESULT_TABLES, count_rows, read_rows
from trap.errors import ConfigError
from trap.selection import Cone, Range, Selection

TILE_DEG2 = 129_600 / np.pi / (12 * 4**6)
"""Area of a tile of order 6."""


FIELD = Field(centre=(49.0, 10.0))
"""Field of the tiles."""


def image(day, tiles, rms, finer=(), **options):
    """Make an image that was searched on tiles of order 6, and on finer tiles of order 7."""
    layers = (NoiseTiles(order=7, tile=np.array(finer, np.int64), rms=np.full(len(finer), rms, np.float32)),)
    noise = NoiseTiles(order=6, tile=np.array(tiles), rms=np.full(len(tiles), rms, np.float32), finer=layers)
    return replace(FIELD.image(day, sources(*FIELD.centre), **options), background=MESH, noise_tiles=noise)


@pytest.fixture
def surveyed(make_dataset):
    """Four tiles of order 6, one of them searched twice, and a quarter of a fifth; another band with one tile."""
    dataset = make_dataset()
    dataset.process(image(0, [100, 101], 1e-3), image(0, [100], 5e-3, freq=180e6))
    dataset.process(image(1, [101, 102, 103], 3e-3, finer=[4 * 104]))
    dataset.process(image(2, [200], 1e-4).rejected(REJECTION))
    return dataset


def test_coverage_has_area_and_depth_of_each_band(surveyed, ask):
    table = ask(read_rows, "coverage", [surveyed.id])
    assert list(table) == list(RESULT_TABLES["coverage"].columns)
    assert {name: values.dtype for name, values in table.items()} == {
        name: column.dtype for name, column in RESULT_TABLES["coverage"].columns.items()
    }
    assert (table["freq_central"] / 1e6).tolist() == [140, 180]
    assert table["n_images"].tolist() == [2, 1]
    assert table["area"] == pytest.approx([4.25 * TILE_DEG2, TILE_DEG2])
    # The threshold is six times the noise. Two of 4.25 tiles are searched to 6 mJy, less than half.
    assert table["depth_best"] == pytest.approx([6e-3, 30e-3])
    assert table["depth_median"] == pytest.approx([18e-3, 30e-3])
    assert table["exposure"].tolist() == [600, 300]
    assert table["first"][0] == np.datetime64(START.replace(tzinfo=None))
    assert MOC.from_string(table["moc"][0]) == MOC.from_string("6/100-103 7/416")


def test_map_of_a_depth_is_where_upper_limits_are_as_low(surveyed, ask):
    low, _ = ask(band_coverages, [surveyed.id], Selection())
    assert low.searched(6.1e-3) == MOC.from_string("6/100-101 7/")
    assert low.searched(1e-3).empty()
    for order, tile in ((6, 100), (6, 103), (7, 4 * 104), (7, 4 * 104 + 1)):
        centre = MOC.from_healpix_cells([tile], [order], order).barycenter()
        limits = ask(upper_limits, surveyed.id, centre.ra.deg, centre.dec.deg)
        best = np.min(limits["upper_limit"][limits["freq_eff"] == 140e6], initial=np.inf)
        for depth in (1e-3, 6.1e-3, 18.1e-3):
            inside = low.searched(depth).contains_lonlat(centre.ra * 1, centre.dec * 1)
            assert bool(inside[0] if np.ndim(inside) else inside) == (best <= depth)


def test_coverage_can_be_selected(surveyed, ask):
    def areas(**filters):
        found = ask(read_rows, "coverage", [surveyed.id], Selection(**filters), columns=["area"])["area"]
        assert ask(count_rows, "coverage", [surveyed.id], Selection(**filters)) == len(found)
        return (found / TILE_DEG2).round(6).tolist()

    assert areas(bands=(180e6,)) == [1]
    assert areas(ranges=(Range(column="depth_best", high=0.01),)) == [4.25]
    assert areas(until=START) == [2, 1]
    assert areas(near=Cone(ra=300.0, dec=-50.0, radius=1.0)) == []
    with pytest.raises(ConfigError, match="table coverage has no flags"):
        areas(without_flags=4)
    with pytest.raises(ConfigError, match="table coverage has no column 'depth_bst'; did you mean depth_best"):
        areas(ranges=(Range(column="depth_bst", high=0.01),))


def test_many_images_are_merged_to_the_best_of_each_tile(make_dataset, ask, monkeypatch):
    monkeypatch.setattr("trap.db.coverage.IMAGES_AT_ONCE", 2)
    dataset = make_dataset()
    for day in range(5):
        dataset.process(image(day, [100, 101 + day], (5 - day) * 1e-3))
    (band,) = ask(band_coverages, [dataset.id], Selection())
    unique, limit = band.depths()
    assert (unique - 4 * 4**6).tolist() == [100, 101, 102, 103, 104, 105]
    assert limit == pytest.approx(np.array([1, 5, 4, 3, 2, 1]) * 6e-3)


def test_dataset_without_images_has_no_coverage(make_dataset, ask):
    empty = ask(read_rows, "coverage", [make_dataset().id])
    assert {len(values) for values in empty.values()} == {0}
    assert empty["first"].dtype == "M8[us]"
