"""Installations with names of their own on one server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from flows.service import commands
from flows.service.installations import (
    Installation,
    arrivals_resource,
    default_name,
    named_entry,
    read_installations,
    require_free,
)
from flows.service.server import Server
from trap.errors import ConfigError

ROOT = Path(__file__).parents[3]
OURS = Installation(name="m31", database="sqlite:////data/trap.db", incoming="/data/in", pool="m31-process")


def sensor(tags, database="sqlite:////data/trap.db", pool="m31-process"):
    parameters = {"incoming": {"folder": "/data/in"}, "config": {"execution": {"database": database}}}
    return SimpleNamespace(tags=tags, parameters=parameters, work_pool_name=pool)


class Client:
    """A server with more deployments than fit into one reply."""

    def __init__(self, sensors):
        self.sensors = sensors

    def read_deployments(self, *, flow_filter, limit, offset):
        assert flow_filter.name.any_ == ["take-in-images"]
        return self.sensors[offset : offset + limit]


@pytest.mark.parametrize(
    ("folder", "name"),
    [("/data/m31", "m31"), ("/data/my field (2)", "my-field-2"), ("/", "trap"), ("/x/Überblick", "Überblick")],
)
def test_an_installation_is_named_after_its_folder(folder, name):
    assert default_name(Path(folder)) == name


def test_installations_of_all_pages_are_read_and_unnamed_deployments_are_not():
    unnamed = [sensor(["trap-service"])] * 250
    client = Client([*unnamed, sensor(["trap-service", "installation:m31"])])
    assert read_installations(client) == {"m31": OURS}


def test_a_name_is_free_for_a_new_installation_and_for_itself():
    require_free(OURS, {})
    require_free(OURS, {"m31": OURS})


@pytest.mark.parametrize("change", [{"database": "sqlite:////other.db"}, {"incoming": "/other"}])
def test_a_name_of_another_installation_is_refused_unless_it_is_replaced(change):
    other = Installation(**{"name": "m31", "database": OURS.database, "incoming": OURS.incoming} | change)
    with pytest.raises(ConfigError, match=r"'m31' belongs to .*/other.*--name.*--replace"):
        require_free(OURS, {"m31": other})
    require_free(OURS, {"m31": other}, is_replaced=True)


@pytest.mark.parametrize("name", ["", "a/b", "x" * 61])
def test_a_name_that_prefect_would_refuse_is_refused_first(name):
    with pytest.raises(ConfigError, match="--name"):
        require_free(Installation(name=name, database="", incoming=""), {})


def test_triggers_match_runs_and_arrivals_of_their_own_installation_only():
    described = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    entries = [named_entry(entry, replace(OURS, incoming="/data/in[1]")) for entry in described]
    triggers = {trigger["name"]: trigger for entry in entries for trigger in entry.get("triggers", [])}
    assert set(triggers) == {"m31-images-arrived", "m31-run-ended", "m31-run-crashed", "m31-worker-started"}
    assert all(trigger["description"] for trigger in triggers.values())
    # Brackets are patterns in Prefect's filters.
    assert triggers["m31-images-arrived"]["match"] == {"prefect.resource.id": "trap.incoming./data/in[[]1]"}
    tag = {"prefect.resource.role": "tag", "prefect.resource.id": "prefect.tag.installation:m31"}
    assert triggers["m31-run-ended"]["match_related"][1] == tag
    assert triggers["m31-run-crashed"]["match_related"][1] == tag
    assert triggers["m31-worker-started"]["match_related"]["prefect.resource.name"] == "m31-process"
    assert len({entry["name"] for entry in entries}) == len(entries)
    assert all("installation:m31" in entry["tags"] for entry in entries)


def test_a_folder_is_named_alike_by_the_watcher_and_by_the_deployment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert arrivals_resource(Path("../x/in")) == arrivals_resource(tmp_path.parent / "x" / "in")


@pytest.fixture
def existing(monkeypatch):
    """Let the commands find these installations; returns the dictionary, which tests fill."""
    installations = {}
    monkeypatch.setattr(commands, "read_installations", lambda _client: installations)
    monkeypatch.setattr(commands, "ensure_server", lambda: Server("http://127.0.0.1:9/api"))
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    return installations


def start(**arguments):
    return commands.start_worker(None, SimpleNamespace(**{"name": None, "pool": None} | arguments))


def test_a_worker_takes_the_runs_of_its_installation(existing, monkeypatch):
    existing["m31"] = OURS
    started = []

    def replace_process(path, words):
        started.append((path, words))
        raise SystemExit

    monkeypatch.setattr(commands.os, "execv", replace_process)
    with pytest.raises(SystemExit):
        start(name="m31")
    ((path, words),) = started
    assert words == [path, "-m", "prefect", "--no-prompt", "worker", "start", "--pool", "m31-process"]
    assert commands.os.environ["PREFECT_API_URL"] == "http://127.0.0.1:9/api"


def test_a_worker_of_an_unknown_installation_is_told_the_names(existing):
    existing["m31"] = OURS
    with pytest.raises(ConfigError, match=r"no installation 'm33' \(installations: m31\).*deploy --name m33"):
        start(name="m33")


def test_an_installation_without_a_pool_needs_no_worker(existing):
    existing["m31"] = Installation(name="m31", database="", incoming="")
    with pytest.raises(ConfigError, match="needs no worker"):
        start(name="m31")
