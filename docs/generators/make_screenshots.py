"""Take the screenshots of Prefect's pages: process a simulated survey on a server, and open its pages in a browser.

Requires Chromium (``apt-get install chromium``). The survey is made in a temporary folder and removed; the screenshots
are written to ``docs/images``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from browser import browsing, shoot

if TYPE_CHECKING:
    from playwright.sync_api import Page

IMAGES = Path(__file__).parents[1] / "images"
TRAP = Path(sys.executable).with_name("transients")
SETTINGS = """\
[persistence]
description = "simulated survey, {granularity}s as tasks"
[execution]
granularity = "{granularity}"
"""


def main() -> None:
    """Process a survey, and take screenshots of its pages."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        environment = {**os.environ, "PREFECT_HOME": str(folder / "prefect"), "DO_NOT_TRACK": "1"}
        for variable in ("PREFECT_API_URL", "PREFECT_PROFILE"):
            environment.pop(variable, None)

        def run(*words: object) -> None:
            subprocess.run([TRAP, *map(str, words)], cwd=folder, env=environment, check=True)  # noqa: S603

        run("simulate", "images", "--timesteps", 12, "--bands", 2, "--size", 256, "--steady", 20, "--variables", 2,
            "--transients", 3)  # fmt: skip
        (folder / "images" / "t0007_b01.fits").write_bytes(b"SIMPLE  =")
        try:
            for granularity, images in (("timestep", "t*.fits"), ("image", "t000[0-3]*.fits")):
                (folder / "trap.toml").write_text(SETTINGS.format(granularity=granularity))
                # One file is no image; the run skips it and returns a nonzero exit code.
                words = ("run", "trap.toml", "--images", f"images/{images}", "--database", f"{granularity}.db")
                subprocess.run([TRAP, *words], cwd=folder, env=environment, check=False)  # noqa: S603
            run("deploy", "--name", "m31", "--database", "trap.db", "--incoming", "incoming")
            server = json.loads((folder / "prefect" / "trap-server.json").read_text())["api_url"]
            with browsing() as page:
                _take_screenshots(page, server.removesuffix("/api"))
        finally:
            prefect = Path(sys.executable).with_name("prefect")
            subprocess.run([prefect, "server", "stop"], env=environment, check=False)  # noqa: S603


def _take_screenshots(page: Page, server: str) -> None:
    """Take the screenshots that the documentation shows."""
    runs = {run["name"]: run for run in _find(server, "flow_runs") if run["parent_task_run_id"] is None}
    whole = next(run for name, run in runs.items() if "timesteps as tasks" in name)
    fine = next(run for name, run in runs.items() if "images as tasks" in name)
    groups = {run["id"]: _groups(server, run) for run in (whole, fine)}
    _shoot(page, "prefect-run", f"{server}/runs/flow-run/{whole['id']}", "flow_run_started", height=900)
    _shoot(
        page,
        "prefect-tasks",
        f"{server}/runs/flow-run/{groups[fine['id']][0]['id']}",
        "Task Runs",
        height=620,
    )
    artifacts = _find(server, "artifacts", sort="CREATED_DESC", artifacts={"flow_run_id": {"any_": [whole["id"]]}})
    summary = next(each for each in artifacts if each["type"] == "markdown" and "images accepted" in each["data"])
    _shoot(page, "prefect-summary", f"{server}/artifacts/artifact/{summary['id']}", "images accepted", height=1100)
    manual = next(each for each in _find(server, "deployments") if each["name"] == "m31-manual")
    _shoot(page, "prefect-form", f"{server}/deployments/deployment/{manual['id']}/run", "Parameters", height=1400)


def _shoot(page: Page, name: str, url: str, wanted: str, *, height: int) -> None:
    page.goto(url)
    page.get_by_text(wanted).first.wait_for()
    shoot(page, IMAGES / f"{name}.png", height=height, left=255)


def _find(server: str, what: str, **filters: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    answer = httpx.post(f"{server}/api/{what}/filter", json=filters, trust_env=False, timeout=60)
    answer.raise_for_status()
    return list(answer.json())


def _groups(server: str, run: dict[str, Any]) -> list[dict[str, Any]]:
    return _find(server, "flow_runs", flow_runs={"parent_flow_run_id": {"any_": [run["id"]]}}, sort="START_TIME_ASC")


if __name__ == "__main__":
    main()
