"""Which images are processed, in which order, and which are not."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from astropy.io import fits

from trap.config import PipelineConfig
from trap.dataset.outcomes import ExitCode
from trap.dataset.records import ImageResult
from trap.images.image import read_image
from trap.images.patterns import path_text
from trap.pipeline import open_run
from trap.report.run_summary import run_text
from trap.run import planning
from trap.run.planning import make_plan
from trap.simulation.survey import SurveyConfig, simulate_survey
from trap.workers.executors import SerialExecutor


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Three timesteps of two bands, as paths in no helpful order."""
    folder = tmp_path_factory.mktemp("survey")
    simulate_survey(folder, SurveyConfig(n_timesteps=3, n_bands=2, size=64, n_steady=2, n_variables=0, n_transients=0))
    return sorted((str(path) for path in folder.rglob("*.fits")), reverse=True)


def test_plan_orders_by_time_then_frequency(images):
    plan = make_plan(images, known_hashes=set(), latest=None)
    assert [len(timestep.urls) for timestep in plan.timesteps] == [2, 2, 2]
    times = [timestep.taustart_ts for timestep in plan.timesteps]
    assert times == sorted(times)
    assert [url for timestep in plan.timesteps for url in timestep.urls] == sorted(images)


def test_unreadable_file_is_left_out_with_its_reason(images, tmp_path):
    bad = tmp_path / "bad.fits"
    bad.write_text("not FITS")
    plan = make_plan([str(bad), *images], known_hashes=set(), latest=None)
    (file,) = plan.unreadable
    assert file.url == str(bad)
    assert file.reason
    assert len(plan.timesteps) == 3


def test_known_and_late_images_are_left_out(images):
    plan = make_plan(images, known_hashes=set(), latest=None)
    second = plan.timesteps[1]
    known = {read_image(plan.timesteps[0].urls[0]).content_hash}
    again = make_plan(images, known_hashes=known, latest=second.taustart_ts)
    assert again.known == (plan.timesteps[0].urls[0],)
    assert set(again.late) == {plan.timesteps[0].urls[1], *second.urls}
    assert again.timesteps == plan.timesteps[2:]


@pytest.mark.parametrize(
    ("n_timesteps", "size", "lengths"), [(25, 0, [10, 10, 5]), (7, 3, [3, 3, 1]), (0, 0, []), (4000, 0, [20] * 200)]
)
def test_groups_are_consecutive_timesteps(n_timesteps, size, lengths):
    start = datetime(2012, 1, 1, tzinfo=UTC)
    timesteps = [planning.Timestep(start + timedelta(days=day), (f"{day}.fits",)) for day in range(n_timesteps)]
    groups = planning._grouped(timesteps, size)
    assert [len(group.timesteps) for group in groups] == lengths
    assert [timestep for group in groups for timestep in group.timesteps] == timesteps
    assert [group.number for group in groups] == list(range(1, len(groups) + 1))


def test_images_within_the_tolerance_are_one_timestep(images):
    # The timesteps are an hour apart.
    config = PipelineConfig().with_options(persistence={"timestep_tolerance": 3600.0})
    plan = make_plan(images, known_hashes=set(), latest=None, config=config)
    assert [len(timestep.urls) for timestep in plan.timesteps] == [4, 2]
    first = plan.timesteps[0]
    assert first.taustart_ts == datetime(2026, 1, 1, tzinfo=UTC)
    # By frequency first: both images of the lower band, the earlier before the later.
    assert [url[-14:] for url in first.urls] == [f"t000{t}_b0{b}.fits" for b in (0, 1) for t in (0, 1)]


def test_image_that_would_have_belonged_to_a_stored_timestep_is_late(images):
    config = PipelineConfig().with_options(persistence={"timestep_tolerance": 3600.0})
    plan = make_plan(images, known_hashes=set(), latest=datetime(2026, 1, 1, tzinfo=UTC), config=config)
    assert (len(plan.late), len(plan.timesteps)) == (4, 1)


