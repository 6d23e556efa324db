"""The command ``transients``: the pipeline at a terminal.

:mod:`trap.cli.parser` defines the arguments. The handler of each sub-command is imported only when that
sub-command runs, so ``transients --help`` starts quickly.
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
"""Exit code of a program that was interrupted from the keyboard: 128 plus the number of SIGINT, as in a shell."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command.

    Parameters
    ----------
    argv
        Arguments without the name of the program; by default the arguments of this process.

    Returns
    -------
    The exit code, see :class:`trap.dataset.outcomes.ExitCode`; argparse exits with 2 if the arguments are wrong.
    """
    arguments = make_parser().parse_args(argv)
    from trap.log import configure_logging

    # Events go to standard error from the first one on; standard output is for results, which a program may read.
    configure_logging()
    try:
        return int(resolve_name(arguments.handler)(arguments))
    except TrapError as error:
        print(f"transients: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader of a pipe has closed it (transients … | head). That is no error; output still buffered is dropped.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt as interrupt:
        print("; ".join(["transients: interrupted", *map(str, interrupt.args)]), file=sys.stderr)
        return INTERRUPTED
