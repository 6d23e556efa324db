"""Make the tables in docs/reference/images.md from the code: formats, units, celestial systems, time scales and checks.

A test fails if the page is out of date.
"""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from astropy.wcs import PRJ_CODES
from page_parts import replace_parts

from trap.images.formats import FORMATS
from trap.images.headers import times
from trap.images.headers.brightness import units_table
from trap.images.headers.frames import frames_table
from trap.quality.checks import checks_table

PAGE = Path(__file__).parents[1] / "reference" / "images.md"


def formats_table() -> str:
    """Make the table of the formats."""
    lines = ["| format | notes |", "|---|---|", *(f"| {name} | {notes} |" for name, notes in FORMATS.items())]
    return "\n".join(lines) + "\n"


def projections_table() -> str:
    """Make the table of the projections that WCSLIB has."""
    lines = ["| projections |", "|---|", f"| {', '.join(PRJ_CODES)}; NCP as SIN |"]
    return "\n".join(lines) + "\n"


def time_scales_table() -> str:
    """Make the table of the time scales; a scale that is converted like another one is in its row."""
    names = defaultdict(list)
    for name, conversions in times._TO_TAI.items():  # noqa: SLF001 (the list of the code is the point of the table)
        names[conversions].append(name)
    rows = [[name for name in times._UTC_NAMES if name], *names.values()]  # noqa: SLF001 (as above)
    lines = ["| `TIMESYS` | read as |", "|---|---|"]
    lines += [f"| {', '.join(f'`{name}`' for name in row)} | {row[0]} |" for row in rows]
    return "\n".join(lines) + "\n"


PARTS: dict[str, Callable[[], str]] = {
    "formats": formats_table,
    "units": units_table,
    "celestial systems": frames_table,
    "projections": projections_table,
    "time scales": time_scales_table,
    "checks": checks_table,
}


def with_parts(page: str) -> str:
    """Return the text of the page with all parts made again, each between its marks."""
    return replace_parts(page, PARTS, "make_images.py")


if __name__ == "__main__":
    PAGE.write_text(with_parts(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"{PAGE} written")
