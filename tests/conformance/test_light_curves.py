"""TraP's acceptance cases of fluxes, null detections and monitoring, on both databases (AC-10 to AC-14)."""

from __future__ import annotations

import numpy as np
import pytest
from made_up_survey import NOTHING, Field, sources

FIELD = Field()
ONE_TO_ONE = pytest.mark.parametrize("method", ["one-to-one"], indirect=True)
TRAP = pytest.mark.parametrize("method", ["trap"], indirect=True)
ARCSEC = 1 / 3600


def values(points, name):
    return [point[name] for point in points]


def test_ac10a_one_to_one_fluxes(make_dataset):
    dataset = make_dataset()
    for day, flux in enumerate((2.0, 2.5, 2.4)):
        dataset.process(FIELD.image(day, sources(123.123, 10.5, flux=flux)))
    (entry,) = dataset.entries()
    points = dataset.light_curve(entry["id"])
    assert values(points, "v_int") == pytest.approx([0, 0.15713484, 0.11503267], abs=1e-8)
    assert values(points, "eta_int") == pytest.approx([0, 5.0e5, 2.8e5], rel=1e-9)
    (flux,) = dataset.rows("SELECT * FROM runningcatalog_flux")
    assert flux["avg_f_int"] == pytest.approx(2.3)
    assert flux["avg_f_int_sq"] == pytest.approx(5.3366666667)


def check_shared_flux(dataset):
    """AC-10 b and c: 3.0 with 3.2, and 3.0 with 3.4 (or 3.2 and 3.4 joined by 3.0), errors 0.5."""
    first, second = dataset.rows("SELECT * FROM runningcatalog_flux ORDER BY avg_f_int")
    for row, average, square, weighted in ((first, 3.1, 9.62, 12.4), (second, 3.2, 10.28, 12.8)):
        assert row["avg_f_int"] == pytest.approx(average)
        assert row["avg_f_int_sq"] == pytest.approx(square)
        assert row["avg_f_int_weight"] == pytest.approx(4.0)
        assert row["avg_weighted_f_int"] == pytest.approx(weighted)
    last = [dataset.light_curve(row["runcat"])[-1] for row in (first, second)]
    assert values(last, "v_int") == pytest.approx([0.045619792, 0.088388348], abs=1e-9)
    assert values(last, "eta_int") == pytest.approx([0.08, 0.32], abs=1e-12)


@TRAP
def test_ac10b_one_to_many_fluxes(make_dataset):
    dataset = make_dataset()
    dataset.process(FIELD.image(0, sources(123.0, 10.55, flux=3.0, flux_err=0.5)))
    dataset.process(FIELD.image(1, sources([123.0, 123.0 + 100 * ARCSEC], 10.55, flux=[3.2, 3.4], flux_err=0.5)))
    check_shared_flux(dataset)
    assert max(dataset.column("SELECT r FROM assocxtrsource")) == pytest.approx(3.1088209, abs=1e-7)


@TRAP
def test_ac10c_many_to_one_fluxes(make_dataset):
    dataset = make_dataset()
    dataset.process(FIELD.image(0, sources([123.0, 123.0 + 100 * ARCSEC], 10.5, flux=[3.2, 3.4], flux_err=0.5)))
    dataset.process(FIELD.image(1, sources(123.0, 10.5, flux=3.0, flux_err=0.5)))
    check_shared_flux(dataset)


def check_pair(points, fluxes, error):
    """A light curve of two points of equal error: s = |a - b| / √2, and η = (a - b)² / 2σ²."""
    a, b = fluxes
    assert values(points, "f_int") == list(fluxes)
    assert points[-1]["v_int"] == pytest.approx(abs(a - b) / np.sqrt(2) / ((a + b) / 2), rel=1e-9)
    assert points[-1]["eta_int"] == pytest.approx((a - b) ** 2 / 2 / error**2, rel=1e-9)


@ONE_TO_ONE
def test_ac10b_new_source_has_its_own_flux_only(make_dataset):
    # The measurement at the place of the entry is the entry; the one at 100 arcsec, r = 3.1, is new.
    dataset = make_dataset()
    dataset.process(FIELD.image(0, sources(123.0, 10.55, flux=3.0, flux_err=0.5)))
    dataset.process(FIELD.image(1, sources([123.0, 123.0 + 100 * ARCSEC], 10.55, flux=[3.2, 3.4], flux_err=0.5)))
    entry, new = (dataset.light_curve(entry["id"]) for entry in dataset.entries())
    check_pair(entry, (3.0, 3.2), 0.5)
    assert [(point["f_int"], point["v_int"], point["eta_int"]) for point in new] == [(3.4, 0.0, 0.0)]


