"""The services of compose.yaml as processes of this machine, with their own commands, variables and health checks.

Hosts, ports and folders of the containers are replaced by those of the test, and the databases by databases of the
tests' server. If that server lacks an extension that Prefect needs, the database of Prefect is a file.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest
from sqlalchemy import create_engine, make_url, text

from trap.simulation.survey import SurveyConfig, simulate_survey

pytestmark = pytest.mark.timeout(1200)

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PATIENCE_SECONDS = 420.0
STOP_SECONDS = 120.0
DATABASES = {"database", "prefect-database"}
SECRETS = {
    "TRAP_DATABASE_PASSWORD": "of-the-results",
    "PREFECT_DATABASE_PASSWORD": "of-prefect",
    "TRANSIENTS_TOKEN": "the-token-of-the-pages",
}


def wait_for(what, explain=lambda: ""):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := what()):
        assert time.monotonic() < deadline, f"waited {PATIENCE_SECONDS} s in vain; {explain()}"
        time.sleep(0.5)
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Services:
    """The services of a file of Compose, started in the order of their dependencies."""

    described: dict
    image: dict
    """Variables of the image."""
    folder: Path
    places: dict
    """Addresses and folders of the containers, and those of the test."""
    started: dict = field(default_factory=dict)

    def here(self, word):
        """Replace secrets and places in a word of a command, or in the value of a variable."""
        word = re.sub(r"\$\{(\w+):\?[^}]*\}", lambda match: SECRETS[match[1]], word)
        assert "${" not in word
        for there, here in self.places.items():
            word = word.replace(there, here)
        return word

    def environment(self, name):
        variables = self.image | self.described[name].get("environment", {})
        return {variable: self.here(value) for variable, value in variables.items()} | {
            "PATH": f"{BIN}:/usr/bin:/bin",
            "PREFECT_SERVER_API_PORT": self.places[":4200"][1:],
            "PREFECT_WORKER_WEBSERVER_PORT": self.places[":8080"][1:],
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "OMP_NUM_THREADS": "1",
        }

    def start(self, name):
        """Start a service after the services that it depends on."""
        if name in self.started:
            return
        for needed, condition in self.described[name].get("depends_on", {}).items():
            if needed in DATABASES:
                continue  # the tests' server has them
            self.start(needed)
            if condition["condition"] == "service_healthy":
                self.wait_until_healthy(needed)
            else:
                assert self.started[needed].wait(PATIENCE_SECONDS) == 0, self.log(needed)
        with (self.folder / f"{name}.log").open("wb") as output:
            self.started[name] = subprocess.Popen(
                [self.here(word) for word in self.described[name]["command"]],
                cwd=self.folder / "results", env=self.environment(name), stdout=output, stderr=output,
                stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip

    def size_of_log(self, name):
        return (self.folder / f"{name}.log").stat().st_size

    def log(self, name, start=0):
        """Return the end of the log of a service, at most all that follows a byte."""
        return f"{name}: {(self.folder / f'{name}.log').read_bytes()[start:].decode()[-6000:]}"

    def health(self, name):
        """Run the health check of a service."""
        _, program, *words = self.described[name]["healthcheck"]["test"]
        assert program == "health"
        return subprocess.run(
            [sys.executable, ROOT / "deployments/health.py", *map(self.here, words)],
            env=self.environment(name), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def wait_until_healthy(self, name):
        def is_healthy():
            assert self.started[name].poll() is None, self.log(name)
            return self.health(name).returncode == 0

        wait_for(is_healthy, lambda: self.log(name))

    def end(self):
        """End what a failed test has left, with the runs of the worker, which have sessions of their own."""
        for one in (one for one in self.started.values() if one.poll() is None):
            for process in [*psutil.Process(one.pid).children(recursive=True), psutil.Process(one.pid)]:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            one.wait()


def database_of_prefect(url, folder):
    """Return the address of Prefect's database: in PostgreSQL if it has the extension for searches in texts."""
    url = make_url(url).set(drivername="postgresql+psycopg2")
    engine = create_engine(url)
    with engine.connect() as connection:
        is_possible = connection.execute(text("SELECT 1 FROM pg_available_extensions WHERE name = 'pg_trgm'")).first()
    engine.dispose()
    if is_possible is None:
        return f"sqlite+aiosqlite:///{folder}/prefect.db"
    return url.set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)


