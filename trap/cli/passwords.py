"""The database that the environment names, and passwords, which are kept out of logs, tables and Prefect."""

from __future__ import annotations

import os
import re
from getpass import getuser
from urllib.parse import quote, unquote, unquote_plus

from trap.errors import ConfigError

__all__ = ["database_of_environment", "hide_password", "without_password"]

# The password may hold anything, even an @ that should have been written %40; the host holds none.
_WITH_PASSWORD = re.compile(r"(?P<before>[a-z0-9+]+://[^:/@?]*):(?P<password>[^?]*)@(?P<after>[^@]*(\?.*)?)", re.DOTALL)

_KEY = re.compile(r"(?P<mark>[?&])password=(?P<password>[^&]*)(?P<more>&?)")


def without_password(url: str) -> tuple[str, str | None]:
    """Remove the password from a database URL, both before the host and in the query.

    Returns
    -------
    url
        The URL without the password.
    password
        The decoded password; None if the URL has none. If both places hold a password, the query's is returned,
        as SQLAlchemy does.
    """
    url, from_query = _without_key(url)
    match = _WITH_PASSWORD.fullmatch(url)
    if match is None:
        return url, from_query
    from_authority = unquote(match["password"])
    return f"{match['before']}@{match['after']}", from_authority if from_query is None else from_query


def _without_key(url: str) -> tuple[str, str | None]:
    """Remove ``password=…`` from the query; the other keys are unchanged."""
    password = None
    while url.startswith("postgres") and (match := _KEY.search(url)):
        password = unquote_plus(match["password"])
        url = url[: match.start()] + match["mark"] * bool(match["more"]) + url[match.end() :]
    return url, password


def hide_password(url: str) -> str:
    """Move the password of a URL to the environment variable that PostgreSQL's library reads.

    Logs, the database, Prefect and ``ps`` then never show it.

    Returns
    -------
    The URL without the password.
    """
    cleaned, password = without_password(url)
    if password is not None:
        os.environ["PGPASSWORD"] = password
    return cleaned


def database_of_environment() -> str | None:
    """Return the URL of the database that TraP's environment variables name.

    The variables are ``TKP_DBENGINE``, ``…NAME``, ``…USER``, ``…HOST`` and ``…PORT``. As in TraP, user and name
    default to the user of the system, and the host may be the folder of a socket. ``TKP_DBPASSWORD`` is copied to
    the variable that PostgreSQL's library reads.

    Returns
    -------
    The URL without a password; None if none of the variables is set.

    Raises
    ------
    ConfigError
        If the engine is neither postgresql nor sqlite.
    """
    variables = {name: os.environ.get(f"TKP_DB{name}", "") for name in ("ENGINE", "NAME", "USER", "HOST", "PORT")}
    if not any(variables.values()):
        return None
    engine = variables["ENGINE"] or "postgresql"
    if engine == "sqlite":
        return f"sqlite:///{variables['NAME'] or 'trap.db'}"
    if engine not in {"postgres", "postgresql"}:
        msg = f"TKP_DBENGINE is {engine!r}; it must be postgresql or sqlite"
        raise ConfigError(msg)
    if os.environ.get("TKP_DBPASSWORD"):
        os.environ["PGPASSWORD"] = os.environ["TKP_DBPASSWORD"]
    user = variables["USER"] or getuser()
    host, port, name = variables["HOST"] or "localhost", variables["PORT"] or "5432", variables["NAME"] or user
    start, path = f"postgresql://{quote(user, safe='')}@", f"/{quote(name, safe='')}"
    if host.startswith("/"):
        # The folder of a socket cannot stand in the host part of a URL.
        return f"{start}{path}?host={quote(host, safe='')}&port={port}"
    return f"{start}{host}:{port}{path}"
