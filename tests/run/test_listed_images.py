"""Runs that take the sources of their images from lists, with images and without."""

from __future__ import annotations

import csv
import os
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from real_images import DATA, needs_real_images

from trap.catalogues import AssociationType, ExtractType
from trap.cli import forgetting, main
from trap.config import PipelineConfig
from trap.dataset.outcomes import ExitCode
from trap.errors import ConfigError
from trap.extraction.measure import extract_sources
from trap.images.image import read_image
from trap.pipeline import open_run
from trap.report.columns import ExportTable, source_columns
from trap.report.formats import FORMATS
from trap.report.inspection import inspection_table, inspection_text
from trap.report.run_summary import run_text
from trap.run.image_measurement import measure_image
from trap.run.inspection import inspect_image
from trap.run.pairing import pair_images
from trap.run.pairing_table import ListedImage
from trap.simulation.survey import SurveyConfig, simulate_survey
from trap.workers.executors import SerialExecutor

VAST = DATA / "vast_simulated"
SURVEY = SurveyConfig(
    n_timesteps=4, n_bands=1, size=128, n_steady=6, n_variables=1, n_transients=1, transient_sigma=(30.0, 40.0)
)


def write_list(url, path, form="csv"):
    """Write the sources that our own finder finds, in a format of `transients extract`."""
    found = extract_sources(read_image(url), PipelineConfig().source_extraction).measurements
    table = ExportTable(name="sources", columns=source_columns([found]), about={})
    Path(path).write_bytes(FORMATS[form].encode(table))


def make_survey(folder, survey=SURVEY, form="csv"):
    """Simulate a survey, with a list next to each image; return the paths of the images in order."""
    images = [str(path) for path in simulate_survey(folder, survey).images]
    for url in images:
        write_list(url, Path(url).with_suffix(FORMATS[form].suffix), form)
    return images


def write_table(images, path, **values):
    """Write a table of the lists without their images."""
    rows = []
    for url in images:
        metadata = read_image(url).metadata
        rows.append(
            {
                "catalogue": Path(url).with_suffix(".csv").name,
                "taustart_ts": metadata.taustart_ts.isoformat(),
                "freq_eff": metadata.freq_eff,
                "freq_bw": metadata.freq_bw,
                "bmaj": metadata.beam.bmaj,
                "bmin": metadata.beam.bmin,
                "bpa": metadata.beam.bpa,
                "ra": metadata.centre_ra,
                "dec": metadata.centre_dec,
                "radius": metadata.sky_region(0).xtr_radius,
                **values,
            }
        )
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return make_survey(tmp_path_factory.mktemp("survey"))


@pytest.fixture(autouse=True)
def _with_tables(_migrated_sqlite, monkeypatch):
    """Begin every database as a copy of one with empty tables."""
    monkeypatch.setattr(TABLES, "path", _migrated_sqlite)


TABLES = SimpleNamespace(path=None)


def settings(database, images, catalogues="", **sections):
    if not database.exists():
        shutil.copy(TABLES.path, database)
    execution = {"images": tuple(images), "database": f"sqlite:///{database}"}
    reading = {"catalogues": str(catalogues)}
    return PipelineConfig().with_options(execution=execution, reading=reading, **sections)


def process(config):
    with open_run(config) as dataset:
        for group in dataset.plan.groups:
            dataset.process_group(group, SerialExecutor())
        return dataset.summary()


POINTS = (
    "SELECT i.taustart_ts, a.type, e.extract_type, e.ra, e.decl, e.f_int, e.f_int_err, e.uncertainty_ew, a.eta_int, "
    "a.v_int FROM assocxtrsource a JOIN extractedsource e ON a.xtrsrc = e.id JOIN image i ON e.image = i.id "
    "WHERE i.dataset = 1 ORDER BY i.taustart_ts, round(e.ra, 6), round(e.decl, 6), a.type"
)


def query(database, sql=POINTS):
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(sql).fetchall()


def as_numbers(rows):
    return np.array([row[1:] for row in rows], float)


