"""The commands `deploy`, `watch` and `ui`, which the command line loads by their entry points.

The watcher is optional: the scheduled runs of the sensor find the same images, only later. Its first event contains all
images in the folder; the sensor selects the new ones.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import webbrowser
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.pages.events import emit_observation_arrived
from flows.service.deployments import DeploymentOptions, deploy, serve_here
from flows.service.server import ensure_server, stop_command
from trap.db.engine import absolute_url
from trap.images.incoming import IncomingFolder

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator
    from threading import Event

    from flows.service.server import Server
    from trap.config import PipelineConfig

__all__ = ["deploy_all", "show_ui", "watch", "watch_folder"]

log = structlog.get_logger(__name__)

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
        pool=arguments.pool or arguments.type,
        pool_type=arguments.type,
        image=arguments.image,
    )
    with _server() as server:
        names = deploy(options)
    print(f"deployed: {', '.join(names)}")
    print(f"form: {server.ui_url}/deployments")
    print(f"start a worker: prefect worker start --pool {options.pool} --type {options.pool_type}")
    print(f"process new images at once: transients watch {options.incoming}")
    return 0


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
    options.incoming.mkdir(parents=True, exist_ok=True)
    with _server() as server:
        for line in _introduction(server, options.incoming):
            print(line, flush=True)
        if not arguments.no_browser:
            webbrowser.open(f"{server.ui_url}/deployments")
        stop = threading.Event()
        watcher = threading.Thread(target=watch, args=(IncomingFolder(options.incoming), stop), daemon=True)
        watcher.start()
        try:
            serve_here(options)
        finally:
            stop.set()
            watcher.join()
    return 0


def _introduction(server: Server, incoming: Path) -> Iterator[str]:
    """Yield the lines that introduce the pages of the server."""
    yield f"{server.ui_url}/deployments: process-dataset/manual, 'Run' > 'Custom run' shows the form of all settings"
    yield f"{server.ui_url}/runs: every run, with its groups of timesteps, logs and artifacts"
    yield f"{server.ui_url}/automations: automatic runs; images in {incoming} are processed as they arrive"
    if server.pid is not None:
        yield f"the server keeps running after this command ends; stop it with: {stop_command()}"


def _options(config: PipelineConfig, arguments: Namespace) -> DeploymentOptions:
    return DeploymentOptions(
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
    log.info("watching", folder=str(folder.folder), patterns=list(folder.patterns))
    pause = 0.0
    while not stop.wait(pause):
        begin = time.monotonic()
        arrivals = folder.scan(begin)
        if arrivals:
            log.info("images_arrived", n_images=len(arrivals), first=str(arrivals[0].path))
            emit_observation_arrived(folder.folder, arrivals)
        pause = max(poll_seconds, (time.monotonic() - begin) / MAX_SCAN_SHARE)
