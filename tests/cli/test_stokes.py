"""Stokes I and V of one frequency in one dataset: a negative flare in V, and its letter in every output."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from sqlalchemy import text
from structlog.testing import capture_logs

from trap.cli import main
from trap.config import PipelineConfig
from trap.db.engine import make_engine
from trap.images.headers.projection import celestial_wcs
from trap.pipeline import open_run
from trap.simulation.pixels import noise_transfer, render_noise, render_sources
from trap.simulation.survey import SurveyConfig, load_truth, simulate_survey
from trap.workers.executors import SerialExecutor

SURVEY = SurveyConfig(n_timesteps=8, n_bands=1, size=128, n_steady=5, n_variables=0, n_transients=0)
RMS = SURVEY.rms
N, FLARE_AT, FLARE, STEADY = 8, 5, -30 * RMS, -20 * RMS
"""Number of timesteps, timestep of the flare, and flux densities [Jy] in V of the flare and of a source of I."""


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    """Write images of I, and of V at the same times. Return the folder, and the places of the flare and the source."""
    folder = tmp_path_factory.mktemp("field")
    simulate_survey(folder, SURVEY)
    truth, rng = load_truth(folder).sources, np.random.default_rng(4)
    paths = sorted(folder.glob("t*.fits"))
    header = fits.getheader(paths[0])
    brightest = truth[truth["mean_flux"][:, 0].argmax()]
    # The pixel that is farthest from all sources, well within the searched area.
    y, x = np.mgrid[30:98, 30:98]
    distance = np.hypot(x[..., np.newaxis] - truth["x"], y[..., np.newaxis] - truth["y"]).min(axis=-1)
    place = np.unravel_index(distance.argmax(), distance.shape)
    flare_x, flare_y = float(x[place]), float(y[place])
    form = SURVEY.beam.quadratic_form(-SURVEY.pixel_scale, SURVEY.pixel_scale)
    transfer = noise_transfer(form, (128, 128))
    for number, path in enumerate(paths):
        flux = np.array([STEADY, FLARE if number == FLARE_AT else 0.0])
        pixels = RMS * render_noise(rng, transfer, (128, 128)) + render_sources(
            np.array([brightest["x"], flare_x]), np.array([brightest["y"], flare_y]), flux, beam_form=form,
            shape=(128, 128),
        )  # fmt: skip
        of_v = fits.getheader(path)
        of_v["CRVAL4"] = 4.0
        fits.writeto(folder / f"v{number:04d}.fits", pixels[np.newaxis, np.newaxis].astype(np.float32), of_v)
    flare = tuple(float(value) for value in celestial_wcs(header).all_pix2world(flare_x, flare_y, 0))
    return folder, flare, (float(brightest["ra"]), float(brightest["dec"]))


def process(folder, pattern, url, **extraction):
    """Run the pipeline on images; return the number of the dataset and the log."""
    config = PipelineConfig().with_options(
        execution={"images": (f"{folder}/{pattern}",), "database": url},
        persistence={"dataset_id": -1},
        source_extraction=extraction,
    )
    with capture_logs() as logs, open_run(config) as dataset:
        for group in dataset.plan.groups:
            dataset.process_group(group, SerialExecutor())
        return dataset.summary().dataset_id, logs


@pytest.fixture
def output(capsys, database_url):
    """A function that runs a command on the database and returns its output."""

    def run(*words):
        assert main([*map(str, words), "--database", database_url]) == 0
        return capsys.readouterr().out

    return run


def test_negative_flare_of_v_is_a_candidate_with_its_sign_and_letter(field, database_url, output, tmp_path):
    folder, flare, _ = field
    number, logs = process(folder, "*.fits", database_url)
    assert [log["stokes"] for log in logs if log["event"] == "new_source_candidate"] == ["V"]
    (candidate,) = json.loads(output("candidates", number, "--json"))
    assert candidate["stokes"] == "V"
    assert (candidate["wm_ra"], candidate["wm_decl"]) == pytest.approx(flare, abs=1e-3)
    assert candidate["f_int"] == pytest.approx(FLARE, abs=5 * RMS)
    assert candidate["det_sigma"] < -20
    assert min(candidate[name] for name in ("sigma_rms_min", "sigma_rms_max", "sigma_local", "newness")) > 10
    assert candidate["newsource_type"] == 1
    assert (candidate["score"] > 0.99, candidate["signs"]) == (True, "")
    assert candidate["metric_stokes"] in ("I", "V")
    assert candidate["grade"] == 1
    assert candidate["noise_peaks"] < 1e-9
    heading, line, noise = output("candidates", number).splitlines()
    assert "Stokes" in heading
    assert line.split()[4:9] == ["likely", "under", "1", "in", "1,000,000,000"]
    # Negative peaks of Stokes I only, without those of V.
    assert noise.startswith("0 negative peaks below -5 σ, 1 in ")
    letter, flux = line.split()[13:15]
    assert letter == "V"
    assert float(flux) == pytest.approx(1e3 * FLARE, abs=5e3 * RMS)
    words = ("lightcurve", number, *flare)
    points = list(csv.DictReader(io.StringIO(output(*words, "--csv", "--plot", tmp_path / "curve.png"))))
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    of_v = [float(point["f_int"]) for point in points if point["stokes"] == "V"]
    of_i = [float(point["f_int"]) for point in points if point["stokes"] == "I"]
    assert of_v[FLARE_AT] == pytest.approx(FLARE, abs=5 * RMS)
    assert np.abs(np.delete(of_v, FLARE_AT)).max() < 5 * RMS
    assert (len(of_v), len(points)) == (N, len(of_v) + len(of_i))
    assert np.abs(of_i).max() < 5 * RMS
    limits = list(csv.DictReader(io.StringIO(output(*words, "--limits", "--csv"))))
    assert [limit["stokes"] for limit in limits].count("V") == N
    assert all(float(limit["upper_limit"]) > 0 for limit in limits)


@pytest.mark.parametrize("table_format", ["votable", "fits"])
def test_letters_are_in_tables_of_both_kinds(field, database_url, output, tmp_path, table_format):
    folder, flare, _ = field
    number, _ = process(folder, "*.fits", database_url)
    for command in (("candidates", number), ("lightcurve", number, *flare)):
        file = tmp_path / f"{command[0]}.{table_format}"
        output(*command, "--format", table_format, "--output", file)
        table = Table.read(file)
        assert set(map(str, table["stokes"])) == ({"V"} if command[0] == "candidates" else {"I", "V"})
    if table_format == "votable":
        assert table["stokes"].description == "Stokes parameter, as a letter."
        assert table["stokes"].meta["ucd"] == "phys.polarization.stokes"
    shown = output("dataset", "show", number)
    assert "1 band: 1280 MHz; Stokes I, V" in shown
    images = json.loads(output("dataset", "show", number, "--json"))["images"]
    assert sorted(image["stokes"] for image in images) == ["I"] * N + ["V"] * N


def test_source_of_i_and_negative_v_is_one_entry_with_two_light_curves(field, database_url, output):
    folder, _, place = field
    number, _ = process(folder, "*.fits", database_url)
    heading, _, *lines = output("lightcurve", number, *place, "--radius", 5).splitlines()
    assert "the nearest of" not in heading
    letters = [line.split()[2] for line in lines]
    assert [letters.count(letter) for letter in "IV"] == [N, N]
    assert all((float(line.split()[3]) < 0) == (line.split()[2] == "V") for line in lines)
    query = text(
        "SELECT f.stokes, f.f_datapoints, f.avg_f_int, f.wm2_f_int FROM runningcatalog_flux f"
        " JOIN runningcatalog r ON r.id = f.runcat WHERE abs(r.wm_ra - :ra) < 0.001 AND abs(r.wm_decl - :dec) < 0.001"
        " ORDER BY f.stokes"
    )
    engine = make_engine(database_url)
    with engine.connect() as connection:
        of_i, of_v = connection.execute(query, dict(zip(("ra", "dec"), place, strict=True))).all()
    engine.dispose()
    assert (of_i[:2], of_v[:2]) == ((1, N), (4, N))
    assert of_v.avg_f_int == pytest.approx(STEADY, abs=2 * RMS)
    assert max(of_i.wm2_f_int, of_v.wm2_f_int) / (N - 1) < 4


def test_run_that_searches_positive_sources_only_finds_no_negative_flare(field, database_url, output):
    number, _ = process(field[0], "*.fits", database_url, negative="")
    assert output("candidates", number).strip() == "no transient candidates"


def test_run_of_stokes_i_is_the_same_with_and_without_the_search_for_negative_sources(field, database_url, capsys):
    first, second = (process(field[0], "t*.fits", database_url, **options)[0] for options in ({}, {"negative": ""}))
    assert main(["dataset", "compare", "--exact", str(first), str(second), "--database", database_url]) == 3
    assert capsys.readouterr().out == "setting source_extraction.negative is 'QUV' instead of ''\n"
