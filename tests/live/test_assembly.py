"""When a timestep of a stream is closed, and for whom it does not wait."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from trap.live.assembly import Assembler
from trap.steps.misc import ImageMetadataForSort

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
    assert not assembler.add(image(5, 1), 200.0)
    assert not assembler.add(image(4), 200.0)
    assert assembler.add(image(6), 200.0)


def test_a_dataset_is_not_added_to_before_its_newest_timestep():
    assembler = Assembler(n_images=1, timeout_seconds=10.0, latest=START)
    assert not assembler.add(image(0), 100.0)
    assert assembler.add(image(1), 100.0)


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


def test_at_the_end_nothing_stays_open(assembler):
    for second in (3, 1, 2):
        assembler.add(image(second), 100.0)
    assert urls(assembler.close_all()) == [("t1b0",), ("t2b0",), ("t3b0",)]
    assert assembler.n_open == 0
