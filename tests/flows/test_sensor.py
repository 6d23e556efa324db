"""Images handed to runs: each once, in order, whatever ends the sensor in between."""

from __future__ import annotations

import itertools
import subprocess
import sys
from types import SimpleNamespace
from uuid import uuid4

import pytest
from prefect.states import Cancelled, Completed, Crashed, Failed, Running, Scheduled

from flows import sensor
from flows.sensor import IncomingImages, take_in_images
from trap.config import PipelineConfig
from trap.db.arrivals import open_ledger
from trap.errors import ConfigError


class Deployment:
    """Runs that were asked for, by idempotency key, as Prefect keeps them; also a client that reads the deployment."""

    def __init__(self):
        self.runs, self.parameters, self.paused = {}, {}, False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def read_deployment_by_name(self, name):
        return SimpleNamespace(name=name, paused=self.paused)

    def __call__(self, name, *, parameters, idempotency_key, timeout, as_subflow):
        assert (name, timeout, as_subflow) == ("process-dataset/incoming", 0, False)
        run = SimpleNamespace(name=f"run {len(self.runs) + 1}", id=uuid4(), state=Scheduled(), run_count=0)
        self.parameters.setdefault(idempotency_key, parameters)
        return self.runs.setdefault(idempotency_key, run)

    @property
    def latest(self):
        return list(self.runs.values())[-1]

    @property
    def batches(self):
        return [parameters["batch"] for parameters in self.parameters.values()]


@pytest.fixture
def deployment(monkeypatch):
    made = Deployment()
    monkeypatch.setattr(sensor, "run_deployment", made)
    monkeypatch.setattr(sensor, "get_client", lambda **_: made)
    return made


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "incoming").mkdir()
    return tmp_path / "incoming"


@pytest.fixture
def config(tmp_path):
    execution = {"database": f"sqlite:///{tmp_path / 'trap.db'}"}
    return PipelineConfig().with_options(execution=execution, persistence={"description": "field"})


def look(folder, config, **options):
    """Let the sensor look once; returns what its state says."""
    settings = {"folder": str(folder), "settle_seconds": 0.0} | options
    return take_in_images.fn(IncomingImages(**settings), config).message


def images_of(config, batch):
    with open_ledger(config.execution.database) as ledger:
        return [path.name for path in ledger.images(batch)]


def test_images_wait_while_their_deployment_is_paused(folder, config, deployment):
    (folder / "a.fits").write_text("pixels")
    deployment.paused = True
    assert look(folder, config) == "process-dataset/incoming is paused: new images wait in the folder"
    assert not deployment.runs
    deployment.paused = False
    assert look(folder, config) == "1 images handed over, 0 waiting"


def test_all_images_that_are_there_go_to_one_run(folder, config, deployment):
    for name in ("b.fits", "a.fits"):
        (folder / name).write_text("pixels")
    assert look(folder, config) == "2 images handed over, 0 waiting"
    (batch,) = deployment.batches
    assert images_of(config, batch) == ["a.fits", "b.fits"]
    (parameters,) = deployment.parameters.values()
    assert parameters["config"]["persistence"]["dataset_key"] == "field"


def test_images_are_handed_over_once(folder, config, deployment):
    (folder / "a.fits").write_text("pixels")
    look(folder, config)
    deployment.latest.state = Completed()
    assert look(folder, config) == "0 images handed over, 0 waiting"
    assert len(deployment.runs) == 1


@pytest.mark.parametrize("state", [Scheduled(), Running(), Crashed()])
def test_images_that_come_during_a_run_wait_for_its_end(folder, config, deployment, state):
    (folder / "a.fits").write_text("pixels")
    look(folder, config)
    deployment.latest.state = state
    (folder / "b.fits").write_text("pixels")
    assert look(folder, config) == "0 images handed over, 1 waiting"
    assert len(deployment.runs) == 1


@pytest.mark.parametrize("state", [Completed(), Completed(name="Partial"), Failed(), Cancelled()])
def test_they_go_to_the_next_run_however_the_one_before_ended(folder, config, deployment, state):
    (folder / "a.fits").write_text("pixels")
    look(folder, config)
    deployment.latest.state = state
    (folder / "b.fits").write_text("pixels")
    assert look(folder, config) == "1 images handed over, 0 waiting"
    assert images_of(config, deployment.batches[-1]) == ["b.fits"]


def test_a_run_that_crashed_too_often_holds_nothing_up(folder, config, deployment):
    (folder / "a.fits").write_text("pixels")
    look(folder, config)
    deployment.latest.state, deployment.latest.run_count = Crashed(), 4
    (folder / "b.fits").write_text("pixels")
    assert look(folder, config) == "1 images handed over, 0 waiting"


def test_run_is_requested_again_after_its_sensor_ended_early(folder, config, deployment, monkeypatch):
    (folder / "a.fits").write_text("pixels")
    monkeypatch.setattr(sensor, "run_deployment", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        look(folder, config)
    monkeypatch.setattr(sensor, "run_deployment", deployment)
    (folder / "b.fits").write_text("pixels")
    assert look(folder, config) == "0 images handed over, 1 waiting"
    assert images_of(config, deployment.batches[0]) == ["a.fits"]
    deployment.latest.state = Completed()
    look(folder, config)
    assert [images_of(config, batch) for batch in deployment.batches] == [["a.fits"], ["b.fits"]]


def test_an_image_that_is_written_anew_is_handed_over_again(folder, config, deployment):
    (folder / "a.fits").write_text("pixels")
    look(folder, config)
    deployment.latest.state = Completed()
    (folder / "a.fits").write_text("other pixels")
    assert look(folder, config) == "1 images handed over, 0 waiting"


def test_subfolders_can_be_datasets_of_their_own(folder, config, deployment):
    for name in ("night1/a.fits", "night2/a.fits", "b.fits"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("pixels")
    assert look(folder, config, datasets="per-folder") == "3 images handed over, 0 waiting"
    keys = [parameters["config"]["persistence"]["dataset_key"] for parameters in deployment.parameters.values()]
    assert keys == ["field", "field/night1", "field/night2"]


def test_images_that_are_still_being_written_are_waited_for_and_then_left(folder, config, deployment, monkeypatch):
    monkeypatch.setattr(sensor, "MAX_WAIT_SECONDS", 0.0)
    image, lengths = folder / "a.fits", itertools.count(7)
    image.write_text("pixels")
    monkeypatch.setattr(sensor.time, "sleep", lambda _: image.write_text("p" * next(lengths)))
    assert look(folder, config, settle_seconds=0.05) == "0 images handed over, 1 waiting"


def test_images_need_a_name_to_find_their_dataset_by(folder, config, deployment):
    nameless = config.with_options(persistence={"description": ""})
    with pytest.raises(ConfigError, match="dataset_key"):
        look(folder, nameless)


def test_sensor_imports_nothing_that_measures():
    """Its process starts anew whenever images arrive."""
    script = (
        "import sys, flows.sensor;"
        "print(sorted({'numba', 'photutils', 'scipy', 'trap.pipeline', 'trap.quality'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed == "[]\n"
