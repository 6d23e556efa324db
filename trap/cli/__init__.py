"""The command ``trap``: everything that the pipeline does for people at a terminal.

Arguments are understood in :mod:`trap.cli.parser`; each sub-command has its handler in a module of
its own, which is imported when that sub-command is asked for. So ``trap --help`` waits for nothing.
"""

from __future__ import annotations

import os
import sys
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from trap.cli.parser import make_parser
from trap.errors import TrapError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

INTERRUPTED = 130
"""What a shell gives for a program ended from the keyboard: 128 and the number of the signal."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command.

    Parameters
    ----------
    argv
        Arguments without the name of the program; those of this process by default.

    Returns
    -------
    The exit code, see :class:`trap.dataset.outcomes.ExitCode`. Wrong arguments leave with 2, as argparse does.
    """
    arguments = make_parser().parse_args(argv)
    from trap.log import configure_logging

    # On standard error from the first event on: standard output is the answer, which a program may read.
    configure_logging()
    try:
        return int(resolve_name(arguments.handler)(arguments))
    except TrapError as error:
        print(f"trap: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader of a pipe has seen enough (trap … | head): no error, and nothing more to be flushed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt as interrupt:
        print("; ".join(["trap: interrupted", *map(str, interrupt.args)]), file=sys.stderr)
        return INTERRUPTED
