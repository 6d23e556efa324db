"""Which images are processed, in which order, and which are not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from trap import planning
from trap.errors import TransientError
from trap.images.simulate import SurveyConfig, simulate_survey
from trap.planning import make_plan


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
    known = {planning.get_accessors([plan.timesteps[0].urls[0]])[0].content_hash}
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


def test_header_that_cannot_be_read_for_a_moment_is_read_again(images, monkeypatch):
    monkeypatch.setattr(planning, "RETRY_DELAYS", (0.0, 0.0))
    failures = iter([TransientError("stale file handle")] * 2)

    def look_at(image, known_hashes):
        for failure in failures:
            raise failure
        return image.metadata, False

    monkeypatch.setattr(planning, "_look_at", look_at)
    assert len(make_plan(images, known_hashes=set(), latest=None).timesteps) == 3


def test_header_that_stays_unreadable_costs_its_image(images, monkeypatch):
    monkeypatch.setattr(planning, "RETRY_DELAYS", ())
    look_at = planning._look_at

    def failing(image, known_hashes):
        if image.url == images[0]:
            raise TransientError("stale file handle")
        return look_at(image, known_hashes)

    monkeypatch.setattr(planning, "_look_at", failing)
    plan = make_plan(images, known_hashes=set(), latest=None)
    assert [(file.url, file.reason) for file in plan.unreadable] == [(images[0], "stale file handle")]
    assert sum(len(timestep.urls) for timestep in plan.timesteps) == len(images) - 1
