"""Images from before the newest stored timestep, and failures that would make a timestep late."""

from __future__ import annotations

import pytest
from reliability_runs import holds_the_same, run_here
from sqlalchemy import text

from trap.dataset.outcomes import ExitCode
from trap.db.engine import make_engine, reading
from trap.db.upkeep import check_database
from trap.errors import ConfigError, TransientError, WorkerLostError
from trap.steps import association


@pytest.fixture
def config(make_config, database_url):
    return make_config(database_url)


@pytest.fixture
def images(small_survey):
    return tuple(map(str, sorted(small_survey.glob("t*.fits"))))


@pytest.fixture
def ask(database_url):
    engine = make_engine(database_url)

    def run(query):
        with reading(engine) as connection:
            return connection.execute(text(query)).all()

    run.engine = engine
    yield run
    engine.dispose()


def with_images(config, images, **execution):
    return config.with_options(execution={"images": images, **execution})


def broken(monkeypatch, error, *, at):
    """Make the association of one timestep fail."""
    calls = []
    associate = association.associate_extracted_sources

    def fail(*given):
        calls.append(1)
        if len(calls) == at:
            raise error
        return associate(*given)

    monkeypatch.setattr(association, "associate_extracted_sources", fail)


def test_late_image_is_refused_unless_the_settings_want_it_stored(config, images, ask, untroubled):
    run_here(with_images(config, (*images[:2], *images[3:])))
    refused = run_here(with_images(config, images))
    assert (refused.exit_code, refused.late) == (ExitCode.IMAGES_LEFT_OUT, (images[2],))
    points = ask("SELECT count(*) FROM assocxtrsource")
    entries = ask("SELECT * FROM runningcatalog ORDER BY id")
    stored = run_here(with_images(config, images, late_images="store"))
    assert stored.exit_code is ExitCode.COMPLETE
    assert [image.result.metadata.url for image in stored.unassociated] == [images[2]]
    assert ask("SELECT url FROM image WHERE late") == [(images[2],)]
    assert ask("SELECT count(*) > 0 FROM extractedsource e JOIN image i ON i.id = e.image WHERE i.late")[0][0]
    assert ask("SELECT count(*) FROM assocxtrsource") == points
    assert ask("SELECT * FROM runningcatalog ORDER BY id") == entries
    assert ask("SELECT count(*) FROM timestep WHERE state = 'late'") == [(1,)]
    assert check_database(ask.engine) == []
    again = run_here(with_images(config, images, late_images="store"))
    assert (len(again.known), again.outcomes) == (6, ())


def test_what_comes_after_a_late_image_is_as_if_that_had_never_been(config, images, ask, make_config, tmp_path):
    other = make_config(f"sqlite:///{tmp_path / 'other.db'}")
    for settings, chosen in (
        (with_images(config, images[:4]), (images[0], images[2], images[3])),
        (with_images(other, images), (images[0], images[2], images[3])),
    ):
        run_here(with_images(settings, chosen))
    run_here(with_images(config, images[:4], late_images="store"))
    run_here(with_images(config, images, late_images="store"))
    run_here(with_images(other, images))  # which refuses the late one
    engine = make_engine(other.execution.database)
    query = "SELECT wm_ra, wm_decl, weight_ew, datapoints FROM runningcatalog ORDER BY id"
    with reading(engine) as connection:
        assert connection.execute(text(query)).all() == ask(query)
        newsources = "SELECT count(*), max(sigma_local) FROM newsource"
        assert connection.execute(text(newsources)).all() == ask(newsources)
    engine.dispose()


def test_timestep_that_failed_for_good_is_made_up_as_a_late_one(config, images, ask, monkeypatch):
    broken(monkeypatch, ValueError("a defect"), at=3)
    failed = run_here(with_images(config, images))
    assert failed.exit_code is ExitCode.TIMESTEPS_FAILED
    made_up = run_here(with_images(config, images, late_images="store"))
    assert made_up.exit_code is ExitCode.COMPLETE
    states = [state for (state,) in ask("SELECT state FROM timestep ORDER BY taustart_ts")]
    assert states == ["done", "done", "late", "done", "done", "done"]
    assert ask("SELECT state FROM dataset") == [("done",)]
    assert check_database(ask.engine) == []


@pytest.mark.parametrize(
    ("error", "after_failure"),
    [
        (TransientError("the disk is full"), "go on"),
        (ValueError("a defect"), "stop"),
        (WorkerLostError("lost"), "stop"),
    ],
)
def test_failure_that_ends_the_run_is_made_up_in_its_order(
    config, images, ask, monkeypatch, untroubled, impatient, error, after_failure
):
    with monkeypatch.context() as patch:
        for at in (3, 4, 5) if isinstance(error, TransientError) else (3,):
            broken(patch, error, at=at)
        with pytest.raises(type(error), match=str(error)):
            run_here(with_images(config, images, after_failure=after_failure))
    states = [state for (state,) in ask("SELECT state FROM timestep ORDER BY taustart_ts")]
    assert states == ["done", "done", "failed"]
    assert run_here(with_images(config, images)).exit_code is ExitCode.COMPLETE
    # The settings name the images one by one, not by a pattern; that shapes no result.
    assert holds_the_same(ask.engine, 1, untroubled, 1) == []


def test_kept_pixels_lie_beside_the_database_and_are_found(make_config, tmp_path, images):
    from trap.db.kept_pixels import find_pixels  # noqa: PLC0415
    from trap.images.kept_pixels import read_kept_cutout  # noqa: PLC0415

    folder = tmp_path / "here"
    folder.mkdir()
    for kind, n_files in (("images", len(images)), ("cutouts", 1)):
        config = make_config(f"sqlite:///{folder / f'{kind}.db'}", execution={"keep_pixels": kind})
        run_here(config)
        moved = tmp_path / f"moved {kind}"
        folder.rename(moved)  # the database and its pixels together
        engine = make_engine(f"sqlite:///{moved / f'{kind}.db'}")
        with reading(engine) as connection:
            query = "SELECT i.id, e.ra, e.decl FROM image i JOIN extractedsource e ON e.image = i.id"
            if kind == "cutouts":
                query += " JOIN newsource n ON n.trigger_xtrsrc = e.id"
            rows = connection.execute(text(query)).all()
            files = find_pixels(connection, [row[0] for row in rows])
        engine.dispose()
        assert len(files) >= n_files
        assert {path.parent.parent for path in files.values()} == {moved / f"{kind}.db.pixels"}
        assert all(read_kept_cutout(files[image], ra, dec) is not None for image, ra, dec in rows)
        folder.mkdir()


def test_pixels_of_a_postgresql_database_need_a_folder(make_config):
    config = make_config("postgresql://me@host/sky", execution={"keep_pixels": "images"})
    with pytest.raises(ConfigError, match="pixel_directory must name a folder"):
        run_here(config)
