from __future__ import annotations

import csv
import io
import json
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress

import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table
from scipy.stats import chi2

from trap.cli import main, variables
from trap.cli.terminal import command
from trap.report.cutouts import plot_cutouts
from trap.simulation.survey import load_truth


@pytest.fixture
def transient(survey):
    """The brightest transient that was injected."""
    sources = load_truth(survey).sources
    transients = sources[sources["kind"] == "transient"]
    return transients[transients["max_snr"][:, 0].argmax()]


def output_of(capsys, *words):
    assert main([str(word) for word in words]) == 0
    return capsys.readouterr().out


def error_of(capsys, *words):
    assert main([str(word) for word in words]) == 1
    error = capsys.readouterr().err
    assert error.startswith("transients: ")
    assert error.count("\n") == 1
    return error


def test_datasets_are_listed(database, capsys):
    heading, line = output_of(capsys, "dataset", "list", "--database", database).splitlines()
    assert heading.split()[:3] == ["id", "description", "state"]
    assert line.split()[:4] == ["1", "TraP", "dataset", "done"]


def test_datasets_are_listed_for_programs(database, capsys):
    (dataset,) = json.loads(output_of(capsys, "dataset", "list", "--json", "--database", database))
    assert (dataset["id"], dataset["n_timesteps"], dataset["n_images"]) == (1, 4, 4)
    assert dataset["process_start_ts"].endswith("Z")


def test_dataset_is_shown(database, capsys):
    output = output_of(capsys, "dataset", "show", 1, "--database", database)
    assert "4 images, 4 accepted" in output
    assert "1 band: 1280 MHz" in output
    assert "1 run, the latest done" in output
    assert output.splitlines()[-2:] == ["all settings are defaults", f"now: {command('serve', database)}"]
    assert len(output.splitlines()) < 25


def test_everything_about_a_dataset_is_shown_on_request(database, capsys):
    output = output_of(capsys, "dataset", "show", 1, "--all", "--database", database)
    assert "source_extraction.detection_threshold = 5.0" in output
    assert "run 1: " in output


def test_dataset_is_shown_for_programs(database, capsys):
    dataset = json.loads(output_of(capsys, "dataset", "show", 1, "--json", "--database", database))
    assert len(dataset["images"]) == 4
    assert dataset["settings"]["association.deruiter_radius"] == 5.68


def test_errors_that_epochs_share_are_shown_and_used(database, capsys, monkeypatch):
    with closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute("INSERT INTO epochcorrelation (band, stokes, lag, correlation) VALUES (1, 1, 1, 0.5)")
    # Worked out by hand in docs/method/variability.md: E[Q] = 2.25, Var[Q]/2 = 2.3125.
    freedom, scale = 2.25**2 / 2.3125, 2.3125 / 2.25
    for option in ((), ("--all",)):
        output = output_of(capsys, "dataset", "show", 1, *option, "--database", database)
        line = "neighbouring epochs at 1280 MHz, Stokes I, share errors: 4 points count as 3.19"
        assert line in output.splitlines()[-2:]
    (epochs,) = json.loads(output_of(capsys, "dataset", "show", 1, "--json", "--database", database))["epochs"]
    assert epochs == {"freq_central": 1.28e9, "stokes": "I", "n_epochs": 4, "n_effective": pytest.approx(freedom + 1)}

    # With further bands the metrics of a light curve are computed, and not taken from the end of the run.
    monkeypatch.setattr(variables, "only_light_curves", lambda *_: None)
    words = ("variables", 1, "--max-p", 1, "--json", "--stokes", "I", "--database", database)
    rows = [row for row in json.loads(output_of(capsys, *words)) if row["f_datapoints"] == 4]
    expected = chi2.sf([3 * row["eta_int"] / scale for row in rows], freedom)
    assert [row["eta_p_value"] for row in rows] == pytest.approx(expected.tolist())


def test_transients_are_listed(database, transient, capsys):
    output = output_of(capsys, "candidates", 1, "--database", database)
    assert output.splitlines()[0].split()[0] == "candidate"
    assert "likely" in output


