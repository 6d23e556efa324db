"""TraP's acceptance cases of association, on both databases (AC-1 to AC-9).

A case without a mark has the same answer by both methods of association.
"""

from __future__ import annotations

import numpy as np
import pytest
from made_up_survey import Field, sources

from trap.association.entries import Descent
from trap.catalogues import Flag

FIELD = Field()
ONE_TO_ONE = pytest.mark.parametrize("method", ["one-to-one"], indirect=True)
TRAP = pytest.mark.parametrize("method", ["trap"], indirect=True)
ARCSEC = 1 / 3600


def test_ac1_one_to_one_keeps_position_and_averages_errors(make_dataset):
    dataset = make_dataset()
    for day in range(8):
        dataset.process(FIELD.image(day, sources([123.123, 125.123, 127.123], 10.5)))
    entries = dataset.entries()
    assert [entry["wm_ra"] for entry in entries] == pytest.approx([123.123, 125.123, 127.123], abs=1e-12)
    assert [entry["datapoints"] for entry in entries] == [8, 8, 8]
    for entry in entries:
        # sqrt(20² + 10²) arcsec per measurement, eight of them
        assert entry["wm_uncertainty_ew"] * 3600 == pytest.approx(7.905694, abs=1e-6)
        assert entry["wm_uncertainty_ns"] * 3600 == pytest.approx(7.905694, abs=1e-6)
    assert dataset.types() == [[4] + [3] * 7] * 3
    assert dataset.column("SELECT COUNT(DISTINCT xtrsrc) FROM assocxtrsource") == [24]
    fluxes = dataset.rows("SELECT f_datapoints, avg_f_int, avg_f_int_weight FROM runningcatalog_flux")
    assert [row["f_datapoints"] for row in fluxes] == [8, 8, 8]
    for row in fluxes:
        assert row["avg_f_int"] == pytest.approx(0.015)
        assert row["avg_f_int_weight"] == pytest.approx(4e6)


def test_ac1_source_seen_once_has_one_point(make_dataset):
    dataset = make_dataset()
    dataset.process(FIELD.image(0, sources(123.123, 10.5)))
    assert dataset.types() == [[4]]


def test_ac1_no_sources_make_no_catalogue(make_dataset):
    dataset = make_dataset()
    for day in range(3):
        dataset.process(FIELD.image(day))
    assert dataset.entries() == []


def test_ac2_infinite_position_error_costs_that_measurement_alone(make_dataset):
    dataset = make_dataset(association={"deruiter_radius": 1.0})
    for day in range(2):
        record = dataset.process(FIELD.image(day, sources(123.123, 10.5, error_radius=np.inf)))
        assert record[0].n_dropped == 1
    assert dataset.entries() == []


@pytest.mark.parametrize("flag", [Flag.EDGE, Flag.MASKED_PIXELS, Flag.OUTSIDE, Flag.FIT_FAILED])
def test_unsound_measurement_founds_no_entry_and_no_candidate(make_dataset, flag):
    dataset = make_dataset()
    dataset.process(FIELD.image(0))
    (record,) = dataset.process(FIELD.image(1, sources(123.0, 10.0).with_columns(flags=int(flag))))
    assert record.n_dropped == 1
    assert dataset.entries() == []
    # The first sound measurement is the candidate.
    (record,) = dataset.process(FIELD.image(2, sources(123.0, 10.0)))
    assert len(record.new_sources) == 1


@pytest.mark.parametrize("flag", [Flag.EDGE, Flag.MASKED_PIXELS, Flag.OUTSIDE, Flag.FIT_FAILED])
def test_unsound_measurement_does_not_change_its_entry(make_dataset, flag):
    dataset = make_dataset()
    dataset.process(FIELD.image(0, sources(123.0, 10.0)))
    (record,) = dataset.process(FIELD.image(1, sources(123.001, 10.0, flux=0.15).with_columns(flags=int(flag))))
    (entry,) = dataset.entries()
    assert (entry["wm_ra"], entry["datapoints"]) == (pytest.approx(123.0, abs=1e-12), 1)
    # The entry is measured by a forced fit, as if the image did not show it.
    assert record.forced.target.tolist() == [0]


@pytest.mark.parametrize("flag", [Flag.BLENDED, Flag.POINT_LIKE])
def test_measurement_with_another_flag_is_associated(make_dataset, flag):
    dataset = make_dataset()
    (record,) = dataset.process(FIELD.image(0, sources(123.0, 10.0).with_columns(flags=int(flag))))
    assert (record.n_dropped, len(dataset.entries())) == (0, 1)


