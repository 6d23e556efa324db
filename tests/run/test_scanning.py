"""Headers of many images, side by side."""

from __future__ import annotations

import gc
import os
import time
import tracemalloc
from concurrent.futures import Future

import pytest

from trap import retry
from trap.config import PipelineConfig
from trap.dataset.records import UnreadableImage
from trap.errors import ImageError, TransientError, WorkerLostError
from trap.run import scanning
from trap.run.scanning import scan_images
from trap.simulation.survey import SurveyConfig, simulate_survey

CONFIG = PipelineConfig().with_options(execution={"n_workers": 2})


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Eight images, and a file that is none in the middle."""
    folder = tmp_path_factory.mktemp("survey")
    simulate_survey(folder, SurveyConfig(n_timesteps=8, n_bands=1, size=64, n_steady=2, n_variables=0, n_transients=0))
    (folder / "t0004_a.fits").write_text("no image")
    return sorted(str(path) for path in folder.rglob("*.fits"))


def scan(images, config=CONFIG, **changes):
    return list(scan_images(images, config, **{"with_hash": False} | changes))


def test_many_are_described_as_few_are(images, monkeypatch):
    alone = scan(images, with_hash=True)
    monkeypatch.setattr(scanning, "MAX_WITHOUT_WORKERS", 3)
    monkeypatch.setattr(scanning, "BATCH", 2)
    told = []
    assert scan(images, with_hash=True, progress=lambda *counts: told.append(counts)) == alone
    assert [description.url for description in alone] == images
    assert [isinstance(image, UnreadableImage) for image in alone] == ["_a" in url for url in images]
    assert told == [(n, 9, "headers") for n in (2, 4, 6, 8, 9)]


def test_content_is_hashed_only_on_request(images):
    for with_hash, n in ((False, 1), (True, 8)):
        found = [image for image in scan(images, with_hash=with_hash) if not isinstance(image, UnreadableImage)]
        assert len({image.content_hash for image in found}) == n
        assert all(bool(image.content_hash) == with_hash for image in found)


def test_nothing_of_a_header_is_kept(images):
    scan(images[:4])  # what is made once, and stays
    tracemalloc.start()
    descriptions = scan(images[:4] * 5)
    gc.collect()
    first, _ = tracemalloc.get_traced_memory()
    descriptions += scan(images[:4] * 5)
    gc.collect()  # headers refer to themselves: when they go is the collector's choice
    second, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(descriptions) == 40
    # A row of six fields; a header of an image and its projection are tens of kilobytes.
    assert (second - first) / 20 < 1000
    assert peak < 3e6


read_header = scanning._read_header


@pytest.mark.parametrize(("culprit", "isolated"), [("hangs", False), ("dies", False), ("dies", True)])
def test_file_that_ends_its_worker_costs_itself_alone(images, monkeypatch, culprit, isolated):
    # Few images are read apart on request only.
    monkeypatch.setattr(scanning, "MAX_WITHOUT_WORKERS", 100 if isolated else 3)
    monkeypatch.setattr(scanning, "BATCH", 4)
    patient = CONFIG.with_options(execution={"image_timeout_seconds": 3.0})
    monkeypatch.setattr(scanning, "describe_images", hanging if culprit == "hangs" else dying)
    descriptions = scan(images, patient, isolated=isolated)
    assert [description.url for description in descriptions] == images
    problems = {image.url[-13:]: image.reason for image in descriptions if isinstance(image, UnreadableImage)}
    assert set(problems) == {"0002_b00.fits", "/t0004_a.fits"}
    assert ("hanging was ended after 3 s" if culprit == "hangs" else "died") in problems["0002_b00.fits"[-13:]]


def hanging(urls, settings, *, with_hash, lists):
    if any("t0002" in url for url in urls):
        time.sleep(600)
    return [scanning._describe(url, settings, None, with_hash=with_hash) for url in urls]


def dying(urls, settings, *, with_hash, lists):
    if any("t0002" in url for url in urls):
        os._exit(1)
    return [scanning._describe(url, settings, None, with_hash=with_hash) for url in urls]


def test_header_that_cannot_be_read_for_a_moment_is_read_again(images, monkeypatch):
    monkeypatch.setattr(retry, "HEADER_DELAYS", (0.0, 0.0))
    failures = iter([TransientError("stale file handle")] * 2)

    def failing(url, settings, listed, *, with_hash):
        for failure in failures:
            raise failure
        return read_header(url, settings, listed, with_hash=with_hash)

    monkeypatch.setattr(scanning, "_read_header", failing)
    assert not isinstance(scan(images[:1])[0], UnreadableImage)


def test_header_that_stays_unreadable_costs_its_image(images, monkeypatch):
    monkeypatch.setattr(retry, "HEADER_DELAYS", ())

    def failing(url, settings, listed, *, with_hash):
        if url == images[0]:
            raise TransientError("stale file handle")
        return read_header(url, settings, listed, with_hash=with_hash)

    monkeypatch.setattr(scanning, "_read_header", failing)
    assert [getattr(image, "reason", "") for image in scan(images[:3])] == ["stale file handle", "", ""]


@pytest.mark.parametrize("detail", ["", "Unable to allocate 119. GiB"])
def test_header_that_takes_too_much_memory_costs_its_image(images, monkeypatch, detail):
    def failing(url, settings, listed, *, with_hash):
        if url == images[0]:
            raise MemoryError(detail)
        return read_header(url, settings, listed, with_hash=with_hash)

    monkeypatch.setattr(scanning, "_read_header", failing)
    reasons = [getattr(image, "reason", "") for image in scan(images[:3])]
    assert reasons == [f"not enough memory ({detail})" if detail else "not enough memory", "", ""]


@pytest.mark.parametrize("error", [ImageError("bad"), TransientError("stale"), MemoryError()])
def test_following_image_that_cannot_be_read_is_not_compared(images, monkeypatch, error):
    def failing(*_):
        raise error

    monkeypatch.setattr(retry, "HEADER_DELAYS", ())
    monkeypatch.setattr(scanning, "read_image", failing)
    assert scanning.preview_header(images[0], CONFIG) is None
    assert scanning.preview_noise(images[0], CONFIG) is None


def test_following_image_that_ends_its_worker_is_not_compared():
    lost = Future()
    lost.set_exception(WorkerLostError("died", is_culprit=True))
    assert scanning._awaited(lost) is None
