#!/usr/bin/env python3
"""Check whether the program of a container works: the health check of the image.

`health` finds the role of the container by the command lines of its processes; `health ADDRESS ...` requests the given
addresses instead. The exit code is 0 if every address answers, and if a role has none; otherwise 1. The pages get their
token from TRANSIENTS_TOKEN.
"""

from __future__ import annotations

import os
import sys
import urllib.request
from pathlib import Path

SECONDS = 5
ROLES = {
    "prefect server start": "http://127.0.0.1:4200/api/health",
    "--with-healthcheck": "http://127.0.0.1:8080/health",
    "transients serve": "http://127.0.0.1:8765/",
    "transients watch": f"{os.environ.get('PREFECT_API_URL', 'http://127.0.0.1:4200/api')}/health",
}
"""Part of a command line, and the address that its program serves. The watcher serves none; its server must answer."""


def commands(processes: Path = Path("/proc")) -> list[str]:
    """Return the command lines of all processes, without the folders of their programs."""
    lines = []
    for path in processes.glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:  # the process has ended, or belongs to another user
            continue
        lines.append(" ".join(word.decode(errors="replace").rpartition("/")[2] for word in words))
    return lines


def addresses_of(lines: list[str]) -> list[str]:
    """Return the addresses that the programs of command lines serve."""
    return [address for part, address in ROLES.items() if any(part in line for line in lines)]


def problem_of(address: str) -> str | None:
    """Request an address, and return the reason if it does not answer."""
    request = urllib.request.Request(address)  # noqa: S310 (the addresses are our own)
    if token := os.environ.get("TRANSIENTS_TOKEN"):
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        # No proxy: the addresses are those of this container or of its network.
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=SECONDS):
            return None
    except (OSError, ValueError) as error:
        return f"{address}: {error}"


def main() -> int:
    """Print the problems, and return the exit code."""
    problems = [problem for address in sys.argv[1:] or addresses_of(commands()) if (problem := problem_of(address))]
    print("\n".join(problems) or "healthy")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
