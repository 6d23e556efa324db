"""The application: all pages of a site, its files, and its answers to requests that fail."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import bokeh
import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from trap import __version__
from trap.errors import (
    ConfigError,
    DatabaseError,
    DatasetNotFoundError,
    NotFoundError,
    TooSlowError,
    TransientError,
    TrapError,
)
from trap.web import (
    api,
    chart_routes,
    dataset,
    datasets,
    downloads,
    eta_v,
    image,
    matches,
    place,
    position,
    position_cutouts,
    source,
    tables,
    vetting,
)
from trap.web.guard import HeadAsGet, guarded
from trap.web.rendering import render

if TYPE_CHECKING:
    from starlette.responses import Response

    from trap.web.site import Site

__all__ = ["make_app"]

ROUTERS: tuple[APIRouter, ...] = (
    downloads.router,  # before sources and images, which have a number where a download has its name
    datasets.router,
    dataset.router,
    chart_routes.router,
    eta_v.router,
    source.router,
    matches.router,
    image.router,
    place.router,
    api.router,
    position.router,
    position_cutouts.router,
    tables.router,
    vetting.router,
)
STATIC = Path(__file__).with_name("static")
BOKEH = Path(bokeh.__file__).parent / "server" / "static" / "js"
STATUS = {
    DatasetNotFoundError: 404,
    NotFoundError: 404,
    ConfigError: 400,
    TooSlowError: 400,
    TransientError: 503,
    DatabaseError: 503,
}
"""Status of the response to an error; the first class that fits counts."""
_logger = structlog.get_logger(__name__)


def make_app(site: Site) -> FastAPI:
    """Make the application that serves a site.

    Parameters
    ----------
    site
        The database, and the permissions of visitors.
    """
    app = FastAPI(
        title="transients", version=__version__, openapi_url="/api/openapi.json", docs_url=None, redoc_url=None
    )
    app.state.site = site
    app.middleware("http")(guarded(site))
    app.add_middleware(HeadAsGet)
    for router in ROUTERS:
        app.include_router(router)
    app.mount("/static/bokeh", StaticFiles(directory=BOKEH))
    app.mount("/static", StaticFiles(directory=STATIC))
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(TrapError, _trap_error)
    app.add_exception_handler(Exception, _unexpected_error)
    return app


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 (the handler is registered for this class)
    return _answer(request, error.status_code, str(error.detail))


def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    problems = (f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in error.errors())
    path = any(each["loc"][:1] == ("path",) for each in error.errors())
    return _answer(request, 404 if path else 422, "; ".join(problems))


def _trap_error(request: Request, error: Exception) -> Response:
    status = next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)
    if status >= 500:
        _logger.warning("page_failed", path=request.url.path, error=str(error))
    return _answer(request, status, str(error))


def _unexpected_error(request: Request, error: Exception) -> Response:
    """Answer without a trace, which is for the log. Starlette raises the error again, and the server logs it."""
    return _answer(request, 500, f"an error of this program, {type(error).__name__}; its log has the details")


def _answer(request: Request, status: int, message: str) -> Response:
    """Return an error as JSON to programs and charts, and as a page to people."""
    path = request.url.path
    if path.startswith("/api/") or path.endswith((".json", ".png")):
        return JSONResponse({"error": message}, status)
    return render(request, "error.html", status_code=status, status=status, message=message)