@pytest.mark.parametrize(("limit", "datapoints"), [(1.0, [1, 1]), (1.2, [2])])
def test_ac3_search_radius_is_in_beam_semi_major_axes(make_dataset, limit, datapoints):
    dataset = make_dataset(association={"beamwidths_limit": limit})
    dataset.process(FIELD.image(0, sources(123.0, 10.0, systematics=100)))
    dataset.process(FIELD.image(1, sources(123.0 - 0.033, 10.0, systematics=100)))
    assert [entry["datapoints"] for entry in dataset.entries()] == datapoints


def test_search_radius_has_a_floor_in_arcsec(make_dataset):
    # The beam's semi-major axis is 108 arcsec; the two positions are 117 arcsec apart.
    dataset = make_dataset(association={"search_radius_floor_arcsec": 120.0})
    dataset.process(FIELD.image(0, sources(123.0, 10.0, systematics=100)))
    dataset.process(FIELD.image(1, sources(123.0 - 0.033, 10.0, systematics=100)))
    assert [entry["datapoints"] for entry in dataset.entries()] == [2]


@TRAP
def test_ac4_one_to_many_forks_the_entry(make_dataset):
    dataset = make_dataset()
    dataset.process(FIELD.image(0, sources(123.1235, 10.55)))
    (old,) = dataset.entries()
    dataset.process(FIELD.image(1, sources([123.12349, 123.12351], [10.549, 10.551])))
    entries = dataset.entries()
    assert [entry["wm_ra"] for entry in entries] == pytest.approx([123.123495, 123.123505], abs=1e-9)
    assert [entry["wm_decl"] for entry in entries] == pytest.approx([10.5495, 10.5505], abs=1e-9)
    assert [entry["datapoints"] for entry in entries] == [2, 2]
    assert old["xtrsrc"] not in [entry["xtrsrc"] for entry in entries]
    assert old["id"] not in [entry["id"] for entry in entries]
    for entry in entries:
        assert entry["wm_uncertainty_ew"] * 3600 == pytest.approx(15.811388, abs=1e-6)
        inherited, forked = dataset.light_curve(entry["id"])
        assert (inherited["type"], forked["type"]) == (6, 2)
        assert forked["distance_arcsec"] == pytest.approx(3.600174, abs=1e-6)
        assert forked["r"] == pytest.approx(0.1138475, abs=1e-7)
        assert forked["f_datapoints"] == 2
    assert dataset.column("SELECT f_datapoints FROM runningcatalog_flux") == [2, 2]


@ONE_TO_ONE
def test_ac4_one_of_two_measurements_is_a_new_source(make_dataset):
    # An image that shows two sources has told them apart. Both are 3.6 arcsec from the entry, r = 0.11, and as bright:
    # the southern one is the entry. The other has no history, only a neighbour.
    dataset = make_dataset()
    dataset.process(FIELD.image(0, sources(123.1235, 10.55)))
    (old,) = dataset.entries()
    dataset.process(FIELD.image(1, sources([123.12349, 123.12351], [10.549, 10.551])))
    entry, new = dataset.entries()
    assert (entry["id"], entry["xtrsrc"]) == (old["id"], old["xtrsrc"])
    assert (entry["wm_ra"], entry["wm_decl"]) == pytest.approx((123.123495, 10.5495), abs=1e-9)
    assert (new["wm_ra"], new["wm_decl"]) == pytest.approx((123.12351, 10.551), abs=1e-9)
    assert (entry["datapoints"], new["datapoints"]) == (2, 1)
    assert dataset.types() == [[4, 3], [4]]
    # sqrt(500) arcsec for one measurement, by sqrt(2) less for two
    assert entry["wm_uncertainty_ew"] * 3600 == pytest.approx(15.811388, abs=1e-6)
    assert new["wm_uncertainty_ew"] * 3600 == pytest.approx(22.360680, abs=1e-6)
    (row,) = dataset.rows("SELECT * FROM lineage")
    assert (row["runcat"], row["origin"], row["kind"]) == (new["id"], entry["id"], Descent.NEIGHBOUR)
    # The next image shows both, and each is itself again, also in a run that continues the dataset.
    dataset.reload()
    dataset.process(FIELD.image(2, sources([123.12351, 123.12349], [10.551, 10.549])))
    assert dataset.types() == [[4, 3, 3], [4, 3]]


@TRAP
def test_ac5_many_to_one_gives_the_measurement_to_each(make_dataset):
    dataset = make_dataset()
    dataset.process(FIELD.image(0, sources([122.985, 123.015], 10.5)))
    dataset.process(FIELD.image(1, sources(123.0, 10.5)))
    entries = dataset.entries()
    assert [entry["wm_ra"] for entry in entries] == pytest.approx([122.9925, 123.0075], abs=1e-7)
    assert dataset.types() == [[4, 3], [4, 3]]
    for entry in entries:
        assert entry["datapoints"] == 2
        point = dataset.light_curve(entry["id"])[1]
        assert point["distance_arcsec"] == pytest.approx(53.095765, abs=1e-6)
        assert point["r"] == pytest.approx(1.6790355, abs=1e-7)


