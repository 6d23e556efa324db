"""Workers that are warm before the first image comes."""

from __future__ import annotations

from structlog.testing import capture_logs

from trap.run.image_measurement import warm_up


def test_warming_up_goes_through_all_of_measuring_and_says_nothing():
    with capture_logs() as logs:
        warm_up()
    assert [log for log in logs if log["log_level"] != "debug"] == []
