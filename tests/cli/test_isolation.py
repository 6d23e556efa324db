"""Files that end the process that reads them: the command goes on with the others."""

from __future__ import annotations

import json
from concurrent.futures import Future

import numpy as np
import pytest
from astropy.io import fits

from trap.cli import main
from trap.cli.isolation import open_image_workers, results_of_images
from trap.errors import WorkerLostError


@pytest.fixture
def lethal(survey, tmp_path):
    """An image whose pixels are unpacked by compiled code, which reads the size of a pixel from a card."""
    data, header = fits.getdata(min(survey.glob("t*.fits")), header=True)
    path = tmp_path / "lethal.fits"
    packed = fits.CompImageHDU(np.asarray(data[:50, :50]), header, compression_type="RICE_1")
    fits.HDUList([fits.PrimaryHDU(), packed]).writeto(path, output_verify="silentfix")
    content = path.read_bytes()
    card = content.index(b"ZVAL2   =")
    path.write_bytes(content[:card] + b"ZVAL2   =                   -1".ljust(80) + content[card + 80 :])
    return path


@pytest.mark.own_workers
@pytest.mark.parametrize("command", ["inspect", "extract"])
def test_file_that_ends_its_worker_costs_itself_alone(survey, lethal, command, capsys):
    good = str(min(survey.glob("t*.fits")))
    assert main([command, "--json", str(lethal), good]) == 3
    first, second = json.loads(capsys.readouterr().out)
    assert (first["image"], second["image"]) == (str(lethal), good)
    assert "died (exit code" in first["problem"]
    assert second["problem"] is None


class Workers:
    """An executor whose first attempts are lost."""

    def __init__(self, n_lost, *, is_culprit):
        self.n_lost, self.is_culprit = n_lost, is_culprit

    def submit(self, step, path):
        future = Future()
        self.n_lost -= 1
        if self.n_lost >= 0:
            future.set_exception(WorkerLostError("lost", is_culprit=self.is_culprit))
        else:
            future.set_result(step(path))
        return future


@pytest.mark.parametrize(
    ("n_lost", "is_culprit", "expected"),
    [(0, False, ["A", "B"]), (1, True, ["lost", "B"]), (1, False, ["A", "B"]), (3, False, ["lost", "B"])],
)
def test_only_an_image_that_was_lost_with_another_one_is_tried_again(n_lost, is_culprit, expected):
    results = results_of_images(Workers(n_lost, is_culprit=is_culprit), str.upper, ["a", "b"])
    assert [str(result) for result in results] == expected


def test_no_more_workers_than_images_are_started():
    settings = type("Settings", (), {"n_workers": 8, "image_timeout_seconds": 5.0})
    with open_image_workers(settings, 3, preload=()) as workers:
        assert workers.n_workers == 3
