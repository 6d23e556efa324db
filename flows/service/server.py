"""The Prefect server of the runs: the configured one, or a local one in the background.

Without a server, Prefect starts a temporary one for each run, which takes some 20 s. A background server is started
once and is used by all later runs. It listens on this machine only, keeps its data in SQLite under Prefect's home, and
is stopped by ``prefect server stop``.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import psutil
import structlog
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, get_current_settings

from trap.cli.folders import private_folder
from trap.errors import TrapError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Server", "ServerError", "ensure_server", "stop_command", "stop_server"]

log = structlog.get_logger(__name__)

HOST = "127.0.0.1"
LOCAL_HOSTS = (HOST, "localhost", "::1")
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
"""Variables of the environment that name proxies, also in capitals."""
PORT = 4200
LOCK_FILE = "trap-server.lock"
"""Held by a process that searches, starts or stops the server of a Prefect home."""
PID_FILE = "server.pid"
"""Process number of the server; ``prefect server stop`` reads the same file."""
RECORD_FILE = "trap-server.json"
"""Address and process number of the server."""
LOG_FILE = "trap-server.log"
"""Output of the server."""
START_SECONDS = 300.0
"""Time limit of a start. The first one creates Prefect's database: half a minute on a busy machine with two cores."""
STOP_SECONDS = 30.0
"""Time limit of a stop, and of the first answer of a server whose process exists."""
HEALTH_SECONDS = 5.0
"""Time limit of a health check."""
MAX_OUTPUT = 1000
"""Maximum number of characters of the server's output in an error message."""

SERVER_SETTINGS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    # With one write per event, 25 tasks per second occupy a core. Writing in batches takes a third of that.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TRIGGERS_READ_BATCH_SIZE": "100",
    # Events make up three quarters of the growth of the database. The events of tasks repeat the states of tasks.
    "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "P1D",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_EVENT_RETENTION_OVERRIDES": json.dumps(
        {f"prefect.task-run.{state}": 120 for state in ("Pending", "Running", "Completed", "Failed", "AwaitingRetry")}
    ),
    "PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS": "60",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_BATCH_SIZE": "1000",
    # Writers of SQLite wait for each other. On a busy machine, the default of ten seconds causes errors in the runs.
    "PREFECT_SERVER_DATABASE_TIMEOUT": "60",
    "PREFECT_SERVER_DATABASE_CONNECTION_TIMEOUT": "60",
    # By default, each of these services opens a transaction every 5 to 20 s, and two that write at a time lock each
    # other out. No flow of this project pauses.
    "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "30",
    "PREFECT_SERVER_SERVICES_FOREMAN_LOOP_SECONDS": "30",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_LOOP_SECONDS": "60",
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED": "false",
}
"""Settings of a server started here. Variables of the environment take precedence."""


class ServerError(TrapError, ConnectionError):
    """No Prefect server is available."""


@dataclass(frozen=True, slots=True)
class Server:
    """A Prefect server that responds.

    Parameters
    ----------
    api_url
        Address of the API, as in ``PREFECT_API_URL``.
    pid
        Process number of a local background server; None for a configured server.
    """

    api_url: str
    pid: int | None = None

    @property
    def ui_url(self) -> str:
        """Address of the pages for a browser."""
        return self.api_url.removesuffix("/api")


def ensure_server() -> Server:
    """Find the Prefect server of the runs, or start one in the background.

    Returns
    -------
    The server of ``PREFECT_API_URL`` or of the Prefect profile; if neither is set, a local one.

    Raises
    ------
    ServerError
        If the configured server does not respond, or no local one can be started.
    """
    configured_url = PREFECT_API_URL.value()
    if configured_url:
        if urlsplit(configured_url).hostname in LOCAL_HOSTS:
            _bypass_proxy()
        _check_configured(configured_url)
        return Server(configured_url)
    _bypass_proxy()
    home = _prefect_home()
    with _file_lock(home / LOCK_FILE):
        server = _find_local_server(home)
        if server is None:
            log.info("prefect_server_starting", home=str(home), wait="about half a minute")
            # Servers of two homes that start at the same time would find the same port free, and one of them would
            # answer the health checks of both.
            with _file_lock(private_folder() / LOCK_FILE):
                server = _start_server(home)
    return server


