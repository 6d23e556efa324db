"""Make the pictures of the tutorial: follow its pages in order, and copy what their commands draw.

Takes screenshots of the web pages after the lesson that serves them. Requires Chromium (``apt-get install chromium``).
The programs ``transients`` and ``python`` of the lessons are found by PATH: activate their environment. The lessons run
in a temporary folder, and their pictures are written to ``docs/images/tutorial``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from browser import browsing, shoot
from PIL import Image

DOCS = Path(__file__).parents[1]
sys.path.insert(0, str(DOCS.parent / "checks"))
from pages import run_page  # noqa: E402 (checks are scripts, not a package)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

IMAGES = DOCS / "images" / "tutorial"
PICTURE = re.compile(r"\]\(\.\./images/tutorial/([\w-]+\.png)\)")
SERVED = "5-pages.md"
"""Lesson whose pictures are screenshots."""
COLOURS = 256
"""Number of colours of a picture: enough for charts and cut-outs, at half the size."""
SETTLING_MS = 1_500


def main() -> None:
    """Follow the lessons, and write all their pictures."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "survey")
        for page in sorted((DOCS / "tutorial").glob("[0-9]*.md")):
            started = time.monotonic()
            run_page(page, Path(name), os.environ, folder)
            print(f"{page.name} followed in {time.monotonic() - started:.0f} s", flush=True)
            if page.name == SERVED:
                _take_screenshots(folder)
            else:
                for picture in PICTURE.findall(page.read_text(encoding="utf-8")):
                    _copy(folder / picture)


def _copy(picture: Path) -> None:
    """Write a picture with fewer colours, which makes it smaller."""
    shown = Image.open(picture).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    shown.save(IMAGES / picture.name, optimize=True)
    print(f"{IMAGES / picture.name} written, {(IMAGES / picture.name).stat().st_size / 1000:.0f} kB")


def _take_screenshots(folder: Path) -> None:
    """Walk through the pages as the lesson describes: the dataset, its best candidate, and the vetting."""
    with _serving(folder) as address, browsing() as page:
        page.goto(address)
        page.get_by_role("link", name="my survey").first.click()
        page.wait_for_selector("figure.chart .chart-plot > *")
        _shoot(page, "dataset", height=800)
        page.get_by_role("table").first.get_by_role("row").nth(1).get_by_role("link").first.click()
        page.wait_for_selector("#epoch img")
        page.wait_for_selector("figure.chart:not([aria-busy]) .chart-notes p")
        _shoot(page, "source", height=1000)
        page.goto(f"{address}/datasets/1/vetting")
        page.wait_for_selector("figure.chart .chart-plot > *")
        _shoot(page, "vetting", height=900)


@contextmanager
def _serving(folder: Path) -> Iterator[str]:
    """Serve the results of a folder; yield the address of the pages."""
    words = ["transients", "serve", "trap.db", "--allow-edit", "--port", "0"]
    environment = {**os.environ, "LOGNAME": "astronomer"}  # the name that the page of ratings suggests
    server = subprocess.Popen(words, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)  # noqa: S603
    try:
        assert server.stdout is not None  # noqa: S101 (it is a pipe)
        yield server.stdout.readline().split()[-1].rstrip("/")
    finally:
        server.terminate()
        server.wait()


def _shoot(page: Page, name: str, *, height: int) -> None:
    shoot(page, IMAGES / f"{name}.png", height=height, settling_ms=SETTLING_MS)


if __name__ == "__main__":
    main()
