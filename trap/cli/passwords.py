"""The database that the environment names, and passwords, which are kept out of logs, tables and Prefect."""

from __future__ import annotations

import os
from getpass import getuser
from urllib.parse import quote

from trap.errors import ConfigError

__all__ = ["database_of_environment", "hide_password", "without_password"]


def without_password(url: str) -> tuple[str, str | None]:
    """Remove the password from a database URL, as :func:`trap.db.urls.split_password` does."""
    from trap.db.urls import split_password  # SQLAlchemy, which the help of commands does not need

    return split_password(url)


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
