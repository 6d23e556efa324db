"""Names and tags of runs, and the check whether the process of a run still exists."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from flows.service.identity import (
    HOST,
    PROCESS,
    TICKS_PER_SECOND,
    dataset_label,
    dataset_name,
    dataset_tags,
    has_died,
    process_labels,
)
from trap.config import PipelineConfig
from trap.run.planning import Plan, Timestep, TimestepGroup
from trap.simulation.survey import SurveyConfig, simulate_survey

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    settings = SurveyConfig(n_timesteps=1, n_bands=2, size=64, n_steady=0, n_variables=0, n_transients=0)
    folder = simulate_survey(tmp_path_factory.mktemp("survey"), settings).directory
    return tuple(sorted(map(str, folder.glob("*.fits"))))


def plan_of(*urls):
    return Plan(groups=(TimestepGroup(1, (Timestep(START, urls),)),))


def test_a_run_is_named_after_its_dataset():
    config = PipelineConfig().with_options(persistence={"description": "Zwicky field"})
    assert dataset_name(config, -1) == "Zwicky field, new dataset"
    assert dataset_name(config, 12) == "Zwicky field, dataset 12"


def test_a_run_is_tagged_with_dataset_telescope_and_bands(images):
    assert dataset_tags(3, plan_of(*images)) == ["band:1280 MHz", "band:1480 MHz", "dataset:3", "telescope:SIMULATED"]


def test_a_run_with_nothing_to_do_is_tagged_with_its_dataset():
    assert dataset_tags(3, Plan(groups=())) == ["dataset:3"]


def test_an_image_that_is_gone_costs_its_tags_only(images, tmp_path):
    assert "telescope:SIMULATED" in dataset_tags(3, plan_of(str(tmp_path / "gone.fits"), *images))


def test_this_process_is_alive():
    assert not has_died(process_labels(1), 1)


def test_a_process_that_ended_has_died():
    code = "from flows.service.identity import process_labels; import json; print(json.dumps(process_labels(1)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    labels = json.loads(done.stdout)
    assert has_died(labels, 1)


def test_another_process_with_the_same_number_is_another():
    labels = process_labels(1)
    number, _, start = labels[PROCESS].partition(":")
    # psutil's start is accurate to a second, within which no system uses the number of a process again.
    assert has_died(labels | {PROCESS: f"{number}:{int(start) - 2 * TICKS_PER_SECOND}"}, 1)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="a system without /proc")
def test_labels_of_earlier_versions_have_the_same_start_time():
    _, _, start = process_labels(1)[PROCESS].partition(":")
    # Earlier versions wrote field 22 of this file; the name of the program, field 2, may contain spaces.
    assert int(start) == int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])


def test_without_a_start_time_a_process_that_exists_is_alive():
    assert not has_died(process_labels(1) | {PROCESS: f"{os.getpid()}:"}, 1)


def test_a_process_that_cannot_be_read_is_alive(monkeypatch):
    def deny(pid):
        raise psutil.AccessDenied(pid)

    labels = process_labels(1)
    monkeypatch.setattr("flows.service.identity.psutil.Process", deny)
    assert not has_died(labels, 1)


def test_a_zombie_process_has_died():
    with subprocess.Popen([sys.executable, "-c", "pass"]) as child:
        child_labels = process_labels(1) | {PROCESS: f"{child.pid}:1"}
        assert has_died(child_labels, 1)


def test_a_process_on_another_machine_is_not_judged():
    assert not has_died(process_labels(1) | {HOST: "elsewhere", PROCESS: "1:1"}, 1)


@pytest.mark.parametrize("labels", [{}, {PROCESS: "1:1"}])
def test_a_run_without_labels_is_left_alone(labels):
    assert not has_died(labels, 1)


def test_an_attempt_that_is_not_labelled_yet_is_left_alone():
    assert not has_died(process_labels(1) | {PROCESS: "1:1"}, 2)


def label(url):
    return dataset_label(PipelineConfig().with_options(execution={"database": url}), 1)


def test_datasets_of_two_files_have_different_labels(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert label("sqlite:///a.db").endswith("-1")
    assert len(label("sqlite:///a.db")) == len("ab12cd-1")
    assert label("sqlite:///a.db") != label("sqlite:///b.db")
    assert label("sqlite:///a.db") == label(f"sqlite:///{tmp_path / 'a.db'}")


def test_password_driver_and_options_do_not_change_a_label():
    plain = label("postgresql://trap@host/trap")
    assert label("postgresql+psycopg2://trap:secret@host/trap?connect_timeout=3") == plain
