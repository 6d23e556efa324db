"""Fork runs that a test can kill from a warm process, so that they start at once.

Each line of standard input is a JSON object of ``config``, ``runner`` and ``socket``. The number of the forked process
and then its exit status are written to standard output. A run sends one byte per event to ``socket``, and waits for an
answer before each commit. Without a socket the run is executed in this process, which is warm afterwards.
"""

from __future__ import annotations

import json
import os
import socket
import sys

from sqlalchemy import Engine, event

from flows.process_dataset import run_with_prefect as run_flow
from trap.config import PipelineConfig
from trap.log import configure_logging
from trap.pipeline import open_run
from trap.run import image_measurement, look_ahead
from trap.workers.executors import SerialExecutor


def run_here(config):
    """Run the stages in the order of the flow, without server and workers."""
    with open_run(config) as dataset:
        for group in dataset.plan.groups:
            dataset.process_group(group, SerialExecutor())
        return dataset.summary()


RUNNERS = {"local": run_here, "prefect": run_flow}


def report(path):
    """Report each statement, group of timesteps and image to the test, and wait for its answer before each commit."""
    wire = socket.socket(socket.AF_UNIX)
    wire.connect(path)

    def commit(connection):
        if not connection.get_execution_options().get("trap_reading"):
            wire.send(b"c")
            wire.recv(1)

    event.listen(Engine, "before_cursor_execute", lambda *_: wire.send(b"s"))
    event.listen(Engine, "commit", commit)
    measure, begin = image_measurement._measure, look_ahead.LookAhead.__init__
    image_measurement._measure = lambda *given: (wire.send(b"m"), measure(*given))[1]
    look_ahead.LookAhead.__init__ = lambda *given, **options: (wire.send(b"g"), begin(*given, **options))[1]


def write_number(number):
    """Write a number for the test."""
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def main():
    """Fork a process for each line of standard input."""
    configure_logging()  # on standard error: the numbers go to standard output
    for line in sys.stdin:
        order = json.loads(line)
        config = PipelineConfig.model_validate(order["config"])
        if not order["socket"]:
            write_number(os.getpid())
            write_number(int(run_here(config).exit_code))
            continue
        pid = os.fork()
        if pid == 0:
            report(order["socket"])
            os._exit(int(RUNNERS[order["runner"]](config).exit_code))
        write_number(pid)
        _, status = os.waitpid(pid, 0)
        write_number(status)


if __name__ == "__main__":
    main()
