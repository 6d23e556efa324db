"""Limits of a worker process: it ends with its parent, and it may be given a limit of memory.

A thread that watches the parent is not enough: compiled code may hold the interpreter for hours, and no thread runs
meanwhile. The kernel therefore kills the worker. The signal on the death of a parent, PR_SET_PDEATHSIG, does not serve:
the parent of a worker is the server that forked it, and this server lives as long as a worker does. The signal comes
from a pipe instead, whose other end only the process of the run holds.
"""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import resource
import select
import signal
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["HEADER_MEMORY", "end_with_parent", "limit_memory", "limited_memory", "machine_memory"]

HEADER_MEMORY = 1 << 30
"""bytes — memory that a header may take. The largest real headers, of some ten thousand cards, take 0.03 GB."""
_STATM = Path("/proc/self/statm")
_N_DATA = 5
"""Field of that file: pages of data and stack."""
_CONTAINER = Path("/sys/fs/cgroup/memory.max")
"""File with the limit of a container."""


def end_with_parent(parent: int) -> None:
    """End this process when its parent dies, even while it runs compiled code.

    Parameters
    ----------
    parent
        Process id of the parent: the process that holds the pool of workers.
    """
    process = multiprocessing.parent_process()
    if process is not None and hasattr(fcntl, "F_SETSIG"):
        _kill_at_end_of(process.sentinel)
    # Systems without such signals have the thread only.
    threading.Thread(target=_exit_with, args=(parent,), daemon=True).start()


def _kill_at_end_of(pipe: int) -> None:
    """Let the kernel kill this process when the other end of a pipe is closed, or at once if it is closed already."""
    fcntl.fcntl(pipe, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
    # A parent that died before this line sends no signal any more.
    poll = select.poll()
    poll.register(pipe, 0)  # reports the end of the pipe only
    if poll.poll(0):
        os._exit(1)


def _exit_with(parent: int) -> None:
    while _is_alive(parent):
        time.sleep(1.0)
    os._exit(1)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def machine_memory() -> int:
    """Return the memory [bytes] of this machine with its swap space, or the limit of the container if that is lower."""
    memory = int(psutil.virtual_memory().total + psutil.swap_memory().total)
    try:
        container = _CONTAINER.read_text(encoding="ascii").strip()
    except OSError:
        return memory
    return min(memory, int(container)) if container.isdigit() else memory


def limit_memory(allowance: int) -> None:
    """Limit the memory that this process allocates from now on; beyond it, allocations raise ``MemoryError``.

    The limit holds for all threads of the process. Without it, a process takes all memory, and the kernel ends any
    process of the machine.

    Parameters
    ----------
    allowance
        bytes — memory beyond the memory that the process uses already. Files that are mapped do not count.
    """
    before = resource.getrlimit(resource.RLIMIT_DATA)
    try:
        used = int(_STATM.read_text(encoding="ascii").split()[_N_DATA]) * resource.getpagesize()
    except OSError:
        return  # not Linux, whose kernel alone counts mapped memory for this limit
    limits = [used + allowance, *(limit for limit in before if limit != resource.RLIM_INFINITY)]
    resource.setrlimit(resource.RLIMIT_DATA, (min(limits), before[1]))


@contextmanager
def limited_memory(allowance: int) -> Iterator[None]:
    """Limit the memory of this process as :func:`limit_memory` does, in the block only.

    Parameters
    ----------
    allowance
        As for :func:`limit_memory`.
    """
    before = resource.getrlimit(resource.RLIMIT_DATA)
    limit_memory(allowance)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)
