"""Measure the pages: the time of every address, the memory of the server, and a run next to many readers.

The default database has a million measurements of 20,000 sources, made by the pipeline from source lists (see
:mod:`survey_sky`), and a second dataset of images with pixels. A server in its own process gets requests for each of
its pages, charts and pictures, with varied parameters. With ``--run``, the pipeline writes a further dataset into the
same database, alternately alone and while readers open pages. Nothing is asserted:

    python benchmarks/pages.py --keep /data/pages
    python benchmarks/pages.py --keep /data/pages --readers 20 --run
    python benchmarks/pages.py --database survey.db
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from argparse import ArgumentParser, Namespace
from collections import Counter
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Self
from urllib.parse import quote, urlsplit

import numpy as np
import psutil
import survey_sky
from survey import MemoryWatch, children_seconds, run, write_survey
from survey_sky import Survey

from trap.cli import main as transients
from trap.db.lightcurves import light_curve
from trap.db.overview import list_datasets
from trap.db.reader import Reader
from trap.db.result_tables import read_rows
from trap.web.app import ROUTERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parents[1]
N_ROUNDS = 40
EPOCH_DAYS = 12.0
"""Time between epochs, so that fifty of them lie in the past: images of the future are rejected."""
PAUSE_SECONDS = 5.0
"""Mean time for which a reader looks at a page."""
QUERIES = {
    "sources": (
        "", "page=2", "page=200", "order=-eta", "order=-v,runcat&page=3", "min_eta=2&min_v=0.1", "order=-f_datapoints",
        "max_p=0.0001&order=-eta", "candidates_only=1", "near={position}&radius=1800", "order=wm_decl", "size=100",
    ),
    "transients": ("", "order=-det_sigma", "min_newness=10", "near={position}&radius=36000"),
    "images": ("", "page=2", "order=-rms_qc", "order=taustart_ts", "min_rms_qc=0.0001"),
    "measurements": ("", "page=50", "order=-det_sigma", "near={position}&radius=600", "min_det_sigma=20"),
    "lightcurves": ("entries={runcat}", "near={position}&radius=30"),
    "download": ("format=csv&near={position}&radius=600", "format=ecsv&near={position}&radius=60"),
    "position": ("at={position}",),
    "position.json": ("at={position}",),
    "position/download": ("at={position}",),
    "place": ("x=100&y=200",),
    "position/progress.json": ("at={position}",),
    "source": ("runcat={runcat}",),
    "eta-v": ("", "sigma_eta=2&sigma_v=2"),
    "eta-v.json": ("", "sigma_eta=2&sigma_v=2"),
    "light-curve.json": ("", "flux=peak", "time=days&axis=log", "limits=0"),
    "picture.png": ("", "side=500"),
}  # fmt: skip
"""Choices of pages by the end of their address. A page that refuses one is counted, and shows in the output."""
CHARTS = ("sky", "noise", "gain", "shift", "counts")
HEADING = "  median      95%  slowest computing       kB  page (ms; numbers of other statuses than 200)"
PLACES = re.compile(r"\{(\w+)(?::\w+)?\}")


@dataclass(frozen=True)
class Values:
    """Values that take the place of the parameters in the addresses of a dataset.

    Parameters
    ----------
    number
        Number of the dataset.
    points
        Sources, each with an image that measured it.
    positions
        deg — positions of sources.
    """

    number: int
    points: Sequence[tuple[int, int]]
    positions: Sequence[tuple[float, float]]

    def fill(self, text: str, generator: random.Random) -> str:
        """Put values in the places of an address."""
        runcat, image = generator.choice(self.points)
        values = {
            "number": str(self.number),
            "runcat": str(runcat),
            "image": str(image),
            "name": generator.choice(CHARTS),
            "position": quote("{:.5f} {:+.5f}".format(*generator.choice(self.positions))),
        }
        return PLACES.sub(lambda place: values.get(place[1], "1"), text)


@dataclass
class Measured:
    """The answers to one kind of request, and the mean time of computing [s] of the server, on any busy machine."""

    seconds: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    computing: float = np.nan
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, seconds: float, size: int, status: int) -> None:
        """Add an answer."""
        with self.lock:
            self.seconds.append(seconds)
            self.sizes.append(size)
            self.statuses[status] += 1

    def line(self, name: str) -> str:
        """Return a line of the output."""
        ms = 1e3 * np.array(self.seconds)
        others = {status: n for status, n in self.statuses.items() if status != 200}
        return (
            f"{np.median(ms):8.0f} {np.percentile(ms, 95):8.0f} {ms.max():8.0f} {1e3 * self.computing:9.0f} "
            f"{max(self.sizes) / 1e3:8.0f}  {name}" + (f"  {others}" if others else "")
        )


def make_database(folder: Path, given: Namespace) -> str:
    """Make the database by the pipeline, or take the one that is there; return its URL."""
    database = f"sqlite:///{folder / 'survey.db'}"
    if not (folder / "survey.db").exists():
        survey_sky.EPOCH_DAYS = EPOCH_DAYS
        survey = Survey(n_images=given.images, n_fields=given.fields, n_sources=given.sources, seed=given.seed)
        seconds, _, _ = run(write_survey(survey, folder / "lists"), database, folder)
        print(f"database of lists in {seconds:.0f} s", flush=True)
        process_images(folder, database, 8)
    return database


def process_images(folder: Path, database: str, n_timesteps: int) -> tuple[float, float]:
    """Process simulated images into a new dataset; return the seconds, and those of computing."""
    images = folder / f"images_{n_timesteps}"
    if not images.exists():
        transients(["simulate", str(images), "--timesteps", str(n_timesteps), "--bands", "2", "--size", "512"])
    command = [sys.executable, "-m", "trap", "run", "--images", f"{images}/t*.fits", "--database", database]
    start, before = time.perf_counter(), children_seconds()
    done = subprocess.run(  # noqa: S603
        [*command, "--no-prefect", "--quiet", "--new-dataset"], cwd=folder, env=_environment(), capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    if done.returncode not in (0, 3):
        raise SystemExit(done.stdout + done.stderr)
    return time.perf_counter() - start, children_seconds() - before


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@contextmanager
def serving(database: str) -> Iterator[tuple[str, psutil.Process]]:
    """Serve a database in a process of its own; yield host and port, and the process."""
    command = [sys.executable, "-m", "trap", "serve", database, "--port", "0"]
    with subprocess.Popen(command, env=_environment(), stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            assert process.stdout is not None  # noqa: S101
            address = process.stdout.readline().rstrip().rpartition(" ")[2]
            yield urlsplit(address).netloc, psutil.Process(process.pid)
        finally:
            process.terminate()


def values_of(database: str) -> list[Values]:
    """Return values of the parameters for each dataset: candidates and other sources, with their images."""
    reader, found = Reader(database), []
    with reader.read() as connection:
        for dataset in list_datasets(connection):
            number = int(dataset["id"])
            sources = read_rows(connection, "sources", [number], columns=["runcat", "wm_ra", "wm_decl"], limit=5000)
            candidates = read_rows(connection, "transients", [number])["runcat"].tolist()
            chosen = [*sources["runcat"].tolist()[:: max(len(sources["runcat"]) // 100, 1)], *candidates[:100]]
            images = {entry: light_curve(connection, entry)["image"].tolist() for entry in chosen}
            positions = list(zip(sources["wm_ra"].tolist(), sources["wm_decl"].tolist(), strict=True))[::13]
            if positions:
                points = [(entry, image) for entry, several in images.items() for image in several[::5]]
                found.append(Values(number=number, points=points, positions=positions))
    return found


def templates() -> list[str]:
    """Return the addresses of all pages, with names in place of their parameters, from the application itself."""
    paths = {
        route.path for router in ROUTERS for route in router.routes if "GET" in (getattr(route, "methods", None) or ())
    }
    return sorted(path for path in paths if path.count("{number}") == 1)


def request_of(template: str, values: Values, generator: random.Random) -> str:
    """Return the address of a page, with varied parameters."""
    ends = ("/".join(template.rsplit("/", n)[1:]) for n in (2, 1))
    queries = next((QUERIES[end] for end in ends if end in QUERIES), ("",))
    query = generator.choice(queries)
    return values.fill(f"{template}?{query}" if query else template, generator)


def get(netloc: str, address: str) -> tuple[float, int, int]:
    """Return the seconds until the end of an answer, its size, and its status; 0 for no answer."""
    start = time.perf_counter()
    try:
        with closing(HTTPConnection(netloc, timeout=60)) as connection:
            connection.request("GET", address)
            response = connection.getresponse()
            body, status = response.read(), response.status
    except (OSError, HTTPException):
        body, status = b"", 0
    return time.perf_counter() - start, len(body), status


def measure_pages(netloc: str, process: psutil.Process, database: str, rounds: int) -> None:
    """Print the times of all pages of all datasets."""
    generator = random.Random(1)  # noqa: S311 (a benchmark)
    for values in values_of(database):
        measured: dict[str, Measured] = {}
        for template in templates():
            measured[template], before = Measured(), sum(process.cpu_times()[:2])
            for _ in range(rounds):
                measured[template].add(*get(netloc, request_of(template, values, generator)))
            measured[template].computing = (sum(process.cpu_times()[:2]) - before) / rounds
        print(f"dataset {values.number}\n{HEADING}")
        for template, answers in measured.items():
            print(answers.line(template))
        slowest = max(measured, key=lambda one: float(np.percentile(measured[one].seconds, 95)))
        print(f"slowest at 95 %: {1e3 * np.percentile(measured[slowest].seconds, 95):.0f} ms, {slowest}\n", flush=True)


class Readers:
    """People who open one page after the other while the block runs."""

    def __init__(self, netloc: str, database: str, n_readers: int, pause: float) -> None:
        self.netloc, self.pause, self.answers = netloc, pause, Measured()
        self._ends = threading.Event()
        self._values, self._templates = values_of(database), templates()
        self._threads = [threading.Thread(target=self._read, args=(seed,)) for seed in range(n_readers)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join()

    def _read(self, seed: int) -> None:
        generator = random.Random(seed)  # noqa: S311 (a benchmark)
        while not self._ends.wait(generator.uniform(0, 2 * self.pause)):
            values, template = generator.choice(self._values), generator.choice(self._templates)
            self.answers.add(*get(self.netloc, request_of(template, values, generator)))


def measure_run(netloc: str, database: str, folder: Path, given: Namespace) -> None:
    """Print the time of a run alone and next to readers, and the answers that readers got."""
    process_images(folder, database, given.timesteps)  # reads the images into memory
    seconds: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    answers = Measured()
    for i in range(2 * given.repeats):
        has_readers = bool(i % 2)
        readers = Readers(netloc, database, given.readers, given.pause) if has_readers else nullcontext()
        with readers:
            seconds[has_readers].append(process_images(folder, database, given.timesteps))
        if isinstance(readers, Readers):
            for answer in zip(readers.answers.seconds, readers.answers.sizes, strict=True):
                answers.add(*answer, 200)
            answers.statuses = answers.statuses - Counter({200: len(readers.answers.seconds)})
            answers.statuses += readers.answers.statuses
    for has_readers, times in seconds.items():
        name = f"next to {given.readers} readers" if has_readers else "alone"
        every = "; ".join(f"{one:.1f}, {computing:.1f}" for one, computing in times)
        one, computing = (median(values) for values in zip(*times, strict=True))
        print(f"run {name}: {one:.1f} s, {computing:.1f} s of computing ({every})")
    print(HEADING)
    print(answers.line(f"{len(answers.seconds)} pages during the runs: {dict(answers.statuses)}"))
    failed = sum(n for status, n in answers.statuses.items() if status == 0 or status >= 500)
    print(f"answers that were errors of the server: {failed}")


def _peak(process: psutil.Process) -> float:
    """Return the largest memory that a process has had, in bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return 1024.0 * int(re.search(r"VmHWM:\s+(\d+)", status)[1])


