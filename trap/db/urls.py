"""Database URLs: read so that no spelling hides a password from us, and written without one.

A URL that cannot be read for certain is refused, and no part of it is shown. Options outside of an allow-list are
refused, so that a secret in an unforeseen option, such as ``sslpassword``, is neither stored nor printed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, unquote_plus

from sqlalchemy import URL
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from trap.config.sections import full_url
from trap.errors import DatabaseError
from trap.images.patterns import path_of, path_text

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["parse_url", "show_url", "split_password"]

SHOWN_OPTIONS = frozenset(
    [
        "application_name",
        "channel_binding",
        "client_encoding",
        "connect_timeout",
        "dbname",
        "fallback_application_name",
        "gssencmode",
        "host",
        "hostaddr",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "krbsrvname",
        "load_balance_hosts",
        "options",
        "passfile",
        "port",
        "require_auth",
        "service",
        "ssl_max_protocol_version",
        "ssl_min_protocol_version",
        "sslcert",
        "sslcertmode",
        "sslcompression",
        "sslcrl",
        "sslcrldir",
        "sslkey",
        "sslmode",
        "sslnegotiation",
        "sslrootcert",
        "sslsni",
        "target_session_attrs",
        "tcp_user_timeout",
        "user",
    ]
)
"""Options of PostgreSQL's library that hold no secret."""
SQLITE_OPTIONS = frozenset({"cache", "immutable", "mode", "nolock", "timeout", "uri"})
NOT_A_URL = "invalid database URL; write file.db, sqlite:///file.db or postgresql://user@host/name"
NO_OPTION = (
    "the database URL has an option that is unknown or may hold a secret; put passwords in ~/.pgpass or PGPASSWORD, and"
    " other secrets in a service file (~/.pg_service.conf, with the option service=NAME)"
)
_PLACE = re.compile(
    r"(?P<host>[\w.,%-]*|\[[\w:.%]+\])(:(?P<port>\d*))?(/(?P<database>[^?@]*))?(\?(?P<query>.*))?", re.DOTALL
)
_USER = re.compile(r"(?P<name>[^:/?#]*)(:(?P<password>.*))?", re.DOTALL)
_OPTION = re.compile(r"options=[^?]*|[^=?]+=[^=?]*", re.DOTALL)
_CONNECTION_STRING = re.compile(r"(pass\w*|pwd|secret|dsn)\s*=", re.IGNORECASE)


_SERVER_SETTINGS = re.compile(
    r"(\s*(-c\s*|--)(search_path|\w+_timeout|work_mem|role|timezone|datestyle|application_name)=[^\s=]*)*\s*",
    re.IGNORECASE,
)
"""Settings of a server session that hold no secret."""
_LOGIN = re.compile(r"/[^/@:.]*:[^@]*@")
"""Begin of a relative path that is rather a user with a password."""


def split_password(url: str) -> tuple[str, str | None]:
    """Remove the password from a database URL, both before the host and in the options.

    Parameters
    ----------
    url
        URL, or path of an SQLite file.

    Returns
    -------
    url
        The URL without the password.
    password
        The decoded password; None if the URL has none. If both places hold a password, the one of the options is
        returned, as SQLAlchemy does.

    Raises
    ------
    DatabaseError
        If the URL cannot be read, or has an option that is not allowed. The message has no part of the URL but the
        kind of the database.
    """
    scheme, separator, rest = url.strip().partition("://")
    if not separator:
        if ":" in url or _CONNECTION_STRING.search(unquote(url)):
            raise DatabaseError(NOT_A_URL)
        return url, None
    backend = _backend(scheme.lower())
    if backend == "sqlite":
        _check_sqlite(rest)
        return url.strip(), None
    has_unknown = False
    for user, place in _splits(rest):
        read = _read(user, place)
        # An @ in the value of an option makes no host of the rest, which may be a part of a secret.
        if read is None or (has_unknown and "=" in (user or "")):
            continue
        name, passwords, options = read
        keys = [unquote_plus(option.partition("=")[0]) for option in options]
        if not set(keys) <= SHOWN_OPTIONS | {"password"}:
            has_unknown = True
            continue
        values = [unquote_plus(option.partition("=")[2]) for option in options]
        if _holds_settings(place) or not all(map(_is_harmless, keys, values)):
            has_unknown = True
            continue
        passwords += [value for key, value in zip(keys, values, strict=True) if key == "password"]
        kept = [option for key, option in zip(keys, options, strict=True) if key != "password"]
        return _joined(scheme.lower(), name, place, kept), _checked(passwords[-1] if passwords else None)
    raise DatabaseError(NO_OPTION if has_unknown else NOT_A_URL)


