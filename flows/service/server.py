"""The Prefect server that runs report to: the one that is configured, or a local one in the background.

Prefect's way for those who have none is a server for the length of one run, which costs every run
some 20 s. A background server costs that once; later runs find it. It listens on this machine only,
keeps its data in SQLite under Prefect's home, and is stopped by ``prefect server stop``.
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
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import structlog
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, get_current_settings

from trap.errors import TrapError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Server", "ServerError", "ensure_server", "stop_command", "stop_server"]

log = structlog.get_logger(__name__)

HOST = "127.0.0.1"
LOCK = "trap-server.lock"
PORT = 4200
START_SECONDS = 300.0
"""The first start makes Prefect's database; on a busy machine with two cores that takes half a minute."""
STOP_SECONDS = 30.0
MAX_SAID = 1000

SERVER_SETTINGS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    # One write per event keeps a core busy with 25 tasks a second; in batches the same takes a third of it.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TRIGGERS_READ_BATCH_SIZE": "100",
    # Events are three quarters of what the database grows by, and those of tasks say what their states say.
    "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "P1D",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_EVENT_RETENTION_OVERRIDES": json.dumps(
        {f"prefect.task-run.{state}": 120 for state in ("Pending", "Running", "Completed", "Failed", "AwaitingRetry")}
    ),
    "PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS": "60",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_BATCH_SIZE": "1000",
    # A writer waits for the one before it; on a busy machine the usual ten seconds end in errors for the runs.
    "PREFECT_SERVER_DATABASE_TIMEOUT": "60",
    "PREFECT_SERVER_DATABASE_CONNECTION_TIMEOUT": "60",
}
"""Of a server that we start; what is set in the environment goes before."""


class ServerError(TrapError, ConnectionError):
    """There is no Prefect server to report to."""


@dataclass(frozen=True, slots=True)
class Server:
    """A Prefect server that answers.

    Parameters
    ----------
    api_url
        As in ``PREFECT_API_URL``.
    pid
        Process of a local background server; None for one that somebody else runs.
    """

    api_url: str
    pid: int | None = None

    @property
    def ui_url(self) -> str:
        """Where a browser finds it."""
        return self.api_url.removesuffix("/api")


def ensure_server() -> Server:
    """Find the Prefect server to report to, or start one in the background.

    Returns
    -------
    The server of ``PREFECT_API_URL`` or of the Prefect profile; without these, a local one.

    Raises
    ------
    ServerError
        If the configured server does not answer, or none can be started.
    """
    configured = PREFECT_API_URL.value()
    if configured:
        _check_configured(configured)
        return Server(configured)
    _bypass_proxy()
    home = _home()
    with _only_one(home / LOCK):
        server = _running(home)
        if server is None:
            log.info("prefect_server_starting", home=str(home))
            # Two that start under different homes would find the same port free, and one server answer for both.
            with _only_one(Path(tempfile.gettempdir()) / f"trap-server-{os.getuid()}.lock"):
                server = _start(home)
    return server


def stop_server() -> bool:
    """Stop the local background server, and wait until it is gone.

    Returns
    -------
    Whether there was one.
    """
    home = _home()
    with _only_one(home / LOCK):
        pid = _read_pid(home)
        if pid is None or not _is_server(pid):
            _forget(home)
            return False
        os.kill(pid, signal.SIGTERM)
        if not _wait_until(lambda: not _is_server(pid), STOP_SECONDS):
            os.kill(pid, signal.SIGKILL)
        _forget(home)
        return True


def stop_command() -> str:
    """What to type to stop the local background server."""
    prefect = Path(sys.executable).parent / "prefect"
    home = os.environ.get("PREFECT_HOME")
    where = f"PREFECT_HOME={shlex.quote(home)} " if home else ""
    return f"{where}{shlex.quote(str(prefect))} server stop"


def _check_configured(url: str) -> None:
    with get_client(sync_client=True) as client:
        problem = client.api_healthcheck()
    if problem is not None:
        msg = (
            f"the Prefect server at {url} does not answer ({problem}); start it, correct PREFECT_API_URL (or the "
            "profile that holds it), or run without a server: --no-prefect"
        )
        raise ServerError(msg) from problem