def test_a_light_curve_is_found_by_candidate_entry_and_position(database, transient, capsys):
    (listed,) = json.loads(output_of(capsys, "candidates", 1, "--json", "--database", database))[:1]
    by_candidate = output_of(capsys, "lightcurve", 1, "--candidate", listed["newsource"], "--database", database)
    by_entry = output_of(capsys, "lightcurve", 1, "--entry", listed["runcat"], "--database", database)
    assert by_candidate == by_entry
    assert by_candidate.startswith(f"entry {listed['runcat']} at ")
    place = SkyCoord(listed["wm_ra"], listed["wm_decl"], unit="deg").to_string("hmsdms", precision=2)
    by_position = output_of(capsys, "lightcurve", 1, *place.split(), "--database", database)
    assert by_position.splitlines()[1:] == by_entry.splitlines()[1:]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--candidate", "999"], "dataset 1 has no candidate 999; 'transients candidates 1' lists them"),
        (["--name", "SN 1987A"], "dataset 1 has no name 'SN 1987A'"),
        (["10", "20", "--entry", "3"], "--entry and a position name two sources"),
        ([], "no source is named; give a position, --candidate, --entry or --name"),
    ],
)
def test_source_that_is_not_named_rightly_is_one_line(database, capsys, words, complaint):
    assert complaint in error_of(capsys, "lightcurve", 1, *words, "--database", database)


def test_variables_are_listed_by_their_probability(database, capsys):
    everything = output_of(capsys, "variables", 1, "--max-p", 1, "--database", database).splitlines()
    assert everything[0].split()[:3] == ["entry", "ra,", "dec"]
    listed = json.loads(output_of(capsys, "variables", 1, "--json", "--database", database))
    assert listed
    assert all(row["eta_p_value"] <= 1e-4 and row["stokes"] == "I" for row in listed)
    assert [row["eta_int"] for row in listed] == sorted((row["eta_int"] for row in listed), reverse=True)
    assert len(everything) - 3 >= len(listed)
    by_v = json.loads(output_of(capsys, "variables", 1, "--json", "--sort", "v", "--limit", 1, "--database", database))
    assert by_v[0]["v_int"] == max(row["v_int"] for row in listed)


def test_variables_of_a_band_have_the_metrics_of_that_band(database, capsys, monkeypatch):
    every = json.loads(output_of(capsys, "variables", 1, "--max-p", 1, "--json", "--database", database))
    mhz = every[0]["freq_central"] / 1e6
    words = ("variables", 1, "--max-p", 1, "--json", "--band", mhz, "--stokes", "I", "--database", database)
    of_only_band = json.loads(output_of(capsys, *words))
    monkeypatch.setattr(variables, "only_light_curves", lambda *_: None)
    of_band = json.loads(output_of(capsys, *words))
    assert [row["runcat"] for row in of_only_band] == [row["runcat"] for row in of_band]
    for name in ("eta_int", "v_int", "eta_p_value", "f_datapoints", "freq_central", "wm_ra"):
        assert [row[name] for row in of_only_band] == pytest.approx([row[name] for row in of_band])
    metrics = {row["runcat"]: row["eta_int"] for row in of_band}
    same = [row for row in every if row["freq_central"] / 1e6 == mhz]
    assert same
    assert [metrics[row["runcat"]] for row in same] == pytest.approx([row["eta_int"] for row in same])
    error = error_of(capsys, "variables", 1, "--band", 5, "--database", database)
    assert f"dataset 1 has no such band; its bands are {mhz:.7g}" in error
    assert "Stokes" in error_of(capsys, "variables", 1, "--stokes", "Z", "--database", database)


def test_transients_are_the_same_as_csv_and_json(database, transient, capsys):
    listed = json.loads(output_of(capsys, "candidates", 1, "--json", "--database", database))
    as_csv = list(csv.DictReader(io.StringIO(output_of(capsys, "candidates", 1, "--csv", "--database", database))))
    assert listed
    assert [row["wm_ra"] for row in as_csv] == [str(row["wm_ra"]) for row in listed]
    assert any(abs(row["wm_decl"] - transient["dec"]) < 0.005 for row in listed)


def test_light_curve_of_the_nearest_source_is_shown(database, transient, capsys):
    words = ("lightcurve", 1, transient["ra"], transient["dec"], "--database", database)
    heading, _, *points = output_of(capsys, *words).splitlines()
    assert heading.startswith("entry ")
    assert len(points) == 4  # backward fits reach to the first image
    assert "blind" in points[transient["first_timestep"]]
    assert all("forced" in point for point in points[: transient["first_timestep"]])


def test_light_curve_as_csv_has_every_column(database, transient, capsys):
    words = ("lightcurve", 1, transient["ra"], transient["dec"], "--csv", "--database", database)
    points = list(csv.DictReader(io.StringIO(output_of(capsys, *words))))
    assert {"taustart_ts", "freq_central", "f_int", "f_int_err", "extract_type", "rms"} <= points[0].keys()
    assert points[0]["taustart_ts"].startswith("2026-01-01T")


