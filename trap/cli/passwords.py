"""Which database the environment names, and what becomes of a password: nobody but its library sees it."""

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
    """Take the password out of a database URL, from before the host and from the query.

    Returns
    -------
    The URL without it, and the password, decoded; None where there is none. Of several the last
    counts, as that of the query does for SQLAlchemy.
    """
    url, from_query = _without_key(url)
    found = _WITH_PASSWORD.fullmatch(url)
    if found is None:
        return url, from_query
    from_authority = unquote(found["password"])
    return f"{found['before']}@{found['after']}", from_authority if from_query is None else from_query


def _without_key(url: str) -> tuple[str, str | None]:
    """Take ``password=…`` out of the query; the other keys stay as they are written."""
    password = None
    while url.startswith("postgres") and (found := _KEY.search(url)):
        password = unquote_plus(found["password"])
        url = url[: found.start()] + found["mark"] * bool(found["more"]) + url[found.end() :]
    return url, password


def hide_password(url: str) -> str:
    """Move a password from a URL to where PostgreSQL's library looks for it, and nobody else does.

    What is logged, stored, shown by Prefect or listed by ``ps`` then has no password in it.

    Returns
    -------
    The URL without it.
    """
    cleaned, password = without_password(url)
    if password is not None:
        os.environ["PGPASSWORD"] = password
    return cleaned


def database_of_environment() -> str | None:
    """Make the URL of the database that TraP's variables name.

    They are ``TKP_DBENGINE``, ``…NAME``, ``…USER``, ``…HOST`` and ``…PORT``; as in TraP, user and name default to
    the system's user, and the host may be the folder of a socket. ``TKP_DBPASSWORD`` goes where PostgreSQL's library
    looks for a password.

    Returns
    -------
    The URL, without a password; None where none of the variables is set.

    Raises
    ------
    ConfigError
        If the engine is neither postgresql nor sqlite.
    """
    given = {name: os.environ.get(f"TKP_DB{name}", "") for name in ("ENGINE", "NAME", "USER", "HOST", "PORT")}
    if not any(given.values()):
        return None
    engine = given["ENGINE"] or "postgresql"
    if engine == "sqlite":
        return f"sqlite:///{given['NAME'] or 'trap.db'}"
    if engine != "postgresql":
        msg = f"TKP_DBENGINE is {engine!r}; it must be postgresql or sqlite"
        raise ConfigError(msg)
    if os.environ.get("TKP_DBPASSWORD"):
        os.environ["PGPASSWORD"] = os.environ["TKP_DBPASSWORD"]
    user = given["USER"] or getuser()
    host, port, name = given["HOST"] or "localhost", given["PORT"] or "5432", given["NAME"] or user
    start, path = f"postgresql://{quote(user, safe='')}@", f"/{quote(name, safe='')}"
    if host.startswith("/"):
        # The folder of a socket, which has no place before the name.
        return f"{start}{path}?host={quote(host, safe='')}&port={port}"
    return f"{start}{host}:{port}{path}"
