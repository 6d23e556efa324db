"""``--dataset``: several datasets of one database as one."""

import csv
import io
import json
import shutil
import warnings

import numpy as np
import pytest
from astropy.table import Table
from made_up_survey import Field, dataset_maker, sources

from trap.cli import main
from trap.db.engine import make_engine

FIELD = Field()
N_SOURCES = 12
SECOND_SEASON = 1.2
"""Flux scale of the second season."""


@pytest.fixture(scope="module")
def database(_migrated_sqlite, tmp_path_factory):
    """Return a database of two seasons with twelve sources; the fourth source brightens between them."""
    path = tmp_path_factory.mktemp("seasons") / "trap.db"
    shutil.copy(_migrated_sqlite, path)
    engine = make_engine(f"sqlite:///{path}")
    rng = np.random.default_rng(4)
    for gain, first_day in ((1.0, 0), (SECOND_SEASON, 300)):
        dataset = dataset_maker(engine)()
        for day in range(first_day, first_day + 4):
            flux = rng.normal(1.0, 0.01, N_SOURCES)
            flux[3] += 0.5 * (day >= 300)
            found = sources(122 + 0.2 * np.arange(N_SOURCES), 10.0, flux=gain * flux, flux_err=0.01 * gain)
            dataset.process(FIELD.image(day, found))
    engine.dispose()
    return path


@pytest.fixture
def transients(database, capsys):
    """Run a command on the database; return what it printed."""

    def run(*words, code=0):
        assert main([*map(str, words), "--database", str(database)]) == code
        printed = capsys.readouterr()
        return printed.out if code == 0 else printed.err

    return run


def test_the_light_curve_of_a_place_covers_both_seasons(transients):
    printed = transients("lightcurve", 1, "--dataset", 2, 122.6, 10.0)
    lines = printed.splitlines()
    assert lines[0].startswith("source 4 at 122.6000 +10.0000")
    assert [line.split()[1] for line in lines[2:10]] == ["1"] * 4 + ["2"] * 4
    assert "flux densities of dataset 2 at 140 MHz are divided by 1.2" in lines[10]
    assert "by 12 sources of the datasets before it" in lines[10]


def test_any_entry_of_the_source_names_it(transients):
    by_place = transients("lightcurve", 1, "--dataset", 2, 122.6, 10.0, "--csv")
    rows = list(csv.DictReader(io.StringIO(by_place)))
    assert {row["source"] for row in rows} == {"4"}
    assert [float(row["f_int"]) for row in rows] == pytest.approx([1.0] * 4 + [1.5] * 4, abs=0.05)
    of_second = rows[-1]["runcat"]
    assert of_second != "4"
    for entry in (4, of_second):
        assert transients("lightcurve", 1, "--dataset", 2, "--entry", entry, "--csv") == by_place


def test_a_light_curve_of_several_seasons_is_filtered_and_drawn(transients, tmp_path):
    selected = transients("lightcurve", 1, "--dataset", 2, "--entry", 4, "--since", "2012-06-01", "--json")
    assert [row["dataset"] for row in json.loads(selected)] == [2] * 4
    transients("lightcurve", 1, "--dataset", 2, "--entry", 4, "--plot", tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 5000


def test_a_source_that_varies_between_seasons_is_variable(transients):
    assert "0 variable sources" in transients("variables", 1)
    assert "0 variable sources" in transients("variables", 2)
    printed = transients("variables", 1, "--dataset", 2)
    assert printed.splitlines()[1].split()[0] == "4"
    assert "1 variable source," in printed
    assert "lightcurve 1 --entry SOURCE --dataset 2" in printed
    (row,) = json.loads(transients("variables", 1, "--dataset", 2, "--json"))
    assert (row["source"], row["n_datasets"], row["f_datapoints"]) == (4, 2, 8)
    assert row["v_int"] == pytest.approx(np.std([1.0, 1.5] * 4, ddof=1) / 1.25, rel=0.05)


def test_exports_have_the_sources_of_all_seasons(transients, tmp_path):
    for name in ("fits", "votable", "ecsv"):
        path = tmp_path / f"points.{name}"
        transients("export", 1, "--dataset", 2, "--what", "lightcurves", "--format", name, "-o", path)
        table = Table.read(path, format={"ecsv": "ascii.ecsv"}.get(name, name))
        assert len(table) == 8 * N_SOURCES
        assert np.unique(table["source"]).tolist() == list(range(1, N_SOURCES + 1))
        assert np.asarray(table["f_int"]) == pytest.approx(1.0, abs=0.6)
    transients("export", 1, "--dataset", 2, "--what", "sources", "--format", "parquet", "-o", tmp_path / "s.parquet")
    assert len(Table.read(tmp_path / "s.parquet", format="parquet")) == N_SOURCES


def test_tables_without_sources_are_put_together(transients):
    images = list(
        csv.DictReader(io.StringIO(transients("export", 1, "--dataset", 2, "--what", "images", "--format", "csv")))
    )
    assert [row["dataset"] for row in images] == ["1"] * 4 + ["2"] * 4


def test_light_curves_of_all_seasons_are_nested_into_their_sources_in_hats(transients, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lsdb  # noqa: PLC0415 (it warns when it is imported)

        for what in ("lightcurves", "sources"):
            transients("export", 1, "--dataset", 2, "--what", what, "--format", "hats", "-o", tmp_path / what)
        nested = lsdb.open_catalog(tmp_path / "lightcurves").compute()
        alone = lsdb.open_catalog(tmp_path / "sources").compute()
    assert sorted(nested["source"]) == sorted(alone["source"]) == list(range(1, N_SOURCES + 1))
    assert [len(curve) for curve in nested["lightcurve"]] == [8] * N_SOURCES
    assert {int(one) for curve in nested["lightcurve"] for one in curve["dataset"]} == {1, 2}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("lightcurve", 1, "--dataset", 2, 10.0, 10.0), "no source of datasets 1, 2 within 30 arcsec"),
        (("lightcurve", 1, "--dataset", 2, "--entry", 999), "dataset 1 has no entry 999"),
        (("lightcurve", 1, "--dataset", 2, "--entry", 4, "--limits"), "--limits shows one dataset"),
        (("variables", 1, "--dataset", 9), "no dataset 9"),
        (("variables", 1, "--dataset", 1), "different datasets"),
        (("export", 1, "--dataset", 9, "--what", "images", "--format", "csv"), "no dataset 9"),
    ],
)
def test_datasets_and_sources_that_do_not_exist_are_refused(transients, words, message):
    assert message in transients(*words, code=1)


def test_no_table_or_figure_is_written_over_a_database(transients, database, tmp_path):
    shutil.copy(database, tmp_path / "other.db")
    (tmp_path / "link.csv").symlink_to(tmp_path / "other.db")
    before = (tmp_path / "other.db").read_bytes()
    for name in ("other.db", "link.csv", "other.db-wal"):
        for words in (
            ("variables", 1, "--csv", "--output"), ("lightcurve", 1, "--entry", 1, "--csv", "--output"),
            ("lightcurve", 1, "--entry", 1, "--plot"),
            ("export", 1, "--what", "sources", "--format", "fits", "--force", "-o"),
        ):  # fmt: skip
            assert "which is never written over" in transients(*words, tmp_path / name, code=1)
    assert (tmp_path / "other.db").read_bytes() == before
    assert not (tmp_path / "other.db-wal").exists()
