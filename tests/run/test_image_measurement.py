"""Workers that are warm before the first image comes."""

from __future__ import annotations

from structlog.testing import capture_logs

from trap.config import PipelineConfig
from trap.dataset.records import UnreadableImage
from trap.run import image_measurement
from trap.run.image_measurement import warm_up


def test_warming_up_goes_through_all_of_measuring_and_says_nothing():
    with capture_logs() as logs:
        warm_up()
    assert [log for log in logs if log["log_level"] != "debug"] == []


def test_image_that_takes_too_much_memory_is_left_out(monkeypatch):
    def failing(*_):
        raise MemoryError("Unable to allocate 119. GiB for an array")

    monkeypatch.setattr(image_measurement, "read_image", failing)
    result = image_measurement.measure_image("a.fits", PipelineConfig())
    assert result == UnreadableImage(
        url="a.fits", reason="not enough memory (Unable to allocate 119. GiB for an array)"
    )
