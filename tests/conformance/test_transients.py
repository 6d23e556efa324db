"""TraP's acceptance cases of sky regions and new sources, on both databases (AC-15 to AC-17)."""

from __future__ import annotations

from math import sqrt

import pytest
from made_up_survey import NOTHING, Field, sources

from trap.quality import Rejection, RejectReason

DETECTION = 10.0
MARGIN = 3.0
SEARCH = {
    "association": {"deruiter_radius": 3.7},
    "source_extraction": {"detection_threshold": DETECTION},
    "transient_search": {"new_source_test": "image", "new_source_sigma_margin": MARGIN},
}
FLAT = Field(rms_min=1e-3, rms_max=1e-3)
UNEVEN = Field(rms_min=2e-3, rms_max=5e-3)


def at(field, flux):
    return sources(field.centre[0], field.centre[1], flux=flux)


def n_links(dataset, region):
    return dataset.column(f"SELECT COUNT(*) FROM assocskyrgn WHERE skyrgn = {region}")[0]


def test_ac15_new_region_takes_in_the_sources_it_covers(make_dataset):
    dataset = make_dataset()
    dataset.process(Field(centre=(123.0, 0.0)).image(0, sources(123.0, 0.0)))
    dataset.process(Field(centre=(132.0, 0.0)).image(1))
    dataset.process(Field(centre=(134.0, 0.0)).image(2))
    first, near, far = dataset.column("SELECT id FROM skyregion ORDER BY id")
    assert (n_links(dataset, first), n_links(dataset, near), n_links(dataset, far)) == (1, 1, 0)
    assert dataset.requests == [0, 1, 0]


def test_ac15_fork_keeps_the_links_of_its_entry(make_dataset):
    dataset = make_dataset()
    field = Field(centre=(123.1235, 10.55))
    dataset.process(field.image(0, sources(123.1235, 10.55)))
    dataset.process(Field(centre=(124.0, 10.55)).image(1, sources(123.1235, 10.55)))
    dataset.process(field.image(2, sources([123.12349, 123.12351], [10.549, 10.551])))
    links = dataset.rows("SELECT runcat, COUNT(*) AS n FROM assocskyrgn GROUP BY runcat")
    assert [row["n"] for row in links] == [2, 2]


def test_ac15_disjoint_fields_give_no_new_source(make_dataset):
    dataset = make_dataset(**SEARCH)
    dataset.process(Field(centre=(50.0, 0.0), radius=1.5).image(0, sources(50.0, 0.0)))
    dataset.process(Field(centre=(60.0, 0.0), radius=1.5).image(1, sources(60.0, 0.0)))
    assert dataset.rows("SELECT * FROM newsource") == []


def test_ac15_source_appearing_in_the_overlap_is_new(make_dataset):
    west, east = (Field(centre=(ra, 0.0), radius=1.5) for ra in (50.0, 51.5))
    dataset = make_dataset(**SEARCH)
    dataset.process(west.image(0, sources([49.0, 50.5], 0.0)))
    dataset.process(east.image(1, sources([50.5, 51.0, 52.5], 0.0)))
    assert len(dataset.entries()) == 4
    assert dataset.column("SELECT COUNT(*) FROM newsource") == [1]
    assert dataset.column("SELECT r.wm_ra FROM newsource n JOIN runningcatalog r ON n.runcat = r.id") == pytest.approx(
        [51.0]
    )


def test_ac15_source_vanishing_in_the_overlap_is_fitted(make_dataset):
    west, east = (Field(centre=(ra, 0.0), radius=1.5) for ra in (50.0, 51.5))
    dataset = make_dataset(**SEARCH)
    dataset.process(west.image(0, sources([49.0, 50.5, 51.0], 0.0)))
    dataset.process(east.image(1, sources([50.5, 52.5], 0.0)))
    assert len(dataset.entries()) == 4
    assert dataset.requests == [0, 1]


def test_ac16_steady_source_is_not_new(make_dataset):
    dataset = make_dataset(**SEARCH)
    for day in range(4):
        dataset.process(FLAT.image(day, at(FLAT, 0.01313)))
    assert dataset.rows("SELECT * FROM newsource") == []


def test_ac16_single_epoch_transient(make_dataset):
    dataset = make_dataset(**SEARCH)
    for day in range(3):
        dataset.process(FLAT.image(day))
    dataset.process(FLAT.image(3, at(FLAT, 0.01313)))
    (new,) = dataset.rows("SELECT n.*, v.* FROM newsource n JOIN varmetric v ON v.runcat = n.runcat")
    assert new["newsource_type"] == 1
    # (0.01313 − 10 σ) / σ = 3.13 in TraP's derived form; the metric itself is flux over noise.
    assert new["sigma_rms_min"] - DETECTION == pytest.approx(3.13)
    assert new["sigma_rms_max"] - DETECTION == pytest.approx(3.13)
    assert (new["v_int"], new["eta_int"]) == (0, 0)
    dataset.process(FLAT.image(4))
    (entry,) = dataset.entries()
    last = dataset.light_curve(entry["id"])[-1]
    assert last["v_int"] == pytest.approx(sqrt(2))
    assert last["eta_int"] == pytest.approx(344.7938, abs=1e-4)


