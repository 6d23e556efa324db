"""Exports of databases of both kinds: each file that other programs read equals the database."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import warnings
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.table import Table
from busy_dataset import FIELD, MESH, forced
from made_up_survey import START, Dataset, sources
from mocpy import MOC
from regions import Regions

from trap.association.noise_history import NoiseTiles, tiles_within
from trap.catalogues import MonitorPositions
from trap.cli import main
from trap.config import PipelineConfig
from trap.db.engine import make_engine, reading, transaction
from trap.db.ratings import rate_candidate
from trap.db.result_tables import RESULT_TABLES, read_rows
from trap.db.store import Store
from trap.report.formats import FORMATS
from trap.steps import persistence

HOSTILE = "=cmd|' /C calc'!A0, \"q\" é σ ]} {# ;\x1b[31m\n"
QUERIED = ("sources", "measurements", "lightcurves", "images", "transients", "ratings")


def observed(engine):
    """Three days in two bands: a steady source, a variable, a transient, and a monitored position of a hostile name."""
    config = PipelineConfig().with_options(
        association={"deruiter_radius": 3.717, "beamwidths_limit": 1.0, "joint_beams": 0.0},
        source_extraction={"detection_threshold": 6.0, "extraction_radius_pix": 900.0},
        transient_search={"new_source_test": "image", "new_source_sigma_margin": 3.0},
    )
    number = persistence.create_dataset(engine, config, MonitorPositions.of(ra=[123.5], dec=[10.5], name=[HOSTILE]))
    dataset = Dataset(engine, config, number, Store(engine, number).load_state(config))
    for day in range(3):
        flux = [1.0, 1.0 + day, 0.9] if day else [1.0, 1.0]
        found = sources([121.0, 125.0, 123.0][: len(flux)], [10.0, 11.0, 12.5][: len(flux)], flux=flux)
        tile, ra, _ = tiles_within(5, 123.0, 10.0, 5.0)
        tiles = NoiseTiles(order=5, tile=tile, rms=np.where(ra > 123, 2e-3, 1e-3).astype(np.float32))
        low = replace(FIELD.image(day, found), background=MESH, noise_tiles=tiles)
        dataset.process(
            replace(low, metadata=replace(low.metadata, url=f"{HOSTILE}{day}.fits")),
            FIELD.image(day, sources(121.0, 10.0), freq=180e6),
            forced=forced,
        )
    with transaction(engine) as connection:
        (candidate,) = read_rows(connection, "transients", [number])["newsource"].tolist()
        rate_candidate(connection, number, candidate, "false", rater=HOSTILE, now=START, tags=["a;b"], note=HOSTILE)
    return dataset


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database_url(request, tmp_path_factory):
    """A database for all tests of this module: none changes it but to add a dataset."""
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("exported") / "trap.db"
        shutil.copy(request.getfixturevalue("_migrated_sqlite"), path)
        yield f"sqlite:///{path}"
    else:
        with request.getfixturevalue("postgres").database() as url:
            yield url


@pytest.fixture(scope="module")
def dataset(database_url):
    engine = make_engine(database_url)
    yield observed(engine)
    engine.dispose()


@pytest.fixture
def export(dataset, database_url, tmp_path, capsys):
    """Run ``transients export`` for the dataset; return the path of the file."""

    def run(what, form, *options, code=0):
        path = tmp_path / f"{what}-{len(list(tmp_path.iterdir()))}{FORMATS[form].suffix}"
        words = ["export", dataset.id, "--what", what, "--format", form, "-o", path, "--database", database_url]
        assert main([str(word) for word in [*words, *options]]) == code
        return path

    return run


def stored(dataset, name, selection=None):
    with reading(dataset.engine) as connection:
        return read_rows(connection, name, [dataset.id], selection)


def assert_equal(read, expected, *, shown=str, infinite=True):
    """Compare a table of astropy with the rows of the database; ``shown`` is the form of text in the file."""
    assert read.colnames == list(expected)
    for name, values in expected.items():
        column = read[name]
        kind = values.dtype.kind
        if kind == "O":
            assert [shown(text) for text in values] == np.ma.filled(column.astype(str), "").tolist(), name
        elif kind == "M":
            assert [f"{moment.isoformat()}Z" for moment in values.tolist()] == list(column), name
        else:
            mask = np.ma.getmaskarray(values) | (np.isnan(np.ma.filled(values, 0)) if kind == "f" else False)
            lost = np.ma.getmaskarray(column) | np.isnan(np.ma.filled(column.astype(float), np.nan))
            assert lost.tolist() == mask.tolist(), name
            assert np.asarray(column)[~mask].tolist() == np.ma.getdata(values)[~mask].tolist(), name
            assert column.dtype.kind == kind
            assert column.unit == (RESULT_TABLES_UNITS[name] or None)


RESULT_TABLES_UNITS = {}


def one_line(text):
    return text.replace("\x1b", "\\x1b").replace("\n", "\\n")


def ascii_line(text):
    return one_line(text).encode("ascii", "replace").decode()


@pytest.mark.parametrize(
    ("form", "reader", "shown"),
    [("fits", "fits", ascii_line), ("votable", "votable", one_line), ("ecsv", "ascii.ecsv", one_line)],
)
def test_tables_equal_the_database(dataset, export, form, reader, shown):
    for name in QUERIED:
        RESULT_TABLES_UNITS.update({one: column.unit for one, column in RESULT_TABLES[name].columns.items()})
        assert_equal(Table.read(export(name, form), format=reader), stored(dataset, name), shown=shown)


def test_csv_json_and_parquet_equal_the_database(dataset, export):
    for name in (*QUERIED, "coverage"):
        expected = stored(dataset, name)
        rows = list(csv.DictReader(io.StringIO(export(name, "csv").read_text(encoding="utf-8"))))
        listed = json.loads(export(name, "json").read_text())
        table = pq.read_table(export(name, "parquet"))
        for column, values in expected.items():
            plain = [None if value != value or value is None else value for value in values.tolist()]  # noqa: PLR0124
            if values.dtype.kind == "M":
                assert [row[column] for row in listed] == [f"{moment.isoformat()}Z" for moment in plain]
                assert table[column].to_numpy().astype("M8[us]").tolist() == plain
                continue
            assert [row[column] for row in listed] == plain
            assert [None if value != value else value for value in table[column].to_pylist()] == plain  # noqa: PLR0124
            if values.dtype.kind == "f":
                assert [row[column] for row in rows] == ["" if value is None else repr(value) for value in plain]
    named = csv.DictReader(io.StringIO(export("sources", "csv").read_text(encoding="utf-8")))
    assert f"'{one_line(HOSTILE)}" in {row["name"] for row in named}


def test_light_curves_in_hats_equal_the_database(dataset, export):
    points, entries = stored(dataset, "lightcurves"), stored(dataset, "sources")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lsdb  # noqa: PLC0415 (it warns)

        frame = lsdb.open_catalog(export("lightcurves", "hats")).compute()
        plain = lsdb.open_catalog(export("measurements", "hats")).compute()
    assert sorted(frame["runcat"].tolist()) == entries["runcat"].tolist()
    for runcat, curve in zip(frame["runcat"], frame["lightcurve"], strict=True):
        mine = points["runcat"] == runcat
        for name in ("f_int", "f_int_err", "eta_int"):
            np.testing.assert_array_equal(curve[name].to_numpy(float, na_value=np.nan), points[name][mine])
        assert curve["taustart_ts"].dt.tz_localize(None).to_numpy().astype("M8[us]").tolist() == (
            points["taustart_ts"][mine].tolist()
        )
        assert curve["stokes"].tolist() == points["stokes"][mine].tolist()
    order = np.argsort(frame["runcat"].to_numpy())
    np.testing.assert_array_equal(frame["eta_int"].to_numpy(float, na_value=np.nan)[order], entries["eta_int"])
    assert set(frame["name"]) == {"", HOSTILE}
    assert sorted(plain["xtrsrc"].tolist()) == stored(dataset, "measurements")["xtrsrc"].tolist()


def test_regions_have_the_places_and_names_of_the_database(dataset, export):
    for form, name in (("ds9", "sources"), ("ds9", "images"), ("ds9", "transients"), ("crtf", "lightcurves")):
        regions = Regions.parse(export(name, form).read_text(encoding="utf-8"), format=form)
        rows = stored(dataset, name)
        ra = next(rows[one] for one in ("wm_ra", "ra", "centre_ra") if one in rows)
        # Forced fits have flux densities too, so that all rows are drawn.
        assert [one.center.icrs.ra.deg for one in regions] == pytest.approx(ra.tolist(), abs=1e-6)


def test_maps_are_the_searched_area_of_a_band_and_depth(dataset, export, capsys):
    whole = MOC.from_fits(str(export("coverage", "moc")))
    row = stored(dataset, "coverage")["moc"][0]
    assert whole == MOC.from_string(row)
    # The noise in the west is 1 mJy/beam, and the threshold is six times the noise.
    deep = MOC.from_fits(str(export("coverage", "moc", "--depth", "7")))
    assert 0 < deep.sky_fraction < whole.sky_fraction
    assert "140 MHz, Stokes I" in capsys.readouterr().out


def test_empty_selections_are_valid_files(dataset, export, capsys):
    for form in ("fits", "votable", "ecsv", "csv"):
        reader = {"ecsv": "ascii.ecsv", "csv": "ascii.csv"}.get(form, form)
        table = Table.read(export("lightcurves", form, "--min", "f_int=1e9"), format=reader)
        assert (table.colnames, len(table)) == (list(RESULT_TABLES["lightcurves"].columns), 0)
    assert json.loads(export("sources", "json", "--since", "2050-01-01").read_text()) == []
    assert pq.read_table(export("images", "parquet", "--since", "2050-01-01")).num_rows == 0
    assert len(Regions.parse(export("sources", "ds9", "--min", "eta=1e30").read_text(), format="ds9")) == 0
    export("coverage", "moc", "--until", "2000-01-01", code=1)
    assert "no image of dataset" in capsys.readouterr().err


def test_empty_selection_is_a_valid_hats_catalogue(dataset, export):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lsdb  # noqa: PLC0415 (it warns)

        assert len(lsdb.open_catalog(export("lightcurves", "hats", "--min", "f_int=1e9")).compute()) == 0


def test_filters_of_the_command_select_rows(dataset, export):
    def listed(what, *options):
        return json.loads(export(what, "json", *options).read_text())

    assert [row["wm_ra"] for row in listed("sources", "--near", "121.0", "10.0", "--radius", "60")] == [121.0]
    assert [row["wm_ra"] for row in listed("sources", "--near", "08:04:00 +10:00:00")] == [121.0]
    assert listed("sources", "--near", "8:04:00", "-10:00:00") == []
    assert {row["f_int"] for row in listed("lightcurves", "--min", "f_int=0.95", "--max", "f_int=1")} == {1.0}
    assert {row["freq_central"] for row in listed("measurements", "--band", "180")} == {180e6}
    (transient,) = listed("transients")
    for options in (["--candidates-only"], ["--entry", str(transient["runcat"])]):
        assert [row["runcat"] for row in listed("sources", *options)] == [transient["runcat"]]
    assert len(listed("images", "--since", "2012-01-02", "--until", "2012-01-02T12:00:00")) == 2
    assert listed("measurements", "--stokes", "V") == []


def test_other_commands_have_the_same_filters(dataset, database_url, capsys):
    def listed(command, *words):
        options = ["--json", "--database", database_url]
        assert main([command, str(dataset.id), *map(str, words), *options]) == 0
        return json.loads(capsys.readouterr().out)

    assert len(listed("candidates")) == 1
    assert listed("candidates", "--near", 121, 10) == []
    assert len(listed("candidates", "--min", "f_int=0.5", "--near", 123, 12.5)) == 1
    every = listed("variables", "--max-p", 1)
    assert [row["runcat"] for row in listed("variables", "--max-p", 1, "--near", 125, 11)] == [
        row["runcat"] for row in every if row["wm_ra"] == 125
    ]
    assert [row["runcat"] for row in listed("variables", "--max-p", 1, "--min", "eta=1", "--max", "wm_ra=124")] == [
        row["runcat"] for row in every if row["eta_int"] >= 1 and row["wm_ra"] <= 124
    ]
    curve = listed("lightcurve", 121, 10)
    assert listed("lightcurve", 121, 10, "--band", 180, "--since", "2012-01-02") == [
        row for row in curve if row["freq_central"] == 180e6 and row["taustart_ts"] >= "2012-01-02"
    ]


def test_several_datasets_are_one_table(dataset, database_url, export, tmp_path, capsys):
    second = observed(dataset.engine)
    capsys.readouterr()
    words = ["export", str(dataset.id), "--dataset", str(second.id), "--what", "measurements", "--format", "json"]
    assert main([*words, "--database", database_url]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["dataset"] for row in rows} == {dataset.id, second.id}
    assert len(rows) == 2 * len(stored(dataset, "measurements")["xtrsrc"])


@pytest.fixture(scope="module")
def sqlite_database(_migrated_sqlite, tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "trap.db"
    shutil.copy(_migrated_sqlite, path)
    engine = make_engine(f"sqlite:///{path}")
    observed(engine)
    engine.dispose()
    return f"sqlite:///{path}"


@pytest.mark.parametrize(
    ("what", "form", "options", "message"),
    [
        ("sources", "moc", [], "--format moc is for coverage; sources can be written as csv, json, votable"),
        ("images", "hats", [], "--format hats is for lightcurves and sources and measurements and transients"),
        ("coverage", "ds9", [], "coverage can be written as .* moc"),
        ("sources", "csv", ["--depth", "1"], "--depth is for --format moc"),
        ("coverage", "moc", ["--min", "area=1"], "--depth selects the area of a map"),
        ("sources", "csv", ["--min", "eta_itn=5"], "no column 'eta_itn'; did you mean eta_int"),
        ("sources", "csv", ["--min", "eta"], "--min eta: write it as COLUMN=VALUE"),
        ("sources", "csv", ["--min", "eta=5", "--min", "eta_int=6"], "--min eta_int=6: a column has two"),
        ("sources", "csv", ["--max", "eta=x"], "max_eta_int must be a number, got 'x'"),
        ("sources", "csv", ["--near", "10", "95"], "not a position: ra 10, dec 95"),
        ("sources", "csv", ["--radius", "5"], "radius 5.0 needs a position"),
        ("sources", "csv", ["--without-flags", "edge"], "table sources has no flags"),
        ("measurements", "csv", ["--without-flags", "egde"], "unknown flag 'egde'; did you mean edge"),
    ],
)
def test_what_makes_no_sense_is_refused(sqlite_database, tmp_path, capsys, what, form, options, message):
    words = ["export", "1", "--what", what, "--format", form, "-o", str(tmp_path / "out"), *options]
    assert main([*words, "--database", sqlite_database]) == 1
    error = capsys.readouterr().err
    assert re.search(message, error), error
    assert not list(tmp_path.glob("*out*"))


def test_binary_table_needs_a_file_and_text_is_printed(sqlite_database, capsys):
    words = ["export", "1", "--what", "images", "--database", sqlite_database, "--format"]
    assert main([*words, "fits"]) == 1
    assert "--format fits is no text; name a file with --output" in capsys.readouterr().err
    assert main([*words, "csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 7


def test_existing_file_is_replaced_only_by_force(sqlite_database, tmp_path, capsys):
    path = tmp_path / "out.csv"
    path.write_text("mine")
    words = ["export", "1", "--what", "images", "--database", sqlite_database, "--format", "csv", "-o", str(path)]
    assert main(words) == 1
    assert f"{path} exists; replace it with --force" in capsys.readouterr().err
    assert path.read_text() == "mine"
    assert main([*words, "--force"]) == 0
    assert path.read_text().startswith("dataset,image,")
    assert capsys.readouterr().out == f"{path}: 6 rows\n"


def test_folder_is_replaced_only_if_it_is_a_hats_catalogue(sqlite_database, tmp_path, capsys):
    path = tmp_path / "mine"
    path.mkdir()
    (path / "thesis.tex").write_text("\\section{}")
    words = ["export", "1", "--what", "sources", "--database", sqlite_database, "--format", "hats", "-o", str(path)]
    assert main([*words, "--force"]) == 1
    assert "is a folder, and no earlier export in this format" in capsys.readouterr().err
    assert [file.name for file in path.iterdir()] == ["thesis.tex"]
    (path / "thesis.tex").rename(path / "hats.properties")
    assert main([*words, "--force"]) == 0
    assert (path / "partition_info.csv").exists()
    assert [one.name for one in tmp_path.iterdir()] == ["mine"]


def test_interrupted_export_leaves_nothing(sqlite_database, tmp_path, monkeypatch):
    def interrupted(*_arguments):
        raise KeyboardInterrupt

    for form in ("votable", "hats"):
        words = ["export", "1", "--what", "lightcurves", "--format", form, "-o", str(tmp_path / "out")]
        monkeypatch.setattr("trap.report.table_stream._cells", interrupted)
        monkeypatch.setattr("trap.report.hats_files._describe", interrupted)
        main([*words, "--database", sqlite_database])
        assert list(tmp_path.iterdir()) == []
