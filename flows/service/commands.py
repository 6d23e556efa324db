"""The commands `deploy`, `worker`, `watch` and `ui`, which the command line loads by their entry points.

The watcher is optional: the scheduled runs of the sensor find the same images, only later. Its first event contains all
images in the folder; the sensor selects the new ones.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import webbrowser
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.pages.events import emit_observation_arrived
from flows.service.deployments import DeploymentOptions, deploy, installation_of, serve_here
from flows.service.installations import default_name, read_installations, require_free
from flows.service.server import ensure_server, stop_command
from trap.cli.terminal import command
from trap.db.engine import absolute_url
from trap.errors import ConfigError
from trap.escapes import plain_text
from trap.images.incoming import IncomingFolder
from trap.images.patterns import path_text

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator
    from threading import Event

    from flows.service.installations import Installation
    from flows.service.server import Server
    from trap.config import PipelineConfig

__all__ = ["deploy_all", "show_ui", "start_worker", "watch", "watch_folder"]

log = structlog.get_logger(__name__)

DATABASE_VARIABLE = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
"""Environment variable of the database of a Prefect server."""
MAX_SCAN_SHARE = 0.1
"""Maximum fraction of the time spent on scans. A scan of a folder with 100,000 images takes a second."""


def deploy_all(config: PipelineConfig, arguments: Namespace) -> int:
    """Create the work pool, the deployments and the automations on the server, and print the next steps.

    Parameters
    ----------
    config
        Settings of the runs.
    arguments
        Arguments of ``transients deploy``.

    Returns
    -------
    Exit code.
    """
    options = replace(
        _options(config, arguments),
        pool=arguments.pool,
        pool_type=arguments.type,
        image=arguments.image,
    )
    with _server() as server:
        names = deploy(options)
    print(plain_text(f"deployed: {', '.join(names)}"))
    print(f"form: {server.ui_url}/deployments")
    print(plain_text(f"start a worker: {command('worker', '--name', options.name)}"))
    print(plain_text(f"process new images at once: {command('watch', options.incoming)}"))
    if server.pid is not None and DATABASE_VARIABLE not in os.environ:
        print("this server keeps its data in SQLite; unattended, PostgreSQL is better: see docs/how-to/deployments.md")
    return 0


def start_worker(_config: PipelineConfig, arguments: Namespace) -> int:
    """Replace this process by a worker for the runs of an installation.

    Parameters
    ----------
    _config
        Settings of the runs; not used, since the deployments have them.
    arguments
        Arguments of ``transients worker``.

    Returns
    -------
    Never; the worker ends with an exit code of its own.

    Raises
    ------
    ConfigError
        If the server has no such installation, or its deployments are served by ``transients ui``.
    """
    with _server() as server:
        pool = arguments.pool or _pool_of(arguments.name or default_name(Path.cwd()), server)
        print(f"worker of the pool {pool} on {server.api_url}", flush=True)
        # The worker takes the place of this process, so that signals of a service manager reach it.
        os.execv(sys.executable, [sys.executable, "-m", "prefect", "--no-prompt", "worker", "start", "--pool", pool])  # noqa: S606


def _pool_of(name: str, server: Server) -> str:
    """Return the work pool of an installation."""
    with get_client(sync_client=True) as client:
        existing = read_installations(client)
    if name not in existing:
        others = ", ".join(sorted(existing)) or "none"
        msg = (
            f"the server {server.api_url} has no installation {name!r} (installations: {others}); create it with"
            f" {command('deploy', '--name', name)}, or choose another one with --name"
        )
        raise ConfigError(msg)
    pool = existing[name].pool
    if pool is None:
        msg = (
            f"the runs of {name!r} are executed by {command('ui')}, which needs no worker; to use workers instead:"
            f" {command('deploy', '--name', name)}"
        )
        raise ConfigError(msg)
    return pool


def watch_folder(_config: PipelineConfig, arguments: Namespace) -> int:
    """Report new images to the server, until interrupted or terminated.

    Parameters
    ----------
    _config
        Settings of the runs; not used.
    arguments
        Arguments of ``transients watch``.

    Returns
    -------
    Exit code.
    """
    folder = IncomingFolder(arguments.folder, tuple(arguments.pattern), arguments.settle)
    with _server(), _until_terminated() as stop:
        watch(folder, stop)
    return 0


def show_ui(config: PipelineConfig, arguments: Namespace) -> int:
    """Serve the deployments from this process, watch the folder of incoming images, and open the pages of the server.

    Parameters
    ----------
    config
        Settings of the runs.
    arguments
        Arguments of ``transients ui``.

    Returns
    -------
    Exit code.
    """
    options = _options(config, arguments)
    with _server() as server:
        deployed = _deployed(options)
        for line in _introduction(server, options, deployed):
            print(plain_text(line), flush=True)
        if not arguments.no_browser:
            webbrowser.open(f"{server.ui_url}/deployments")
        if deployed is not None:
            return 0
        options.incoming.mkdir(parents=True, exist_ok=True)
        stop = threading.Event()
        watcher = threading.Thread(target=watch, args=(IncomingFolder(options.incoming), stop), daemon=True)
        watcher.start()
        try:
            serve_here(options)
        finally:
            stop.set()
            watcher.join()
    return 0


def _deployed(options: DeploymentOptions) -> Installation | None:
    """Return the installation that is deployed for a worker already, and must stay as it is; None otherwise.

    Raises
    ------
    ConfigError
        If the name belongs to another installation.
    """
    with get_client(sync_client=True) as client:
        existing = read_installations(client)
    require_free(installation_of(options), existing, is_replaced=options.is_replaced)
    installation = existing.get(options.name)
    return None if installation is None or installation.pool is None or options.is_replaced else installation


def _introduction(server: Server, options: DeploymentOptions, deployed: Installation | None) -> Iterator[str]:
    """Yield the lines that introduce the pages of the server."""
    form = f"process-dataset/{options.name}-manual"
    yield f"{server.ui_url}/deployments: {form}, 'Run' > 'Custom run' shows the form of all settings"
    yield f"{server.ui_url}/runs: every run, with its groups of timesteps, logs and artifacts"
    yield f"{server.ui_url}/automations: automatic runs; images in {options.incoming} are processed as they arrive"
    if deployed is not None:
        worker = command("worker", "--name", deployed.name)
        yield f"only the pages are opened, since {deployed.name!r} is deployed for workers; start one: {worker}"
    if server.pid is not None:
        yield f"the server keeps running after this command ends; stop it with: {stop_command()}"


def _options(config: PipelineConfig, arguments: Namespace) -> DeploymentOptions:
    return DeploymentOptions(
        name=arguments.name or default_name(Path.cwd()),
        is_replaced=arguments.replace,
        config=config.with_options(execution={"database": absolute_url(config.execution.database)}),
        incoming=arguments.incoming.absolute(),
        every_seconds=arguments.every,
    )


@contextmanager
def _server() -> Iterator[Server]:
    """Find or start the server, and make this process and its children report to it."""
    server = ensure_server()
    os.environ["PREFECT_API_URL"] = server.api_url
    with temporary_settings({PREFECT_API_URL: server.api_url}):
        yield server


@contextmanager
def _until_terminated() -> Iterator[threading.Event]:
    """Set an event when the process is interrupted or terminated."""
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous_handlers = {number: signal.signal(number, lambda *_: stop.set()) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in previous_handlers.items():
            signal.signal(number, handler)


def watch(folder: IncomingFolder, stop: Event, *, poll_seconds: float = 2.0) -> None:
    """Scan a folder repeatedly, and emit one event for the new images of each scan.

    Parameters
    ----------
    folder
        Folder of incoming images.
    stop
        Event that ends the function when it is set.
    poll_seconds
        s — minimum pause between two scans.
    """
    log.info("watching", folder=path_text(folder.folder), patterns=list(folder.patterns))
    pause = 0.0
    while not stop.wait(pause):
        begin = time.monotonic()
        arrivals = folder.scan(begin)
        if arrivals:
            log.info("images_arrived", n_images=len(arrivals), first=path_text(arrivals[0].path))
            emit_observation_arrived(folder.folder, arrivals)
        pause = max(poll_seconds, (time.monotonic() - begin) / MAX_SCAN_SHARE)
