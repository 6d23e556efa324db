"""A progress bar for long work at a terminal."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich import progress
from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trap.typing import Progress

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(what: str) -> Iterator[Progress | None]:
    """Show a progress bar on standard error while the block runs, if standard error is a terminal.

    Text written to standard error during the block appears above the bar.

    Parameters
    ----------
    what
        Name of the counted items.

    Yields
    ------
    The callback that moves the bar; None if standard error is not a terminal.
    """
    if not sys.stderr.isatty():
        yield None
        return
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)

        def advance(n_done: int, n_total: int, counted: str = what, /) -> None:
            bar.update(task, completed=n_done, total=n_total, description=counted)

        yield advance