def test_light_curve_is_drawn(database, transient, tmp_path):
    file = tmp_path / "curve.png"
    words = ["lightcurve", "1", str(transient["ra"]), str(transient["dec"]), "--database", database]
    assert main([*words, "--plot", str(file)]) == 0
    assert file.read_bytes().startswith(b"\x89PNG")


def test_figure_of_an_unknown_format_is_one_line(database, transient, tmp_path, capsys):
    words = ("lightcurve", 1, transient["ra"], transient["dec"], "--database", database)
    assert "xyz" in error_of(capsys, *words, "--plot", tmp_path / "curve.xyz")


def test_figure_in_a_missing_folder_is_one_line(database, transient, tmp_path, capsys):
    words = ("lightcurve", 1, transient["ra"], transient["dec"], "--database", database)
    assert "cannot be written" in error_of(capsys, *words, "--plot", tmp_path / "no" / "curve.png")


def test_empty_sky_is_one_line(database, capsys):
    error = error_of(capsys, "lightcurve", 1, 180, -45, "--database", database)
    assert error == "transients: dataset 1 has no source within 30 arcsec of 180.0000 -45.0000\n"


def test_impossible_position_is_one_line(database, capsys):
    assert "not a position" in error_of(capsys, "lightcurve", 1, 180, 95, "--database", database)


@pytest.mark.parametrize("words", [("dataset", "show", 9), ("candidates", 9), ("lightcurve", 9, 0, 45)])
def test_missing_dataset_is_one_line_that_lists_the_datasets(database, words, capsys):
    assert "no dataset 9 in the database; it holds 1" in error_of(capsys, *words, "--database", database)


def test_missing_database_is_one_line_and_is_not_made(tmp_path, capsys):
    file = tmp_path / "no.db"
    assert f"database {file} does not exist" in error_of(capsys, "dataset", "list", "--database", f"sqlite:///{file}")
    assert not file.exists()


def test_database_without_tables_names_the_command_to_type(tmp_path, capsys):
    file = tmp_path / "empty.db"
    file.touch()
    database = f"sqlite:///{file}"
    assert "transients db init" in error_of(capsys, "dataset", "list", "--database", database)
    assert "schema version" in output_of(capsys, "db", "init", "--database", database)
    assert output_of(capsys, "dataset", "list", "--database", database) == "no datasets\n"


def test_reader_of_a_pipe_may_leave(database):
    script = f"{sys.executable} -c 'from trap.cli import main; raise SystemExit(main())'"
    pipe = f"{script} candidates 1 --csv --database {database} | head -c 10; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", pipe], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_light_curve_is_written_as_fits_with_units(database, transient, tmp_path, capsys):
    file = tmp_path / "curve.fits"
    words = ("lightcurve", 1, transient["ra"], transient["dec"], "--database", database)
    assert output_of(capsys, *words, "--format", "fits", "--output", file) == ""
    table = Table.read(file)
    assert table["f_int"].unit == "Jy"
    assert len(table) == 4  # backward fits reach to the first image
    assert table.meta["DATASET"] == 1


def test_transients_are_written_as_votable_with_units(database, transient, tmp_path, capsys):
    file = tmp_path / "transients.vot"
    text = output_of(capsys, "candidates", 1, "--format", "votable", "--database", database)
    file.write_text(text)
    table = Table.read(file, format="votable")
    assert (table["wm_ra"].unit, table["f_peak"].unit) == ("deg", "Jy / beam")
    assert table["f_peak"].description
    assert any(abs(table["wm_decl"] - transient["dec"]) < 0.005)


def test_upper_limits_are_written_with_units(database, transient, tmp_path, capsys):
    file = tmp_path / "limits.vot"
    words = ("lightcurve", 1, transient["ra"], transient["dec"], "--limits", "--database", database)
    output_of(capsys, *words, "--format", "votable", "--output", file)
    assert Table.read(file, format="votable")["upper_limit"].unit == "Jy / beam"


def test_upper_limits_are_selected_by_band_and_time(database, transient, capsys):
    words = ("lightcurve", 1, transient["ra"], transient["dec"], "--limits", "--database", database)
    (limit,) = json.loads(output_of(capsys, *words, "--band", 1280, "--since", "2026-01-01T03:00:00", "--json"))
    assert (limit["freq_eff"], limit["taustart_ts"]) == (1.28e9, "2026-01-01T03:00:00Z")
    assert "--limits has no --min" in error_of(capsys, *words, "--min", "f_int=1")