def test_our_own_lists_give_the_light_curves_of_our_own_search(tmp_path):
    images = make_survey(tmp_path / "survey", replace(SURVEY, seed=4), "votable")
    summaries = [
        process(settings(tmp_path / f"{number}.db", images, catalogues))
        for number, catalogues in enumerate(("", "{stem}.vot"))
    ]
    searched, listed = (query(tmp_path / f"{number}.db") for number in range(2))
    assert len(searched) > 10
    np.testing.assert_allclose(as_numbers(listed), as_numbers(searched), rtol=1e-7, atol=1e-9)
    assert [image.n_requested for image in summaries[1].images] == [image.n_requested for image in summaries[0].images]
    assert any(image.n_requested for image in summaries[1].images)
    candidates = [[len(image.new_sources) for image in summary.images] for summary in summaries]
    assert candidates[0] == candidates[1]
    stored = query(tmp_path / "1.db", "SELECT url, source_list, finder FROM image")
    assert all(Path(url).stem == Path(path).stem and finder == "transients" for url, path, finder in stored)
    assert query(tmp_path / "0.db", "SELECT DISTINCT source_list, finder FROM image") == [(None, None)]


def test_lists_without_images_give_the_detections_of_the_images_and_no_fits(images, tmp_path):
    process(settings(tmp_path / "own.db", images))
    table = write_table(images, tmp_path / "lists.csv")
    # Paths are relative to the table.
    for url in images:
        (tmp_path / Path(url).with_suffix(".csv").name).write_bytes(Path(url).with_suffix(".csv").read_bytes())
    config = settings(tmp_path / "lists.db", (), table)
    summary = process(config)
    assert summary.exit_code == ExitCode.COMPLETE
    blind = [row for row in query(tmp_path / "own.db") if row[2] == ExtractType.BLIND]
    listed = query(tmp_path / "lists.db")
    np.testing.assert_allclose(as_numbers(listed)[:, 2:6], as_numbers(blind)[:, 2:6], rtol=1e-7)
    n_missed = sum(row[1] == AssociationType.NULL_DETECTION for row in query(tmp_path / "own.db"))
    assert sum(image.n_unfitted for image in summary.images) == n_missed > 0
    text = run_text(summary, config.execution.database, program="transients")
    assert f"{n_missed} null detections without a forced fit, in 4 source lists without an image" in text
    assert query(tmp_path / "lists.db", "SELECT DISTINCT deltax, deltay FROM image") == [(None, None)]
    own = query(tmp_path / "own.db", "SELECT grade FROM newsource")
    assert query(tmp_path / "lists.db", "SELECT grade FROM newsource") == own
    # Signs that need no pixels: the edge is that of the circle, which is wider than the square image.
    sql = "SELECT edge_distance, score, n_in_image FROM newsource"
    (edge, score, number), *_ = query(tmp_path / "lists.db", sql)
    assert edge >= query(tmp_path / "own.db", sql)[0][0] > 0
    assert 0 < score <= 1 == number
    assert own
    # A second run knows the lists, and the state is loaded again from the database.
    assert len(process(config).already_known) == 4


def test_lists_without_images_are_loaded_again_from_either_database(copies, database_url):
    table = write_table(copies[:2], Path(copies[0]).with_name("t.csv"))
    config = PipelineConfig().with_options(execution={"database": database_url}, reading={"catalogues": str(table)})
    summary = process(config)
    later = write_table(copies[2:], Path(copies[0]).with_name("later.csv"))
    continued = config.with_options(reading={"catalogues": str(later)}, persistence={"dataset_id": 1})
    with open_run(continued) as dataset:
        position = summary.images[0].measurements.ra, summary.images[0].measurements.dec
        looks = dataset.state.looks._noise.best(summary.images[0].key, *position)
        # Both earlier lists cover the sources, and neither has pixels for fits.
        assert (looks["n"] == 2).all()
        assert dataset.state.earlier_images == []
        for group in dataset.plan.groups:
            dataset.process_group(group, SerialExecutor())
        assert len(dataset.summary().images) == 2


