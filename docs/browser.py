"""Control a headless Chromium by its debugging protocol: open pages, click, and take screenshots."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from PIL import Image
from websockets.sync.client import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from websockets.sync.client import ClientConnection

__all__ = ["Page", "browsing"]

PATIENCE_SECONDS = 60.0
SETTLING_SECONDS = 6.0
"""Waiting time before a screenshot, until graphs have moved into place and late content is loaded."""
COLOURS = 128
"""Number of colours of a PNG file: enough for a page, at a third of the size."""


class Page:
    """The only page of a browser."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._number = 0
        self._size = {"width": 1280, "height": 860}

    def open(self, url: str, wanted: str, *, height: int = 860) -> None:
        """Open a page in a window of 1280 by ``height`` pixels, and wait until it shows the text ``wanted``."""
        self._size = {"width": 1280, "height": height}
        self._send("Emulation.setDeviceMetricsOverride", **self._size, deviceScaleFactor=1, mobile=False)
        self._send("Page.navigate", url=url)
        self.wait(wanted)

    def wait(self, wanted: str) -> None:
        """Wait until the page shows a text."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while wanted not in (self.evaluate("document.body ? document.body.innerText : ''") or ""):
            if time.monotonic() > deadline:
                sys.exit(f"{wanted!r} did not appear in {self.evaluate('location.href')}")
            time.sleep(0.3)

    def click(self, selector: str, *, text: str = "", number: int = 0) -> None:
        """Click element ``number`` of the elements that match a selector and contain a text."""
        found = self.evaluate(
            f"(() => {{ const all = [...document.querySelectorAll({json.dumps(selector)})];"
            f" const it = all.filter(each => each.innerText.trim().includes({json.dumps(text)})).at({number});"
            " if (!it) return false; const at = it.getBoundingClientRect();"
            " return [at.x + at.width / 2, at.y + at.height / 2]; })()"
        )
        if not found:
            sys.exit(f"no element {selector!r} with text {text!r} in {self.evaluate('location.href')}")
        for kind in ("mousePressed", "mouseReleased"):
            self._send("Input.dispatchMouseEvent", type=kind, x=found[0], y=found[1], button="left", clickCount=1)

    def evaluate(self, script: str) -> Any:  # noqa: ANN401 (any value of JavaScript)
        """Run a script in the page and return its value."""
        return self._send("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def shoot(self, path: Path, *, left: int = 0, top: int = 0) -> None:
        """Write the window, without margins at the left and top, into a PNG file when the page has settled."""
        time.sleep(SETTLING_SECONDS)
        width, height = self._size["width"] - left, self._size["height"] - top
        clip = {"x": left, "y": top, "width": width, "height": height, "scale": 1}
        data = base64.b64decode(self._send("Page.captureScreenshot", format="png", clip=clip)["data"])
        picture = Image.open(io.BytesIO(data)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        picture.save(path, optimize=True)

    def _send(self, method: str, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401 (JSON)
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=PATIENCE_SECONDS))
            if answer.get("id") == self._number:
                if "error" in answer:
                    sys.exit(f"{method}: {answer['error']}")
                return dict(answer["result"])


@contextmanager
def browsing() -> Iterator[Page]:
    """Start a browser that can connect to this machine only, and stop it at the end."""
    program = shutil.which("chromium") or sys.exit("Chromium is needed: apt-get install chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            program, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
            "--remote-debugging-port=0", f"--user-data-dir={profile}", "--window-size=1280,860",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--no-proxy-server", "about:blank",
        ]  # fmt: skip
        browser = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)  # noqa: S603
        try:
            with connect(_address(Path(profile)), max_size=None, proxy=None) as socket:
                yield Page(socket)
        finally:
            browser.terminate()
            browser.wait()


def _address(profile: Path) -> str:
    """Return the address of the page as soon as the browser has written its port to a file."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            port = (profile / "DevToolsActivePort").read_text().splitlines()[0]
            pages = httpx.get(f"http://127.0.0.1:{port}/json/list", trust_env=False).json()
            return next(str(page["webSocketDebuggerUrl"]) for page in pages if page["type"] == "page")
        except (OSError, IndexError, httpx.HTTPError, StopIteration):
            time.sleep(0.2)
    sys.exit("the browser did not start")
