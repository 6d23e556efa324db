"""The commands of the installed wheel that serve pages, wait for images or need a Prefect server."""

from __future__ import annotations

import html
import re
import shutil
import signal
import sqlite3
import time
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

pytestmark = pytest.mark.timeout(1200)  # starting a Prefect server and its runs takes long on a busy machine

N_TIMESTEPS = 3
PATIENCE_SECONDS = 300.0
MAX_PAGES = 60


@pytest.fixture(scope="module")
def server(installation):
    """A Prefect server of our own, which the demo starts as a user's first run does; and the output of the demo."""
    installation.variables["PREFECT_WORKER_QUERY_SECONDS"] = "1"
    small = ("--timesteps", str(N_TIMESTEPS), "--bands", "1", "--size", "128")
    try:
        yield installation.run("demo", "demo", *small, timeout=1000)
    finally:
        stopped = installation.call("prefect", "server", "stop")
    assert stopped.returncode == 0, stopped.stderr


def wait_for(what):
    """Wait until there is something, and return it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.25)
    return found


def n_stored(database):
    """Return the number of timesteps in a database."""
    if not database.exists():
        return 0
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        try:
            return connection.execute("SELECT count(*) FROM timestep WHERE state = 'done'").fetchone()[0]
        except sqlite3.OperationalError:
            return 0  # its tables are being made


def visit(address):
    """Visit the pages of a server and what they need, from one page on; return the status of each path."""
    statuses, left = {}, [address]
    with httpx.Client(trust_env=False, timeout=60) as client:
        while left and len(statuses) < MAX_PAGES:
            url = left.pop(0)
            path = urlsplit(url).path
            if path in statuses:
                continue
            answer = client.get(url)
            statuses[path] = answer.status_code
            if "html" in answer.headers.get("content-type", ""):
                links = re.findall(r'(?:href|src)="([^"#]+)', answer.text)
                near = (urljoin(url, html.unescape(link)) for link in links)
                left += [link for link in near if urlsplit(link).netloc == urlsplit(address).netloc]
    return statuses


def test_demo_with_prefect_finds_what_was_injected(server):
    assert "no problems" in server


def test_images_that_arrive_are_processed_by_a_worker(installation, server):
    incoming = installation.folder / "incoming"
    incoming.mkdir()
    database = installation.folder / "arrived.db"
    names = ("--name", "installed", "--incoming", "incoming", "--database", "arrived.db")
    assert "deployed: process-dataset/installed-manual" in installation.run("deploy", *names, "--every", "3600")
    with (
        installation.started("worker", "--name", "installed"),
        installation.started("watch", "incoming", "--settle", "0.5"),
    ):
        for image in sorted((installation.folder / "demo" / "images").glob("t*.fits")):
            shutil.copy(image, incoming)
        wait_for(lambda: n_stored(database) == N_TIMESTEPS)


def test_ui_serves_its_own_installation(installation, server):
    words = ("ui", "--no-browser", "--name", "shown", "--incoming", "shown", "--database", "shown.db")
    with installation.started(*words) as process:
        lines = [process.stdout.readline() for _ in range(3)]
        assert "process-dataset/shown-manual" in lines[0]
        pages = lines[0].partition(": ")[0]
        # Prefect's server answers a browser only: the page is one for all addresses, which a script then fills.
        assert httpx.get(pages, headers={"Accept": "text/html"}, trust_env=False, timeout=60).is_success
        made = f"{pages.removesuffix('/deployments')}/api/deployments/name/process-dataset/shown-manual"
        wait_for(lambda: httpx.get(made, trust_env=False, timeout=60).is_success)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=280) in {0, 130}


def test_images_of_a_folder_are_processed_live(installation, server):
    folder = installation.folder / "live"
    folder.mkdir()
    for image in sorted((installation.folder / "demo" / "images").glob("t*.fits")):
        shutil.copy(image, folder)
    words = ("--folder", "live", "--settle", "0.5", "--idle", "2", "--images-per-timestep", "1")
    installation.run("live", *words, "--database", "live.db", "--no-prefect")
    assert n_stored(installation.folder / "live.db") == N_TIMESTEPS


def test_pages_of_results_are_served_with_all_that_they_need(installation, server):
    with installation.started("serve", "demo/trap.db", "--port", "0") as process:
        address = process.stdout.readline().rsplit(": ", 1)[-1].strip()
        statuses = visit(address)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=280) == 0
    assert set(statuses.values()) == {httpx.codes.OK}, statuses
    kinds = {path.rpartition(".")[2] for path in statuses}
    assert {"css", "js"} <= kinds
    assert len(statuses) > 20