@ONE_TO_ONE
def test_ac10c_missed_entry_keeps_its_flux(make_dataset):
    # The measurement lies at the place of the first entry. The second, at 100 arcsec, gets a forced fit: it reads zero.
    dataset = make_dataset()
    dataset.process(FIELD.image(0, sources([123.0, 123.0 + 100 * ARCSEC], 10.5, flux=[3.2, 3.4], flux_err=0.5)))
    dataset.process(FIELD.image(1, sources(123.0, 10.5, flux=3.0, flux_err=0.5)))
    near, far = (dataset.light_curve(entry["id"]) for entry in dataset.entries())
    check_pair(near, (3.2, 3.0), 0.5)
    assert [(point["f_int"], point["type"]) for point in far] == [(3.4, 4), (0.0, 7)]


@ONE_TO_ONE
@pytest.mark.parametrize("east", [(1, 1), (-1, 1)])
def test_ac10d_flux_densities_decide_between_near_positions(make_dataset, east):
    # West 3.2, east 3.0, then south 2.9, north 3.3. The sums of r² are equal, or lower by 0.77 for west with south and
    # east with north. By flux density these pairs cost 0.09/0.0410 + 0.09/0.0472 = 4.10, and west with north and east
    # with south 0.01/0.0472 + 0.01/0.0410 = 0.46, with variances 2 · 0.1² + (0.05 I)².
    dataset = make_dataset()
    options = {"systematics": 0.0, "error_radius": 10.0, "flux_err": 0.1}
    offsets = np.array([-20, 20]) * ARCSEC
    dataset.process(FIELD.image(0, sources(123 + offsets, 10.5, flux=[3.2, 3.0], **options)))
    found = sources(123 + np.array(east) * ARCSEC, 10.5 + offsets, flux=[2.9, 3.3], **options)
    dataset.process(FIELD.image(1, found))
    west, east_entry = (dataset.light_curve(entry["id"]) for entry in dataset.entries())
    check_pair(west, (3.2, 3.3), 0.1)
    check_pair(east_entry, (3.0, 2.9), 0.1)


MANY_TO_MANY = [
    ((1, 1), {"E, S": (0.0239697, 0.5), "E, N": (0.0673435, 4.5)}),
    ((-1, 1), {"W, S": (0.0695515, 4.5), "E, N": (0.0673435, 4.5)}),
]


@TRAP
@pytest.mark.parametrize(("east", "expected"), MANY_TO_MANY)
def test_ac10d_many_to_many_fluxes(make_dataset, east, expected):
    dataset = make_dataset()
    options = {"systematics": 0.0, "error_radius": 10.0, "flux_err": 0.1}
    west_east = sources(123 + np.array([-20, 20]) * ARCSEC, 10.5, flux=[3.2, 3.0], **options)
    offsets = np.array([-20, 20]) * ARCSEC
    south_north = sources(123 + np.array(east) * ARCSEC, 10.5 + offsets, flux=[2.9, 3.3], **options)
    dataset.process(FIELD.image(0, west_east))
    dataset.process(FIELD.image(1, south_north))
    last = [dataset.light_curve(entry["id"])[-1] for entry in dataset.entries()]
    blind = {point["f_int"]: point for point in last if point["extract_type"] == 0}
    for flux, (v_int, eta_int) in zip((2.9, 3.3), expected.values(), strict=True):
        assert blind[flux]["v_int"] == pytest.approx(v_int, abs=1e-7)
        assert blind[flux]["eta_int"] == pytest.approx(eta_int, abs=1e-9)


def test_ac10e_point_with_infinite_error_is_dropped(make_dataset):
    dataset = make_dataset(source_extraction={"expiration": 0})
    for day, (flux, error) in enumerate(((2.0, 0.1), (2.5, 0.1), (2.4, np.inf))):
        dataset.process(FIELD.image(day, sources(123.123, 10.5, flux=flux, flux_err=error)))
    (row,) = dataset.rows("SELECT * FROM runningcatalog_flux")
    assert (row["f_datapoints"], row["avg_f_int"]) == (2, pytest.approx(2.25))


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_ac11_light_curve(make_dataset, scale):
    dataset = make_dataset()
    for day in range(1, 5):
        dataset.process(FIELD.image(day, sources(123.123, 10.5, flux=10.0 * scale * day)))
    (entry,) = dataset.entries()
    points = dataset.light_curve(entry["id"])
    assert values(points, "v_int") == pytest.approx([0, 0.47140452, 0.5, 0.51639778], abs=1e-8)
    etas = np.array([0, 2e8, 4e8, 6.6666666667e8]) * scale**2
    assert values(points, "eta_int") == pytest.approx(etas, rel=1e-9)
    (flux,) = dataset.rows("SELECT * FROM runningcatalog_flux")
    assert flux["avg_f_int"] == pytest.approx(25.0 * scale)
    assert values(points, "f_datapoints") == [1, 2, 3, 4]


