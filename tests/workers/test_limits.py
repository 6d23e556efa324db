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


def has_ended(pid, seconds=1.0):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


def test_worker_inside_compiled_code_ends_within_a_second_of_its_parent(tmp_path):
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
    assert has_ended(server.pid, seconds=5.0)


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


def test_memory_beyond_the_limit_is_refused_and_given_back_afterwards():
    with limited_memory(1 << 25):
        small = np.ones(1 << 24, np.uint8)
        with pytest.raises(MemoryError):
            np.ones(1 << 26, np.uint8)
    assert small.sum() == 1 << 24
    assert np.ones(1 << 26, np.uint8).sum() == 1 << 26


def test_limit_inside_another_one_never_widens_it():
    with limited_memory(1 << 27), limited_memory(1 << 40), pytest.raises(MemoryError):
        np.ones(1 << 28, np.uint8)


def test_mapped_file_does_not_count(tmp_path):
    path = tmp_path / "image"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    with limited_memory(1 << 27):
        assert np.memmap(path, "u1", mode="r").size == 1 << 30