def main(arguments: Sequence[str] | None = None) -> None:
    """Make or take the database, serve it, and print the figures."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=460, help="number of lists (%(default)s)")
    parser.add_argument("--fields", type=int, default=9, help="number of fields (%(default)s)")
    parser.add_argument("--sources", type=int, default=2200, help="sources in a list (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="folder that keeps the database for later calls")
    parser.add_argument("--database", metavar="URL", help="an existing database, which is only read without --run")
    parser.add_argument("--rounds", type=int, default=N_ROUNDS, help="requests of each kind (%(default)s)")
    parser.add_argument("--run", action="store_true", help="measure a run next to readers, in a copy of the database")
    parser.add_argument("--readers", type=int, default=20, help="number of readers (%(default)s)")
    parser.add_argument("--pause", type=float, default=PAUSE_SECONDS, help="s, mean time of a look (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each kind (%(default)s)")
    parser.add_argument("--timesteps", type=int, default=24, help="timesteps of a run (%(default)s)")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = given.keep.absolute() if given.keep else Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        database = given.database or make_database(folder, given)
        if given.run:
            shutil.copy(database.removeprefix("sqlite:///"), folder / "written.db")
            database = f"sqlite:///{folder / 'written.db'}"
        with serving(database) as (netloc, process), MemoryWatch(process.pid) as memory:
            if given.run:
                measure_run(netloc, database, folder, given)
            else:
                measure_pages(netloc, process, database, given.rounds)
            own, end = _peak(process), process.memory_info().rss
        print(f"memory of the server: {end / 1e6:.0f} MB at the end, {own / 1e6:.0f} MB at most, ", end="")
        print(f"{memory.peak / 1e6:.0f} MB with the process that reads images")


if __name__ == "__main__":
    main()