@ONE_TO_ONE
def test_ac5_one_of_two_entries_gets_the_measurement(make_dataset):
    # Both entries are 53 arcsec from the measurement, r = 1.68, as bright, and at one declination: the western one
    # gets it. The image covers the other one and does not show it.
    dataset = make_dataset()
    dataset.process(FIELD.image(0, sources([122.985, 123.015], 10.5)))
    dataset.process(FIELD.image(1, sources(123.0, 10.5)))
    west, east = dataset.entries()
    assert (west["wm_ra"], east["wm_ra"]) == pytest.approx((122.9925, 123.015), abs=1e-7)
    assert (west["datapoints"], east["datapoints"]) == (2, 1)
    assert dataset.types() == [[4, 3], [4, 7]]
    assert dataset.light_curve(west["id"])[1]["r"] == pytest.approx(1.6790355, abs=1e-7)


def pair_then(east, north, flux=(0.015, 0.015, 0.015, 0.015), flux_err=5e-4):
    """Two sources 40 arcsec apart along RA, then two at the given offsets [arcsec] from their middle."""
    options = {"systematics": 0.0, "error_radius": 10.0, "flux_err": flux_err}
    first = sources(123 + np.array([-20, 20]) * ARCSEC, 10.5, flux=flux[:2], **options)
    second = sources(123 + np.array(east) * ARCSEC, 10.5 + np.array(north) * ARCSEC, flux=flux[2:], **options)
    return first, second


@TRAP
def test_ac6a_many_to_many_forks_the_nearer_entry(make_dataset):
    dataset = make_dataset()
    for day, found in enumerate(pair_then((1, 1), (20, -20))):
        dataset.process(FIELD.image(day, found))
    west, south, north = dataset.entries()
    # The western one was missed: its second point is a forced fit.
    assert dataset.types() == [[4, 7], [6, 2], [6, 2]]
    assert west["datapoints"] == 1
    for entry, dec, radius in ((south, 10.4972222, 1.9352229), (north, 10.5027778, 1.9352067)):
        assert entry["datapoints"] == 2
        assert entry["wm_ra"] == pytest.approx(123.0029167, abs=1e-7)
        assert entry["wm_decl"] == pytest.approx(dec, abs=1e-7)
        assert entry["wm_uncertainty_ew"] * 3600 == pytest.approx(7.071068, abs=1e-6)
        assert dataset.light_curve(entry["id"])[1]["r"] == pytest.approx(radius, abs=1e-7)


@ONE_TO_ONE
def test_ac6a_many_to_many_resolves_to_pairs(make_dataset):
    # Both measurements are nearer to the eastern entry, r² = 3.75 instead of 4.13, but only one of them can be it. Both
    # assignments sum to 7.88; the one that keeps the order is taken: west with south, and east with north.
    dataset = make_dataset()
    for day, found in enumerate(pair_then((1, 1), (20, -20))):
        dataset.process(FIELD.image(day, found))
    assert dataset.types() == [[4, 3], [4, 3]]
    # Halfway: (-20 + 1) / 2 and (20 + 1) / 2 arcsec east, and 10 arcsec south and north
    for entry, east, north in zip(dataset.entries(), (-9.5, 10.5), (-10, 10), strict=True):
        assert entry["datapoints"] == 2
        assert entry["wm_ra"] == pytest.approx(123 + east * ARCSEC, abs=1e-7)
        assert entry["wm_decl"] == pytest.approx(10.5 + north * ARCSEC, abs=1e-7)


def test_ac6b_many_to_many_resolves_to_pairs(make_dataset):
    dataset = make_dataset()
    for day, found in enumerate(pair_then((1, -1), (20, -20))):
        dataset.process(FIELD.image(day, found))
    assert dataset.types() == [[4, 3], [4, 3]]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_ac6c_exact_tie_resolves_to_pairs_in_any_order(make_dataset, order):
    dataset = make_dataset()
    for day, found in enumerate(pair_then((0, 0), (20, -20))):
        dataset.process(FIELD.image(day, found.take(np.array(order))))
    assert dataset.types() == [[4, 3], [4, 3]]
    west, east = dataset.entries()
    assert west["wm_decl"] < east["wm_decl"]


def test_ac6d_chain_keeps_two_light_curves(make_dataset):
    dataset = make_dataset(association={"beamwidths_limit": 3.0})
    options = {"systematics": 0.0, "error_radius": 10.0, "flux": 0.02}
    dataset.process(FIELD.image(0, sources(123 + np.array([0, 80]) * ARCSEC, 0.0, **options)))
    dataset.process(FIELD.image(1, sources(123 + np.array([40, 120]) * ARCSEC, 0.0, **options)))
    assert dataset.types() == [[4, 3], [4, 3]]
    assert [(entry["wm_ra"] - 123) * 3600 for entry in dataset.entries()] == pytest.approx([20, 100], abs=1e-6)