def test_commands_take_datasets_of_lists_without_images(images, tmp_path, capsys):
    for url in images:
        (tmp_path / Path(url).with_suffix(".csv").name).write_bytes(Path(url).with_suffix(".csv").read_bytes())
    table = write_table(images, tmp_path / "lists.csv")
    config = settings(tmp_path / "lists.db", (), table)
    process(config.with_options(execution={"keep_pixels": "images", "pixel_directory": str(tmp_path / "pixels")}))
    assert not list(tmp_path.glob("pixels/**/*.fits"))
    database = ["--database", f"sqlite:///{tmp_path / 'lists.db'}"]
    for words in (
        ["dataset", "show", "1", "--all"], ["dataset", "list"], ["dataset", "calibration", "1"], ["candidates", "1"],
        ["variables", "1"], ["lightcurve", "1", "--entry", "1"], ["db", "check"], ["dataset", "compare", "1", "1"],
    ):  # fmt: skip
        assert main([*words, *database]) == 0, words
    assert re.search(r"\bnan\b", capsys.readouterr().out) is None


@pytest.fixture
def copies(images, tmp_path):
    """Copy the images and their lists, to be changed."""
    folder = tmp_path / "survey"
    shutil.copytree(Path(images[0]).parent, folder)
    return [str(folder / Path(url).name) for url in images]


def test_inspection_shows_the_sources_of_lists(copies):
    # A list with one source fewer than our own search finds.
    path = Path(copies[0]).with_suffix(".csv")
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-1]) + "\n")
    config = PipelineConfig()
    inspection = inspect_image(copies[0], config, ListedImage(catalogue=str(path)))
    assert len(inspection.result.measurements) == len(lines) - 2
    table = write_table(copies, path.with_name("t.csv"))
    (alone, listed), *_ = pair_images(config.with_options(reading={"catalogues": str(table)})).lists.items()
    inspection = inspect_image(alone, config, listed)
    text = f"{inspection_text(inspection, config)} {inspection_table([inspection])}"
    assert "none: a source list without an image" in text
    assert re.search(r"\bnan\b", text) is None
    assert inspection.is_usable
    assert inspect_image(alone, config, ListedImage(problem="it has no source list")).verdict.startswith("unreadable")


def test_noise_of_a_table_makes_candidates_and_lists_without_noise_make_none(copies, tmp_path):
    columns = {name: name for name in ("ra", "dec", "f_int", "f_int_err")} | {"ew_fit_err": "e", "ns_fit_err": "e"}
    units = {"ra": "deg", "dec": "deg", "ew_fit_err": "deg", "ns_fit_err": "deg", "f_int": "Jy", "f_int_err": "Jy"}
    for url in copies:
        path = Path(url).with_suffix(".csv")
        with path.open() as file:
            rows = list(csv.DictReader(file))
        lines = [f"{row['ra']},{row['dec']},{row['f_int']},{row['f_int_err']},1e-5\n" for row in rows]
        path.write_text("ra,dec,f_int,f_int_err,e\n" + "".join(lines))
    given = {"format": "table", "columns": columns, "units": units}
    table = write_table(copies, Path(copies[0]).with_name("noise.csv"), rms=1e-4)
    summary = process(settings(tmp_path / "with.db", (), table, source_lists=given))
    assert sum(len(image.new_sources) for image in summary.images) == 1
    assert all(image.result.rms_min == pytest.approx(1e-4) == image.result.rms_qc for image in summary.images)


def test_an_empty_list_without_noise_is_reported_and_shows_no_source_as_new(copies, tmp_path):
    path = Path(copies[0]).with_suffix(".csv")
    path.write_text(path.read_text().splitlines()[0] + "\n")
    config = settings(tmp_path / "a.db", (), write_table(copies, path.with_name("t.csv")))
    summary = process(config)
    assert len(summary.images) == 4
    # Sources that the next image shows have no earlier look, and are no candidates.
    assert len(summary.images[1].new_sources) == 0
    text = run_text(summary, config.execution.database, program="transients")
    assert "1 source list without a noise (column rms)" in text


