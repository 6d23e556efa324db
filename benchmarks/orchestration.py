"""Measure the cost of Prefect: the same images with and without it, and a long campaign.

``compare`` processes the same survey without Prefect and with each granularity of tasks (``auto``, ``timestep``,
``image``). It prints wall times, which include the Prefect server on this machine, and processor times of the server.
``campaign`` processes many timesteps of tiny images with granularity ``auto``. It prints whether the time per timestep
stays constant, and the growth of Prefect's database. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import tempfile
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

HOME = tempfile.mkdtemp(prefix="trap-benchmark-")
# Set before Prefect is imported, so that it uses a server of its own.
os.environ.pop("PREFECT_API_URL", None)
os.environ |= {"PREFECT_HOME": HOME, "OMP_NUM_THREADS": "1"}

from astropy.io import fits  # noqa: E402

from flows.process_dataset import run_with_prefect  # noqa: E402
from flows.service.server import ensure_server, stop_server  # noqa: E402
from trap.config import PipelineConfig  # noqa: E402
from trap.log import configure_logging  # noqa: E402
from trap.pipeline import run_locally as run_alone  # noqa: E402
from trap.simulation.survey import SurveyConfig, simulate_survey  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flows.service.server import Server

START = datetime(2026, 1, 1, tzinfo=UTC)
N_PATTERNS = 10
"""Number of simulated images; the others repeat their pixels at another time."""


def make_images(folder: Path, *, n_timesteps: int, size: int, n_sources: int) -> None:
    """Make a series of images, one per timestep, unless the folder already has them."""
    if len(list(folder.glob("*.fits"))) == n_timesteps:
        return
    settings = SurveyConfig(
        n_timesteps=min(N_PATTERNS, n_timesteps),
        n_bands=1,
        size=size,
        n_steady=n_sources,
        n_variables=0,
        n_transients=0,
    )
    if n_sources > 100:
        # The field has no room for more sources at the usual distance.
        settings = replace(settings, min_separation_beams=1.0, steady_sigma=(12.0, 200.0))
    patterns = sorted(simulate_survey(folder / "patterns", settings).directory.glob("*.fits"))
    for number in range(n_timesteps):
        with fits.open(patterns[number % len(patterns)]) as hdus:
            hdus[0].header["DATE-OBS"] = (START + timedelta(seconds=number)).isoformat(timespec="seconds")[:19]
            hdus.writeto(folder / f"{number:06}.fits")
    shutil.rmtree(folder / "patterns")


def settings_of(folder: Path, name: str, **execution: object) -> PipelineConfig:
    """Make the settings of a run over the images of a folder, with its own database."""
    database = folder / f"{name}.db"
    for path in folder.glob(f"{name}.db*"):
        path.unlink()
    options = {"images": (str(folder / "*.fits"),), "database": f"sqlite:///{database}", **execution}
    return PipelineConfig().with_options(
        execution=options, persistence={"description": name}, source_extraction={"extraction_radius_pix": 0.0}
    )


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used, in s."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def prefect_megabytes() -> float:
    """Return the size of Prefect's database and its write-ahead log, in MB."""
    return sum(path.stat().st_size for path in Path(HOME).glob("prefect.db*")) / 1e6


def prefect_rows() -> dict[str, int]:
    """Count the rows of the tables of Prefect's database that grow with runs."""
    tables = (
        "flow_run",
        "flow_run_state",
        "task_run",
        "task_run_state",
        "events",
        "event_resources",
        "log",
        "artifact",
    )
    with sqlite3.connect(f"file:{HOME}/prefect.db?mode=ro", uri=True) as connection:
        return {table: connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in tables}  # noqa: S608


def wait_until_recorded(seconds: float = 600.0) -> None:
    """Wait until the server has stored all records that it received."""
    before, deadline = -1, time.monotonic() + seconds
    while (now := sum(prefect_rows().values())) != before and time.monotonic() < deadline:
        before = now
        time.sleep(5.0)


