"""Runs that can be killed, started at no cost: a warm process that forks one for each.

It reads from standard input, a line each, a JSON object of ``config``, ``runner`` and ``socket``, and writes the number
of the process it forked, then how that ended. A run says at ``socket`` what it does, an event a byte, and waits for
leave before it commits. Without a socket nothing is forked: the run is this process's own, which is warm afterwards.
"""

from __future__ import annotations

import json
import os
import socket
import sys

from sqlalchemy import Engine, event

from flows.process_dataset import run as run_flow
from trap.config import PipelineConfig
from trap.log import configure_logging
from trap.pipeline import open_run
from trap.run import image_measurement, look_ahead
from trap.workers.executors import SerialExecutor


def run_here(config):
    """Run the order of stages that the flow runs too, without its server and its workers."""
    with open_run(config) as dataset:
        for group in dataset.plan.groups:
            dataset.process_group(group, SerialExecutor())
        return dataset.summary()


RUNNERS = {"local": run_here, "prefect": run_flow}


def report(path):
    """Tell the test every statement, every group of timesteps and every image read here; ask it before every commit."""
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


def say(number):
    """Tell the test a number."""
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def main():
    """Fork a process for each line, until there is none."""
    configure_logging()  # on standard error: the numbers go to standard output
    for line in sys.stdin:
        order = json.loads(line)
        config = PipelineConfig.model_validate(order["config"])
        if not order["socket"]:
            say(os.getpid())
            say(int(run_here(config).exit_code))
            continue
        pid = os.fork()
        if pid == 0:
            report(order["socket"])
            os._exit(int(RUNNERS[order["runner"]](config).exit_code))
        say(pid)
        _, status = os.waitpid(pid, 0)
        say(status)


if __name__ == "__main__":
    main()
