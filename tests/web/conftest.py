"""A site to test: a simulated survey that was processed, its pages, and a browser that may open nothing else."""

from __future__ import annotations

import os
import shutil
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import uvicorn
from processed_survey import process_survey
from starlette.testclient import TestClient

from trap.db.reader import Reader
from trap.web.app import make_app
from trap.web.serving import bind
from trap.web.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE_MS = 20_000


@pytest.fixture(scope="session")
def database(tmp_path_factory) -> str:
    """Return the URL of a database with one dataset, of six images with pixels; it is not to be changed."""
    return process_survey(tmp_path_factory.mktemp("site"), n_timesteps=6)


@pytest.fixture(scope="session")
def site(database) -> Site:
    return Site(url=database, reader=Reader(database))


@pytest.fixture(scope="session")
def client(site) -> TestClient:
    """Return a visitor of the read-only site, who sees the answers of failures too."""
    return TestClient(make_app(site), raise_server_exceptions=False)


@pytest.fixture
def editable(database, tmp_path) -> Site:
    """Return a site with a copy of the database, where visitors may write."""
    copy = tmp_path / "trap.db"
    shutil.copy(database.removeprefix("sqlite:///"), copy)
    return Site(url=f"sqlite:///{copy}", reader=Reader(f"sqlite:///{copy}"), edits=True)


@contextmanager
def served(site: Site) -> Iterator[str]:
    """Serve a site on a free port of the loopback address; yield its address, without a slash at the end."""
    bound = bind("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(make_app(site), log_level="warning", timeout_graceful_shutdown=1))
    server.capture_signals = contextmanager(lambda: iter([None]))  # signals belong to the main thread
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        bound.close()


@pytest.fixture
def server(site) -> Iterator[str]:
    with served(site) as address:
        yield address


@pytest.fixture(scope="module")
def chromium():
    """Start a browser. Where none is installed, its tests are skipped; CI installs it, and fails without it.

    It ends with its module: Prefect, in later tests of the same process, would take its event loop for their own.
    """
    if CHROMIUM is None:
        if "CI" in os.environ:
            pytest.fail("Chromium is needed: apt-get install chromium")
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 (slow)

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def browser_page(chromium):
    """Return a page of a browser; a request beyond this machine, or an error of a script, fails the test."""
    problems: list[str] = []
    context = chromium.new_context(viewport={"width": 1280, "height": 860}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.on("pageerror", lambda error: problems.append(f"script: {error}"))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)

    def check(route):
        url = route.request.url
        if url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            route.continue_()
        else:
            problems.append(f"request: {url}")
            route.abort()

    context.route("**/*", check)
    yield page
    context.close()
    assert problems == []
