"""Try random headers, files and pixels with a new seed, and print the seed.

python benchmarks/fuzzing.py [--seed N] [--times N]

The tests themselves try the same examples every time. A seed that fails here fails again with --seed.
"""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = ("tests/reliability/test_any_file.py", "tests/extraction/test_any_input.py")


def main() -> int:
    """Run the tests with the seed; return their exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 31))
    parser.add_argument("--times", type=int, default=10, help="factor on the number of examples (default: 10)")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}, {arguments.times} times the examples of the tests", flush=True)
    environment = os.environ | {"TRAP_FUZZ_SEED": str(arguments.seed), "TRAP_FUZZ_TIMES": str(arguments.times)}
    begin = time.perf_counter()
    command = [sys.executable, "-m", "pytest", "-q", "--timeout", "0", "-k", "any or anywhere or wrong_bytes", *TESTS]
    code = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode  # noqa: S603 (our own tests)
    print(f"seed {arguments.seed}: exit code {code} after {time.perf_counter() - begin:.0f} s")
    return code


if __name__ == "__main__":
    sys.exit(main())
