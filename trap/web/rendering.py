"""Pages from templates. Every text is escaped: names of files, telescopes and people may hold anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from astropy import units
from astropy.coordinates import SkyCoord
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from trap import __version__
from trap.escapes import plain_text
from trap.report.text import MISSING, count, flag_names, flux_text, megahertz, moment, number, sky_position, with_error

if TYPE_CHECKING:
    from fastapi import Request

__all__ = ["render", "sexagesimal", "templates"]


def sexagesimal(ra: float, dec: float, precision: int = 2) -> str:
    """Write a position as ``11h32m32.81s +27d41m56.1s``.

    Parameters
    ----------
    ra, dec
        deg — position.
    precision
        Number of decimals of the seconds of time; the seconds of arc have one less.
    """
    place = SkyCoord(ra, dec, unit=units.deg)
    hours = place.ra.to_string(unit=units.hour, precision=precision, pad=True)
    degrees = place.dec.to_string(unit=units.deg, precision=max(precision - 1, 0), pad=True, alwayssign=True)
    return f"{hours} {degrees}"


def _plus_minus(values: tuple[str, str]) -> str:
    """Write a value and its error, both texts already: ``15.2 ± 0.3``."""
    value, error = values
    return value if error == MISSING else f"{value} ± {error}"


def _visible(value: object) -> object:
    """Return a text with visible marks in place of characters that have no picture, or that turn the text around."""
    return plain_text(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _make_templates() -> Environment:
    """Make the environment of the templates. A name that a template misses is an error, not an empty text."""
    environment = Environment(
        loader=PackageLoader("trap.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )
    environment.filters |= {
        "moment": moment,
        "number": number,
        "megahertz": megahertz,
        "flag_names": flag_names,
        "plus_minus": _plus_minus,
    }
    environment.globals |= {
        "MISSING": MISSING,
        "count": count,
        "flux_text": flux_text,
        "sexagesimal": sexagesimal,
        "sky_position": sky_position,
        "version": __version__,
        "with_error": with_error,
    }
    return environment


templates = _make_templates()
"""The templates of all pages, and of the report."""


def render(request: Request, name: str, *, status_code: int = 200, **values: Any) -> HTMLResponse:  # noqa: ANN401
    """Return the page of a template.

    Parameters
    ----------
    request
        The request that the page answers.
    name
        Name of the template, such as ``"dataset.html"``.
    status_code
        Status of the response.
    **values
        Values that the template uses, next to ``site`` and ``request``.
    """
    text = templates.get_template(name).render(request=request, site=request.app.state.site, **values)
    return HTMLResponse(text, status_code)
