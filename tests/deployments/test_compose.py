"""The services of deployments/compose.yaml: the schema of Compose, their rights, and how they depend on each other."""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess
from importlib import resources
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from flows.service import deployments
from trap.cli.parser import make_parser

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "deployments/compose.yaml"


def test_the_file_fits_the_schema_of_compose(compose):
    pytest.importorskip("check_jsonschema", reason="the schema comes with check-jsonschema")
    folder = resources.files("check_jsonschema.builtin_schemas") / "vendor"
    schema = json.loads((folder / "compose-spec.json").read_text())
    validator = Draft202012Validator(schema)
    assert [error.message for error in validator.iter_errors(compose)] == []
    # The schema refuses what Compose does not know.
    wrong = compose | {"services": {"worker": compose["services"]["worker"] | {"readonly": True}}}
    assert any("readonly" in error.message for error in validator.iter_errors(wrong))


def test_no_container_has_more_rights_than_it_needs(services):
    assert "docker.sock" not in COMPOSE.read_text()
    for name, service in services.items():
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["read_only"] is True, name
        assert not {"privileged", "cap_add", "pid", "ipc", "network_mode", "devices"} & set(service), name
        assert service.get("user", "the image's") in {"the image's", "postgres"}, name
        assert "/tmp" in service["tmpfs"], name  # noqa: S108 (in the container)


def test_ports_are_published_to_this_machine_only(services):
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published == {"server": ["127.0.0.1:4200:4200"], "pages": ["127.0.0.1:8765:8765"]}


def test_services_wait_for_what_they_need(compose, services):
    for name, service in services.items():
        assert set(service["networks"]) <= set(compose["networks"]), name
        for needed, condition in service.get("depends_on", {}).items():
            if condition["condition"] == "service_healthy":
                assert services[needed]["healthcheck"]["test"], (name, needed)
            else:
                assert condition["condition"] == "service_completed_successfully"
                # A service that ends is started again until it succeeds, and no more.
                assert services[needed]["restart"] == "on-failure", (name, needed)
    lasting = {name for name, service in services.items() if service["restart"] == "unless-stopped"}
    assert lasting == {"database", "prefect-database", "server", "worker", "watcher", "pages"}
    assert all(services[name]["healthcheck"]["test"] for name in lasting)


def test_only_the_tools_may_write_the_images(services):
    mounts = {name: [each for each in one.get("volumes", []) if ":/data" in each] for name, one in services.items()}
    writing = {name for name, one in mounts.items() if one and not all(each.endswith(":ro") for each in one)}
    assert writing == {"tools"}
    assert {name for name, one in mounts.items() if one} == {"worker", "watcher", "pages", "tools"}


def test_runs_in_containers_share_networks_and_volumes_with_the_other_containers(compose):
    variables = deployments._read_pool("docker")["job_variables"]
    assert variables["networks"] == [network["name"] for network in compose["networks"].values()]
    volumes = compose["volumes"]
    assert variables["volumes"] == [f"{volumes['images']['name']}:/data:ro", f"{volumes['results']['name']}:/results"]


def test_images_have_a_version(services):
    images = {service["image"] for service in services.values()}
    assert len(images) == 2
    assert all(re.search(r":(\$\{TRAP_VERSION:-)?\d+[.\d]*", image) for image in images)


def test_the_image_of_all_services_is_built_once_and_not_looked_for_elsewhere(services):
    ours = {name: one for name, one in services.items() if one["image"].startswith("trap-transients:")}
    assert [name for name, one in ours.items() if "build" in one] == ["tables"]
    assert all(one["pull_policy"] == "never" for one in ours.values())
    build = services["tables"]["build"]
    assert (COMPOSE.parent / build["context"] / build["dockerfile"]).resolve() == ROOT / "deployments/Dockerfile"


def test_passwords_are_secrets_that_one_command_makes_once(tmp_path):
    (tmp_path / "deployments").mkdir()
    script = shutil.copy(ROOT / "deployments/new-secrets.sh", tmp_path / "deployments")
    (tmp_path / "deployments/.env").write_text("TRAP_DATABASE_PASSWORD=of-an-earlier-version\n")

    def run():
        subprocess.run(["sh", script], cwd="/", check=True, timeout=60)
        path = tmp_path / "deployments/.env"
        return dict(line.split("=") for line in path.read_text().splitlines())

    made = run()
    assert made["TRAP_DATABASE_PASSWORD"] == "of-an-earlier-version"  # noqa: S105 (of this test)
    needed = set(re.findall(r"\$\{(\w+):\?", COMPOSE.read_text()))
    assert set(made) == needed
    fresh = [value for name, value in made.items() if name != "TRAP_DATABASE_PASSWORD"]
    assert all(re.fullmatch(r"[0-9a-f]{48}", value) for value in fresh)
    assert len(set(fresh)) == len(fresh)
    assert run() == made
    (tmp_path / "deployments/.env").unlink()
    run()
    assert stat.S_IMODE((tmp_path / "deployments/.env").stat().st_mode) == 0o600
    # No password is written down in the file of the services.
    assert not re.search(r"PASSWORD: (?!\$\{)|://[^/\s]*:[^/\s]*@", COMPOSE.read_text())


@pytest.mark.parametrize("service", ["tables", "deploy", "watcher", "pages"])
def test_commands_of_the_containers_are_valid(service, services):
    command = services[service]["command"]
    assert command[0] == "transients"
    assert make_parser().parse_args(command[1:]).handler