def stop_server() -> bool:
    """Stop the local background server, and wait for its end.

    Returns
    -------
    Whether a server was running.
    """
    home = _prefect_home()
    with _file_lock(home / LOCK_FILE):
        pid = _read_pid(home)
        if pid is None or not _is_prefect_server(pid):
            _remove_records(home)
            return False
        os.kill(pid, signal.SIGTERM)
        if not _wait_until(lambda: not _is_prefect_server(pid), STOP_SECONDS):
            os.kill(pid, signal.SIGKILL)
        _remove_records(home)
        return True


def stop_command() -> str:
    """Return the shell command that stops the local background server."""
    prefect = Path(sys.executable).parent / "prefect"
    home = os.environ.get("PREFECT_HOME")
    variable = f"PREFECT_HOME={shlex.quote(home)} " if home else ""
    return f"{variable}{shlex.quote(str(prefect))} server stop"


def _check_configured(url: str) -> None:
    """Raise an error with the possible remedies if the configured server does not respond."""
    problem: Exception | None
    try:
        with get_client(sync_client=True) as client:
            problem = client.api_healthcheck()
    except (ImportError, ValueError, httpx.InvalidURL) as error:  # a proxy that the client does not understand
        problem = error
    if problem is not None:
        msg = (
            f"the Prefect server at {url} does not answer ({problem}); start it, correct PREFECT_API_URL (or the "
            "Prefect profile that sets it); 'transients run --no-prefect' needs no server"
        )
        raise ServerError(msg) from problem


def _bypass_proxy() -> None:
    """Exclude this machine from the proxies of the environment, for Prefect's client and the processes that it starts.

    Libraries read both spellings, and the lower one first: they are set to the same hosts. A proxy whose address the
    client does not understand, such as ``socks4://``, is an error whatever the exceptions are; it is removed, since the
    client calls nothing but the local server.
    """
    hosts: dict[str, None] = {}
    for name in ("no_proxy", "NO_PROXY"):
        hosts |= dict.fromkeys(host.strip() for host in os.environ.get(name, "").split(","))
    hosts = {host: None for host in [*hosts, *LOCAL_HOSTS] if _is_accepted(host)}
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = "*" if "*" in hosts else ",".join(hosts)  # only alone does it stand for all hosts
    for name in PROXIES:
        for spelling in (name, name.upper()):
            if problem := _problem_of(os.environ.get(spelling, "")):
                log.warning("proxy_ignored", variable=spelling, reason=problem)
                del os.environ[spelling]


def _is_accepted(host: str) -> bool:
    """Return whether Prefect's client accepts a host without a proxy; it fails for some texts that are none."""
    pattern = host if "://" in host else f"all://[{host}]" if host.count(":") > 1 else f"all://*{host}"
    try:
        return bool(host and httpx.URL(pattern))
    except httpx.InvalidURL:
        return False


def _problem_of(proxy: str) -> str:
    """Return the reason if Prefect's client does not accept the address of a proxy, without the address."""
    scheme, separator, _ = proxy.partition("://")
    try:
        httpx.HTTPTransport(proxy=httpx.Proxy(proxy if separator else f"http://{proxy}"))
    except ImportError:
        return "a SOCKS proxy needs the package socksio"
    except (ValueError, httpx.InvalidURL):
        return f"Prefect's client does not know {scheme}:// or cannot read the address" if separator else "no address"
    return ""


