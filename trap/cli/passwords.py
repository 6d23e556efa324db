"""What becomes of a password in a database URL: it goes where nobody but the database's library looks."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote

__all__ = ["hide_password", "without_password"]

# The password may hold anything, even an @ that should have been written %40; the host holds none.
_WITH_PASSWORD = re.compile(r"(?P<before>[a-z0-9+]+://[^:/@?]*):(?P<password>[^?]*)@(?P<after>[^@]*(\?.*)?)", re.DOTALL)


def without_password(url: str) -> tuple[str, str | None]:
    """Take the password out of a database URL.

    Returns
    -------
    The URL without it, and the password, decoded; None where there is none.
    """
    found = _WITH_PASSWORD.fullmatch(url)
    if found is None:
        return url, None
    return f"{found['before']}@{found['after']}", unquote(found["password"])


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
