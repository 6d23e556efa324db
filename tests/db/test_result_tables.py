from __future__ import annotations

import shutil
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from astropy.io.votable.ucd import check_ucd
from astropy.utils import minversion
from busy_dataset import FIELD, forced
from made_up_survey import START, Field, dataset_maker, sources
from sqlalchemy import text

from trap import angles
from trap.catalogues import Measurements, VarMetrics
from trap.codes import Flag
from trap.db.engine import make_engine, reading, transaction
from trap.db.ratings import rate_candidate
from trap.db.result_tables import RESULT_TABLES, count_rows, read_rows, stream_rows
from trap.errors import ConfigError
from trap.selection import Cone, Range, Selection

QUERIED = [name for name, table in RESULT_TABLES.items() if table.query is not None]


def _observed(dataset):
    """Three days in two bands: a steady source, one that brightens, a transient with ratings, and forced fits."""
    for day in range(3):
        flux = [1.0, 1.0 + day, 0.9] if day else [1.0, 1.0]
        ra = [121.0, 125.0, 123.0][: len(flux)]
        low = sources(ra, [10.0, 11.0, 12.5][: len(flux)], flux=flux).with_columns(flags=[0, 2, 32][: len(flux)])
        dataset.process(FIELD.image(day, low), FIELD.image(day, sources(121.0, 10.0), freq=180e6), forced=forced)
    with transaction(dataset.engine) as connection:
        (candidate,) = read_rows(connection, "transients", [dataset.id])["newsource"].tolist()
        for rater in ("Ada", "Bo"):
            rate_candidate(connection, dataset.id, candidate, "true", rater=rater, now=START)
    return dataset


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def everything(request, tmp_path_factory):
    """A dataset for all tests that only read it."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            path = tmp_path_factory.mktemp("read") / "trap.db"
            shutil.copy(request.getfixturevalue("_migrated_sqlite"), path)
            url = f"sqlite:///{path}"
        else:
            url = stack.enter_context(request.getfixturevalue("postgres").database())
        engine = make_engine(url)
        stack.callback(engine.dispose)
        yield _observed(dataset_maker(engine)(monitors=[(123.5, 10.5)]))


@pytest.fixture
def ask_all(everything):
    """Run a query function on the database of the dataset that is only read."""

    def run(function, *arguments, **options):
        with reading(everything.engine) as connection:
            return function(connection, *arguments, **options)

    return run


@pytest.fixture
def rows(everything, ask_all):
    def read(name, selection=None, **options):
        return ask_all(read_rows, name, [everything.id], selection, **options)

    return read


@pytest.fixture
def counted(everything, ask_all):
    """Return the row numbers of the selected sources, or of another table, and check their count."""

    def read(name, column, selection):
        found = ask_all(read_rows, name, [everything.id], selection, columns=[column])[column]
        assert ask_all(count_rows, name, [everything.id], selection) == len(found)
        return found.tolist()

    return read


def _streamed(connection, name, datasets, selection=None, **options):
    parts = list(stream_rows(connection, name, datasets, selection, **options))
    if not parts:
        return {}, []
    return {one: np.ma.concatenate([part[one] for part in parts]) for one in parts[0]}, [
        len(p["dataset"]) for p in parts
    ]


def _assert_equal(one, other):
    assert list(one) == list(other)
    for name, values in one.items():
        np.testing.assert_array_equal(np.ma.getmaskarray(values), np.ma.getmaskarray(other[name]), name)
        np.testing.assert_array_equal(np.ma.filled(values, 0), np.ma.filled(other[name], 0), name)


def test_rows_have_the_described_columns_and_types_also_without_rows(rows):
    for name in QUERIED:
        table, read = RESULT_TABLES[name], rows(name)
        empty = rows(name, Selection(since=datetime(2050, 1, 1, tzinfo=UTC)))
        assert list(read) == list(table.columns)
        assert all(described.doc for described in table.columns.values())
        for found in (read, empty):
            assert {column: values.dtype.kind for column, values in found.items()} == {
                column: described.dtype.kind for column, described in table.columns.items()
            }
            assert {
                column for column, values in found.items() if isinstance(values, np.ma.MaskedArray)
            } == table.nullable
        assert {len(values) for values in empty.values()} == {0}


def test_ucds_are_words_of_the_vocabulary():
    ucds = {column.ucd for table in RESULT_TABLES.values() for column in table.columns.values()}
    ucds |= {column.ucd for table in (Measurements, VarMetrics) for column in table.columns().values()}
    assert len(ucds) > 30
    if not minversion("astropy", "7.2"):  # whose vocabulary is newer
        ucds.remove("instr.background;stat.stdev")
    assert [ucd for ucd in ucds if ucd and not check_ucd(ucd, check_controlled_vocabulary=True)] == []


def test_chunks_together_are_all_rows(rows, everything, ask_all):
    for name in QUERIED:
        for chunk in (1, 3, 1000):
            streamed, sizes = ask_all(_streamed, name, [everything.id], chunk=chunk)
            _assert_equal(streamed, rows(name))
            assert max(sizes) <= chunk
            assert sum(sizes) == ask_all(count_rows, name, [everything.id], Selection())


def test_values_are_those_of_the_stored_tables(rows, everything):
    stored = everything.rows(
        "SELECT e.*, a.runcat, a.type, a.eta_int AS eta FROM assocxtrsource a JOIN extractedsource e ON a.xtrsrc = e.id"
        " JOIN image i ON e.image = i.id WHERE i.dataset = :dataset ORDER BY a.runcat, i.taustart_ts, i.freq_eff, e.id"
    )
    points = rows("lightcurves")
    for name in ("runcat", "type", "ra", "decl", "f_int", "f_peak_err", "flags", "image"):
        assert points[name].tolist() == [row[name] for row in stored], name
    np.testing.assert_array_equal(points["eta_int"], np.array([row["eta"] for row in stored], float))
    assert points["taustart_ts"][0] == np.datetime64(START.replace(tzinfo=None))
    assert set(points["stokes"].tolist()) == {"I"}
    found = rows("sources")
    assert set(found["name"].tolist()) == {""}
    assert found["eta_int"].tolist() == pytest.approx(
        everything.column(
            "SELECT m.eta_int FROM varmetric m JOIN runningcatalog r ON r.id = m.runcat WHERE r.dataset = :dataset"
            " ORDER BY r.id"
        )
    )


def test_cone_is_exact_across_ra_zero_and_at_the_poles(make_dataset, ask):
    dataset = make_dataset()
    rng = np.random.default_rng(3)
    ra = np.concatenate([rng.uniform(-3, 3, 60) % 360, rng.uniform(0, 360, 60)])
    dec = np.concatenate([rng.uniform(-3, 3, 60), rng.uniform(86, 90, 60)])
    # Regions as wide as this one reach all over the sky.
    dataset.process(Field(radius=60.0).image(0, sources(ra, dec, error_radius=0.01, systematics=0.01)))
    for centre in ((0.0, 0.0), (359.5, 0.5), (10.0, 89.9), (0.0, 90.0), (200.0, 88.0)):
        for radius in (0.7, 2.0, 100.0, 180.0):
            cone = Selection(near=Cone(ra=centre[0], dec=centre[1], radius=radius))
            for name, lon, lat in (("sources", "wm_ra", "wm_decl"), ("measurements", "ra", "decl")):
                every = ask(read_rows, name, [dataset.id])
                inside = angles.separation(every[lon], every[lat], *centre) <= radius
                found = ask(read_rows, name, [dataset.id], cone)
                assert found[lon].tolist() == every[lon][inside].tolist()


def test_cone_reads_a_strip_by_the_index_of_declinations(everything, ask_all):
    if everything.engine.dialect.name == "sqlite":
        plan = []

        def explain(connection):
            from sqlalchemy import event  # noqa: PLC0415 (in this test only)

            @event.listens_for(connection, "before_cursor_execute")
            def look(conn, cursor, statement, parameters, *_):
                if "runningcatalog" in statement and not statement.startswith("EXPLAIN"):
                    raw = conn.connection.driver_connection
                    plan.extend(row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))

            read_rows(connection, "sources", [everything.id], Selection(near=Cone(ra=121.0, dec=10.0, radius=0.1)))

        ask_all(explain)
        assert any("wm_decl>? AND wm_decl<?" in step for step in plan)


def test_images_are_selected_by_the_overlap_of_their_region(counted):
    # The field is a circle of 10 degrees around (123, 10).
    assert len(counted("images", "image", Selection(near=Cone(ra=123.0, dec=21.0, radius=1.5)))) == 6
    assert counted("images", "image", Selection(near=Cone(ra=123.0, dec=21.0, radius=0.5))) == []


def test_range_includes_its_ends(rows, counted):
    fluxes = rows("lightcurves", columns=["f_int"])["f_int"]
    low, high = float(np.unique(fluxes)[1]), float(np.unique(fluxes)[-2])
    expected = sorted(fluxes[(fluxes >= low) & (fluxes <= high)].tolist())
    within = Selection(ranges=(Range(column="f_int", low=low, high=high),))
    assert sorted(counted("lightcurves", "f_int", within)) == expected


def test_missing_values_are_in_no_range(make_dataset, ask):
    dataset = _observed(make_dataset())
    with transaction(dataset.engine) as connection:
        connection.execute(text("UPDATE assocxtrsource SET eta_int = NULL, v_int = 1.5 WHERE f_datapoints = 1"))
        if connection.dialect.name == "postgresql":
            connection.execute(text("UPDATE assocxtrsource SET eta_int = 'NaN' WHERE f_datapoints = 2"))
    for limits in ({"low": -np.inf}, {"low": 0.0}, {"high": np.inf}):
        passed = ask(read_rows, "lightcurves", [dataset.id], Selection(ranges=(Range(column="eta", **limits),)))
        assert np.isfinite(passed["eta_int"]).all()
        assert len(passed["eta_int"]) == np.isfinite(ask(read_rows, "lightcurves", [dataset.id])["eta_int"]).sum()


def test_range_on_any_column_of_numbers_and_on_no_other(rows, counted):
    assert counted("images", "image", Selection(ranges=(Range(column="freq_central", low=150e6),)))
    with pytest.raises(ConfigError, match="table sources has no column 'eta_itn'; did you mean eta_int"):
        rows("sources", Selection(ranges=(Range(column="eta_itn", low=1.0),)))
    for name in ("first_seen", "name", "stokes", "mon_src"):
        with pytest.raises(ConfigError, match=f"column {name} of table sources has no numbers"):
            rows("sources", Selection(ranges=(Range(column=name, low=1.0),)))


def test_scatter_of_a_negative_source_in_stokes_v_counts_by_its_size(make_dataset, ask):
    dataset = make_dataset()
    for day in range(3):
        found = sources(121.0, 10.0, flux=-0.5 - day / 10)
        dataset.process(FIELD.image(day, found, stokes=4))
    (v,) = ask(read_rows, "sources", [dataset.id])["v_int"]
    assert v < 0
    assert ask(count_rows, "sources", [dataset.id], Selection(ranges=(Range(column="v", low=-v / 2),))) == 1


def test_band_is_named_by_a_frequency_within_it(rows, counted):
    for frequency in (140e6, 140.9e6, 139e6, 139.5e6):
        picked = rows("measurements", Selection(bands=(frequency,)))
        assert set(picked["freq_central"]) == {140e6}
    assert set(rows("measurements", Selection(bands=(140e6, 180e6)))["freq_central"]) == {140e6, 180e6}
    with pytest.raises(ConfigError, match="band 150 MHz: dataset .* has no such band; its bands are 140, 180 MHz"):
        rows("sources", Selection(bands=(150e6,)))


def test_flags_leave_measurements_out_by_any_of_them(rows, counted):
    flags = rows("measurements")["flags"]
    without = Selection(without_flags=int(Flag.BLENDED | Flag.POINT_LIKE))
    assert counted("measurements", "flags", without) == flags[flags & 34 == 0].tolist()
    assert (flags & 34).any()
    with pytest.raises(ConfigError, match="table sources has no flags"):
        rows("sources", without)


def test_candidates_and_entries_select_sources_and_all_that_belongs_to_them(rows, counted):
    (entry,) = rows("transients")["runcat"].tolist()
    only, of_entry = Selection(candidates_only=True), Selection(entries=(entry, 999_999))
    for chosen in (only, of_entry):
        assert counted("sources", "runcat", chosen) == [entry]
        points = rows("lightcurves", chosen)
        assert set(points["runcat"].tolist()) == {entry}
        assert counted("measurements", "xtrsrc", chosen) == sorted(points["xtrsrc"].tolist())
    with pytest.raises(ConfigError, match="table images has no candidates"):
        rows("images", only)
    newsource = rows("sources")["newsource"]
    assert newsource.compressed().tolist() == rows("transients")["newsource"].tolist()


def test_times_select_images_and_first_detections(counted):
    second = START + timedelta(days=1)
    assert len(counted("images", "image", Selection(since=second))) == 4
    assert len(counted("images", "image", Selection(since=second, until=second))) == 2
    assert len(counted("sources", "runcat", Selection(since=second))) == 1


def test_rows_come_in_any_order_with_missing_values_last(make_dataset, ask):
    dataset = _observed(make_dataset())

    def rows(name, **options):
        return ask(read_rows, name, [dataset.id], **options)

    with transaction(dataset.engine) as connection:
        connection.execute(text("UPDATE varmetric SET eta_int = NULL WHERE newsource IS NOT NULL"))
    eta = rows("sources")["eta_int"]
    assert np.isnan(eta).sum() == 1
    falling = rows("sources", columns=["eta_int"], order=["-eta_int"])["eta_int"]
    rising = rows("sources", columns=["eta_int"], order=["eta_int", "runcat"])["eta_int"]
    finite = np.sort(eta[np.isfinite(eta)])
    assert rising[: len(finite)].tolist() == finite.tolist()
    assert falling[: len(finite)].tolist() == finite[::-1].tolist()
    assert rows("sources", order=["-eta_int"], limit=1, offset=1)["eta_int"].tolist() == finite[::-1][1:2].tolist()
    with pytest.raises(ConfigError, match="table transients cannot be sorted by signs"):
        rows("transients", order=["signs"])


def test_rows_of_several_datasets_and_of_no_other(make_dataset, ask):
    first, other, third = make_dataset(), make_dataset(), make_dataset()
    for dataset in (first, other, third, first):
        dataset.process(FIELD.image(dataset is first and len(first.entries()), sources(10.0, 10.0)))
    both = ask(read_rows, "sources", [first.id, other.id])
    assert sorted(set(both["dataset"].tolist())) == [first.id, other.id]
    streamed, _ = ask(_streamed, "lightcurves", [first.id])
    assert streamed["dataset"].tolist() == [first.id] * 2
    streamed, _ = ask(_streamed, "lightcurves", [third.id])
    assert streamed["dataset"].tolist() == [third.id]


def test_unknown_table_or_column_is_answered_with_the_nearest(rows):
    with pytest.raises(ConfigError, match="no table 'source'; did you mean sources"):
        rows("source")
    with pytest.raises(ConfigError, match="table images has no column 'rms_ql'; did you mean"):
        rows("images", columns=["rms_ql"])


def test_reading_few_columns_joins_few_tables(make_dataset, ask, statements):
    ask(read_rows, "measurements", [make_dataset().id], columns=["xtrsrc", "f_int"])
    assert "JOIN image" in statements[-1]
    assert "frequencyband" not in statements[-1]


def test_text_that_is_missing_is_empty(rows):
    assert set(rows("images", columns=["comment"])["comment"].tolist()) == {""}
