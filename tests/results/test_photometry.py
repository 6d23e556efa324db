"""Light curves of any position: equal to those of monitored positions, and true to injected sources."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from processed_survey import process_survey
from sqlalchemy import text

from trap.angles import move, separation
from trap.calibration.displacement import Displacement
from trap.catalogues import Flag, MonitorPositions
from trap.config import PipelineConfig
from trap.db.engine import make_engine, reading, transaction
from trap.db.upkeep import check_database
from trap.errors import ConfigError
from trap.pipeline import open_run
from trap.results import open_dataset
from trap.simulation.survey import SurveyConfig, load_truth, simulate_survey
from trap.workers.executors import SerialExecutor

# On a source, between sources, at the edge of the images outside the searched area, and on no image.
POSITIONS = {"on": (0.02, 45.02), "between": (359.97, 44.98), "edge": (0.0, 45.08), "far": (180.0, 0.0)}
VALUES = ("image", "f_int", "f_int_err", "f_peak", "rms", "det_sigma", "flags", "f_int_raw", "f_peak_raw", "gain_err")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    config = SurveyConfig(n_timesteps=3, n_bands=1, size=128, n_steady=8, n_variables=2, n_transients=1)
    return [str(path) for path in simulate_survey(tmp_path_factory.mktemp("survey"), config).images]


@pytest.fixture
def config(database_url):
    return PipelineConfig().with_options(
        execution={"database": database_url}, source_extraction={"extraction_radius_pix": 50.0}
    )


def process(config, images, *names):
    places = [POSITIONS[name] for name in names]
    watched = MonitorPositions.of(ra=[ra for ra, _ in places], dec=[dec for _, dec in places], name=list(names))
    with open_run(config, images=images, monitors=watched if names else None) as run:
        for group in run.plan.groups:
            run.process_group(group, SerialExecutor())
        run.summary()


def values(curve):
    return {name: np.asarray(curve[name]) for name in VALUES}


def assert_same(curve, other):
    ours, theirs = values(curve), values(other)
    for name in VALUES:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def rows_of_results(engine):
    tables = ("extractedsource", "assocxtrsource", "runningcatalog", "runningcatalog_flux", "varmetric", "image")
    with reading(engine) as connection:
        return {name: connection.execute(text(f"SELECT * FROM {name} ORDER BY id")).all() for name in tables}


def test_fit_on_demand_equals_monitored_position_and_leaves_results_alone(config, images, engine):
    process(config, images, "on", "between", "edge")
    before = rows_of_results(engine)
    dataset = open_dataset(config.execution.database, 1)
    for name in ("on", "between"):
        assert_same(dataset.photometry(*POSITIONS[name], keep=True), dataset.light_curve(name=name))
    edge = dataset.photometry(*POSITIONS["edge"])
    assert set(edge["reason"]) == {"outside the searched area"}
    assert np.isnan(edge["f_int"]).all()
    assert (edge["flags"] & Flag.OUTSIDE == Flag.OUTSIDE).all()
    assert len(dataset.photometry(*POSITIONS["far"])) == 0
    assert rows_of_results(engine) == before
    assert check_database(engine) == []


CALIBRATED = """
UPDATE calibration SET position_applied = (1 = 1), position_reference = 'running catalogue', displacement = :applied,
    shift_ew = image, shift_ns = 2, flux_applied = (1 = 1), gain = 2.0 + image, gain_err = 0.01