def test_noise_and_background_maps_take_the_place_of_the_mesh(copies, tmp_path):
    header = fits.getheader(copies[0])
    noise, level = Path(copies[0]).with_name("rms.fits"), Path(copies[0]).with_name("mean.fits")
    fits.writeto(noise, np.full((128, 128), 0.3, np.float32), fits.Header({"BUNIT": "mJy/beam"}))
    fits.writeto(level, np.full((128, 128), 1e-5, np.float32))
    wrong = Path(copies[0]).with_name("wrong.fits")
    fits.writeto(wrong, np.ones((64, 128), np.float32), header)
    (tmp_path / "maps.csv").write_text(
        "image,catalogue,noise,background\n"
        f"{copies[0]},{Path(copies[0]).with_suffix('.csv')},{noise},{level}\n"
        f"{copies[1]},{Path(copies[1]).with_suffix('.csv')},{wrong},\n"
    )
    config = settings(tmp_path / "a.db", (), tmp_path / "maps.csv")
    first, second = ((url, config, listed) for url, listed in pair_images(config).lists.items())
    result = measure_image(*first)
    np.testing.assert_allclose(result.background.mesh_rms, 3e-4, rtol=1e-6)
    np.testing.assert_allclose(result.background.mesh_mean, 1e-5, rtol=1e-6)
    assert result.rms_max == pytest.approx(3e-4)
    np.testing.assert_allclose(result.noise_tiles.rms, 3e-4, rtol=1e-6)
    assert measure_image(*second).reason.startswith(f"{wrong}: a map of 128 × 64 pixels, but its image")


def test_another_list_or_map_is_other_content_and_the_same_list_is_not(copies, tmp_path):
    config = settings(tmp_path / "a.db", copies[:1], "{stem}.csv")

    def content():
        (listed,) = pair_images(config).lists.items()
        return measure_image(listed[0], config, listed[1]).content_hash

    first, alone = content(), measure_image(copies[0], config).content_hash
    assert first != alone
    assert content() == first
    summary = process(config)
    assert [image.result.content_hash for image in summary.images] == [first]
    assert process(config).known == (copies[0],)
    path = Path(copies[0]).with_suffix(".csv")
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    assert content() not in {first, alone}
    # A late image of the same time: it is not in the dataset.
    again = process(config)
    assert again.known == ()
    assert again.late == (copies[0],)