def _prefect_home() -> Path:
    home = get_current_settings().home
    home.mkdir(parents=True, exist_ok=True)
    return home


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock, after waiting for other processes that hold it."""
    # A link is not followed: in a folder that others can write, it would name a file of the user for them to empty.
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        msg = f"the lock {path} cannot be opened: {error.strerror}"
        raise ServerError(msg) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _find_local_server(home: Path) -> Server | None:
    """Find the background server of a home, and remove the records of one that has ended."""
    pid = _read_pid(home)
    if pid is None or not _is_prefect_server(pid):
        _remove_records(home)
        return None
    record = _read_record(home)
    # A server that was started by hand has no record. The default address is assumed.
    url = record.api_url if record is not None and record.pid == pid else _api_url(PORT)
    if _wait_until(lambda: _is_healthy(url), STOP_SECONDS):
        return Server(url, pid)
    msg = (
        f"a Prefect server runs in the background (process {pid}), but does not answer at {url}; "
        f"set PREFECT_API_URL to its address, or stop it: {stop_command()}"
    )
    raise ServerError(msg)


def _start_server(home: Path) -> Server:
    """Start a background server, wait until it responds, and record its address for later runs."""
    port = _free_port()
    url, log_file = _api_url(port), home / LOG_FILE
    pid = _launch(port, log_file)
    (home / PID_FILE).write_text(str(pid))
    _wait_until(lambda: _is_healthy(url) or not _is_prefect_server(pid), START_SECONDS)
    if not _is_healthy(url):
        _remove_records(home)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        output = " ".join(log_file.read_text(errors="replace").split())[-MAX_OUTPUT:]
        msg = f"no Prefect server could be started at {url}; its output: {output or 'none'}"
        raise ServerError(msg)
    server = Server(url, pid)
    (home / RECORD_FILE).write_text(json.dumps(asdict(server)))
    return server


def _launch(port: int, log_file: Path) -> int:
    """Launch the process of a server, detached from this one, and return its number."""
    # Prefect's own option --background writes the log into a pipe that is never read; the server ends when it is full.
    command = [sys.executable, "-m", "prefect", "--no-prompt", "server", "start"]
    # The pages of the UI get the address of the API from these variables, not from options of the command.
    environment = {
        **SERVER_SETTINGS,
        # The server has no login: a browser must not let pages of other sites start runs. Prefect's default is *.
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"http://{HOST}:{port},http://localhost:{port}",
        **os.environ,
        "PREFECT_SERVER_API_HOST": HOST,
        "PREFECT_SERVER_API_PORT": str(port),
    }
    # A session of its own protects the server from an interrupt at the terminal, which is meant for the run. The shell
    # ends at once, so that the server is not a child of the run.
    shell = subprocess.run(  # noqa: S603 (our own command)
        ["/bin/sh", "-c", '"$@" >"$0" 2>&1 & echo $!', str(log_file), *command],
        env=environment,
        cwd=log_file.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
        check=True,
    )
    return int(shell.stdout)


def _api_url(port: int) -> str:
    return f"http://{HOST}:{port}/api"


def _free_port() -> int:
    """Return Prefect's default port if it is free, or else any free port."""
    for port in (PORT, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            return int(probe.getsockname()[1])
    msg = f"no free port on {HOST}"
    raise ServerError(msg)


def _is_healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=HEALTH_SECONDS, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until a condition holds; return whether it did within the time limit."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _read_pid(home: Path) -> int | None:
    with suppress(OSError, ValueError):
        return int((home / PID_FILE).read_text())
    return None


def _read_record(home: Path) -> Server | None:
    with suppress(OSError, ValueError, TypeError):
        return Server(**json.loads((home / RECORD_FILE).read_text()))
    return None


def _remove_records(home: Path) -> None:
    for name in (PID_FILE, RECORD_FILE):
        (home / name).unlink(missing_ok=True)


def _is_prefect_server(pid: int) -> bool:
    """Return whether a process is a Prefect server of this user; its number may belong to another program now."""
    try:
        process = psutil.Process(pid)
        is_ours, command = process.uids().real == os.getuid(), " ".join(process.cmdline())
    except psutil.Error:  # the process has ended, or must not be read
        return False
    return is_ours and ("prefect.server" in command or "prefect --no-prompt server start" in command)
