"""The deployments of prefect.yaml, and the files of the work pools, which must fit their types of pool."""

from __future__ import annotations

import json
import os
import signal
import time
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from jsonschema import Draft202012Validator
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectNotFound
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.collections import deep_merge

from flows.sensor import IncomingImages
from flows.service import deployments
from flows.service.deployments import DeploymentOptions, load_deployments
from flows.tasks.policies import RUN
from trap.config import PipelineConfig
from trap.errors import ConfigError

ROOT = Path(__file__).parents[3]
POOLS = ["process", "docker", "kubernetes"]


def described():
    return yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]


def worker_template(kind):
    """Return Prefect's default template of a type of work pool."""
    views = resources.files("prefect.server.api.collections_data.views")
    collections = json.loads(views.joinpath("aggregate-worker-metadata.json").read_text())
    (template,) = (
        worker["default_base_job_configuration"]
        for collection in collections.values()
        for worker in collection.values()
        if worker["type"] == kind
    )
    return template


@pytest.mark.parametrize("number", range(len(described())))
def test_every_deployment_has_a_flow_and_parameters_that_it_takes(number):
    one = described()[number]
    path, _, name = one["entrypoint"].partition(":")
    flow = load_flow_from_entrypoint(f"{ROOT / path}:{name}")
    flow.validate_parameters(one.get("parameters", {}))


def test_no_folder_of_any_machine_is_named():
    for path in (ROOT / "prefect.yaml", *(ROOT / "deployments").rglob("*.y*ml")):
        assert str(ROOT) not in path.read_text(), path


def test_settings_of_an_installation_override_the_file(tmp_path):
    config = PipelineConfig().with_options(
        source_extraction={"detection_threshold": 6.0}, persistence={"description": "Zwicky"}
    )
    made = {
        one.full_name: one for one in load_deployments(DeploymentOptions(name="m31", config=config, incoming=tmp_path))
    }
    assert made["process-dataset/m31-manual"].parameters["config"] == {
        "persistence": {"description": "Zwicky"},
        "source_extraction": {"detection_threshold": 6.0},
        "execution": {"images": ["images/*.fits"], "database": "sqlite:///trap.db"},
    }
    sensor = made["take-in-images/m31-look-for-images"].parameters
    assert IncomingImages.model_validate(sensor["incoming"]).folder == str(tmp_path)
    assert sensor["incoming"]["deployment"] in made
    assert sensor["config"]["persistence"]["description"] == "Zwicky"


def test_flows_are_found_by_their_module_and_no_code_is_copied():
    entrypoints = {one.entrypoint for one in load_deployments(DeploymentOptions())}
    assert entrypoints == {
        "flows.process_dataset.process_dataset",
        "flows.sensor.take_in_images",
        "flows.recovery.recover_runs",
    }


def test_the_sensor_runs_at_the_requested_interval_and_every_morning():
    (sensor,) = (
        one for one in load_deployments(DeploymentOptions(every_seconds=60.0)) if one.name.endswith("-look-for-images")
    )
    interval, cron = (schedule.schedule for schedule in sensor.schedules)
    assert interval.interval.total_seconds() == 60
    assert (cron.cron, cron.timezone) == ("0 6 * * *", "UTC")


def test_a_run_is_marked_as_crashed_after_three_missing_heartbeats():
    (automation,) = yaml.safe_load((ROOT / "deployments/automations.yaml").read_text())["automations"]
    AutomationCore.model_validate(automation)
    assert automation["trigger"]["within"] == RUN.silence_seconds
    # Only the runs of our deployments have this tag and this frequency of heartbeats.
    assert automation["trigger"]["match_related"]["prefect.resource.id"] == "prefect.tag.trap"
    tagged = {one["entrypoint"] for one in described() if "trap" in one["tags"]}
    assert tagged == {"flows/process_dataset.py:process_dataset"}
    assert RUN.silence_seconds >= 3 * RUN.heartbeat_seconds
    for one in described():
        environment = one["work_pool"]["job_variables"]["env"]
        assert environment["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == str(RUN.heartbeat_seconds)


@pytest.mark.parametrize("kind", POOLS)
def test_variables_of_a_pool_are_in_the_schema_of_its_workers(kind):
    pool = deployments._read_pool(kind)
    schema = worker_template(kind)["variables"]
    variables = pool.get("job_variables", {}) | described()[0]["work_pool"]["job_variables"]
    assert pool["type"] == kind
    assert set(variables) <= set(schema["properties"])
    Draft202012Validator(schema | {"required": []}).validate(variables)


def test_jobs_of_a_cluster_keep_prefects_template_and_mount_the_images():
    ours = deep_merge(worker_template("kubernetes"), deployments._read_pool("kubernetes")["base_job_template"])
    (theirs,) = worker_template("kubernetes")["job_configuration"]["job_manifest"]["spec"]["template"]["spec"][
        "containers"
    ]
    pod = ours["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert {key: container[key] for key in theirs} == theirs
    assert [mount["name"] for mount in container["volumeMounts"]] == [volume["name"] for volume in pod["volumes"]]
    assert pod["restartPolicy"] == "Never"


def test_another_kind_of_pool_is_refused():
    with pytest.raises(ConfigError, match="'nomad'"):
        deployments._read_pool("nomad")


def test_merging_replaces_lists_and_joins_dicts():
    below = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    assert deep_merge(below, {"a": {"c": [3]}, "e": 2}) == {"a": {"b": 1, "c": [3]}, "d": 1, "e": 2}
    assert below == {"a": {"b": 1, "c": [1, 2]}, "d": 1}


def test_the_form_begins_with_images_database_and_description():
    made = {one.full_name: one for one in load_deployments(DeploymentOptions(name="m31"))}

    def fields(properties):
        return sorted(properties, key=lambda name: properties[name]["position"])

    schema = made["process-dataset/m31-manual"]._parameter_openapi_schema
    assert fields(schema.properties) == ["config", "monitors"]
    assert all(schema.properties[name]["description"] for name in schema.properties)
    sections = schema.definitions
    assert fields(sections["PipelineConfig"]["properties"])[:2] == ["execution", "persistence"]
    assert fields(sections["ExecutionConfig"]["properties"])[:2] == ["images", "database"]
    assert fields(sections["PersistenceConfig"]["properties"])[0] == "description"
    # The sensor passes batches to this one only, whose form shows them last.
    arrived = made["process-dataset/m31-incoming"]._parameter_openapi_schema
    assert fields(arrived.properties) == ["config", "monitors", "batch"]
    assert "internal" in arrived.properties["batch"]["title"]


@pytest.mark.parametrize("n_made", [0, 1, 3])
def test_deployments_are_paused_whenever_the_interrupt_comes(n_made, monkeypatch, tmp_path):
    options = DeploymentOptions(name="guest", incoming=tmp_path)
    names = [one.full_name for one in load_deployments(options)]
    paused = []

    class Client:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def read_deployment_by_name(self, name):
            if name not in names[:n_made]:
                raise ObjectNotFound(LookupError(name))
            return SimpleNamespace(id=name)

        def pause_deployment(self, name):
            paused.append(name)

    def serve(*_, **__):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)

    monkeypatch.setattr(deployments, "get_client", lambda **_: Client())
    monkeypatch.setattr(deployments, "read_installations", lambda _: {})
    monkeypatch.setattr(deployments, "_replace_automations", lambda *_: None)
    monkeypatch.setattr(deployments, "serve", serve)
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(KeyboardInterrupt):
            deployments.serve_here(options)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert paused == names[:n_made]
