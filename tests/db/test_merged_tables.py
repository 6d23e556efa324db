"""The result tables of several datasets."""

import numpy as np
import pytest
from db_servers import module_engine
from made_up_survey import START, Field, dataset_maker, sources

from trap.codes import Flag
from trap.db.engine import reading, transaction
from trap.db.merged_tables import MERGED_TABLES, read_merged_rows, stream_merged_rows
from trap.db.merging import merge_datasets
from trap.db.ratings import rate_candidate
from trap.db.result_tables import read_rows
from trap.errors import ConfigError
from trap.selection import Selection

FIELD = Field()
PLACES = ((122.0, 10.0), (123.0, 10.0), (124.0, 11.0))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def merged(request, tmp_path_factory):
    """Merge two seasons of three sources: the second one doubles, the third one appears in the second season."""
    with module_engine(request.param, request, tmp_path_factory) as engine:
        first, second = dataset_maker(engine)(), dataset_maker(engine)()
        looks = [(first, day, 2, (1.0, 1.0)) for day in range(3)]
        looks += [(second, day, shown, (1.0, 2.0, 1.0)) for day, shown in ((9, 2), (10, 3), (11, 3))]
        for dataset, day, shown, fluxes in looks:
            ra, dec = np.array(PLACES[:shown]).T
            found = sources(ra, dec, flux=np.array(fluxes[:shown]), flux_err=np.full(shown, 0.01))
            flags = int(Flag.BLENDED) * (np.arange(shown) == 1)
            dataset.process(FIELD.image(day, found.with_columns(flags=flags)))
        with transaction(engine) as connection:
            (candidate,) = read_rows(connection, "transients", [second.id])["newsource"].tolist()
            rate_candidate(connection, second.id, candidate, "true", rater="Ada", now=START, tags=["pulsar"])
        with reading(engine) as connection:
            yield connection, merge_datasets(connection, [first.id, second.id])


def _read(merged, name, **filters):
    connection, datasets = merged
    return read_merged_rows(connection, datasets, name, Selection.of(**filters))


def test_sources_have_one_row_with_the_metrics_of_all_seasons(merged):
    rows = _read(merged, "sources")
    assert list(rows) == list(MERGED_TABLES["sources"].columns)
    assert (np.diff(rows["source"]) > 0).all()
    assert rows["n_datasets"].tolist() == [2, 2, 1]
    assert rows["f_datapoints"].tolist() == [6, 6, 2]
    assert rows["wm_ra"] == pytest.approx([122, 123, 124])
    assert rows["lightcurve_avg"] == pytest.approx([1, 1.5, 1])
    assert rows["v_int"] == pytest.approx([0, np.std([1, 2] * 3, ddof=1) / 1.5, 0], abs=1e-12)
    assert rows["stokes"].tolist() == ["I"] * 3


def test_sources_are_selected(merged):
    for filters, expected in (
        ({"near": (123.0, 10.0), "radius": 3 * 3600}, [1, 0, 2]),
        ({"near": (123.0, 10.0)}, [1]),
        ({"min_eta": 10}, [1]),
        ({"max_v": 0.1, "min_n_datasets": 2}, [0]),
        ({"band": 140}, [0, 1, 2]),
        ({"stokes": "V"}, []),
        ({"candidates_only": True}, [2]),
        ({"rating": "true"}, [2]),
        ({"tag": "noise"}, []),
    ):
        places = [round(ra) for ra in _read(merged, "sources", **filters)["wm_ra"].tolist()]
        assert places == [PLACES[number][0] for number in expected], filters


def test_the_number_of_a_source_is_the_same_in_every_selection(merged):
    everywhere = _read(merged, "sources")["source"].tolist()
    for number, place in enumerate(PLACES):
        assert _read(merged, "sources", near=place)["source"].tolist() == [everywhere[number]]


def test_the_source_of_an_entry_is_selected(merged):
    points = _read(merged, "lightcurves")
    source = np.unique(points["source"])[1]
    entries = points["runcat"][points["source"] == source].tolist()
    assert entries[0] == source != entries[-1]  # of the first and of the second dataset
    assert _read(merged, "sources", entries=entries[-1])["source"].tolist() == [source]
    assert _read(merged, "lightcurves", entries=entries[-1])["runcat"].tolist() == entries


def test_points_of_light_curves_are_selected(merged):
    points = _read(merged, "lightcurves")
    assert len(points["source"]) == 14
    assert (np.diff(points["source"]) >= 0).all()
    assert set(_read(merged, "lightcurves", since="2012-01-09")["f_datapoints"].tolist()) == {1, 2, 4, 5, 6}
    assert len(_read(merged, "lightcurves", until="2012-01-09")["source"]) == 6
    without = _read(merged, "lightcurves", without_flags="blended")
    assert set(without["source"].tolist()) == {points["source"].min(), points["source"].max()}
    assert _read(merged, "lightcurves", min_f_int=1.5)["f_int"] == pytest.approx([2.0] * 3)


def test_chunks_have_whole_sources_and_make_up_the_table(merged, monkeypatch):
    monkeypatch.setattr("trap.db.merged_tables.ENTRIES_PER_CHUNK", 1)
    connection, datasets = merged
    whole = _read(merged, "lightcurves")
    chunks = list(stream_merged_rows(connection, datasets, "lightcurves", Selection()))
    assert [set(chunk["source"].tolist()) for chunk in chunks] == [{one} for one in np.unique(whole["source"]).tolist()]
    for name, values in whole.items():
        np.testing.assert_array_equal(np.concatenate([chunk[name] for chunk in chunks]), np.asarray(values), name)


def test_an_empty_selection_has_the_columns(merged):
    rows = _read(merged, "lightcurves", min_f_int=1e6)
    assert list(rows) == list(MERGED_TABLES["lightcurves"].columns)
    assert {len(values) for values in rows.values()} == {0}


def test_selections_without_a_meaning_are_refused(merged):
    for name, filters, message in (
        ("images", {}, "images of several datasets"),
        ("sources", {"since": "2012-01-01"}, "flags or times"),
        ("sources", {"min_eta_itn": 1}, "did you mean eta_int"),
        ("lightcurves", {"band": 999}, "have no such band; their bands are 140 MHz"),
        ("lightcurves", {"min_stokes": 1}, "has no numbers"),
    ):
        with pytest.raises(ConfigError, match=message):
            _read(merged, name, **filters)