def test_ac16_source_just_above_the_threshold_is_not_new(make_dataset):
    dataset = make_dataset(**SEARCH)
    dataset.process(FLAT.image(0))
    dataset.process(FLAT.image(1, at(FLAT, 0.0101)))
    dataset.process(FLAT.image(2))
    assert dataset.rows("SELECT * FROM newsource") == []
    (entry,) = dataset.entries()
    last = dataset.light_curve(entry["id"])[-1]
    assert last["v_int"] == pytest.approx(sqrt(2))
    assert last["eta_int"] == pytest.approx(204.02)


def test_ac16_flare_of_a_known_source(make_dataset):
    dataset = make_dataset(**SEARCH)
    for day, flux in enumerate((0.0101, 0.0202, 0.0101)):
        dataset.process(FLAT.image(day, at(FLAT, flux)))
    dataset.process(FLAT.image(3))
    (entry,) = dataset.entries()
    points = dataset.light_curve(entry["id"])[1:]
    assert [point["v_int"] for point in points] == pytest.approx([0.47140452, 0.4330127, 0.81649658], abs=1e-8)
    assert [point["eta_int"] for point in points] == pytest.approx([204.02, 136.01333333, 272.02666667])
    assert dataset.rows("SELECT * FROM newsource") == []


@pytest.mark.parametrize(("flux", "kinds"), [(0.06565, [1]), (0.02626, [0]), (0.0202, [])])
def test_ac16_type_depends_on_the_best_and_the_worst_noise(make_dataset, flux, kinds):
    dataset = make_dataset(**SEARCH)
    dataset.process(UNEVEN.image(0))
    dataset.process(Field(rms_min=1e-3, rms_max=2.5e-3).image(1, at(UNEVEN, flux)))
    assert dataset.column("SELECT newsource_type FROM newsource") == kinds


def test_ac16_noisier_image_makes_a_null_detection_not_a_new_source(make_dataset):
    dataset = make_dataset(**SEARCH)
    dataset.process(UNEVEN.image(0, at(UNEVEN, 0.0202)))
    dataset.process(Field(rms_min=4e-3, rms_max=10e-3).image(1))
    assert dataset.requests == [0, 1]
    assert dataset.rows("SELECT * FROM newsource") == []


def test_ac16_another_band_is_no_earlier_look(make_dataset):
    dataset = make_dataset(**SEARCH)
    dataset.process(FLAT.image(0, freq=250e6))
    dataset.process(FLAT.image(1, at(FLAT, 0.1), freq=50e6))
    assert dataset.rows("SELECT * FROM newsource") == []


def test_ac16_best_earlier_image_is_the_reference(make_dataset):
    factors = {0: (1.2, 1.2), 1: (1.2, 1.2), 2: (1.2, 1.2), 6: (1.2, 1.2), 3: (1, 1.2), 5: (1, 1.2), 7: (0.5, 0.5)}
    dataset = make_dataset(**SEARCH)
    for day in range(8):
        low, high = factors.get(day, (1, 1))
        found = sources([122.5, 123.5], 10.0, flux=0.06565) if day == 7 else NOTHING
        dataset.process(Field(rms_min=2e-3 * low, rms_max=5e-3 * high).image(day, found))
    images = dataset.column("SELECT id FROM image ORDER BY taustart_ts")
    assert dataset.column("SELECT previous_limits_image FROM newsource") == [images[4]] * 2


def test_ac17_rejected_image_is_no_earlier_look(make_dataset):
    dataset = make_dataset(**SEARCH)
    rejected = FLAT.image(0).rejected(Rejection(reason=RejectReason.RMS, comment="10 times too high"))
    dataset.process(rejected)
    dataset.process(FLAT.image(1, at(FLAT, 0.1)))
    assert dataset.rows("SELECT * FROM newsource") == []


def test_state_from_the_database_is_the_state_in_memory(make_dataset):
    continued, reloaded = (make_dataset(**SEARCH) for _ in range(2))
    days = [at(FLAT, 0.02), sources([122.9999, 123.0001], 10.0, flux=0.02), NOTHING, at(FLAT, 0.05)]
    for day, found in enumerate(days):
        continued.process(FLAT.image(day, found))
        reloaded.process(FLAT.image(day, found))
        reloaded.reload()
    columns = "type, r, distance_arcsec, v_int, eta_int, f_datapoints"
    curves = [
        dataset.rows(
            f"SELECT {columns} FROM assocxtrsource a JOIN runningcatalog r ON a.runcat = r.id"
            " WHERE r.dataset = :dataset ORDER BY a.id"
        )
        for dataset in (continued, reloaded)
    ]
    assert curves[0] == curves[1]
