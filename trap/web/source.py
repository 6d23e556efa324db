"""The page of a source: light curve, cut-outs, calibration, relations, and links to catalogues."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, urlencode

import numpy as np
from fastapi import APIRouter, Query, Request, Response

from trap.catalogues import ExtractType
from trap.db.datasets import stored_config
from trap.db.kept_pixels import find_pixels
from trap.db.lightcurves import entries_named, entries_near, light_curve
from trap.db.source_records import look_of_image
from trap.errors import ConfigError, NotFoundError
from trap.report.candidates import Candidate, candidate_lines
from trap.report.plots import LightCurve
from trap.report.sign_sentences import sign_sentences
from trap.web.cutting import Part, read_part
from trap.web.lists import adjacent_sources
from trap.web.marks import draw_marks
from trap.web.pictures import COLOURS, STRETCHES, Scale, as_png, colour_stops, source_scale
from trap.web.pixels import ADVICE, PIXELS, missing_files
from trap.web.rendering import render, sexagesimal
from trap.web.site import CurrentDataset, CurrentSite, RowNumber
from trap.web.source_facts import NEIGHBOUR_ARCSEC, SourceFacts, point_rows, read_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from trap.db.engine import Connection
    from trap.results import Dataset
    from trap.typing import Indices
    from trap.web.site import Site

__all__ = ["external_links", "router"]

router = APIRouter(include_in_schema=False)
Page = Annotated[int, Query(ge=1, le=10**9)]
POINTS_PER_PAGE, CUTOUTS_PER_PAGE = 50, 12
ORDERS = {
    "first": "around the first detection",
    "brightest": "brightest first",
    "latest": "latest first",
    "time": "in order of time",
}
"""Orders of the cut-outs, with their names for people."""
MARKED_NEIGHBOURS = 40
LIFE = "private, max-age=300"
"""Time in which a browser does not ask for a cut-out again."""


@router.get("/datasets/{number}/sources/{runcat}")
def show_source(  # noqa: PLR0913 (one argument for each choice)
    request: Request,
    site: CurrentSite,
    dataset: CurrentDataset,
    runcat: RowNumber,
    *,
    points: Page = 1,
    cutouts: Page = 1,
    epoch: int | None = None,
    show: str = "first",
    stretch: str = "linear",
    colours: str = "viridis",
) -> Response:
    """Show a source.

    Parameters
    ----------
    request, site, dataset, runcat
        The request with its list and choices, the site, the dataset, and the row number of the source.
    points, cutouts
        Pages of the points and of the cut-outs.
    epoch
        Image whose cut-out is next to the light curve; None is the brightest detection.
    show, stretch, colours
        Order of the cut-outs, and their scale and colours.

    Raises
    ------
    ConfigError
        If a choice is unknown.
    NotFoundError
        If the dataset has no such source.
    """
    _check_choice("show", show, ORDERS)
    query = request.query_params.multi_items()
    with site.reader.read() as connection:
        facts = read_source(connection, dataset.number, runcat)
        adjacent = adjacent_sources(connection, dataset.number, runcat, query)
        epochs = _epochs(facts, show)
        shown = epochs[(cutouts - 1) * CUTOUTS_PER_PAGE : cutouts * CUTOUTS_PER_PAGE]
        chosen = _chosen_epoch(facts, epoch)
        kept = find_pixels(connection, facts.points["image"][[*shown, *chosen]].tolist())
        config = stored_config(connection, dataset.number)
    scale, n_points = source_scale(facts.points, stretch), len(facts.points["image"])
    listed = _cutout_rows(facts, [*chosen, *shown], kept, f"{scale.query()}&colours={colours}")
    first_point = (points - 1) * POINTS_PER_PAGE
    return render(
        request,
        "source.html",
        number=dataset.number,
        runcat=runcat,
        facts=facts,
        adjacent=adjacent,
        **_candidate(facts),
        **_place(facts),
        selected=listed[0] if chosen else None,
        epochs=listed[len(chosen) :],
        points=point_rows(facts, range(n_points)[first_point : first_point + POINTS_PER_PAGE]),
        n_points=n_points,
        pages={
            "points": _pages(points, n_points, POINTS_PER_PAGE),
            "cutouts": _pages(cutouts, len(epochs), CUTOUTS_PER_PAGE),
        },
        orders=ORDERS,
        chosen={"show": show, "stretch": stretch, "colours": colours},
        stretches=STRETCHES,
        palettes=list(COLOURS),
        scale=scale,
        stops=colour_stops(colours),
        radius=NEIGHBOUR_ARCSEC,
        catalogues=sorted({config.calibration.position_catalogue, config.calibration.flux_catalogue} - {""}),
        bands=np.unique(facts.points["freq_central"]).tolist(),
        address=partial(_address, query),
    )


@router.get("/datasets/{number}/sources/{runcat}/epochs/{image}")
def show_epoch(
    request: Request,
    site: CurrentSite,
    dataset: CurrentDataset,
    runcat: RowNumber,
    image: RowNumber,
    *,
    stretch: str = "linear",
    colours: str = "viridis",
) -> Response:
    """Show the cut-out of one epoch, for the place next to the light curve.

    Parameters
    ----------
    request, site, dataset, runcat, stretch, colours
        As for :func:`show_source`.
    image
        Row number of the image.

    Raises
    ------
    NotFoundError
        If the source was not measured in the image.
    """
    stops = colour_stops(colours)
    with site.reader.read() as connection:
        facts = read_source(connection, dataset.number, runcat)
        chosen = np.flatnonzero(facts.points["image"] == image)[:1].tolist()
        kept = find_pixels(connection, [image])
    if not chosen:
        msg = f"source {runcat} of dataset {dataset.number} has no point in image {image}"
        raise NotFoundError(msg)
    query = f"{source_scale(facts.points, stretch).query()}&colours={colours}"
    each = _cutout_rows(facts, chosen, kept, query)[0]
    base = f"/datasets/{dataset.number}/sources/{runcat}"
    return render(request, "_epoch.html", each=each, base=base, stops=stops)


@router.get("/datasets/{number}/sources/{runcat}/cutouts/{image}.png")
def draw_cutout(  # noqa: PLR0913 (as above)
    site: CurrentSite,
    dataset: CurrentDataset,
    runcat: RowNumber,
    image: RowNumber,
    *,
    low: float | None = None,
    high: float | None = None,
    stretch: str = "linear",
    soft: float = 1.0,
    colours: str = "viridis",
) -> Response:
    """Draw the pixels of an image around a source; without a scale, on the one of all its epochs.

    Parameters
    ----------
    site, dataset, runcat, image
        As for :func:`show_epoch`.
    low, high, stretch, soft, colours
        Scale, as :class:`~trap.web.pictures.Scale` has it, and colours.
    """
    if low is None or high is None:
        with site.reader.read() as connection:
            _find(connection, dataset.number, runcat)
            scale = source_scale(light_curve(connection, runcat), stretch)
    else:
        scale = Scale(low=low, high=high, stretch=stretch, soft=soft)
    png = as_png(_part(site, dataset, runcat, image).pixels, scale, colours)
    return Response(png, media_type="image/png", headers={"Cache-Control": LIFE})


@router.get("/datasets/{number}/sources/{runcat}/cutouts/{image}.svg")
def draw_cutout_marks(site: CurrentSite, dataset: CurrentDataset, runcat: RowNumber, image: RowNumber) -> Response:
    """Draw the marks on a cut-out: the position, the beam, north and east, and the neighbours.

    Parameters
    ----------
    site, dataset, runcat, image
        As for :func:`show_epoch`.
    """
    svg = draw_marks(_part(site, dataset, runcat, image))
    return Response(svg, media_type="image/svg+xml", headers={"Cache-Control": LIFE})


def external_links(ra: float, dec: float, radius_arcmin: float = 1.0) -> list[tuple[str, str]]:
    """Return addresses of a position in services of others; nothing is loaded from them before a person follows one.

    Parameters
    ----------
    ra, dec
        deg, ICRS — position.
    radius_arcmin
        arcmin — radius of a search.
    """
    degrees = f"{ra:.6f}d {dec:+.6f}d"
    simbad = {"Coord": degrees, "CooFrame": "ICRS", "CooEqui": "2000.0", "Radius": f"{radius_arcmin:g}"}
    simbad |= {"Radius.unit": "arcmin", "submit": "submit query"}
    ned = {"search_type": "Near Position Search", "in_csys": "Equatorial", "in_equinox": "J2000"}
    ned |= {"coordinates": degrees, "radius": f"{radius_arcmin:g}"}
    aladin = {"target": f"{ra:.6f} {dec:+.6f}", "fov": f"{4 * radius_arcmin / 60:.3f}"}
    services = (
        ("SIMBAD", "https://simbad.cds.unistra.fr/simbad/sim-coo", simbad),
        ("NED", "https://ned.ipac.caltech.edu/conesearch", ned),
        ("Aladin", "https://aladin.cds.unistra.fr/AladinLite/", aladin),
    )
    return [(name, f"{address}?{urlencode(query, quote_via=quote)}") for name, address, query in services]


def _part(site: Site, dataset: Dataset, runcat: int, image: int) -> Part:
    """Return the pixels of an image around a source, remembered or read."""
    with site.reader.read() as connection:
        ra, dec = _find(connection, dataset.number, runcat)
        look = look_of_image(connection, dataset.number, image)
        if look is None:
            msg = f"dataset {dataset.number} has no image {image}"
            raise NotFoundError(msg)
        kept = find_pixels(connection, [image]).get(image)
        if look["deltax"] is None and kept is None:
            raise NotFoundError(_no_pixels(str(look["url"])))
        near = entries_near(connection, dataset.number, ra, dec, radius=NEIGHBOUR_ARCSEC / 3600)
        settings = stored_config(connection, dataset.number).reading
    others = near["id"] != runcat
    places = list(zip(near["wm_ra"][others].tolist(), near["wm_decl"][others].tolist(), strict=True))
    step = partial(read_part, look, (ra, dec), places[:MARKED_NEIGHBOURS], kept=kept, settings=settings)
    key = ("part", site.database, dataset.number, image, ra, dec)
    return PIXELS.read(key, step, lambda part: part.pixels.nbytes + 2000, str(look["url"]))


def _find(connection: Connection, dataset: int, runcat: int) -> tuple[float, float]:
    """Return the position of a source."""
    found = entries_named(connection, dataset, entry=runcat)
    if not len(found["id"]):
        msg = f"dataset {dataset} has no source {runcat}"
        raise NotFoundError(msg)
    return float(found["wm_ra"][0]), float(found["wm_decl"][0])


def _no_pixels(url: str) -> str:
    return f"{url} is a list of sources without an image: it has no pixels."


def _epochs(facts: SourceFacts, order: str) -> Indices:
    """Return the points whose cut-outs are shown, one for each image, in order."""
    points = facts.points
    _, first_of_image = np.unique(points["image"], return_index=True)
    rows = np.sort(first_of_image)
    if order == "brightest":
        return rows[np.argsort(-np.nan_to_num(points["f_peak"][rows], nan=-np.inf), kind="stable")]
    if order == "latest":
        return rows[::-1]
    if order == "first":
        is_blind = points["extract_type"][rows] == ExtractType.BLIND
        # A few epochs before the detection show the empty sky; those before them come last.
        return np.roll(rows, -max(0, int(np.argmax(is_blind)) - CUTOUTS_PER_PAGE // 3))
    return rows


def _cutout_rows(facts: SourceFacts, rows: Sequence[int], kept: dict[int, Path], query: str) -> list[dict[str, Any]]:
    """Return the cut-outs of a page: texts, the address of the picture, or a sentence about its absence."""
    listed = point_rows(facts, rows)
    gone = missing_files([each["url"] for each in listed if each["image"] not in kept])
    for each in listed:
        missing = each["image"] not in kept and each["url"] in gone
        each["problem"] = (
            f"{each['url']} does not exist any more, and no pixels of it are kept. {ADVICE}" if missing else ""
        )
        each["picture"] = f"cutouts/{each['image']}.png?{query}"
        each["marks"] = f"cutouts/{each['image']}.svg"
    return listed


def _pages(page: int, n: int, size: int) -> dict[str, int]:
    """Return the number of a page, of all pages, and of the first and the last row on it."""
    return {
        "page": page,
        "last": max(1, -(-n // size)),
        "from": min((page - 1) * size + 1, n),
        "to": min(page * size, n),
    }


def _candidate(facts: SourceFacts) -> dict[str, Any]:
    """Return what `transients candidates` lists about a source, and its signs of artefacts as sentences."""
    if facts.candidate is None:
        return {"candidate": None, "sentences": []}
    curve = LightCurve.of_points("", facts.points)
    lines = candidate_lines(Candidate(facts=facts.candidate, curve=curve, earlier=""))
    return {"candidate": lines, "sentences": sign_sentences(facts.candidate)}


def _place(facts: SourceFacts) -> dict[str, Any]:
    """Return the position of a source as texts, and its links."""
    ra, dec = facts.position
    return {
        "position": f"{ra:.6f} {dec:+.6f}",
        "sexagesimal_position": sexagesimal(ra, dec),
        "links": external_links(ra, dec),
    }


def _chosen_epoch(facts: SourceFacts, image: int | None) -> list[int]:
    """Return the point whose cut-out is next to the light curve: of an image, or the brightest detection."""
    points = facts.points
    asked = np.flatnonzero(points["image"] == image)
    if asked.size or not len(points["image"]):
        return [int(each) for each in asked[:1]]
    is_blind = points["extract_type"] == ExtractType.BLIND
    brightness = np.where(is_blind | ~is_blind.any(), np.abs(points["f_peak"]), -np.inf)
    return [int(np.argmax(np.nan_to_num(brightness, nan=-np.inf)))]


def _check_choice(name: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        msg = f"{name} must be one of {', '.join(known)}, got {value!r}"
        raise ConfigError(msg)


def _address(query: list[tuple[str, str]], **changes: Any) -> str:  # noqa: ANN401 (values of a query)
    """Return the query of the page with some values changed; None takes one out."""
    kept = [(name, value) for name, value in query if name not in changes]
    return "?" + urlencode([*kept, *((name, value) for name, value in changes.items() if value is not None)])