def test_images_whose_names_are_not_utf_8_are_processed_and_one_that_is_none_is_left_out_alone(images, tmp_path):
    folder = tmp_path / os.fsdecode(b"n\xe9")
    folder.mkdir()
    for number, path in enumerate(sorted(images)[:2]):
        shutil.copy(path, folder / os.fsdecode(b"%d\xff.fits" % number))
    (folder / os.fsdecode(b"torn\xfe.fits")).write_text("no image")
    database = f"sqlite:///{path_text(folder)}/trap.db"
    pixels = path_text(folder / "pixels")
    options = {"database": database, "keep_pixels": "images", "pixel_directory": pixels}
    config = PipelineConfig().with_options(execution={"images": (f"{tmp_path}/*/*.fits",), **options})
    with open_run(config) as dataset:
        (group,) = dataset.plan.groups
        dataset.process_group(group, SerialExecutor())
        summary = dataset.summary()
        kept = list(folder.joinpath("pixels").rglob("*.fits"))
    names = [rf"{tmp_path}/n\xe9/{number}\xff.fits" for number in range(2)]
    assert [image.result.metadata.url for image in summary.images] == names
    assert [url for url, _ in summary.left_out] == [rf"{tmp_path}/n\xe9/torn\xfe.fits"]
    assert len(kept) == 2
    assert (folder / "trap.db").exists()
    run_text(summary, database, program="transients").encode("utf-8")
    with open_run(config) as again:
        assert again.plan.known == tuple(names)


def replaced(path, *, seconds):
    """Write an image again, with a later start, and return the path."""
    start = read_image(path).metadata.taustart_ts + timedelta(seconds=seconds)
    fits.setval(path, "DATE-OBS", value=start.replace(tzinfo=None).isoformat(timespec="microseconds"))
    return path


@pytest.mark.parametrize(
    ("seconds", "tolerance", "is_planned"),
    [(0, 0, True), (1e-6, 0, False), (-3600, 0, False), (4, 5, True), (5, 5, True), (6, 5, False), (-1, 5, False)],
)
def test_image_belongs_to_its_timestep_by_the_start_that_was_measured(seconds, tolerance, is_planned):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    metadata = SimpleNamespace(taustart_ts=start + timedelta(seconds=seconds), url="a.fits")
    result = ImageResult.unmeasured(metadata, rms_qc=1.0, pixel_hash="")
    config = PipelineConfig().with_options(persistence={"timestep_tolerance": tolerance})
    measured, unreadable = planning.in_plan(planning.Timestep(start, ("a.fits",)), [result], config)
    assert (len(measured), len(unreadable)) == (is_planned, not is_planned)
    if not is_planned:
        assert "planned for the timestep of 2026-01-01T00:00:00+00:00, it now holds an image of" in unreadable[0].reason


def test_image_whose_file_is_replaced_after_planning_is_planned_again_by_the_next_run(images, tmp_path):
    paths = [shutil.copy(path, tmp_path) for path in sorted(images)[:4]]
    options = {"images": tuple(paths), "database": f"sqlite:///{tmp_path / 'trap.db'}"}
    config = PipelineConfig().with_options(execution=options)
    with open_run(config) as dataset:
        # The first image of the second timestep becomes one of a new timestep, after all others.
        late = read_image(replaced(paths[2], seconds=10 * 86400)).metadata.taustart_ts
        (group,) = dataset.plan.groups
        dataset.process_group(group, SerialExecutor())
        summary = dataset.summary()
    assert [(image.result.metadata.url, image.result.metadata.taustart_ts) for image in summary.images] == [
        (path, read_image(path).metadata.taustart_ts) for path in paths if path != paths[2]
    ]
    ((url, reason),) = summary.left_out
    assert (url, summary.exit_code) == (paths[2], ExitCode.IMAGES_LEFT_OUT)
    assert reason.startswith("unreadable: the file was replaced")
    with open_run(config) as again:
        assert again.plan.timesteps == (planning.Timestep(late, (paths[2],)),)
        again.process_group(again.plan.groups[0], SerialExecutor())
        assert again.summary().exit_code is ExitCode.COMPLETE
