"""Tables of a dataset: the rows and values of the database, at once and in chunks."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.table import vstack
from astropy.time import Time
from table_filler import fill_dataset

from trap.db.engine import transaction
from trap.errors import ConfigError
from trap.results import open_dataset


def test_sources_have_the_values_of_the_database(opened, survey):
    table = opened.sources(order="runcat")
    stored = survey.rows(
        "SELECT id, wm_ra, wm_decl, datapoints FROM runningcatalog WHERE dataset = :dataset ORDER BY id"
    )
    assert table["runcat"].tolist() == [row["id"] for row in stored]
    assert table["wm_ra"].to_value("deg").tolist() == [row["wm_ra"] for row in stored]
    assert table["datapoints"].tolist() == [row["datapoints"] for row in stored]
    assert table["wm_decl"].info.meta["ucd"] == "pos.eq.dec;meta.main"
    assert table.meta["table"] == "sources"


@pytest.mark.parametrize(
    "filters",
    [
        {"near": SkyCoord(122.0, 10.0, unit="deg")},
        {"near": (122.0, 10.0), "radius": 1 * units.arcmin},
        {"near": "8h08m00s +10d00m00s", "radius": 60},
        {"min_eta": 10, "max_p": 1e-3, "min_lightcurve_max": 20 * units.Jy},
        {"min_lightcurve_max": 20_000 * units.mJy},
        {"min_wm_ra": 121 * units.deg, "max_wm_ra": 7320 * units.arcmin},
        {"columns": ["runcat", "wm_ra"], "order": "-lightcurve_max", "limit": 1},
    ],
    ids="-".join,
)
def test_sources_are_selected(opened, steady, filters):
    assert opened.sources(**filters)["runcat"].tolist() == [steady]


def test_candidates_and_variables_are_sources_too(opened, steady, transient):
    assert opened.sources(candidates=True)["runcat"].tolist() == [transient]
    assert opened.transients()["runcat"].tolist() == [transient]
    assert opened.transients(min_f_int=0.8)["runcat"].tolist() == []
    variables = opened.variables()
    assert steady in variables["runcat"].tolist()
    assert (np.diff(variables["eta_int"]) <= 0).all()
    assert (variables["eta_p_value"] <= 1e-4).all()


def test_images_and_measurements_have_the_values_of_the_database(opened, survey):
    images = opened.images(order="image")
    assert images["image"].tolist() == survey.column("SELECT id FROM image WHERE dataset = :dataset ORDER BY id")
    assert images["tau_time"].to_value("s").tolist() == [300.0] * 4 + [301.5, 300.0]
    assert len(opened.images(since=Time("2012-01-03"))) == 2
    assert len(opened.images(band=140)) == 3
    measured = opened.measurements(order="xtrsrc", columns=["xtrsrc", "f_int", "extract_type"])
    stored = survey.rows(
        "SELECT e.id, e.f_int, e.extract_type FROM extractedsource e JOIN image i ON i.id = e.image"
        " WHERE i.dataset = :dataset ORDER BY e.id"
    )
    assert [tuple(row) for row in measured.as_array().tolist()] == [tuple(row.values()) for row in stored]


def test_chunks_are_the_parts_of_the_whole(opened):
    whole = opened.measurements()
    chunks = list(opened.measurements(chunks=3))
    assert max(map(len, chunks)) <= 3
    assert len(chunks) > 3
    joined = vstack(chunks, metadata_conflicts="silent")
    assert joined["xtrsrc"].tolist() == whole["xtrsrc"].tolist()
    assert joined["f_int"].unit == units.Jy
    np.testing.assert_array_equal(joined["f_int"].value, whole["f_int"].value)
    assert list(opened.measurements(chunks=3, min_f_int=1e6)) == []


def test_light_curves_of_many_sources_are_those_of_each(opened, steady, transient):
    points = opened.light_curves(entries=[steady, transient])
    assert set(points["runcat"]) == {steady, transient}
    for entry in (steady, transient):
        single, rows = opened.light_curve(entry), points[points["runcat"] == entry]
        assert rows["xtrsrc"].tolist() == single["xtrsrc"].tolist()
        assert rows["f_int"].value.tolist() == single["f_int"].value.tolist()
    chunks = list(opened.light_curves(chunks=4, near=(122.0, 10.0), columns=["f_int"]))
    assert [len(chunk) for chunk in chunks] == [4, 2]
    assert len(opened.light_curves(entries=steady, band=140)) == 3


def test_memory_of_chunks_does_not_depend_on_the_number_of_measurements(engine, database_url):
    with transaction(engine) as connection:
        number = fill_dataset(connection, n_entries=100, n_images=20)
    dataset = open_dataset(database_url, number)

    def peak(n_images):
        tracemalloc.start()
        n = 0
        for chunk in dataset.measurements(chunks=100, max_image=n_images):
            n += len(chunk)
            gc.collect()  # tables refer to themselves: without it, some that have gone count too
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert n == 100 * n_images
        return highest

    peak(1)
    bytes_of_the_other_17 = 17 * 100 * 8 * len(dataset.measurements(limit=1).colnames)
    assert peak(20) < peak(3) + 0.3 * bytes_of_the_other_17


def test_calibration_is_relative_to_the_mean_of_the_band(pictures):
    table = pictures.calibration()
    assert len(table) == len(pictures.images())
    gains = table["gain"][np.isfinite(table["gain"])]
    assert not len(gains) or np.mean(gains) == pytest.approx(1.0)
    assert table["shift_ew"].unit == units.arcsec


def test_settings_are_those_of_the_run(opened, survey):
    assert opened.settings.source_extraction.detection_threshold == 6.0
    assert opened.settings.science_hash == survey.config.science_hash


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: d.sources(columns=["eta_itn"]), "no column 'eta_itn'; did you mean eta_int"),
        (lambda d: d.sources(min_eta_itn=3), "no column 'eta_itn'; did you mean eta_int"),
        (lambda d: d.sources(order="-eta_itn"), "no column 'eta_itn'"),
        (lambda d: d.sources(minimum_eta=3), "unknown filter 'minimum_eta'"),
        (lambda d: d.sources(min_lightcurve_max=3 * units.m), "min_lightcurve_max: 3.0 m cannot be converted"),
        (lambda d: d.sources(radius=10), "radius"),
        (lambda d: d.measurements(chunks=0), "chunks must be a whole number from 1"),
        (lambda d: d.measurements(chunks=10, columns=["f_itn"]), "no column 'f_itn'; did you mean f_int"),
        (lambda d: d.measurements(chunks=10, limit=5), "leave out order and limit, or chunks"),
        (lambda d: d.measurements(without_flags="edgy"), "unknown flag 'edgy'; did you mean edge"),
    ],
)
def test_impossible_filters_are_refused(pictures, call, message):
    with pytest.raises(ConfigError, match=message):
        call(pictures)


def test_an_empty_choice_of_entries_selects_nothing(opened):
    assert len(opened.sources(entries=[])) == 0
    assert list(opened.measurements(chunks=10, entries=[])) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": []}, "columns is empty"),
        ({"columns": 3}, "columns must be the name of a column"),
        ({"order": 3}, "order must be the name of a column"),
        ({"limit": "x"}, "limit must be a whole number"),
        ({"limit": -1}, "limit must be a whole number"),
        ({"limit": 1.5}, "limit must be a whole number"),
        ({"limit": True}, "limit must be a whole number"),
        ({"band": []}, "band is empty"),
        ({"candidates": "x"}, "candidates_only must be True or False"),
    ],
)
def test_arguments_without_a_meaning_are_refused(opened, options, message):
    with pytest.raises(ConfigError, match=message):
        opened.sources(**options)
