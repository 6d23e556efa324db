"""Images measured before they are asked for, and images that end their workers."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from trap.dataset.records import UnreadableImage
from trap.errors import TransientError, WorkerLostError
from trap.run.look_ahead import LookAhead

URLS = [f"{number}.fits" for number in range(10)]


class Measurements:
    """Begins measurements, and keeps in mind which; some of them fail."""

    def __init__(self, **errors):
        self.begun = []
        self._errors = {f"{name[1:]}.fits": list(errors_) for name, errors_ in errors.items()}

    def __call__(self, url):
        self.begun.append(url)
        future = Future()
        errors = self._errors.get(url)
        if errors:
            future.set_exception(errors.pop(0))
        else:
            future.set_result(f"measured {url}")
        return future


def lost(*, is_culprit):
    return WorkerLostError("the worker died", is_culprit=is_culprit)


def test_a_bounded_number_of_images_is_measured_ahead():
    measure = Measurements()
    ahead = LookAhead(measure, URLS, depth=3)
    assert measure.begun == URLS[:3]
    assert ahead.result("0.fits") == "measured 0.fits"
    assert measure.begun == URLS[:4]


def test_every_image_is_measured_once_and_in_order():
    measure = Measurements()
    ahead = LookAhead(measure, URLS, depth=3)
    assert [ahead.result(url) for url in URLS] == [f"measured {url}" for url in URLS]
    assert measure.begun == URLS


def test_an_image_asked_for_before_its_turn_is_measured_once():
    measure = Measurements()
    ahead = LookAhead(measure, URLS, depth=2)
    ahead.result("7.fits")
    for url in URLS[:7] + URLS[8:]:
        ahead.result(url)
    assert sorted(measure.begun) == URLS


def test_images_that_come_later_are_measured_after_those_before():
    measure = Measurements()
    ahead = LookAhead(measure, depth=2)
    ahead.expect(URLS[:1])
    ahead.expect(URLS[1:4])
    assert measure.begun == URLS[:2]
    ahead.result("0.fits")
    assert measure.begun == URLS[:3]


def test_an_image_that_is_written_again_before_its_turn_is_measured_again_and_leaves_nothing():
    measure = Measurements()
    ahead = LookAhead(measure, depth=2)
    ahead.expect(URLS[:3])
    ahead.expect([URLS[0], URLS[2]])  # the first is under way, the third waits
    assert [ahead.result(url) for url in URLS[:3]] == [f"measured {url}" for url in URLS[:3]]
    assert measure.begun.count("0.fits") == 2
    assert (ahead._pending, list(ahead._ahead)) == ({}, [])


def test_an_image_asked_for_again_is_measured_again():
    measure = Measurements()
    ahead = LookAhead(measure, URLS[:1], depth=2)
    assert ahead.result("0.fits") == ahead.result("0.fits")
    assert measure.begun == ["0.fits", "0.fits"]


def test_what_may_pass_is_tried_again_as_often_as_was_said():
    measure = Measurements(_0=[TransientError("busy")] * 2)
    assert LookAhead(measure, URLS[:1], depth=1, retry_delays=(0.0, 0.0)).result("0.fits") == "measured 0.fits"
    measure = Measurements(_0=[TransientError("busy")] * 2)
    with pytest.raises(TransientError):
        LookAhead(measure, URLS[:1], depth=1, retry_delays=(0.0,)).result("0.fits")


def test_an_image_that_ends_its_worker_again_and_again_is_unreadable():
    measure = Measurements(_0=[lost(is_culprit=True)] * 3)
    result = LookAhead(measure, URLS, depth=2, retry_delays=(0.0,) * 3).result("0.fits")
    assert result == UnreadableImage(
        url="0.fits", reason="measuring it cost 3 worker processes, the last time: the worker died"
    )
    assert measure.begun.count("0.fits") == 3


def test_losses_are_counted_over_the_attempts_of_others_too():
    measure = Measurements(_0=[lost(is_culprit=True)] * 3)
    ahead = LookAhead(measure, URLS, depth=2)
    for _ in range(2):
        with pytest.raises(WorkerLostError):
            ahead.result("0.fits")
    assert isinstance(ahead.result("0.fits"), UnreadableImage)


def test_an_image_whose_worker_was_lost_with_a_neighbour_is_not_to_blame():
    measure = Measurements(_0=[lost(is_culprit=False)] * 4)
    ahead = LookAhead(measure, URLS, depth=2, retry_delays=(0.0,) * 4)
    assert ahead.result("0.fits") == "measured 0.fits"
