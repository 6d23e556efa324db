"""Workers that are warm before the first image comes."""

from __future__ import annotations

import os
import shutil

from structlog.testing import capture_logs

from trap.config import PipelineConfig
from trap.dataset.records import ImageResult, UnreadableImage
from trap.images.image import Image
from trap.run import image_measurement
from trap.run.image_measurement import measure_image, warm_up
from trap.simulation.survey import SurveyConfig, simulate_survey


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


def test_a_file_that_is_replaced_while_it_is_measured_is_left_out_and_one_that_is_touched_is_not(tmp_path, monkeypatch):
    survey = SurveyConfig(n_timesteps=2, n_bands=1, size=64, n_steady=2, n_variables=0, n_transients=0)
    first, second = simulate_survey(tmp_path / "survey", survey).images
    path = tmp_path / "image.fits"
    find_sources = image_measurement.extract_sources

    def measure(change):
        def find_and_change(*args):
            change()
            return find_sources(*args)

        shutil.copy(first, path)
        monkeypatch.setattr(image_measurement, "extract_sources", find_and_change)
        return measure_image(str(path), PipelineConfig())

    assert isinstance(measure(lambda: os.utime(path, (1.0, 1.0))), ImageResult)
    for change in (lambda: shutil.copy(second, path), lambda: shutil.copy(second, tmp_path / "new").rename(path)):
        assert measure(change) == UnreadableImage(url=str(path), reason="the file changed while it was measured")
    assert isinstance(measure(path.unlink), UnreadableImage)
    assert Image(tmp_path).file_version() is None
