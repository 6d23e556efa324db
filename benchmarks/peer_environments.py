"""Install programs for comparison into their own environments, never into the environment of this project."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def installed(package: str, cache: Path) -> Path | None:
    """Install a package from PyPI and return its interpreter; if this fails, print a message and return None."""
    home = cache / "peers" / package.split("=", maxsplit=1)[0]
    python = home / "bin" / "python"
    uv = next(iter(ROOT.glob(".tools/uv-*/bin/uv")), None)
    if uv is None:
        print(f"{package} left out: no uv in .tools (run make once)")
        return None
    steps = ([uv, "venv", "--quiet", "--clear", "--python", sys.executable, home],)
    steps += ([uv, "pip", "install", "--quiet", "--python", python, package],)
    for step in () if python.exists() else steps:
        done = subprocess.run([str(part) for part in step], capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            print(f"{package} left out: {done.stderr.strip().splitlines()[-1:]}")
            return None
    return python
