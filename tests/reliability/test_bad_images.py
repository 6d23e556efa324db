"""Bad images among good ones cost themselves, are listed with their reasons, and show in the exit code."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from sqlalchemy import create_engine, text

from trap.config import PipelineConfig
from trap.dataset.outcomes import ExitCode
from trap.errors import ConfigError, DatasetNotFoundError
from trap.pipeline import run_locally as run
from trap.simulation.survey import SurveyConfig, simulate_survey


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """Six timesteps of one band."""
    folder = tmp_path_factory.mktemp("survey")
    config = SurveyConfig(n_timesteps=6, n_bands=1, size=128, n_steady=5, n_variables=0, n_transients=0)
    simulate_survey(folder, config)
    return sorted(folder.rglob("*.fits"))


@pytest.fixture
def images(survey, tmp_path):
    """Copies of the survey's images, to be spoilt."""
    copies = [tmp_path / path.name for path in survey]
    for path, copy in zip(survey, copies, strict=True):
        copy.write_bytes(path.read_bytes())
    return copies


@pytest.fixture
def config(tmp_path):
    """Make the configuration of a run over some images."""

    def make(images, **sections):
        execution = {
            "images": tuple(map(str, images)),
            "database": f"sqlite:///{tmp_path / 'trap.db'}",
            "n_workers": 2,
        }
        return PipelineConfig().with_options(
            execution=execution, source_extraction={"extraction_radius_pix": 0.0}, **sections
        )

    return make


def count_rows(config):
    """Number of rows of every table."""
    engine = create_engine(config.execution.database)
    with engine.connect() as connection:
        names = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars().all()
        return {name: connection.execute(text(f'SELECT COUNT(*) FROM "{name}"')).scalar_one() for name in names}


def test_each_bad_image_is_listed_and_the_rest_is_processed(images, config):
    images[1].write_bytes(b"no image at all")
    with fits.open(images[2], mode="update") as hdus:
        hdus[0].data[:] = np.nan
    with fits.open(images[3], mode="update") as hdus:
        for key in ("BMAJ", "BMIN", "BPA"):
            del hdus[0].header[key]
    images[4].write_bytes(images[4].read_bytes()[:20_000])
    summary = run(config(images))
    reasons = dict(summary.left_out)
    assert set(reasons) == {str(images[n]) for n in (1, 2, 3, 4)}
    assert reasons[str(images[1])].startswith("unreadable: ")
    assert reasons[str(images[2])] == "contains NaN: no pixel has a finite value"
    assert reasons[str(images[3])] == "beam invalid: no restoring beam in the header"
    assert "truncated" in reasons[str(images[4])]
    assert summary.exit_code is ExitCode.IMAGES_LEFT_OUT
    accepted = [image for image in summary.images if image.result.rejection is None]
    assert [image.result.metadata.url for image in accepted] == [str(images[0]), str(images[5])]
    assert all(image.n_blind for image in accepted)
    rows = count_rows(config(images))
    assert (rows["image"], rows["rejection"], rows["unreadableimage"]) == (4, 2, 2)


def test_second_run_over_the_same_images_adds_nothing(images, config):
    first = run(config(images))
    before = count_rows(config(images))
    second = run(config(images, persistence={"dataset_id": first.dataset_id}))
    assert second.already_known == tuple(str(path) for path in images)
    assert second.exit_code is ExitCode.COMPLETE
    assert count_rows(config(images)) == {**before, "run": 2}


def test_extending_a_dataset_gives_what_one_run_gives(images, config):
    whole = run(config(images))
    part = run(config(images[:3]))
    run(config(images, persistence={"dataset_id": part.dataset_id}))
    engine = create_engine(config(images).execution.database)
    curves = text(
        "SELECT i.taustart_ts, a.type, a.r, a.v_int, a.eta_int, a.f_datapoints, e.f_int, e.f_int_err"
        " FROM assocxtrsource a JOIN extractedsource e ON a.xtrsrc = e.id JOIN image i ON e.image = i.id"
        " WHERE i.dataset = :dataset ORDER BY a.id"
    )
    with engine.connect() as connection:
        points = [
            connection.execute(curves, {"dataset": number}).all() for number in (whole.dataset_id, part.dataset_id)
        ]
    assert points[0]
    assert points[0] == points[1]


def test_late_image_is_refused_and_said(images, config):
    first = run(config(images[3:]))
    second = run(config(images, persistence={"dataset_id": first.dataset_id}))
    assert second.late == tuple(str(path) for path in images[:3])
    assert second.exit_code is ExitCode.IMAGES_LEFT_OUT


def test_same_image_under_two_names_is_processed_once(images, config, tmp_path):
    twin = tmp_path / "twin.fits"
    twin.write_bytes(images[0].read_bytes())
    summary = run(config([*images, twin]))
    assert len(summary.images) == 6
    assert len(summary.already_known) == 1


def test_other_settings_are_refused_for_an_old_dataset(images, config):
    first = run(config(images[:1]))
    other = {"dataset_id": first.dataset_id, "rms_est_sigma": 5.0}
    with pytest.raises(ConfigError, match=r"persistence.rms_est_sigma is 5.0 instead of 4.0"):
        run(config(images, persistence=other))


def test_dataset_that_does_not_exist_is_refused(images, config):
    run(config(images[:1]))
    with pytest.raises(DatasetNotFoundError, match="no dataset 99"):
        run(config(images, persistence={"dataset_id": 99}))


def test_images_that_were_incomplete_at_first_are_taken_once_they_are_whole(images, config):
    whole = images[-1].read_bytes()
    images[-1].write_bytes(whole[:20_000])
    first = run(config(images))
    assert len(first.images) == 5
    images[-1].write_bytes(whole)
    second = run(config(images, persistence={"dataset_id": first.dataset_id}))
    assert second.exit_code is ExitCode.COMPLETE
    assert [image.result.metadata.url for image in second.images] == [str(images[-1])]