MERIDIAN = [
    ((0.0001, 0.0003, 359.9999), 0.0001),
    ((359.9999, 359.999, 0.0001), 359.9996666667),
    ((359.9983, 359.9986, 359.9989), 359.9986),
    ((0.0002, 0.0003, 0.0004), 0.0003),
]


@pytest.mark.parametrize(("ras", "mean"), MERIDIAN)
def test_ac7_mean_across_the_meridian(make_dataset, ras, mean):
    field = Field(centre=(359.9, 10.5))
    dataset = make_dataset()
    for day, ra in enumerate(ras):
        dataset.process(field.image(day, sources(ra, 10.5)))
    (entry,) = dataset.entries()
    assert entry["datapoints"] == 3
    assert entry["wm_ra"] == pytest.approx(mean, abs=1e-9)
    assert entry["wm_uncertainty_ew"] * 3600 == pytest.approx(12.909944, abs=1e-6)


def test_ac7_right_ascension_zero_stays_zero(make_dataset):
    field = Field(centre=(0.0, 0.0))
    dataset = make_dataset()
    for day in range(5):
        dataset.process(field.image(day, sources(0.0, 0.0)))
    assert [entry["wm_ra"] for entry in dataset.entries()] == [0.0]


def test_ac7_moving_pointing_keeps_the_position(make_dataset):
    dataset = make_dataset()
    for day, ra in enumerate((0.0, 0.0, 15.0, 15.0)):
        dataset.process(Field(centre=(ra, 0.0)).image(day, sources(7.5, 0.0)))
    assert [entry["wm_ra"] for entry in dataset.entries()] == [7.5]


def test_ac7_sources_on_both_sides_of_the_meridian(make_dataset):
    ras = [0.33840829988583, 356.33840829988583]
    dataset = make_dataset()
    for day in range(11):
        field = Field(centre=(358.125 if day < 10 else 354.375, 50.941028), radius=1.38889)
        dataset.process(field.image(day, sources(ras, 50.941028)))
    assert [entry["wm_ra"] for entry in dataset.entries()] == pytest.approx(ras, abs=1e-12)


def test_ac8_de_ruiter_radius_along_right_ascension(make_dataset):
    dataset = make_dataset(association={"deruiter_radius": 100.0, "beamwidths_limit": 3.0})
    field = Field(centre=(10.0, 0.0))
    for day, ra in enumerate((10.0, 10.02)):
        dataset.process(field.image(day, sources(ra, 0.0, systematics=0.0)))
    (entry,) = dataset.entries()
    point = dataset.light_curve(entry["id"])[1]
    assert point["r"] == pytest.approx(5.0911688, abs=1e-7)
    assert point["distance_arcsec"] == pytest.approx(72.0, abs=1e-6)


@pytest.mark.parametrize("ra", [30.0, 300.0])
def test_ac8_de_ruiter_radius_is_the_same_everywhere(make_dataset, ra):
    dataset = make_dataset(association={"beamwidths_limit": 3.0})
    field = Field(centre=(ra, 10.5))
    for day, offset in enumerate((0.0, 50 * ARCSEC)):
        dataset.process(field.image(day, sources(ra + offset, 10.5 + offset)))
    (entry,) = dataset.entries()
    point = dataset.light_curve(entry["id"])[1]
    assert point["r"] == pytest.approx(2.2174009, abs=1e-7)
    assert point["distance_arcsec"] == pytest.approx(70.120374, abs=1e-6)


def test_ac9_sources_near_the_pole_keep_their_positions(make_dataset):
    ras = [0.0, 0.1, 45.0, 90.0, 179.9, 180.0, 180.1, 270.0, 359.9]
    field = Field(centre=(0.0, 90.0), radius=80.0)
    dataset = make_dataset()
    for day in range(4):
        dataset.process(field.image(day, sources(ras, 85.0)))
    assert [entry["wm_ra"] for entry in dataset.entries()] == pytest.approx(ras, abs=1e-12)


@pytest.mark.parametrize("ra", [0.0, 90.0, 180.0, 270.0])
def test_ac9_pairs_near_the_pole_are_matched(make_dataset, ra):
    field = Field(centre=(0.0, 90.0), radius=80.0)
    decs = np.array([85.0, 86.0, 87.0, 88.0])
    dataset = make_dataset()
    for day, offset in enumerate((-1e-5, 1e-5)):
        dataset.process(field.image(day, sources((ra + offset) % 360, decs)))
    assert sorted(entry["wm_decl"] for entry in dataset.entries()) == pytest.approx(decs, abs=1e-9)
