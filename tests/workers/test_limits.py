"""Workers whose parent dies, and the limit of memory."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from trap.workers.limits import _kill_at_end_of, limited_memory

RUN = """
import ctypes, os
from trap.workers.executors import ProcessExecutor

def sleep_in_c():
    # A function of C that holds the interpreter: no other thread of Python runs meanwhile.
    ctypes.PyDLL(None).sleep(300)

if __name__ == "__main__":
    with ProcessExecutor(1) as workers:
        print(workers.submit(os.getpid).result(), flush=True)
        workers.submit(sleep_in_c).result()
"""


SIZES = """
import sys
import numpy as np
from contextlib import ExitStack
from trap.workers.limits import limited_memory

with ExitStack() as limits:
    for limit in sys.argv[1].split(","):
        limits.enter_context(limited_memory(1 << int(limit)))
    kept = []
    for size in sys.argv[2].split(","):
        try:
            kept.append(np.ones(1 << int(size), np.uint8))
            print("taken")
        except MemoryError:
            print("refused")
print(sum(part.sum() == part.size for part in kept), np.ones(1 << 28, np.uint8).sum() == 1 << 28)
"""


def has_ended(pid, seconds=60.0):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


def test_worker_inside_compiled_code_ends_with_its_parent(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(RUN)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as run:
        worker = int(run.stdout.readline())
        server = psutil.Process(worker).parent()
        time.sleep(0.3)  # the step is inside the function
        assert not has_ended(worker, seconds=0.1)
        run.kill()
        assert has_ended(worker)
    # Nothing holds the server any more.
    assert has_ended(server.pid)


@pytest.mark.parametrize("when", ["before", "after"])
def test_process_ends_with_its_pipe_whenever_that_is_closed(when):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        if when == "before":
            time.sleep(0.2)
        _kill_at_end_of(reader)
        ctypes.PyDLL(None).sleep(300)  # holds the interpreter
        os._exit(0)
    os.close(reader)
    time.sleep(0.0 if when == "before" else 0.3)
    os.close(writer)
    assert has_ended(child)
    _, status = os.waitpid(child, 0)
    expected = [1, -signal.SIGKILL] if when == "before" else [-signal.SIGKILL]
    assert os.waitstatus_to_exitcode(status) in expected


@pytest.mark.parametrize(
    ("limits", "sizes", "expected"),
    [
        pytest.param("25", "24,26", "taken refused 1 True", id="beyond-the-limit"),
        pytest.param("27,40", "28", "refused 0 True", id="inside-a-narrower-one"),
    ],
)
def test_memory_beyond_the_limit_is_refused_and_given_back_afterwards(limits, sizes, expected):
    # A process that has run other tests has memory of theirs to give out again, which no limit counts.
    run = subprocess.run([sys.executable, "-c", SIZES, limits, sizes], capture_output=True, text=True, check=True)
    assert run.stdout.split() == expected.split()


def test_mapped_file_does_not_count(tmp_path):
    path = tmp_path / "image"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    with limited_memory(1 << 27):
        assert np.memmap(path, "u1", mode="r").size == 1 << 30