"""
RAW = "UPDATE extractedsource SET ra_raw = ra, decl_raw = decl, f_peak_raw = f_peak, f_int_raw = f_int"


def test_fit_in_calibrated_images_equals_position_that_is_monitored_later(config, images, engine):
    process(config, images)
    applied = Displacement(ra=0.02, dec=45.02, shift=(1 / 3600, -2 / 3600)).as_json()
    with transaction(engine) as connection:
        connection.execute(text(CALIBRATED), {"applied": applied})
        connection.execute(text(RAW))
    dataset = open_dataset(config.execution.database, 1)
    curve = dataset.photometry(*POSITIONS["on"])
    process(config, images, "on")
    assert_same(curve, dataset.light_curve(name="on"))
    assert curve["gain"].tolist() == [3.0, 4.0, 5.0]


def test_kept_points_are_read_and_only_new_images_measured(config, images, engine):
    process(config, images[:2])
    dataset, place = open_dataset(config.execution.database, 1), POSITIONS["between"]
    seen = []
    first = dataset.photometry(*place, keep=True, progress=lambda *counts: seen.append(counts))
    dataset.photometry(*place, progress=lambda *counts: seen.append(counts))
    process(config, images)
    later = dataset.photometry(place[0] - 360, place[1], keep=True, progress=lambda *counts: seen.append(counts))
    assert seen == [(1, 2), (2, 2), (1, 1)]
    assert_same(later[:2], first)
    assert len(dataset.photometry(*place, progress=lambda *_: pytest.fail("measured again"))) == 3
    (row,) = dataset.kept_photometry()
    assert (row["ra"].value, row["decl"].value, row["state"]) == (*place, "done")
    assert (row["n_points"], row["n_measured"], row["n_unread"]) == (3, 3, 0)
    assert row["changed_ts"] > row["made_ts"]


def test_injected_sources_have_their_flux_densities_and_the_sky_beside_them_none(pictures, pictures_url):
    truth = load_truth(Path(pictures_url.removeprefix("sqlite:///")).parent / "images")
    deviations, n_off = [], 0
    for source in truth.sources[truth.sources["kind"] == "transient"]:
        injected = truth.lightcurves[truth.lightcurves["name"] == source["name"]]["flux"]
        curve = pictures.photometry(source["ra"], source["dec"])
        deviations.append((curve["f_int"].value - injected) / curve["f_int_err"].value)
        n_off += int((injected == 0).sum())
    brightest = truth.sources[np.argmax(truth.sources["mean_flux"][:, 0])]
    # Two beam widths away, on the side without another source.
    steps = np.array([(1, 0), (-1, 0), (0, 1), (0, -1)]) * 60 / 3600
    places = [move(brightest["ra"], brightest["dec"], *step) for step in steps]
    others = truth.sources[truth.sources["name"] != brightest["name"]]
    room = [separation(others["ra"], others["dec"], *place).min() for place in places]
    beside = pictures.photometry(*map(float, places[int(np.argmax(room))]))
    deviations.append((beside["f_int"] / beside["f_int_err"]).value)
    deviations = np.concatenate(deviations)
    assert n_off > 0
    assert np.abs(deviations).max() < 4
    # χ² of the mean of n values with the errors of the fits: 1 ± √(2/n).
    assert np.mean(deviations**2) < 1 + 4 * np.sqrt(2 / deviations.size)
    assert brightest["mean_flux"][0] > 20 * beside["f_int_err"].value.max()


@pytest.fixture
def moved(pictures_url, tmp_path):
    """Return a copy of the dataset, and its four files, which may be changed."""
    database = Path(pictures_url.removeprefix("sqlite:///"))
    shutil.copytree(database.parent, tmp_path / "copy")
    url = f"sqlite:///{tmp_path / 'copy' / database.name}"
    engine = make_engine(url)
    with transaction(engine) as connection:
        names = {"old": str(database.parent), "new": str(tmp_path / "copy")}
        connection.execute(text("UPDATE image SET url = replace(url, :old, :new)"), names)
        files = connection.execute(text("SELECT url FROM image ORDER BY taustart_ts")).scalars().all()
    engine.dispose()
    return open_dataset(url, 1), [Path(file) for file in files]


def test_missing_and_replaced_files_are_reasons_until_they_are_back(moved, pictures):
    dataset, files = moved
    content = [file.read_bytes() for file in files]
    files[0].unlink()
    files[1].write_bytes(content[3])
    with fits.open(files[2]) as hdus:
        hdus[0].data = hdus[0].data[..., :100]
        hdus.writeto(files[2], overwrite=True)
    seen = []
    curve = dataset.photometry(0.0, 45.0, keep=True)
    assert curve["reason"][0] == "No such file or directory"
    assert curve["reason"][1].startswith("the file was replaced: it held an image of 2026-01-01T01:00:00")
    assert curve["reason"][2] == "the file was replaced: it held an image of 128 × 128 pixels, now one of 100 × 128"
    assert np.isnan(curve["f_int"]).tolist() == [True, True, True, False]
    assert curve["is_read"].tolist() == [False, False, False, True]
    for file, bytes_ in zip(files, content, strict=True):
        file.write_bytes(bytes_)
    curve = dataset.photometry(0.0, 45.0, keep=True, progress=lambda *counts: seen.append(counts))
    assert seen[-1] == (3, 3)
    assert_same(curve, pictures.photometry(0.0, 45.0))


def test_pixels_of_a_missing_file_come_from_the_kept_image(tmp_path):
    dataset = open_dataset(process_survey(tmp_path, n_timesteps=2, keep_pixels="images"), 1)
    curve = dataset.photometry(0.0, 45.0)
    shutil.rmtree(tmp_path / "images")
    kept = dataset.photometry(0.0, 45.0)
    np.testing.assert_allclose(kept["f_int"], curve["f_int"], rtol=1e-9)
    assert kept["reason"].tolist() == ["", ""]


def test_point_without_a_pixel_value_says_so(moved):
    dataset, files = moved
    with fits.open(files[0], mode="update") as hdus:
        hdus[0].data[..., 60:68, 60:68] = np.nan
    curve = dataset.photometry(0.0, 45.0)
    assert curve["reason"].tolist() == ["no pixel value at the position", "", "", ""]
    assert curve["is_read"].all()


def test_selection_of_bands_and_impossible_positions(pictures):
    assert len(pictures.photometry("0h00m00s +45d00m00s", band=1280, stokes="I")) == 4
    assert len(pictures.photometry(0.0, 45.0, stokes="V")) == 0
    with pytest.raises(ConfigError, match="is no position"):
        pictures.photometry("nowhere")