@pytest.fixture(scope="module")
def running(services, last_stage, postgres, tmp_path_factory):
    """All services that last, started and healthy."""
    folder = tmp_path_factory.mktemp("services")
    for name in ("data/incoming", "results", "home", "tmp"):
        (folder / name).mkdir(parents=True)
    (folder / "trap.toml").write_text('[persistence]\ndescription = "field 7"\n')
    image = {}
    for words in (words for name, words in last_stage if name == "ENV"):
        image |= dict(word.split("=", 1) for word in words.split())
    with postgres.database(migrated=False) as results, postgres.database(migrated=False) as prefects:
        places = {
            "postgresql+asyncpg://prefect@prefect-database/prefect": database_of_prefect(prefects, folder),
            "postgresql://trap@database/trap": results,
            "//server:": "//127.0.0.1:",
            ":4200": f":{free_port()}",
            ":8080": f":{free_port()}",
            "8765": str(free_port()),
            "0.0.0.0": "127.0.0.1",  # noqa: S104 (replaced)
            "/etc/trap.toml": str(folder / "trap.toml"),
            "/data": str(folder / "data"),
            "/home/trap": str(folder / "home"),
            "/tmp/prefect-ui": str(folder / "tmp/prefect-ui"),  # noqa: S108 (replaced)
        }
        made = Services(services, image, folder, places)
        try:
            for name in ("worker", "watcher", "pages"):
                made.start(name)
            yield made
        finally:
            made.end()


@pytest.fixture(scope="module")
def pages(running):
    """A visitor of the pages, with the token."""
    running.wait_until_healthy("pages")
    with httpx.Client(
        base_url=running.here("http://127.0.0.1:8765"),
        headers={"Authorization": f"Bearer {SECRETS['TRANSIENTS_TOKEN']}"},
        trust_env=False,
        timeout=60,
    ) as client:
        yield client


def test_every_service_is_healthy(running):
    lasting = {name for name, one in running.described.items() if one["restart"] == "unless-stopped"} - DATABASES
    assert lasting == {"server", "worker", "watcher", "pages"}
    for name in lasting:
        running.wait_until_healthy(name)
        assert running.health(name).stdout == "healthy\n"


def test_an_image_that_arrives_is_processed_and_shown_by_the_pages(running, pages, tmp_path):
    settings = SurveyConfig(n_timesteps=1, n_bands=1, size=128, n_steady=6, n_variables=0, n_transients=0)
    (image,) = simulate_survey(tmp_path, settings).directory.glob("*.fits")
    incoming = running.folder / "data/incoming"
    shutil.copy(image, incoming / f"{image.name}.part")
    (incoming / f"{image.name}.part").rename(incoming / image.name)

    def shown():
        datasets = pages.get("/api/datasets").raise_for_status().json()["datasets"]
        return [one for one in datasets if one["state"] == "done"]

    (dataset,) = wait_for(shown, lambda: running.log("worker") + running.log("watcher"))
    assert dataset["description"] == "field 7"
    rows = pages.get(f"/api/datasets/{dataset['id']}/images").raise_for_status().json()["rows"]
    assert [Path(row["url"]).name for row in rows] == [image.name]
    assert pages.get(f"/datasets/{dataset['id']}").status_code == 200


def test_the_pages_are_for_visitors_with_the_token(running, pages):
    stranger = httpx.get(pages.base_url, trust_env=False)
    assert (stranger.status_code, SECRETS["TRANSIENTS_TOKEN"] in stranger.text) == (401, False)


def test_prefects_pages_know_the_address_of_the_server_for_a_browser(running):
    settings = httpx.get(running.here("http://127.0.0.1:4200/ui-settings"), trust_env=False).json()
    assert settings["api_url"] == running.here("http://127.0.0.1:4200/api")
    page = httpx.get(running.here("http://127.0.0.1:4200/"), trust_env=False, follow_redirects=True)
    assert "<html" in page.text


def test_every_service_ends_when_it_is_terminated(running, pages):
    for name in ("pages", "watcher", "worker", "server"):
        program = running.started[name]
        assert program.poll() is None
        before = running.size_of_log(name)
        program.terminate()
        program.wait(STOP_SECONDS)
        # A database in a file may be busy, and refuse Prefect's server a row until the end.
        assert name == "server" or "Traceback" not in running.log(name, before)
