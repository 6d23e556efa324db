"""When a timestep of a stream is closed, and for whom it does not wait."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trap.live.assembly import Assembler
from trap.run.planning import group_images
from trap.steps.misc import ImageMetadataForSort, group_per_timestep

START = datetime(2026, 1, 1, tzinfo=UTC)


def image(second, band=0):
    return ImageMetadataForSort(f"t{second}b{band}", START + timedelta(seconds=second), 1e8 + band, 1)


@pytest.fixture
def assembler():
    """Two images to a timestep, ten seconds of patience."""
    return Assembler(n_images=2, timeout_seconds=10.0)


def urls(closed):
    return [each.timestep.urls for each in closed]


def test_a_timestep_is_closed_when_all_are_there_lowest_frequency_first(assembler):
    assembler.add(image(0, 1), 100.0)
    assert assembler.close(100.0) == []
    assembler.add(image(0, 0), 101.0)
    (closed,) = assembler.close(101.0)
    assert closed.timestep.urls == ("t0b0", "t0b1")
    assert (closed.arrived, closed.is_complete) == (101.0, True)
    assert assembler.n_open == 0


def test_an_image_that_does_not_come_is_waited_for_until_the_time_is_over(assembler):
    assembler.add(image(0), 100.0)
    assert assembler.close(109.9) == []
    (closed,) = assembler.close(110.0)
    assert (closed.timestep.urls, closed.is_complete) == (("t0b0",), False)


def test_what_is_complete_waits_for_what_is_earlier(assembler):
    assembler.add(image(0), 100.0)
    for band in (0, 1):
        assembler.add(image(1, band), 101.0)
    assert assembler.close(105.0) == []
    assert urls(assembler.close(110.0)) == [("t0b0",), ("t1b0", "t1b1")]


def test_what_comes_after_its_timestep_was_closed_is_too_late(assembler):
    assembler.add(image(5), 100.0)
    assembler.close(200.0)
    assert [assembler.is_late(image(second).timestamp) for second in (4, 5, 6)] == [True, True, False]


def test_a_dataset_is_not_added_to_before_its_newest_timestep():
    assembler = Assembler(n_images=1, timeout_seconds=10.0, latest=START)
    assert assembler.is_late(START)
    assert not assembler.is_late(image(1).timestamp)


def test_without_a_number_timesteps_are_to_have_as_many_images_as_lately():
    assembler = Assembler(n_images=0, timeout_seconds=10.0)
    for band in range(3):
        assembler.add(image(0, band), 100.0)
    assert assembler.close(105.0) == []  # nothing is known yet
    assert len(assembler.close(110.0)) == 1
    for band in range(3):
        assembler.add(image(1, band), 111.0)
    assert len(assembler.close(111.0)) == 1
    # A band that is gone for good is no longer waited for, once ten timesteps were without it.
    for second in range(2, 12):
        for band in range(2):
            assembler.add(image(second, band), 200.0)
        assert len(assembler.close(200.0)) == 0
        assert len(assembler.close(210.0)) == 1
    for band in range(2):
        assembler.add(image(12, band), 211.0)
    assert len(assembler.close(211.0)) == 1


def test_timesteps_that_time_out_together_are_closed_in_order_of_time(assembler):
    for second in (3, 1, 2):
        assembler.add(image(second), 100.0)
    assert urls(assembler.close(110.0)) == [("t1b0",), ("t2b0",), ("t3b0",)]
    assert assembler.n_open == 0


def tolerant(**options):
    return Assembler(n_images=2, timeout_seconds=10.0, tolerance_seconds=5.0, **options)


@pytest.mark.parametrize("order", [(0, 4, 7), (7, 4, 0), (4, 0, 7)])
def test_images_whose_starts_lie_within_the_tolerance_form_a_timestep_as_in_batch_mode(order):
    assembler = tolerant()
    for second in order:
        assembler.add(image(second), 100.0)
    closed = assembler.close(200.0)
    assert urls(closed) == [("t0b0", "t4b0"), ("t7b0",)]
    batch = group_per_timestep([image(second) for second in order], 5.0)
    assert [(each.timestep.taustart_ts, list(each.timestep.urls)) for each in closed] == batch


@given(
    st.permutations(range(12)),
    st.lists(st.integers(0, 60), min_size=12, max_size=12),
    st.integers(0, 12),
)
def test_any_order_of_arrival_gives_the_timesteps_of_batch_mode(order, seconds, tolerance):
    images = [image(seconds[n], n) for n in order]
    assembler = Assembler(n_images=100, timeout_seconds=10.0, tolerance_seconds=tolerance)
    for each in images:
        assembler.add(each, 100.0)
    closed = [(each.timestep.taustart_ts, list(each.timestep.urls)) for each in assembler.close(110.0)]
    assert closed == group_per_timestep(images, tolerance)


def test_a_file_that_is_written_again_is_in_its_timestep_once():
    assembler = tolerant()
    for now in (100.0, 101.0):
        assembler.add(image(0), now)
    (closed,) = assembler.close(111.0)
    assert closed.timestep.urls == ("t0b0",)


def test_an_image_within_the_tolerance_of_a_closed_timestep_is_late():
    assembler = tolerant()
    assembler.add(image(0), 100.0)
    assembler.close(110.0)
    assert assembler.is_late(image(5).timestamp)
    assert not assembler.is_late(image(6).timestamp)


def test_late_images_wait_for_each_other_and_for_no_complete_timestep(assembler):
    assembler.add(image(5), 100.0)
    assembler.close(110.0)
    for band in (1, 0):
        assembler.add(image(3, band), 120.0 + band)
    for band in (0, 1):
        assembler.add(image(6, band), 121.0)
    assert urls(assembler.close(121.0)) == [("t6b0", "t6b1")]
    assert assembler.n_open == 1
    (closed,) = assembler.close(130.0)
    assert (closed.timestep.urls, closed.timestep.is_late) == (("t3b0", "t3b1"), True)
    assert assembler.latest == image(6).timestamp
    assert assembler.n_open == 0


@given(st.lists(st.integers(0, 30), min_size=8, max_size=8), st.integers(0, 12))
def test_late_and_other_images_form_the_timesteps_of_batch_mode(seconds, tolerance):
    latest = START + timedelta(seconds=10)
    images = [image(second, n) for n, second in enumerate(seconds)]
    assembler = Assembler(n_images=100, timeout_seconds=1.0, tolerance_seconds=tolerance, latest=latest)
    for each in images:
        assembler.add(each, 0.0)
    closed = [each.timestep for each in assembler.close(1.0)]
    assert closed == group_images(images, tolerance=tolerance, latest=latest)
    # Every image is in a timestep, late if it starts at most a tolerance after the newest timestep.
    assert {(url, timestep.is_late) for timestep in closed for url in timestep.urls} == {
        (each.url, second <= 10 + tolerance) for each, second in zip(images, seconds, strict=True)
    }


def test_copy_of_an_open_image_is_its_twin(assembler):
    assembler.add(image(0), 100.0)
    copied = image(0)._replace(url="elsewhere")
    assert assembler.twins(copied) == ["t0b0"]
    assert assembler.twins(image(0)) == assembler.twins(image(0, 1)._replace(url="elsewhere")) == []


def test_an_image_within_the_tolerance_of_an_open_timestep_is_not_the_first_of_a_new_one():
    assembler = tolerant()
    assembler.add(image(20), 100.0)
    assert [assembler.is_new(image(second).timestamp) for second in (14, 15, 20, 25, 26)] == [
        True,
        False,
        False,
        False,
        True,
    ]


def test_images_of_a_timestep_are_ordered_by_frequency_stokes_and_start():
    assembler = tolerant()
    for name, second in (("b", 3), ("a", 0)):
        assembler.add(ImageMetadataForSort(name, START + timedelta(seconds=second), 1e8, 1), 100.0)
    assert urls(assembler.close(100.0)) == [("a", "b")]


@pytest.mark.parametrize(("days", "is_late"), [(1.0, False), (math.inf, True)])
def test_image_of_the_future_makes_others_late_only_if_it_is_accepted(days, is_late):
    assembler = Assembler(n_images=1, timeout_seconds=10.0, max_future_days=days)
    ahead = (datetime.now(UTC) - START).total_seconds() + 3 * 86400
    assembler.add(image(ahead), 100.0)
    assert len(assembler.close(100.0)) == 1
    assert assembler.is_late(image(1).timestamp) is is_late