def test_any_position_is_measured_and_kept_on_request(database, transient, tmp_path, capsys):
    place = (transient["ra"], transient["dec"] + 0.01)
    words = ("lightcurve", 1, *place, "--database", database)
    plotted = ("--forced", "--band", 1280, "--plot", tmp_path / "curve.png")
    heading, _, *rows = output_of(capsys, *words, *plotted).splitlines()
    assert heading.endswith("4 images measured")
    assert [row.split()[1] for row in rows] == ["1280"] * 4
    assert (tmp_path / "curve.png").stat().st_size > 1000
    (latest,) = json.loads(output_of(capsys, *words, "--forced", "--keep", "--json", "--since", "2026-01-01T03:00:00"))
    assert (latest["taustart_ts"], latest["reason"]) == ("2026-01-01T03:00:00Z", "")
    with closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as connection:
        assert connection.execute("SELECT count(*) FROM positionpoint").fetchone() == (4,)
    far = output_of(capsys, "lightcurve", 1, 180, 0, "--forced", "--database", database)
    assert "0 images measured" in far
    assert "--keep needs --forced" in error_of(capsys, *words, "--keep")
    assert "--forced has no --cutouts" in error_of(capsys, *words, "--forced", "--max", "f_int=1")


def test_binary_table_needs_a_file_and_a_file_needs_a_format(database, tmp_path, capsys):
    words = ("candidates", 1, "--database", database)
    assert "write it to a file with --output" in error_of(capsys, *words, "--format", "fits")
    assert "--output needs --format: csv, json" in error_of(capsys, *words, "--output", tmp_path / "x")
    assert "cannot be written" in error_of(capsys, *words, "--csv", "--output", tmp_path / "no" / "x.csv")


def drawn_epochs(monkeypatch):
    """The titles of the cut-outs that the command draws."""
    titles = []

    def plot(cutouts):
        titles.extend(cutout.title for cutout in cutouts)
        return plot_cutouts(cutouts)

    monkeypatch.setattr("trap.cli.results.plot_cutouts", plot)
    return titles


def test_cutouts_of_kept_pixels_are_drawn(database, survey, transient, tmp_path, monkeypatch, capsys):
    images = sorted(survey.glob("t*.fits"))
    monkeypatch.setattr("trap.cli.results.find_pixels", lambda _, ids: dict(zip(ids, images[-len(ids) :], strict=True)))
    monkeypatch.setattr("trap.report.epochs.read_image", lambda *_: pytest.fail("the file of an image was read"))
    file = tmp_path / "cutouts.png"
    output_of(capsys, "lightcurve", 1, transient["ra"], transient["dec"], "--database", database, "--cutouts", file)
    assert file.read_bytes().startswith(b"\x89PNG")


def test_cutouts_without_kept_pixels_are_read_from_the_images(database, transient, tmp_path, monkeypatch, capsys):
    titles = drawn_epochs(monkeypatch)
    words = ("lightcurve", 1, transient["ra"], transient["dec"], "--database", database)
    points = json.loads(output_of(capsys, *words, "--json", "--cutouts", tmp_path / "cutouts.png"))
    assert len(titles) == len(points) > 1
    kinds = ["detection" if point["extract_type"] == 0 else "forced" for point in points]
    assert [title.rpartition(", ")[2] for title in titles] == kinds
    assert all("MHz, Stokes I" in title for title in titles)


def test_number_of_cutouts_is_limited(database, transient, tmp_path, monkeypatch, capsys):
    titles = drawn_epochs(monkeypatch)
    words = ("lightcurve", 1, transient["ra"], transient["dec"], "--database", database, "--max-cutouts", 1)
    output_of(capsys, *words, "--cutouts", tmp_path / "cutouts.png")
    assert len(titles) == 1
    assert titles[0].endswith("detection")


def test_cutouts_are_written_before_the_table_is_printed(database, transient, tmp_path, monkeypatch):
    def leave(*_, **__):
        raise BrokenPipeError

    monkeypatch.setattr("trap.cli.results.light_curve_text", leave)
    file = tmp_path / "cutouts.png"
    words = ["lightcurve", "1", str(transient["ra"]), str(transient["dec"]), "--database", database]
    with suppress(BrokenPipeError):
        main([*words, "--cutouts", str(file)])
    assert file.exists()


@pytest.mark.parametrize(
    "words",
    [["candidates", "1"], ["dataset", "list"], ["dataset", "show", "1"], ["dataset", "calibration", "1"]],
    ids=" ".join,
)
def test_queries_start_without_the_libraries_of_measuring(words, database):
    program = (
        "import sys; from trap.cli import main; code = main(sys.argv[1:]); "
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr); sys.exit(code)"
    )
    command = [sys.executable, "-c", program, *words, "--database", database]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    loaded = set(run.stderr.split())
    assert "sqlalchemy" in loaded
    assert loaded.isdisjoint({"numba", "scipy", "photutils", "astropy_healpix", "astropy", "matplotlib"})
