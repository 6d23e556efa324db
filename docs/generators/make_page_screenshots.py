"""Take the screenshots of the web pages: process a simulated survey, serve its results, and open them in a browser.

Requires Chromium (``apt-get install chromium``). The survey is made in a temporary folder and removed; the screenshots
are written to ``docs/images``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from browser import browsing, shoot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

IMAGES = Path(__file__).parents[1] / "images"
TRAP = Path(sys.executable).with_name("transients")
SETTLING_MS = 1_500


def main() -> None:
    """Process a survey, and take screenshots of its pages."""
    with tempfile.TemporaryDirectory() as name:
        subprocess.run([TRAP, "demo", "demo", "--no-prefect"], cwd=name, check=True)  # noqa: S603
        with _serving(Path(name)) as address:
            with browsing() as page:
                _take_light(page, address)
            with browsing(dark=True) as page:
                _take_dark(page, address)


@contextmanager
def _serving(folder: Path) -> Iterator[str]:
    """Serve the pages of the demo; yield their address."""
    words = [TRAP, "serve", "demo/trap.db", "--allow-edit", "--port", "0"]
    server = subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True)  # noqa: S603
    try:
        assert server.stdout is not None  # noqa: S101 (it is a pipe)
        yield server.stdout.readline().split()[-1].rstrip("/")
    finally:
        server.terminate()
        server.wait()


def _take_light(page: Page, address: str) -> None:
    """Walk from the datasets to the first transient, its pixels, and the chart of η and V."""
    page.goto(address)
    page.get_by_role("link", name="a simulated survey").click()
    page.wait_for_selector("figure.chart .chart-plot > *")
    _shoot(page, "pages-dataset", height=900)
    page.get_by_role("table").first.get_by_role("row").nth(1).get_by_role("link").first.click()
    page.wait_for_selector("#epoch img")
    page.wait_for_selector("figure.chart:not([aria-busy]) .chart-notes p")
    _shoot(page, "pages-source", height=1050)
    page.locator("#epoch figcaption a").click()
    page.wait_for_selector(".picture img")
    _shoot(page, "pages-image", height=950)
    page.goto(f"{address}/datasets/1/eta-v")
    page.wait_for_selector("#plane:not([aria-busy]) .chart-notes p")
    page.get_by_role("link", name="Show").first.click()
    page.wait_for_selector("#panel h2 a")
    _shoot(page, "pages-eta-v", height=940)


def _take_dark(page: Page, address: str) -> None:
    """Show the page where candidates are rated."""
    page.goto(f"{address}/datasets/1/vetting")
    page.wait_for_selector("figure.chart .chart-plot > *")
    _shoot(page, "pages-vetting", height=960)


def _shoot(page: Page, name: str, *, height: int) -> None:
    shoot(page, IMAGES / f"{name}.png", height=height, settling_ms=SETTLING_MS)


if __name__ == "__main__":
    main()
