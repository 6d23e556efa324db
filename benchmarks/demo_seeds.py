"""Run the demo with many seeds, and print a table of the demands that the results do not meet.

Every seed simulates another sky. With ``--radius`` a circle is searched instead of the whole image, so that sources lie
across its rim. The exit code is 1 if a seed does not meet a demand.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path

from trap.cli.demo import demonstrate
from trap.cli.parser import make_parser
from trap.config import PipelineConfig


def run_seed(seed: int, settings: PipelineConfig) -> list[str]:
    """Run the demo with one seed in a temporary folder, and return the unmet demands."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        arguments = make_parser().parse_args(["demo", str(Path(folder) / "demo"), "--seed", str(seed), "--no-prefect"])
        return demonstrate(arguments, settings)


def main() -> int:
    """Run all seeds."""
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=1, help="first seed (%(default)s)")
    parser.add_argument("--last", type=int, default=50, help="last seed (%(default)s)")
    parser.add_argument(
        "--radius", type=float, default=0.0, help="radius of the searched circle in pixels; 0: no circle"
    )
    arguments = parser.parse_args()
    settings = PipelineConfig().with_options(source_extraction={"extraction_radius_pix": arguments.radius})
    n_failed = 0
    print("seed  seconds  problems")
    for seed in range(arguments.first, arguments.last + 1):
        start = time.perf_counter()
        problems = run_seed(seed, settings)
        n_failed += bool(problems)
        print(f"{seed:4}  {time.perf_counter() - start:7.1f}  {'; '.join(problems) or 'none'}", flush=True)
    n_seeds = arguments.last - arguments.first + 1
    print(f"{n_seeds - n_failed} of {n_seeds} seeds without problems")
    return 1 if n_failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
