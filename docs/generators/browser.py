"""Take screenshots of pages in a headless Chromium that can connect to this machine only."""

from __future__ import annotations

import io
import shutil
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from PIL import Image
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page

__all__ = ["browsing", "shoot"]

WIDTH = 1280
PATIENCE_MS = 60_000
SETTLING_MS = 6_000
"""Waiting time before a screenshot of Prefect, until graphs have moved into place and late content is loaded."""
COLOURS = 256
"""Number of colours of a PNG file: enough for a page, at half the size."""


@contextmanager
def browsing(*, dark: bool = False, width: int = WIDTH) -> Iterator[Page]:
    """Start a browser, and stop it at the end.

    Parameters
    ----------
    dark
        Whether pages that have a dark style show it.
    width
        Width of the window in pixels.
    """
    program = shutil.which("chromium") or sys.exit("Chromium is needed: apt-get install chromium")
    words = ["--no-sandbox", "--hide-scrollbars", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=[*words, "--no-proxy-server"])
        window = {"width": width, "height": 860}
        page = browser.new_page(viewport=window, color_scheme="dark" if dark else "light")
        page.set_default_timeout(PATIENCE_MS)
        yield page
        browser.close()


def shoot(page: Page, path: Path, *, height: int, left: int = 0, settling_ms: int = SETTLING_MS) -> None:
    """Write the window, without a margin at the left, into a PNG file when the page has settled.

    Parameters
    ----------
    page
        Open page.
    path
        PNG file to write.
    height
        Height of the window in pixels.
    left
        Width of the margin in pixels.
    settling_ms
        Waiting time.
    """
    width = page.viewport_size["width"] if page.viewport_size else WIDTH
    page.set_viewport_size({"width": width, "height": height})
    page.wait_for_timeout(settling_ms)
    clip = {"x": left, "y": 0, "width": width - left, "height": height}
    picture = Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB")
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path} written, {path.stat().st_size / 1000:.0f} kB")
