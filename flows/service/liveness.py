"""Which process a run is in, so that another one on the same machine can tell whether it is still alive.

The number of a process is given again after it has ended; with the time of its start it is given once.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["has_died", "process_labels"]

HOST, PROCESS, ATTEMPT = "trap.host", "trap.process", "trap.attempt"


def process_labels(attempt: int) -> dict[str, bool | int | float | str]:
    """Labels of a flow run that say where its attempt of this number is: this machine, and this process."""
    return {HOST: socket.gethostname(), PROCESS: f"{os.getpid()}:{_start(os.getpid())}", ATTEMPT: attempt}


def has_died(labels: Mapping[str, object], attempt: int) -> bool:
    """Tell whether the process of a run is known to have ended.

    Of another machine's nothing is known, nor of an attempt that has not said yet where it is.

    Parameters
    ----------
    labels
        Of the run.
    attempt
        Number of the attempt that is running.
    """
    if labels.get(HOST) != socket.gethostname() or labels.get(ATTEMPT) != attempt:
        return False
    number, _, start = str(labels.get(PROCESS, "")).partition(":")
    return number.isdigit() and _start(int(number)) != start


def _start(number: int) -> str:
    """Start of a process, in clock ticks since that of the machine; empty where there is no such process."""
    with suppress(OSError):
        status = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
        # The second field is the program's name in brackets, which may hold anything.
        fields = status.rpartition(")")[2].split()
        return "" if fields[0] in {"Z", "X"} else fields[19]
    return ""
