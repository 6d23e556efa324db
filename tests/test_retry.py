from __future__ import annotations

import pytest

from trap.errors import ImageError, TransientError
from trap.retry import call_patiently


def test_patience_ends_with_success_or_with_the_last_error():
    outcomes = iter([TransientError("first"), TransientError("second"), 42])

    def work():
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    with pytest.raises(TransientError, match="second"):
        call_patiently(work, [0.0])
    assert call_patiently(work, [0.0]) == 42


def test_patience_is_for_errors_that_may_pass():
    calls = []

    def work():
        calls.append(1)
        raise ImageError("no beam", "a.fits")

    with pytest.raises(ImageError):
        call_patiently(work, [0.0, 0.0])
    assert len(calls) == 1
