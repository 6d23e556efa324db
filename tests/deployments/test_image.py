"""The image of deployments/Dockerfile, as far as it can be checked without a container engine, and its health check."""

from __future__ import annotations

import http.server
import os
import re
import runpy
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from packaging.version import Version

from trap import __version__

ROOT = Path(__file__).parents[2]
TOKEN = "TRANSIENTS_TOKEN"  # noqa: S105 (the name of a variable)
HEALTH = ROOT / "deployments/health.py"


def test_the_image_runs_as_an_ordinary_user(last_stage):
    assert [text for name, text in last_stage if name == "USER"] == ["1000:1000"]
    # What group 0 may do is what the user may do: clusters that choose a user choose this group.
    (made,) = (text for name, text in last_stage if name == "RUN" and "useradd" in text)
    assert re.search(r"chown -R 1000:0 (.*) && chmod -R g=u \1 && chmod 1777 /home/trap$", made)


def test_all_libraries_are_locked_with_their_hashes_and_none_is_kept_in_a_cache(instructions):
    installs = [text for name, text in instructions if name == "RUN" and "pip" in text and "install " in text]
    installs = [text for text in installs if "uninstall" not in text]
    assert len(installs) == 2
    assert all("--require-hashes" in text or "--no-deps" in text for text in installs)
    caches = [text for name, text in instructions if name == "ENV" and "PIP_NO_CACHE_DIR" in text]
    assert caches or all("--no-cache-dir" in text for text in installs)


def test_dependencies_of_the_image_are_those_of_the_tests():
    def versions(path):
        lines = (ROOT / path).read_text().splitlines()
        return dict(line.partition(" ")[0].split("==") for line in lines if re.match(r"[a-z0-9._-]+==", line))

    tested, image = versions("requirements.lock"), versions("deployments/requirements.lock")
    assert {name: image[name] for name in image.keys() & tested.keys()} == {
        name: tested[name] for name in image.keys() & tested.keys()
    }
    assert {"prefect", "prefect-docker", "prefect-kubernetes", "hatchling"} <= set(image)


def test_every_file_that_the_image_takes_is_in_the_context_of_its_build(instructions):
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in rules
    taken = {rule.removeprefix("!/") for rule in rules if rule.startswith("!/")}
    sources = [text.split()[-2] for name, text in instructions if name == "COPY" and "--from" not in text]
    assert all(source == "." or source.partition("/")[0] in taken for source in sources)
    assert not taken & {".git", "tests"}
    assert rules.index("deployments/.env") > rules.index("!/deployments")


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("Dockerfile", r"^ARG VERSION=(.*)$"),
        ("Dockerfile", r"trap-transients:(\S+)"),
        ("compose.yaml", r"trap-transients:\$\{TRAP_VERSION:-(.*)\}"),
        ("docker.yaml", r"trap-transients:(\S+)"),
        ("kubernetes.yaml", r"trap-transients:(\S+)"),
        ("kubernetes/trap.yaml", r"trap-transients:(\S+)"),
        ("kubernetes/server.yaml", r"trap-transients:(\S+)"),
    ],
)
def test_images_have_the_version_of_the_program(path, pattern):
    found = re.findall(pattern, (ROOT / "deployments" / path).read_text(), re.MULTILINE)
    assert found
    assert set(found) == {Version(__version__).base_version}


class Answer(http.server.BaseHTTPRequestHandler):
    """The answer of the pages: only a visitor with the token gets in."""

    def do_GET(self):
        admitted = self.path == "/static" or self.headers.get("Authorization") == "Bearer the-token"
        self.send_response(200 if admitted else 401)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def address():
    server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def health(*arguments, **variables):
    environment = {name: value for name, value in os.environ.items() if name != TOKEN} | variables
    return subprocess.run(
        [sys.executable, HEALTH, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_an_address_that_answers_is_healthy_and_the_token_is_sent_along(address):
    assert health(f"{address}/static").returncode == 0
    assert health(f"{address}/", **{TOKEN: "the-token"}).returncode == 0
    refused = health(f"{address}/static", f"{address}/")
    assert refused.returncode == 1
    assert "401" in refused.stdout
    assert "another-one" not in health(f"{address}/", **{TOKEN: "another-one"}).stdout


def test_a_proxy_of_the_environment_is_not_asked(address):
    assert health(f"{address}/static", http_proxy="http://127.0.0.1:9").returncode == 0


def test_an_address_without_a_server_is_unhealthy():
    failed = health("http://127.0.0.1:9/")
    assert failed.returncode == 1
    assert failed.stdout.startswith("http://127.0.0.1:9/: ")
    assert not failed.stderr


@pytest.mark.parametrize(
    ("command", "port"),
    [
        ("/opt/trap/bin/python /opt/trap/bin/prefect server start --host 0.0.0.0", 4200),
        ("/opt/trap/bin/python /opt/trap/bin/prefect worker start --pool trap --with-healthcheck", 8080),
        ("/opt/trap/bin/python /opt/trap/bin/transients serve postgresql://trap@database/trap", 8765),
        ("/opt/trap/bin/python /opt/trap/bin/transients watch /data/incoming", 4200),
        ("/opt/trap/bin/python /opt/trap/bin/transients run --images /data/serve/*.fits", None),
    ],
)
def test_the_role_of_a_container_is_found_by_its_processes(command, port, tmp_path, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    script = runpy.run_path(str(HEALTH))
    for number, line in enumerate(("/sbin/docker-init -- x", command), start=1):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "cmdline").write_bytes(line.replace(" ", "\0").encode() + b"\0")
    (tmp_path / "self").mkdir()
    found = script["addresses_of"](script["commands"](tmp_path))
    assert [int(re.search(r":(\d+)/", address)[1]) for address in found] == ([] if port is None else [port])
