"""The server of the pages: its address, its start and its end."""

from __future__ import annotations

import ipaddress
import secrets
import signal
import socket
import webbrowser
from contextlib import suppress
from typing import TYPE_CHECKING

import uvicorn

from trap.errors import ConfigError
from trap.web.app import make_app

if TYPE_CHECKING:
    from collections.abc import Callable

    from trap.web.site import Site

__all__ = ["bind", "is_loopback", "make_token", "serve"]

PORT = 8765
"""Port of the pages; if it is busy, the next free one."""
TRIES = 20
PATIENCE_SECONDS = 3
"""Time that open requests have after Ctrl-C."""


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def make_token() -> str:
    """Return a new secret."""
    return secrets.token_urlsafe(18)


def bind(host: str, port: int | None) -> socket.socket:
    """Open the address of a server.

    Parameters
    ----------
    host
        Name or address of this machine.
    port
        Port; 0 chooses any free one, None the first free one from :data:`PORT` on.

    Raises
    ------
    ConfigError
        If the address is not free, or not of this machine.
    """
    ports = [port] if port is not None else range(PORT, PORT + TRIES)
    problem: Exception | None = None
    for each in ports:
        try:
            family, _, _, _, address = socket.getaddrinfo(host, each, type=socket.SOCK_STREAM)[0]
            bound = socket.create_server((str(address[0]), int(address[1])), family=family, reuse_port=False)
        except (OSError, OverflowError) as error:
            problem = error
        else:
            return bound
    where = f"{host}, port {port}" if port is not None else f"{host}, ports {PORT} to {PORT + TRIES - 1}"
    msg = f"no server can be started at {where}: {problem}; choose others with --host and --port"
    raise ConfigError(msg)


def serve(site: Site, bound: socket.socket, *, opened: str | None = None, ready: Callable[[], None]) -> None:
    """Serve a site until an interrupt from the keyboard or SIGTERM.

    Parameters
    ----------
    site
        The database, and the permissions of visitors.
    bound
        Open address, of :func:`bind`.
    opened
        Address that a browser opens; None opens none.
    ready
        Called when the application is made.
    """
    config = uvicorn.Config(
        make_app(site), log_level="warning", access_log=False, server_header=False, lifespan="on",
        timeout_graceful_shutdown=PATIENCE_SECONDS, proxy_headers=False,
    )  # fmt: skip
    server = uvicorn.Server(config)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # worker processes are ended too
    ready()
    if opened is not None:
        webbrowser.open(opened)
    with suppress(KeyboardInterrupt):  # uvicorn sends the signal again when it has ended
        server.run(sockets=[bound])
