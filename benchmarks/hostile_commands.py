"""Run random commands with hostile arguments, environments, folders and streams, and count those that crash.

python benchmarks/hostile_commands.py [--commands N] [--seed SEED]

Each command is a process of its own, as at a terminal. The seed is random, and printed first.
"""

from __future__ import annotations

import argparse
import os
import random
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from trap.simulation.survey import SurveyConfig, simulate_survey

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from hostile_commands import hostile_environment, hostile_words, make_folder

MODULE = (sys.executable, "-m", "trap")
SECONDS = 120
STREAMS = ("", ">/dev/full", "2>/dev/full", ">&-", "2>&-", "<&- >&- 2>&-", "2>&1 | head -c 1", "| true")
ENCODINGS = ("utf-8", "ascii", "latin-1:strict", "cp437")
CODES = {0, 1, 2, 3, 4}


def crash_of(words: list[str], streams: str, environment: dict[str, str]) -> str | None:
    """Run a command line of a shell; return the reason if it crashes, None if it ends as it should."""
    line = f"set -o pipefail; {shlex.join(words)} {streams}"
    try:
        done = subprocess.run(  # noqa: S603 (our own command line)
            ["/bin/bash", "-c", line],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"no end after {SECONDS} s"
    if b"Traceback" in done.stderr + done.stdout:
        return done.stderr.decode(errors="replace").strip().splitlines()[-1]
    return None if done.returncode in CODES else f"exit code {done.returncode}"


def main() -> None:
    """Run the commands, and print each kind of crash with its first command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commands", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}")
    rng, crashes = random.Random(arguments.seed), Counter[str]()  # noqa: S311 (no secret)
    with tempfile.TemporaryDirectory() as name:
        folder, database = Path(name) / "folder", Path(name) / "trap.db"
        folder.mkdir()
        make_folder(folder)
        images = simulate_survey(
            Path(name) / "survey",
            SurveyConfig(n_timesteps=3, n_bands=1, size=96, n_steady=5, n_variables=1, n_transients=1),
        ).images
        run = ("run", "--no-prefect", "--quiet", "--database", str(database), "--images", *map(str, images))
        subprocess.run([*MODULE, *run], check=False, stdout=subprocess.DEVNULL)  # noqa: S603 (as above)
        good = database.read_bytes()
        for image in images[:2]:
            shutil.copy(image, folder)
        for _ in range(arguments.commands):
            database.write_bytes(good)
            words = hostile_words(rng, folder, f"sqlite:///{database}")
            words = [*MODULE, *(word for word in words if "\0" not in word)]
            if words[3] == "run":
                words.append("--no-prefect")
            chosen = {**hostile_environment(rng), "PYTHONIOENCODING": rng.choice(ENCODINGS)}
            crash = crash_of(words, rng.choice(STREAMS), os.environ | chosen)
            if crash is not None:
                if not crashes[crash]:
                    print(f"{crash}\n  {chosen!r} {shlex.join(words[1:])!a}", flush=True)
                crashes[crash] += 1
    print(f"{arguments.commands} commands, {crashes.total()} crashes of {len(crashes)} kinds")
    sys.exit(1 if crashes else 0)


if __name__ == "__main__":
    main()
