"""The command ``transients serve``: web pages of the results in a database."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from trap.cli.database import database_url
from trap.errors import ConfigError
from trap.escapes import plain_text
from trap.results.access import open_reader
from trap.web.serving import bind, is_loopback, make_token, serve
from trap.web.site import Site

if TYPE_CHECKING:
    from argparse import Namespace

__all__ = ["serve_pages"]

TOKEN = "TRANSIENTS_TOKEN"  # noqa: S105 (the name of a variable)
"""Environment variable of the token, which a command line would show to other users of the machine."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
MIN_TOKEN = 8


def serve_pages(arguments: Namespace) -> int:
    """Serve web pages of a database until interrupted.

    Raises
    ------
    ConfigError
        If the address is not free, or the token too short.
    DatabaseError
        If the database does not exist, or cannot be read.
    """
    url = database_url(arguments.database)
    loopback = is_loopback(arguments.host)
    token = _token(needed=not loopback)
    site = Site(
        url=url,
        reader=open_reader(url),
        edits=arguments.allow_edit,
        token=token,
        prefect_ui=os.environ.get("PREFECT_UI_URL", "").rstrip("/"),
        hosts=(*LOOPBACK, arguments.host) if loopback else (),
    )
    bound = bind(arguments.host, arguments.port)
    host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    address = f"http://{host}:{bound.getsockname()[1]}/"
    shown = address if token is None else f"{address}?token={token}"

    def announce() -> None:
        rights = "ratings and notes are allowed" if site.edits else "read-only"
        print(plain_text(f"pages of {site.database}, {rights}: {shown}"), flush=True)
        print("stop them with Ctrl-C", flush=True)

    serve(site, bound, opened=shown if arguments.open else None, ready=announce)
    return 0


def _token(*, needed: bool) -> str | None:
    """Return the token of the environment, or a new one where other machines reach the pages."""
    given = os.environ.get(TOKEN)
    if given is None:
        return make_token() if needed else None
    if len(given) < MIN_TOKEN or not given.isascii() or not given.isprintable() or " " in given:
        msg = f"{TOKEN} must have at least {MIN_TOKEN} letters, digits or marks, and no blanks"
        raise ConfigError(msg)
    return given
