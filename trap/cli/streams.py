"""Standard output and standard error that never end a program: full disks, closed pipes, terminals of any encoding.

A run may take a week, and its results go to the database. A reader that goes away (``transients run 2>&1 | head``)
therefore ends the printing, and not the run.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys
from typing import TYPE_CHECKING

from trap.escapes import plain_page

if TYPE_CHECKING:
    from typing import TextIO

    from _typeshed import ReadableBuffer

__all__ = ["output_failure", "print_utf8", "protect_streams"]

PLAIN = {
    "–": "-", "—": "-", "…": "...", "×": "x", "±": "+-", "→": "->", "≥": ">=", "≤": "<=", "≈": "~", "·": "*", "−": "-",
    "°": "deg", "″": "arcsec", "²": "^2", "√": "sqrt", "½": "1/2", "∝": "~",
    "η": "eta", "σ": "sigma", "χ": "chi", "θ": "theta", "π": "pi", "Δ": "delta", "δ": "delta", "α": "alpha",
    "µ": "u", "μ": "u", "ν": "nu", "λ": "lambda", "₀": "0", "⌊": "floor(", "⌋": ")",
}  # fmt: skip
"""ASCII forms of the characters of our own texts, for terminals without them."""
GONE = {errno.EPIPE, errno.ECONNRESET, errno.EBADF}
"""Errors of a stream that its reader has closed, which is no fault."""
_ENCODING_ERRORS = "transients.plain"


def protect_streams() -> None:
    """Replace standard output and standard error by streams without exceptions.

    Streams that are closed become ``/dev/null``: the next file that is opened, such as the database, would otherwise
    take their number, and whatever is printed would be written into it. Streams that were replaced before, as tests do,
    remain.
    """
    codecs.register_error(_ENCODING_ERRORS, _plain)
    for number in range(3):
        _open_if_closed(number)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 (a file descriptor; it stays open)
    if sys.stdout is sys.__stdout__:
        sys.stdout = _protected(sys.stdout, 1)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _protected(sys.stderr, 2)


def output_failure() -> str | None:
    """Return the reason if standard output could not be written as a whole; None if its reader has closed it."""
    try:
        sys.stdout.flush()
    except OSError:
        return None
    failure = getattr(getattr(getattr(sys.stdout, "buffer", None), "raw", None), "failure", None)
    if not isinstance(failure, OSError) or failure.errno in GONE:
        return None
    return failure.strerror or str(failure)


def print_utf8(content: bytes) -> None:
    """Print text for other programs, which is in UTF-8 whatever the terminal has."""
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


class _Descriptor(io.FileIO):
    """The file descriptor of a stream. It keeps the first error instead of raising it, and drops the text."""

    failure: OSError | None = None

    def write(self, text: ReadableBuffer, /) -> int:
        """Write a part of the text as ``FileIO`` does; after an error, return the length as if all were written."""
        length = memoryview(text).nbytes
        if self.failure is not None and self.failure.errno in GONE:
            return length
        try:
            written = super().write(text)
            while written is None:
                # The terminal is busy, and another program has set it not to wait.
                select.select([], [self], [])
                written = super().write(text)
        except OSError as error:
            self.failure = self.failure or error
            return length
        return written


class _Results(io.TextIOWrapper):
    """Standard output, where nothing of ours needs escape codes: whatever has been missed is escaped here."""

    def write(self, text: str, /) -> int:
        """Write a text; return its length."""
        super().write(plain_page(text))
        return len(text)


def _protected(stream: TextIO | None, number: int) -> TextIO:
    """Return a stream on a file descriptor, with the encoding of the stream that it replaces."""
    is_interactive = os.isatty(number) or number == 2
    return (_Results if number == 1 else io.TextIOWrapper)(
        io.BufferedWriter(_Descriptor(number, "w", closefd=False)),
        encoding="utf-8" if stream is None else stream.encoding,
        errors=_ENCODING_ERRORS,
        line_buffering=is_interactive,
        write_through=bool(getattr(stream, "write_through", False)),
    )


def _open_if_closed(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        # The lowest free number is this one, since those below it are open.
        os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Return the replacement of characters that the encoding of a terminal does not have."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    return "".join(PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in characters), error.end
