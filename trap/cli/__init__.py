"""The command ``transients``: the pipeline at a terminal.

:mod:`trap.cli.parser` defines the arguments. The handler of each sub-command is imported only when that
sub-command runs, so ``transients --help`` starts quickly.
"""

from __future__ import annotations

import re
import signal
import sys
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from trap.cli.folders import provide_docstrings, provide_folders
from trap.cli.streams import output_failure, protect_streams
from trap.cli.terminal import INTERRUPTED, interrupts_end_at_once, interrupts_raised_again, stopped_text
from trap.errors import TrapError
from trap.escapes import plain_text

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_SECRET = re.compile(r"((?<!sqlit)\w:/+).*(?=@)|(\w:)[^\s'\"/][^\s'\"]*(?=@)|(pass\w*=)[^&\s'\"]+", re.IGNORECASE)
"""Logins of URLs, and passwords among options."""


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
    protect_streams()
    with interrupts_end_at_once():
        try:
            provide_docstrings()
        except TrapError as error:
            return _reported(error, ()) or 1
        provide_folders()
        from trap.cli.parser import make_parser

        parser = make_parser()
        if any("\0" in word for word in argv or ()):
            parser.error("an argument has the character NUL, which no shell can pass")
        arguments = parser.parse_args(argv)
    try:
        with interrupts_end_at_once(*arguments.kept):
            from trap.log import configure_logging

            # Events go to standard error from the first one on; standard output is for results, which a program may
            # read.
            configure_logging()
            handler = resolve_name(arguments.handler)
        with interrupts_raised_again():
            code = int(handler(arguments))
            if argv is None:
                # This process is about to end, and its exit code is known. An interrupt from here on would replace it.
                signal.signal(signal.SIGINT, signal.SIG_IGN)
    except (Exception, KeyboardInterrupt) as error:
        reported = _reported(error, arguments.kept)
        if reported is None:
            raise
        return reported
    problem = output_failure()
    if problem is None:
        return code
    print(f"transients: standard output: cannot be written: {problem}", file=sys.stderr)
    # A run has stored its results; those of a query are lost.
    return 1 if arguments.prints and code == 0 else code


def _reported(error: BaseException, kept: Sequence[str]) -> int | None:
    """Print the line of an expected end of the program, and return its exit code; None for any other error."""
    from trap.retry import interrupt_behind

    interrupt = interrupt_behind(error)
    if interrupt is not None:
        print(plain_text(stopped_text(*(interrupt.args or kept))), file=sys.stderr)
        return INTERRUPTED
    if isinstance(error, TrapError):
        # A URL with a password may stand in place of another word, such as the name of a file.
        text = _SECRET.sub(lambda found: f"{found[1] or found[2] or found[3]}…", " ".join(str(error).split()))
        print(plain_text(f"transients: {text}"), file=sys.stderr)
        return 1
    if isinstance(error, (OSError, MemoryError, OverflowError, RecursionError)):
        # The machine, or a file, is the cause. Any other exception is an error of this program, with its traceback.
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")
        print(plain_text(f"transients: {reason}"), file=sys.stderr)
        return 1
    return None