def test_pipes_and_folders_are_refused_and_block_nothing(copies, tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    config = settings(tmp_path / "a.db", ())
    good = str(Path(copies[0]).with_suffix(".csv"))
    for name, reason in (("pipe.csv", "neither a file nor a folder"), ("folder.csv", "a folder")):
        bad = str(tmp_path / name)
        for listed in (ListedImage(catalogue=bad), ListedImage(catalogue=good, noise=bad)):
            assert reason in measure_image(copies[0], config, listed).reason


def test_equal_lists_of_two_times_are_two_images(copies, tmp_path):
    for url in copies[1:]:
        shutil.copy(Path(copies[0]).with_suffix(".csv"), Path(url).with_suffix(".csv"))
    summary = process(settings(tmp_path / "a.db", (), write_table(copies, Path(copies[0]).with_name("t.csv"))))
    assert len(summary.images) == 4
    assert not summary.already_known


def without_column(text):
    rows = [line.split(",") for line in text.splitlines()]
    place = rows[0].index("f_int_err")
    return "\n".join(",".join(row[:place] + row[place + 1 :]) for row in rows).encode()


def changed(column, row, value):
    def change(text):
        rows = [line.split(",") for line in text.splitlines()]
        rows[row][rows[0].index(column)] = value
        return "\n".join(map(",".join, rows)).encode()

    return change


def repeated(text):
    lines = text.splitlines()
    return "\n".join([*lines, lines[-1]]).encode()


def many(text):
    lines = text.splitlines()
    return "\n".join([lines[0], *lines[1:2] * 100_000]).encode()


def opposite(text):
    """Move all sources to the other side of the sky."""
    header, *rows = (line.split(",") for line in text.splitlines())
    place = header.index("ra")
    for row in rows:
        row[place] = str((float(row[place]) + 180) % 360)
    return "\n".join(",".join(row) for row in [header, *rows]).encode()


BAD = {
    "missing column": (without_column, "f_int_err"),
    "NaN error": (changed("f_int_err", 2, "nan"), "f_int_err"),
    "no number": (changed("ra", 2, "12h"), "ra"),
    "duplicate": (repeated, "row"),
    "off the image": (opposite, "off the image"),
    "too many rows": (many, "100000 rows"),
    "wrong encoding": (lambda text: text.encode("utf-16"), "UTF"),
    "empty": (lambda _: b"", "empty"),
}


def test_bad_lists_cost_their_images_with_file_column_and_row_and_nothing_of_them_is_stored(tmp_path):
    survey = SurveyConfig(n_timesteps=len(BAD) + 2, n_bands=1, size=64, n_steady=3, n_variables=0, n_transients=0)
    images = make_survey(tmp_path / "survey", survey)
    for url, (change, _) in zip(images[1:], BAD.values(), strict=False):
        path = Path(url).with_suffix(".csv")
        path.write_bytes(change(path.read_text()))
    Path(images[-1]).with_suffix(".csv").unlink()
    summary = process(settings(tmp_path / "a.db", images, "{stem}.csv"))
    assert summary.exit_code == ExitCode.IMAGES_LEFT_OUT
    assert [image.result.metadata.url for image in summary.images] == images[:1]
    reasons = dict(summary.left_out)
    assert set(reasons) == set(images[1:])
    for url, (kind, (_, word)) in zip(images[1:], BAD.items(), strict=False):
        assert str(Path(url).with_suffix(".csv")) in reasons[url], kind
        assert word in reasons[url], kind
    assert "it has no source list (reading.catalogues:" in reasons[images[-1]]
    stored = query(tmp_path / "a.db", "SELECT url, reason FROM unreadableimage")
    assert dict(stored) == {url: reason.removeprefix("unreadable: ") for url, reason in reasons.items()}
    assert query(tmp_path / "a.db", "SELECT url FROM image") == [(images[0],)]


def test_lists_without_an_image_need_their_time_frequency_beam_and_field(copies, tmp_path):
    table = Path(copies[0]).with_name("t.csv")
    table.write_text("catalogue,freq_eff\n" + "".join(f"{Path(url).stem}.csv,1e9\n" for url in copies))
    config = settings(tmp_path / "a.db", (), table)
    (url, listed), *_ = pair_images(config).lists.items()
    assert "needs taustart_ts, bmaj, bmin" in measure_image(url, config, listed).reason
    given = {"match": "*.csv", "taustart_ts": "2020-01-01T00:00:00", "bmaj": 0.01, "bmin": 0.01}
    config = config.with_options(reading={"catalogues": str(table), "given": [given]})
    result = measure_image(url, config, listed)
    # The smallest circle around the sources, with a beam around it.
    region = result.metadata.sky_region(0)
    assert region.covers(result.measurements.ra, result.measurements.dec).all()
    (Path(url)).write_text(Path(url).read_text().splitlines()[0] + "\n")
    assert "needs ra, dec and radius" in measure_image(url, config, listed).reason


def test_settings_of_lists_are_frozen_and_their_paths_are_not(copies, tmp_path):
    process(settings(tmp_path / "a.db", copies[:2], "{stem}.csv"))
    same = {"persistence": {"dataset_id": 1}}
    assert len(process(settings(tmp_path / "a.db", copies[2:3], "*{stem}.csv", **same)).images) == 1
    with pytest.raises(ConfigError, match="source_lists.errors is 'condon' instead of 'refuse'"):
        process(settings(tmp_path / "a.db", copies[3:], "{stem}.csv", source_lists={"errors": "condon"}, **same))


def test_forgetting_a_timestep_reads_the_lists_again(copies, tmp_path, monkeypatch):
    class RunError(Exception):
        pass

    def run(config, **_):
        raise RunError(config.reading.catalogues, config.execution.images)

    summary = process(settings(tmp_path / "a.db", copies[:2], "{stem}.csv"))
    start = summary.outcomes[0].taustart_ts.replace(tzinfo=None).isoformat()
    monkeypatch.setattr(forgetting, "run_locally", run)
    with pytest.raises(RunError) as error:
        main(["dataset", "forget", "1", start, "--yes", "--database", f"sqlite:///{tmp_path / 'a.db'}"])
    assert error.value.args == ("{stem}.csv", (copies[1],))


@needs_real_images
def test_the_simulated_askap_field_gives_its_seven_sources_from_its_lists_and_from_our_search(tmp_path):
    images = sorted(map(str, VAST.glob("epoch*.fits")))
    for name, pattern in (("own", ""), ("listed", "{stem}.selavy.components.txt")):
        process(settings(tmp_path / f"{name}.db", images, pattern))
    # Right ascension, declination, and the flux densities of the four epochs in mJy.
    truth = [
        (149.9834, -29.9778, 2000, 2000, 2000, 2000), (149.9834, -30.0161, 2000, 2000, 2000, 2000),
        (150.0206, -30.0161, 2000, 2000, 2000, 2000), (150.0001, -30.0, 1000, 1000, 1000, 1000),
        (150.00385, -30.0, 0, 2000, 0, 0), (150.0207, -30.0, 0, 2000, 0, 2000), (150.0205, -29.9778, 0, 3000, 0, 0),
    ]  # fmt: skip
    sql = (
        "SELECT r.wm_ra, r.wm_decl, i.taustart_ts, e.f_int, e.f_int_err FROM assocxtrsource a "
        "JOIN extractedsource e ON a.xtrsrc = e.id JOIN image i ON e.image = i.id "
        "JOIN runningcatalog r ON a.runcat = r.id ORDER BY i.taustart_ts"
    )
    points = {
        name: np.array([(*row[:2], *row[3:]) for row in query(tmp_path / f"{name}.db", sql)])
        for name in ("own", "listed")
    }
    for name in points:
        assert query(tmp_path / f"{name}.db", "SELECT count(*) FROM runningcatalog") == [(7,)], name
    for ra, dec, *fluxes in truth:
        own, listed = (
            rows[np.hypot((rows[:, 0] - ra) * np.cos(np.radians(dec)), rows[:, 1] - dec) < 2 / 3600]
            for rows in (points["own"], points["listed"])
        )
        assert len(own) == len(listed) == 4
        # Forced fits beside the neighbour are uncertain by up to 23 mJy, detections by 1 mJy.
        error = 1e3 * np.hypot(own[:, 3], listed[:, 3])
        assert (np.abs(1e3 * listed[:, 2] - fluxes) < 6 + 3 * error).all(), (ra, dec)
        assert (np.abs(1e3 * (listed[:, 2] - own[:, 2])) < 3 * error).all(), (ra, dec)


def test_copy_of_a_list_for_another_time_is_doubtful(copies, tmp_path):
    table = write_table(copies[:2], Path(copies[0]).with_name("copied.csv"))
    first, second = (Path(url).with_suffix(".csv") for url in copies[:2])
    shutil.copyfile(first, second)

    summary = process(settings(tmp_path / "a.db", (), table))

    (doubtful,) = summary.doubtful
    assert doubtful[0] == str(second)
    assert "the same source list, byte for byte, as" in doubtful[1]


def test_beam_wider_than_the_circle_of_many_sources_is_refused(copies, tmp_path, monkeypatch):
    monkeypatch.setattr("trap.run.listed_images.MIN_CROWD", 3)
    table = write_table(copies[:1], Path(copies[0]).with_name("wide.csv"), radius="", bmaj=5, bmin=5)
    config = settings(tmp_path / "a.db", (), table)
    (url, listed), *_ = pair_images(config).lists.items()

    assert "bmaj 5 deg is more than" in measure_image(url, config, listed).reason