def _bypass_proxy() -> None:
    """Keep Prefect's client from asking a proxy of the environment for what is on this machine."""
    hosts = os.environ.get("NO_PROXY", os.environ.get("no_proxy", "")).split(",")
    if HOST not in hosts:
        os.environ["NO_PROXY"] = ",".join(filter(None, [*hosts, HOST]))


def _home() -> Path:
    home = get_current_settings().home
    home.mkdir(parents=True, exist_ok=True)
    return home


@contextmanager
def _only_one(place: Path) -> Iterator[None]:
    """Let one process at a time look for a server, or start one."""
    with place.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _running(home: Path) -> Server | None:
    """Find the background server of this home; what a dead one left behind is removed."""
    pid = _read_pid(home)
    if pid is None or not _is_server(pid):
        _forget(home)
        return None
    known = _read_state(home)
    # One that was started by hand listens where Prefect's settings say, which we can only assume.
    url = known.api_url if known is not None and known.pid == pid else _api_url(PORT)
    if _wait_until(lambda: _answers(url), STOP_SECONDS):
        return Server(url, pid)
    msg = (
        f"a Prefect server runs in the background (process {pid}), but does not answer at {url}; "
        f"set PREFECT_API_URL to where it listens, or stop it: {stop_command()}"
    )
    raise ServerError(msg)


def _start(home: Path) -> Server:
    port = _free_port()
    url, server_log = _api_url(port), home / "trap-server.log"
    # Not Prefect's own --background: that writes its log into a pipe that nobody reads, and dies of it.
    command = [sys.executable, "-m", "prefect", "--no-prompt", "server", "start"]
    # The host and port go through the environment: the pages of the UI are told them from there.
    environment = {
        **SERVER_SETTINGS,
        **os.environ,
        "PREFECT_SERVER_API_HOST": HOST,
        "PREFECT_SERVER_API_PORT": str(port),
    }
    # Its own session: an interrupt at the terminal is for the run, not for the server. And nobody's child.
    started = subprocess.run(  # noqa: S603 (our own command)
        ["/bin/sh", "-c", '"$@" >"$0" 2>&1 & echo $!', str(server_log), *command],
        env=environment,
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
        check=True,
    )
    pid = int(started.stdout)
    (home / "server.pid").write_text(str(pid))  # where `prefect server stop` looks for it
    _wait_until(lambda: _answers(url) or not _is_server(pid), START_SECONDS)
    if not _answers(url):
        _forget(home)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        said = " ".join(server_log.read_text(errors="replace").split())[-MAX_SAID:]
        msg = f"no Prefect server could be started at {url}; it said: {said or 'nothing'}"
        raise ServerError(msg)
    server = Server(url, pid)
    (home / "trap-server.json").write_text(json.dumps(asdict(server)))
    return server


def _api_url(port: int) -> str:
    return f"http://{HOST}:{port}/api"


def _free_port() -> int:
    """Prefect's usual port, or any that is free."""
    for port in (PORT, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            return int(probe.getsockname()[1])
    msg = f"no free port on {HOST}"
    raise ServerError(msg)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5.0, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _wait_until(is_so: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _read_pid(home: Path) -> int | None:
    """Process of the background server, from Prefect's own file."""
    with suppress(OSError, ValueError):
        return int((home / "server.pid").read_text())
    return None


def _read_state(home: Path) -> Server | None:
    with suppress(OSError, ValueError, TypeError):
        return Server(**json.loads((home / "trap-server.json").read_text()))
    return None


def _forget(home: Path) -> None:
    for name in ("server.pid", "trap-server.json"):
        (home / name).unlink(missing_ok=True)


def _is_server(pid: int) -> bool:
    """Tell whether a process is a Prefect server; after a restart of the machine its number is another's."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    try:
        # Empty for a process that has ended and that nobody has asked about.
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
    except FileNotFoundError:
        return not Path("/proc/self").exists()
    return b"prefect.server" in words or b"prefect --no-prompt server start" in words
