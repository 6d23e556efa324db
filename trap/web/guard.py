"""Who may see the pages: the token of a site, the name of its host, and the headers that bind browsers.

Pages are read-only and on the loopback address by default. A page of another site can still make a browser on this
machine send requests there, under the name of a host of its own; such names are refused.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

from fastapi import Request
from fastapi.responses import PlainTextResponse, RedirectResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from trap.web.site import Site

    Following = Callable[[Request], Awaitable[Response]]

__all__ = ["HeadAsGet", "guarded"]

COOKIE = "transients_token"
MAX_BODY_BYTES = 1_000_000
"""Largest request: a note of a person is far smaller."""
HEADERS = {
    # Scripts are files of this package only. Bokeh sets styles of elements.
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


class HeadAsGet:
    """Middleware that answers HEAD, which monitors of servers send, with the headers of GET.

    Parameters
    ----------
    app
        The application. The server leaves out the body of an answer to HEAD.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, as GET if it is HEAD."""
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)


def guarded(site: Site) -> Callable[[Request, Following], Awaitable[Response]]:
    """Return the middleware that refuses strangers, and adds the headers of security to every response."""

    async def guard(request: Request, follow: Following) -> Response:
        response = _refusal(site, request) or await follow(request)
        response.headers.update(HEADERS)
        return response

    return guard


def _refusal(site: Site, request: Request) -> Response | None:
    """Return the response to a request that goes no further; None lets it pass."""
    host = _host(request.headers.get("host", ""))
    if site.hosts and host not in site.hosts:
        return PlainTextResponse(f"no site of the name {host!r} is here\n", 400)
    length = request.headers.get("content-length", "0")
    if not length.isdigit() or int(length) > MAX_BODY_BYTES or "transfer-encoding" in request.headers:
        return PlainTextResponse(f"requests have at most {MAX_BODY_BYTES} bytes, and a length\n", 413)
    if site.token is None or request.url.path.startswith("/static/"):
        return None
    return _admission(site.token, request)


def _admission(token: str, request: Request) -> Response | None:
    """Let a visitor pass who has the token; a token in the address moves into a cookie, out of sight."""
    query = parse_qsl(request.url.query, keep_blank_values=True)
    if any(name == "token" and _equal(value, token) for name, value in query):
        rest = urlencode([(name, value) for name, value in query if name != "token"])
        path = f"/{request.url.path.lstrip('/')}"  # two slashes would begin the name of another host
        response = RedirectResponse(f"{path}{'?' if rest else ''}{rest}", 303)
        response.set_cookie(COOKIE, token, httponly=True, samesite="strict", max_age=30 * 86400)
        return response
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    if _equal(request.cookies.get(COOKIE, ""), token) or _equal(bearer, token):
        return None
    return PlainTextResponse("a token is needed: open the address that 'transients serve' has printed\n", 401)


def _host(header: str) -> str:
    """Return the name of the host in a header, without its port; empty if it is no name."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def _equal(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())
