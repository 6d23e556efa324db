from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from busy_dataset import FIELD
from made_up_survey import START, sources

from trap.db import lightcurves


def _entry_at(dataset, ra):
    return next(e["id"] for e in dataset.entries() if abs(e["wm_ra"] - ra) < 1e-3 and not e["mon_src"])


@pytest.fixture
def steady(make_dataset):
    """One source three times in two bands, and a neighbour; flux densities 1, 2, 3 and 10, 20, 30 Jy."""
    dataset = make_dataset()
    for day in range(3):
        low, high = (sources([122.0, 359.9999], [10.0, -20.0], flux=[f * (day + 1), 0.5]) for f in (1.0, 10.0))
        dataset.process(FIELD.image(day, low), FIELD.image(day, high, freq=180e6))
    return dataset


def test_light_curve_has_all_points_in_order_of_time_and_frequency(steady, ask):
    curve = ask(lightcurves.light_curve, _entry_at(steady, 122.0))
    assert curve["f_int"].tolist() == [1, 10, 2, 20, 3, 30]
    assert curve["freq_central"].tolist() == [140e6, 180e6] * 3
    assert curve["type"].tolist() == [4, 3, 3, 3, 3, 3]
    assert curve["f_datapoints"].tolist() == [1, 1, 2, 2, 3, 3]
    # V of 1, 2, 3 is 1/2.
    assert curve["v_int"][-2:] == pytest.approx([0.5, 0.5])
    assert curve["taustart_ts"][0] == np.datetime64(START.replace(tzinfo=None))
    assert set(curve["url"]) == {f"day{day}-{freq}" for day in range(3) for freq in (140e6, 180e6)}


def test_light_curve_as_trap_returns_it(steady, ask):
    (some, *_) = ask(lightcurves.light_curve, _entry_at(steady, 122.0))["xtrsrc"].tolist()
    points = ask(lightcurves.lightcurve, some)
    assert [point.f_int for point in points] == [1, 10, 2, 20, 3, 30]
    assert [point.taustart_ts for point in points[::2]] == [START + timedelta(days=day) for day in range(3)]
    assert points[0].taustart_ts.tzinfo is not None
    assert points[0][1:4] == (300.0, 1.0, 5e-4)
    assert (points[1].stokes, points[1].freq_central) == (1, 180e6)


def test_shared_measurement_gives_both_light_curves_each_point_once(make_dataset, ask):
    dataset = make_dataset()
    dataset.process(FIELD.image(0, sources([122.985, 123.015], 10.5)))
    dataset.process(FIELD.image(1, sources(123.0, 10.5)))
    (shared,) = dataset.column("SELECT xtrsrc FROM assocxtrsource GROUP BY xtrsrc HAVING count(*) = 2")
    assert len(ask(lightcurves.lightcurve, shared)) == 3


def test_entries_near_a_position_come_nearest_first_across_ra_zero(make_dataset, ask):
    dataset = make_dataset()
    dataset.process(FIELD.image(0, sources([0.2, 359.9, 1.0, 180.0], 10.0)))
    near = ask(lightcurves.entries_near, dataset.id, 0.0, 10.0, radius=0.5)
    assert near["wm_ra"].tolist() == [359.9, 0.2]
    assert near["distance_deg"] == pytest.approx(np.array([0.1, 0.2]) * np.cos(np.radians(10)), rel=1e-6)
    assert len(ask(lightcurves.entries_near, dataset.id, 90.0, -45.0, radius=1.0)["id"]) == 0
    assert len(ask(lightcurves.entries_near, dataset.id, 90.0, 90.0, radius=81.0)["id"]) == 4


def test_transients_come_with_their_detection_the_most_significant_first(make_dataset, ask):
    dataset = make_dataset()
    dataset.process(FIELD.image(0))
    dataset.process(FIELD.image(1, sources([121.0, 125.0], 10.0, flux=[0.2, 0.9])))
    dataset.process(FIELD.image(2, sources([121.0, 125.0], 10.0, flux=[0.1, 0.2])))
    table = ask(lightcurves.transients, dataset.id)
    assert table["wm_ra"].tolist() == [125.0, 121.0]
    assert table["f_int"].tolist() == [0.9, 0.2]
    assert table["sigma_rms_max"] == pytest.approx([3000.0, 0.2 / 3e-4])
    assert table["url"].tolist() == ["day1-140000000.0"] * 2
    assert table["datapoints"].tolist() == [2, 2]
    assert (table["v_int"] > 0).all()


def test_no_transients_are_no_rows(make_dataset, ask):
    table = ask(lightcurves.transients, make_dataset().id)
    assert table["runcat"].shape == (0,)
    assert table["f_int"].dtype == np.float64


def test_variables_come_with_the_highest_eta_first_and_can_be_filtered(make_dataset, ask):
    dataset = make_dataset()
    for day in range(3):
        dataset.process(FIELD.image(day, sources([121.0, 123.0, 125.0], 10.0, flux=[1.0, 1 + day, 1 + 0.1 * day])))
    table = ask(lightcurves.variables, dataset.id)
    assert table["wm_ra"].tolist() == [123.0, 125.0, 121.0]
    assert table["v_int"][0] == pytest.approx(0.5)
    assert table["lightcurve_max"].tolist() == [3.0, 1.2, 1.0]
    assert table["f_datapoints"].tolist() == [3, 3, 3]
    assert ask(lightcurves.variables, dataset.id, min_v=0.05)["wm_ra"].tolist() == [123.0, 125.0]
    assert ask(lightcurves.variables, dataset.id, min_eta=1.0, limit=1)["wm_ra"].tolist() == [123.0]
    assert len(ask(lightcurves.variables, dataset.id, min_datapoints=4)["runcat"]) == 0


def test_catalogue_of_a_dataset_is_its_own(busy, make_dataset, ask):
    other = make_dataset()
    other.process(FIELD.image(0, sources(10.0, 10.0)))
    assert ask(lightcurves.runcat_entries, other.id)["wm_ra"].tolist() == [10.0]
    mine = ask(lightcurves.runcat_entries, busy.id)
    assert mine["id"].tolist() == sorted(entry["id"] for entry in busy.entries())
    assert mine["mon_src"].dtype == bool