def _read(user: str | None, place: str) -> tuple[str, list[str], list[str]] | None:
    """Return name, password and options of one way to read a URL; None if it cannot be read so."""
    name, match = _USER.fullmatch(user or ""), _PLACE.fullmatch(place)
    if name is None or match is None:
        return None
    options = [piece for piece in (match["query"] or "").split("&") if piece]
    if not all(map(_OPTION.fullmatch, options)):
        return None
    return name["name"], [] if name["password"] is None else [unquote(name["password"])], options


def _holds_settings(place: str) -> bool:
    """Return whether the name of the database is rather a connection string, which may hold a password."""
    match = _PLACE.fullmatch(place)
    return match is not None and "=" in unquote(match["database"] or "")


def _is_harmless(key: str, value: str) -> bool:
    """Return whether the value of an option cannot hold a secret: a name or a number, or known server settings."""
    if key == "password":
        return True
    if key == "options":
        return _SERVER_SETTINGS.fullmatch(value) is not None
    return "=" not in value


def _backend(scheme: str) -> str:
    """Return the kind of database of the scheme of a URL; refuse any other kind."""
    if re.fullmatch(r"[a-z][a-z0-9_+]*", scheme) is None:
        raise DatabaseError(NOT_A_URL)
    backend = scheme.partition("+")[0]
    if backend not in {"sqlite", "postgresql", "postgres"}:
        msg = f"the database is {backend!r}; it must be sqlite or postgresql"
        raise DatabaseError(msg)
    return backend


def _check_sqlite(rest: str) -> None:
    """Refuse a host, a user and unknown options of an SQLite URL."""
    path, _, query = rest.partition("?")
    keys = {unquote_plus(piece.partition("=")[0]) for piece in query.split("&") if piece}
    has_login = _LOGIN.match(path) or _CONNECTION_STRING.search(unquote(path))
    if not path.startswith("/") or has_login or not keys <= SQLITE_OPTIONS:
        raise DatabaseError(NOT_A_URL)


def _splits(rest: str) -> Iterator[tuple[str | None, str]]:
    """Yield all ways to separate the user from the host, the most likely first.

    A password may hold an @ that should have been written %40, and the name of a user may hold one too.
    """
    yield None, rest
    for match in re.finditer("@", rest):
        yield rest[: match.start()], rest[match.end() :]


def _joined(scheme: str, user: str, place: str, options: list[str]) -> str:
    """Compose the URL without a password."""
    if ":" in unquote(user):
        raise DatabaseError(NOT_A_URL)  # An encoded colon: the password would be a part of the name.
    name = "" if not user else f"{user.replace('@', '%40')}@"
    # SQLAlchemy takes an @ of the options for the end of a password.
    query = "&".join(options).replace("@", "%40")
    backend, plus, driver = scheme.partition("+")
    scheme = f"{'postgresql' if backend == 'postgres' else backend}{plus}{driver}"
    return f"{scheme}://{name}{place.partition('?')[0]}" + (f"?{query}" if query else "")


def _checked(password: str | None) -> str | None:
    """Return a password; refuse one that no environment variable can hold."""
    if password is not None and "\0" in password:
        msg = "the password in the database URL has a NUL character"
        raise DatabaseError(msg)
    return password


def parse_url(url: str | URL) -> URL:
    """Parse and check a database URL.

    Parameters
    ----------
    url
        URL, path of an SQLite file, or parsed URL.

    Raises
    ------
    DatabaseError
        If the URL is invalid, or names another kind of database.
    """
    text = full_url(url) if isinstance(url, str) else url.render_as_string(hide_password=False)
    cleaned, password = split_password(text)
    try:
        parsed = make_url(cleaned)
    except (ArgumentError, ValueError):
        # The URL and the error that quotes it are not shown, since they may contain a password.
        raise DatabaseError(NOT_A_URL) from None
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        return parsed.set(database=str(path_of(parsed.database)))
    return parsed if password is None else parsed.set(password=password)


def show_url(url: URL) -> str:
    """Write a database URL for display: without password, driver and options."""
    return path_text(url.set(drivername=url.get_backend_name(), query={}).render_as_string(hide_password=True))
