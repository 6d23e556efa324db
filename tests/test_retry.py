from __future__ import annotations

import pickle

import pytest

from trap.errors import ImageError, TransientError, WorkerLostError
from trap.retry import call_with_retries, interrupt_behind, is_retryable


def test_patience_ends_with_success_or_with_the_last_error():
    outcomes = iter([TransientError("first"), TransientError("second"), 42])

    def work():
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    with pytest.raises(TransientError, match="second"):
        call_with_retries(work, [0.0])
    assert call_with_retries(work, [0.0]) == 42


def test_patience_is_for_errors_that_may_pass():
    calls = []

    def work():
        calls.append(1)
        raise ImageError("no beam", "a.fits")

    with pytest.raises(ImageError):
        call_with_retries(work, [0.0, 0.0])
    assert len(calls) == 1


def test_an_error_that_was_retried_to_no_avail_is_retried_by_no_other_level():
    calls = []

    def work():
        calls.append(1)
        raise TransientError("away")

    with pytest.raises(TransientError, match="away"):
        call_with_retries(lambda: call_with_retries(work, [0.0, 0.0]), [0.0, 0.0, 0.0])
    assert len(calls) == 3


def test_an_error_that_no_level_within_has_retried_is_retried():
    calls = []

    def work():
        calls.append(1)
        raise TransientError("away")

    with pytest.raises(TransientError) as raised:
        call_with_retries(lambda: call_with_retries(work, []), [0.0, 0.0, 0.0])
    assert len(calls) == 4
    assert raised.value.was_retried


def test_the_mark_of_a_retried_error_survives_the_way_from_a_worker():
    error = WorkerLostError("gone", is_culprit=True)
    error.was_retried = True
    assert not is_retryable(pickle.loads(pickle.dumps(error)))


def test_an_error_after_an_interrupt_is_an_interrupt():
    def end_badly():
        try:
            raise KeyboardInterrupt
        finally:
            raise ValueError("the connection is closed")

    with pytest.raises(ValueError, match="closed") as caught:
        end_badly()
    assert isinstance(interrupt_behind(caught.value), KeyboardInterrupt)
    assert interrupt_behind(ValueError("alone")) is None