@contextmanager
def server() -> Iterator[Server]:
    """Start a server, and stop it at the end."""
    try:
        yield ensure_server()
    finally:
        stop_server()
        shutil.rmtree(HOME, ignore_errors=True)


def compare(folder: Path, arguments: argparse.Namespace, running: Server) -> None:
    """Process the same images in four ways by turns, and repeat it."""
    workers = {"n_workers": arguments.workers}
    walls: dict[str, list[float]] = {"alone": [], "auto": [], "timestep": [], "image": []}
    servers: dict[str, list[float]] = {name: [] for name in walls}
    for _ in range(arguments.repeats):
        for name, wall in walls.items():
            granularity = {} if name == "alone" else {"granularity": name}
            config = settings_of(folder, name, **workers, **granularity)
            before, begin = processor_seconds(running.pid or 0), time.perf_counter()
            summary = (run_alone if name == "alone" else run_with_prefect)(config)
            wall.append(time.perf_counter() - begin)
            servers[name].append(processor_seconds(running.pid or 0) - before)
            n_sources = np.median([len(image.result.measurements) for image in summary.images])
            print(f"{name:9}{wall[-1]:8.1f} s, server {servers[name][-1]:5.1f} s, {n_sources:.0f} sources an image")
    for name in ("auto", "timestep", "image"):
        # Ratios within a round: a busy machine slows both runs.
        ratios = np.array(walls[name]) / np.array(walls["alone"]) - 1
        print(f"granularity {name!r}: {100 * np.median(ratios):.1f} % more wall time (median of {len(ratios)} rounds)")


def campaign(folder: Path, arguments: argparse.Namespace, _running: Server) -> None:
    """Process many timesteps of tiny images; print times per timestep and the size of Prefect's database."""
    empty, before = prefect_megabytes(), prefect_rows()
    moments: list[float] = []
    config = settings_of(folder, "campaign", n_workers=arguments.workers, granularity="auto")

    def note(_done: int, _total: int, what: str = "timesteps") -> None:
        if what == "timesteps":
            moments.append(time.perf_counter())

    begin = time.perf_counter()
    run_with_prefect(config, progress=note)
    wall = time.perf_counter() - begin
    seconds = np.diff(moments)
    tenths = [1e3 * np.mean(part) for part in np.array_split(seconds, 10)]
    print(f"{arguments.timesteps} timesteps in {wall:.0f} s; ms per timestep, by tenths: "
          + " ".join(f"{value:.0f}" for value in tenths))  # fmt: skip
    print(f"last tenth / first tenth: {tenths[-1] / tenths[0]:.2f}")
    wait_until_recorded()
    print(f"Prefect's database: {empty:.1f} MB before, {prefect_megabytes():.1f} MB after")
    grown = {table: n - before[table] for table, n in prefect_rows().items()}
    per_thousand = {table: round(1000 * n / arguments.timesteps) for table, n in grown.items()}
    print(f"rows per 1,000 timesteps: {sum(per_thousand.values())}; by table {per_thousand}")


def main() -> None:
    """Run one of the two measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for measure, timesteps, size, sources in ((compare, 300, 1024, 500), (campaign, 10_000, 64, 1)):
        command = commands.add_parser(measure.__name__, help=measure.__doc__)
        command.add_argument("--timesteps", type=int, default=timesteps)
        command.add_argument("--size", type=int, default=size)
        command.add_argument("--sources", type=int, default=sources)
        command.add_argument("--workers", type=int, default=0)
        command.add_argument("--repeats", type=int, default=3)
        command.add_argument(
            "--folder", type=Path, help="folder of the images, kept after the run (default: a temporary one)"
        )
        command.add_argument("--images-only", action="store_true", help="make the images only")
        command.set_defaults(measure=measure)
    arguments = parser.parse_args()
    configure_logging(stream=Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 (open as long as the process)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        make_images(folder, n_timesteps=arguments.timesteps, size=arguments.size, n_sources=arguments.sources)
        if not arguments.images_only:
            with server() as running:
                arguments.measure(folder, arguments, running)


if __name__ == "__main__":
    main()
