"""Measure time and memory of reading the headers of many images, by number of workers and of images.

python benchmarks/scanning.py [--images N]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from trap.config import PipelineConfig
from trap.run.planning import make_plan
from trap.simulation.survey import SurveyConfig, simulate_survey

DATE = "2026-01-01T00:00:00.000000"


def make_images(folder: Path, number: int) -> list[str]:
    """Write small images that differ in their dates."""
    (seed, *_) = simulate_survey(
        folder, SurveyConfig(n_timesteps=1, n_bands=1, size=32, n_steady=0, n_variables=0, n_transients=0)
    ).images
    content, start = seed.read_bytes(), datetime(2020, 1, 1, tzinfo=UTC)
    paths = []
    for n in range(number):
        date = (start + timedelta(seconds=n)).replace(tzinfo=None).isoformat(timespec="microseconds")
        path = folder / f"image_{n:06d}.fits"
        path.write_bytes(content.replace(DATE.encode(), date.encode()))
        paths.append(str(path))
    return paths


def main() -> None:
    """Scan the images with one worker and with two, and half of them to compare the memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    number = parser.parse_args().images
    with tempfile.TemporaryDirectory() as folder:
        paths = make_images(Path(folder), number)
        seconds = {}
        for n_images, n_workers in ((number // 2, 2), (number, 2), (number, 1)):
            config = PipelineConfig().with_options(execution={"n_workers": n_workers})
            begin = time.perf_counter()
            plan = make_plan(paths[:n_images], known_hashes=(), latest=None, config=config)
            seconds[n_images, n_workers] = time.perf_counter() - begin
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(
                f"{n_images} images, {n_workers} workers: {len(plan.timesteps)} timesteps in "
                f"{seconds[n_images, n_workers]:.1f} s; peak memory of this process {peak:.0f} MiB"
            )
        print(f"two workers are {seconds[number, 1] / seconds[number, 2]:.2f} times as fast as one")


if __name__ == "__main__":
    main()