BANDS = (124e6, 149e6, 156e6, 185e6)


def test_ac12_null_detections_in_every_band(make_dataset):
    dataset = make_dataset()
    first, second = sources(122.5, 9.5), sources(123.5, 10.5)
    for day in range(3):
        found = {(0, 0): first, (1, 3): second}
        images = [FIELD.image(day, found.get((day, n), NOTHING), freq=freq) for n, freq in enumerate(BANDS)]
        dataset.process(*images)
    assert dataset.requests == [0] * 4 + [1] * 4 + [2] * 4
    counts = {
        entry["wm_ra"]: dataset.column(
            "SELECT f.f_datapoints FROM runningcatalog_flux f JOIN frequencyband b ON f.band = b.id"
            f" WHERE f.runcat = {entry['id']} ORDER BY b.freq_central"
        )
        for entry in dataset.entries()
    }
    assert counts == {122.5: [3, 2, 2, 2], 123.5: [1, 1, 1, 2]}
    types = dataset.types()
    assert [curve.count(4) for curve in types] == [1, 1]
    assert sum(len(curve) for curve in types) == 14
    assert {kind for curve in types for kind in curve} == {4, 7}


def test_ac12_close_pair_that_vanishes(make_dataset):
    dataset = make_dataset()
    dataset.process(FIELD.image(0, sources([122.985, 123.015], 10.5)))
    for day in (1, 2):
        dataset.process(FIELD.image(day))
    assert dataset.types() == [[4, 7, 7], [4, 7, 7]]


def test_ac13_expiration_ends_the_forced_fits(make_dataset):
    dataset = make_dataset()
    dataset.process(FIELD.image(0, sources(123.123, 10.5, flux=0.0101)))
    for day in range(1, 13):
        dataset.process(FIELD.image(day))
    assert dataset.requests == [0] + [1] * 10 + [0, 0]
    (entry,) = dataset.entries()
    points = dataset.light_curve(entry["id"])[1:]
    # One detection f, then k fits of zero with the same error: V = √(k+1), η = f²/(e²(k+1)).
    k = np.arange(1, 11)
    assert values(points, "v_int") == pytest.approx(np.sqrt(k + 1), rel=1e-12)
    assert values(points, "eta_int") == pytest.approx((0.0101 / 5e-4) ** 2 / (k + 1), rel=1e-12)
    assert entry["forcedfits_count"] == 10


def test_ac13_blind_detection_resets_the_count(make_dataset):
    dataset = make_dataset()
    dataset.process(FIELD.image(0, sources(123.123, 10.5)))
    dataset.process(FIELD.image(1))
    dataset.process(FIELD.image(2, sources(123.123, 10.5)))
    assert [entry["forcedfits_count"] for entry in dataset.entries()] == [0]


def test_ac14_monitored_positions(make_dataset):
    centre = FIELD.centre
    dataset = make_dataset(monitors=[centre, (centre[0] + 0.001, centre[1]), (centre[0] + 90, centre[1])])
    for day in range(3):
        dataset.process(FIELD.image(day, sources(*centre)))
    entries = dataset.rows("SELECT * FROM runningcatalog WHERE dataset = :dataset ORDER BY id")
    curves = {entry["id"]: dataset.light_curve(entry["id"]) for entry in entries}
    assert sorted((bool(entry["mon_src"]), values(curves[entry["id"]], "type")) for entry in entries) == [
        (False, [4, 3, 3]),
        (True, [8, 9, 9]),
        (True, [8, 9, 9]),
    ]
    for entry in entries:
        points = curves[entry["id"]]
        assert values(points, "f_datapoints") == [1, 2, 3]
        assert values(points, "extract_type") == [2 if entry["mon_src"] else 0] * 3
    assert dataset.requests == [2, 2, 2]
